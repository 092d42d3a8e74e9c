/* SPDX-License-Identifier: ISC */
/*
 * "mta limit": how much is sent at a time, to whom, from where.
 *
 * Invariant: what a statement does not say is CONF_LIMIT_UNSET.  The words are the
 * family's, with the same meaning; those that count messages a minute or by who runs
 * a server are our own.
 */
#include "lib/conf/limit_words.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/check_url.h"
#include "lib/conf/dump.h"
#include "lib/conf/parse.h"
#include "lib/conf/size.h"

#define CONNECTIONS_MAX 10000
#define DELAY_MAX_S	86400
#define RATE_MAX	1000000
#define MAILS_MAX	1000000
#define IDLE_MAX_S	3600

#define AT(member, scope)                      \
	(offsetof(struct conf_limit, member) + \
	    CONF_SCOPE_##scope * sizeof(((struct conf_limit *)NULL)->member[0]))
#define SCOPED(scope, word)                                                              \
	{"max-conn-per-" word, AT(connections, scope), LIMIT_COUNT, 1, CONNECTIONS_MAX}, \
	    {"conn-delay-" word, AT(delay_ms, scope), LIMIT_DURATION, 0, DELAY_MAX_S},   \
	{                                                                                \
		"max-rate-per-" word, AT(rate, scope), LIMIT_COUNT, 1, RATE_MAX          \
	}

/* clang-format off */
const struct limit_word limit_words[] = {
    SCOPED(DOMAIN, "domain"),
    SCOPED(RELAY, "relay"),
    SCOPED(SOURCE, "source"),
    SCOPED(MX, "mx"),
    SCOPED(HOST, "host"),
    SCOPED(ROUTE, "route"),
    {"session-mail-max", offsetof(struct conf_limit, session_mails), LIMIT_COUNT, 1, MAILS_MAX},
    {"session-transaction-delay", offsetof(struct conf_limit, session_delay_ms), LIMIT_DURATION, 0, IDLE_MAX_S},
    {"session-keepalive", offsetof(struct conf_limit, session_idle_ms), LIMIT_DURATION, 0, IDLE_MAX_S},
};
/* clang-format on */
const size_t limit_nwords = NITEMS(limit_words);

/* What a statement is for, when it is not for everything. */
static bool
is_domain(const char *s)
{
	return check_hostname(strncmp(s, "*.", 2) == 0 ? s + 2 : s) && *s != '[';
}

static const struct {
	const char *word;
	enum conf_scope of;
	bool (*check)(const char *);
	const char *what;
} subjects[] = {
    {"domain", CONF_SCOPE_DOMAIN, is_domain, "a domain such as example.org or *.example.org"},
    {"mx", CONF_SCOPE_MX, is_domain, "a domain such as example.org"},
    {"source", CONF_SCOPE_SOURCE, check_ip, "an address"},
};

static const char *
subject_word(enum conf_scope of)
{
	size_t i = 0;

	while (subjects[i].of != of)
		i++;
	return subjects[i].word;
}

/* In the one form that connections know theirs by; that of a domain is lower case. */
static int
make_canonical(struct parser *p, struct conf_limit *l)
{
	int family = strchr(l->name, ':') == NULL ? AF_INET : AF_INET6;
	uint8_t address[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];

	str_lower(l->name);
	if (l->of != CONF_SCOPE_SOURCE || inet_pton(family, l->name, address) != 1 ||
	    inet_ntop(family, address, text, sizeof(text)) == NULL)
		return 0;
	free(l->name);
	return (l->name = strdup(text)) == NULL ? parse_fail(p, "out of memory") : 0;
}

static int
parse_subject(struct parser *p, struct conf_limit *l)
{
	const char *words[NITEMS(subjects) + 1];
	size_t i;

	if (!parse_take_word(p, "for"))
		return 0;
	for (i = 0; i < NITEMS(subjects); i++) {
		if (parse_take_word(p, subjects[i].word))
			break;
		words[i] = subjects[i].word;
	}
	if (i == NITEMS(subjects)) {
		words[i] = NULL;
		return parse_unknown(p, "subject of a limit", words);
	}
	l->of = subjects[i].of;
	if (parse_checked(p, subjects[i].what, subjects[i].check, &l->name) == -1)
		return -1;
	return make_canonical(p, l);
}

static const struct limit_word *
parse_limit_word(struct parser *p)
{
	const char *words[NITEMS(limit_words) + 1];
	size_t i;

	for (i = 0; i < NITEMS(limit_words); i++) {
		if (parse_take_word(p, limit_words[i].word))
			return &limit_words[i];
		words[i] = limit_words[i].word;
	}
	words[i] = NULL;
	if (p->tok.kind == TOKEN_WORD &&
	    parse_supported(p, &p->tok.at, "mta limit", p->tok.text) == -1)
		return NULL;
	(void)parse_unknown(p, "limit", words);
	return NULL;
}

static void
describe(const struct limit_word *w, char *dst, size_t size)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

	if (w->kind == LIMIT_COUNT) {
		(void)snprintf(dst, size, "a number from %" PRIu64 " to %" PRIu64, w->min, w->max);
		return;
	}
	size_format_duration(min, (int64_t)w->min);
	size_format_duration(max, (int64_t)w->max);
	(void)snprintf(dst, size, "a duration such as 2s, from %s to %s", min, max);
}

static int
parse_limit_value(struct parser *p, const struct limit_word *w, int64_t *value)
{
	char wanted[SETTING_DESCRIPTION_MAX];
	uint64_t n = 0;
	int r;

	describe(w, wanted, sizeof(wanted));
	if (p->tok.kind != TOKEN_WORD && p->tok.kind != TOKEN_STRING)
		return parse_expected(p, wanted);
	if (*value != CONF_LIMIT_UNSET)
		return parse_fail(p, "'%s' was given before", w->word);
	if (w->kind == LIMIT_DURATION) {
		if ((r = size_parse_duration(p->tok.text, value)) == 0)
			n = (uint64_t)*value;
	} else {
		r = str_u64(p->tok.text, 0, UINT64_MAX, &n);
	}
	if (r == -1 || n < w->min || n > w->max)
		return parse_fail(p, "'%.64s' is not %s", p->tok.text, wanted);
	*value = (int64_t)n * (w->kind == LIMIT_DURATION ? 1000 : 1);
	parse_advance(p);
	return 0;
}

static int64_t *
member_of(const struct conf_limit *l, const struct limit_word *w)
{
	return (void *)((char *)(uintptr_t)l + w->offset);
}

int
parse_limit(struct parser *p)
{
	struct conf *c = p->conf;
	const struct limit_word *w;
	struct conf_limit *l;
	size_t i;

	l = parse_new(p, &c->limits, c->nlimits, sizeof(*l), PARSE_LIMITS_MAX);
	if (l == NULL)
		return -1;
	c->nlimits++;
	for (i = 0; i < NITEMS(limit_words); i++)
		*member_of(l, &limit_words[i]) = CONF_LIMIT_UNSET;
	if (parse_subject(p, l) == -1)
		return -1;
	do {
		if ((w = parse_limit_word(p)) == NULL ||
		    parse_limit_value(p, w, member_of(l, w)) == -1)
			return -1;
	} while (!parse_is_end(p));
	return 0;
}

int
limit_dump(const struct conf_limit *l, struct buf *out)
{
	char text[SIZE_TEXT_MAX];
	size_t i;

	if (buf_append_str(out, "mta limit") == -1)
		return -1;
	if (l->name != NULL && (buf_printf(out, " for %s ", subject_word(l->of)) == -1 ||
				   dump_string(l->name, out) == -1))
		return -1;
	for (i = 0; i < NITEMS(limit_words); i++) {
		const struct limit_word *w = &limit_words[i];
		int64_t value = *member_of(l, w);

		if (value == CONF_LIMIT_UNSET)
			continue;
		if (w->kind == LIMIT_DURATION)
			size_format_duration(text, value / 1000);
		else
			(void)snprintf(text, sizeof(text), "%" PRId64, value);
		if (buf_printf(out, " %s %s", w->word, text) == -1)
			return -1;
	}
	return buf_append_str(out, "\n");
}

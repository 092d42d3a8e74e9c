/* SPDX-License-Identifier: ISC */
/*
 * "filter": what is looked at in a phase of a session, and what becomes of it;
 * and chains of filters.
 *
 * Invariant: a condition is about something that is known at its phase.  A
 * chain has filters that were defined before it, each once, and no chains: it
 * has no circle, and to follow one takes as many steps as it has members.
 */
#include "lib/conf/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/parse.h"

#define PHASE(name) (1U << CONF_PHASE_##name)
#define AT_RCPT	    PHASE(RCPT_TO)
#define AT_MAIL	    (PHASE(MAIL_FROM) | AT_RCPT | PHASE(DATA) | PHASE(COMMIT))
#define AT_HELO	    (PHASE(HELO) | PHASE(EHLO) | AT_MAIL)
#define AT_ANY	    (PHASE(CONNECT) | AT_HELO)

/* clang-format off */
const struct filter_word filter_words[CONF_FILTER_TEST__MAX] = {
    [CONF_FILTER_FCRDNS] = {"fcrdns", MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING, AT_ANY},
    [CONF_FILTER_RDNS] = {"rdns", MATCH_TABLE_OPTIONAL, REFERENCE_LIST, SERVICE_DOMAIN, AT_ANY},
    [CONF_FILTER_SRC] = {"src", MATCH_TABLE, REFERENCE_NETWORKS, SERVICE_NETADDR, AT_ANY},
    [CONF_FILTER_HELO] = {"helo", MATCH_TABLE, REFERENCE_LIST, SERVICE_DOMAIN, AT_HELO},
    [CONF_FILTER_AUTH] = {"auth", MATCH_TABLE_OPTIONAL, REFERENCE_ANY, SERVICE_STRING, AT_MAIL},
    [CONF_FILTER_MAIL_FROM] = {"mail-from", MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR, AT_MAIL},
    [CONF_FILTER_RCPT_TO] = {"rcpt-to", MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR, AT_RCPT},
};
/* clang-format on */

static int parse_reply(struct parser *p, struct conf_filter *f);
static int parse_rewrite(struct parser *p, struct conf_filter *f);

static const struct {
	const char *word;
	int (*parse)(struct parser *, struct conf_filter *); /* what it takes; NULL: nothing */
} decisions[CONF_DECISION__MAX] = {
    [CONF_DECISION_BYPASS] = {"bypass", NULL},
    [CONF_DECISION_DISCONNECT] = {"disconnect", parse_reply},
    [CONF_DECISION_JUNK] = {"junk", NULL},
    [CONF_DECISION_REJECT] = {"reject", parse_reply},
    [CONF_DECISION_REWRITE] = {"rewrite", parse_rewrite},
};

/* The commands whose argument can be another. */
static const struct {
	const char *what;
	bool (*check)(const char *);
} rewritten[CONF_PHASE__MAX] = {
    [CONF_PHASE_HELO] = {"a host name", check_hostname},
    [CONF_PHASE_EHLO] = {"a host name", check_hostname},
    [CONF_PHASE_MAIL_FROM] = {"an address", check_address},
    [CONF_PHASE_RCPT_TO] = {"an address", check_address},
};

const char *
filter_decision_word(enum conf_decision decision)
{
	return decisions[decision].word;
}

/* -- what becomes of it -- */

static size_t
count_digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* How long the enhanced status code at the head of s is, 0 without one of this class (RFC 3463 2). */
static size_t
status_length(const char *s, char class)
{
	size_t at = 1, part, digits;

	if (s[0] != class)
		return 0;
	for (part = 0; part < 2; part++) {
		if (s[at] != '.' || (digits = count_digits(s + at + 1)) == 0 || digits > 3)
			return 0;
		at += 1 + digits;
	}
	return s[at] == ' ' || s[at] == '\0' ? at : 0;
}

/* "550 5.7.1 text" or "550 text" into its parts; false for anything else. */
static bool
reply_split(const char *s, struct conf_filter *f)
{
	size_t len;

	if ((s[0] != '4' && s[0] != '5') || count_digits(s) != 3 || s[1] > '5' || s[3] != ' ')
		return false;
	f->code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
	(void)snprintf(f->status, sizeof(f->status), "%c.7.1", s[0]);
	len = status_length(s + 4 + strspn(s + 4, " "), s[0]);
	s += 4 + strspn(s + 4, " ");
	if (len > 0)
		(void)snprintf(f->status, sizeof(f->status), "%.*s", (int)len, s);
	s += len;
	s += strspn(s, " ");
	if (!check_reply_text(s))
		return false;
	f->text = strdup(s);
	return true;
}

static int
parse_reply(struct parser *p, struct conf_filter *f)
{
	if (!parse_is_name(p))
		return parse_expected(p, "a reply such as \"550 5.7.1 Not welcome\"");
	if (!reply_split(p->tok.text, f))
		return parse_fail(p,
		    "'%.64s' is not a 4xx or 5xx reply with a text in ASCII, of at most %d octets",
		    p->tok.text, CONF_REPLY_MAX);
	if (f->text == NULL)
		return parse_fail(p, "out of memory");
	parse_advance(p);
	return 0;
}

/* Of "<a@b>" what is within: the family writes the argument of MAIL and RCPT as they have it. */
static void
strip_brackets(char *text)
{
	size_t len = strlen(text);

	if (len > 2 && text[0] == '<' && text[len - 1] == '>') {
		memmove(text, text + 1, len - 2);
		text[len - 2] = '\0';
	}
}

static int
parse_rewrite(struct parser *p, struct conf_filter *f)
{
	if (rewritten[f->phase].check == NULL)
		return parse_fail(
		    p, "there is nothing to rewrite at phase %s", conf_phase_name(f->phase));
	if (rewritten[f->phase].check == check_address)
		strip_brackets(p->tok.text);
	return parse_checked(p, rewritten[f->phase].what, rewritten[f->phase].check, &f->text);
}

static bool
find_decision(const struct parser *p, enum conf_decision *decision)
{
	size_t i;

	for (i = 0; i < CONF_DECISION__MAX; i++) {
		if (parse_is_word(p, decisions[i].word)) {
			*decision = (enum conf_decision)i;
			return true;
		}
	}
	return false;
}

static int
parse_decision(struct parser *p, struct conf_filter *f)
{
	if (f->ntests == 0)
		return parse_fail(p, "a filter needs a condition before '%s'", p->tok.text);
	parse_advance(p);
	if (decisions[f->decision].parse != NULL && decisions[f->decision].parse(p, f) == -1)
		return -1;
	return parse_old_line(p, &f->line);
}

/* -- conditions -- */

/* The row of the word in hand, or NULL after a report. */
static const struct filter_word *
parse_check_word(struct parser *p, bool negated)
{
	const char *words[CONF_FILTER_TEST__MAX + CONF_DECISION__MAX + 1];
	size_t i, n = 0;

	for (i = 0; i < CONF_FILTER_TEST__MAX; i++) {
		if (parse_is_word(p, filter_words[i].word))
			return &filter_words[i];
		words[n++] = filter_words[i].word;
	}
	for (i = 0; i < CONF_DECISION__MAX && !negated; i++)
		words[n++] = decisions[i].word;
	words[n] = NULL;
	if (p->tok.kind != TOKEN_WORD || parse_supported(p, &p->tok.at, "filter", p->tok.text) == 0)
		(void)parse_unknown(p, "condition", words);
	return NULL;
}

static int
parse_check(struct parser *p, struct conf_filter *f)
{
	bool negated = parse_take_punct(p, '!');
	const struct filter_word *row = parse_check_word(p, negated);
	struct conf_filter_test *test;

	if (row == NULL)
		return -1;
	if ((row->phases & 1U << f->phase) == 0)
		return parse_fail(
		    p, "'%s' is not known at phase %s", row->word, conf_phase_name(f->phase));
	test = parse_new(p, &f->tests, f->ntests, sizeof(*test), PARSE_CHECKS_MAX);
	if (test == NULL)
		return -1;
	f->ntests++;
	test->kind = (enum conf_filter_test_kind)(row - filter_words);
	test->negated = negated;
	parse_advance(p);
	return match_parse_table(p, row->value, row->reference, &test->regex, &test->table);
}

/* The rest of "filter NAME phase PHASE match CONDITION ... DECISION". */
static int
parse_phase(struct parser *p, struct conf_filter *f)
{
	const char *words[CONF_PHASE__MAX + 1];
	size_t i;

	for (i = 0; i < CONF_PHASE__MAX; i++) {
		words[i] = conf_phase_name((enum conf_phase)i);
		if (parse_is_word(p, words[i]))
			break;
	}
	if (i == CONF_PHASE__MAX) {
		words[i] = NULL;
		return parse_unknown(p, "phase", words);
	}
	f->phase = (enum conf_phase)i;
	parse_advance(p);
	if (!parse_take_word(p, "match"))
		return parse_expected(p, "'match'");
	while (!find_decision(p, &f->decision)) {
		if (parse_check(p, f) == -1)
			return -1;
	}
	return parse_decision(p, f);
}

/* -- chains -- */

static bool
has_member(const struct conf_filter *chain, const char *name)
{
	size_t i;

	for (i = 0; i < chain->nmembers; i++) {
		if (chain->members[i] != NULL && strcmp(chain->members[i], name) == 0)
			return true;
	}
	return false;
}

static int
parse_member(struct parser *p, struct conf_filter *chain)
{
	struct reference r = {REFERENCE_FILTER, p->tok.text, p->tok.at};
	const struct conf_filter *f;
	char **member;

	if (!parse_is_name(p))
		return parse_expected(p, "the name of a filter or '}'");
	if ((f = conf_filter_find(p->conf, p->tok.text)) == NULL) {
		parse_undefined(p, &r, "no filter before this is called");
		return -1;
	}
	if (f->chain)
		return parse_fail(p, "'%.64s' is a chain, which can't be part of one", f->name);
	if (has_member(chain, f->name))
		return parse_fail(p, "'%.64s' was given before", f->name);
	member = parse_new(p, &chain->members, chain->nmembers, sizeof(*member), PARSE_MEMBERS_MAX);
	if (member == NULL)
		return -1;
	chain->nmembers++;
	return parse_string(p, "the name of a filter", CONF_NAME_MAX, member);
}

/* { NAME, ... } into a chain that was just added. */
static int
parse_chain(struct parser *p, struct conf_filter *chain)
{
	struct place open = p->tok.at;

	chain->chain = true;
	if (!parse_take_punct(p, '{'))
		return parse_expected(p, "'{'");
	parse_skip_separators(p);
	while (!parse_is_punct(p, '}')) {
		if (p->tok.kind == TOKEN_END) {
			error_add(p->errors, &open, "'{' without a '}' in this file");
			return -1;
		}
		if (parse_member(p, chain) == -1)
			return -1;
		parse_skip_separators(p);
	}
	if (chain->nmembers == 0)
		return parse_fail(p, "a chain needs at least one filter");
	parse_advance(p);
	return 0;
}

/* -- statement and option -- */

static struct conf_filter *
parse_new_filter(struct parser *p)
{
	struct conf *c = p->conf;
	struct conf_filter *f;

	f = parse_new(p, &c->filters, c->nfilters, sizeof(*f), PARSE_FILTERS_MAX);
	if (f == NULL)
		return NULL;
	c->nfilters++;
	f->line = p->tok.at.line;
	return f;
}

int
parse_filter(struct parser *p)
{
	static const char *const words[] = {"phase", "chain", NULL};
	struct conf_filter *f;

	if (parse_is_name(p) && conf_filter_find(p->conf, p->tok.text) != NULL)
		return parse_fail(p, "filter '%.64s' is defined twice", p->tok.text);
	if ((f = parse_new_filter(p)) == NULL ||
	    parse_checked(p, "a filter name", check_name, &f->name) == -1)
		return -1;
	if (parse_take_word(p, "phase"))
		return parse_phase(p, f);
	if (parse_take_word(p, "chain"))
		return parse_chain(p, f) == -1 ? -1 : parse_old_line(p, &f->line);
	if (p->tok.kind == TOKEN_WORD &&
	    parse_supported(p, &p->tok.at, "filter", p->tok.text) == -1)
		return -1;
	return parse_unknown(p, "kind of filter", words);
}

/* -- chains that "listen" lists in place -- */

/*
 * The same name for the same members, wherever they are listed: a session that
 * began before a reload is not judged by another listener's chain after it.
 */
static void
chain_name(const struct conf_filter *chain, char name[CONF_NAME_MAX])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	const char *s;
	size_t i;

	for (i = 0; i < chain->nmembers; i++) {
		s = chain->members[i];
		do /* with the NUL, which separates them */
			hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
		while (*s++ != '\0');
	}
	(void)snprintf(name, CONF_NAME_MAX, "chain:%016" PRIx64, hash);
}

static bool
is_same_chain(const struct conf_filter *a, const struct conf_filter *b)
{
	size_t i;

	if (!a->chain || !b->chain || a->nmembers != b->nmembers)
		return false;
	for (i = 0; i < a->nmembers; i++) {
		if (strcmp(a->members[i], b->members[i]) != 0)
			return false;
	}
	return true;
}

int
parse_filter_use(struct parser *p, char **out)
{
	struct place at = p->tok.at;
	const struct conf_filter *same;
	struct conf_filter *chain;
	char name[CONF_NAME_MAX];

	if (!parse_is_punct(p, '{')) {
		if (parse_string(p, "a filter's name or '{'", CONF_NAME_MAX, out) == -1)
			return -1;
		return parse_reference(p, REFERENCE_FILTER, *out, &at);
	}
	if ((chain = parse_new_filter(p)) == NULL || parse_chain(p, chain) == -1)
		return -1;
	chain_name(chain, name);
	if ((*out = strdup(name)) == NULL)
		return parse_fail(p, "out of memory");
	if ((same = conf_filter_find(p->conf, name)) == NULL) {
		chain->name = strdup(name);
		return chain->name == NULL ? parse_fail(p, "out of memory") : 0;
	}
	if (!is_same_chain(chain, same)) {
		error_add(p->errors, &at, "this chain's name, '%s', is another filter's", name);
		return -1;
	}
	filter_clear(chain);
	p->conf->nfilters--;
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * "action": how and where mail goes, and its options.
 *
 * Invariant: an action's options fit its kind; a relay's credentials never go
 * out on a connection that was told to do without TLS.
 */
#include "lib/conf/option.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/check_url.h"
#include "lib/conf/dump.h"
#include "lib/conf/pattern.h"

#define KIND(name) (1U << CONF_ACTION_##name)
#define PROGRAM	   (KIND(MAILDIR) | KIND(MDA) | KIND(LMTP))
#define LOCAL	   (PROGRAM | KIND(MBOX) | KIND(EXPAND_ONLY) | KIND(FORWARD_ONLY))
#define RELAY	   KIND(RELAY)

#define Q	   CONF_FOR_QUEUE
#define L	   CONF_FOR_LOOKUP
#define D	   CONF_FOR_DELIVERY
#define V	   CONF_FOR_VAULT /* it has to know whom it gives credentials to */

#define TABLE(word, type, member, service, kinds, roles, ...)                        \
	{                                                                            \
		word, OPTION_##type, offsetof(struct conf_action, member), 0, kinds, \
		    (roles) | CONF_FOR_PARENT, SERVICE_##service,                    \
		{                                                                    \
			__VA_ARGS__                                                  \
		}                                                                    \
	}
#define ROW(word, type, member, kinds, roles, ...) \
	TABLE(word, type, member, STRING, kinds, roles, __VA_ARGS__)
/* clang-format off */
static const struct option action_rows[] = {
    ROW("junk", FLAG, junk, KIND(MAILDIR), D, NULL),
    ROW("rcpt-to", FLAG, rcpt_to, KIND(LMTP), D, NULL),
    TABLE("alias", MAPPING, alias, ALIAS, LOCAL, L, NULL),
    TABLE("virtual", MAPPING, virtual, VIRTUAL, LOCAL, L, NULL),
    TABLE("userbase", MAPPING, userbase, USERINFO, LOCAL, L, NULL),
    ROW("user", ACCOUNT, user, PROGRAM, L | D, NULL),
    ROW("wrapper", NAME, wrapper, LOCAL, D, NULL),
    {"host", OPTION_URL, offsetof(struct conf_action, host),
	offsetof(struct conf_action, host_table), RELAY, L | D | V | CONF_FOR_PARENT,
	SERVICE_RELAYHOST, {NULL}},
    ROW("helo", HOSTNAME, helo, RELAY, L | D, NULL),
    TABLE("helo-src", HELOS, helo_src, SOURCE, RELAY, L | D, NULL),
    TABLE("src", SOURCES, src, SOURCE, RELAY, L | D, NULL),
    TABLE("domain", URL_MAP, domain_table, RELAYHOST, RELAY, L | D | V, NULL),
    ROW("mail-from", STRING, mail_from, RELAY, L | D, NULL),
    TABLE("auth", CREDENTIALS, auth, CREDENTIALS, RELAY, L | D | V, NULL),
    ROW("pki", PKI, pki, RELAY, D, NULL),
    ROW("ca", CA, ca, RELAY, D, NULL),
    ROW("tls", FLAG, tls_required, RELAY, L | D, NULL),
    ROW("no-verify", FLAG, tls_no_verify, RELAY, L | D, "tls"),
    ROW("fingerprint", FINGERPRINTS, fingerprint, RELAY, L | D, NULL),
    ROW("proxy", PROXY, proxy, RELAY, L | D, NULL),
    ROW("srs", FLAG, srs, RELAY, L | D, NULL),
    ROW("backup", FLAG, backup, RELAY, L | D, NULL),
    ROW("mx", HOSTNAME, backup_name, RELAY, L | D, "backup"),
    ROW("ttl", DURATION, ttl_s, LOCAL | RELAY, Q, NULL),
};
/* clang-format on */
#undef ROW
#undef TABLE

const struct option_table action_options = {"action", action_rows, NITEMS(action_rows)};

enum target { TARGET_NONE, TARGET_OPTIONAL, TARGET_REQUIRED };

static const struct {
	const char *word;
	enum target target;
} kinds[] = {
    [CONF_ACTION_MAILDIR] = {"maildir", TARGET_OPTIONAL},
    [CONF_ACTION_MBOX] = {"mbox", TARGET_NONE},
    [CONF_ACTION_MDA] = {"mda", TARGET_REQUIRED},
    [CONF_ACTION_LMTP] = {"lmtp", TARGET_REQUIRED},
    [CONF_ACTION_RELAY] = {"relay", TARGET_NONE},
    [CONF_ACTION_EXPAND_ONLY] = {"expand-only", TARGET_NONE},
    [CONF_ACTION_FORWARD_ONLY] = {"forward-only", TARGET_NONE},
};

unsigned int
action_option_kind(const struct conf_action *a)
{
	return 1U << a->kind;
}

const char *
dump_action_kind(const struct conf_action *a)
{
	return kinds[a->kind].word;
}

/* The word in hand as a kind of action. */
static int
parse_kind(struct parser *p, enum conf_action_kind *kind)
{
	const char *words[NITEMS(kinds) + 1];
	size_t i;

	for (i = 0; i < NITEMS(kinds); i++) {
		if (parse_is_word(p, kinds[i].word))
			break;
		words[i] = kinds[i].word;
	}
	if (i == NITEMS(kinds)) {
		words[i] = NULL;
		return parse_unknown(p, "action method", words);
	}
	if (parse_supported(p, &p->tok.at, "action", kinds[i].word) == -1)
		return -1;
	*kind = (enum conf_action_kind)i;
	parse_advance(p);
	return 0;
}

/* What a role that does not deliver is told is "". */
static int
parse_lmtp_target(struct parser *p, struct conf_action *a)
{
	static const char what[] = "the path of a socket, or host:port";

	if (p->read == NULL && p->tok.kind == TOKEN_STRING && *p->tok.text == '\0')
		return parse_string(p, what, CONF_STRING_MAX, &a->target);
	return parse_checked(p, what, check_lmtp, &a->target);
}

static int
parse_target(struct parser *p, struct conf_action *a)
{
	enum target target = kinds[a->kind].target;
	struct pattern_fault fault;
	struct place at = p->tok.at;

	if (target == TARGET_NONE || (target == TARGET_OPTIONAL && !parse_is_name(p)))
		return 0;
	if (a->kind == CONF_ACTION_LMTP)
		return parse_lmtp_target(p, a);
	if (parse_string(p, "where to deliver to", CONF_STRING_MAX, &a->target) == -1)
		return -1;
	if (a->kind != CONF_ACTION_MAILDIR || pattern_check(a->target, &fault) == 0)
		return 0;
	/* After the opening quote. */
	at.column += (unsigned int)fault.offset + 1;
	error_add(p->errors, &at, "%s", fault.text);
	return -1;
}

/* What of a relay's options contradicts what is said of its connections. */
static const char *
relay_fault(const struct conf_action *a, bool label)
{
	bool clear = a->host != NULL && relay_url_is_clear(a->host);
	bool hosts = a->host != NULL || a->host_table != NULL;

	if (hosts && a->domain_table != NULL)
		return "'host' and 'domain' exclude each other";
	if (a->backup && (hosts || a->domain_table != NULL))
		return "'backup' excludes 'host' and 'domain'";
	if (a->auth != NULL && !hosts && a->domain_table == NULL)
		return "'auth' needs 'host' or 'domain'";
	if (a->auth != NULL && a->host != NULL && !label)
		return "'auth' needs a label in 'host', as in smtp+tls://label@mx.example.org";
	if (a->helo_src != NULL && a->src == NULL)
		return "'helo-src' needs 'src'";
	if ((a->auth != NULL || label) && clear)
		return "'auth' needs TLS: not smtp+notls";
	if ((a->auth != NULL || label) && a->tls_no_verify)
		return "a password is for a server that was verified: not 'tls no-verify'";
	if ((a->tls_required || a->fingerprint != NULL || a->ca != NULL) && clear)
		return "'tls', 'fingerprint' and 'ca' contradict smtp+notls";
	if (a->tls_no_verify && (a->fingerprint != NULL || a->ca != NULL))
		return "'fingerprint' and 'ca' contradict 'tls no-verify'";
	return NULL;
}

/* Options that need or exclude each other. */
static int
action_check(struct parser *p, const struct conf_action *a, const struct place *at)
{
	char label[CONF_NAME_MAX + 1];
	bool labelled = a->host != NULL && relay_url_label(a->host, label);
	const char *why;

	if (a->alias != NULL && a->virtual != NULL)
		why = "'alias' and 'virtual' exclude each other";
	else
		why = relay_fault(a, labelled);
	if (why != NULL) {
		error_add(p->errors, at, "%s", why);
		return -1;
	}
	/* Without a table of passwords, it can only be that of an "oauth". */
	if (labelled && a->auth == NULL)
		return parse_reference(p, REFERENCE_OAUTH, label, at);
	return 0;
}

int
parse_action(struct parser *p)
{
	struct conf *c = p->conf;
	struct place at = p->tok.at;
	struct conf_action *a;
	struct option_run run;

	if (parse_is_name(p) && conf_action_find(c, p->tok.text) != NULL)
		return parse_fail(p, "action '%.64s' is defined twice", p->tok.text);
	a = parse_new(p, &c->actions, c->nactions, sizeof(*a), PARSE_ACTIONS_MAX);
	if (a == NULL)
		return -1;
	c->nactions++;
	if (parse_checked(p, "an action name", check_name, &a->name) == -1 ||
	    parse_kind(p, &a->kind) == -1 || parse_target(p, a) == -1)
		return -1;
	run = (struct option_run){.object = a, .kind = action_option_kind(a)};
	if (option_parse(p, &action_options, &run) == -1)
		return -1;
	p->action_at[a - c->actions] = at;
	if (a->srs && p->srs_at.source == NULL)
		p->srs_at = at;
	return action_check(p, a, &at);
}

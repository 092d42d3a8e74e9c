/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_PARSE_H
#define LIB_CONF_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/error.h"
#include "lib/conf/lex.h"
#include "lib/conf/settings.h"

/*
 * What the parser's files share.
 *
 * tok is the token in hand; nothing after it was read.  Functions that parse
 * take what is theirs and leave the token after it in hand.  -1 from one of
 * them means that a fault was reported and that the statement is given up:
 * the statement loop goes on at the next line that is not within braces.  An
 * object is added to the configuration before it is filled, so that it has
 * one owner throughout; a configuration with faults is never handed out.
 */
#define PARSE_TABLES_MAX    4096
#define PARSE_ENTRIES_MAX   65536 /* of one inline table */
#define PARSE_PKIS_MAX	    256
#define PARSE_CAS_MAX	    64
#define PARSE_LISTENERS_MAX 256
#define PARSE_ACTIONS_MAX   1024
#define PARSE_RULES_MAX	    4096
#define PARSE_TESTS_MAX	    64 /* of one rule */
#define PARSE_REFS_MAX	    16384
#define PARSE_FILTERS_MAX   1024
#define PARSE_MEMBERS_MAX   64 /* of one chain */
#define PARSE_CHECKS_MAX    16 /* conditions of one filter */
#define PARSE_LIMITS_MAX    1024
#define PARSE_OAUTHS_MAX    256

enum reference_kind {
	/* a table, or one value in its place */
	REFERENCE_LIST,
	REFERENCE_NETWORKS, /* a list of them */
	REFERENCE_SOURCES,  /* addresses to connect from */
	REFERENCE_ANY,
	REFERENCE_LIST_REGEX,
	REFERENCE_ANY_REGEX,
	/* a table */
	REFERENCE_MAPPING,
	REFERENCE_PASSWORDS,
	REFERENCE_TOKENS,
	REFERENCE_CREDENTIALS,
	REFERENCE_URLS,	   /* hosts to relay to: a list, or a mapping to such lists */
	REFERENCE_URL_MAP, /* the mapping alone */
	REFERENCE_HELOS,   /* addresses, and host names */
	/* something else */
	REFERENCE_ACTION,
	REFERENCE_PKI,
	REFERENCE_CA,
	REFERENCE_FILTER,
	REFERENCE_OAUTH
};

struct reference { /* a name that was used, to be found when all is read */
	enum reference_kind kind;
	char *name;
	struct place at;
};

struct pki_note {
	struct place at;    /* where it was first named */
	bool faulty;	    /* a statement about it was given up */
	bool key_elsewhere; /* a role's part: another role has the key */
};

struct parser {
	struct conf *conf;
	struct conf_errors *errors;
	conf_reader read;
	void *arg;
	const char *path;     /* the main file, which others are relative to */
	bool failed;	      /* a statement was given up */
	unsigned int braces;  /* open in this statement */
	unsigned int dynamic; /* tables without a name, so far */
	struct reference *refs;
	size_t nrefs;
	struct place setting_at[SETTING__MAX]; /* where it was given, if it was */
	struct pki_note pki_notes[PARSE_PKIS_MAX];
	bool pki_seen; /* there was such a statement, in order or not */
	struct place listener_at[PARSE_LISTENERS_MAX]; /* no source: given up, or another role's */
	struct place action_at[PARSE_ACTIONS_MAX];
	struct place srs_at; /* the first action that needs a key for that */
	struct token tok;
	struct lexer lex;
};

/* parse_token.c */
void parse_advance(struct parser *p);
bool parse_is_end(const struct parser *p); /* of the statement */
bool parse_is_word(const struct parser *p, const char *word);
bool parse_is_punct(const struct parser *p, char c);
bool parse_is_name(const struct parser *p); /* a string, or a word that is not reserved */
bool parse_take_word(struct parser *p, const char *word); /* true: it was there */
bool parse_take_punct(struct parser *p, char c);
/* All three report at the token in hand, unless the lexer already did, and return -1. */
int parse_fail(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
int parse_expected(struct parser *p, const char *what);
int parse_unknown(struct parser *p, const char *what, const char *const *words);
/* -1 when this release does not do "context word"; reported at that place. */
int parse_supported(
    struct parser *p, const struct place *at, const char *context, const char *word) WARN_UNUSED;

/* parse_value.c */
/* A name or string of at most max octets, in *out; what describes it for errors. */
int parse_string(struct parser *p, const char *what, size_t max, char **out) WARN_UNUSED;
/* As that, and it must pass the check. */
int parse_checked(
    struct parser *p, const char *what, bool (*check)(const char *), char **out) WARN_UNUSED;
/* <name> or { ... }, and for the kinds before REFERENCE_MAPPING one string.  *out: the table's name. */
int parse_table(struct parser *p, enum reference_kind kind, char **out) WARN_UNUSED;
/* Whether the token in hand can begin what parse_table() takes as a list. */
bool parse_is_table(const struct parser *p);
int parse_reference(struct parser *p, enum reference_kind kind, const char *name,
    const struct place *at) WARN_UNUSED;
/* { ... } into a table that was just added. */
int parse_entries(struct parser *p, struct conf_table *t) WARN_UNUSED;
/* Takes separators of what is in braces: commas and newlines. */
void parse_skip_separators(struct parser *p);
/* "line N" at the end of a statement, if it is there: where it stood before a dump. */
int parse_old_line(struct parser *p, unsigned int *line) WARN_UNUSED;
struct conf_table *parse_new_table(struct parser *p, char *name);
/*
 * One more zeroed item at the end of *list, which has n; the caller counts
 * it.  NULL: there are max already, or no memory; reported.
 */
void *parse_new(struct parser *p, void *list, size_t n, size_t size, size_t max);

/* The statements, each after its first word. */
int parse_listen(struct parser *p) WARN_UNUSED;
int parse_action(struct parser *p) WARN_UNUSED;
int parse_match(struct parser *p) WARN_UNUSED;
int parse_filter(struct parser *p) WARN_UNUSED;
int parse_pki(struct parser *p) WARN_UNUSED;
int parse_ca(struct parser *p) WARN_UNUSED;
int parse_oauth(struct parser *p) WARN_UNUSED;
int parse_limit(struct parser *p) WARN_UNUSED; /* after "mta limit" */
int parse_setting(struct parser *p, const char *group) WARN_UNUSED;
/* The value of the listener option: a name, or { ... } into a chain; *out: its name. */
int parse_filter_use(struct parser *p, char **out) WARN_UNUSED;
/* "WHAT 'NAME'", with the nearest name that is defined. */
void parse_undefined(struct parser *p, const struct reference *r, const char *what);
/* parse_relay.c: what tables of a relay have in them, and its labels. */
void
parse_check_relay_table(struct parser *p, const struct reference *r, const struct conf_table *t);
void parse_check_relays(struct parser *p);
/* What can only be said when all was read. */
void parse_finish(struct parser *p);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_OPTION_H
#define LIB_CONF_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/parse.h"
#include "lib/conf/service.h"

/*
 * The options of listeners and actions, as tables: one row tells the parser
 * where a value goes and the dump where it comes from.
 */
enum option_type {
	OPTION_FLAG,	    /* bool */
	OPTION_CHOICE,	    /* int: takes value */
	OPTION_WORD,	    /* int: the number of the word that follows, of the words at value */
	OPTION_MAPPING,	    /* a mapping's name */
	OPTION_LIST,	    /* a list's name */
	OPTION_PASSWORDS,   /* bool, and at value (an offset) the name of such a table or NULL */
	OPTION_TOKENS,	    /* the name of a table of tokens */
	OPTION_CREDENTIALS, /* of one of what to tell other servers */
	OPTION_PKI,	    /* a pki's name */
	OPTION_PKIS,	    /* several, one each time; at value (an offset) their number */
	OPTION_CA,	    /* a ca's name */
	OPTION_FILTER,	    /* a filter's name, or a chain written in place */
	OPTION_CIPHERS,
	OPTION_PROTOCOLS,
	OPTION_CURVES,
	OPTION_STRING,
	OPTION_URL,	/* where to relay to; or at value (an offset) the name of a table of such */
	OPTION_URL_MAP, /* a mapping of domains to such */
	OPTION_SOURCES, /* a table of addresses to connect from */
	OPTION_HELOS,	/* a mapping of those to host names */
	OPTION_FINGERPRINTS,
	OPTION_PROXY,
	OPTION_ADDRESS, /* user@domain */
	OPTION_HTTPS,	/* a URL */
	OPTION_PATH,
	OPTION_SECRET, /* any text, which the vault alone is told */
	OPTION_NAME,
	OPTION_HOSTNAME,
	OPTION_ACCOUNT,
	OPTION_DURATION, /* int64_t seconds, not 0 */
	OPTION_PORT	 /* uint16_t */
};

/* What an OPTION_WORD may be, in the order of the numbers. */
enum option_words { OPTION_WORDS_PROVIDERS, OPTION_WORDS_GRANTS };
struct option_choice {
	const char *what;
	const char *words[5];
};
extern const struct option_choice option_words[];

struct option {
	const char *word;
	enum option_type type;
	size_t offset; /* of the member */
	size_t value;
	unsigned int kinds;	    /* bit per kind of object that has it */
	unsigned int roles;	    /* that get it */
	enum table_service service; /* that a table is asked for here */
	const char *after[2];	    /* it must follow one of these at once; {NULL}: no matter */
};

struct option_table {
	const char *context; /* "listen" */
	const struct option *rows;
	size_t nrows; /* at most 64 */
};

struct option_run { /* options being parsed into one object */
	void *object;
	unsigned int kind; /* a bit of option.kinds */
	uint64_t seen;	   /* rows that were given */
	const struct option *last;
};

/* All options up to the end of the statement. */
int option_parse(
    struct parser *p, const struct option_table *table, struct option_run *run) WARN_UNUSED;
bool
option_was_given(const struct option_table *table, const struct option_run *run, const char *word);
/* Appends those that are set, that its kind has and any of the roles gets, each after a space. */
int option_dump(const struct option_table *table, const void *object, unsigned int kind,
    unsigned int roles, struct buf *out) WARN_UNUSED;
/* What values refer to, by type of option. */
enum option_named { OPTION_NAMED_NOTHING, OPTION_NAMED_TABLE, OPTION_NAMED_PKI, OPTION_NAMED_CA };
struct option_reference {
	enum option_named named;
	enum reference_kind reference;
};
extern const struct option_reference option_refers[];
/* Whether one that any of the roles gets names this table, pki or ca. */
bool option_names(const struct option_table *table, const void *object, unsigned int roles,
    enum option_named what, const char *name);

/* A bit for each service that options ask this table for. */
unsigned int
option_services(const struct option_table *table, const void *object, const char *name) WARN_UNUSED;

unsigned int listener_option_kind(const struct conf_listener *l);
unsigned int action_option_kind(const struct conf_action *a);

#define OAUTH_KIND 1U /* there is one kind */

extern const struct option_table listener_options;
extern const struct option_table action_options;
extern const struct option_table oauth_options;

/* The statement, with its newline; with the word "elsewhere" but for the parent. */
int oauth_dump(const struct conf_oauth *o, unsigned int roles, struct buf *out) WARN_UNUSED;

#endif

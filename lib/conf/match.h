/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_MATCH_H
#define LIB_CONF_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/parse.h"
#include "lib/conf/service.h"

/* The conditions of "match", for the parser and the dump: one row a kind of test. */
enum match_value { MATCH_NOTHING, MATCH_TABLE, MATCH_TABLE_OPTIONAL };

struct match_word {
	const char *group; /* "from", "for" or "" */
	const char *word;
	enum conf_test_kind kind;
	enum match_value value;
	enum reference_kind reference; /* of its table */
	enum table_service service;    /* that it is asked for */
};

extern const struct match_word match_words[];
extern const size_t match_nwords;

const struct match_word *match_word_of(enum conf_test_kind kind);

/*
 * What follows the word of a condition, of a rule's or a filter's: "regex", and a
 * table.  reference is REFERENCE_LIST, REFERENCE_NETWORKS or REFERENCE_ANY.
 */
int match_parse_table(struct parser *p, enum match_value value, enum reference_kind reference,
    bool *regex, char **table) WARN_UNUSED;

#endif

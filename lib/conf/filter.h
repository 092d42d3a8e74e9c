/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_FILTER_H
#define LIB_CONF_FILTER_H

#include "lib/conf/conf.h"
#include "lib/conf/match.h"

/* The conditions of "filter", for the parser and the dump: one row a kind of test. */
struct filter_word {
	const char *word;
	enum match_value value;
	enum reference_kind reference; /* of its table */
	enum table_service service;    /* that it is asked for */
	unsigned int phases;	       /* bit per phase that knows of it */
};

extern const struct filter_word filter_words[CONF_FILTER_TEST__MAX];

const char *filter_decision_word(enum conf_decision decision);
void filter_clear(struct conf_filter *f); /* frees what it has */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_INQUIRY_PRIVATE_H
#define LOOKUP_INQUIRY_PRIVATE_H

#include "lookup/inquiry.h"
#include "lookup/memo.h"
#include "lookup/tables.h"

/* Between inquiry.c, which asks and remembers, and inquiry_ask.c, which knows what is asked of whom. */

/* Whom a question goes to: a table of a back end, or a memo. */
struct whom {
	const char *source; /* as observers are told */
	enum table_service service;
	const struct table_ref *table; /* NULL: the memo */
	struct memo *memo;
};

/* One question, or what is remembered of it. */
enum table_answer inquiry_ask(
    struct inquiry *q, const struct whom *whom, const char *key, const char **value) WARN_UNUSED;
bool inquiry_is_observed(const struct inquiry *q);
/* Tells the observer, and notes who does not answer. */
enum table_answer inquiry_tell(struct inquiry *q, const struct inquiry_event *e);
const struct inquiry_sources *inquiry_sources(const struct inquiry *q);

#endif

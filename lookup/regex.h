/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_REGEX_H
#define LOOKUP_REGEX_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/regex_text.h"
#include "lookup/answer.h"

/*
 * Extended regular expressions with a bound on what a question costs: strangers
 * choose the text.  What is written is bounded by lib/conf/regex_text.h; and as the library
 * remembers every state of its automaton that it ever met, an expression is
 * compiled anew before that has grown large.
 */
#define REGEX_SUBJECT_MAX 512 /* octets of what is looked at */

struct regex;

/* Borrows text for its life.  NULL with *why, which is a constant: it is refused, or ENOMEM. */
struct regex *regex_create(const char *text, const char **why) WARN_UNUSED;
void regex_free(struct regex *r);	  /* NULL is fine */
size_t regex_size(const struct regex *r); /* its states */
/* TROUBLE: ENOMEM, or the subject is too long, or of several lines. */
enum table_answer regex_matches(struct regex *r, const char *subject) WARN_UNUSED;

#endif

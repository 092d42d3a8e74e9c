/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FORWARD_H
#define LOOKUP_FORWARD_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"

/*
 * The targets that an alias, a list that it includes, or an account's .forward file
 * leads to.  Pure.
 *
 *   alice, "|command with, comma", bob@example.org
 */
#define TARGET_MAX 512 /* octets of one target */

enum target_result { TARGET_ONE, TARGET_TOO_LONG, TARGET_END };

/*
 * The next target at *p, which moves behind it, without the quotes around it; empty
 * ones are passed over.  TOO_LONG: dst has the start of it.
 */
enum target_result target_next(const char **p, char dst[TARGET_MAX + 1]);

/*
 * What the memo of .forward files keeps of one: a word, a line's end, and its
 * targets, or the reason why it isn't followed.
 */
#define FORWARD_TEXT_MAX (64U << 10) /* octets of a file */

enum forward_kind {
	FORWARD_USER,  /* text: targets */
	FORWARD_ROOT,  /* the same, and nothing in it may be run */
	FORWARD_UNSAFE /* text: why it isn't followed */
};

struct forward {
	enum forward_kind kind;
	const char *text; /* in the value */
};

/* False: it is not such a value. */
bool forward_parse(const char *value, struct forward *out) WARN_UNUSED;
/* Allocates the value for a file of len octets (one with a NUL octet is UNSAFE), or a reason.  NULL: ENOMEM. */
char *forward_format(enum forward_kind kind, const char *text, size_t len) WARN_UNUSED;

#endif

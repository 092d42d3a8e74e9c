/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_PATTERN_H
#define LIB_CONF_PATTERN_H

#include <stddef.h>

#include "lib/base/bug.h"

/*
 * Paths with format specifiers: what "maildir" takes.
 *
 *	%{NAME}  %{NAME[FIRST]}  %{NAME[FIRST:LAST]}  %{NAME:MODIFIER|MODIFIER}
 *
 * FIRST and LAST count from 0, negative ones from the end, LAST included when
 * it is not negative and excluded with what follows it when it is: of
 * "example.org", [0:6] and [0:-4] are "example", [8:] and [-3:] are "org".
 * "~/" at the start is the home directory, and a relative path is relative
 * to it.
 *
 * Values come from strangers.  In what is substituted (all but the home
 * directory) a slash and a control byte are refused, and so is a component of
 * the path that is "." or "..", or that substitution left empty.  Nothing is
 * replaced: what differs stays different.
 */
struct pattern_values {			  /* NULL: empty */
	const char *sender, *rcpt, *dest; /* addresses without brackets */
	const char *username, *directory;
};

struct pattern_fault {
	size_t offset; /* octets into the pattern */
	char text[128];
};

/* -1 with the fault filled: the pattern can never expand. */
int pattern_check(const char *pattern, struct pattern_fault *fault) WARN_UNUSED;
/*
 * -1 with errno EINVAL: the pattern is wrong or these values are refused;
 * ENAMETOOLONG: it does not fit.  dst is then empty.
 */
int pattern_expand(
    const char *pattern, const struct pattern_values *v, char *dst, size_t size) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_REGEX_TEXT_H
#define LIB_CONF_REGEX_TEXT_H

#include <regex.h>
#include <stddef.h>

#include "lib/base/bug.h"

/*
 * Extended regular expressions as they are written in smtpd.conf and in tables, "(?i)"
 * before one that ignores case.
 *
 * No back-references, whose cost has no bound in any implementation; repetition
 * must not make more than REGEX_STATES_MAX states of one.
 */
#define REGEX_TEXT_MAX	 256 /* octets of an expression */
#define REGEX_STATES_MAX 1000

/* NULL: *out is the caller's to regfree(); else why it is refused, a constant. */
const char *regex_compile(const char *text, regex_t *out) WARN_UNUSED;
const char *regex_fault(const char *text); /* NULL: there is none */
/*
 * How many states an expression has after its repetitions are written out, at most
 * REGEX_STATES_MAX + 1; 0 with *why if it is refused.
 */
size_t regex_states(const char *text, const char **why) WARN_UNUSED;
const char *regex_skip_flag(const char *text); /* behind "(?i)" */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_SECRET_H
#define CONTROL_SMTPCTL_SECRET_H

#include <stddef.h>

#include "lib/base/bug.h"

#define SECRET_MAX 1024 /* octets of a secret */

struct secret {
	char text[SECRET_MAX + 1];
	size_t len; /* from 1; no NUL within */
};

enum secret_result {
	SECRET_OK,
	SECRET_NONE, /* an empty line, or none */
	SECRET_TOO_LONG,
	SECRET_BAD,	  /* a NUL octet */
	SECRET_DIFFERENT, /* typed twice, not the same */
	SECRET_FAILED	  /* see errno */
};

/*
 * One line of standard input, without its end, and nothing after it; when
 * that is a terminal, typed twice on prompts and not shown.  A signal that ends or
 * stops the program finds the terminal as it was before.  out is to be wiped.
 */
enum secret_result secret_read(struct secret *out) WARN_UNUSED;
void secret_wipe(struct secret *s);
/* "no password was given"; of SECRET_FAILED, what errno says. */
const char *secret_result_text(enum secret_result r);

#endif

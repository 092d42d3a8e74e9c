/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_CHECK_RUN_H
#define SMTPD_CHECK_RUN_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

struct checking;

/*
 * What is in a file is not for the parent to parse: the program that will use
 * it looks at it, "PROGRAM -c NAME", as its role's account.  It gets the files open, a clean
 * environment, and seconds; it says what it found in lines, "error: ..." and
 * "warning: ...", which are bounded, and shown escaped.
 */
#define CHECK_RUN_FILES 3
#define CHECK_RUN_ABOVE \
	16 /* descriptors are moved up here before, out of the way of the low numbers */

struct check_run {
	enum role role;
	const char *name;	 /* of what is looked at */
	const char *what, *key;	 /* for people, "certificate"; in the log, "pki" */
	const char *event;	 /* in the log */
	int fd[CHECK_RUN_FILES]; /* in the program 0, 3 and 4; from CHECK_RUN_ABOVE on, or -1 */
};

/* Counts errors; k->broken: what was looked at can't be used at all. */
void check_run(struct checking *k, const struct check_run *r);

#endif

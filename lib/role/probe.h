/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_PROBE_H
#define LIB_ROLE_PROBE_H

/*
 * Test builds only (TEST_HOOKS): forbidden acts that a role can be told to try,
 * to see that each kills the process or is refused.  No act does lasting harm
 * where it succeeds: what would, is asked for in a way the kernel refuses.
 */
#ifdef TEST_HOOKS

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

enum probe_outcome { PROBE_DIED, PROBE_REFUSED, PROBE_SURVIVED };

size_t role_probe_count(void);
const char *role_probe_name(size_t n); /* n < role_probe_count() */

/*
 * Act n.  0: it was done.  -1: refused, errno says how.  Or the process dies, or
 * waits to be killed.  parent: a process that it may not touch, found out before
 * the role was entered.
 */
int role_probe_run(size_t n, pid_t parent);

/*
 * Is this outcome what a role with these rights should see?  error is errno of a
 * refused act.  An act that a right stands for passes however it ends.
 */
bool role_probe_passes(size_t n, unsigned int rights, enum probe_outcome outcome, int error);

#endif
#endif

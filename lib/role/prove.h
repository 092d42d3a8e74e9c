/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_PROVE_H
#define LIB_ROLE_PROVE_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/role/role.h"

/*
 * What role_enter() does not believe before it has tried it.  All of it must
 * run before the seccomp filter is on.  -1 with errno EPERM and a log line
 * naming what was possible that must not be.
 */

/* *gone: ids, groups and capabilities were seen to be out of reach (never so for uid 0). */
int prove_privileges(const struct role_rights *r, bool *gone) WARN_UNUSED;
/* outside_fd: the file system's real root, opened before all walls. */
int prove_landlock(const char *name, int outside_fd) WARN_UNUSED;
/* After seccomp: the filter answers, not the kernel. */
int prove_seccomp(const char *name) WARN_UNUSED;
/* After seccomp: there still is a clock (ENOTSUP). */
int prove_clock(const char *name) WARN_UNUSED;

#endif

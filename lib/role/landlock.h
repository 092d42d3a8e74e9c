/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_LANDLOCK_H
#define LIB_ROLE_LANDLOCK_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/role/role.h"

/* The version of Landlock this kernel speaks; 0: it has none, or it is off. */
int landlock_abi(void);

/*
 * Confines this process, for good, to what r allows: no file but below
 * dir_fd (-1: none), no TCP port but the listed ones, no abstract socket and no
 * signal to the outside.  no_new_privs must be on.  Where abi is too old for a
 * part, that part is left to the other walls and *lost names it (static text).
 * abi 0 is no error here; landlock_floor is the caller's to judge.
 */
int landlock_enter(const struct role_rights *r, int abi, int dir_fd, const char **lost) WARN_UNUSED;

/*
 * Denies this process, for good, whatever abi lets it deny but to read files and directories:
 * nothing is made, changed, run, bound or connected to.  no_new_privs must be on.
 */
int landlock_read_only(int abi) WARN_UNUSED;

#endif

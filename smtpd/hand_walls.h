/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_HAND_WALLS_H
#define SMTPD_HAND_WALLS_H

#include <stdbool.h>

#include "lib/base/bug.h"

/*
 * In a new hand, as its account: no capability, but root's to read what it finds.  With files_only it may
 * from now on open files to read them, put what it read into one in memory, and talk to us;
 * any other system call ends it.  -1 with errno.
 */
int hand_walls(bool files_only) WARN_UNUSED;

#endif

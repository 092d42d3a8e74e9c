/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_WATCH_H
#define LIB_ROLE_WATCH_H

#include <sys/types.h>

#include <stdint.h>

#include "lib/base/bug.h"

/*
 * The parent's side of a role's filter.  The listener becomes readable when the
 * process tried a forbidden call; the call waits, and never runs: the parent
 * logs what it was and sends SIGKILL.  The listener is closed when the process
 * has been waited for.  Closing it earlier makes such calls fail with ENOSYS.
 */
struct role_violation {
	pid_t pid; /* compare with the process it should be before killing */
	int nr;
	char name[40]; /* of the call, for the log */
	uint64_t args[6];
};

/*
 * Takes one violation without waiting.  -1 with errno: EAGAIN, there is none
 * (also when the process died meanwhile); EPIPE, nobody is left who could
 * cause one; else the listener is broken.
 */
int role_watch_receive(int notify_fd, struct role_violation *out) WARN_UNUSED;

#endif

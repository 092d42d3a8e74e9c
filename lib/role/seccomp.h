/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_SECCOMP_H
#define LIB_ROLE_SECCOMP_H

#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Filters the system calls of this process, for good, down to what rights
 * allow.  A call that is not allowed never runs.  With a listener
 * (*notify_fd >= 0, close-on-exec, the caller's) it waits for whoever holds the
 * listener, whose duty is to name it and to kill the process; if the kernel
 * gives no listener (*notify_fd == -1) the kernel kills at once.  A call of
 * another architecture is killed at once in both cases.
 */
int seccomp_enter(unsigned int rights, int *notify_fd) WARN_UNUSED;

/* Writes the same filter to fd as BPF, to be looked at (seccomp_export_bpf(3)). */
int seccomp_export(unsigned int rights, int fd) WARN_UNUSED;

#endif

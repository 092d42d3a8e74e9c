/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_HAND_H
#define SMTPD_HAND_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

struct smtpd;

/*
 * A hand of the parent: a process of its own for what may hang (names of accounts, homes
 * on a network) or must be done with the rights of somebody else (files of
 * users).  It runs one function of ours, talks through one socket that keeps messages
 * apart, and is killed at its deadline.
 */
struct hand;

#define HAND_MESSAGE_MAX 8192
#define HANDS_MAX	 32 /* at once */
#define HANDS_LATE_MAX	 4  /* of one account, that were killed and don't die */

/* A message of it, and the descriptor that came along, the callee's (-1: none); data NULL: it ended. */
typedef void (*hand_heard)(void *arg, const void *data, size_t len, int fd);

struct hand_job {
	uid_t uid; /* that it becomes, if we are root; else it must be ours */
	gid_t gid;
	void (*work)(int sock, void *arg); /* in the new process, which ends with it */
	hand_heard heard;		   /* the hand may be freed within */
	void *arg;			   /* of both; a copy of its memory in the new process */
	bool files_only;		   /* it reads files, and has no right to more */
	int keep_fd;			   /* stays open in the new process; -1: none */
	size_t copy_max;		   /* octets, of what it may hand_copy() */
};

/*
 * NULL with errno: EAGAIN (too many), EBUSY (too many of that account hang: a file system of
 * somebody's own making can hold even who was killed), EPERM, or why there is no process.
 */
struct hand *hand_start(struct smtpd *d, const struct hand_job *job) WARN_UNUSED;
void hand_free(struct hand *h); /* NULL is fine; it is killed, and nothing more is heard */
int hand_say(struct hand *h, const void *data, size_t len) WARN_UNUSED;
void hand_set_deadline(struct hand *h, int64_t ms); /* from now; 0: none */
void hands_reaped(struct smtpd *d, pid_t pid);	    /* its number may be another's now */
void hands_free(struct smtpd *d);

/* In the new process: -1 when the parent is gone. */
int hand_tell(int sock, const void *data, size_t len, int fd) WARN_UNUSED;
/*
 * In the new process: what is in a file, read here where nobody waits, as a file in memory that
 * nobody can change any more.  -1 with errno: EFBIG, more than copy_max octets.
 */
int hand_copy(int fd, size_t copy_max) WARN_UNUSED;

#endif

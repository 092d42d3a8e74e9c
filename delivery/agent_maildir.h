/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_AGENT_MAILDIR_H
#define DELIVERY_AGENT_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

/*
 * One Maildir: messages are written below tmp, made durable, moved to new.
 * Every name is relative to a descriptor, no symbolic link is followed, and
 * nothing is ever written over.
 */
#define MAILDIR_HOST_MAX 255
#define MAILDIR_NAME_MAX 128 /* octets of a unique name before ",S=" */

struct maildir {
	int fd;		    /* O_PATH: the Maildir itself, what Landlock lets us see */
	int tmp_fd, new_fd; /* new_fd can be fsynced */
	char host[MAILDIR_HOST_MAX + 1];
	uint32_t pid, count; /* count: names given out */
};

/*
 * Opens path below base_fd, making what is missing (mode 0700) and that
 * durable.  -1 with errno: ELOOP and EXDEV when something on the way is a
 * symbolic link or leads elsewhere; nothing stays open then.
 */
int maildir_open(struct maildir *m, int base_fd, const char *path) WARN_UNUSED;
void maildir_close(struct maildir *m);
/* The entries that maildir_file_finish() made in new are durable, or -1. */
int maildir_sync(struct maildir *m) WARN_UNUSED;

/* CRLF becomes LF, everything else stays, wherever the pieces are cut. */
struct unix_lines {
	bool cr;  /* the last octet was a CR, not yet written */
	bool off; /* a binary message (RFC 3030 3): all stays as it is */
};

#define UNIX_LINES_ROOM(n) ((n) + 1) /* what n octets may become at most */
size_t unix_lines_feed(struct unix_lines *u, const uint8_t *in, size_t n, uint8_t *out);
size_t unix_lines_end(struct unix_lines *u, uint8_t *out); /* a CR that was the end */

/* A message on its way. */
struct maildir_file {
	int fd; /* -1: none */
	char name[MAILDIR_NAME_MAX + MAILDIR_HOST_MAX + 1];
	uint64_t size_bytes; /* as stored */
	struct unix_lines lines;
	struct buf out;
};

/* now_us: wall clock, microseconds since the epoch.  -1: errno. */
int maildir_file_begin(struct maildir *m, struct maildir_file *f, int64_t now_us) WARN_UNUSED;
/* -1: errno; the owner then abandons. */
int maildir_file_append(struct maildir_file *f, const void *data, size_t n) WARN_UNUSED;
/*
 * The message is whole: on 0 it has a name in new, its contents durable and
 * its name after the next maildir_sync().  On -1 (errno) it is gone from tmp.
 */
int maildir_file_finish(struct maildir *m, struct maildir_file *f) WARN_UNUSED;
/* Leaves nothing behind; fine at any time, and again. */
void maildir_file_abandon(struct maildir *m, struct maildir_file *f);

#endif

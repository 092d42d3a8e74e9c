/* SPDX-License-Identifier: ISC */
#ifndef LIB_SQLITE_READER_H
#define LIB_SQLITE_READER_H

#include <stdint.h>

#include <sqlite3.h>

#include "lib/base/bug.h"

/*
 * A connection to a database that others write, and that may be anything: it reads,
 * within limits, and gives up at its deadline.
 */
#define READER_VALUE_MAX 65536 /* octets of a value; what works on values is not interrupted */

struct reader {
	sqlite3 *db; /* NULL: closed */
	int fd;	     /* SQLite's, while it is open */
	int idle_fd; /* an epoll descriptor that watches nothing: waiting on it is sleeping; -1: never wait */
	int64_t deadline_ms; /* of the question at hand, by time_mono_ms() */
};

/*
 * vfs_install(), and no more than so much memory for all of SQLite.  Before the first
 * connection; again does no harm.
 */
int reader_install(int64_t heap_max) WARN_UNUSED;
/* Takes fd; idle_fd and deadline_ms are set.  Reads nothing yet.  -1: it can't be. */
int reader_open(struct reader *r, int fd) WARN_UNUSED;
void reader_close(struct reader *r); /* every statement is finalized */

#endif

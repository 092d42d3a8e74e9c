/* SPDX-License-Identifier: ISC */
#ifndef VAULT_HASHER_DB_H
#define VAULT_HASHER_DB_H

#include <stdint.h>

#include <sqlite3.h>

#include "lib/base/bug.h"

/*
 * A connection to a database that others write, and that may be anything: it reads,
 * within limits, and gives up at its deadline.
 */
struct hasher_db {
	sqlite3 *db; /* NULL: closed */
	int fd;	     /* SQLite's, while it is open */
	int idle_fd; /* an epoll descriptor that watches nothing: waiting on it is sleeping */
	int64_t deadline_ms; /* of the question at hand, by time_mono_ms() */
};

/* Takes fd; idle_fd is set.  Reads nothing yet.  -1: it can't be. */
int hasher_db_open(struct hasher_db *d, int fd) WARN_UNUSED;
void hasher_db_close(struct hasher_db *d); /* every statement is finalized */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef QUEUE_SPOOL_SCHEMA_H
#define QUEUE_SPOOL_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "lib/base/bug.h"

/*
 * Opens or creates the database at path, moves whatever a log left behind
 * into it, and brings its tables to the newest version.  cache_bytes bounds
 * the page cache.  -1: EIO, ENOSPC, ENOMEM, EBUSY (another process has it),
 * EPROTO (not a spool, or from a newer version); *db is NULL then.
 */
int spool_schema_open(const char *path, int dirfd, size_t cache_bytes, sqlite3 **db) WARN_UNUSED;
/*
 * Makes an index anew from its table's rows, whatever its pages hold; no
 * transaction may be open.  An SQLite result; without SQLITE_OK all is as it was.
 */
enum spool_index { SPOOL_INDEX_DUE, SPOOL_INDEX_REPORT, SPOOL_INDICES };
int spool_schema_rebuild(sqlite3 *db, enum spool_index which) WARN_UNUSED;
/* An SQLite result as an errno. */
int spool_schema_errno(int rc);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_HASHER_VFS_H
#define VAULT_HASHER_VFS_H

#include "lib/base/bug.h"

/*
 * SQLite's way to files, made to work on descriptors: it opens no path, sees
 * no file beside the database, and writes nothing.
 */
#define VFS_PATH_MAX 32

/* From here on SQLite's "unix" VFS is like that.  -1: it can't be (ENOSYS). */
int vfs_install(void) WARN_UNUSED;
/* The name under which sqlite3_open_v2() will take fd over. */
void vfs_path(char path[VFS_PATH_MAX], int fd);

enum database_file {
	DATABASE_FILE_GOOD, /* or empty, or out of reach: whatever SQLite will say */
	DATABASE_FILE_WAL,  /* its journal is a write-ahead log */
	DATABASE_FILE_OTHER /* no SQLite database */
};
/* By the file's header: https://www.sqlite.org/fileformat.html 1.3. */
enum database_file database_file_kind(int fd);

#endif

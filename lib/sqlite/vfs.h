/* SPDX-License-Identifier: ISC */
#ifndef LIB_SQLITE_VFS_H
#define LIB_SQLITE_VFS_H

#include "lib/base/bug.h"
#include "lib/conf/database.h"

/*
 * SQLite's way to files, made to work on descriptors: it opens no path, sees
 * no file beside the database, and writes nothing.
 */
#define VFS_PATH_MAX 32

/* From here on SQLite's "unix" VFS is like that.  -1: it can't be (ENOSYS). */
int vfs_install(void) WARN_UNUSED;
/* The name under which sqlite3_open_v2() will take fd over. */
void vfs_path(char path[VFS_PATH_MAX], int fd);

/* By the file's header; one that is out of reach is good: SQLite will say why. */
enum database_file database_file_kind(int fd);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_HASHER_SQLITE_H
#define VAULT_HASHER_SQLITE_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/message.h"

/*
 * SQLite tables in smtpd-hasher.  A database is a descriptor that the parent
 * opened for reading; SQLite runs without opening a path, ever.  What others
 * write to the database is seen by the next question.
 *
 * Nothing in the file, whoever wrote it, is fatal: the outcome is IPC_RETRY and
 * a log line.
 */
struct hasher_sqlite;

/* Outside the sandbox, once a process: SQLite's own calls are replaced.  NULL with errno. */
struct hasher_sqlite *hasher_sqlite_create(void) WARN_UNUSED;
void hasher_sqlite_free(struct hasher_sqlite *h);

/*
 * A `file` of kind IPC_FILE_TABLE, before or after the sandbox; takes fd.  Its name is
 * "TABLE" for the database and "TABLE#conf" for the small configuration that
 * says what to ask it (lib/conf/database.h); either may come first, and a later
 * one takes the place of an earlier.
 */
void hasher_sqlite_file(struct hasher_sqlite *h, const char *name, int fd);
/* Forgets the tables that are not SQLite tables of conf. */
void hasher_sqlite_configure(struct hasher_sqlite *h, const struct conf *conf);

/*
 * What the table keeps for key: IPC_OK and value, IPC_GONE (no such row, or no
 * value), or IPC_RETRY; at most some two seconds, whatever the query.  The
 * caller wipes value.
 *
 * hasher_sqlite_scram(): whether any row has SCRAM keys; IPC_OK or IPC_GONE.
 */
enum ipc_outcome hasher_sqlite_find(struct hasher_sqlite *h, const struct msg_find *question,
    char value[IPC_SECRET_MAX + 1]) WARN_UNUSED;
enum ipc_outcome hasher_sqlite_scram(struct hasher_sqlite *h, const char *table) WARN_UNUSED;

#endif

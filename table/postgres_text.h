/* SPDX-License-Identifier: ISC */
#ifndef TABLE_POSTGRES_TEXT_H
#define TABLE_POSTGRES_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/service.h"
#include "lib/ipc/message.h"

/* What goes to a PostgreSQL server and comes from it, as text.  Pure. */

struct pg_column {
	const char *value; /* NULL: SQL's NULL */
	size_t len;
};

/* Nothing else can be asked for where the client's encoding is UTF8 (RFC 3629 4). */
bool pg_is_utf8(const char *s);

/* The first row counts, and no other. */
bool pg_takes_one_row(enum table_service service);

enum pg_row { PG_ROW_TAKEN, PG_ROW_EMPTY, PG_ROW_TOO_LONG };
/*
 * One row as an answer: nothing but presence, what is kept for a login alone (the second of
 * two columns), or all columns with ':' between them.  EMPTY: there is no value in it.
 */
enum pg_row pg_row_value(enum table_service service, const struct pg_column *columns, size_t n,
    char dst[IPC_VALUE_MAX + 1], size_t *len) WARN_UNUSED;

/* What an error of the server means for a question: GONE where no row can have such a key, else RETRY. */
enum ipc_outcome pg_error_outcome(const char *sqlstate);
/* The statement is no longer what it was when it was prepared. */
bool pg_error_is_stale(const char *sqlstate);

#endif

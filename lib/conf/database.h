/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_DATABASE_H
#define LIB_CONF_DATABASE_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/*
 * The small configuration of a SQLite table, in the words of the OpenSMTPD
 * family:
 *
 *   # a comment, on a line of its own
 *   dbpath /etc/postern/users.db
 *   query_credentials SELECT login, value FROM users WHERE login=?
 *
 * Each word at most once, the rest of the line is its value; no quotes, no
 * continuation.  The query has one "?", which stands for the login, and
 * gives two columns: the login and what is kept for it.
 */
#define DATABASE_TEXT_MAX  16384 /* octets of the file */
#define DATABASE_QUERY_MAX 4096	 /* octets of a query */

struct database {
	char *dbpath; /* absolute */
	char *query_credentials;
};

struct database_error {
	unsigned int line; /* from 1; 0: of the file as a whole */
	char text[160];
};

/* -1: EINVAL with *error filled, ENOMEM; *out is empty then. */
int database_parse(
    const char *text, size_t len, struct database *out, struct database_error *error) WARN_UNUSED;
void database_free(struct database *db);

#endif

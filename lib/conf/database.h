/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_DATABASE_H
#define LIB_CONF_DATABASE_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/conf/service.h"

/*
 * The small configuration of a table that is kept in a data base, in the words
 * of the OpenSMTPD family:
 *
 *   # a comment, on a line of its own
 *   dbpath /etc/postern/mail.db
 *   query_alias SELECT target FROM aliases WHERE name=?
 *
 * One word says where the data base is, and for each service (service.h) there
 * may be a query.  Each word at most once, the rest of the line is its value; no
 * quotes, no continuation.  A query is a SELECT with one parameter, the key:
 * "?" or "?1" in SQLite, "$1" in PostgreSQL.  Words of the family that mean nothing
 * here are passed over.
 */
#define DATABASE_TEXT_MAX  16384 /* octets of the file */
#define DATABASE_QUERY_MAX 4096	 /* octets of a query */

enum database_kind {
	DATABASE_SQLITE,  /* "dbpath", an absolute path */
	DATABASE_POSTGRES /* "conninfo", a string of libpq's, at most CONF_STRING_MAX octets */
};

struct database {
	char *place;		     /* the dbpath or conninfo */
	char *queries[SERVICE__MAX]; /* by service; NULL: it has none */
};

struct database_error {
	unsigned int line; /* from 1; 0: of the file as a whole */
	char text[160];
};

/* -1: EINVAL with *error filled, ENOMEM; *out is empty then. */
int database_parse(enum database_kind kind, const char *text, size_t len, struct database *out,
    struct database_error *error) WARN_UNUSED;
void database_free(struct database *db); /* wipes: a conninfo may have a password */

/*
 * Whose query is asked for a service.  As in the family, virtual users without a query of
 * their own are asked for as aliases, passwords as credentials, senders as address maps.
 * SERVICE__MAX: the table is not for this.
 */
enum table_service database_service(const struct database *db, enum table_service service);

/* -- what the file of a database is -- */

enum database_file {
	DATABASE_FILE_GOOD, /* or empty */
	DATABASE_FILE_WAL,  /* its journal is a write-ahead log */
	DATABASE_FILE_OTHER /* no SQLite database */
};
#define DATABASE_FILE_HEAD 20 /* octets that tell */
/* By its first octets, as far as it has any: https://www.sqlite.org/fileformat.html 1.3. */
enum database_file database_file_of(const uint8_t *head, size_t len);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_POSTGRES_H
#define LIB_CONF_POSTGRES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/database.h"

/*
 * The small configuration of a PostgreSQL table: what database.h says, and a
 * conninfo that is read here, for our programs can do less than libpq
 * could, and must not try: no files, no names, no Unix sockets.
 *
 *   conninfo hostaddr=192.0.2.5 port=5432 dbname=mail user=postern password='it''s'
 *
 * "key = value" pairs with blanks between them, in the quoting of libpq: a value
 * in '...' may have blanks, a backslash takes away the meaning of what follows.
 */
#define POSTGRES_VALUE_MAX 512 /* octets of one value */

/* clang-format off */
#define POSTGRES_WORDS(X) \
	/* word               it must be */ \
	X(hostaddr,           "a numeric address") \
	X(port,               "a number from 1 to 65535") \
	X(dbname,             NULL) \
	X(user,               NULL) \
	X(password,           NULL) \
	X(sslmode,            "disable, allow, prefer or require") \
	X(channel_binding,    "disable, prefer or require") \
	X(application_name,   NULL) \
	X(options,            NULL)
/* clang-format on */

struct postgres {
	struct database db; /* what to ask */
#define POSTGRES_MEMBER(word, what) char *word;
	POSTGRES_WORDS(POSTGRES_MEMBER) /* NULL: not given; never so for hostaddr and user */
#undef POSTGRES_MEMBER
	uint16_t port_number; /* 5432 unless given */
};

/* -1: EINVAL with *error filled, ENOMEM; *out is empty then. */
int postgres_parse(
    const char *text, size_t len, struct postgres *out, struct database_error *error) WARN_UNUSED;
void postgres_free(struct postgres *p); /* wipes the password */

#endif

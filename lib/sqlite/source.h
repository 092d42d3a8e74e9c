/* SPDX-License-Identifier: ISC */
#ifndef LIB_SQLITE_SOURCE_H
#define LIB_SQLITE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/service.h"

/*
 * A table in a SQLite database: a descriptor, opened for reading, and a small
 * configuration that says what to ask it (lib/conf/database.h).  SQLite runs without
 * opening a path, ever (vfs.h), and what others write is seen by the next question.
 *
 * Nothing in the files, whoever wrote them, is fatal: the answer is TROUBLE, and a
 * log line when trouble begins or changes, and when it is over.
 */
struct source;

enum source_answer {
	SOURCE_NONE,
	SOURCE_FOUND,
	SOURCE_BUSY,   /* somebody writes; ask again soon */
	SOURCE_TROUBLE /* it can't be said now; why was logged */
};

struct source_plan {
	int64_t question_ms; /* for one question; what takes longer is cut off */
	int64_t rest_ms;     /* after that it is not asked, for so long */
	int idle_fd; /* of struct reader: a writer is waited for as long as that; -1: BUSY at once */
};

/* NULL: ENOMEM.  Until both of its files are there it is in trouble. */
struct source *source_create(const char *name, const struct source_plan *plan) WARN_UNUSED;
void source_free(struct source *s); /* NULL is fine */
const char *source_name(const struct source *s);

/* The database; the small configuration.  In either order, and again; both take fd. */
void source_open(struct source *s, int fd);
void source_tell(struct source *s, int fd);

/*
 * One row: its columns with ":" between, or text NULL if all of them are.  Printable, but
 * for tabs, of at most READER_VALUE_MAX octets a column, and gone afterwards.  Of a
 * password the row is what is kept for the login, without the login.  False: enough.
 */
typedef bool (*source_row)(void *arg, const char *text, size_t len);
enum source_answer source_ask(struct source *s, enum table_service service, const char *key,
    source_row row, void *arg) WARN_UNUSED;
/* Whether the small configuration has a query of its own for a service. */
bool source_has_query(const struct source *s, enum table_service service);
/* Could a question for a service be asked?  FOUND, BUSY or TROUBLE. */
enum source_answer source_try(struct source *s, enum table_service service) WARN_UNUSED;
/* Is the text anywhere in the column where the values for a service come from? */
enum source_answer
source_has_text(struct source *s, enum table_service service, const char *text) WARN_UNUSED;

/* For who has waited long enough, or can't take a value: logged, and TROUBLE. */
enum source_answer source_locked(struct source *s, enum table_service service);
enum source_answer source_refuse(struct source *s, const char *key, const char *why);
/* Of the trouble that there is; "": none is known. */
const char *source_why(const struct source *s);

#endif

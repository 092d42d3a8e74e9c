/* SPDX-License-Identifier: ISC */
/*
 * A table in a SQLite database: one prepared statement a query, one question at
 * a time.
 *
 * Invariant: a question has one answer, soon, whatever the query and the database
 * say (reader.c), and leaves no lock behind.  A value with a control character
 * in it leaves here only escaped, in a log line.  Nothing is fatal.
 */
#include "lib/sqlite/source.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/database.h"
#include "lib/sqlite/reader.h"
#include "lib/sqlite/vfs.h"

#define WHY_MAX	     160
#define COLUMNS_MAX  3
#define VALUE_LOG_MS 1000 /* between two log lines about single values */
#define FILES	     SERVICE__MAX

struct source {
	char *name;
	struct source_plan plan;
	struct reader reader;		   /* closed: not there yet, or it could not be had */
	struct database what;		   /* empty: not told yet, or it was wrong */
	sqlite3_stmt *stmts[SERVICE__MAX]; /* by whose query it is; NULL: not prepared */
	struct buf joined;		   /* the columns of a row */
	/* Of the trouble that was logged, by service, and of the files; "": there is none. */
	char why[SERVICE__MAX + 1][WHY_MAX];
	enum table_service last; /* whose trouble was met last */
	int64_t rests_until_ms, value_logged_ms;
};

/* -- trouble is logged when it begins or changes, not with every question -- */

static enum source_answer
trouble(struct source *s, enum table_service service, const char *why, const char *hint)
{
	bool said = strncmp(s->why[service], why, WHY_MAX - 1) == 0 ||
		    strncmp(s->why[FILES], why, WHY_MAX - 1) == 0;
	struct logline l;

	s->last = service;
	str_cut(s->why[service], WHY_MAX, why);
	if (said)
		return SOURCE_TROUBLE;
	logline_start(&l, LOG_LEVEL_WARN, "table-trouble");
	logline_str(&l, "table", s->name);
	if (service != FILES)
		logline_str(&l, "service", service_word(service));
	logline_str(&l, "why", why);
	if (hint != NULL)
		logline_str(&l, "hint", hint);
	logline_end(&l);
	return SOURCE_TROUBLE;
}

static void
trouble_is_over(struct source *s, enum table_service service)
{
	struct logline l;

	s->why[FILES][0] = '\0';
	if (s->why[service][0] == '\0')
		return;
	s->why[service][0] = '\0';
	logline_start(&l, LOG_LEVEL_INFO, "table-works");
	logline_str(&l, "table", s->name);
	logline_str(&l, "service", service_word(service));
	logline_end(&l);
}

const char *
source_why(const struct source *s)
{
	return s->why[s->last];
}

static enum source_answer
trouble_wal(struct source *s, enum table_service service)
{
	return trouble(s, service, "the database is in WAL mode, which needs files beside it",
	    "sqlite3 FILE 'PRAGMA journal_mode=DELETE'");
}

enum source_answer
source_locked(struct source *s, enum table_service service)
{
	return trouble(s, service, "somebody else keeps the database locked", NULL);
}

static enum source_answer
trouble_sqlite(struct source *s, enum table_service service, int code)
{
	char why[WHY_MAX];

	/* What was read may be put right without SQLite's noticing it: nothing of it is kept. */
	(void)sqlite3_db_release_memory(s->reader.db);
	if (database_file_kind(s->reader.fd) == DATABASE_FILE_WAL)
		return trouble_wal(s, service);
	if ((code & 0xff) == SQLITE_BUSY)
		return s->plan.idle_fd == -1 ? SOURCE_BUSY : source_locked(s, service);
	if ((code & 0xff) == SQLITE_INTERRUPT) {
		s->rests_until_ms = time_mono_ms() + s->plan.rest_ms;
		return trouble(s, service, "the query takes too long", NULL);
	}
	str_cut(why, sizeof(why), sqlite3_errmsg(s->reader.db));
	return trouble(s, service, why, NULL);
}

/* One value is wrong, of a table that works: said now and then. */
enum source_answer
source_refuse(struct source *s, const char *key, const char *why)
{
	int64_t now_ms = time_mono_ms();
	struct logline l;

	if (s->value_logged_ms != 0 && now_ms - s->value_logged_ms < VALUE_LOG_MS)
		return SOURCE_TROUBLE;
	s->value_logged_ms = now_ms;
	logline_start(&l, LOG_LEVEL_WARN, "table-value-refused");
	logline_str(&l, "table", s->name);
	logline_str(&l, "key", key);
	logline_str(&l, "why", why);
	logline_end(&l);
	return SOURCE_TROUBLE;
}

/* -- the database -- */

static void
forget_statements(struct source *s)
{
	size_t i;

	for (i = 0; i < SERVICE__MAX; i++) {
		(void)sqlite3_finalize(s->stmts[i]);
		s->stmts[i] = NULL;
	}
}

static void
begin_again(struct source *s)
{
	forget_statements(s);
	memset(s->why, 0, sizeof(s->why));
	s->rests_until_ms = 0;
}

void
source_open(struct source *s, int fd)
{
	enum database_file kind = database_file_kind(fd);

	if (s->reader.db != NULL && kind != DATABASE_FILE_GOOD) {
		(void)trouble(
		    s, FILES, "the new file is no database, or in WAL mode", "the old one stays");
		(void)close(fd);
		return;
	}
	begin_again(s);
	reader_close(&s->reader);
	s->reader.deadline_ms = time_mono_ms() + s->plan.question_ms;
	if (reader_open(&s->reader, fd) == -1) {
		(void)trouble(s, FILES, "the database can't be opened", NULL);
		return;
	}
	switch (kind) {
	case DATABASE_FILE_WAL:
		(void)trouble_wal(s, FILES);
		break;
	case DATABASE_FILE_OTHER:
		(void)trouble(s, FILES, "this is not a SQLite database", NULL);
		break;
	case DATABASE_FILE_GOOD:
		break;
	}
}

/* -- what to ask -- */

void
source_tell(struct source *s, int fd)
{
	char text[DATABASE_TEXT_MAX + 1], why[WHY_MAX];
	ssize_t len = pread(fd, text, sizeof(text), 0);
	struct database_error error;

	(void)close(fd);
	begin_again(s);
	database_free(&s->what);
	if (len == -1)
		(void)snprintf(why, sizeof(why), "%s", strerror(errno));
	else if (database_parse(DATABASE_SQLITE, text, (size_t)len, &s->what, &error) == 0)
		return;
	else if (errno != EINVAL)
		(void)snprintf(why, sizeof(why), "%s", strerror(errno));
	else if (error.line == 0)
		str_cut(why, sizeof(why), error.text);
	else
		(void)snprintf(why, sizeof(why), "line %u: %.120s", error.line, error.text);
	(void)trouble(s, FILES, why, NULL);
}

/* How many columns an answer to a service has, and from which on they are the value. */
struct shape {
	int few, many, first;
	const char *text;
};

static const struct shape *
shape_of(enum table_service service)
{
	static const struct shape pair = {2, 2, 1, "two columns"};
	static const struct shape user = {1, COLUMNS_MAX, 0, "one column, or uid, gid and home"};
	static const struct shape plain = {1, 1, 0, "one column"};

	if (service == SERVICE_AUTH || service == SERVICE_CREDENTIALS)
		return &pair;
	return service == SERVICE_USERINFO ? &user : &plain;
}

static bool
is_rest_blank(const char *s)
{
	return s[strspn(s, " \t;")] == '\0';
}

static bool
is_of_shape(sqlite3_stmt *stmt, const char *rest, const struct shape *shape)
{
	int columns;

	if (stmt == NULL || !is_rest_blank(rest) || !sqlite3_stmt_readonly(stmt) ||
	    sqlite3_bind_parameter_count(stmt) != 1)
		return false;
	columns = sqlite3_column_count(stmt);
	return columns == shape->few || columns == shape->many;
}

/* FOUND with the statement ready to be stepped. */
static enum source_answer
source_prepare(struct source *s, enum table_service service, sqlite3_stmt **stmt)
{
	enum table_service whose = database_service(&s->what, service);
	char why[WHY_MAX];
	int64_t now_ms = time_mono_ms();
	const char *rest;
	int code;

	if (s->reader.db == NULL || s->what.place == NULL)
		return trouble(
		    s, service, s->why[FILES][0] != '\0' ? s->why[FILES] : "not there", NULL);
	if (whose == SERVICE__MAX) {
		(void)snprintf(why, sizeof(why), "there is no query_%s", service_word(service));
		return trouble(s, service, why, NULL);
	}
	if (now_ms < s->rests_until_ms)
		return SOURCE_TROUBLE;
	s->reader.deadline_ms = now_ms + s->plan.question_ms;
	if ((*stmt = s->stmts[whose]) != NULL)
		return SOURCE_FOUND;
	code = sqlite3_prepare_v3(
	    s->reader.db, s->what.queries[whose], -1, SQLITE_PREPARE_PERSISTENT, stmt, &rest);
	if (code != SQLITE_OK)
		return trouble_sqlite(s, service, code);
	if (is_of_shape(*stmt, rest, shape_of(whose))) {
		s->stmts[whose] = *stmt;
		return SOURCE_FOUND;
	}
	(void)sqlite3_finalize(*stmt);
	(void)snprintf(why, sizeof(why), "query_%s must be one query with one parameter and %s",
	    service_word(whose), shape_of(whose)->text);
	return trouble(s, service, why, NULL);
}

/* -- rows -- */

enum taken { TAKEN, TAKEN_LAST, TAKEN_BAD, TAKEN_NO_MEMORY };

static bool
has_control(const unsigned char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return true;
	return false;
}

static enum taken
add_column(struct source *s, sqlite3_stmt *stmt, int column, bool *is_null)
{
	const unsigned char *text;
	size_t len;

	if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
		return TAKEN;
	*is_null = false;
	if ((text = sqlite3_column_text(stmt, column)) == NULL)
		return TAKEN_NO_MEMORY;
	len = (size_t)sqlite3_column_bytes(stmt, column);
	if (has_control(text, len))
		return TAKEN_BAD;
	return buf_append(&s->joined, text, len) == -1 ? TAKEN_NO_MEMORY : TAKEN;
}

struct asking {
	source_row row;
	void *arg;
	bool found;
};

static enum taken
take_row(struct source *s, sqlite3_stmt *stmt, int first, struct asking *a)
{
	int column, n = sqlite3_column_count(stmt);
	enum taken taken = TAKEN;
	bool is_null = true;

	for (column = first; column < n && taken == TAKEN; column++) {
		if (column > first && buf_append(&s->joined, ":", 1) == -1)
			return TAKEN_NO_MEMORY;
		taken = add_column(s, stmt, column, &is_null);
	}
	if (taken != TAKEN)
		return taken;
	a->found |= !is_null;
	if (is_null)
		return a->row(a->arg, NULL, 0) ? TAKEN : TAKEN_LAST;
	if (buf_append(&s->joined, "", 1) == -1)
		return TAKEN_NO_MEMORY;
	return a->row(a->arg, (const char *)buf_head(&s->joined), s->joined.len - 1) ? TAKEN
										     : TAKEN_LAST;
}

static int
take_rows(struct source *s, sqlite3_stmt *stmt, int first, struct asking *a, enum taken *taken)
{
	int code;

	*taken = TAKEN;
	while (*taken == TAKEN && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		*taken = take_row(s, stmt, first, a);
		buf_consume(&s->joined, s->joined.len);
	}
	return *taken == TAKEN ? code : SQLITE_ROW;
}

static enum source_answer
judge(struct source *s, enum table_service service, const char *key, int code, enum taken taken)
{
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return trouble_sqlite(s, service, code);
	if (taken == TAKEN_NO_MEMORY)
		return trouble(s, service, "out of memory", NULL);
	trouble_is_over(s, service);
	if (taken == TAKEN_BAD)
		return source_refuse(s, key, "a value has a control character");
	return SOURCE_FOUND;
}

enum source_answer
source_ask(struct source *s, enum table_service service, const char *key, source_row row, void *arg)
{
	struct asking a = {row, arg, false};
	enum source_answer answer;
	enum taken taken = TAKEN;
	sqlite3_stmt *stmt;
	int code;

	if ((answer = source_prepare(s, service, &stmt)) != SOURCE_FOUND)
		return answer;
	code = sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = take_rows(
		    s, stmt, shape_of(database_service(&s->what, service))->first, &a, &taken);
	answer = judge(s, service, key, code, taken);
	/* Releases the lock, too. */
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return answer == SOURCE_FOUND && !a.found ? SOURCE_NONE : answer;
}

bool
source_has_query(const struct source *s, enum table_service service)
{
	return s->what.queries[service] != NULL;
}

enum source_answer
source_try(struct source *s, enum table_service service)
{
	sqlite3_stmt *stmt;

	return source_prepare(s, service, &stmt);
}

/* A computed value comes from no column. */
enum source_answer
source_has_text(struct source *s, enum table_service service, const char *text)
{
	sqlite3_stmt *asked, *stmt = NULL;
	const char *table, *column;
	enum source_answer answer;
	char *sql;
	int code, first;

	if ((answer = source_prepare(s, service, &asked)) != SOURCE_FOUND)
		return answer;
	first = shape_of(database_service(&s->what, service))->first;
	table = sqlite3_column_table_name(asked, first);
	column = sqlite3_column_origin_name(asked, first);
	if (table == NULL || column == NULL)
		return SOURCE_NONE;
	sql = sqlite3_mprintf(
	    "SELECT 1 FROM main.\"%w\" WHERE instr(\"%w\", ?) LIMIT 1", table, column);
	if (sql == NULL)
		return trouble(s, service, "out of memory", NULL);
	code = sqlite3_prepare_v2(s->reader.db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW || code == SQLITE_DONE)
		answer = code == SQLITE_ROW ? SOURCE_FOUND : SOURCE_NONE;
	else
		answer = trouble_sqlite(s, service, code);
	(void)sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return answer;
}

/* -- life -- */

struct source *
source_create(const char *name, const struct source_plan *plan)
{
	struct source *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	if ((s->name = strdup(name)) == NULL) {
		free(s);
		return NULL;
	}
	s->plan = *plan;
	s->reader.fd = -1;
	s->reader.idle_fd = plan->idle_fd;
	s->last = FILES;
	buf_init(&s->joined, COLUMNS_MAX * (READER_VALUE_MAX + 1));
	return s;
}

void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	forget_statements(s);
	reader_close(&s->reader);
	database_free(&s->what);
	buf_free(&s->joined);
	free(s->name);
	free(s);
}

const char *
source_name(const struct source *s)
{
	return s->name;
}

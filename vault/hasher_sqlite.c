/* SPDX-License-Identifier: ISC */
/*
 * SQLite tables of smtpd-hasher: one prepared statement a table, one question at
 * a time.
 *
 * Invariant: a question has one answer, soon, whatever the query and the database
 * say (vault/hasher_db.c), and leaves no lock behind.  Nothing is fatal.
 */
#include "vault/hasher_sqlite.h"

#include <sys/epoll.h>
#include <sys/queue.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/database.h"
#include "vault/hasher_db.h"
#include "vault/hasher_vfs.h"

#define TABLES_MAX  256
#define QUESTION_MS 1500	 /* for one question, waiting for a writer included */
#define HEAP_MAX    (32LL << 20) /* octets of all of SQLite */
#define CONF_SUFFIX "#conf"

struct table { /* owned by the list in struct hasher_sqlite */
	TAILQ_ENTRY(table) entry;
	struct hasher_sqlite *owner;
	char name[IPC_WORD_MAX + 1];
	char *query;	     /* NULL: not told yet, or it was wrong */
	struct hasher_db db; /* closed: not there yet, or it could not be had */
	sqlite3_stmt *stmt;  /* NULL: not prepared */
	char last_why[128];  /* of the trouble that was logged; "": there is none */
};

TAILQ_HEAD(tables, table);

struct hasher_sqlite {
	struct tables tables;
	size_t ntables;
	int idle_fd; /* an epoll descriptor that watches nothing: waiting on it is sleeping */
};

/* -- trouble is logged when it begins or changes, not with every question -- */

static enum ipc_outcome
trouble(struct table *t, const char *why, const char *hint)
{
	struct logline l;

	if (strncmp(t->last_why, why, sizeof(t->last_why) - 1) == 0)
		return IPC_RETRY;
	str_cut(t->last_why, sizeof(t->last_why), why);
	logline_start(&l, LOG_LEVEL_WARN, "table-trouble");
	logline_str(&l, "table", t->name);
	logline_str(&l, "why", why);
	if (hint != NULL)
		logline_str(&l, "hint", hint);
	logline_end(&l);
	return IPC_RETRY;
}

static enum ipc_outcome
trouble_wal(struct table *t)
{
	return trouble(t, "the database is in WAL mode, which needs files beside it",
	    "sqlite3 FILE 'PRAGMA journal_mode=DELETE'");
}

static enum ipc_outcome
trouble_sqlite(struct table *t, int code)
{
	char why[sizeof(t->last_why)];

	/* What was read may be put right without SQLite's noticing it: nothing of it is kept. */
	(void)sqlite3_db_release_memory(t->db.db);
	if (database_file_kind(t->db.fd) == DATABASE_FILE_WAL)
		return trouble_wal(t);
	if ((code & 0xff) == SQLITE_BUSY)
		return trouble(t, "somebody else keeps the database locked", NULL);
	if ((code & 0xff) == SQLITE_INTERRUPT)
		return trouble(t, "the query takes too long", NULL);
	str_cut(why, sizeof(why), sqlite3_errmsg(t->db.db));
	return trouble(t, why, NULL);
}

/* -- the database -- */

static void
table_close(struct table *t)
{
	(void)sqlite3_finalize(t->stmt);
	t->stmt = NULL;
	hasher_db_close(&t->db);
}

/* Takes fd. */
static void
table_open(struct table *t, int fd)
{
	table_close(t);
	t->last_why[0] = '\0';
	t->db.deadline_ms = time_mono_ms() + QUESTION_MS;
	if (hasher_db_open(&t->db, fd) == -1) {
		(void)trouble(t, "the database can't be opened", NULL);
		return;
	}
	switch (database_file_kind(fd)) {
	case DATABASE_FILE_WAL:
		(void)trouble_wal(t);
		break;
	case DATABASE_FILE_OTHER:
		(void)trouble(t, "this is not a SQLite database", NULL);
		break;
	case DATABASE_FILE_GOOD:
		break;
	}
}

/* -- what to ask -- */

/* Takes fd. */
static void
table_tell(struct table *t, int fd)
{
	char text[DATABASE_TEXT_MAX + 1], why[sizeof(t->last_why)];
	struct database_error error;
	struct database conf;
	ssize_t len = pread(fd, text, sizeof(text), 0);

	(void)close(fd);
	(void)sqlite3_finalize(t->stmt);
	t->stmt = NULL;
	free(t->query);
	t->query = NULL;
	t->last_why[0] = '\0';
	if (len == -1) {
		(void)trouble(t, "its configuration can't be read", NULL);
		return;
	}
	if (database_parse(text, (size_t)len, &conf, &error) == -1) {
		(void)snprintf(why, sizeof(why), "line %u of its configuration: %.90s", error.line,
		    error.text);
		(void)trouble(t, why, NULL);
		return;
	}
	t->query = conf.query_credentials;
	conf.query_credentials = NULL;
	database_free(&conf);
}

static bool
is_rest_blank(const char *s)
{
	return s[strspn(s, " \t;")] == '\0';
}

/* IPC_OK with t->stmt ready to be stepped. */
static enum ipc_outcome
table_prepare(struct table *t)
{
	const char *rest;
	int code;

	if (t->db.db == NULL || t->query == NULL)
		return trouble(t, t->last_why[0] != '\0' ? t->last_why : "not there", NULL);
	if (t->stmt != NULL)
		return IPC_OK;
	code = sqlite3_prepare_v3(
	    t->db.db, t->query, -1, SQLITE_PREPARE_PERSISTENT, &t->stmt, &rest);
	if (code != SQLITE_OK)
		return trouble_sqlite(t, code);
	if (t->stmt != NULL && is_rest_blank(rest) && sqlite3_stmt_readonly(t->stmt) &&
	    sqlite3_bind_parameter_count(t->stmt) == 1 && sqlite3_column_count(t->stmt) == 2)
		return IPC_OK;
	(void)sqlite3_finalize(t->stmt);
	t->stmt = NULL;
	return trouble(t, "query_credentials must be one query with one '?' and two columns", NULL);
}

static enum ipc_outcome
take_value(struct table *t, char value[IPC_SECRET_MAX + 1])
{
	const unsigned char *text;
	size_t len;

	if (sqlite3_column_type(t->stmt, 1) == SQLITE_NULL)
		return IPC_GONE;
	if ((text = sqlite3_column_text(t->stmt, 1)) == NULL)
		return trouble(t, "out of memory", NULL);
	len = (size_t)sqlite3_column_bytes(t->stmt, 1);
	if (len > IPC_SECRET_MAX || memchr(text, '\0', len) != NULL)
		return trouble(t, "a value is too long, or has a NUL octet", NULL);
	memcpy(value, text, len);
	value[len] = '\0';
	return len == 0 ? IPC_GONE : IPC_OK;
}

static enum ipc_outcome
ask(struct table *t, const char *key, char value[IPC_SECRET_MAX + 1])
{
	enum ipc_outcome found;
	int code;

	if ((found = table_prepare(t)) != IPC_OK)
		return found;
	code = sqlite3_bind_text(t->stmt, 1, key, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(t->stmt);
	if (code == SQLITE_ROW)
		found = take_value(t, value);
	else if (code == SQLITE_DONE)
		found = IPC_GONE;
	else
		found = trouble_sqlite(t, code);
	/* Releases the lock, too. */
	(void)sqlite3_reset(t->stmt);
	(void)sqlite3_clear_bindings(t->stmt);
	if (found != IPC_RETRY)
		t->last_why[0] = '\0';
	return found;
}

/* The column that the values come from, looked through; a computed value has none. */
static enum ipc_outcome
look_for_scram(struct table *t)
{
	const char *table, *column;
	enum ipc_outcome found;
	sqlite3_stmt *stmt = NULL;
	char *sql;
	int code;

	if ((found = table_prepare(t)) != IPC_OK)
		return found;
	table = sqlite3_column_table_name(t->stmt, 1);
	column = sqlite3_column_origin_name(t->stmt, 1);
	if (table == NULL || column == NULL)
		return IPC_GONE;
	sql = sqlite3_mprintf(
	    "SELECT 1 FROM main.\"%w\" WHERE instr(\"%w\", 'SCRAM-SHA-256$') LIMIT 1", table,
	    column);
	if (sql == NULL)
		return trouble(t, "out of memory", NULL);
	if ((code = sqlite3_prepare_v2(t->db.db, sql, -1, &stmt, NULL)) == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		found = IPC_OK;
	else
		found = code == SQLITE_DONE ? IPC_GONE : trouble_sqlite(t, code);
	(void)sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return found;
}

/* -- all tables -- */

static struct table *
table_find(struct hasher_sqlite *h, const char *name, size_t len)
{
	struct table *t;

	TAILQ_FOREACH (t, &h->tables, entry)
		if (strlen(t->name) == len && memcmp(t->name, name, len) == 0)
			return t;
	return NULL;
}

static struct table *
table_add(struct hasher_sqlite *h, const char *name, size_t len)
{
	struct table *t;

	if (len >= sizeof(t->name) || h->ntables >= TABLES_MAX ||
	    (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	memcpy(t->name, name, len);
	t->owner = h;
	t->db.fd = -1;
	t->db.idle_fd = h->idle_fd;
	TAILQ_INSERT_TAIL(&h->tables, t, entry);
	h->ntables++;
	return t;
}

static void
table_free(struct table *t)
{
	table_close(t);
	TAILQ_REMOVE(&t->owner->tables, t, entry);
	t->owner->ntables--;
	free(t->query);
	free(t);
}

struct hasher_sqlite *
hasher_sqlite_create(void)
{
	struct hasher_sqlite *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	TAILQ_INIT(&h->tables);
	if ((h->idle_fd = epoll_create1(EPOLL_CLOEXEC)) == -1) {
		free(h);
		return NULL;
	}
	if (vfs_install() == -1) {
		(void)close(h->idle_fd);
		free(h);
		return NULL;
	}
	(void)sqlite3_hard_heap_limit64(HEAP_MAX);
	return h;
}

void
hasher_sqlite_free(struct hasher_sqlite *h)
{
	struct table *t;

	if (h == NULL)
		return;
	while ((t = TAILQ_FIRST(&h->tables)) != NULL)
		table_free(t);
	(void)close(h->idle_fd);
	free(h);
}

void
hasher_sqlite_file(struct hasher_sqlite *h, const char *name, int fd)
{
	size_t len = strcspn(name, "#");
	bool is_conf = strcmp(name + len, CONF_SUFFIX) == 0;
	struct table *t = table_find(h, name, len);

	if ((name[len] != '\0' && !is_conf) ||
	    (t == NULL && (t = table_add(h, name, len)) == NULL)) {
		(void)close(fd);
		return;
	}
	if (is_conf)
		table_tell(t, fd);
	else
		table_open(t, fd);
}

void
hasher_sqlite_configure(struct hasher_sqlite *h, const struct conf *conf)
{
	const struct conf_table *ct;
	struct table *t, *next;

	for (t = TAILQ_FIRST(&h->tables); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		ct = conf_table_find(conf, t->name);
		if (ct == NULL || ct->kind != CONF_TABLE_SQLITE)
			table_free(t);
	}
}

enum ipc_outcome
hasher_sqlite_find(
    struct hasher_sqlite *h, const char *table, const char *key, char value[IPC_SECRET_MAX + 1])
{
	struct table *t = table_find(h, table, strlen(table));

	value[0] = '\0';
	if (t == NULL)
		return IPC_RETRY;
	t->db.deadline_ms = time_mono_ms() + QUESTION_MS;
	return ask(t, key, value);
}

enum ipc_outcome
hasher_sqlite_scram(struct hasher_sqlite *h, const char *table)
{
	struct table *t = table_find(h, table, strlen(table));

	if (t == NULL)
		return IPC_RETRY;
	t->db.deadline_ms = time_mono_ms() + QUESTION_MS;
	return look_for_scram(t);
}

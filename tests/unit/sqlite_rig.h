/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SQLITE_RIG_H
#define TESTS_UNIT_SQLITE_RIG_H

/*
 * A database in a directory of its own, its small configuration, and a hasher's
 * tables.  What writes is another process: ours has given SQLite other system calls.
 */
#include "lib/conf/service.h"
#include "vault/hasher_sqlite.h"

#include "tests/unit/database_rig.h"

#define QUERY  "SELECT login, value FROM users WHERE login=?"
#define SCHEMA "CREATE TABLE users(login TEXT PRIMARY KEY, value TEXT); "

struct rig {
	char dir[32], db[64], conf[64];
	struct hasher_sqlite *h;
	size_t descriptors;
};

/* As another process would: ours has given SQLite other system calls. */
static UNUSED void
run_sql(const struct rig *r, const char *sql)
{
	database_run(r->db, sql);
}

static UNUSED pid_t
hold_lock(const struct rig *r, int *go_on)
{
	return database_lock(r->db, "UPDATE users SET value='new'", go_on);
}

static UNUSED void
give(struct rig *r, const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	hasher_sqlite_file(r->h, name, fd);
}

static UNUSED void
give_query(struct rig *r, const char *query)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "dbpath %s\nquery_credentials %s\n", r->db, query);
	write_file(r->conf, text, strlen(text));
	give(r, "t#conf", r->conf);
}

static UNUSED int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	log_set_sink(keep_line, NULL);
	last_line[0] = '\0';
	nlines = 0;
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/sqlite-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->db, sizeof(r->db), "%s/users.db", r->dir);
	(void)snprintf(r->conf, sizeof(r->conf), "%s/sqlite.conf", r->dir);
	r->h = hasher_sqlite_create();
	assert_non_null(r->h);
	r->descriptors = count_descriptors();
	*state = r;
	return 0;
}

static UNUSED int
tear_down(void **state)
{
	struct rig *r = *state;
	char path[128];

	hasher_sqlite_free(r->h);
	(void)unlink(r->db);
	(void)unlink(r->conf);
	(void)snprintf(path, sizeof(path), "%s-wal", r->db);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s-shm", r->db);
	(void)unlink(path);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

static UNUSED void
give_users(struct rig *r)
{
	run_sql(r, SCHEMA "INSERT INTO users VALUES('demo','$y$hash'),('none',NULL),('empty','')");
	give(r, "t", r->db);
	give_query(r, QUERY);
}

static UNUSED enum ipc_outcome
find_auth(struct rig *r, const char *key, char value[IPC_SECRET_MAX + 1])
{
	const struct msg_find m = {.table = "t", .service = SERVICE_AUTH, .key = key};

	return hasher_sqlite_find(r->h, &m, value);
}

static UNUSED void
assert_found(struct rig *r, const char *key, enum ipc_outcome outcome, const char *value)
{
	char got[IPC_SECRET_MAX + 1];
	enum ipc_outcome found = find_auth(r, key, got);

	if (found != outcome)
		fail_msg("%s: %d, not %d; %s", key, found, outcome, last_line);
	if (outcome == IPC_OK)
		assert_string_equal(got, value);
}

#endif

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SQLITE_RIG_H
#define TESTS_UNIT_SQLITE_RIG_H

/*
 * A database in a directory of its own, its small configuration, and a hasher's
 * tables.  What writes is another process: ours has given SQLite other system calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "vault/hasher_sqlite.h"

#define UNUSED __attribute__((unused))
#define QUERY  "SELECT login, value FROM users WHERE login=?"
#define SCHEMA "CREATE TABLE users(login TEXT PRIMARY KEY, value TEXT); "

struct rig {
	char dir[32], db[64], conf[64];
	struct hasher_sqlite *h;
	size_t descriptors;
};

static char last_line[LOG_LINE_MAX];
static unsigned int nlines;

static UNUSED void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	nlines++;
	str_cut(last_line, sizeof(last_line), line);
}

static UNUSED size_t
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

/* As another process would: ours has given SQLite other system calls. */
static UNUSED void
run_sql(const struct rig *r, const char *sql)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
	sqlite3 *db;
	pid_t pid;
	int status;

	if ((pid = fork()) == 0) {
		(void)vfs->xSetSystemCall(vfs, NULL, NULL);
		status = sqlite3_open(r->db, &db) != SQLITE_OK ||
			 sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK;
		if (status != 0)
			(void)fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
		(void)sqlite3_close(db);
		_exit(status);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A writer that holds its lock until it is told to go on. */
static UNUSED pid_t
hold_lock(const struct rig *r, int *go_on)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
	int ready[2], go[2];
	sqlite3 *db;
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		(void)close(go[1]);
		(void)vfs->xSetSystemCall(vfs, NULL, NULL);
		if (sqlite3_open(r->db, &db) != SQLITE_OK ||
		    sqlite3_exec(db, "BEGIN EXCLUSIVE; UPDATE users SET value='new'", NULL, NULL,
			NULL) != SQLITE_OK)
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(go[0], &c, 1);
		_exit(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK);
	}
	assert_true(pid > 0);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(go[0]);
	*go_on = go[1];
	return pid;
}

static UNUSED void
write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
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

static UNUSED void
assert_found(struct rig *r, const char *key, enum ipc_outcome outcome, const char *value)
{
	char got[IPC_SECRET_MAX + 1];
	enum ipc_outcome found = hasher_sqlite_find(r->h, "t", key, got);

	if (found != outcome)
		fail_msg("%s: %d, not %d; %s", key, found, outcome, last_line);
	if (outcome == IPC_OK)
		assert_string_equal(got, value);
}

static UNUSED void
assert_logged(const char *what)
{
	if (strstr(last_line, what) == NULL)
		fail_msg("the log says: %s", last_line);
}

#endif

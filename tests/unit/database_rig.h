/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_DATABASE_RIG_H
#define TESTS_UNIT_DATABASE_RIG_H

/*
 * A SQLite database that another process writes, and what is logged of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
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

#define UNUSED __attribute__((unused))

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

/* Another process: ours has given SQLite other system calls. */
static UNUSED void
database_run(const char *path, const char *sql)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
	sqlite3 *db;
	pid_t pid;
	int status;

	if ((pid = fork()) == 0) {
		(void)vfs->xSetSystemCall(vfs, NULL, NULL);
		status = sqlite3_open(path, &db) != SQLITE_OK ||
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

/* A writer that did sql, and holds its lock until it is told to go on. */
static UNUSED pid_t
database_lock(const char *path, const char *sql, int *go_on)
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
		if (sqlite3_open(path, &db) != SQLITE_OK ||
		    sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK ||
		    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
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
assert_logged(const char *what)
{
	if (strstr(last_line, what) == NULL)
		fail_msg("the log says: %s", last_line);
}

#endif

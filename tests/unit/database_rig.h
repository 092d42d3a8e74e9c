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

/* -- a database with octets changed here and there, the same each time -- */

struct damage {
	uint8_t good[65536], bad[65536];
	size_t len; /* of good */
	uint32_t x;
};

static UNUSED void
damage_read(struct damage *d, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, d->good, sizeof(d->good));

	assert_in_range(n, 10000, sizeof(d->good) - 1);
	assert_int_equal(close(fd), 0);
	d->len = (size_t)n;
	d->x = 2463534242U;
}

static UNUSED void
damage_write(struct damage *d, const char *path, int round)
{
	int i;

	memcpy(d->bad, d->good, sizeof(d->bad));
	for (i = 0; i < 1 + round % 20; i++) {
		d->x ^= d->x << 13;
		d->x ^= d->x >> 17;
		d->x ^= d->x << 5;
		d->bad[d->x % (round % 2 ? 1024 : d->len)] = (uint8_t)(d->x >> 24);
	}
	d->bad[18] = d->bad[19] = 1; /* no WAL, or it would be refused for that */
	write_file(path, d->bad, d->len - (round % 5 == 0 ? d->x % 512 : 0));
}

#endif

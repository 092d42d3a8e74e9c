/* SPDX-License-Identifier: ISC */
/*
 * A connection to a SQLite database that can't do harm.
 *
 * Invariant: its statements read and do nothing else, in bounded time and
 * memory, whatever the query and the file say: the authorizer, the limits,
 * the progress handler and the busy handler see to that.
 */
#include "lib/sqlite/reader.h"

#include <sys/epoll.h>

#include <unistd.h>

#include "lib/base/time.h"
#include "lib/sqlite/vfs.h"

#define BUSY_WAIT_MS 10	  /* between two looks at a database that is being written */
#define PROGRESS_OPS 4096 /* steps of SQLite's machine between two looks at the clock */

static int
on_busy(void *arg, int tries)
{
	const struct reader *r = arg;
	struct epoll_event none;

	(void)tries;
	if (r->idle_fd == -1 || time_mono_ms() >= r->deadline_ms)
		return 0;
	(void)epoll_wait(r->idle_fd, &none, 1, BUSY_WAIT_MS);
	return 1;
}

static int
on_progress(void *arg)
{
	const struct reader *r = arg;

	return time_mono_ms() >= r->deadline_ms;
}

/* Of all that SQL can do, a query may read. */
static int
on_authorize(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static const struct {
	int id, value;
} limits[] = {
    {SQLITE_LIMIT_LENGTH, READER_VALUE_MAX},
    {SQLITE_LIMIT_SQL_LENGTH, 65536}, /* the schema's statements, too */
    {SQLITE_LIMIT_EXPR_DEPTH, 100},
    {SQLITE_LIMIT_COMPOUND_SELECT, 20},
    {SQLITE_LIMIT_VDBE_OP, 25000},
    {SQLITE_LIMIT_FUNCTION_ARG, 16},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 1},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
};

static const struct {
	int option, value;
} options[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},	 /* no writing by way of the schema or shadow tables */
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, /* no function with side effects out of the file */
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
};

static int
harden(sqlite3 *db)
{
	size_t i;
	int code;

	for (i = 0; i < NITEMS(limits); i++)
		(void)sqlite3_limit(db, limits[i].id, limits[i].value);
	for (i = 0; i < NITEMS(options); i++)
		if ((code = sqlite3_db_config(
			 db, options[i].option, options[i].value, (int *)NULL)) != SQLITE_OK)
			return code;
	/* No virtual tables: their code would read what a stranger wrote. */
	if ((code = sqlite3_drop_modules(db, NULL)) != SQLITE_OK)
		return code;
	return sqlite3_exec(db,
	    "PRAGMA query_only=1; PRAGMA cell_size_check=1; PRAGMA mmap_size=0; "
	    "PRAGMA temp_store=2;",
	    NULL, NULL, NULL);
}

int
reader_install(int64_t heap_max)
{
	if (vfs_install() == -1)
		return -1;
	(void)sqlite3_hard_heap_limit64(heap_max);
	return 0;
}

int
reader_open(struct reader *r, int fd)
{
	char path[VFS_PATH_MAX];
	int code;

	r->fd = fd;
	vfs_path(path, fd);
	code = sqlite3_open_v2(path, &r->db,
	    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
		SQLITE_OPEN_EXRESCODE,
	    "unix");
	if (code != SQLITE_OK) {
		if ((code & 0xff) == SQLITE_CANTOPEN) /* else SQLite took fd, and closed it */
			(void)close(fd);
		reader_close(r);
		return -1;
	}
	(void)sqlite3_busy_handler(r->db, on_busy, r);
	sqlite3_progress_handler(r->db, PROGRESS_OPS, on_progress, r);
	if (harden(r->db) != SQLITE_OK ||
	    sqlite3_set_authorizer(r->db, on_authorize, NULL) != SQLITE_OK) {
		reader_close(r);
		return -1;
	}
	return 0;
}

void
reader_close(struct reader *r)
{
	(void)sqlite3_close(r->db);
	r->db = NULL;
	r->fd = -1;
}

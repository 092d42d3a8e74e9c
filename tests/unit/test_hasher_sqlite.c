/* SPDX-License-Identifier: ISC */
/*
 * SQLite tables by descriptor: live changes, writers, WAL, bad queries, hostile
 * files; and under a filter that lets nothing but the calls through that it is
 * said to need.  What writes is another process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/role/calls.h"
#include "vault/hasher_sqlite.h"

#define QUERY  "SELECT login, value FROM users WHERE login=?"
#define SCHEMA "CREATE TABLE users(login TEXT PRIMARY KEY, value TEXT); "

struct rig {
	char dir[32], db[64], conf[64];
	struct hasher_sqlite *h;
	size_t descriptors;
};

static char last_line[LOG_LINE_MAX];
static unsigned int nlines;

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	nlines++;
	str_cut(last_line, sizeof(last_line), line);
}

static size_t
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
static void
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
static pid_t
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

static void
write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
}

static void
give(struct rig *r, const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	hasher_sqlite_file(r->h, name, fd);
}

static void
give_query(struct rig *r, const char *query)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "dbpath %s\nquery_credentials %s\n", r->db, query);
	write_file(r->conf, text, strlen(text));
	give(r, "t#conf", r->conf);
}

static int
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

static int
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

static void
give_users(struct rig *r)
{
	run_sql(r, SCHEMA "INSERT INTO users VALUES('demo','$y$hash'),('none',NULL),('empty','')");
	give(r, "t", r->db);
	give_query(r, QUERY);
}

static void
assert_found(struct rig *r, const char *key, enum ipc_outcome outcome, const char *value)
{
	char got[IPC_SECRET_MAX + 1];
	enum ipc_outcome found = hasher_sqlite_find(r->h, "t", key, got);

	if (found != outcome)
		fail_msg("%s: %d, not %d; %s", key, found, outcome, last_line);
	if (outcome == IPC_OK)
		assert_string_equal(got, value);
}

static void
assert_logged(const char *what)
{
	if (strstr(last_line, what) == NULL)
		fail_msg("the log says: %s", last_line);
}

/* -- what works -- */

static void
test_find(void **state)
{
	struct rig *r = *state;

	give_users(r);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	assert_found(r, "none", IPC_GONE, NULL);
	assert_found(r, "empty", IPC_GONE, NULL);
	assert_found(r, "nobody", IPC_GONE, NULL);
	assert_found(r, "", IPC_GONE, NULL);
	assert_found(r, "' OR 1=1 --", IPC_GONE, NULL);
	assert_int_equal(nlines, 0);
	assert_int_equal(count_descriptors(), r->descriptors + 1);
}

static void
test_order_of_files(void **state)
{
	struct rig *r = *state;

	run_sql(r, SCHEMA "INSERT INTO users VALUES('demo','a')");
	give_query(r, QUERY);
	assert_found(r, "demo", IPC_RETRY, NULL);
	give(r, "t", r->db);
	assert_found(r, "demo", IPC_OK, "a");
	/* A reload: the same again. */
	give(r, "t", r->db);
	give_query(r, QUERY " COLLATE NOCASE");
	assert_found(r, "DEMO", IPC_OK, "a");
	assert_int_equal(count_descriptors(), r->descriptors + 1);
}

static void
test_changes_are_seen(void **state)
{
	struct rig *r = *state;

	give_users(r);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	run_sql(r, "UPDATE users SET value='x' WHERE login='demo'");
	assert_found(r, "demo", IPC_OK, "x");
	run_sql(r, "DELETE FROM users; VACUUM");
	assert_found(r, "demo", IPC_GONE, NULL);
	run_sql(r, "ALTER TABLE users ADD COLUMN more; INSERT INTO users VALUES('demo','y',1)");
	assert_found(r, "demo", IPC_OK, "y");
	run_sql(r, "DROP TABLE users");
	assert_found(r, "demo", IPC_RETRY, NULL);
	assert_logged("no such table");
	run_sql(r, SCHEMA "INSERT INTO users VALUES('demo','z')");
	assert_found(r, "demo", IPC_OK, "z");
}

static void
test_scram(void **state)
{
	struct rig *r = *state;

	give_users(r);
	assert_int_equal(hasher_sqlite_scram(r->h, "t"), IPC_GONE);
	run_sql(r, "INSERT INTO users VALUES('s','$y$hash SCRAM-SHA-256$4096:s$k:k')");
	assert_int_equal(hasher_sqlite_scram(r->h, "t"), IPC_OK);
	/* Of a computed value nothing is known. */
	give_query(r, "SELECT login, value || '' FROM users WHERE login=?");
	assert_int_equal(hasher_sqlite_scram(r->h, "t"), IPC_GONE);
	/* Through a view it is. */
	run_sql(r, "CREATE VIEW people AS SELECT login AS l, value AS \"odd \"\" v\" FROM users");
	give_query(r, "SELECT l, \"odd \"\" v\" FROM people WHERE l=?");
	assert_int_equal(hasher_sqlite_scram(r->h, "t"), IPC_OK);
	assert_int_equal(hasher_sqlite_scram(r->h, "other"), IPC_RETRY);
}

static void
test_forgotten(void **state)
{
	struct rig *r = *state;
	char name[] = "t", value[IPC_SECRET_MAX + 1];
	struct conf_table table = {.name = name, .kind = CONF_TABLE_SQLITE};
	struct conf conf = {.tables = &table, .ntables = 1};

	give_users(r);
	hasher_sqlite_configure(r->h, &conf);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	table.kind = CONF_TABLE_FILE;
	hasher_sqlite_configure(r->h, &conf);
	assert_int_equal(hasher_sqlite_find(r->h, "t", "demo", value), IPC_RETRY);
	assert_int_equal(count_descriptors(), r->descriptors);
}

/* -- a writer is waited for, but not for ever -- */

static void
test_writer(void **state)
{
	struct rig *r = *state;
	int64_t began_ms;
	int go_on, status;
	pid_t pid;

	give_users(r);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	pid = hold_lock(r, &go_on);
	began_ms = time_mono_ms();
	assert_found(r, "demo", IPC_RETRY, NULL);
	assert_logged("locked");
	assert_true(time_mono_ms() - began_ms >= 1000);
	/* The writer ends while we wait: no need to tell anybody. */
	(void)close(go_on);
	assert_found(r, "demo", IPC_OK, "new");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* -- what is refused -- */

static void
test_wal(void **state)
{
	struct rig *r = *state;

	run_sql(r, "PRAGMA journal_mode=WAL; " SCHEMA "INSERT INTO users VALUES('demo','a')");
	give(r, "t", r->db);
	assert_logged("WAL mode");
	give_query(r, QUERY);
	assert_found(r, "demo", IPC_RETRY, NULL);
	assert_logged("WAL mode");
	run_sql(r, "PRAGMA journal_mode=DELETE");
	assert_found(r, "demo", IPC_OK, "a");
	/* And while it is in use. */
	run_sql(r, "PRAGMA journal_mode=WAL; UPDATE users SET value='b'");
	assert_found(r, "demo", IPC_RETRY, NULL);
	assert_logged("WAL mode");
}

static void
test_queries(void **state)
{
	static const struct {
		const char *query, *why;
	} cases[] = {
	    {"SELECT login FROM users WHERE login=?", "two columns"},
	    {"SELECT 1, 2, 3 FROM users WHERE login=?", "two columns"},
	    {"SELECT 1, 2 FROM users WHERE login=?; DROP TABLE users", "two columns"},
	    {"SELECT 1, 2 FROM users WHERE login=?2", "variable number"},
	    {"SELECT 1, 2 FROM nowhere WHERE login=?", "no such table"},
	    {"SELECT 1, 2 FROM users WHERE login=? AND", "incomplete input"},
	    {"SELECT 1, load_extension('/tmp/x') FROM users WHERE login=?", "not authorized"},
	    {"SELECT 1, readfile('/etc/passwd') FROM users WHERE login=?", "no such function"},
	    {"SELECT 1, value FROM json_each(?)", "no such table"},
	    {"SELECT name, sql FROM pragma_table_info(?)", "not authorized"},
	    {"SELECT 1, zeroblob(70000) WHERE '' != ?", "too big"},
	};
	struct rig *r = *state;
	size_t i;

	give_users(r);
	for (i = 0; i < NITEMS(cases); i++) {
		give_query(r, cases[i].query);
		assert_found(r, "demo", IPC_RETRY, NULL);
		assert_logged(cases[i].why);
		/* It is said once. */
		nlines = 0;
		assert_found(r, "demo", IPC_RETRY, NULL);
		assert_int_equal(nlines, 0);
	}
	give_query(r, QUERY);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	give_query(r, "UPDATE users SET value=?");
	assert_logged("must be a SELECT");
	assert_found(r, "demo", IPC_RETRY, NULL);
}

static void
test_runaway(void **state)
{
	static const char *const queries[] = {
	    "SELECT 1, count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c)"
	    " SELECT n FROM c) WHERE n > ?",
	    "SELECT 1, group_concat(n) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL"
	    " SELECT n+1 FROM c) SELECT n FROM c ORDER BY -n) WHERE n > ?",
	};
	struct rig *r = *state;
	int64_t began_ms;
	size_t i;

	give_users(r);
	for (i = 0; i < NITEMS(queries); i++) {
		give_query(r, queries[i]);
		began_ms = time_mono_ms();
		assert_found(r, "demo", IPC_RETRY, NULL);
		assert_true(time_mono_ms() - began_ms < 20000);
	}
	give_query(r, QUERY);
	assert_found(r, "demo", IPC_OK, "$y$hash");
}

static void
test_values(void **state)
{
	struct rig *r = *state;
	char longest[IPC_SECRET_MAX + 1];

	memset(longest, 'x', IPC_SECRET_MAX);
	longest[IPC_SECRET_MAX] = '\0';
	give_users(r);
	run_sql(r, "INSERT INTO users VALUES('long', printf('%.1024c', 'x')),"
		   "('longer', printf('%.1025c', 'x')),('huge', zeroblob(1000000)),"
		   "('nul', 'a' || char(0) || 'b'),('number', 12),('blob', x'6162')");
	assert_found(r, "long", IPC_OK, longest);
	assert_found(r, "longer", IPC_RETRY, NULL);
	assert_logged("too long");
	assert_found(r, "huge", IPC_RETRY, NULL);
	assert_found(r, "nul", IPC_RETRY, NULL);
	assert_found(r, "number", IPC_OK, "12");
	assert_found(r, "blob", IPC_OK, "ab");
}

static void
test_no_database(void **state)
{
	static const char *const texts[] = {"", "login value\n", "SQLite format 3"};
	struct rig *r = *state;
	int pair[2];
	size_t i;

	give_query(r, QUERY);
	for (i = 0; i < NITEMS(texts); i++) {
		write_file(r->db, texts[i], strlen(texts[i]));
		give(r, "t", r->db);
		assert_found(r, "demo", IPC_RETRY, NULL);
		assert_logged("event=table-trouble table=t");
	}
	give(r, "t", r->dir);
	assert_found(r, "demo", IPC_RETRY, NULL);
	assert_int_equal(pipe(pair), 0);
	hasher_sqlite_file(r->h, "t", pair[0]);
	assert_found(r, "demo", IPC_RETRY, NULL);
	hasher_sqlite_file(r->h, "t#conf", pair[1]);
	assert_found(r, "demo", IPC_RETRY, NULL);
	give(r, "t#else", r->conf);
	give_query(r, QUERY);
	(void)unlink(r->db);
	run_sql(r, SCHEMA "INSERT INTO users VALUES('demo','a')");
	give(r, "t", r->db);
	assert_found(r, "demo", IPC_OK, "a");
	assert_int_equal(count_descriptors(), r->descriptors + 1);
}

/* -- a file that somebody else wrote -- */

static void
assert_some_answer(enum ipc_outcome found)
{
	assert_true(found == IPC_OK || found == IPC_GONE || found == IPC_RETRY);
}

static void
test_hostile_schema(void **state)
{
	static const struct {
		const char *schema, *why;
	} cases[] = {
	    {"CREATE VIEW users(login, value) AS SELECT 'demo', load_extension('/tmp/x')",
		"unsafe use of load_extension"},
	    {"CREATE VIRTUAL TABLE users USING fts5(login, value)", "no such module"},
	    {"CREATE VIRTUAL TABLE users USING rtree(login, value, other)", "no such module"},
	};
	struct rig *r = *state;
	size_t i;

	give_query(r, QUERY);
	for (i = 0; i < NITEMS(cases); i++) {
		(void)unlink(r->db);
		run_sql(r, cases[i].schema);
		give(r, "t", r->db);
		assert_found(r, "demo", IPC_RETRY, NULL);
		assert_logged(cases[i].why);
		assert_some_answer(hasher_sqlite_scram(r->h, "t"));
	}
}

/* Octets changed here and there, the same each time: whatever it says, it goes on. */
static void
test_hostile_octets(void **state)
{
	struct rig *r = *state;
	uint8_t good[65536], bad[65536];
	char value[IPC_SECRET_MAX + 1];
	uint32_t x = 2463534242U;
	int fd, round, i;
	ssize_t n;

	run_sql(r, "PRAGMA page_size=512; " SCHEMA
		   "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<200)"
		   "INSERT INTO users SELECT 'u' || n, printf('%.*c', n, 'x') FROM c");
	fd = open(r->db, O_RDONLY | O_CLOEXEC);
	n = read(fd, good, sizeof(good));
	assert_in_range(n, 10000, sizeof(good) - 1);
	assert_int_equal(close(fd), 0);
	give_query(r, QUERY);
	for (round = 0; round < 400; round++) {
		memcpy(bad, good, sizeof(bad));
		for (i = 0; i < 1 + round % 20; i++) {
			x ^= x << 13;
			x ^= x >> 17;
			x ^= x << 5;
			bad[x % (round % 2 ? 1024 : (uint32_t)n)] = (uint8_t)(x >> 24);
		}
		bad[18] = bad[19] = 1;
		write_file(r->db, bad, (size_t)n - (round % 5 == 0 ? x % 512 : 0));
		give(r, "t", r->db);
		assert_some_answer(hasher_sqlite_find(r->h, "t", "u7", value));
		assert_some_answer(hasher_sqlite_find(r->h, "t", "u199", value));
		assert_some_answer(hasher_sqlite_scram(r->h, "t"));
	}
	write_file(r->db, good, (size_t)n);
	give(r, "t", r->db);
	assert_found(r, "u7", IPC_OK, "xxxxxxx");
	assert_int_equal(count_descriptors(), r->descriptors + 1);
}

/* -- in the sandbox -- */

#if !defined(ROLE_SANITIZED)
static void
allow_little(void)
{
	static const int calls[] = {SCMP_SYS(pread64), SCMP_SYS(close), SCMP_SYS(brk),
	    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(getpid), SCMP_SYS(exit_group),
	    SCMP_SYS(write), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(fstat),
	    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(mremap)};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;

	for (i = 0; i < NITEMS(calls); i++)
		(void)seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	(void)seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
	    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	(void)seccomp_rule_add(
	    ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_SETLK, 0));
	(void)seccomp_rule_add(
	    ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETLK, 0));
	if (seccomp_load(ctx) != 0)
		_exit(2);
}

static int
ask_everything(struct rig *r, int db, int conf, int go_on)
{
	char value[IPC_SECRET_MAX + 1];

	if (hasher_sqlite_find(r->h, "t", "demo", value) != IPC_RETRY)
		return 3; /* somebody writes */
	(void)close(go_on);
	if (hasher_sqlite_find(r->h, "t", "demo", value) != IPC_OK || strcmp(value, "new") != 0)
		return 4;
	if (hasher_sqlite_find(r->h, "t", "nobody", value) != IPC_GONE ||
	    hasher_sqlite_scram(r->h, "t") != IPC_GONE)
		return 5;
	/* A reload hands over new ones; this query sorts. */
	hasher_sqlite_file(r->h, "t", db);
	hasher_sqlite_file(r->h, "t#conf", conf);
	if (hasher_sqlite_find(r->h, "t", "a", value) != IPC_OK || strcmp(value, "new") != 0)
		return 6;
	hasher_sqlite_free(r->h);
	return 0;
}

static void
test_system_calls(void **state)
{
	struct rig *r = *state;
	int status, db, conf, go_on;
	pid_t pid, writer;

	give_users(r);
	assert_found(r, "demo", IPC_OK, "$y$hash");
	give_query(r, "SELECT login, value FROM users WHERE login >= ? ORDER BY hex(value)");
	db = open(r->db, O_RDONLY | O_CLOEXEC);
	conf = open(r->conf, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlink(r->conf), 0);
	give_query(r, QUERY);
	writer = hold_lock(r, &go_on);
	if ((pid = fork()) == 0) {
		allow_little();
		_exit(ask_everything(r, db, conf, go_on));
	}
	assert_true(pid > 0);
	(void)close(go_on);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("wait status %#x", (unsigned int)status);
	(void)close(db);
	(void)close(conf);
}
#endif

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_order_of_files),
		TEST(test_changes_are_seen),
		TEST(test_scram),
		TEST(test_forgotten),
		TEST(test_writer),
		TEST(test_wal),
		TEST(test_queries),
		TEST(test_runaway),
		TEST(test_values),
		TEST(test_no_database),
		TEST(test_hostile_schema),
		TEST(test_hostile_octets),
#if !defined(ROLE_SANITIZED)
		TEST(test_system_calls),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

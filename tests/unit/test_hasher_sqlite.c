/* SPDX-License-Identifier: ISC */
/*
 * SQLite tables by descriptor: live changes, writers, reloads; and under a filter
 * that lets nothing but the calls through that they are said to need.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <seccomp.h>

#include "lib/role/calls.h"

#include "tests/unit/sqlite_rig.h"

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
	assert_int_equal(find_auth(r, "demo", value), IPC_RETRY);
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

	if (find_auth(r, "demo", value) != IPC_RETRY)
		return 3; /* somebody writes */
	(void)close(go_on);
	if (find_auth(r, "demo", value) != IPC_OK || strcmp(value, "new") != 0)
		return 4;
	if (find_auth(r, "nobody", value) != IPC_GONE || hasher_sqlite_scram(r->h, "t") != IPC_GONE)
		return 5;
	/* A reload hands over new ones; this query sorts. */
	hasher_sqlite_file(r->h, "t", db);
	hasher_sqlite_file(r->h, "t#conf", conf);
	if (find_auth(r, "a", value) != IPC_OK || strcmp(value, "new") != 0)
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
#if !defined(ROLE_SANITIZED)
		TEST(test_system_calls),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* SQLite tables: WAL, bad queries, values that don't fit, files that somebody else wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/sqlite_rig.h"

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
	    {"SELECT 1, 2 FROM users WHERE login=?2", "must have one '?'"},
	    {"SELECT 1, 2 FROM users WHERE login=? OR login=:other", "too many SQL variables"},
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
	assert_logged("event=table-value-refused table=t key=longer why=\"a value is too long\"");
	assert_found(r, "nul", IPC_RETRY, NULL);
	assert_found(r, "huge", IPC_RETRY, NULL);
	assert_logged("too big");
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
	struct damage d;
	char value[IPC_SECRET_MAX + 1];
	int round;

	run_sql(r, "PRAGMA page_size=512; " SCHEMA
		   "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<200)"
		   "INSERT INTO users SELECT 'u' || n, printf('%.*c', n, 'x') FROM c");
	damage_read(&d, r->db);
	give_query(r, QUERY);
	for (round = 0; round < 400; round++) {
		damage_write(&d, r->db, round);
		give(r, "t", r->db);
		assert_some_answer(find_auth(r, "u7", value));
		assert_some_answer(find_auth(r, "u199", value));
		assert_some_answer(hasher_sqlite_scram(r->h, "t"));
	}
	write_file(r->db, d.good, d.len);
	give(r, "t", r->db);
	assert_found(r, "u7", IPC_OK, "xxxxxxx");
	assert_int_equal(count_descriptors(), r->descriptors + 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_wal),
	    TEST(test_queries),
	    TEST(test_runaway),
	    TEST(test_values),
	    TEST(test_no_database),
	    TEST(test_hostile_schema),
	    TEST(test_hostile_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

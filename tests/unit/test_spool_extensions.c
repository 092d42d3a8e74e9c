/* SPDX-License-Identifier: ISC */
/*
 * What the extensions ask for stays in the spool as it was given, through a
 * restart and through the move from the schema before: mail that was accepted by
 * an older version is there, whole, and due.
 */
#include "tests/unit/spool_fixture.h"

#include <sqlite3.h>

static const struct spool_answer answer = {"4.4.1", "connection refused", "mx.example.net"};

static struct spool *
open_fresh(void)
{
	struct spool *s;

	fixture_wipe();
	assert_non_null(s = fixture_open_sqlite());
	return s;
}

static struct spool *
open_again(struct spool *s)
{
	spool_close(s);
	assert_non_null(s = fixture_open_sqlite());
	return s;
}

static int
put(struct spool *s, struct spool_message *m, const struct spool_rcpt *r)
{
	int result = PENDING;

	assert_int_equal(spool_begin(s, NOW, 0, &m->id), 0);
	spool_finish(s, m, (struct span){(const uint8_t *)"", 0}, r, 1, on_done, &result);
	spool_commit(s, NOW);
	return result;
}

/* Every octet that a session may hand over: not cut, not folded, not decoded again. */
static void
test_kept(void **state)
{
	static const char envid[] = "Q+QQ=+2B %s\\ \xc3\xa9;'\"",
			  orcpt[] = "utf-8;J\xc3\xb6rg+x@{2B}";
	static const char original[] = "\"J. D'oe\\\\\"@Example.NET";
	struct spool_message m = message_make(0);
	struct spool_rcpt r = rcpt_make("joerg@example.net");
	struct spool *s = open_fresh();
	struct snap *t;

	(void)state;
	m.envid = envid;
	m.ret = "FULL";
	m.flags = SPOOL_BINARYMIME | SPOOL_REQUIRETLS | SPOOL_SMTPUTF8 | SPOOL_AUTHENTICATED;
	m.priority = -9;
	m.release_s = NOW + 3600;
	m.by = IPC_BY_RETURN;
	m.by_s = NOW + 7200;
	m.by_trace = true;
	r.orcpt = orcpt;
	r.original = original;
	r.notify = SPOOL_NOTIFY_MAX;
	assert_int_equal(put(s, &m, &r), 0);
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->nmessages, 1);
	assert_string_equal(t->m[0].envid, envid);
	assert_string_equal(t->m[0].ret, "FULL");
	assert_int_equal(t->m[0].flags, m.flags);
	assert_int_equal(t->m[0].priority, -9);
	assert_int_equal(t->m[0].release_s, NOW + 3600);
	assert_int_equal(t->m[0].by, IPC_BY_RETURN);
	assert_int_equal(t->m[0].by_s, NOW + 7200);
	assert_true(t->m[0].by_trace);
	assert_string_equal(t->r[0].orcpt, orcpt);
	assert_string_equal(t->r[0].original, original);
	assert_int_equal(t->r[0].notify, SPOOL_NOTIFY_MAX);
	spool_close(s);
}

/* What is beyond a bound is refused, not bent. */
static void
test_bounds(void **state)
{
	static const struct {
		int priority;
		enum ipc_by by;
		unsigned int flags;
		int64_t time_s;
		int result;
	} cases[] = {
	    {9, IPC_BY_NOTIFY, SPOOL_FLAGS_MAX & ~SPOOL_HELD_MESSAGE, INT64_MAX, 0},
	    {-9, IPC_BY_NONE, 0, 0, 0},
	    {10, IPC_BY_NONE, 0, 0, EINVAL},
	    {-10, IPC_BY_NONE, 0, 0, EINVAL},
	    {0, IPC_BY__MAX, 0, 0, EINVAL},
	    {0, IPC_BY_NONE, SPOOL_FLAGS_MAX + 1, 0, EINVAL},
	    {0, IPC_BY_NONE, 0, INT64_MIN, EINVAL},
	};
	struct spool_rcpt r = rcpt_make("bob@example.net");
	struct spool *s = open_fresh();
	size_t i, kept = 0;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct spool_message m = message_make(0);

		m.priority = cases[i].priority;
		m.by = cases[i].by;
		m.flags = cases[i].flags;
		m.by_s = m.release_s = cases[i].time_s;
		assert_int_equal(put(s, &m, &r), cases[i].result);
		kept += cases[i].result == 0;
	}
	assert_int_equal(snap_list(s)->nmessages, kept);
	spool_close(s);
}

/* -- by NOTIFY: listed once it is late, until it was told -- */

static uint64_t reported;

static void
on_report(void *arg, uint64_t id)
{
	(void)arg;
	reported = id;
}

static bool
is_reported_at(struct spool *s, int64_t now_s)
{
	reported = 0;
	assert_int_equal(spool_reports(s, now_s, 9, on_report, NULL), 0);
	return reported != 0;
}

static void
settle_at(struct spool *s, const struct spool_report *r, int64_t now_s)
{
	int result = PENDING;

	spool_reported(s, r, on_done, &result);
	spool_commit(s, now_s);
	assert_int_equal(result, 0);
}

static void
settle(struct spool *s, const struct spool_report *r)
{
	settle_at(s, r, NOW);
}

static void
test_notify(void **state)
{
	struct spool_rcpt two[] = {rcpt_make("a@example.net"), rcpt_make("b@example.net")};
	struct spool_message m = message_make(0);
	struct spool *s = open_fresh();
	uint64_t key;

	(void)state;
	m.by = IPC_BY_NOTIFY;
	m.by_s = NOW + 60;
	assert_int_equal(spool_begin(s, NOW, 0, &m.id), 0);
	spool_finish(s, &m, (struct span){(const uint8_t *)"", 0}, two, 2, NULL, NULL);
	spool_commit(s, NOW);
	key = SPOOL_KEY(m.id, 0);
	assert_false(is_reported_at(s, NOW + 59));
	assert_true(is_reported_at(s, NOW + 60));
	/* A failure is told at once, and does not make the other one forgotten. */
	spool_failed(s, key, NOW + 10, &answer, NULL, NULL);
	spool_commit(s, NOW);
	assert_true(is_reported_at(s, NOW + 10));
	settle(s, &(struct spool_report){.id = m.id, .settled = &key, .nsettled = 1});
	s = open_again(s);
	assert_false(is_reported_at(s, NOW + 59));
	assert_true(is_reported_at(s, NOW + 60));
	settle(s, &(struct spool_report){.id = m.id, .warned = true});
	s = open_again(s);
	assert_false(is_reported_at(s, NOW + 999999));
	assert_int_equal(snap_list(s)->m[0].flags & SPOOL_WARNED, SPOOL_WARNED);
	/* It was told; the last recipient's failure still is. */
	key = SPOOL_KEY(m.id, 1);
	spool_failed(s, key, NOW + 70, &answer, NULL, NULL);
	spool_commit(s, NOW);
	assert_true(is_reported_at(s, NOW + 70));
	settle(s, &(struct spool_report){.id = m.id, .settled = &key, .nsettled = 1});
	assert_int_equal(snap_list(s)->nmessages, 0);
	/* One that was late when it came was told of by who sent it here. */
	m.by_s = NOW;
	assert_int_equal(put(s, &m, two), 0);
	assert_false(is_reported_at(s, NOW + 999999));
	spool_close(s);
}

/* -- by RETURN: listed once, when it is late, whoever could deliver it -- */

static void
count(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	(void)m;
	(void)r;
	++*(size_t *)arg;
}

static size_t
scheduled(struct spool *s, uint64_t id)
{
	size_t n = 0;

	assert_int_equal(spool_scheduled(s, id, NULL, count, &n), 0);
	return n;
}

static void
test_return(void **state)
{
	struct spool_rcpt two[] = {rcpt_make("a@example.net"), rcpt_make("b@example.net")};
	struct spool_message m = message_make(0);
	struct spool *s = open_fresh();
	uint64_t key;

	(void)state;
	m.by = IPC_BY_RETURN;
	m.by_s = NOW + 60;
	assert_int_equal(spool_begin(s, NOW, 0, &m.id), 0);
	spool_finish(s, &m, (struct span){(const uint8_t *)"", 0}, two, 2, NULL, NULL);
	assert_false(is_reported_at(s, NOW + 60)); /* its client may yet hear 451 */
	assert_int_equal(scheduled(s, m.id), 0);
	spool_commit(s, NOW);
	assert_true(is_reported_at(s, NOW + 60));
	assert_int_equal(scheduled(s, m.id), 2);
	/* A failure before leaves the time where it was. */
	key = SPOOL_KEY(m.id, 0);
	spool_failed(s, key, NOW + 10, &answer, NULL, NULL);
	settle(s, &(struct spool_report){.id = m.id, .settled = &key, .nsettled = 1});
	assert_false(is_reported_at(s, NOW + 59));
	assert_true(is_reported_at(s, NOW + 60));
	assert_int_equal(scheduled(s, m.id), 1);
	spool_set_flags(s, m.id, SPOOL_HELD_MESSAGE, 0, NULL, NULL);
	assert_int_equal(scheduled(s, m.id), 0);
	/* Told, once it is late: whoever is left is left to the schedule. */
	spool_commit(s, NOW + 60);
	settle_at(s, &(struct spool_report){.id = m.id}, NOW + 60);
	assert_false(is_reported_at(s, NOW + 999999));
	spool_close(s);
}

/* What is held until later stays so when all is scheduled, not when it alone is. */
static void
test_schedule_all(void **state)
{
	static const struct {
		int64_t release_s, due_s, all_s;
	} cases[] = {
	    {0, NOW + 60, NOW}, {NOW - 60, NOW + 60, NOW}, {NOW + 600, NOW + 600, NOW + 600},
	    {NOW + 60, NOW + 600, NOW + 60}, /* one who tries again later */
	    {NOW + 600, NOW + 60, NOW + 60}, /* one who is to be returned before */
	};
	struct spool_rcpt r = rcpt_make("bob@example.net");
	struct spool *s = open_fresh();
	int result = PENDING;
	struct snap *t;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct spool_message m = message_make(0);

		m.release_s = cases[i].release_s;
		r.due_s = cases[i].due_s;
		assert_int_equal(put(s, &m, &r), 0);
	}
	spool_schedule(s, 0, NOW, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, 0);
	t = snap_list(s);
	for (i = 0; i < NITEMS(cases); i++)
		assert_int_equal(t->r[i].due_s, cases[i].all_s);
	spool_schedule(s, SPOOL_KEY_MESSAGE(t->r[2].key), NOW, NULL, NULL);
	spool_commit(s, NOW);
	assert_int_equal(snap_list(s)->r[2].due_s, NOW);
	spool_close(s);
}

/* -- version 1 -- */

/* The schema as version 1 made it, with a message that its aliases replaced, one failed, one held. */
static const char version_1[] =
    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
    "BEGIN; PRAGMA application_id = 0x506f5370;"
    "CREATE TABLE meta("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " next_id INTEGER NOT NULL, messages INTEGER NOT NULL, recipients INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, 3200010000, 3, 4);"
    "CREATE TABLE message("
    " id INTEGER PRIMARY KEY, flags INTEGER NOT NULL, received INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, size INTEGER NOT NULL, nchunks INTEGER NOT NULL,"
    " numbers INTEGER NOT NULL, report INTEGER,"
    " sender TEXT NOT NULL, envid TEXT NOT NULL, ret TEXT NOT NULL,"
    " client TEXT NOT NULL) STRICT;"
    "CREATE INDEX message_report ON message(report) WHERE report IS NOT NULL;"
    "CREATE TABLE recipient("
    " key INTEGER PRIMARY KEY, state INTEGER NOT NULL, held INTEGER NOT NULL,"
    " due INTEGER NOT NULL, attempts INTEGER NOT NULL, notify INTEGER NOT NULL,"
    " address TEXT NOT NULL, original TEXT NOT NULL, orcpt TEXT NOT NULL,"
    " action TEXT NOT NULL, user TEXT NOT NULL, dest TEXT NOT NULL,"
    " status TEXT NOT NULL, text TEXT NOT NULL, remote TEXT NOT NULL) STRICT;"
    "CREATE INDEX recipient_due ON recipient(due) WHERE state < 2 AND held = 0;"
    "CREATE TABLE chunk(key INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE incoming(id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE garbage(id INTEGER PRIMARY KEY) STRICT;"
    "CREATE TABLE quarantine("
    " what TEXT NOT NULL, key INTEGER NOT NULL, seen INTEGER NOT NULL, why TEXT NOT NULL,"
    " row TEXT, PRIMARY KEY (what, key)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;"
    "INSERT INTO message VALUES"
    " (3200000001, 2, 1749990000, 1750422000, 100, 2, 2, NULL,"
    "  'alice@example.org', 'E=1', 'HDRS', '[192.0.2.1] helo.example'),"
    " (3200000002, 0, 1749990000, 1750422000, 100, 1, 1, 1749990060,"
    "  'alice@example.org', '', '', '[192.0.2.1] helo.example'),"
    " (3200000003, 1, 1749990000, 1750422000, 100, 1, 1, NULL,"
    "  'alice@example.org', '', '', '[192.0.2.1] helo.example');"
    "INSERT INTO recipient VALUES"
    " (3200000001 << 20, 1, 0, 1749990000, 3, 5, 'a@b.example', 'A@b.example',"
    "  'rfc822;A@b.example', 'out', '', 'b.example', '4.4.1', 'refused', 'mx'),"
    " ((3200000001 << 20) + 1, 0, 0, 1749990001, 0, 0, 'c@d.example', 'c@d.example', '',"
    "  'demo', '', '', '', '', ''),"
    " (3200000002 << 20, 2, 0, 1749990060, 1, 0, 'x@y.example', 'x@y.example', '', 'out', '',"
    "  'y.example', '5.1.1', 'no such user', 'mx'),"
    " (3200000003 << 20, 0, 1, 1749990000, 0, 0, 'h@y.example', 'h@y.example', '', 'demo', '',"
    "  '', '', '', '');"
    "INSERT INTO chunk VALUES (3200000001 << 24, CAST('Received: x' AS BLOB)),"
    " ((3200000001 << 24) + 1, CAST('body' AS BLOB)),"
    " (3200000002 << 24, CAST('two' AS BLOB)), (3200000003 << 24, CAST('three' AS BLOB)),"
    " (3200000009 << 24, CAST('half' AS BLOB));"
    "INSERT INTO incoming VALUES (3200000009);"
    "COMMIT;";
#define FIRST 3200000001ULL

static sqlite3 *
db_open(void)
{
	char path[128];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/spool.db", fixture_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static int
on_number(void *arg, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	*(long *)arg = atol(values[0]);
	return 0;
}

static long
db_ask(const char *sql)
{
	sqlite3 *db = db_open();
	long number = -1;

	assert_int_equal(sqlite3_exec(db, sql, on_number, &number, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return number;
}

static struct spool *
open_version_1(void)
{
	sqlite3 *db;
	struct spool *s;

	fixture_wipe();
	db = db_open();
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(db_ask("PRAGMA user_version"), 1);
	assert_non_null(s = fixture_open_sqlite());
	return s;
}

static void
on_text(void *arg, struct span data)
{
	assert_int_equal(buf_append(arg, data.data, data.len), 0);
}

static void
check_body(struct spool *s, uint64_t id, const char *want)
{
	struct buf text;
	uint32_t seq;

	buf_init(&text, 1000);
	for (seq = 0; spool_read(s, id, seq, on_text, &text) == 0; seq++)
		continue;
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(buf_head(&text), want, text.len);
	buf_free(&text);
}

static void
test_version_1_is_kept(void **state)
{
	struct spool *s = open_version_1();
	struct spool_stats stats;
	struct snap *t;
	size_t i;

	(void)state;
	t = snap_list(s);
	assert_int_equal(t->nmessages, 3);
	assert_int_equal(t->nrcpts, 4);
	assert_string_equal(t->m[0].envid, "E=1");
	assert_string_equal(t->m[0].ret, "HDRS");
	for (i = 0; i < 3; i++) {
		assert_int_equal(t->m[i].id, FIRST + i);
		assert_int_equal(t->m[i].expires_s, 1750422000);
		assert_int_equal(t->m[i].priority, 0);
		assert_int_equal(t->m[i].release_s, 0);
		assert_int_equal(t->m[i].by, IPC_BY_NONE);
		assert_int_equal(t->m[i].by_s, 0);
		assert_false(t->m[i].by_trace);
	}
	assert_string_equal(t->r[0].original, "A@b.example");
	assert_string_equal(t->r[0].orcpt, "rfc822;A@b.example");
	assert_int_equal(t->r[0].notify, 5);
	assert_int_equal(t->r[0].attempts, 3);
	assert_string_equal(t->r[0].text, "refused");
	check_body(s, FIRST, "Received: xbody");
	check_body(s, FIRST + 1, "two");
	check_body(s, FIRST + 2, "three");
	check_body(s, FIRST + 8, ""); /* it was half-received */
	spool_stats(s, &stats);
	assert_int_equal(stats.messages, 3);
	assert_int_equal(stats.recipients, 4);
	assert_int_equal(stats.quarantined, 0);
	spool_close(s);
	assert_int_equal(db_ask("PRAGMA user_version"), 3);
	assert_int_equal(db_ask("SELECT count(*) FROM pragma_integrity_check"
				" WHERE integrity_check = 'ok'"),
	    1);
	s = fixture_open_sqlite(); /* and not moved once more */
	assert_non_null(s);
	assert_int_equal(snap_list(s)->nmessages, 3);
	spool_close(s);
}

static void
test_version_1_goes_on(void **state)
{
	struct spool *s = open_version_1();
	uint64_t key = SPOOL_KEY(FIRST + 1, 0);
	struct spool_message m = message_make(0);
	struct spool_rcpt r = rcpt_make("new@example.net");
	struct snap *t = snap_due(s, NOW, 9, NULL);
	size_t i;

	(void)state;
	assert_int_equal(t->nrcpts, 2);
	assert_int_equal(t->r[0].key, SPOOL_KEY(FIRST, 0));
	assert_int_equal(t->r[1].key, SPOOL_KEY(FIRST, 1));
	for (i = 0; i < 2; i++)
		spool_delivered(s, SPOOL_KEY(FIRST, i), NULL, NULL);
	assert_true(is_reported_at(s, NOW));
	assert_int_equal(reported, FIRST + 1);
	settle(s, &(struct spool_report){.id = FIRST + 1, .settled = &key, .nsettled = 1});
	assert_int_equal(put(s, &m, &r), 0);
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->nmessages, 2);
	assert_int_equal(t->m[0].id, FIRST + 2);
	assert_true(t->m[1].id >= FIRST + 9999); /* numbers go on where they were */
	spool_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_notify),
	    cmocka_unit_test(test_return),
	    cmocka_unit_test(test_schedule_all),
	    cmocka_unit_test(test_version_1_is_kept),
	    cmocka_unit_test(test_version_1_goes_on),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

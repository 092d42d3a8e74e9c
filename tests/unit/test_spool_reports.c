/* SPDX-License-Identifier: ISC */
/*
 * Reports in the spool: who is owed one, and from when; what a report settles
 * goes with it and nothing else; nothing damaged stands before the others.
 */
#include "tests/unit/spool_fixture.h"

#include <sqlite3.h>

static const char *const to[] = {"a@example.net", "b@example.net", "c@example.net"};
static const struct spool_answer answer = {"5.1.1", "no such user", "mx.example.net"};

static uint64_t reported[16];
static size_t nreported;

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

static void
on_report(void *arg, uint64_t id)
{
	(void)arg;
	assert_true(nreported < NITEMS(reported));
	reported[nreported++] = id;
}

static size_t
reports_at(struct spool *s, int64_t now_s, size_t limit)
{
	nreported = 0;
	assert_int_equal(spool_reports(s, now_s, limit, on_report, NULL), 0);
	return nreported;
}

/* A message of which the first n recipients failed, to be reported from due_s. */
static uint64_t
put_failed(struct spool *s, size_t n, int64_t due_s)
{
	int result;
	uint64_t id = message_put(s, 10, to, 3, &result);
	size_t i;

	spool_commit(s, NOW);
	assert_int_equal(result, 0);
	for (i = 0; i < n; i++)
		spool_failed(s, SPOOL_KEY(id, i), due_s + (int64_t)i, &answer, NULL, NULL);
	spool_commit(s, NOW);
	return id;
}

static int
settle(struct spool *s, const struct spool_report *r)
{
	int result = PENDING;

	spool_reported(s, r, on_done, &result);
	spool_commit(s, NOW);
	return result;
}

/* A report's message with a body that spills; finished by spool_reported(). */
static struct spool_message
report_begin(struct spool *s)
{
	struct spool_message m;
	uint64_t id;

	assert_int_equal(spool_begin(s, NOW, 10, &id), 0);
	assert_int_equal(body_append(s, id, 100000, SPOOL_CHUNK_MAX), 0);
	m = message_make(id);
	m.sender = "";
	m.flags = SPOOL_IS_REPORT;
	return m;
}

static void
test_reported(void **state)
{
	struct spool_rcpt back = rcpt_make("alice@example.org");
	struct spool *s = open_fresh();
	uint64_t id = put_failed(s, 2, NOW + 60);
	const uint64_t keys[] = {SPOOL_KEY(id, 0), SPOOL_KEY(id, 1)}, last = SPOOL_KEY(id, 2);
	struct spool_message m;
	struct snap *t;

	(void)state;
	assert_int_equal(reports_at(s, NOW + 59, 9), 0);
	s = open_again(s);
	assert_int_equal(reports_at(s, NOW + 60, 9), 1);
	assert_int_equal(reported[0], id);
	assert_int_equal(snap_due(s, NOW, 9, NULL)->nrcpts, 1);
	m = report_begin(s);
	assert_int_equal(
	    settle(s,
		&(struct spool_report){
		    .id = id, .settled = keys, .nsettled = 2, .message = &m, .to = &back}),
	    0);
	assert_int_equal(reports_at(s, NOW + 999, 9), 0);
	t = snap_list(s);
	assert_int_equal(t->nmessages, 2);
	assert_int_equal(t->nrcpts, 2);
	assert_int_equal(t->r[0].key, SPOOL_KEY(id, 2));
	assert_int_equal(t->m[1].flags, SPOOL_IS_REPORT);
	/* The last recipient fails with nothing to say: the message goes. */
	spool_failed(s, last, NOW, &answer, NULL, NULL);
	assert_int_equal(
	    settle(s, &(struct spool_report){.id = id, .settled = &last, .nsettled = 1}), 0);
	assert_int_equal(snap_list(s)->nmessages, 1);
	spool_close(s);
}

/* Those that a report did not tell of stay, and are due for the next one. */
static void
test_rest_is_left(void **state)
{
	struct spool *s = open_fresh();
	uint64_t id = put_failed(s, 3, NOW), keys[] = {SPOOL_KEY(id, 0), SPOOL_KEY(id, 2)};
	const struct spool_report first = {.id = id, .settled = keys, .nsettled = 2, .more = true};
	struct spool_stats stats;

	(void)state;
	assert_int_equal(settle(s, &first), 0);
	s = open_again(s);
	assert_int_equal(snap_list(s)->nrcpts, 1);
	assert_int_equal(snap_list(s)->r[0].key, SPOOL_KEY(id, 1));
	assert_int_equal(reports_at(s, NOW, 9), 1);
	spool_stats(s, &stats);
	assert_int_equal(stats.recipients, 1);
	/* One that is gone, or another message's, is not settled, nor anything with it. */
	assert_int_equal(settle(s, &first), ENOENT);
	keys[0] = SPOOL_KEY(id + 1, 1);
	assert_int_equal(settle(s, &first), EINVAL);
	assert_int_equal(snap_list(s)->nrcpts, 1);
	keys[0] = SPOOL_KEY(id, 1);
	assert_int_equal(
	    settle(s, &(struct spool_report){.id = id, .settled = keys, .nsettled = 1}), 0);
	assert_int_equal(snap_list(s)->nmessages, 0);
	spool_close(s);
}

/* What is put off makes way for the others. */
static void
test_later(void **state)
{
	struct spool *s = open_fresh();
	uint64_t id = put_failed(s, 1, NOW), other = put_failed(s, 1, NOW + 5);
	int result = PENDING;

	(void)state;
	assert_int_equal(reports_at(s, NOW + 5, 1), 1);
	assert_int_equal(reported[0], id);
	spool_report_later(s, id, NOW + 300, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, 0);
	s = open_again(s);
	assert_int_equal(reports_at(s, NOW + 299, 9), 1);
	assert_int_equal(reported[0], other);
	assert_int_equal(reports_at(s, NOW + 300, 9), 2);
	result = PENDING; /* nothing is due of this one */
	spool_report_later(s, message_put(s, 1, to, 1, &(int){0}), NOW, on_done, &result);
	spool_close(s);
	assert_int_equal(result, ENOENT);
}

/* A report on a message that is gone is not sent, and leaves nothing. */
static void
test_report_of_nothing(void **state)
{
	struct spool_rcpt back = rcpt_make("alice@example.org");
	struct spool *s = open_fresh();
	struct body_check c = {.good = true};
	struct spool_message m = report_begin(s);

	(void)state;
	assert_int_equal(
	    settle(s, &(struct spool_report){.id = 12345, .message = &m, .to = &back}), ENOENT);
	assert_int_equal(snap_list(s)->nmessages, 0);
	while (spool_idle(s))
		continue;
	assert_int_equal(spool_read(s, m.id, 1, on_chunk, &c), -1);
	spool_close(s);
}

/* An expansion may say of some targets that they failed: they are reported like any other. */
static void
test_expand_failed(void **state)
{
	struct spool_rcpt into[] = {rcpt_make("good"), rcpt_make("bad")};
	struct spool *s = open_fresh();
	struct snap *t;
	int results[3] = {PENDING, PENDING, PENDING};
	uint64_t id = message_put(s, 10, to, 2, &results[0]);

	(void)state;
	into[0].state = SPOOL_READY;
	into[0].status = "never kept";
	into[1] = (struct spool_rcpt){.state = SPOOL_FAILED,
	    .address = "bad",
	    .action = "",
	    .user = "",
	    .dest = "",
	    .status = "5.4.6",
	    .text = "aliases go in a circle"};
	spool_expand(s, SPOOL_KEY(id, 0), into, 2, NOW + 7, on_done, &results[1]);
	spool_expand(s, SPOOL_KEY(id, 1), &into[1], 1, NOW + 8, on_done, &results[2]);
	spool_commit(s, NOW);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], 0);
	s = open_again(s);
	assert_int_equal(reports_at(s, NOW + 6, 9), 0);
	assert_int_equal(reports_at(s, NOW + 7, 9), 1);
	assert_int_equal(snap_due(s, NOW + 9, 9, NULL)->nrcpts, 1);
	t = snap_list(s);
	assert_int_equal(t->nrcpts, 3);
	assert_string_equal(t->r[0].status, "");
	assert_int_equal(t->r[1].state, SPOOL_FAILED);
	assert_int_equal(t->r[2].state, SPOOL_FAILED);
	assert_string_equal(t->r[1].original, to[1]);
	assert_string_equal(t->r[2].original, to[0]);
	assert_string_equal(t->r[2].address, "bad");
	assert_string_equal(t->r[2].status, "5.4.6");
	assert_string_equal(t->r[2].text, "aliases go in a circle");
	spool_close(s);
}

static void
tamper(const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/spool.db", fixture_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Bad rows leave the reports' queue and don't take the place of others. */
static void
test_bad_messages(void **state)
{
	struct spool *s = open_fresh();
	struct spool_stats stats;
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		(void)put_failed(s, 1, NOW);
	id = put_failed(s, 1, NOW + 1);
	spool_close(s);
	tamper("UPDATE message SET nchunks = 0 WHERE id < (SELECT max(id) FROM message)");
	assert_non_null(s = fixture_open_sqlite());
	assert_int_equal(reports_at(s, NOW + 1, 8), 1);
	assert_int_equal(reported[0], id);
	spool_commit(s, NOW);
	spool_stats(s, &stats);
	assert_int_equal(stats.quarantined, 8);
	assert_int_equal(reports_at(s, NOW + 1, 8), 1);
	s = open_again(s);
	spool_stats(s, &stats);
	assert_int_equal(stats.quarantined, 8);
	spool_close(s);
	tamper("CREATE TEMP TABLE due(n CHECK (n = 1));"
	       "INSERT INTO due SELECT count(*) FROM message WHERE report IS NOT NULL");
}

/* Of a message with a damaged body the failed recipients are told all the same. */
static void
test_bad_body(void **state)
{
	struct spool *s = open_fresh();
	uint64_t id = put_failed(s, 1, NOW), key = SPOOL_KEY(id, 0);
	struct body_check c = {.good = true};

	(void)state;
	spool_close(s);
	tamper("DELETE FROM chunk");
	assert_non_null(s = fixture_open_sqlite());
	assert_int_equal(spool_read(s, id, 0, on_chunk, &c), -1);
	assert_int_equal(spool_read(s, id, 0, on_chunk, &c), -1);
	assert_int_equal(snap_due(s, NOW, 9, NULL)->nrcpts, 0);
	assert_int_equal(reports_at(s, NOW, 9), 1);
	assert_int_equal(
	    settle(s, &(struct spool_report){.id = id, .settled = &key, .nsettled = 1}), 0);
	assert_int_equal(snap_list(s)->nrcpts, 2);
	spool_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reported),
	    cmocka_unit_test(test_rest_is_left),
	    cmocka_unit_test(test_later),
	    cmocka_unit_test(test_report_of_nothing),
	    cmocka_unit_test(test_expand_failed),
	    cmocka_unit_test(test_bad_messages),
	    cmocka_unit_test(test_bad_body),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

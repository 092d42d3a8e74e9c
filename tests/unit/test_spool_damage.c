/* SPDX-License-Identifier: ISC */
/*
 * Spools whose rows or pages are damaged: the bad row leaves the schedule, is
 * counted and logged once, everything else goes on, nothing crashes or loops.
 */
#include "tests/unit/spool_fixture.h"

#include "lib/ipc/message.h"
#include "tests/unit/spool_disk.h"

static const char *const to[] = {"bob@example.net"};
static const struct spool_answer answer = {"4.4.1", "connection refused", "mx.example.net"};

static size_t warnings;

static void
on_log(void *arg, enum log_level level, const char *line)
{
	fixture_quiet(arg, level, line);
	if (level == LOG_LEVEL_WARN && strstr(line, "spool-quarantine") != NULL)
		warnings++;
}

/* Two messages on a fresh disk; the first is about to be damaged. */
static void
two_messages(uint64_t ids[2])
{
	struct spool *s;
	int results[2];

	disk_format();
	warnings = 0;
	s = fixture_open_sqlite();
	assert_non_null(s);
	ids[0] = message_put(s, 3000, to, 1, &results[0]);
	ids[1] = message_put(s, 3000, to, 1, &results[1]);
	spool_close(s);
	assert_int_equal(results[1], 0);
}

/* Runs sql on the closed spool; ?1 is the first message's id. */
static int64_t
tamper(const char *sql, uint64_t id)
{
	char path[128];
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t value = 0;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/spool.db", fixture_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	(void)sqlite3_bind_int64(st, 1, (int64_t)id);
	if ((rc = sqlite3_step(st)) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	assert_true(rc == SQLITE_ROW || rc == SQLITE_DONE);
	(void)sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return value;
}

static void
read_bodies(struct spool *s, const uint64_t ids[2], int first)
{
	struct body_check c = {.good = true};

	assert_int_equal(spool_read(s, ids[0], 0, on_chunk, &c), first);
	if (first == -1)
		assert_int_equal(errno, EIO);
	assert_int_equal(spool_read(s, ids[1], 0, on_chunk, &c), 0);
}

static const struct {
	const char *sql;
	bool body; /* the damage is only seen when the body is read */
} damages[] = {
    {"UPDATE recipient SET state = -1 WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET notify = -1 WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET attempts = 1 << 40 WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET address = 'a' || char(0) || 'b' WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET dest = hex(zeroblob(3000)) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET text = hex(zeroblob(3000000)) WHERE key >> 20 = ?1", false},
    {"UPDATE message SET sender = hex(zeroblob(3000)) WHERE id = ?1", false},
    {"UPDATE message SET client = hex(zeroblob(3000000)) WHERE id = ?1", false},
    {"UPDATE message SET nchunks = 0 WHERE id = ?1", false},
    {"UPDATE message SET flags = -1 WHERE id = ?1", false},
    {"UPDATE message SET flags = 65536 WHERE id = ?1", false},
    {"UPDATE message SET priority = 10 WHERE id = ?1", false},
    {"UPDATE message SET priority = -10 WHERE id = ?1", false},
    {"UPDATE message SET release = -9223372036854775807 - 1 WHERE id = ?1", false},
    {"UPDATE message SET by_mode = 3 WHERE id = ?1", false},
    {"UPDATE message SET by_time = -9223372036854775807 - 1 WHERE id = ?1", false},
    {"UPDATE message SET by_trace = 2 WHERE id = ?1", false},
    {"UPDATE message SET nchunks = 1 << 24 WHERE id = ?1", false},
    {"UPDATE message SET expires = -9223372036854775807 - 1 WHERE id = ?1", false},
    {"UPDATE message SET sender = printf('%0513d', 0) WHERE id = ?1", false},
    {"UPDATE message SET envid = printf('%0129d', 0) WHERE id = ?1", false},
    {"UPDATE message SET ret = 'FULLY' WHERE id = ?1", false},
    {"UPDATE message SET client = printf('%0513d', 0) WHERE id = ?1", false},
    {"UPDATE recipient SET notify = 16 WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET due = -9223372036854775807 - 1 WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET address = printf('%0513d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET orcpt = printf('%0513d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET action = printf('%065d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET user = printf('%065d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET dest = printf('%0257d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET status = printf('%013d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET text = printf('%01025d', 0) WHERE key >> 20 = ?1", false},
    {"UPDATE recipient SET remote = printf('%0257d', 0) WHERE key >> 20 = ?1", false},
    {"DELETE FROM message WHERE id = ?1", false},
    {"DELETE FROM chunk WHERE key >> 24 = ?1", true},
    {"UPDATE chunk SET data = zeroblob(40000) WHERE key >> 24 = ?1", true},
};

static void
test_bad_rows(void **state)
{
	struct spool_stats stats;
	struct spool *s;
	uint64_t ids[2];
	int result;
	size_t i, n;

	(void)state;
	for (i = 0; i < NITEMS(damages); i++) {
		two_messages(ids);
		(void)tamper(damages[i].sql, ids[0]);
		assert_non_null(s = fixture_open_sqlite());
		if (damages[i].body)
			read_bodies(s, ids, -1);
		for (n = 0; n < 3; n++) {
			assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 1);
			(void)snap_list(s);
			spool_commit(s, NOW);
		}
		assert_int_equal(snap_due(s, NOW, 10, NULL)->r[0].key, SPOOL_KEY(ids[1], 0));
		spool_stats(s, &stats);
		assert_true(stats.quarantined >= 1 && stats.quarantined <= 2);
		assert_int_equal(warnings, stats.quarantined);
		assert_int_equal(spool_next_due(s, NOW - 1), NOW);
		result = PENDING;
		spool_delivered(s, SPOOL_KEY(ids[1], 0), on_done, &result);
		spool_commit(s, NOW);
		assert_int_equal(result, 0);
		spool_close(s);
		assert_non_null(s = fixture_open_sqlite());
		assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 0);
		assert_int_equal(warnings, stats.quarantined);
		spool_remove(s, ids[0], NULL, NULL);
		spool_close(s);
	}
}

static const struct {
	enum message_type type;
	const char *field;
	uint64_t spool;
} bounds[] = {
    {MSG_mail_begin, "flags", SPOOL_FLAGS_MAX},
    {MSG_mail_begin, "priority", SPOOL_PRIORITY_MAX},
    {MSG_mail_begin, "by", IPC_BY__MAX - 1},
    {MSG_job, "id", SPOOL_ID_MAX},
    {MSG_job, "sender", SPOOL_ADDRESS_MAX},
    {MSG_job, "action", SPOOL_WORD_MAX},
    {MSG_job, "dest", SPOOL_NAME_MAX},
    {MSG_job, "flags", SPOOL_FLAGS_MAX},
    {MSG_job, "nchunks", SPOOL_NCHUNKS_MAX},
    {MSG_job, "envid", SPOOL_ENVID_MAX},
    {MSG_job, "ret", SPOOL_RET_MAX},
    {MSG_job_rcpt, "address", SPOOL_ADDRESS_MAX},
    {MSG_job_rcpt, "user", SPOOL_WORD_MAX},
    {MSG_job_rcpt, "orcpt", SPOOL_ADDRESS_MAX},
    {MSG_job_rcpt, "notify", SPOOL_NOTIFY_MAX},
    {MSG_chunk, "data", SPOOL_CHUNK_MAX},
    {MSG_expand, "address", SPOOL_ADDRESS_MAX},
    {MSG_expand, "action", SPOOL_WORD_MAX},
    {MSG_list_message, "id", SPOOL_ID_MAX},
    {MSG_list_message, "sender", SPOOL_ADDRESS_MAX},
    {MSG_list_message, "client", SPOOL_ADDRESS_MAX},
    {MSG_list_message, "flags", SPOOL_FLAGS_MAX},
    {MSG_list_message, "nchunks", SPOOL_NCHUNKS_MAX},
    {MSG_list_rcpt, "address", SPOOL_ADDRESS_MAX},
    {MSG_list_rcpt, "original", SPOOL_ADDRESS_MAX},
    {MSG_list_rcpt, "action", SPOOL_WORD_MAX},
    {MSG_list_rcpt, "dest", SPOOL_NAME_MAX},
    {MSG_list_rcpt, "status", SPOOL_STATUS_MAX},
    {MSG_list_rcpt, "text", SPOOL_TEXT_MAX},
    {MSG_list_rcpt, "remote", SPOOL_NAME_MAX},
};

/* What the spool lets out, a message can carry; what one brings in, the spool takes. */
static void
test_bounds_of_messages(void **state)
{
	const struct message_field *f;
	size_t i, k, n;

	(void)state;
	for (i = 0; i < NITEMS(bounds); i++) {
		f = message_fields(bounds[i].type, &n);
		for (k = 0; k < n && strcmp(f[k].name, bounds[i].field) != 0; k++)
			continue;
		assert_true(k < n);
		assert_int_equal(f[k].bound, bounds[i].spool);
	}
}

/* A page of an index that is unreadable: the index is made anew, and nothing is lost. */
static void
test_bad_index(void **state)
{
	static const char *const names[] = {"recipient_due", "message_report"};
	struct spool_stats stats;
	struct spool *s;
	uint64_t ids[2];
	char sql[128];
	int64_t page;
	int results[2];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(names); i++) {
		two_messages(ids);
		(void)snprintf(sql, sizeof(sql),
		    "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", names[i]);
		page = tamper(sql, 0);
		memset(disk.files[0].seen + (page - 1) * 4096, 0xa5, 4096);
		assert_non_null(s = fixture_open_sqlite());
		/* The change that meets the damage fails; those after the repair don't. */
		results[0] = results[1] = PENDING;
		spool_failed(s, SPOOL_KEY(ids[0], 0), NOW, &answer, on_done, &results[0]);
		spool_commit(s, NOW);
		assert_int_equal(results[0], EIO);
		spool_stats(s, &stats);
		assert_int_equal(stats.repaired, 1);
		assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 2);
		results[0] = PENDING;
		spool_failed(s, SPOOL_KEY(ids[0], 0), NOW, &answer, on_done, &results[0]);
		spool_delivered(s, SPOOL_KEY(ids[1], 0), on_done, &results[1]);
		spool_commit(s, NOW);
		assert_int_equal(results[0], 0);
		assert_int_equal(results[1], 0);
		spool_close(s);
		assert_non_null(s = fixture_open_sqlite());
		assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 0);
		assert_int_equal(snap_list(s)->nrcpts, 1);
		spool_close(s);
		assert_int_equal(tamper("SELECT count(*) FROM sqlite_schema", 0), 11);
	}
}

/* The schedule alone finds out, too: no change is needed for it. */
static void
test_bad_index_is_read(void **state)
{
	static struct snap t;
	struct spool *s;
	uint64_t ids[2];
	int64_t page;

	(void)state;
	two_messages(ids);
	page = tamper("SELECT rootpage FROM sqlite_schema WHERE name = 'recipient_due'", 0);
	disk.files[0].seen[(page - 1) * 4096] = 0x99;
	assert_non_null(s = fixture_open_sqlite());
	assert_int_equal(spool_due(s, NOW, 10, NULL, on_visit, &t), -1);
	assert_int_equal(errno, EIO);
	assert_true(spool_needs_commit(s));
	spool_commit(s, NOW);
	assert_false(spool_needs_commit(s));
	assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 2);
	spool_close(s);
}

/* A whole page of recipients is unreadable: their mail waits, the process goes on. */
static void
test_bad_page(void **state)
{
	struct spool *s;
	uint64_t ids[2];
	int64_t page;
	int result;

	(void)state;
	two_messages(ids);
	page = tamper("SELECT rootpage FROM sqlite_schema WHERE name = 'recipient'", 0);
	memset(disk.files[0].seen + (page - 1) * 4096, 0xa5, 4096);
	assert_non_null(s = fixture_open_sqlite());
	assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 0);
	assert_int_equal(snap_due(s, NOW, 10, NULL)->nrcpts, 0);
	assert_int_equal(warnings, 2);
	(void)message_put(s, 3000, to, 1, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, EIO);
	assert_false(spool_needs_commit(s));
	spool_close(s);
}

/* Not a spool, or a newer one: refused, untouched. */
static void
test_refused(void **state)
{
	uint64_t ids[2];

	(void)state;
	two_messages(ids);
	(void)tamper("PRAGMA user_version = 99", 0);
	assert_null(fixture_open_sqlite());
	assert_int_equal(errno, EPROTO);
	(void)tamper("PRAGMA user_version = 1", 0);
	(void)tamper("PRAGMA application_id = 7", 0);
	assert_null(fixture_open_sqlite());
	assert_int_equal(errno, EPROTO);
}

/* Every call on a spool with random bytes in it: errors are fine, crashes and loops are not. */
static void
work_on(struct spool *s, const uint64_t ids[2])
{
	static struct snap t;
	struct body_check c = {.good = true};
	int result, i;
	uint64_t id;

	t.nmessages = t.nrcpts = 0;
	if (spool_due(s, NOW, 10, NULL, on_visit, &t) == 0)
		assert_true(t.nrcpts <= 10);
	t.nmessages = t.nrcpts = 0;
	if (spool_list(s, 0, 100, 100, on_visit, &t) == -1)
		assert_int_not_equal(errno, 0);
	for (i = 0; i < 2; i++)
		if (spool_read(s, ids[i], 0, on_chunk, &c) == -1)
			assert_int_not_equal(errno, 0);
	spool_deferred(s, SPOOL_KEY(ids[0], 0), NOW, &answer, NULL, NULL);
	spool_delivered(s, SPOOL_KEY(ids[1], 0), NULL, NULL);
	if (spool_begin(s, NOW, 0, &id) == 0) {
		message_finish(s, id, to, 1, &result);
		spool_commit(s, NOW + 100);
		assert_int_not_equal(result, PENDING);
	}
	spool_remove(s, 0, NULL, NULL);
	spool_commit(s, NOW + 200);
	for (i = 0; i < 50 && spool_idle(s); i++)
		continue;
}

static void
test_random_bytes(void **state)
{
	enum { ROUNDS = 400 };
	uint32_t chance = 12345, flips;
	struct disk_file *d = &disk.files[0];
	struct spool *s;
	uint64_t ids[2];
	size_t at, i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		two_messages(ids);
		for (flips = 1 + (uint32_t)i % 30; flips > 0; flips--) {
			chance = chance * 1664525 + 1013904223;
			at = i % 2 == 0 ? chance >> 8 : (chance >> 8) / 4096 * 4096 + chance % 64;
			d->seen[at % d->seen_len] = (uint8_t)(chance >> 4);
		}
		if ((s = fixture_open_sqlite()) == NULL)
			continue;
		work_on(s, ids);
		spool_close(s);
	}
}

static int
setup(void **state)
{
	int rc = fixture_setup(state);

	log_set_sink(on_log, NULL);
	return rc;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_rows),
	    cmocka_unit_test(test_bounds_of_messages),
	    cmocka_unit_test(test_bad_index),
	    cmocka_unit_test(test_bad_index_is_read),
	    cmocka_unit_test(test_bad_page),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_random_bytes),
	};

	if (disk_register() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}

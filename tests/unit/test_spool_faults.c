/* SPDX-License-Identifier: ISC */
/*
 * The spool on a disk that fails: every write, sync, open, truncate and read
 * of a working day fails in turn, once or for a while, with EIO or ENOSPC;
 * then the power goes.  What was acknowledged is there and whole, what was
 * refused is not, and no handle is ever synced again after a failed sync.
 */
#include "tests/unit/spool_fixture.h"

#include "tests/unit/spool_disk.h"

enum { DAY_MESSAGES = 16, DAY_GROUP = 4 };

enum fate { FATE_NONE, FATE_ACKED, FATE_REFUSED, FATE_GONE, FATE_UNKNOWN };

struct day {
	struct spool *s;
	int64_t now_s;
	uint64_t ids[DAY_MESSAGES], extra;
	int finish[DAY_MESSAGES], verdict[DAY_MESSAGES];
	enum fate fate[DAY_MESSAGES];
};

static const char *const to[] = {"bob@example.net"};

/* Messages 0, 4, 8... are big enough to spill. */
static size_t
day_size(size_t i)
{
	return i % DAY_GROUP == 0 ? 150000 : 3000 + i;
}

static void
day_receive(struct day *d, size_t i)
{
	d->finish[i] = EIO;
	if (spool_begin(d->s, d->now_s, day_size(i), &d->ids[i]) == -1) {
		assert_true(errno == EIO || errno == ENOSPC);
		d->ids[i] = 0;
		return;
	}
	if (body_append(d->s, d->ids[i], day_size(i), SPOOL_CHUNK_MAX) == -1) {
		assert_true(errno == EIO || errno == ENOSPC);
		spool_abandon(d->s, d->ids[i]);
		return;
	}
	message_finish(d->s, d->ids[i], to, 1, &d->finish[i]);
}

static void
day_settle(struct day *d, size_t first)
{
	size_t i;

	d->now_s += 61;
	spool_commit(d->s, d->now_s);
	for (i = 0; i < first + DAY_GROUP; i++) {
		assert_int_not_equal(d->finish[i], PENDING);
		assert_int_not_equal(d->verdict[i], PENDING);
		if (d->fate[i] == FATE_NONE)
			d->fate[i] = d->finish[i] == 0 ? FATE_ACKED : FATE_REFUSED;
		if (d->fate[i] == FATE_ACKED && d->verdict[i] != -2)
			d->fate[i] = d->verdict[i] == 0 ? FATE_GONE : FATE_UNKNOWN;
	}
}

/* One group: four messages come, one of the last group is delivered. */
static void
day_group(struct day *d, size_t first)
{
	size_t i, old;

	for (i = first; i < first + DAY_GROUP; i++) {
		d->verdict[i] = -2;
		day_receive(d, i);
	}
	if (first > 0) {
		old = first - DAY_GROUP + first / DAY_GROUP % DAY_GROUP;
		if (d->fate[old] == FATE_ACKED) {
			d->verdict[old] = PENDING;
			spool_delivered(d->s, SPOOL_KEY(d->ids[old], 0), on_done, &d->verdict[old]);
		}
	}
	day_settle(d, first);
	for (i = 0; i < 3; i++)
		(void)spool_idle(d->s);
}

/* Opening may meet the fault; it is over by the second time, or the tenth. */
static struct spool *
day_open(void)
{
	struct spool *s = NULL;
	int tries;

	for (tries = 0; s == NULL && tries < 50; tries++)
		s = fixture_open_sqlite();
	assert_non_null(s);
	return s;
}

static const struct snap *
day_list(struct day *d)
{
	static struct snap t;

	t.nmessages = t.nrcpts = 0;
	if (spool_list(d->s, 0, SNAP_MAX, SNAP_MAX, on_visit, &t) == -1)
		return NULL;
	return &t;
}

static void
day_check(struct day *d)
{
	const struct snap *t = day_list(d);
	bool there[DAY_MESSAGES] = {false};
	size_t i, k;

	assert_non_null(t);
	for (k = 0; k < t->nmessages; k++) {
		if (t->m[k].id == d->extra)
			continue;
		for (i = 0; i < DAY_MESSAGES && d->ids[i] != t->m[k].id; i++)
			continue;
		assert_true(i < DAY_MESSAGES);
		there[i] = true;
		assert_true(body_is_whole(d->s, d->ids[i], t->m[k].nchunks, t->m[k].size));
	}
	for (i = 0; i < DAY_MESSAGES; i++) {
		if (d->fate[i] == FATE_ACKED)
			assert_true(there[i]);
		if (d->fate[i] == FATE_GONE || d->fate[i] == FATE_REFUSED)
			assert_false(there[i]);
	}
}

/* The machine stops in the middle of a group; a new process finds what is left. */
static void
day_power_cut(struct day *d, long nth)
{
	int result;

	(void)message_put(d->s, day_size((size_t)nth), to, 1, &result);
	disk_power_cut((uint32_t)nth);
	disk.dead = true;
	spool_close(d->s);
	disk.dead = false;
	d->s = fixture_open_sqlite();
	assert_non_null(d->s);
}

/* A whole day under one fault; true when it happened. */
static bool
day_run(enum disk_op op, int error, long nth, long burst)
{
	static struct day d;
	int result;
	size_t i;

	disk_format();
	memset(&d, 0, sizeof(d));
	d.now_s = NOW;
	for (i = 0; i < DAY_MESSAGES; i++)
		d.verdict[i] = -2;
	disk_arm(op, error, nth, burst);
	d.s = day_open();
	disk.resynced = 0; /* making the empty file is SQLite's own affair */
	for (i = 0; i < DAY_MESSAGES; i += DAY_GROUP)
		day_group(&d, i);
	disk.armed = false;
	/* The disk is well: at once, or when the back-off is over, everything works again. */
	day_settle(&d, DAY_MESSAGES - DAY_GROUP);
	day_check(&d);
	d.extra = message_put(d.s, 3000, to, 1, &result);
	spool_commit(d.s, d.now_s);
	assert_int_equal(result, 0);
	day_power_cut(&d, nth);
	day_check(&d);
	assert_int_equal(disk.resynced, 0);
	spool_close(d.s);
	return disk.injected > 0;
}

static void
day_every(enum disk_op op, int error, long burst)
{
	long nth;

	for (nth = 0; day_run(op, error, nth, burst); nth++)
		assert_true(nth < 100000);
	assert_true(nth > 0);
}

static void
test_write_eio(void **state)
{
	(void)state;
	day_every(DISK_WRITE, SQLITE_IOERR, 1);
}

static void
test_write_full(void **state)
{
	(void)state;
	day_every(DISK_WRITE, SQLITE_FULL, 1);
}

static void
test_write_full_for_long(void **state)
{
	(void)state;
	day_every(DISK_WRITE, SQLITE_FULL, 40);
}

static void
test_sync(void **state)
{
	(void)state;
	day_every(DISK_SYNC, SQLITE_IOERR, 1);
}

static void
test_sync_for_long(void **state)
{
	(void)state;
	day_every(DISK_SYNC, SQLITE_IOERR, 5);
}

static void
test_open(void **state)
{
	(void)state;
	day_every(DISK_OPEN, SQLITE_IOERR, 1);
}

static void
test_truncate(void **state)
{
	(void)state;
	day_every(DISK_TRUNCATE, SQLITE_IOERR, 1);
}

static void
test_read(void **state)
{
	(void)state;
	day_every(DISK_READ, SQLITE_IOERR, 1);
}

/* A group that the failed sync may have left in the log is taken back before anything else. */
static void
test_sync_error_told(void **state)
{
	struct spool_stats stats;
	struct spool *s;
	int result;

	(void)state;
	disk_format();
	s = fixture_open_sqlite();
	assert_non_null(s);
	(void)message_put(s, 3000, to, 1, &result);
	disk_arm(DISK_SYNC, SQLITE_IOERR, 0, 1);
	spool_commit(s, NOW);
	assert_int_equal(result, EIO);
	spool_stats(s, &stats);
	assert_int_equal(stats.reopened, 1);
	assert_int_equal(stats.messages, 0);
	assert_int_equal(snap_list(s)->nmessages, 0);
	(void)message_put(s, 3000, to, 1, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, 0);
	assert_int_equal(snap_list(s)->nmessages, 1);
	spool_close(s);
}

/* While the store is down every call answers EIO, and it comes back by itself. */
static void
test_down(void **state)
{
	struct spool *s;
	uint64_t id, old;
	int result, verdict = PENDING;

	(void)state;
	disk_format();
	s = fixture_open_sqlite();
	assert_non_null(s);
	old = message_put(s, 3000, to, 1, &result);
	spool_commit(s, NOW);
	disk_arm(DISK_SYNC, SQLITE_IOERR, 0, 1000000);
	(void)message_put(s, 3000, to, 1, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, EIO);
	assert_int_equal(spool_begin(s, NOW, 0, &id), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(spool_due(s, NOW, 10, NULL, on_visit, NULL), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(spool_list(s, 0, 10, 10, on_visit, NULL), -1);
	spool_delivered(s, SPOOL_KEY(old, 0), on_done, &verdict);
	spool_commit(s, NOW);
	assert_int_equal(verdict, EIO);
	assert_false(spool_needs_commit(s));
	assert_false(spool_idle(s));
	disk.armed = false;
	assert_int_equal(spool_begin(s, NOW + 61, 0, &id), 0);
	assert_int_equal(snap_list(s)->nmessages, 1);
	assert_int_equal(snap_list(s)->m[0].id, old);
	spool_close(s);
}

/* Full: ENOSPC for the group, the same handle goes on when there is room. */
static void
test_full_told(void **state)
{
	struct spool_stats stats;
	struct spool *s;
	int results[3];

	(void)state;
	disk_format();
	s = fixture_open_sqlite();
	assert_non_null(s);
	(void)message_put(s, 3000, to, 1, &results[0]);
	disk_arm(DISK_WRITE, SQLITE_FULL, 0, 1000000);
	spool_commit(s, NOW);
	assert_int_equal(results[0], ENOSPC);
	(void)message_put(s, 100000, to, 1, &results[1]);
	spool_commit(s, NOW);
	assert_int_equal(results[1], ENOSPC);
	disk.armed = false;
	(void)message_put(s, 100000, to, 1, &results[2]);
	spool_commit(s, NOW);
	assert_int_equal(results[2], 0);
	spool_stats(s, &stats);
	assert_int_equal(stats.reopened, 0);
	assert_int_equal(stats.messages, 1);
	spool_close(s);
}

/*
 * A big message that is being received while a group fails: with rows in that
 * group it can't be finished any more; with all its rows in an earlier one it can.
 */
static void
test_unfinished(void **state)
{
	struct spool *s;
	uint64_t early, late;
	int results[4];

	(void)state;
	disk_format();
	s = fixture_open_sqlite();
	assert_non_null(s);
	assert_int_equal(spool_begin(s, NOW, 0, &early), 0);
	assert_int_equal(body_append(s, early, 150000, SPOOL_CHUNK_MAX), 0);
	(void)message_put(s, 10, to, 1, &results[0]);
	spool_commit(s, NOW);
	assert_int_equal(spool_begin(s, NOW, 0, &late), 0);
	assert_int_equal(body_append(s, late, 150000, SPOOL_CHUNK_MAX), 0);
	(void)message_put(s, 10, to, 1, &results[1]);
	disk_arm(DISK_WRITE, SQLITE_FULL, 0, 1000000);
	spool_commit(s, NOW);
	assert_int_equal(results[1], ENOSPC);
	disk.armed = false;
	assert_int_equal(spool_append(s, late, 6, (struct span){NULL, 0}), -1);
	assert_int_equal(errno, ENOSPC);
	message_finish(s, early, to, 1, &results[2]);
	message_finish(s, late, to, 1, &results[3]);
	spool_commit(s, NOW);
	assert_int_equal(results[2], 0);
	assert_int_equal(results[3], ENOSPC);
	assert_int_equal(snap_list(s)->nmessages, 2);
	assert_true(body_is_whole(s, early, snap_list(s)->m[1].nchunks, snap_list(s)->m[1].size) ||
		    body_is_whole(s, early, snap_list(s)->m[0].nchunks, snap_list(s)->m[0].size));
	spool_close(s);
}

struct next_group {
	struct spool *s;
	uint64_t big;
	int small;
};

/* Opens the next group while the log is long, and the disk fails in it. */
static void
on_next_group(void *arg, int error)
{
	struct next_group *g = arg;

	assert_int_equal(error, 0);
	(void)message_put(g->s, 3000, to, 1, &g->small);
	assert_int_equal(spool_begin(g->s, NOW, 0, &g->big), 0);
	disk_arm(DISK_WRITE, SQLITE_IOERR, 0, 1);
	assert_int_equal(body_append(g->s, g->big, 4000000, SPOOL_CHUNK_MAX), -1);
	assert_int_equal(errno, EIO);
}

/* A group that failed before the log was shortened answers so all the same. */
static void
test_failed_before_shortening(void **state)
{
	struct next_group g = {.small = PENDING};
	struct spool_stats stats;
	uint64_t id;
	int result;

	(void)state;
	disk_format();
	assert_non_null(g.s = fixture_open_sqlite());
	assert_int_equal(spool_begin(g.s, NOW, 0, &id), 0);
	assert_int_equal(body_append(g.s, id, 17000000, SPOOL_CHUNK_MAX), 0);
	message_finish(g.s, id, to, 1, &result);
	spool_set_flags(g.s, id, SPOOL_WARNED, 0, on_next_group, &g);
	spool_commit(g.s, NOW);
	assert_int_equal(result, 0);
	assert_int_equal(disk.injected, 1);
	assert_int_equal(g.small, PENDING);
	assert_true(spool_needs_commit(g.s));
	spool_commit(g.s, NOW);
	assert_int_equal(g.small, EIO);
	spool_stats(g.s, &stats);
	assert_int_equal(stats.reopened, 1);
	assert_int_equal(snap_list(g.s)->nmessages, 1);
	spool_close(g.s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sync_error_told),
	    cmocka_unit_test(test_down),
	    cmocka_unit_test(test_full_told),
	    cmocka_unit_test(test_unfinished),
	    cmocka_unit_test(test_failed_before_shortening),
	    cmocka_unit_test(test_write_eio),
	    cmocka_unit_test(test_write_full),
	    cmocka_unit_test(test_write_full_for_long),
	    cmocka_unit_test(test_sync),
	    cmocka_unit_test(test_sync_for_long),
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_truncate),
	    cmocka_unit_test(test_read),
	};

	if (disk_register() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

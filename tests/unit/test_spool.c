/* SPDX-License-Identifier: ISC */
/*
 * What any implementation of queue/spool.h must do.  store_open is the one
 * under test; nothing below knows how it keeps its rows.
 */
#include "tests/unit/spool_fixture.h"

static struct spool *(*store_open)(void) = fixture_open_sqlite;

static const char *const one[] = {"bob@example.net"};
static const char *const three[] = {"a@example.net", "b@example.net", "c@example.net"};
static const struct spool_answer answer = {"4.4.1", "connection refused", "mx.example.net"};

static struct spool *
open_fresh(void)
{
	struct spool *s;

	fixture_wipe();
	s = store_open();
	assert_non_null(s);
	return s;
}

static struct spool *
open_again(struct spool *s)
{
	spool_close(s);
	s = store_open();
	assert_non_null(s);
	return s;
}

static void
commit_ok(struct spool *s, const int *result)
{
	spool_commit(s, NOW);
	assert_int_equal(*result, 0);
}

static bool
skip_none(void *arg, uint64_t key)
{
	(void)arg;
	(void)key;
	return false;
}

/* Bodies of every interesting size, in pieces of every interesting size, come back whole. */
static void
test_bodies(void **state)
{
	static const size_t sizes[] = {
	    0, 1, 4096, SPOOL_CHUNK_MAX - 40, SPOOL_CHUNK_MAX, 65536, 65537, 200000, 3000000};
	static const size_t steps[] = {1000, SPOOL_CHUNK_MAX};
	struct spool *s = open_fresh();
	uint64_t ids[NITEMS(sizes) * NITEMS(steps)];
	int results[NITEMS(ids)];
	struct snap *t;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(ids); i++) {
		size_t size = sizes[i % NITEMS(sizes)];

		assert_int_equal(spool_begin(s, NOW, size, &ids[i]), 0);
		assert_int_equal(body_append(s, ids[i], size, steps[i / NITEMS(sizes)]), 0);
		message_finish(s, ids[i], one, 1, &results[i]);
		assert_int_equal(results[i], PENDING);
	}
	assert_true(spool_needs_commit(s));
	spool_commit(s, NOW);
	assert_false(spool_needs_commit(s));
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->nmessages, NITEMS(ids));
	for (i = 0; i < NITEMS(ids); i++) {
		char trace[64];

		assert_int_equal(results[i], 0);
		assert_int_equal(t->m[i].id, ids[i]);
		assert_int_equal(t->m[i].size,
		    sizes[i % NITEMS(sizes)] + trace_make(ids[i], trace, sizeof(trace)));
		assert_true(body_is_whole(s, ids[i], t->m[i].nchunks, t->m[i].size));
	}
	spool_close(s);
}

static void
test_fields(void **state)
{
	struct spool *s = open_fresh();
	struct snap *t;
	int result;
	uint64_t id = message_put(s, 10, three, 3, &result);

	(void)state;
	commit_ok(s, &result);
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->nmessages, 1);
	assert_int_equal(t->nrcpts, 3);
	assert_string_equal(t->m[0].sender, "alice@example.org");
	assert_string_equal(t->m[0].client, "[192.0.2.1] helo.example");
	assert_int_equal(t->m[0].flags, SPOOL_8BITMIME);
	assert_int_equal(t->r[2].key, SPOOL_KEY(id, 2));
	assert_string_equal(t->r[2].address, "c@example.net");
	assert_string_equal(t->r[2].action, "local");
	assert_int_equal(t->r[2].state, SPOOL_EXPAND);
	assert_int_equal(spool_get(s, id + 1, 9, on_visit, t), -1);
	assert_int_equal(errno, ENOENT);
	spool_close(s);
}

static void
test_begin_append_errors(void **state)
{
	static uint8_t big[SPOOL_CHUNK_MAX + 1];
	struct spool *s = open_fresh();
	uint64_t id, other;

	(void)state;
	assert_int_equal(spool_begin(s, NOW, 1ULL << 60, &id), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(spool_begin(s, NOW, 0, &id), 0);
	assert_int_equal(spool_begin(s, NOW, 0, &other), 0);
	assert_true(other > id && other < 1ULL << 39);
	assert_int_equal(spool_append(s, id, 2, (struct span){big, 1}), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(spool_append(s, id, 1, (struct span){big, sizeof(big)}), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(spool_append(s, other + 1, 1, (struct span){big, 1}), -1);
	assert_int_equal(errno, EINVAL);
	spool_abandon(s, id);
	assert_int_equal(spool_append(s, id, 1, (struct span){big, 1}), -1);
	spool_abandon(s, id);
	spool_close(s);
}

/* What does not fit the bounds is refused whole, and nothing of it stays. */
static void
test_finish_refused(void **state)
{
	char longest[SPOOL_ADDRESS_MAX + 2];
	const char *bad[] = {longest};
	struct spool *s = open_fresh();
	struct spool_message m;
	int result;
	uint64_t id;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	(void)message_put(s, 200000, bad, 1, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, EINVAL);
	(void)message_put(s, 10, one, 0, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, EINVAL);
	assert_int_equal(spool_begin(s, NOW, 0, &id), 0);
	m = message_make(id);
	result = PENDING;
	spool_finish(s, &m, (struct span){NULL, 0}, NULL, SPOOL_RCPT_MAX + 1, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, E2BIG);
	message_finish(s, id, one, 1, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	assert_int_equal(snap_list(s)->nmessages, 0);
	spool_close(s);
}

/* Nothing is shown to the schedule before it is durable. */
static void
test_due_after_commit(void **state)
{
	struct spool *s = open_fresh();
	int result;
	uint64_t id = message_put(s, 10, one, 1, &result);

	(void)state;
	assert_int_equal(snap_due(s, NOW, 10, skip_none)->nrcpts, 0);
	commit_ok(s, &result);
	assert_int_equal(snap_due(s, NOW, 10, skip_none)->nrcpts, 1);
	assert_int_equal(snap_due(s, NOW - 1, 10, skip_none)->nrcpts, 0);
	assert_int_equal(spool_next_due(s, NOW - 1), NOW);
	assert_int_equal(spool_next_due(s, NOW), 0);
	result = PENDING;
	spool_deferred(s, SPOOL_KEY(id, 0), NOW + 60, &answer, on_done, &result);
	assert_int_equal(snap_due(s, NOW, 10, skip_none)->nrcpts, 0);
	commit_ok(s, &result);
	assert_int_equal(spool_next_due(s, NOW), NOW + 60);
	assert_int_equal(snap_due(s, NOW + 60, 10, skip_none)->r[0].attempts, 1);
	assert_string_equal(snap_due(s, NOW + 60, 10, skip_none)->r[0].status, "4.4.1");
	assert_string_equal(snap_list(s)->r[0].text, "connection refused");
	result = PENDING;
	spool_schedule(s, id, NOW, on_done, &result);
	commit_ok(s, &result);
	assert_int_equal(snap_due(s, NOW, 10, skip_none)->nrcpts, 1);
	spool_close(s);
}

/* Later, and nothing else: it was not tried. */
static void
test_postponed(void **state)
{
	struct spool *s = open_fresh();
	int result;
	uint64_t id = message_put(s, 10, one, 1, &result);

	(void)state;
	commit_ok(s, &result);
	result = PENDING;
	spool_postponed(s, SPOOL_KEY(id, 0), NOW + 60, on_done, &result);
	commit_ok(s, &result);
	assert_int_equal(snap_due(s, NOW + 59, 10, skip_none)->nrcpts, 0);
	assert_int_equal(snap_due(s, NOW + 60, 10, skip_none)->nrcpts, 1);
	assert_int_equal(snap_due(s, NOW + 60, 10, skip_none)->r[0].attempts, 0);
	assert_string_equal(snap_due(s, NOW + 60, 10, skip_none)->r[0].status, "");
	result = PENDING;
	spool_postponed(s, SPOOL_KEY(id, 1), NOW + 60, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	spool_close(s);
}

static uint64_t skipped_key;

static bool
skip_one(void *arg, uint64_t key)
{
	(void)arg;
	return key == skipped_key;
}

/* Oldest first, the skipped ones don't count, the limit holds. */
static void
test_due_order(void **state)
{
	struct spool *s = open_fresh();
	int results[3];
	uint64_t ids[3];
	struct snap *t;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		ids[i] = message_put(s, 10, one, 1, &results[i]);
	spool_commit(s, NOW);
	spool_deferred(s, SPOOL_KEY(ids[0], 0), NOW + 30, &answer, NULL, NULL);
	spool_deferred(s, SPOOL_KEY(ids[1], 0), NOW + 10, &answer, NULL, NULL);
	spool_deferred(s, SPOOL_KEY(ids[2], 0), NOW + 20, &answer, NULL, NULL);
	spool_commit(s, NOW);
	skipped_key = SPOOL_KEY(ids[1], 0);
	t = snap_due(s, NOW + 99, 2, skip_one);
	assert_int_equal(t->nrcpts, 2);
	assert_int_equal(t->r[0].key, SPOOL_KEY(ids[2], 0));
	assert_int_equal(t->r[1].key, SPOOL_KEY(ids[0], 0));
	assert_int_equal(snap_due(s, NOW + 99, 1, skip_none)->r[0].key, skipped_key);
	spool_close(s);
}

static void
test_expand(void **state)
{
	struct spool_rcpt into[3] = {rcpt_make("x"), rcpt_make("y"), rcpt_make("z")};
	struct spool *s = open_fresh();
	struct snap *t;
	int result;
	uint64_t id = message_put(s, 10, one, 1, &result), key = SPOOL_KEY(id, 0);

	(void)state;
	commit_ok(s, &result);
	into[0].state = into[1].state = SPOOL_READY;
	result = PENDING;
	spool_expand(s, key, into, 3, NOW, on_done, &result);
	assert_int_equal(snap_due(s, NOW, 10, skip_none)->nrcpts, 0);
	commit_ok(s, &result);
	t = snap_due(s, NOW, 10, skip_none);
	assert_int_equal(t->nrcpts, 3);
	assert_string_equal(t->r[1].address, "y");
	assert_string_equal(t->r[1].original, "bob@example.net");
	assert_int_equal(t->r[2].state, SPOOL_EXPAND);
	result = PENDING; /* it is not in state EXPAND any more */
	spool_expand(s, t->r[0].key, into, 1, NOW, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	spool_delivered(s, t->r[1].key, NULL, NULL); /* numbers are not used again */
	spool_expand(s, t->r[2].key, into, 2, NOW, NULL, NULL);
	spool_commit(s, NOW);
	t = snap_list(s);
	assert_int_equal(t->nrcpts, 3);
	assert_int_equal(t->r[2].key, SPOOL_KEY(id, 3));
	result = PENDING;
	spool_expand(s, key, into, SPOOL_RCPT_MAX + 1, NOW, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, E2BIG);
	assert_int_equal(snap_list(s)->nrcpts, 3);
	spool_close(s);
}

/* An expansion past the bound changes nothing at all. */
static void
test_expand_too_many(void **state)
{
	struct spool_rcpt *into = calloc(SPOOL_RCPT_MAX, sizeof(*into));
	struct spool *s = open_fresh();
	struct spool_stats stats;
	int result;
	uint64_t id = message_put(s, 10, one, 1, &result);
	size_t i;

	(void)state;
	assert_non_null(into);
	for (i = 0; i < SPOOL_RCPT_MAX; i++)
		into[i] = rcpt_make("many@example.net");
	commit_ok(s, &result);
	result = PENDING;
	spool_expand(s, SPOOL_KEY(id, 0), into, SPOOL_RCPT_MAX, NOW, on_done, &result);
	commit_ok(s, &result);
	spool_stats(s, &stats);
	assert_int_equal(stats.recipients, SPOOL_RCPT_MAX);
	result = PENDING;
	spool_expand(s, SPOOL_KEY(id, 7), into, 2, NOW, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, E2BIG);
	spool_remove(s, id, NULL, NULL);
	spool_commit(s, NOW);
	spool_stats(s, &stats);
	assert_int_equal(stats.recipients, 0);
	spool_close(s);
	free(into);
}

/* The message goes with its last recipient, its body too, and only then. */
static void
test_delivered(void **state)
{
	struct spool *s = open_fresh();
	struct spool_stats stats;
	struct body_check c = {.good = true};
	int result, i, steps;
	uint64_t id = message_put(s, 3000000, three, 3, &result);

	(void)state;
	commit_ok(s, &result);
	for (i = 0; i < 3; i++) {
		assert_int_equal(snap_list(s)->nmessages, 1);
		assert_int_equal(spool_read(s, id, 50, on_chunk, &c), 0);
		result = PENDING;
		spool_delivered(s, SPOOL_KEY(id, i), on_done, &result);
		commit_ok(s, &result);
	}
	assert_int_equal(snap_list(s)->nmessages, 0);
	result = PENDING;
	spool_delivered(s, SPOOL_KEY(id, 0), on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	for (steps = 0; spool_idle(s); steps++)
		assert_true(steps < 10000);
	for (i = 0; i < 100; i++) {
		assert_int_equal(spool_read(s, id, (uint32_t)i, on_chunk, &c), -1);
		assert_int_equal(errno, ENOENT);
	}
	spool_stats(s, &stats);
	assert_int_equal(stats.messages, 0);
	assert_int_equal(stats.recipients, 0);
	spool_close(s);
}

static void
test_hold(void **state)
{
	struct spool_rcpt into[2] = {rcpt_make("x"), rcpt_make("y")};
	struct spool *s = open_fresh();
	int result;
	uint64_t id = message_put(s, 10, three, 3, &result);

	(void)state;
	commit_ok(s, &result);
	result = PENDING;
	spool_set_flags(s, id, SPOOL_HELD_MESSAGE, 0, on_done, &result);
	spool_expand(s, SPOOL_KEY(id, 0), into, 2, NOW, NULL, NULL);
	commit_ok(s, &result);
	s = open_again(s);
	assert_int_equal(snap_due(s, NOW, 9, skip_none)->nrcpts, 0);
	assert_int_equal(spool_next_due(s, NOW - 1), 0);
	assert_int_equal(snap_list(s)->m[0].flags, SPOOL_8BITMIME | SPOOL_HELD_MESSAGE);
	result = PENDING;
	spool_set_flags(s, id, SPOOL_WARNED, SPOOL_HELD_MESSAGE, on_done, &result);
	commit_ok(s, &result);
	assert_int_equal(snap_due(s, NOW, 9, skip_none)->nrcpts, 4);
	assert_int_equal(snap_list(s)->m[0].flags, SPOOL_8BITMIME | SPOOL_WARNED);
	result = PENDING;
	spool_set_flags(s, id + 1, SPOOL_WARNED, 0, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	spool_close(s);
}

static void
test_remove_and_schedule_all(void **state)
{
	struct spool *s = open_fresh();
	struct spool_stats stats;
	int results[4], result = PENDING;
	uint64_t ids[4], open_id;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		ids[i] = message_put(s, 100000, three, 3, &results[i]);
	spool_commit(s, NOW);
	spool_deferred(s, SPOOL_KEY(ids[0], 0), NOW + 99, &answer, NULL, NULL);
	spool_failed(s, SPOOL_KEY(ids[1], 0), NOW + 99, &answer, NULL, NULL);
	spool_schedule(s, 0, NOW, on_done, &result);
	commit_ok(s, &result);
	assert_int_equal(snap_due(s, NOW, 99, skip_none)->nrcpts, 11);
	result = PENDING;
	spool_schedule(s, 77, NOW, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	result = PENDING;
	spool_remove(s, ids[2], on_done, &result);
	commit_ok(s, &result);
	assert_int_equal(snap_list(s)->nmessages, 3);
	result = PENDING;
	spool_remove(s, ids[2], on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOENT);
	/* One that is being received survives the removal of all. */
	assert_int_equal(spool_begin(s, NOW, 0, &open_id), 0);
	assert_int_equal(body_append(s, open_id, 100000, SPOOL_CHUNK_MAX), 0);
	result = PENDING;
	spool_remove(s, 0, on_done, &result);
	commit_ok(s, &result);
	while (spool_idle(s))
		continue;
	message_finish(s, open_id, one, 1, &result);
	commit_ok(s, &result);
	spool_stats(s, &stats);
	assert_int_equal(stats.messages, 1);
	assert_int_equal(stats.recipients, 1);
	assert_true(body_is_whole(s, open_id, snap_list(s)->m[0].nchunks, snap_list(s)->m[0].size));
	spool_close(s);
}

static void
test_list_pages(void **state)
{
	static struct snap t;
	struct spool *s = open_fresh();
	int results[5];
	uint64_t ids[5];
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		ids[i] = message_put(s, 10, three, 3, &results[i]);
	spool_commit(s, NOW);
	assert_int_equal(spool_list(s, ids[1], 2, 1, on_visit, &t), 0);
	assert_int_equal(t.nmessages, 2);
	assert_int_equal(t.nrcpts, 2);
	assert_int_equal(t.m[0].id, ids[2]);
	assert_int_equal(t.r[1].key, SPOOL_KEY(ids[3], 0));
	spool_close(s);
}

/* Half-received messages are forgotten at a start, and ids never come back. */
static void
test_restart(void **state)
{
	struct spool *s = open_fresh();
	struct body_check c = {.good = true};
	uint64_t small, big, next;
	int result;

	(void)state;
	assert_int_equal(spool_begin(s, NOW, 0, &small), 0);
	assert_int_equal(body_append(s, small, 100, 100), 0);
	assert_int_equal(spool_begin(s, NOW, 0, &big), 0);
	assert_int_equal(body_append(s, big, 1000000, SPOOL_CHUNK_MAX), 0);
	assert_false(spool_needs_commit(s));
	(void)message_put(s, 10, one, 1, &result);
	commit_ok(s, &result);
	assert_int_equal(spool_read(s, big, 1, on_chunk, &c), 0);
	s = open_again(s);
	assert_int_equal(snap_list(s)->nmessages, 1);
	assert_int_equal(spool_begin(s, NOW - 1000, 0, &next), 0);
	assert_true(next > big);
	while (spool_idle(s))
		continue;
	assert_int_equal(spool_read(s, big, 1, on_chunk, &c), -1);
	assert_int_equal(spool_append(s, big, 32, (struct span){NULL, 0}), -1);
	spool_close(s);
}

/* Many unfinished messages spill to disk, and are whole all the same. */
static void
test_memory_pressure(void **state)
{
	enum { N = 300 };
	struct spool *s = open_fresh();
	static int results[N];
	static uint64_t ids[N];
	struct snap *t;
	size_t i;

	(void)state;
	for (i = 0; i < N; i++) {
		assert_int_equal(spool_begin(s, NOW, 0, &ids[i]), 0);
		assert_int_equal(body_append(s, ids[i], 60000 + i, 30000), 0);
	}
	for (i = 0; i < N; i++)
		message_finish(s, ids[i], one, 1, &results[i]);
	spool_commit(s, NOW);
	t = snap_list(s);
	assert_int_equal(t->nmessages, N);
	for (i = 0; i < N; i++) {
		assert_int_equal(results[i], 0);
		assert_true(body_is_whole(s, ids[i], t->m[i].nchunks, t->m[i].size));
	}
	spool_close(s);
}

struct chain {
	struct spool *s;
	int left, second;
};

static void
on_chain(void *arg, int error)
{
	struct chain *c = arg;

	assert_int_equal(error, 0);
	if (c->left-- > 0)
		(void)message_put(c->s, 10, one, 1, &c->second);
}

/* A done may start the next group; its own done waits for the next commit. */
static void
test_done_starts_group(void **state)
{
	struct spool *s = open_fresh();
	struct chain c = {.s = s, .left = 1};
	struct spool_stats stats;
	int result;
	uint64_t id = message_put(s, 10, one, 1, &result);

	(void)state;
	spool_schedule(s, id, NOW, on_chain, &c);
	commit_ok(s, &result);
	assert_int_equal(c.second, PENDING);
	assert_true(spool_needs_commit(s));
	commit_ok(s, &c.second);
	spool_stats(s, &stats);
	assert_int_equal(stats.largest_group, 2);
	assert_int_equal(stats.changes, 3);
	spool_close(s);
}

/* spool_close() commits what is open and answers. */
static void
test_close_commits(void **state)
{
	struct spool *s = open_fresh();
	int result;

	(void)state;
	(void)message_put(s, 10, one, 1, &result);
	s = open_again(s);
	assert_int_equal(result, 0);
	assert_int_equal(snap_list(s)->nmessages, 1);
	spool_close(s);
}

/* The log's index is on the heap: no file but the database and its log. */
static void
test_no_shared_memory(void **state)
{
	struct spool *s = open_again(open_fresh());
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/spool.db-shm", fixture_dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_null(store_open());
	assert_int_equal(errno, EBUSY);
	spool_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_begin_append_errors),
	    cmocka_unit_test(test_finish_refused),
	    cmocka_unit_test(test_due_after_commit),
	    cmocka_unit_test(test_postponed),
	    cmocka_unit_test(test_due_order),
	    cmocka_unit_test(test_expand),
	    cmocka_unit_test(test_expand_too_many),
	    cmocka_unit_test(test_delivered),
	    cmocka_unit_test(test_hold),
	    cmocka_unit_test(test_remove_and_schedule_all),
	    cmocka_unit_test(test_list_pages),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_memory_pressure),
	    cmocka_unit_test(test_done_starts_group),
	    cmocka_unit_test(test_close_commits),
	    cmocka_unit_test(test_no_shared_memory),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

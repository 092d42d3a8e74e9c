/* SPDX-License-Identifier: ISC */
/*
 * What the parent sends a process of its part: which files go to whom, in
 * which order, how much at once, and what becomes of one that can't be read.
 */
#include "tests/unit/feed_scene.h"

static void
test_to_each_its_files(void **state)
{
	static const struct {
		enum role role;
		const char *journal;
	} cases[] = {
	    {ROLE_VAULT, "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=b.key "
			 "table:secret=secret conf1 lock "},
	    {ROLE_SESSION, "cert:a=a.crt ocsp:a=a.ocsp cert:b=b.crt ca:clients=ca.crt conf1 lock "},
	    {ROLE_QUEUE, "conf1 lock "},
	    {ROLE_FETCH, "conf1 lock "},
	    {ROLE_DELIVERY, "conf1 lock "},
	    {ROLE_CONTROL, "conf1 lock "},
	};
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		scene_make(&s, cases[i].role);
		assert_int_equal(slice_send(s.child), 0);
		assert_true(s.child->locked);
		expect(&s, cases[i].journal);
		scene_free(&s);
	}
}

static void
test_reload_tells_again_but_does_not_lock(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	assert_int_equal(slice_send(s.child), 0);
	hear(&s);
	s.journal[0] = '\0';
	file_put(&s, "b.key", "fresh");
	slice_stop(s.child);
	configure(&s);
	assert_int_equal(slice_send(s.child), 0);
	expect(&s, "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=fresh "
		   "table:secret=secret conf2 ");
	scene_free(&s);
}

static void
test_what_cannot_be_read(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	assert_return_code(unlink(path_of(&s, "a.crt")), errno);
	assert_return_code(unlink(path_of(&s, "a.key")), errno);
	assert_return_code(mkfifo(path_of(&s, "a.key"), 0600), errno);
	file_put_zeros(&s, "a.ocsp", (64 << 10) + 1);
	file_put(&s, "b.crt", "");
	assert_return_code(unlink(path_of(&s, "b.key")), errno);
	assert_return_code(mkdir(path_of(&s, "b.key"), 0700), errno);
	file_put(&s, "secret", ""); /* an empty table is a table */
	assert_int_equal(slice_send(s.child), 0);
	expect(&s, "cert:a=none key:a=none ocsp:a=none cert:b=none key:b=none "
		   "table:secret=\n conf1 lock ");
	scene_free(&s);
}

static void
test_lengths_about_a_piece(void **state)
{
	static const off_t sizes[] = {
	    IPC_CHUNK_MAX - 1, IPC_CHUNK_MAX, IPC_CHUNK_MAX + 1, 2 * IPC_CHUNK_MAX, 1 << 20};
	char want[160];
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(sizes); i++) {
		scene_make(&s, ROLE_SESSION);
		file_put_zeros(&s, "ca.crt", sizes[i]);
		assert_int_equal(slice_send(s.child), 0);
		(void)snprintf(want, sizeof(want),
		    "cert:a=a.crt ocsp:a=a.ocsp cert:b=b.crt ca:clients=%ld conf1 lock ",
		    (long)sizes[i]);
		expect(&s, want);
		scene_free(&s);
	}
}

/* The largest table, and nobody who reads: it waits in the file, not in memory. */
static void
test_large_table_waits(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	file_put_zeros(&s, "secret", 64 << 20);
	assert_int_equal(slice_send(s.child), 0);
	assert_int_not_equal(event_base_loop(s.d.base, EVLOOP_NONBLOCK), -1);
	assert_true(channel_pending_bytes(s.child->ch) <= CHANNEL_HIGH + FRAME_MAX);
	assert_true(s.child->feed.active && !s.child->locked);
	expect(&s, "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=b.key "
		   "table:secret=67108864 conf1 lock ");
	assert_true(s.child->locked);
	scene_free(&s);
}

/* A reload that finds a file on its way ends it, and begins anew. */
static void
test_reload_in_the_middle(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	file_put_zeros(&s, "secret", 8 << 20);
	assert_int_equal(slice_send(s.child), 0);
	assert_true(s.child->feed.fd != -1);
	slice_stop(s.child);
	assert_true(s.child->feed.fd == -1 && !s.child->feed.active);
	configure(&s);
	file_put(&s, "secret", "small");
	assert_int_equal(slice_send(s.child), 0);
	expect(&s, "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=b.key "
		   "table:secret=none "
		   "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=b.key "
		   "table:secret=small conf2 lock ");
	scene_free(&s);
}

static void
test_file_that_shrinks(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	file_put_zeros(&s, "secret", 8 << 20);
	assert_int_equal(slice_send(s.child), 0);
	assert_true(s.child->feed.fd != -1);
	assert_return_code(truncate(path_of(&s, "secret"), 0), errno);
	expect(&s, "cert:a=a.crt key:a=a.key ocsp:a=a.ocsp cert:b=b.crt key:b=b.key "
		   "table:secret=none conf1 lock ");
	scene_free(&s);
}

/* The process dies with half of a table: the descriptor does not stay. */
static void
test_child_that_goes(void **state)
{
	struct scene s;
	int first;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	file_put_zeros(&s, "secret", 8 << 20);
	assert_int_equal(slice_send(s.child), 0);
	assert_true(s.child->feed.fd != -1);
	first = s.child->feed.fd;
	scene_free(&s);
	assert_int_equal(fcntl(first, F_GETFD), -1);
}

static void
quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_to_each_its_files),
	    cmocka_unit_test(test_reload_tells_again_but_does_not_lock),
	    cmocka_unit_test(test_what_cannot_be_read),
	    cmocka_unit_test(test_lengths_about_a_piece),
	    cmocka_unit_test(test_large_table_waits),
	    cmocka_unit_test(test_reload_in_the_middle),
	    cmocka_unit_test(test_file_that_shrinks),
	    cmocka_unit_test(test_child_that_goes),
	};

	log_set_sink(quiet, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

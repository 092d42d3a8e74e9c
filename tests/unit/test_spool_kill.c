/* SPDX-License-Identifier: ISC */
/*
 * The process that holds the spool is killed at random moments, again and
 * again on the same spool: what it said to be durable is there and whole, what
 * it never finished is not listed, and what it delivered may only be missing.
 */
#include "tests/unit/spool_fixture.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

enum { CYCLES = 60, IDS_MAX = 1 << 20 };

struct record { /* what the child writes to the pipe; less than PIPE_BUF, so never torn */
	uint64_t id;
	int what;
};

enum { BEGUN, ACKED, ABANDONED, DELIVERED };

static int pipe_out = -1;
static uint8_t known[IDS_MAX]; /* by id - base: 1 + the last record */
static uint64_t base;

static void
say(uint64_t id, int what)
{
	struct record r = {.id = id, .what = what};

	if (write(pipe_out, &r, sizeof(r)) != (ssize_t)sizeof(r))
		_exit(1);
}

static void
on_acked(void *arg, int error)
{
	if (error == 0)
		say((uint64_t)(uintptr_t)arg, ACKED);
}

/* Takes mail until it is killed: small and big, some abandoned, some delivered. */
static void
child_run(unsigned int seed)
{
	static const char *const to[] = {"bob@example.net"};
	struct spool *s = fixture_open_sqlite();
	struct spool_message m;
	struct spool_rcpt r = rcpt_make(to[0]);
	char trace[64];
	uint64_t id;
	unsigned int n;

	if (s == NULL)
		_exit(2);
	for (n = seed;; n++) {
		size_t size = n % 7 == 0 ? 120000 : n % 3000;

		if (spool_begin(s, NOW, size, &id) == -1)
			_exit(3);
		say(id, BEGUN);
		if (body_append(s, id, size, SPOOL_CHUNK_MAX) == -1)
			_exit(4);
		if (n % 11 == 0) {
			say(id, ABANDONED);
			spool_abandon(s, id);
			continue;
		}
		m = message_make(id);
		spool_finish(s, &m,
		    (struct span){(uint8_t *)trace, trace_make(id, trace, sizeof(trace))}, &r, 1,
		    on_acked, (void *)(uintptr_t)id);
		if (n % 5 == 0)
			spool_commit(s, NOW);
		if (n % 15 == 0) {
			say(id, DELIVERED); /* may be: the kill can come before the commit */
			spool_delivered(s, SPOOL_KEY(id, 0), NULL, NULL);
		}
		if (n % 9 == 0)
			(void)spool_idle(s);
	}
}

/* Reads all that the child said before it died. */
static size_t
parent_listen(int fd)
{
	struct record r;
	size_t acked = 0;

	while (read(fd, &r, sizeof(r)) == (ssize_t)sizeof(r)) {
		if (base == 0)
			base = r.id;
		assert_true(r.id >= base && r.id - base < IDS_MAX);
		if (r.what == BEGUN) /* an id is given out once */
			assert_int_equal(known[r.id - base], 0);
		known[r.id - base] = (uint8_t)(1 + r.what);
		acked += r.what == ACKED;
	}
	return acked;
}

static size_t nlisted;

static void
on_listed(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	uint8_t *there = arg;

	if (r != NULL)
		return;
	assert_true(m->id >= base && m->id - base < IDS_MAX);
	assert_int_not_equal(known[m->id - base], 1 + ABANDONED);
	there[m->id - base] = 1;
	nlisted++;
}

static uint64_t page[64];
static struct {
	uint64_t id, size;
	uint32_t nchunks;
} bodies[64];
static size_t npage;

static void
on_paged(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	(void)arg;
	if (r != NULL)
		return;
	bodies[npage].id = page[npage] = m->id;
	bodies[npage].size = m->size_bytes;
	bodies[npage].nchunks = m->nchunks;
	npage++;
}

/* Everything listed is whole; everything acked and not delivered is listed. */
static void
parent_check(void)
{
	static uint8_t there[IDS_MAX];
	struct spool *s = fixture_open_sqlite();
	struct spool_stats stats;
	uint64_t after = 0;
	size_t i;

	assert_non_null(s);
	memset(there, 0, sizeof(there));
	nlisted = 0;
	assert_int_equal(spool_list(s, 0, IDS_MAX, 1, on_listed, there), 0);
	for (i = 0; i < IDS_MAX; i++)
		if (known[i] == 1 + ACKED)
			assert_true(there[i]);
	for (npage = 0; spool_list(s, after, NITEMS(page), 1, on_paged, NULL) == 0 && npage > 0;
	     npage = 0) {
		for (i = 0; i < npage; i++) {
			assert_true(
			    body_is_whole(s, bodies[i].id, bodies[i].nchunks, bodies[i].size));
			spool_remove(s, bodies[i].id, NULL, NULL);
			known[bodies[i].id - base] = 1 + DELIVERED;
		}
		after = page[npage - 1];
	}
	spool_stats(s, &stats);
	assert_int_equal(stats.messages, 0); /* the count was right, with nlisted removed */
	assert_int_equal(stats.recipients, 0);
	assert_int_equal(stats.quarantined, 0);
	spool_close(s);
}

static void
cycle(unsigned int n)
{
	struct timespec wait = {.tv_nsec = 2000000 + (long)(n * 7919 % 40) * 1000000};
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)close(fds[0]);
		pipe_out = fds[1];
		child_run(n * 13);
	}
	(void)close(fds[1]);
	(void)nanosleep(&wait, NULL); /* the moment of death, not a synchronisation */
	assert_int_equal(kill(pid, SIGKILL), 0);
	(void)parent_listen(fds[0]);
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* and not by a check of its own */
	parent_check();
}

static void
test_kill(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < CYCLES; n++)
		cycle(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kill),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

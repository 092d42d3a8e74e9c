/* SPDX-License-Identifier: ISC */
/*
 * A private key passes through the parent and nothing of it stays: a process that
 * sent one is searched from outside.
 */
#include "tests/unit/feed_scene.h"

#include <sys/wait.h>

#include <signal.h>

#include "lib/role/calls.h"

#define MARK_SIZE 64

/* Octets that stand in no memory but that of who makes them, upon the heap or the stack. */
static void
mark(uint8_t out[MARK_SIZE])
{
	static const char seed[] = "QRS3VWX5YZ2A7BCD";
	size_t i;

	for (i = 0; i < MARK_SIZE; i++)
		out[i] = (uint8_t)((size_t)seed[i % 16] ^ (0x80 + i * 7));
}

/* In a process of its own: ours must never have seen them. */
static void
file_put_marks(const struct scene *s, const char *name)
{
	uint8_t octets[MARK_SIZE];
	int status, i;
	pid_t pid = fork();

	assert_return_code(pid, errno);
	if (pid == 0) {
		FILE *fp = fopen(path_of(s, name), "w");

		mark(octets);
		for (i = 0; fp != NULL && i < 900; i++)
			(void)fwrite(octets, 1, sizeof(octets), fp);
		_exit(fp != NULL && fclose(fp) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* How often a piece of the mark stands in the memory of a process that can be written. */
static size_t
count_marks(pid_t pid)
{
	static uint8_t page[1 << 16];
	char path[64], line[256], mode[8];
	unsigned long from, to, at;
	uint8_t want[MARK_SIZE];
	FILE *maps;
	size_t found = 0;
	int mem;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	assert_non_null(maps = fopen(path, "r"));
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	assert_return_code(mem = open(path, O_RDONLY), errno);
	mark(want);
	while (fgets(line, sizeof(line), maps) != NULL) {
		assert_int_equal(sscanf(line, "%lx-%lx %7s", &from, &to, mode), 3);
		if (mode[1] != 'w')
			continue;
		for (at = from; at < to; at += sizeof(page) - 16) {
			ssize_t n = pread(mem, page, sizeof(page), (off_t)at);
			const uint8_t *p = page;

			while (
			    n >= 16 && (p = memmem(p, (size_t)(page + n - p), want, 16)) != NULL) {
				found++;
				p++;
			}
		}
	}
	/* The next sender is forked from us. */
	explicit_bzero(page, sizeof(page));
	explicit_bzero(want, sizeof(want));
	(void)fclose(maps);
	(void)close(mem);
	return found;
}

/* Sends a key and what else; as a process of its own, which is then looked at from outside. */
static void
sender(struct scene *s, int tell, bool read_by_peer)
{
	char octet = 0;

	if (slice_send(s->child) == -1)
		_exit(1);
	if (read_by_peer) {
		static uint8_t sink[65536];

		do
			while (recv(s->its_fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
				explicit_bzero(sink, sizeof(sink));
		while (event_base_loop(s->d.base, EVLOOP_NONBLOCK) != -1 &&
		       (s->child->feed.active || channel_pending_bytes(s->child->ch) > 0));
		explicit_bzero(sink, sizeof(sink));
	}
	if (write(tell, &octet, 1) != 1)
		_exit(1);
	(void)pause();
	_exit(0);
}

static size_t
marks_in_sender(bool read_by_peer)
{
	struct scene s;
	int tell[2];
	char octet;
	size_t n;
	pid_t pid;

	scene_make(&s, ROLE_VAULT);
	file_put_marks(&s, "b.key");
	if (!read_by_peer)
		file_put_zeros(&s, "a.crt", 512 << 10);
	assert_return_code(pipe(tell), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (pid == 0) {
		if (event_reinit(s.d.base) == -1)
			_exit(1);
		sender(&s, tell[1], read_by_peer);
	}
	assert_int_equal(read(tell[0], &octet, 1), 1);
	n = count_marks(pid);
	assert_return_code(kill(pid, SIGKILL), errno);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(tell[0]);
	(void)close(tell[1]);
	scene_free(&s);
	return n;
}

static void
test_no_key_stays(void **state)
{
	(void)state;
#ifdef ROLE_SANITIZED
	skip(); /* the sanitizer's own memory has no end */
#endif
	/* On its way it can be found, so that the search is known to work. */
	assert_true(marks_in_sender(false) > 0);
	assert_int_equal(marks_in_sender(true), 0);
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
	    cmocka_unit_test(test_no_key_stays),
	};

	log_set_sink(quiet, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Line endings cut at every place, and a real Maildir in a temporary directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/agent_maildir.h"

#define NOW_US 1795393933713518

/* -- CRLF -> LF -- */

struct text {
	const char *data;
	size_t len;
};
#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

static void
check_cut(const struct text *in, const struct text *want, size_t one, size_t two)
{
	const uint8_t *data = (const uint8_t *)in->data;
	uint8_t out[128];
	struct unix_lines u = {false};
	size_t n;

	n = unix_lines_feed(&u, data, one, out);
	n += unix_lines_feed(&u, data + one, two - one, out + n);
	n += unix_lines_feed(&u, data + two, in->len - two, out + n);
	n += unix_lines_end(&u, out + n);
	assert_int_equal(n, want->len);
	assert_memory_equal(out, want->data, n);
}

static void
test_lines(void **state)
{
	static const struct {
		struct text in, out;
	} cases[] = {
	    {TEXT(""), TEXT("")},
	    {TEXT("a\r\nb\r\n"), TEXT("a\nb\n")},
	    {TEXT("\r\n\r\n"), TEXT("\n\n")},
	    {TEXT("a\rb"), TEXT("a\rb")},
	    {TEXT("a\r\r\nb\r"), TEXT("a\r\nb\r")},
	    {TEXT("a\nb\n\r"), TEXT("a\nb\n\r")},
	    {TEXT("\r\r\r"), TEXT("\r\r\r")},
	    {TEXT("\0\r\n\xff\r\n.\r\n"), TEXT("\0\n\xff\n.\n")},
	};
	size_t i, one, two;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		for (one = 0; one <= cases[i].in.len; one++)
			for (two = one; two <= cases[i].in.len; two++)
				check_cut(&cases[i].in, &cases[i].out, one, two);
}

/* Of a binary message not an octet is touched. */
static void
test_lines_off(void **state)
{
	static const struct text in = TEXT("a\r\nb\r\r\n\n\0\r");
	struct unix_lines u = {.off = true};
	uint8_t out[32];
	size_t n;

	(void)state;
	n = unix_lines_feed(&u, (const uint8_t *)in.data, 2, out);
	n += unix_lines_feed(&u, (const uint8_t *)in.data + 2, in.len - 2, out + n);
	n += unix_lines_end(&u, out + n);
	assert_int_equal(n, in.len);
	assert_memory_equal(out, in.data, n);
}

/* -- a Maildir -- */

struct box {
	char dir[64];
	int fd;
	struct maildir m;
};

static int
box_setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -1;
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/test_maildir.XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		return -1;
	b->fd = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	b->m.fd = b->m.tmp_fd = b->m.new_fd = -1;
	*state = b;
	return b->fd == -1 ? -1 : 0;
}

static int
box_teardown(void **state)
{
	struct box *b = *state;
	char command[128];

	maildir_close(&b->m);
	(void)close(b->fd);
	(void)snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s is left\n", b->dir);
	free(b);
	return 0;
}

/* How many entries a directory below the box has, and the name of the last one. */
static int
count_entries(const struct box *b, const char *below, char *name, size_t size)
{
	char path[512];
	struct dirent *e;
	DIR *dir;
	int n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", b->dir, below);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			(void)snprintf(name, size, "%s", e->d_name);
			n++;
		}
	(void)closedir(dir);
	return n;
}

static size_t
read_entry(const struct box *b, const char *below, const char *name, char *dst, size_t size)
{
	char path[1024];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", b->dir, below, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(dst, 1, size, f);
	(void)fclose(f);
	return n;
}

static void
test_deliver(void **state)
{
	struct box *b = *state;
	struct maildir_file f;
	char name[256], text[64];
	struct stat st;

	assert_int_equal(maildir_open(&b->m, b->fd, "a/b/Maildir"), 0);
	assert_int_equal(maildir_file_begin(&b->m, &f, NOW_US), 0);
	assert_int_equal(maildir_file_append(&f, "Subject: x\r", 11), 0);
	assert_int_equal(maildir_file_append(&f, "\n\r\nbody\r\n", 9), 0);
	assert_int_equal(count_entries(b, "a/b/Maildir/new", name, sizeof(name)), 0);
	assert_int_equal(count_entries(b, "a/b/Maildir/tmp", name, sizeof(name)), 1);
	assert_int_equal(maildir_file_finish(&b->m, &f), 0);
	assert_int_equal(maildir_sync(&b->m), 0);
	assert_int_equal(count_entries(b, "a/b/Maildir/tmp", name, sizeof(name)), 0);
	assert_int_equal(count_entries(b, "a/b/Maildir/new", name, sizeof(name)), 1);
	assert_non_null(strstr(name, ",S=17"));
	assert_int_equal(strncmp(name, "1795393933.M713518P", 19), 0);
	assert_int_equal(read_entry(b, "a/b/Maildir/new", name, text, sizeof(text)), 17);
	assert_memory_equal(text, "Subject: x\n\nbody\n", 17);
	assert_int_equal(fstatat(b->fd, "a/b/Maildir", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* More than any buffer, in pieces of odd sizes. */
static void
test_large(void **state)
{
	struct box *b = *state;
	struct maildir_file f;
	static char piece[100001];
	char name[256];
	size_t n, i;

	for (i = 0; i < sizeof(piece); i++)
		piece[i] = i % 10 == 8 ? '\r' : i % 10 == 9 ? '\n' : 'x';
	assert_int_equal(maildir_open(&b->m, b->fd, "Maildir"), 0);
	assert_int_equal(maildir_file_begin(&b->m, &f, NOW_US), 0);
	for (n = 0; n < 100000; n += i) {
		i = 1 + n % 40000;
		if (i > 100000 - n)
			i = 100000 - n;
		assert_int_equal(maildir_file_append(&f, piece + n, i), 0);
	}
	assert_int_equal(maildir_file_finish(&b->m, &f), 0);
	assert_int_equal(f.size_bytes, 90000);
	assert_int_equal(count_entries(b, "Maildir/new", name, sizeof(name)), 1);
}

static void
test_abandon(void **state)
{
	struct box *b = *state;
	struct maildir_file f;
	char name[256];

	assert_int_equal(maildir_open(&b->m, b->fd, "Maildir"), 0);
	assert_int_equal(maildir_file_begin(&b->m, &f, NOW_US), 0);
	assert_int_equal(maildir_file_append(&f, "x", 1), 0);
	maildir_file_abandon(&b->m, &f);
	maildir_file_abandon(&b->m, &f);
	assert_int_equal(count_entries(b, "Maildir/tmp", name, sizeof(name)), 0);
}

/* Names differ even within a microsecond; a file that is there is neither opened nor removed. */
static void
test_unique(void **state)
{
	struct box *b = *state;
	struct maildir_file one, two, three;
	char name[256];

	assert_int_equal(maildir_open(&b->m, b->fd, "Maildir"), 0);
	assert_int_equal(maildir_file_begin(&b->m, &one, NOW_US), 0);
	assert_int_equal(maildir_file_begin(&b->m, &two, NOW_US), 0);
	assert_string_not_equal(one.name, two.name);
	b->m.count = 0;
	assert_int_equal(maildir_file_begin(&b->m, &three, NOW_US), -1);
	assert_int_equal(errno, EEXIST);
	maildir_file_abandon(&b->m, &three);
	assert_int_equal(count_entries(b, "Maildir/tmp", name, sizeof(name)), 2);
	maildir_file_abandon(&b->m, &one);
	maildir_file_abandon(&b->m, &two);
}

static void
test_no_links(void **state)
{
	static const struct {
		const char *path;
		int error;
	} cases[] = {{"link/Maildir", ELOOP}, {"file", ENOTDIR}, {"..", EXDEV}, {"../x", EXDEV},
	    {"/tmp", EINVAL}, {"", EINVAL}, {"a//b", EINVAL}};
	struct box *b = *state;
	size_t i;
	int fd;

	assert_int_equal(symlinkat("/tmp", b->fd, "link"), 0);
	fd = openat(b->fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd != -1);
	(void)close(fd);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = 0;
		assert_int_equal(maildir_open(&b->m, b->fd, cases[i].path), -1);
		assert_int_equal(errno, cases[i].error);
		assert_int_equal(b->m.fd, -1);
	}
	assert_int_equal(mkdirat(b->fd, "Maildir", 0700), 0);
	assert_int_equal(symlinkat("/tmp", b->fd, "Maildir/new"), 0);
	assert_int_equal(maildir_open(&b->m, b->fd, "Maildir"), -1);
	assert_int_equal(errno, ELOOP);
}

#define WITH_BOX(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_lines_off),
	    WITH_BOX(test_deliver),
	    WITH_BOX(test_large),
	    WITH_BOX(test_abandon),
	    WITH_BOX(test_unique),
	    WITH_BOX(test_no_links),
	};

	return cmocka_run_group_tests_name("maildir", tests, NULL, NULL);
}

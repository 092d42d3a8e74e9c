/* SPDX-License-Identifier: ISC */
/* What everything stands on: buffers, strings, maps, ages, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

/* -- buf -- */

static void
test_buf_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_null(b.data);
	assert_int_equal(buf_append(&b, "12345", 5), 0);
	assert_int_equal(buf_append(&b, "67890", 5), 0);
	errno = 0;
	assert_int_equal(buf_append(&b, "x", 1), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_null(buf_reserve(&b, SIZE_MAX)); /* no sum of it may wrap */
	assert_null(buf_reserve(&b, SIZE_MAX - 5));
	assert_int_equal(b.len, 10);
	assert_true(b.cap <= 10);
	buf_consume(&b, 4);
	assert_int_equal(buf_append(&b, "abcd", 4), 0); /* what was read makes room */
	assert_memory_equal(buf_head(&b), "567890abcd", 10);
	buf_free(&b);
	assert_int_equal(buf_append_str(&b, "again"), 0);
	buf_free(&b);
}

/* A queue of any rhythm gives back what was put in, in order. */
static void
test_buf_order(void **state)
{
	uint8_t put = 0, got = 0;
	struct buf b;
	size_t i, k;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < 20000; i++) {
		for (k = 0; k < i % 7; k++, put++)
			if (buf_append(&b, &put, 1) == -1)
				break;
		for (k = 0; k < i % 5 && b.len > 0; k++, got++) {
			assert_int_equal(*buf_head(&b), got);
			buf_consume(&b, 1);
		}
		assert_int_equal((uint8_t)(put - got), b.len % 256);
		assert_true(b.cap <= 1000);
	}
	buf_free(&b);
}

static void
test_buf_printf(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 9); /* the NUL that printf writes must fit, though it does not count */
	assert_int_equal(buf_printf(&b, "%d-%s", 12, "ab"), 0);
	assert_int_equal(b.len, 5);
	assert_int_equal(buf_printf(&b, "%s", "cde"), 0);
	assert_memory_equal(buf_head(&b), "12-abcde", 8);
	assert_int_equal(buf_printf(&b, "%s", "f"), -1);
	assert_int_equal(b.len, 8);
	buf_free(&b);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	buf_free(&b);
}

/* -- str -- */

static void
test_str_never_cuts(void **state)
{
	char s[6];

	(void)state;
	assert_int_equal(str_copy(s, sizeof(s), "12345"), 0);
	assert_string_equal(s, "12345");
	assert_int_equal(str_append(s, sizeof(s), "6"), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_string_equal(s, "12345");
	assert_int_equal(str_copy(s, sizeof(s), "123456"), -1);
	assert_string_equal(s, "");
	assert_int_equal(str_append(s, sizeof(s), "abc"), 0);
	assert_int_equal(str_append(s, sizeof(s), "de"), 0);
	assert_string_equal(s, "abcde");
	assert_int_equal(str_format(s, sizeof(s), "%d", 99999), 0);
	assert_int_equal(str_format(s, sizeof(s), "%d", 100000), -1);
	assert_string_equal(s, "");
	str_cut(s, sizeof(s), "1234567");
	assert_string_equal(s, "12345");
}

static void
test_str_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int error;
		uint64_t value;
	} cases[] = {
	    {"0", 0, UINT64_MAX, 0, 0},
	    {"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
	    {"18446744073709551616", 0, UINT64_MAX, ERANGE, 0},
	    {"99999999999999999999", 0, UINT64_MAX, ERANGE, 0},
	    {"184467440737095516150", 0, UINT64_MAX, ERANGE, 0},
	    {"007", 0, 10, 0, 7},
	    {"10", 0, 10, 0, 10},
	    {"11", 0, 10, ERANGE, 0},
	    {"4", 5, 10, ERANGE, 0},
	    {"", 0, 10, EINVAL, 0},
	    {"-1", 0, UINT64_MAX, EINVAL, 0},
	    {"+1", 0, 10, EINVAL, 0},
	    {" 1", 0, 10, EINVAL, 0},
	    {"1 ", 0, 10, EINVAL, 0},
	    {"0x1", 0, 10, EINVAL, 0},
	    {"1e3", 0, 9999, EINVAL, 0},
	    {"1\n", 0, 10, EINVAL, 0},
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		int rc = str_u64(cases[i].text, cases[i].min, cases[i].max, &v);

		if (cases[i].error == 0 && (rc != 0 || v != cases[i].value))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].error != 0 && (rc != -1 || errno != cases[i].error))
			fail_msg("\"%s\" taken", cases[i].text);
	}
}

static void
test_str_case(void **state)
{
	char s[] = "MiXeD \xc4 [@`{";

	(void)state;
	assert_true(str_equal_nocase("EXAMPLE.org", "example.ORG"));
	assert_false(str_equal_nocase("a", "ab"));
	assert_false(str_equal_nocase("[", "{")); /* letters alone have a case */
	assert_true(str_starts_nocase("FROM:<x>", "from:"));
	assert_false(str_starts_nocase("FRO", "from"));
	assert_true(str_starts_nocase("x", ""));
	str_lower(s);
	assert_string_equal(s, "mixed \xc4 [@`{");
}

static void
test_str_quote(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"word", "word"},
	    {"a@b.example", "a@b.example"},
	    {"", "\"\""},
	    {"two words", "\"two words\""},
	    {"a=b", "\"a=b\""},
	    {"say \"x\"", "\"say \\\"x\\\"\""},
	    {"back\\slash", "\"back\\\\slash\""},
	    {"x\" key=\"y", "\"x\\\" key=\\\"y\""},
	    {"line\r\nline", "\"line\\x0d\\x0aline\""},
	    {"\x1b[2J\x7f\xff", "\"\\x1b[2J\\x7f\\xff\""},
	};
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		str_quote(out, sizeof(out), cases[i].in);
		assert_string_equal(out, cases[i].out);
	}
	/* Whatever the room, it ends in a quote and says that it was cut. */
	for (i = 16; i < sizeof(out); i++) {
		char *exact = malloc(i);

		assert_non_null(exact);
		str_quote(
		    exact, i, "\xff\xff\xff \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
		assert_true(strlen(exact) < i);
		assert_string_equal(exact + strlen(exact) - 4, "...\"");
		free(exact);
	}
}

static void
test_str_escape(void **state)
{
	char out[32];
	size_t n;

	(void)state;
	str_escape(out, sizeof(out), "a\nb\0c\x80", 6);
	assert_string_equal(out, "a\\x0ab\\x00c\\x80");
	for (n = 8; n < 20; n++) {
		char *exact = malloc(n);

		assert_non_null(exact);
		str_escape(exact, n, "\n\n\n\n\n\n\n\n", 8);
		assert_true(strlen(exact) < n);
		assert_string_equal(exact + strlen(exact) - 3, "...");
		free(exact);
	}
}

static void
test_str_hide(void **state)
{
	static const struct {
		const char *text, *secret, *left;
	} cases[] = {
	    {"no such thing", "password", "no such thing"},
	    {"xpasswordx", "password", "x********x"},
	    {"password", "password", "********"},
	    {"passwor", "password", "passwor"}, /* may be any word */
	    {"passpass, pas", "pass", "********, pas"},
	    {"3456789a and a1234567", "0123456789ab", "******** and a1234567"},
	    {"0123456789abc", "0123456789ab", "************c"},
	    {"aaaaaaaaaaa", "aaaaaaaaa", "***********"},
	    {"", "password", ""},
	    {"left", "", "left"},
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(str_copy(text, sizeof(text), cases[i].text), 0);
		str_hide(text, cases[i].secret, strlen(cases[i].secret));
		assert_string_equal(text, cases[i].left);
	}
}

static void
test_str_id(void **state)
{
	static const char *const wrong[] = {"", "0", "000000000", "00000000000000001", "000000000g",
	    "0x00000001", "00000000 1", "-000000001"};
	char text[STR_ID_SIZE];
	uint64_t id;
	size_t i;

	(void)state;
	str_id(text, 0x1234abcd);
	assert_string_equal(text, "001234abcd");
	assert_int_equal(str_id_parse(text, &id), 0);
	assert_int_equal(id, 0x1234abcd);
	assert_int_equal(str_id_parse("001234ABCD", &id), 0);
	assert_int_equal(id, 0x1234abcd);
	str_id(text, UINT64_MAX);
	assert_int_equal(str_id_parse(text, &id), 0);
	assert_true(id == UINT64_MAX);
	for (i = 0; i < NITEMS(wrong); i++)
		assert_int_equal(str_id_parse(wrong[i], &id), -1);
}

static void
test_str_nearest(void **state)
{
	static const char *const words[] = {"action", "match", "listen", "table", NULL};

	(void)state;
	assert_string_equal(str_nearest("acton", words), "action");
	assert_string_equal(str_nearest("match", words), "match");
	assert_string_equal(str_nearest("lsiten", words), "listen");
	assert_null(str_nearest("zzzzzz", words));
	assert_null(str_nearest("", words));
	assert_null(str_nearest("a word that is longer than any of those that it could be", words));
}

/* -- map -- */

static int
count_values(void *arg, void *value)
{
	size_t *n = arg;

	assert_non_null(value);
	return ++*n == 1000 ? 7 : 0;
}

static void
test_map(void **state)
{
	static char values[5000];
	struct map *m = map_create(NITEMS(values));
	size_t i, n = 0;

	(void)state;
	assert_non_null(m);
	for (i = 0; i < NITEMS(values); i++)
		assert_int_equal(map_set_u64(m, i * 0x10001, &values[i]), 0);
	assert_int_equal(map_set_u64(m, 1, &values[0]), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(map_set_u64(m, 0, &values[1]), 0); /* an old key needs no room */
	assert_ptr_equal(map_get_u64(m, 0), &values[1]);
	assert_int_equal(map_each(m, count_values, &n), 7);
	assert_int_equal(n, 1000);
	for (i = 1; i < NITEMS(values); i += 2)
		assert_ptr_equal(map_remove_u64(m, i * 0x10001), &values[i]);
	for (i = 1; i < NITEMS(values); i++)
		assert_ptr_equal(map_get_u64(m, i * 0x10001), i % 2 ? NULL : &values[i]);
	assert_null(map_remove_u64(m, 1));
	assert_int_equal(map_count(m), NITEMS(values) / 2);
	map_free(m, NULL);
}

static void
test_map_strings(void **state)
{
	struct map *m = map_create(10);
	char key[] = "key";

	(void)state;
	assert_non_null(m);
	assert_int_equal(map_set(m, key, strdup("one")), 0);
	key[0] = 'K'; /* it has its own copy */
	assert_null(map_get(m, "Key"));
	assert_string_equal(map_get(m, "key"), "one");
	assert_int_equal(map_set(m, "", strdup("empty")), 0);
	assert_string_equal(map_get(m, ""), "empty");
	free(map_remove(m, "key"));
	assert_null(map_get(m, "key"));
	map_free(m, free);
	map_free(NULL, free);
}

/* -- time -- */

static void
test_age(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
	    {INT64_MIN, "0s"},
	    {-1, "0s"},
	    {0, "0s"},
	    {59, "59s"},
	    {60, "1m00s"},
	    {3599, "59m59s"},
	    {3600, "1h00m"},
	    {86399, "23h59m"},
	    {86400, "1d0h"},
	    {200000, "2d7h"},
	    {INT64_MAX, "106751991167300d15h"},
	};
	char text[TIME_AGE_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		time_age(text, cases[i].seconds);
		assert_string_equal(text, cases[i].text);
	}
	assert_true(time_mono_ms() <= time_mono_ms());
	assert_true(time_wall_s() > 1700000000);
}

/* -- log -- */

static char line[LOG_LINE_MAX];
static unsigned int lines;

static void
keep(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	lines++;
	str_cut(line, sizeof(line), text);
}

static void
check_printable(void)
{
	const char *p;

	for (p = line; *p != '\0'; p++)
		assert_true(*p >= ' ' && *p <= '~');
}

static void
test_log_values(void **state)
{
	struct logline l;

	(void)state;
	log_set_sink(keep, NULL);
	logline_start(&l, LOG_LEVEL_INFO, "test");
	logline_str(&l, "a", "plain");
	logline_str(&l, "b", "x\" c=\"y\r\nevent=forged");
	logline_u64(&l, "d", UINT64_MAX);
	logline_i64(&l, "e", INT64_MIN);
	logline_id(&l, "f", 10);
	logline_end(&l);
	assert_string_equal(line,
	    "event=test a=plain b=\"x\\\" c=\\\"y\\x0d\\x0aevent=forged\" d=18446744073709551615 "
	    "e=-9223372036854775808 f=000000000a");
	log_info("raw %s", "\x1b[2J\n\xe9");
	assert_string_equal(line, "raw \\x1b[2J\\x0a\\xe9");
	log_set_sink(NULL, NULL);
}

static void
test_log_long(void **state)
{
	static char text[3 * LOG_LINE_MAX];
	struct logline l;
	int i;

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	log_set_sink(keep, NULL);
	logline_start(&l, LOG_LEVEL_WARN, "test");
	for (i = 0; i < 5; i++)
		logline_str(&l, "k", text);
	logline_end(&l);
	assert_true(strlen(line) < LOG_LINE_MAX);
	check_printable();
	log_warn("%s", text);
	assert_true(strlen(line) < LOG_LINE_MAX);
	assert_string_equal(line + strlen(line) - 3, "...");
	check_printable();
	log_set_sink(NULL, NULL);
}

static void
test_log_levels(void **state)
{
	(void)state;
	log_set_sink(keep, NULL);
	lines = 0;
	log_debug("unheard");
	assert_int_equal(lines, 0);
	assert_false(log_is_verbose());
	log_set_verbose(true);
	assert_true(log_is_verbose());
	log_debug("heard");
	assert_int_equal(lines, 1);
	log_set_verbose(false);
	log_set_sink(NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_buf_ceiling),
	    cmocka_unit_test(test_buf_order),
	    cmocka_unit_test(test_buf_printf),
	    cmocka_unit_test(test_str_never_cuts),
	    cmocka_unit_test(test_str_u64),
	    cmocka_unit_test(test_str_case),
	    cmocka_unit_test(test_str_quote),
	    cmocka_unit_test(test_str_escape),
	    cmocka_unit_test(test_str_hide),
	    cmocka_unit_test(test_str_id),
	    cmocka_unit_test(test_str_nearest),
	    cmocka_unit_test(test_map),
	    cmocka_unit_test(test_map_strings),
	    cmocka_unit_test(test_age),
	    cmocka_unit_test(test_log_values),
	    cmocka_unit_test(test_log_long),
	    cmocka_unit_test(test_log_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

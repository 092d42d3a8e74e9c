/* SPDX-License-Identifier: ISC */
/* Regular expressions of tables: what they match, which are refused, and what the worst of them cost. */
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lookup/regex.h"
#include "lookup/table_memory.h"

#define A64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A256 A64 A64 A64 A64

static const struct {
	const char *regex, *subject;
	enum table_answer want;
} matches[] = {
    {"^a[0-9]+$", "a1", TABLE_YES},
    {"^a[0-9]+$", "a", TABLE_NO},
    {"^a[0-9]+$", "A1", TABLE_NO},
    {"(?i)^UPPER$", "upper", TABLE_YES},
    {"x.*y|z{2}", "axby", TABLE_YES},
    {"x.*y|z{2}", "zz", TABLE_YES},
    {"x.*y|z{2}", "z", TABLE_NO},
    {"^$", "", TABLE_YES},
    {"\\.example\\.(org|net)$", "mx.example.net", TABLE_YES},
    {"[]a]", "]", TABLE_YES},
    {"[\\1]", "\\", TABLE_YES},
    {A256, A256 A256, TABLE_YES},
    {"^a|b$", "xa", TABLE_NO},
    {"^a|b$", "xb", TABLE_YES},
    {"b|^$", "", TABLE_YES},
    {"(^a|^b)c", "abc", TABLE_NO},
    {"a[)]|\\)b", "a)", TABLE_YES},
    {"(?i)^A", "ba", TABLE_NO},
    {"a", A256 A256 "a", TABLE_TROUBLE},
    {"^a", "b\na", TABLE_TROUBLE},
};

static void
test_matches(void **state)
{
	const char *why = NULL;
	struct regex *r;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(matches); i++) {
		print_message("%s on %s\n", matches[i].regex, matches[i].subject);
		assert_non_null(r = regex_create(matches[i].regex, &why));
		assert_int_equal(regex_matches(r, matches[i].subject), matches[i].want);
		regex_free(r);
	}
}

static const struct {
	const char *regex, *why;
} refused[] = {
    {A256 "a", "too long"},
    {"(unclosed", "not a regular expression"},
    {"[unclosed", "not a regular expression"},
    {"a\\", "not a regular expression"},
    {"*a{,", "not a regular expression"},
    {"(a)\\1", "back-reference"},
    {"(a*)(b*)\\2", "back-reference"},
    {"[a]\\9", "back-reference"},
    {"[[:alpha:]]\\1", "back-reference"},
    {"a{1001}", "too many states, by its repetitions"},
    {"a{500,}b{600}", "too many states, by its repetitions"},
    {"(a{40}){40}", "too many states, by its repetitions"},
    {"((a{10}){10}){10}", "too many states, by its repetitions"},
    {"(((a{10}){10}){10}){10}", "too many states, by its repetitions"},
    {"a{10}{10}", "two repetitions in a row"},
    {"a*?", "two repetitions in a row"},
    {"1?????????????+++M+++++", "two repetitions in a row"},
    {"^((1?)+){50}", "too many endless repetitions of what may be empty"},
    {"^(((((1?)+)+)+)+)+", "too many endless repetitions of what may be empty"},
    {"^((1|2?)*){9}", "too many endless repetitions of what may be empty"},
    {"(a|)", "an empty alternative"},
    {"a||b", "an empty alternative"},
    {"|a", "an empty alternative"},
    {"a|", "an empty alternative"},
    {"((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+", "too many states, by its repetitions"},
    {"a{99999999999999999999}", "too many states, by its repetitions"},
    {"((((((((((((((((((((((((((((((((((a", "groups nested too deep"},
    {"a)b", "a ')' without its '('"},
    {"(a)|b)", "a ')' without its '('"},
};

static void
test_refused(void **state)
{
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(refused); i++) {
		print_message("%s\n", refused[i].regex);
		why = NULL;
		assert_null(regex_create(refused[i].regex, &why));
		assert_string_equal(why, refused[i].why);
	}
}

static const struct {
	const char *regex;
	size_t states;
} sizes[] = {
    {"", 1},
    {"abc", 3},
    {"(?i)abc", 3},
    {"a|b", 3},
    {"[a-z[:digit:]]", 1},
    {"[]{5}]", 1},
    {"[^]{5}]", 1},
    {"[[.].]{5}]", 1},
    {"\\{\\5{", 0},
    {"a{3}", 6},
    {"a{2,3}", 6},
    {"a{3,}", 8},
    {"(ab)", 4},
    {"(ab){2}", 10},
    {"a+", 4},
    {"a*", 2},
};

static void
test_sizes(void **state)
{
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(sizes); i++) {
		print_message("%s\n", sizes[i].regex);
		assert_int_equal(regex_states(sizes[i].regex, &why), sizes[i].states);
	}
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#define COST_MS 2000 /* of 20 questions */
#ifdef __SANITIZE_ADDRESS__
#define COST_KIB (512 << 10) /* freed memory is held back */
#else
#define COST_KIB (64 << 10)
#endif

/* What makes backtracking matchers, and automata that are built whole, stand still. */
static void
test_cost(void **state)
{
	static const char *const evil[] = {"^(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){60}x",
	    "(a?){20}a{20}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|b)*a(a|b){120}",
	    "(a|aa|aaa|aaaa){1,60}b", "((a|b)*a){1,30}(a|b){100}", "[ab]*a[ab]{300}c",
	    "(a|b|ab|ba)*a(a|b){120}c"};
	char subject[REGEX_SUBJECT_MAX + 1];
	const char *why = NULL;
	struct regex *r;
	struct rusage before, after;
	size_t i, j, k;

	(void)state;
	srandom(7);
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	for (i = 0; i < NITEMS(evil); i++) {
		int64_t began = now_ms();

		assert_non_null(r = regex_create(evil[i], &why));
		for (j = 0; j < 20; j++) {
			for (k = 0; k < REGEX_SUBJECT_MAX; k++)
				subject[k] = "ab"[j == 0 ? 0 : random() % 2];
			subject[REGEX_SUBJECT_MAX] = '\0';
			assert_int_not_equal(regex_matches(r, subject), TABLE_TROUBLE);
		}
		regex_free(r);
		print_message("%s: %lld ms for 20\n", evil[i], (long long)(now_ms() - began));
		/* About 3 ms a question at most, and ten times as much under sanitizers. */
		assert_true(now_ms() - began < COST_MS);
	}
	assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
	print_message("%ld KiB more\n", after.ru_maxrss - before.ru_maxrss);
	assert_true(after.ru_maxrss - before.ru_maxrss < COST_KIB);
}

static size_t lines;

static void
count_lines(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	lines += strstr(line, "event=regex") != NULL;
}

static void
test_table(void **state)
{
	struct table *t = table_create("list");
	char keys[TABLE_REGEXES_MAX + 20][8];
	size_t i;

	(void)state;
	assert_non_null(t);
	log_set_sink(count_lines, NULL);
	assert_int_equal(table_add(t, "(unclosed", NULL), 0);
	assert_int_equal(table_add(t, "(a)\\1", NULL), 0);
	for (i = 0; i < NITEMS(keys); i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "^%zu$", i);
		assert_int_equal(table_add(t, keys[i], NULL), 0);
	}
	assert_int_equal(table_has_regex(t, "0"), TABLE_YES);
	assert_int_equal(table_has_regex(t, "999"), TABLE_YES);
	/* What those that are refused would have said is not known. */
	assert_int_equal(table_has_regex(t, "1000"), TABLE_TROUBLE);
	assert_int_equal(table_has_regex(t, "(unclosed"), TABLE_TROUBLE);
	assert_int_equal(table_has_regex(t, A256 A256 A256), TABLE_TROUBLE);
	assert_int_equal(lines, 11); /* ten, and how many there are */
	table_free(t);
	assert_non_null(t = table_create("good"));
	assert_int_equal(table_add(t, "^a$", NULL), 0);
	assert_int_equal(table_has_regex(t, "a"), TABLE_YES);
	assert_int_equal(table_has_regex(t, "b"), TABLE_NO);
	assert_int_equal(lines, 11);
	table_free(t);
}

/* What is asked of a table is asked of all its expressions: together they have a bound, too. */
static void
test_states_of_a_table(void **state)
{
	char keys[TABLE_STATES_MAX / REGEX_STATES_MAX + 2][16];
	struct table *t = table_create("list");
	size_t i;

	(void)state;
	assert_non_null(t);
	log_set_sink(NULL, NULL);
	for (i = 0; i < NITEMS(keys); i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "(%c{490})", (char)('0' + i));
		assert_int_equal(table_add(t, keys[i], NULL), 0);
	}
	assert_int_equal(table_add(t, "^x$", NULL), 0);
	assert_int_equal(table_has_regex(t, "x"), TABLE_YES);
	assert_int_equal(table_has_regex(t, "y"), TABLE_TROUBLE);
	table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_matches),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_cost),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_states_of_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

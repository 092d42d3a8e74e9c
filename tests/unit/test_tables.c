/* SPDX-License-Identifier: ISC */
/* The set of tables: what a reload keeps, what files bring, what they include. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lookup/memo.h"
#include "lookup/table_memory.h"
#include "lookup/tables.h"

struct scene {
	struct tables *tables;
	struct conf *conf;
};

static void
configure(struct scene *s, const char *text)
{
	struct conf_errors errors;
	struct conf *conf = conf_parse_text("test", text, strlen(text), &errors);

	conf_errors_free(&errors);
	assert_non_null(conf);
	assert_int_equal(tables_configure(s->tables, conf), 0);
	conf_free(s->conf);
	s->conf = conf;
}

static void
scene_make(struct scene *s, const char *text)
{
	*s = (struct scene){.tables = tables_create(NULL)};
	assert_non_null(s->tables);
	configure(s, text);
}

static void
scene_free(struct scene *s)
{
	tables_free(s->tables);
	conf_free(s->conf);
}

/* A file of this text; it is taken over by whoever gets it. */
static int
file_of(const char *text, size_t len)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int
load(struct scene *s, const char *name, const char *text)
{
	return tables_load(s->tables, name, file_of(text, strlen(text)));
}

static int
include(struct scene *s, const char *path, const char *text)
{
	return tables_load_include(s->tables, "t", path, file_of(text, strlen(text)));
}

static enum table_answer
has_word(const struct scene *s, const char *word)
{
	struct table_ref t;

	tables_find(s->tables, "t", &t);
	return t.memory == NULL ? TABLE_TROUBLE : table_has_word(t.memory, word);
}

/* A file's table that turns inline on reload, and back, is the one of its own configuration. */
static void
test_across_reloads(void **state)
{
	static const struct {
		const char *text;
		enum table_answer has_a;
		bool known;
	} rows[] = {
	    {"table t { a }\n", TABLE_YES, true},
	    {"table t file:/nonexistent\n", TABLE_TROUBLE, true},
	    {"table t { b }\n", TABLE_NO, true},
	    {"table u { c }\n", TABLE_TROUBLE, false},
	};
	struct table_ref t;
	struct scene s;
	size_t i;

	(void)state;
	scene_make(&s, "");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		configure(&s, rows[i].text);
		assert_int_equal(has_word(&s, "a"), rows[i].has_a);
		tables_find(s.tables, "t", &t);
		assert_int_equal(t.known, rows[i].known);
	}
	scene_free(&s);
}

/* What a file brought stays until it comes again, over reloads and over a file that is no good. */
static void
test_files(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, "table t file:/x\n");
	assert_int_equal(has_word(&s, "a"), TABLE_TROUBLE);
	assert_int_equal(load(&s, "t", "a\nb\n"), 0);
	assert_int_equal(has_word(&s, "a"), TABLE_YES);
	configure(&s, "table t file:/y\ntable u { c }\n");
	assert_int_equal(has_word(&s, "a"), TABLE_YES);
	assert_int_equal(tables_load(s.tables, "t", open("/", O_RDONLY | O_DIRECTORY)), -1);
	assert_int_equal(has_word(&s, "a"), TABLE_YES);
	assert_int_equal(load(&s, "t", "b\n"), 0);
	assert_int_equal(has_word(&s, "a"), TABLE_NO);
	assert_int_equal(load(&s, "nobody", "a\n"), -1);
	configure(&s, "table u { c }\n");
	assert_int_equal(load(&s, "t", "a\n"), -1);
	scene_free(&s);
}

static void
assert_include(const struct scene *s, const char *path, const char *want)
{
	enum table_answer a;
	const char *text;

	a = tables_include(s->tables, "t", path, &text);
	assert_int_equal(a, want == NULL ? TABLE_TROUBLE : TABLE_YES);
	if (want != NULL)
		assert_string_equal(text, want);
}

/* What is included by what was loaded is there by now, or will not come. */
static void
settle(struct scene *s)
{
	tables_tick(s->tables, 1);
	tables_tick(s->tables, 10001);
}

/* A file that is included stays while its table is read again, and goes when it isn't included any more. */
static void
test_includes(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, "table t file:/x\n");
	assert_include(&s, "/one", NULL);
	assert_int_equal(load(&s, "t", "a: :include:/one\n"), 0);
	settle(&s);
	assert_include(&s, "/one", NULL);
	assert_int_equal(include(&s, "/one", "alice"), 0);
	assert_int_equal(include(&s, "/two", "bob"), 0);
	assert_include(&s, "/one", "alice");
	assert_int_equal(load(&s, "t", "a: :include:/one\n"), 0);
	assert_include(&s, "/one", "alice");
	assert_int_equal(include(&s, "/one", "carol"), 0);
	assert_include(&s, "/one", "carol");
	assert_include(&s, "/two", "bob");
	settle(&s);
	assert_int_equal(load(&s, "t", "a: b\n"), 0);
	settle(&s);
	assert_include(&s, "/one", "carol");
	assert_include(&s, "/two", NULL);
	configure(&s, "table t file:/y\n");
	assert_include(&s, "/one", "carol");
	configure(&s, "table u { t }\n");
	assert_include(&s, "/one", NULL);
	assert_int_equal(include(&s, "/one", "alice"), -1);
	scene_free(&s);
}

static enum table_answer
ask_include(const struct scene *s, const char *path)
{
	const char *text;

	return tables_include(s->tables, "t", path, &text);
}

static void
on_come(void *arg, enum table_answer answer, const char *value)
{
	(void)value;
	*(enum table_answer *)arg = answer;
}

/* Between the table and its lists somebody waits, for a time. */
static void
test_includes_are_waited_for(void **state)
{
	enum table_answer heard[2] = {TABLE_PENDING, TABLE_PENDING};
	struct memo_waiter w[2] = {
	    {.done = on_come, .arg = &heard[0]}, {.done = on_come, .arg = &heard[1]}};
	struct scene s;
	const char *value;

	(void)state;
	scene_make(&s, "table t file:/x\n");
	assert_int_equal(ask_include(&s, "/one"), TABLE_TROUBLE);
	assert_int_equal(load(&s, "t", "a: :include:/one, :include:/two\n"), 0);
	assert_int_equal(ask_include(&s, "/one"), TABLE_PENDING);
	assert_int_equal(
	    memo_find(tables_includes(s.tables), "t\n/one", 0, &w[0], &value), TABLE_PENDING);
	assert_int_equal(
	    memo_find(tables_includes(s.tables), "t\n/two", 0, &w[1], &value), TABLE_PENDING);
	tables_tick(s.tables, 1);
	tables_tick(s.tables, 10000);
	assert_int_equal(include(&s, "/one", "alice"), 0);
	assert_int_equal(heard[0], TABLE_YES);
	assert_int_equal(heard[1], TABLE_PENDING);
	tables_tick(s.tables, 10001);
	assert_int_equal(heard[1], TABLE_TROUBLE);
	assert_int_equal(ask_include(&s, "/two"), TABLE_TROUBLE);
	scene_free(&s);
}

/* Two loads in quick succession: what the first one's list is has not come yet. */
static void
test_includes_outlive_two_loads(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s, "table t file:/x\n");
	assert_int_equal(load(&s, "t", "a: :include:/one\n"), 0);
	assert_int_equal(include(&s, "/one", "alice"), 0);
	settle(&s);
	assert_int_equal(load(&s, "t", "a: :include:/one\n"), 0);
	assert_int_equal(load(&s, "t", "a: :include:/one\n"), 0);
	assert_include(&s, "/one", "alice");
	scene_free(&s);
}

static void
test_includes_are_bounded(void **state)
{
	char path[32];
	struct scene s;
	size_t i;

	(void)state;
	scene_make(&s, "table t file:/x\n");
	for (i = 0; i < TABLES_INCLUDES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "/%zu", i);
		assert_int_equal(include(&s, path, "a"), 0);
	}
	assert_int_equal(include(&s, "/more", "a"), -1);
	assert_int_equal(include(&s, "/0", "b"), 0);
	assert_include(&s, "/0", "b");
	scene_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_across_reloads),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_includes),
	    cmocka_unit_test(test_includes_are_waited_for),
	    cmocka_unit_test(test_includes_outlive_two_loads),
	    cmocka_unit_test(test_includes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

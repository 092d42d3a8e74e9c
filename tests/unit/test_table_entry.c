/* SPDX-License-Identifier: ISC */
/* Entries of logins, items of values, and included files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/conf/table_entry.h"

/* The formats themselves are in test_table.c; here is what differs by the kind of keys. */
static const struct {
	const char *line, *name_key, *name_value, *login_key, *login_value;
} lines[] = {
    {"bob secret", "bob", "secret", "bob", "secret"},
    {"bob:secret", "bob", "secret", "bob", "secret"},
    {"bob:$6$a:b", "bob", "$6$a:b", "bob", "$6$a:b"},
    {"\"a b\":secret", "a b", "secret", "a b", "secret"},
    {"cert:SHA256:ab bob", "cert", "SHA256:ab bob", "cert:SHA256:ab", "bob"},
    {"Cert:SHA256:ab bob", "Cert", "SHA256:ab bob", "Cert:SHA256:ab", "bob"},
    {"sha256:ab\tbob", "sha256", "ab\tbob", "sha256:ab", "bob"},
    {"2001:db8::1 bob", "2001:db8::1", "bob", "2001", "db8::1 bob"},
    {"bob", "bob", NULL, "bob", NULL},
};

static void
assert_text(const char *found, const char *want)
{
	if (want == NULL)
		assert_null(found);
	else
		assert_string_equal(found, want);
}

static void
check_line(const char *line, enum table_entry_keys keys, const char *key, const char *value)
{
	struct table_entries entries;
	struct table_entry e;
	char *text = strdup(line);

	assert_non_null(text);
	table_entries_init(&entries, text, strlen(text), keys);
	assert_true(table_entries_next(&entries, &e));
	assert_null(e.why);
	assert_int_equal(e.line, 1);
	assert_text(e.key, key);
	assert_text(e.value, value);
	assert_false(table_entries_next(&entries, &e));
	free(text);
}

static void
test_logins(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(lines); i++) {
		print_message("%s\n", lines[i].line);
		check_line(
		    lines[i].line, TABLE_ENTRY_NAMES, lines[i].name_key, lines[i].name_value);
		check_line(
		    lines[i].line, TABLE_ENTRY_LOGINS, lines[i].login_key, lines[i].login_value);
	}
}

/* What is skipped says where it stands, also behind lines that were joined. */
static void
test_line_numbers(void **state)
{
	char text[] = "# 1\na: b,\n  c\n\"d\n\ne: f\n";
	static const struct {
		size_t line;
		bool is_entry;
	} want[] = {{2, true}, {4, false}, {6, true}};
	struct table_entries entries;
	struct table_entry e;
	size_t i;

	(void)state;
	table_entries_init(&entries, text, sizeof(text) - 1, TABLE_ENTRY_NAMES);
	for (i = 0; i < NITEMS(want); i++) {
		assert_true(table_entries_next(&entries, &e));
		assert_int_equal(e.line, want[i].line);
		assert_int_equal(e.why == NULL, want[i].is_entry);
	}
	assert_false(table_entries_next(&entries, &e));
}

/* Items with "|" between. */
static void
join_items(const char *value, char *dst, size_t size)
{
	struct table_item item;
	size_t n = 0;

	while (table_item_next(&value, &item)) {
		assert_true(n + item.len + 2 < size);
		memcpy(dst + n, item.at, item.len);
		n += item.len;
		dst[n++] = '|';
	}
	dst[n] = '\0';
	assert_int_equal(*value, '\0');
}

static const struct {
	const char *value, *items;
} values[] = {
    {"", ""},
    {" , ,\t", ""},
    {"a", "a|"},
    {"a,b", "a|b|"},
    {" a , b\t,", "a|b|"},
    {"\"a, b\"@example.org, c", "\"a, b\"@example.org|c|"},
    {"\"a\\\", b\"@example.org, c", "\"a\\\", b\"@example.org|c|"},
    {"a\\,b", "a\\|b|"},
    {"\"a, b", "\"a, b|"},
    {"\"a\\", "\"a\\|"},
    {":include:/x y, b", ":include:/x y|b|"},
};

static void
test_items(void **state)
{
	char found[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(values); i++) {
		print_message("%s\n", values[i].value);
		join_items(values[i].value, found, sizeof(found));
		assert_string_equal(found, values[i].items);
	}
}

static const struct {
	const char *item, *path; /* NULL: it includes nothing */
} includes[] = {
    {":include:/etc/list", "/etc/list"},
    {":include:x", "x"},
    {":include:", NULL},
    {"include:/x", NULL},
    {"a:include:/x", NULL},
    {":Include:/x", NULL},
};

static void
test_includes(void **state)
{
	size_t i, len = 0;

	(void)state;
	for (i = 0; i < NITEMS(includes); i++) {
		struct table_item item = {includes[i].item, strlen(includes[i].item)};
		const char *path = table_item_include(&item, &len);

		print_message("%s\n", includes[i].item);
		assert_text(path, includes[i].path);
		if (path != NULL)
			assert_int_equal(len, strlen(path));
	}
}

#define FILE_TEXT(text) text, sizeof(text) - 1
static const struct {
	const char *text;
	size_t len;
	const char *items;
} files[] = {
    {FILE_TEXT(""), ""},
    {FILE_TEXT("\n\n"), ""},
    {FILE_TEXT("a\nb\n"), "a|b|"},
    {FILE_TEXT("a\r\nb"), "a|b|"},
    {FILE_TEXT("a, b\nc"), "a|b|c|"},
    {FILE_TEXT("# no\n  # no, no\na#b\n"), "a#b|"},
    {FILE_TEXT("a # b\n"), "a # b|"},
    {FILE_TEXT("#\"\na\n"), "a|"},
    {FILE_TEXT("a\0b\n"), "a|b|"},
    /* A quote that is left open ends with its line. */
    {FILE_TEXT("o\"brien\na\n"), "o brien|a|"},
    {FILE_TEXT("\"a\", \"b\nc\n"), "\"a\"|b|c|"},
    {FILE_TEXT("\"a\\\nb\n"), "a\\|b|"},
    {FILE_TEXT("\"a, b\"@x\nc"), "\"a, b\"@x|c|"},
};

static void
test_included_files(void **state)
{
	char text[256], found[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(files); i++) {
		print_message("%s\n", files[i].text);
		memset(text, 'x', sizeof(text));
		memcpy(text, files[i].text, files[i].len);
		table_include_to_value(text, files[i].len);
		assert_int_equal(strlen(text), files[i].len);
		assert_int_equal(text[files[i].len + 1], 'x');
		join_items(text, found, sizeof(found));
		assert_string_equal(found, files[i].items);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_logins),
	    cmocka_unit_test(test_line_numbers),
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_includes),
	    cmocka_unit_test(test_included_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

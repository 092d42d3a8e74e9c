/* SPDX-License-Identifier: ISC */
/*
 * What tables cost: a million questions of each kind leave the memory as it was, and a
 * large table takes little more than its text.
 */
#include <cdb.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/conf/table_index.h"
#include "lookup/table_cdb.h"
#include "lookup/table_file.h"

#define QUESTIONS 1000000

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#endif
#endif

/* Octets that are allocated. */
static size_t
in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}

static int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* -- a question of each kind; strangers choose what is asked for -- */

static struct table *
table_of(const char *text)
{
	size_t len = strlen(text), skipped;
	char *copy = malloc(len + 1);
	struct table *t;

	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_non_null(t = table_parse("test", copy, len, &skipped));
	assert_int_equal(skipped, 0);
	return t;
}

static enum table_answer
ask_word(struct table *t, unsigned long i)
{
	char word[32];

	(void)snprintf(word, sizeof(word), "word%lu", i);
	return table_has_word(t, word);
}

static enum table_answer
ask_domain(struct table *t, unsigned long i)
{
	char domain[64];

	(void)snprintf(domain, sizeof(domain), "mail%lu.a.b.example.org", i);
	return table_has_domain(t, domain);
}

static enum table_answer
ask_network(struct table *t, unsigned long i)
{
	char text[ADDR_TEXT_MAX];
	struct addr a;

	(void)snprintf(text, sizeof(text), "2001:db8::%lx", i & 0xffff);
	assert_int_equal(addr_parse(text, 0, &a), 0);
	return table_has_network(t, &a);
}

static enum table_answer
ask_mailbox(struct table *t, unsigned long i)
{
	struct address a = {.domain = "a.example.org"};

	(void)snprintf(a.local, sizeof(a.local), "user.%lu", i);
	return table_has_mailbox(t, &a);
}

static enum table_answer
ask_regex(struct table *t, unsigned long i)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "user%lu@example.net", i);
	return table_has_regex(t, text);
}

/* Each text leads the automaton to states where it never was. */
static enum table_answer
ask_growing_regex(struct table *t, unsigned long i)
{
	char text[20];
	size_t n;

	for (n = 0; n < sizeof(text) - 1; n++)
		text[n] = "ab"[(i * 2654435761UL >> n) & 1];
	text[n] = '\0';
	return table_has_regex(t, text);
}

static const struct {
	const char *name, *text;
	enum table_answer (*ask)(struct table *t, unsigned long i);
	unsigned long questions;
	size_t growth; /* KiB that it may grow by, not more with the questions */
} kinds[] = {
    {"word", "word1\nword2: value\n", ask_word, QUESTIONS, 0},
    {"domain", ".example.com\n*.example.net\nmail*.b.c\n", ask_domain, QUESTIONS, 0},
    {"network", "2001:db8::/112\n192.0.2.0/24\n", ask_network, QUESTIONS, 0},
    {"mailbox", "*@x.example\nuser.1@*.example.org\n@.example.net\n", ask_mailbox, QUESTIONS, 0},
    {"regex", "# @list\n@example\\.(org|com)$\n(?i)^admin[0-9]*@\n", ask_regex, QUESTIONS, 256},
    /* All its states would take some 70 MiB. */
    {"growing regex", "(a|b)*a(a|b){14}x\n", ask_growing_regex, 4000, 8192},
};

static void
test_questions_cost_no_memory(void **state)
{
	size_t k, before, after;
	unsigned long i;

	(void)state;
	for (k = 0; k < NITEMS(kinds); k++) {
		struct table *t = table_of(kinds[k].text);
		int64_t began = now_us();
		size_t most = 0;

		(void)kinds[k].ask(t, 0); /* compiles */
		before = in_use();
		for (i = 0; i < kinds[k].questions; i++) {
			assert_int_not_equal(kinds[k].ask(t, i), TABLE_TROUBLE);
			if (i % 1024 == 0 && (after = in_use()) > most)
				most = after;
		}
		print_message("%s: %lld ns a question, %zu KiB more at most\n", kinds[k].name,
		    (long long)(now_us() - began) * 1000 / (long long)kinds[k].questions,
		    most > before ? (most - before) >> 10 : 0);
		assert_true(most <= before + (kinds[k].growth << 10));
		table_free(t);
	}
}

static void
test_index_costs_no_memory(void **state)
{
	char path[] = "/tmp/test_table_memory.XXXXXX", key[32];
	int fd = mkostemp(path, O_CLOEXEC), n;
	struct memo_waiter w = {0};
	struct cdb_make cdb;
	const char *value;
	unsigned long i;
	size_t before;
	void *t;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(cdb_make_start(&cdb, fd), 0);
	for (i = 0; i < 1000; i++) {
		n = snprintf(key, sizeof(key), "user%lu", i);
		assert_int_equal(cdb_make_add(&cdb, key, (unsigned int)n, "value", 5), 0);
	}
	assert_int_equal(cdb_make_add(&cdb, "", 0, TABLE_INDEX_MAGIC "1000", 20), 0);
	assert_int_equal(cdb_make_finish(&cdb), 0);
	assert_non_null(t = table_cdb_ops.create(NULL, "test"));
	assert_int_equal(table_cdb_ops.load(t, "", fd), 0);
	assert_int_equal(table_cdb_ops.find(t, SERVICE_ALIAS, "user0", &w, &value), TABLE_YES);
	before = in_use();
	for (i = 0; i < QUESTIONS; i++) {
		(void)snprintf(key, sizeof(key), "user%lu", i % 2000);
		assert_int_equal(table_cdb_ops.find(t, SERVICE_ALIAS, key, &w, &value),
		    i % 2000 < 1000 ? TABLE_YES : TABLE_NO);
	}
	assert_true(in_use() <= before);
	table_cdb_ops.free(t);
}

/* -- large tables -- */

static char *
text_make(size_t lines, const char *(*line)(size_t i), size_t *len)
{
	char *text = malloc(lines * 64);
	size_t i, at = 0;

	assert_non_null(text);
	for (i = 0; i < lines; i++)
		at += (size_t)snprintf(text + at, 64, "%s\n", line(i));
	*len = at;
	return text;
}

static const char *
line_of_user(size_t i)
{
	static char line[64];

	(void)snprintf(line, sizeof(line), "user%zu@example.org: mailbox%zu", i, i);
	return line;
}

static const char *
line_of_network(size_t i)
{
	static char line[64];

	(void)snprintf(
	    line, sizeof(line), "10.%zu.%zu.%zu/28", i >> 12, (i >> 4) & 0xff, (i & 15) * 16);
	return line;
}

static void
test_million_entries(void **state)
{
	enum { ENTRIES = 1000000 };
	size_t before = in_use(), len, skipped, cost;
	char *text = text_make(ENTRIES, line_of_user, &len);
	const char *value;
	struct table *t;

	(void)state;
	assert_non_null(t = table_parse("users", text, len, &skipped));
	assert_int_equal(table_count(t), ENTRIES);
	assert_int_equal(table_value(t, "user999999@example.org", &value), TABLE_YES);
	assert_string_equal(value, "mailbox999999");
	cost = in_use() - before - (size_t)ENTRIES * 64;
	print_message("besides the text: %zu octets an entry\n", cost / ENTRIES);
	assert_true(cost / ENTRIES <= 26);
	table_free(t);
}

static void
test_many_networks(void **state)
{
	enum { NETWORKS = 100000, ASKED = 100000 };
	size_t len, skipped;
	char *text = text_make(NETWORKS, line_of_network, &len);
	struct table *t;
	struct addr a;
	int64_t began;
	size_t i;

	(void)state;
	assert_non_null(t = table_parse("networks", text, len, &skipped));
	assert_int_equal(addr_parse("10.0.0.1", 0, &a), 0);
	began = now_us();
	assert_int_equal(table_has_network(t, &a), TABLE_YES);
	print_message("compiled in %lld us\n", (long long)(now_us() - began));
	began = now_us();
	for (i = 0; i < ASKED; i++) {
		assert_int_equal(addr_parse(i % 2 == 0 ? "10.17.34.51" : "10.200.1.2", 0, &a), 0);
		assert_int_equal(table_has_network(t, &a), i % 2 == 0 ? TABLE_YES : TABLE_NO);
	}
	began = now_us() - began;
	print_message("%lld ns a question\n", (long long)began * 1000 / ASKED);
	assert_true(began / ASKED < 100); /* one by one it would be a thousand and more */
	table_free(t);
}

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_questions_cost_no_memory),
	    cmocka_unit_test(test_index_costs_no_memory),
	    cmocka_unit_test(test_million_entries),
	    cmocka_unit_test(test_many_networks),
	};

	log_set_sink(ignore_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

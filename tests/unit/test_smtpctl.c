/* SPDX-License-Identifier: ISC */
/* How smtpctl understands its words, and what it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/command_table.h"
#include "control/json.h"
#include "control/smtpctl_counters.h"
#include "control/smtpctl_text.h"

/* -- words -- */

#define WORDS_MAX 4

static int
split(char *line, const char *words[WORDS_MAX])
{
	char *save = NULL, *word;
	int n = 0;

	for (word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	return n;
}

static void
test_find(void **state)
{
	static const struct {
		const char *line, *verb, *object;
		int nused;
	} cases[] = {
	    {"show queue", "show", "queue", 2},
	    {"sh q", "show", "queue", 2},
	    {"sh m 000000002a", "show", "message", 2},
	    {"show st", NULL, "could be any of status, stats", 0},
	    {"show sta", NULL, "could be any of status, stats", 0},
	    {"show stats", "show", "stats", 2},
	    {"sc all", "schedule", NULL, 1},
	    {"s", NULL, "could be any of show, schedule", 0},
	    {"re 1", NULL, "could be any of remove, resume", 0},
	    {"mon", "monitor", NULL, 1},
	    {"cl c all", "clear", "clients", 2},
	    {"cl l", "clear", "logins", 2},
	    {"sh cl", "show", "clients", 2},
	    {"sh ce", "show", "certificates", 2},
	    {"sh lo", "show", "logins", 2},
	    {"sh l", NULL, "could be any of logins, limits", 0},
	    {"sh li", "show", "limits", 2},
	    {"sh t", "show", "tls", 2},
	    {"f t example.com", "forget", "tls", 2},
	    {"o logi gmail", "oauth", "login", 2},
	    {"o logo gmail", "oauth", "logout", 2},
	    {"o li", "oauth", "list", 2},
	    {"oauth", NULL, "oauth what? one of login, list, logout", 0},
	    {"sh c", NULL, "could be any of clients, certificates", 0},
	    {"en secret", "encrypt", NULL, 1},
	    {"ex bob@example.org", "explain", NULL, 1},
	    {"e secret", NULL, "could be any of explain, encrypt", 0},
	    {"l users alias root", "lookup", NULL, 1},
	    {"u t users", "update", "table", 2},
	    {"show", NULL,
		"show what? one of queue, message, status, sandbox, stats, clients, certificates, "
		"logins, limits, tls",
		0},
	    {"shwo queue", NULL, "did you mean 'show'?", 0},
	    {"show qeue", NULL, "did you mean 'queue'?", 0},
	    {"frobnicate", NULL, "expected one of show, explain, lookup, update, ", 0},
	    {"SHOW queue", NULL, "unknown word 'SHOW'", 0},
	    {"queue", NULL, "unknown word 'queue'", 0},
	    {"", NULL, "what shall it do?", 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		char line[64], error[COMMAND_ERROR_MAX] = "";
		const char *words[WORDS_MAX];
		const struct command *c;
		int n, nused = 0;

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		n = split(line, words);
		c = command_find(words, n, &nused, error);
		if (cases[i].verb == NULL) {
			assert_null(c);
			if (strstr(error, cases[i].object) == NULL)
				fail_msg("'%s': %s", cases[i].line, error);
			continue;
		}
		if (c == NULL)
			fail_msg("'%s': %s", cases[i].line, error);
		assert_string_equal(c->verb, cases[i].verb);
		if (cases[i].object == NULL)
			assert_null(c->object);
		else
			assert_string_equal(c->object, cases[i].object);
		assert_int_equal(nused, cases[i].nused);
	}
}

static void
test_long_words(void **state)
{
	char word[4096], error[COMMAND_ERROR_MAX];
	const char *words[] = {word};
	int nused;

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(command_find(words, 1, &nused, error));
	assert_true(strlen(error) < COMMAND_ERROR_MAX);
}

static void
test_args(void **state)
{
	static const struct {
		const char *line;
		int result;
		enum ctl_target target;
		uint64_t id;
	} cases[] = {
	    {"remove 000000002a", 0, TARGET_MESSAGE, 0x2a},
	    {"remove 000000002A", 0, TARGET_MESSAGE, 0x2a},
	    {"remove all", 0, TARGET_ALL, 0},
	    {"remove al", -1, 0, 0},
	    {"remove", -1, 0, 0},
	    {"remove all all", -1, 0, 0},
	    {"remove 0000000000", -1, 0, 0},
	    {"remove 8000000000", -1, 0, 0},
	    {"remove 7fffffffff", 0, TARGET_MESSAGE, IPC_ID_MAX},
	    {"remove 2a", -1, 0, 0},
	    {"remove 000000002g", -1, 0, 0},
	    {"remove smtp", -1, 0, 0},
	    {"show message all", -1, 0, 0},
	    {"show queue all", -1, 0, 0},
	    {"pause smtp", 0, TARGET_SMTP, 0},
	    {"pause d", 0, TARGET_DELIVERY, 0},
	    {"pause dddddddddd", -1, 0, 0}, /* past IPC_ID_MAX */
	    {"pause 5ddddddddd", 0, TARGET_MESSAGE, 0x5ddddddddd},
	    {"pause all", -1, 0, 0},
	    {"clear clients all", 0, TARGET_ALL, 0},
	    {"clear clients 192.0.2.1", 0, TARGET_CLIENT, 0},
	    {"cl c 2001:db8::/64", 0, TARGET_CLIENT, 0},
	    {"clear clients", -1, 0, 0},
	    {"clear clients unix all", -1, 0, 0},
	    {"clear logins", 0, TARGET_ALL, 0},
	    {"clear logins all", 0, TARGET_ALL, 0},
	    {"clear logins bob@example.org", 0, TARGET_LOGIN, 0},
	    {"cl l 2001:db8::/64", 0, TARGET_LOGIN, 0},
	    {"clear logins bob carol", -1, 0, 0},
	    {"show certificates all", -1, 0, 0},
	    {"explain bob@example.org", 0, 0, 0},
	    {"explain", -1, 0, 0},
	    {"explain bob carol", -1, 0, 0},
	    {"lookup users alias root", 0, 0, 0},
	    {"lookup users alias", -1, 0, 0},
	    {"update table users", 0, TARGET_TABLE, 0},
	    {"update table", -1, 0, 0},
	    {"show limits", 0, 0, 0},
	    {"show tls example.com", -1, 0, 0},
	    {"forget tls example.com", 0, TARGET_DOMAIN, 0},
	    {"forget tls all", 0, TARGET_ALL, 0},
	    {"forget tls", -1, 0, 0},
	    {"oauth login gmail", 0, TARGET_LABEL, 0},
	    {"oauth login all", 0, TARGET_LABEL, 0},
	    {"oauth login", -1, 0, 0},
	    {"oauth logout gmail outlook", -1, 0, 0},
	    {"oauth list", 0, 0, 0},
	    {"oauth list gmail", -1, 0, 0},
	    {"encrypt", 0, 0, 0},
	    {"encrypt all", 0, 0, 0},
	    {"encrypt one two", -1, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		char line[64], error[COMMAND_ERROR_MAX] = "";
		struct ctl ctl = {0};
		const struct command *c;
		int result;

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		ctl.nwords = split(line, ctl.words);
		c = command_find(ctl.words, ctl.nwords, &ctl.nused, error);
		assert_non_null(c);
		result = command_parse_args(c, &ctl, error);
		if (result != cases[i].result)
			fail_msg("'%s': %d %s", cases[i].line, result, error);
		if (result == -1) {
			assert_string_not_equal(error, "");
			continue;
		}
		assert_int_equal(ctl.target, cases[i].target);
		assert_int_equal(ctl.id, cases[i].id);
	}
}

/* Every row can be reached by its own words, explains itself and gives an example that parses. */
static void
test_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < commands_count; i++) {
		const struct command *c = &commands[i];
		char line[128], error[COMMAND_ERROR_MAX] = "";
		const char *words[CTL_WORDS_MAX] = {c->verb, c->object};
		int nused;

		assert_ptr_equal(command_find(words, c->object == NULL ? 1 : 2, &nused, error), c);
		assert_non_null(c->run);
		assert_string_not_equal(c->help, "");
		(void)snprintf(line, sizeof(line), "%s", c->example);
		assert_memory_equal(line, "smtpctl ", 8);
		assert_true(split(line + 8, words) >= 1);
		assert_ptr_equal(command_find(words, c->object == NULL ? 1 : 2, &nused, error), c);
	}
}

/* -- what is written -- */

struct sink {
	FILE *file;
	char *text;
	size_t len;
};

static void
sink_open(struct sink *s)
{
	s->file = open_memstream(&s->text, &s->len);
	assert_non_null(s->file);
}

static void
sink_expect(struct sink *s, const char *expected)
{
	assert_int_equal(fclose(s->file), 0);
	assert_string_equal(s->text, expected);
	free(s->text);
}

static void
test_json_strings(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
	    {"", 0, "\"\""},
	    {"plain", 5, "\"plain\""},
	    {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
	    {"\0\r\n\t\x1b\x7f", 6, "\"\\u0000\\u000d\\u000a\\u0009\\u001b\\u007f\""},
	    {"\xc3\xa9", 2, "\"\xc3\xa9\""},
	    {"\xe2\x82\xac\xf0\x9f\x93\xae", 7, "\"\xe2\x82\xac\xf0\x9f\x93\xae\""},
	    {"\xc2\x80", 2, "\"\\u0080\""},		      /* a control character of Latin-1 */
	    {"\xc3", 1, "\"\\u00c3\""},			      /* cut short */
	    {"\xff\xfe", 2, "\"\\u00ff\\u00fe\""},	      /* never UTF-8 */
	    {"\xc0\xaf", 2, "\"\\u00c0\\u00af\""},	      /* longer than it need be */
	    {"\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\""}, /* a surrogate */
	    {"\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\""}, /* past U+10FFFF */
	    {"\xe2\x82x", 3, "\"\\u00e2\\u0082x\""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct json j;
		struct sink s;

		sink_open(&s);
		json_init(&j, s.file);
		json_text(&j, NULL);
		json_text_add(&j, cases[i].in, cases[i].len);
		json_text_end(&j);
		sink_expect(&s, cases[i].out);
	}
}

static void
test_json_structure(void **state)
{
	struct json j;
	struct sink s;
	int i;

	(void)state;
	sink_open(&s);
	json_init(&j, s.file);
	for (i = 0; i < 2; i++) {
		json_object(&j, NULL);
		json_u64(&j, "a", UINT64_MAX);
		json_array(&j, "b");
		json_object(&j, NULL);
		json_object_end(&j);
		json_object(&j, NULL);
		json_bool(&j, "x", true);
		json_i64(&j, "y", -5);
		json_object_end(&j);
		json_array_end(&j);
		json_str(&j, "c", "d");
		json_object_end(&j);
		json_line_end(&j);
	}
#define LINE "{\"a\":18446744073709551615,\"b\":[{},{\"x\":true,\"y\":-5}],\"c\":\"d\"}\n"
	sink_expect(&s, LINE LINE);
}

/* A mail steers no terminal: escape sequences, C1 controls and reversed writing are shown, not sent. */
static void
test_terminal(void **state)
{
	static const struct {
		const char *in, *out;
		bool keep_lines;
	} cases[] = {
	    {"a\x1b[2Jb", "a\\x1b[2Jb", true},
	    {"a\r\nb\tc\n", "a\nb\tc\n", true},
	    {"a\r\nb\tc\n", "a\\x0d\\x0ab\\x09c\\x0a", false},
	    {"over\rwrite", "over\\x0dwrite", true},
	    {"caf\xc3\xa9", "caf\xc3\xa9", false},
	    {"\xc2\x9b"
	     "2J",
		"\\xc2\\x9b2J", true},
	    {"\xe2\x80\xae"
	     "txt.exe",
		"\\xe2\\x80\\xaetxt.exe", false},
	    {"\xff", "\\xff", true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct sink s;

		sink_open(&s);
		text_print(s.file, cases[i].in, strlen(cases[i].in), cases[i].keep_lines);
		sink_expect(&s, cases[i].out);
	}
}

static void
test_unfinished(void **state)
{
	static const struct {
		const char *in;
		size_t n;
	} cases[] = {
	    {"", 0},
	    {"abc", 0},
	    {"a\xc3", 1},
	    {"a\xc3\xa9", 0},
	    {"a\xe2\x82", 2},
	    {"a\xe2", 1},
	    {"\xf0\x9f\x93", 3},
	    {"\xf0\x9f\x93\xae", 0},
	    {"\x80\x80\x80\x80", 0},
	    {"\xff", 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		assert_int_equal(
		    utf8_unfinished((const uint8_t *)cases[i].in, strlen(cases[i].in)), cases[i].n);
}

static void
test_sizes(void **state)
{
	static const struct {
		uint64_t octets;
		const char *text;
	} cases[] = {
	    {0, "0B"},
	    {1023, "1023B"},
	    {1024, "1.0K"},
	    {10188, "9.9K"},
	    {10189, "10K"},
	    {1048063, "1023K"},
	    {1048064, "1.0M"},
	    {36700160, "35M"},
	    {UINT64_MAX, "16E"},
	};
	char text[TEXT_SIZE_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		text_size(text, cases[i].octets);
		assert_string_equal(text, cases[i].text);
	}
}

static void
test_pairs(void **state)
{
	const char *line = "uid=7 root=\"/a \\\"b\" fds<=64  bare empty= last=x";
	static const char *const expected[][2] = {{"uid", "7"}, {"root", "/a \"b"}, {"fds", "<=64"},
	    {"bare", ""}, {"empty", ""}, {"last", "x"}};
	struct text_pair pair;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(expected); i++) {
		assert_true(text_pair_next(&line, &pair));
		assert_string_equal(pair.key, expected[i][0]);
		assert_string_equal(pair.value, expected[i][1]);
	}
	assert_false(text_pair_next(&line, &pair));
}

static void
test_counters(void **state)
{
	struct counters *c = calloc(1, sizeof(*c));
	char name[32];
	unsigned int i;

	(void)state;
	assert_non_null(c);
	counters_add(c, "session.accepted", 3);
	counters_add(c, "queue.messages", 1);
	counters_add(c, "session.accepted", 4);
	counters_sort(c);
	assert_int_equal(c->n, 2);
	assert_string_equal(c->list[0].name, "queue.messages");
	assert_int_equal(counters_get(c, "session.accepted"), 7);
	assert_int_equal(counters_get(c, "no.such"), 0);
	for (i = 0; i < 2 * COUNTERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		counters_add(c, name, 1);
	}
	assert_int_equal(c->n, COUNTERS_MAX);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_args),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_json_strings),
	    cmocka_unit_test(test_json_structure),
	    cmocka_unit_test(test_terminal),
	    cmocka_unit_test(test_unfinished),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_pairs),
	    cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

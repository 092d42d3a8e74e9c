/* SPDX-License-Identifier: ISC */
/*
 * Tables of passwords and tokens: how a file is read, what a login that does
 * not exist looks like, and files that did not arrive whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "vault/passwords.h"

#define SHA512         \
	"$6$saltsalt$" \
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr0123456789ABCDEFGHIJKLMNOPQRSTUV"
#define BCRYPT "$2b$05$abcdefghijklmnopqrstuu0123456789ABCDEFGHIJKLMNOPQRSTU"
#define SCRAM(salt)                                                                \
	"SCRAM-SHA-256$4096:" salt "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SALT16 "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SALT8  "AAAAAAAAAAA="

static void
no_log(void *arg, enum log_level level, const char *line)
{
	(void)level;
	snprintf(arg, LOG_LINE_MAX, "%s", line);
}

static char logged[LOG_LINE_MAX];

static struct credentials *
read_text(const char *text)
{
	struct credentials *c = credentials_create("users", CREDENTIALS_HERE);
	struct buf b;

	log_set_sink(no_log, logged);
	logged[0] = '\0';
	assert_non_null(c);
	buf_init(&b, CREDENTIALS_TEXT_MAX);
	assert_int_equal(buf_append_str(&b, text), 0);
	assert_int_equal(credentials_read_text(c, &b), 0);
	assert_int_equal(b.len, 0);
	return c;
}

static const char *
value_of(const struct credentials *c, const char *key)
{
	const char *found = NULL, *value = NULL;

	return credentials_value(c, key, &found, &value) == CREDENTIALS_YES ? value : NULL;
}

static void
test_text(void **state)
{
	static const struct {
		const char *text, *key, *value; /* NULL: not there */
	} cases[] = {
	    {"demo " BCRYPT, "demo", BCRYPT},
	    {"demo\t" BCRYPT "\n", "demo", BCRYPT},
	    {"demo: " BCRYPT "\r\n", "demo", BCRYPT},
	    {"demo:" BCRYPT, "demo", BCRYPT},
	    {"demo : " BCRYPT, "demo", BCRYPT},
	    {"  # nobody\n\n demo " BCRYPT, "demo", BCRYPT},
	    {"Demo@Example.ORG " BCRYPT, "demo@example.org", BCRYPT},
	    {"demo " BCRYPT, "DEMO", BCRYPT},
	    {"\"de mo\" " BCRYPT, "de mo", BCRYPT},
	    {"\"demo " BCRYPT, "demo", NULL},
	    {"demo " BCRYPT "\n  " SCRAM(SALT16) "\nx y", "demo", BCRYPT "  " SCRAM(SALT16)},
	    {"demo " BCRYPT " \\\n" SCRAM(SALT16), "demo", BCRYPT " " SCRAM(SALT16)},
	    {"demo " BCRYPT "\ndemo x\n", "demo", BCRYPT},
	    {"#demo " BCRYPT, "demo", NULL},
	    {"demo", "demo", ""},
	    {"", "demo", NULL},
	    {"demo " BCRYPT, "dem", NULL},
	    {"sha256:abc demo 17", "sha256:ABC", "demo 17"},
	    {"cert:SHA256:abc demo@example.org", "cert:SHA256:abc", "demo@example.org"},
	    {"sha256:abc\tdemo", "sha256", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct credentials *c = read_text(cases[i].text);
		const char *value = value_of(c, cases[i].key);

		if ((value == NULL) != (cases[i].value == NULL) ||
		    (value != NULL && strcmp(value, cases[i].value) != 0))
			fail_msg("%s: %s", cases[i].text, value == NULL ? "none" : value);
		credentials_free(c);
	}
}

/* A NUL in a line costs that line alone; what is too long is left out, and said. */
static void
test_odd_text(void **state)
{
	static const char text[] = "a " BCRYPT "\nb \0 x\nc " BCRYPT "\n";
	char longest[2 * STORED_VALUE_MAX];
	struct credentials *c = credentials_create("users", CREDENTIALS_HERE);
	struct buf b;

	(void)state;
	log_set_sink(no_log, logged);
	buf_init(&b, sizeof(text));
	assert_int_equal(buf_append(&b, text, sizeof(text) - 1), 0);
	assert_int_equal(credentials_read_text(c, &b), 0);
	assert_string_equal(value_of(c, "a"), BCRYPT);
	assert_null(value_of(c, "b"));
	assert_string_equal(value_of(c, "c"), BCRYPT);
	credentials_free(c);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "demo ", 5);
	longest[5 + STORED_VALUE_MAX] = '\0';
	c = read_text(longest);
	assert_non_null(value_of(c, "demo"));
	credentials_free(c);
	longest[5 + STORED_VALUE_MAX] = 'x';
	longest[6 + STORED_VALUE_MAX] = '\0';
	c = read_text(longest);
	assert_null(value_of(c, "demo"));
	assert_non_null(strstr(logged, "too long"));
	credentials_free(c);
}

/* What can't be used is said, without saying what it is. */
static void
test_log(void **state)
{
	struct credentials *c = read_text("demo hunter2\n");

	(void)state;
	assert_string_equal(
	    logged, "event=credential-skipped table=users line=1 login=demo why=\"not a hash\"");
	credentials_free(c);
	c = read_text("demo $1$saltsalt$hunter2\n");
	assert_null(strstr(logged, "hunter2"));
	assert_non_null(strstr(logged, "weaker"));
	credentials_free(c);
}

/* Who does not exist is checked with what the others have. */
static void
test_dummy(void **state)
{
	static const struct {
		const char *text, *prefix;
		uint32_t iterations;
		size_t salt_len;
		bool scram;
	} cases[] = {
	    {"", "$y$j9T$", SCRAM_ITERATIONS, SCRAM_SALT_SIZE, false},
	    {"a " BCRYPT "\nb " SHA512 "\nc " BCRYPT "\n", "$2b$05$", SCRAM_ITERATIONS,
		SCRAM_SALT_SIZE, false},
	    {"a " BCRYPT "\nb " SHA512 "\nc " SHA512 "\n", "$6$", SCRAM_ITERATIONS, SCRAM_SALT_SIZE,
		false},
	    {"a " SCRAM(SALT8) "\n", "SCRAM-SHA-256$4096:", 4096, 8, true},
	    {"a " BCRYPT " " SCRAM(SALT16) "\n", "$2b$05$", 4096, 16, true},
	    {"a x\nb $1$x$x\nc !\n", "$y$j9T$", SCRAM_ITERATIONS, SCRAM_SALT_SIZE, false},
	    {"sha256:abc demo\n", "$y$j9T$", SCRAM_ITERATIONS, SCRAM_SALT_SIZE, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct credentials *c = read_text(cases[i].text);
		struct scram_kind kind = credentials_scram_kind(c);
		const char *dummy = credentials_dummy(c);

		assert_non_null(dummy);
		if (strncmp(dummy, cases[i].prefix, strlen(cases[i].prefix)) != 0)
			fail_msg("%s: %s", cases[i].text, dummy);
		assert_ptr_equal(credentials_dummy(c), dummy);
		assert_int_equal(kind.iterations, cases[i].iterations);
		assert_int_equal(kind.salt_len, cases[i].salt_len);
		assert_int_equal(credentials_has_scram(c), cases[i].scram);
		assert_null(strstr(cases[i].text, dummy));
		credentials_free(c);
	}
}

/* -- the set of them -- */

static void
feed(struct passwords *p, const char *name, const char *text, bool last)
{
	const struct msg_file_data m = {.kind = IPC_DATA_TABLE,
	    .name = name,
	    .last = last,
	    .data = {(const uint8_t *)text, strlen(text)}};

	assert_int_equal(passwords_feed(p, &m), 0);
}

static enum credentials_answer
ask(struct passwords *p, const char *table, const char *key)
{
	const char *found, *value;

	assert_non_null(passwords_find(p, table));
	return credentials_value(passwords_find(p, table), key, &found, &value);
}

static struct conf *
conf_of(const char *text)
{
	struct conf_errors errors;
	struct conf *conf = conf_parse_text("test", text, strlen(text), &errors);

	if (conf == NULL)
		fail_msg("%s", errors.list[0].text);
	conf_errors_free(&errors);
	return conf;
}

#define LISTEN "listen on 127.0.0.1 insecure-auth auth <users> tokens <tokens>\n"

static void
test_reload(void **state)
{
	struct conf *first = conf_of(
			"table users file:/etc/users\ntable tokens { \"sha256:a\" = \"x\" }\n"
			"table other { \"x\" = \"y\" }\n" LISTEN),
		    *second = conf_of("table users { \"inline\" = \"" BCRYPT "\" }\n"
				      "table tokens file:/etc/tokens\n" LISTEN);
	struct passwords *p = passwords_create();

	(void)state;
	log_set_sink(no_log, logged);
	assert_non_null(p);
	/* in pieces; an earlier one is replaced */
	feed(p, "users", "old " BCRYPT "\n", true);
	feed(p, "users", "demo " BCRYPT "\nan", false);
	feed(p, "users", "other " BCRYPT, true);
	assert_int_equal(passwords_configure(p, first), 0);
	assert_int_equal(ask(p, "users", "demo"), CREDENTIALS_YES);
	assert_int_equal(ask(p, "users", "another"), CREDENTIALS_YES);
	assert_int_equal(ask(p, "users", "old"), CREDENTIALS_NO);
	assert_int_equal(ask(p, "tokens", "sha256:a"), CREDENTIALS_YES);
	assert_null(passwords_find(p, "other"));
	/* What is fed changes nothing before it is whole, and configured. */
	feed(p, "tokens", "sha256:b x\n", false);
	assert_int_equal(ask(p, "tokens", "sha256:b"), CREDENTIALS_NO);
	assert_int_equal(passwords_configure(p, second), 0);
	assert_int_equal(ask(p, "users", "demo"), CREDENTIALS_NO);
	assert_int_equal(ask(p, "users", "INLINE"), CREDENTIALS_YES);
	assert_int_equal(ask(p, "tokens", "sha256:b"), CREDENTIALS_TROUBLE);
	/* One that could not be read is in trouble, not empty; so is one that was not sent. */
	feed(p, "users", "", true);
	assert_int_equal(passwords_configure(p, first), 0);
	assert_int_equal(ask(p, "users", "demo"), CREDENTIALS_TROUBLE);
	assert_int_equal(passwords_configure(p, first), 0);
	assert_int_equal(ask(p, "users", "demo"), CREDENTIALS_TROUBLE);
	passwords_free(p);
	conf_free(first);
	conf_free(second);
}

static void
test_fake(void **state)
{
	struct passwords *p = passwords_create(), *q = passwords_create();
	struct credentials *c = read_text("a " SCRAM(SALT8) "\n");
	struct scram_keys a, b;

	(void)state;
	passwords_fake(p, c, "nobody", &a);
	passwords_fake(p, c, "NoBody", &b);
	assert_int_equal(a.salt_len, 8);
	assert_int_equal(a.iterations, 4096);
	assert_memory_equal(a.salt, b.salt, 8);
	passwords_fake(q, c, "nobody", &b);
	assert_memory_not_equal(a.salt, b.salt, 8);
	passwords_free(p);
	passwords_free(q);
	credentials_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_odd_text),
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_dummy),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

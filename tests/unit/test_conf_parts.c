/* SPDX-License-Identifier: ISC */
/* Which role is told what of certificates, keys, passwords and tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "tests/unit/conf_fixture.h"

/* Each thing that only some may know has a word of its own. */
static const char secrets[] =
    "table pw { anna = SECRET-1 }\n"
    "table opt { anna = SECRET-2 }\n"
    "table tok { \"sha256:SECRET-3\" = anna }\n"
    "table unused sqlite:/db-unused\n"
    "table db sqlite:/db-path\n"
    "table dove dovecot:/dove-path\n"
    "table help helper:/help-path\n"
    "table file /file-path\n"
    "table own { anna = \"owned@example.org\" }\n"
    "pki one cert /cert-1 key /key-1\n"
    "pki two cert /cert-2 key /key-2 ocsp /ocsp-2\n"
    "ca clients cert /ca-path\n"
    "listen on a port 1 tls-require verify ca clients ciphers HIGH curves P-256 auth <pw> \\\n"
    "\ttokens <tok> senders <own>\n"
    "listen on a port 2 smtps pki two protocols TLSv1.3 auth-optional <opt> tokens <help>\n"
    "listen on a port 3 tls auth { otto = SECRET-4 } tokens { SECRET-5 = anna }\n"
    "listen on a port 4 tls auth <db>\n"
    "listen on a port 5 tls auth <dove> tokens <dove>\n"
    "listen on a port 6 tls auth <file>\n"
    "listen on lo port 7 auth insecure-auth tag TAG\n";

#define P CONF_FOR_PARENT
#define S CONF_FOR_SESSION
#define L CONF_FOR_LOOKUP
#define V CONF_FOR_VAULT
#define H CONF_FOR_HASHER

static const struct {
	const char *what;
	unsigned int roles; /* that find it in their part, and no other does */
} known[] = {
    {"SECRET-1", V}, /* the parent's part is for people */
    {"SECRET-2", V},
    {"sha256:SECRET-3", P | V}, /* a hash */
    {"SECRET-4", V},
    {"SECRET-5", P | V},
    {"/key-1", P | V},
    {"/key-2", P | V},
    {"/file-path", P | V},
    {"/dove-path", P | V},
    {"/help-path", P | V},
    {"/db-path", P | V | H},
    {"\"pw\"", P | V | S | L},
    {"\"db\"", P | V | S | L | H},
    {"owned@example.org", P | L},
    {"\"own\"", P | S | L},
    {"/cert-1", P | S | V},
    {"/ocsp-2", P | S | V},
    {"/ca-path", P | S},
    {"tls-require", P | S | V | L},
    {"smtps", P | S | V | L},
    {"smtps pki \"two\"", P | S | V},
    {"verify", P | S},
    {"ciphers", P | S},
    {"protocols", P | S},
    {"curves", P | S},
    {"port 4", P | S | V | L},
    {"insecure-auth", P | S | V | L},
    {"TAG", P | S | L},
    {"auth failure-delay", P | S},
    {"auth free-failures", P | V},
    {"client-prefix4", P | V | L},
    {"ticket-lifetime", P | S | V},
};

static struct conf *
parse_good(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_parse_text("t", text, strlen(text), &errors);

	if (c == NULL)
		fail_msg("%s: %u:%u: %s", text, errors.list[0].line, errors.list[0].column,
		    errors.list[0].text);
	conf_errors_free(&errors);
	return c;
}

/* The dump, and each role's part, are configurations that dump to themselves. */
static void
check_again(const struct conf *c, unsigned int roles)
{
	char *first = dump(c, roles), *second;
	struct conf *again = parse_good(first);

	second = dump(again, roles);
	assert_string_equal(first, second);
	free(first);
	free(second);
	conf_free(again);
}

static void
test_known(void **state)
{
	struct conf *c = parse_good(secrets);
	unsigned int role;
	char *text;
	size_t i;

	(void)state;
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		text = dump(c, role);
		for (i = 0; i < NITEMS(known); i++) {
			bool found = strstr(text, known[i].what) != NULL;

			if (found != ((known[i].roles & role) != 0))
				fail_msg("role %#x %s %s:\n%s", role, found ? "has" : "lacks",
				    known[i].what, text);
		}
		free(text);
		check_again(c, role);
	}
	conf_free(c);
}

static void
test_is_secret(void **state)
{
	static const char *const yes[] = {
	    "pw", "opt", "tok", "db", "dove", "help", "file", "dynamic:1", "dynamic:2"};
	struct conf *c = parse_good(secrets);
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(yes); i++)
		assert_true(conf_table_is_secret(c, yes[i]));
	assert_false(conf_table_is_secret(c, "own"));
	assert_false(conf_table_is_secret(c, "unused"));
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known),
	    cmocka_unit_test(test_is_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

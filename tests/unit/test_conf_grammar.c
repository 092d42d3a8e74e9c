/* SPDX-License-Identifier: ISC */
/*
 * The grammar of what is not supported yet.  This program has its own
 * keyword_unsupported(), which the linker takes instead of the library's, so
 * that nothing is refused: the rows of that table can go one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/keyword.h"
#include "tests/unit/conf_fixture.h"

const char *
keyword_unsupported(const char *what)
{
	(void)what;
	return NULL;
}

/* Each is a file with the tables that it needs; the second text is in its dump. */
static const struct {
	const char *text, *dumped;
} cases[] = {
    {"listen on socket tag x mask-src", "listen on socket tag \"x\" mask-src"},
    {"listen on a tls auth <s> senders <m> masquerade", " auth <\"s\"> senders <\"m\"> masquerade"},
    {"listen on a proxy-v2 filter f", " proxy-v2 filter \"f\""},
    {"action a mbox alias <m>", "action \"a\" mbox alias <\"m\">"},
    {"action a mda \"/bin/x -y\" user u wrapper w",
	"action \"a\" mda \"/bin/x -y\" user \"u\" wrapper \"w\""},
    {"action a lmtp /run/x rcpt-to ttl 3d", "action \"a\" lmtp \"/run/x\" rcpt-to ttl 3d"},
    {"action a maildir \"~/m\" junk virtual <m>",
	"action \"a\" maildir \"~/m\" junk virtual <\"m\">"},
    {"action a maildir junk", "action \"a\" maildir junk"},
    {"action a relay host smtp+tls://l@h auth <s> pki p ca c",
	" host \"smtp+tls://l@h\" auth <\"s\"> pki \"p\" ca \"c\""},
    {"action a relay mail-from x@y", " mail-from \"x@y\""},
    {"action a relay ttl 1d", " ttl 1d\n"},
};

static const struct {
	const char *text, *error;
} faults[] = {
    {"action a mda", "expected where to deliver to at the end of the file"},
    {"action a mbox user u", "this kind of action has no 'user'"},
    {"listen on a senders <m>", "'senders' needs 'auth' or 'auth-optional'"},
    {"listen on socket port 25", "this kind of listen has no 'port'"},
    {"action a relay ttl 0", "'0' is not a duration such as 4d"},
};

static const char tables[] = "\ntable m { k = v }\ntable s { k = v }\ntable l { x }\n"
			     "pki p cert /c key /k\nca c cert /a\n"
			     "filter f phase connect match !fcrdns junk\n";

static struct conf *
parse(const char *text, size_t len, struct conf_errors *errors)
{
	return conf_parse_text("t", text, len, errors);
}

static void
check_case(const char *text, const char *dumped)
{
	struct conf_errors errors;
	struct conf *c = parse(text, strlen(text), &errors), *again;
	char *first, *second, *part;
	unsigned int role;

	if (c == NULL)
		fail_msg("%s: %s", text, errors.list[0].text);
	first = dump(c, CONF_FOR_ALL);
	if (strstr(first, dumped) == NULL)
		fail_msg("%s: %s", text, first);
	again = parse(first, strlen(first), &errors);
	assert_non_null(again);
	second = dump(again, CONF_FOR_ALL);
	assert_string_equal(first, second);
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		part = dump(c, role);
		conf_free(again);
		if ((again = parse(part, strlen(part), &errors)) == NULL)
			fail_msg(
			    "role %u: %s: %s", role, errors.list[0].text, errors.list[0].source);
		free(part);
	}
	free(first);
	free(second);
	conf_free(c);
	conf_free(again);
}

static void
test_grammar(void **state)
{
	char text[1024];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", cases[i].text, tables);
		check_case(text, cases[i].dumped);
	}
}

static void
test_faults(void **state)
{
	struct conf_errors errors;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(faults); i++) {
		if (parse(faults[i].text, strlen(faults[i].text), &errors) != NULL)
			fail_msg("accepted: %s", faults[i].text);
		if (strcmp(errors.list[0].text, faults[i].error) != 0)
			fail_msg("%s: %s", faults[i].text, errors.list[0].text);
		conf_errors_free(&errors);
	}
}

/* What is said to other servers is as secret as what clients say here. */
static void
test_credentials(void **state)
{
	static const char text[] = "action a relay host smtps://l@h auth { l = \"u:SECRET\" }\n"
				   "match action a";
	struct conf_errors errors;
	struct conf *c = parse(text, sizeof(text) - 1, &errors);
	unsigned int role;
	char *part;

	(void)state;
	assert_non_null(c);
	assert_true(conf_table_is_secret(c, "dynamic:1"));
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		part = dump(c, role);
		assert_int_equal(strstr(part, "SECRET") != NULL, role == CONF_FOR_VAULT);
		free(part);
	}
	part = dump(c, CONF_FOR_ALL);
	assert_non_null(strstr(part, "\"l\" = \"...\""));
	assert_null(strstr(part, "SECRET"));
	free(part);
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grammar),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

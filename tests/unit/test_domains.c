/* SPDX-License-Identifier: ISC */
/* A domain is one domain to rules, tables, senders and recipients, whichever way it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/domains.h"
#include "lookup/expand.h"
#include "lookup/senders.h"
#include "lookup/table_file.h"
#include "tests/unit/recipient_scene.h"

#define U "bücher.example"
#define A "xn--bcher-kva.example"
/* The ways to write it, and others that are none. */
static const char *const same[] = {
    U, "BÜCHER.Example", A, "XN--bcher-KVA.example", "bücher。example"};
static const char *const other[] = {"bucher.example",
    "b\xc3\xbc\xc3\xbc"
    "cher.example",
    "xn--bcher-kvb.example", "xn--bcher-2pa.example", "buecher.example"};

static void
test_equal(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(same); i++) {
		for (j = 0; j < NITEMS(same); j++)
			assert_true(domain_equal(same[i], same[j]));
		for (j = 0; j < NITEMS(other); j++)
			assert_false(domain_equal(same[i], other[j]));
	}
	assert_true(domain_equal("☃.example", "☃.example")); /* no name, but itself */
	assert_false(domain_equal("☃.example", "☃☃.example"));
	assert_false(domain_equal("☃.example", ""));
}

static void
test_keys(void **state)
{
	static const struct {
		const char *key, *ascii; /* NULL: it has no other form */
	} cases[] = {
	    {U, A},
	    {"*." U, "*." A},
	    {"." U, "." A},
	    {"@" U, "@" A},
	    {"@." U, "@." A},
	    {"x@" U, "x@" A},
	    {"jürgen@" U, "jürgen@" A},
	    {"*@*." U, "*@*." A},
	    {"bü*.Bücher.example", "bü*.xn--bcher-kva.example"},
	    {"example.org", NULL},
	    {"x@" A, NULL},
	    {"jürgen@example.org", NULL},
	    {"☃.example", NULL},
	    {"jürgen meier", NULL},
	};
	char got[TABLE_KEY_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("%s\n", cases[i].key);
		assert_int_equal(
		    domain_key_to_ascii(cases[i].key, got), cases[i].ascii != NULL ? 0 : -1);
		if (cases[i].ascii != NULL)
			assert_string_equal(got, cases[i].ascii);
	}
}

/* Many of them in a table, which grows: each is found both ways, and a key that is no domain once. */
static void
test_many_keys(void **state)
{
	char *text = malloc(200000), key[64], ascii[TABLE_KEY_MAX + 1];
	size_t i, n = 0, skipped;
	struct table *t;
	const char *value;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < 3000; i++)
		n += (size_t)snprintf(
		    text + n, 200000 - n, "X%zu@b\xc3\x9c%zu.example: v%zu\n", i, i, i);
	n += (size_t)snprintf(text + n, 200000 - n, "jürgen: v\n.späth.example: w\nsmtp://h.ü.x\n");
	t = table_parse("t", text, n, &skipped);
	assert_non_null(t);
	assert_int_equal(table_count(t), 3003);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof(key), "x%zu@bü%zu.example", i, i);
		assert_int_equal(domain_key_to_ascii(key, ascii), 0);
		assert_int_equal(table_value(t, ascii, &value), TABLE_YES);
		assert_int_equal(atoi(value + 1), (int)i);
	}
	assert_int_equal(table_value(t, "jürgen", &value), TABLE_YES);
	assert_int_equal(table_has_domain(t, "a.xn--spth-moa.example"), TABLE_YES);
	assert_int_equal(table_has_domain(t, "xn--spth-moa.example"), TABLE_NO);
	assert_string_equal(table_key_at(t, 3002), "smtp://h.ü.x");
	assert_null(table_key_at(t, 3003));
	table_free(t);
}

/* -- decisions -- */

static const char rules[] =
    "table utf8 { \"Bücher.example\" }\ntable ascii { \"" A "\" }\n"
    "table mailutf8 { \"@BÜCHER.example\" }\ntable mailascii { \"@" A "\" }\n"
    "table sub { \"*.bücher.example\" }\ntable glob { \"b\xc3\xbc*.example\" }\n"
    "table boxes { \"X@bücher.example\" = alice, \"@" A "\" = bob, \"y@" A "\" = carol }\n"
    "action relayed relay\n"
    "action boxes maildir \"/m/%{dest}\" virtual <boxes> user vmail\n";

static const struct {
	const char *tests, *domain;
	bool holds;
} tests_of_rules[] = {
    {"for domain <utf8>", U, true},
    {"for domain <ascii>", U, true},
    {"for domain <utf8>", "www." U, false},
    {"for domain <sub>", "www." U, true},
    {"for domain <sub>", U, false},
    {"for domain <glob>", U, true},
    {"for domain regex { \"^bücher\\.\" }", U, true},
    {"for domain regex { \"^xn--bcher\" }", U, true},
    {"! for domain <ascii>", U, false},
    {"! for domain regex { \"^xn--bcher\" }", U, false},
    {"for rcpt-to <mailutf8>", U, true},
    {"for rcpt-to <mailascii>", U, true},
    {"for rcpt-to regex { \"@bücher\\.example$\" }", U, true},
    {"for rcpt-to regex { \"@xn--bcher\" }", U, true},
    {"for any mail-from <mailutf8>", U, true},
    {"for any mail-from <mailascii>", U, true},
    {"for local", "ｌｏｃａｌｈｏｓｔ", true},
};

static void
judge(const char *tests, const char *domain, bool holds)
{
	char text[2048], rcpt[256];
	struct rule_question q = {.local = true, .helo = "", .tag = "", .auth = "", .name = ""};
	struct rules_decision d;
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	(void)snprintf(text, sizeof(text), "%smatch %s action relayed\n", rules, tests);
	scene_open(s, text);
	(void)snprintf(rcpt, sizeof(rcpt), "x@%s", domain);
	assert_int_equal(recipient_parse(&s->policy, rcpt, &q.rcpt), 0);
	q.sender = q.rcpt;
	rules_evaluate(&s->policy, &q, NULL, &d);
	print_message("%s: %s\n", tests, domain);
	assert_int_equal(d.result, holds ? RULES_MATCH : RULES_NONE);
	scene_close(s);
	free(s);
}

static void
test_rules(void **state)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(tests_of_rules); i++) {
		judge(tests_of_rules[i].tests, tests_of_rules[i].domain, tests_of_rules[i].holds);
		domain_canonical(tests_of_rules[i].domain, ascii);
		judge(tests_of_rules[i].tests, ascii, tests_of_rules[i].holds);
		if (strcmp(tests_of_rules[i].domain, U) == 0)
			for (j = 0; j < NITEMS(same); j++)
				judge(tests_of_rules[i].tests, same[j], tests_of_rules[i].holds);
	}
	for (i = 0; i < NITEMS(other); i++)
		judge("for domain <utf8>", other[i], false);
}

static void
test_senders(void **state)
{
	static const struct {
		const char *list; /* of the login */
		bool owns;
	} cases[] = {{"x@bücher.example", true}, {"x@" A, true}, {"@BÜCHER.example", true},
	    {"@*.example", true}, {"@b\xc3\xbc*.example", true}, {"@xn--b*.example", true},
	    {"@bucher.example", false}, {"y@" A, false}};
	char text[512], sender[128], login[128];
	struct scene *s = calloc(1, sizeof(*s));
	size_t i, j;

	(void)state;
	assert_non_null(s);
	for (i = 0; i < NITEMS(cases); i++) {
		(void)snprintf(text, sizeof(text),
		    "table t { bob = \"%s\" }\naction a relay\nmatch for any action a\n",
		    cases[i].list);
		scene_open(s, text);
		for (j = 0; j < NITEMS(same); j++) {
			(void)snprintf(sender, sizeof(sender), "x@%s", same[j]);
			(void)snprintf(login, sizeof(login), "x@%s", same[NITEMS(same) - 1 - j]);
			print_message("%s: %s\n", cases[i].list, sender);
			assert_int_equal(senders_owns(&s->policy, "t", "bob", sender),
			    cases[i].owns ? TABLE_YES : TABLE_NO);
			assert_int_equal(senders_owns(&s->policy, "", login, sender), TABLE_YES);
		}
		scene_close(s);
	}
	free(s);
}

/* -- whom mail is for -- */

/* What comes of "x@" and each way to write the domain: the items, with the address as it was written. */
static void
expand_all(const char *local, const char *action, const char *user, const char *dest)
{
	char text[2048], rcpt[256], want[256];
	struct scene *s = calloc(1, sizeof(*s));
	const struct expansion *x;
	struct expander *e;
	struct address a;
	size_t i;

	assert_non_null(s);
	(void)snprintf(text, sizeof(text), "%smatch for any action relayed\n", rules);
	scene_open(s, text);
	s->has_all_accounts = true;
	for (i = 0; i < NITEMS(same); i++) {
		(void)snprintf(rcpt, sizeof(rcpt), "%s@%s", local, same[i]);
		scene_begin(s);
		assert_int_equal(recipient_parse(&s->policy, rcpt, &a), 0);
		assert_int_equal(address_format(&a, want, sizeof(want)), 0);
		e = expander_create(&s->policy, &a, conf_action_find(s->conf, action));
		assert_non_null(e);
		while (expander_run(e, 10) != EXPAND_DONE)
			;
		x = expander_result(e);
		print_message("%s: %s\n", rcpt, x->text);
		assert_int_equal(x->nitems, 1);
		assert_string_equal(x->items[0].user, user);
		assert_string_equal(x->items[0].dest, dest);
		assert_string_equal(x->items[0].address, want);
		expander_free(e);
	}
	scene_close(s);
	free(s);
}

static void
test_recipients(void **state)
{
	(void)state;
	expand_all("x", "relayed", "", A);
	expand_all("x", "boxes", "vmail", "local:vmail");
	expand_all("Y", "boxes", "vmail", "local:vmail");
	expand_all("zoe", "boxes", "vmail", "local:vmail");
}

/* A list that names it in all ways sends one message there. */
static void
test_one_of_many(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const struct expansion *x;
	struct expander *e;
	struct address a;

	(void)state;
	assert_non_null(s);
	scene_open(s, "table t { all = \"x@" U ", x@" A ", x@BÜCHER.example, x@bucher.example\" }\n"
		      "action l maildir alias <t>\naction r relay\n"
		      "match for local action l\nmatch for any action r\n");
	scene_begin(s);
	assert_int_equal(recipient_parse(&s->policy, "all@localhost", &a), 0);
	e = expander_create(&s->policy, &a, conf_action_find(s->conf, "l"));
	assert_non_null(e);
	while (expander_run(e, 10) != EXPAND_DONE)
		;
	x = expander_result(e);
	assert_int_equal(x->nitems, 2);
	assert_string_equal(x->items[0].address, "x@" U);
	assert_string_equal(x->items[0].dest, A);
	assert_string_equal(x->items[1].dest, "bucher.example");
	expander_free(e);
	scene_close(s);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_many_keys),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_senders),
	    cmocka_unit_test(test_recipients),
	    cmocka_unit_test(test_one_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

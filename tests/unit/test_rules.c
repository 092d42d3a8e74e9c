/* SPDX-License-Identifier: ISC */
/* The match rules: which one decides, and why those before it did not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/rules.h"

struct question { /* as much of a struct rule_question as a case needs */
	const char *rcpt, *sender, *client, *helo, *tag, *auth;
	bool local, tls;
};

static const struct {
	const char *rules;
	struct question q;
	enum rules_result result;
	const char *action; /* NULL: reject */
	const char *why;    /* the tests that failed, in order */
} cases[] = {
    /* where it comes from */
    {"match from any for any action A", {.client = "192.0.2.1"}, RULES_MATCH, "A", ""},
    {"match for any action A", {.client = "192.0.2.1"}, RULES_NONE, NULL, "from local;"},
    {"match for any action A", {.local = true}, RULES_MATCH, "A", ""},
    {"match for any action A", {.client = "unix"}, RULES_MATCH, "A", ""},
    {"match from socket for any action A", {.local = true}, RULES_NONE, NULL, "from socket;"},
    {"match from socket for any action A", {.client = "unix"}, RULES_MATCH, "A", ""},
    {"match ! from local for any action A", {.client = "192.0.2.1"}, RULES_MATCH, "A", ""},
    {"match from src <nets> for any action A", {.client = "192.0.2.1"}, RULES_MATCH, "A", ""},
    {"match from src <nets> for any action A", {.client = "192.0.3.1"}, RULES_NONE, NULL,
	"from src <nets>;"},
    {"match from src <nets> for any action A", {.client = "unix"}, RULES_NONE, NULL,
	"from src <nets>;"},
    {"match ! from src <nets> for any action A", {.client = "192.0.3.1"}, RULES_MATCH, "A", ""},
    {"match from auth for any action A", {.auth = "bob"}, RULES_MATCH, "A", ""},
    {"match from auth for any action A", {.local = true}, RULES_NONE, NULL, "from auth;"},
    {"match from auth <users> for any action A", {.auth = "bob"}, RULES_MATCH, "A", ""},
    {"match from auth <users> for any action A", {.auth = "eve"}, RULES_NONE, NULL,
	"from auth <users>;"},
    {"match from auth <users> for any action A", {.auth = ""}, RULES_NONE, NULL,
	"from auth <users>;"},
    {"match auth from any for any action A", {.auth = "bob"}, RULES_MATCH, "A", ""},
    {"match auth <users> from any for any action A", {.auth = "Carol", .local = true}, RULES_MATCH,
	"A", ""},
    {"match auth <users> from any for any action A", {.auth = "bo"}, RULES_NONE, NULL,
	"auth <users>;"},
    {"match from auth { \"demo@example.org\" } for any action A",
	{.auth = "demo@example.org", .client = "192.0.2.1"}, RULES_MATCH, "A", ""},
    {"match from auth { \"demo@example.org\" } for any action A",
	{.auth = "\"demo@example.org\"@x"}, RULES_NONE, NULL, "from auth <dynamic:1>;"},
    {"match from auth regex { \"@example\\.org$\" } for any action A", {.auth = "x@example.org"},
	RULES_MATCH, "A", ""},
    {"match from auth regex { \"@example\\.org$\" } for any action A", {.auth = "x@example.com"},
	RULES_NONE, NULL, "from auth regex <dynamic:1>;"},
    {"match ! from auth for any action A", {.auth = "bob"}, RULES_NONE, NULL, "!from auth;"},
    {"match ! from auth for any action A", {.client = "192.0.2.1"}, RULES_MATCH, "A", ""},
    {"match ! auth <users> from any for any action A", {.auth = "eve"}, RULES_MATCH, "A", ""},
    {"match ! auth <users> from any for any action A", {.auth = "bob"}, RULES_NONE, NULL,
	"!auth <users>;"},
    {"match for any action A", {.auth = "bob", .client = "192.0.2.1"}, RULES_NONE, NULL,
	"from local;"},
    {"match from auth tls tag \"sub\" for any action A", {.auth = "bob", .tls = true, .tag = "sub"},
	RULES_MATCH, "A", ""},
    {"match from auth tls tag \"sub\" for any action A", {.auth = "bob", .tag = "sub"}, RULES_NONE,
	NULL, "tls;"},
    {"match from auth tls tag \"sub\" for any action A", {.auth = "bob", .tls = true, .tag = "Sub"},
	RULES_NONE, NULL, "tag sub;"},
    {"match from auth tls tag \"sub\" for any action A", {.tls = true, .tag = "sub"}, RULES_NONE,
	NULL, "from auth;"},
    {"match from mail-from <boxes> for any action A", {.sender = "bob@example.org"}, RULES_MATCH,
	"A", ""},
    {"match from mail-from <boxes> for any action A", {.sender = ""}, RULES_NONE, NULL,
	"from mail-from <boxes>;"},
    {"match from any mail-from <boxes> for any action A",
	{.sender = "\"bob@example.org\"@evil.example"}, RULES_NONE, NULL, "mail-from <boxes>;"},
    /* what it is for */
    {"match from any for local action A", {.rcpt = "x@MX.example.org"}, RULES_MATCH, "A", ""},
    {"match from any for local action A", {.rcpt = "x@localhost"}, RULES_MATCH, "A", ""},
    {"match from any for local action A", {.rcpt = "x@[127.0.0.2]"}, RULES_MATCH, "A", ""},
    {"match from any for local action A", {.rcpt = "x@[IPv6:::1]"}, RULES_MATCH, "A", ""},
    {"match from any for local action A", {.rcpt = "x@[192.0.2.1]"}, RULES_NONE, NULL,
	"for local;"},
    {"match from any for local action A", {.rcpt = "x@example.org"}, RULES_NONE, NULL,
	"for local;"},
    {"match from any action A", {.rcpt = "x@example.org"}, RULES_NONE, NULL, "for local;"},
    {"match from any for domain <domains> action A", {.rcpt = "x@Example.org"}, RULES_MATCH, "A",
	""},
    {"match from any for domain <domains> action A", {.rcpt = "x@a.wild.example"}, RULES_MATCH, "A",
	""},
    {"match from any for domain <domains> action A", {.rcpt = "x@example.com"}, RULES_NONE, NULL,
	"for domain <domains>;"},
    {"match from any ! for domain <domains> action A", {.rcpt = "x@example.com"}, RULES_MATCH, "A",
	""},
    {"match from any for domain \"example.org\" action A", {.rcpt = "x@example.org"}, RULES_MATCH,
	"A", ""},
    {"match from any for domain regex { \"^ex[a-z]+\\.org$\" } action A", {.rcpt = "x@example.org"},
	RULES_MATCH, "A", ""},
    {"match from any for domain regex { \"^ex[a-z]+\\.org$\" } action A", {.rcpt = "x@example-org"},
	RULES_NONE, NULL, "for domain regex <dynamic:1>;"},
    {"match from any for rcpt-to <boxes> action A", {.rcpt = "BOB@example.org"}, RULES_MATCH, "A",
	""},
    /* what else it says */
    {"match from any helo <domains> for any action A", {.helo = "example.org"}, RULES_MATCH, "A",
	""},
    {"match from any helo <domains> for any action A", {.helo = "x"}, RULES_NONE, NULL,
	"helo <domains>;"},
    {"match from any tag \"in\" for any action A", {.tag = "in"}, RULES_MATCH, "A", ""},
    {"match from any tag \"in\" for any action A", {.tag = ""}, RULES_NONE, NULL, "tag in;"},
    {"match from any tls for any action A", {.tls = true}, RULES_MATCH, "A", ""},
    {"match from any ! tls for any action A", {.tls = true}, RULES_NONE, NULL, "!tls;"},
    /* the first one decides */
    {"match from any for local action A\nmatch from any for any reject\n"
     "match from any for any action B",
	{.rcpt = "x@example.org"}, RULES_MATCH, NULL, "for local;"},
    {"match from any for any action B\nmatch from any for any action A", {.local = true},
	RULES_MATCH, "B", ""},
    {"", {.local = true}, RULES_NONE, NULL, ""},
    /* a table that is not there: neither yes nor no */
    {"match from any for domain <missing> action A", {.local = true}, RULES_TROUBLE, NULL, ""},
    {"match from any ! for domain <missing> action A", {.local = true}, RULES_TROUBLE, NULL, ""},
    {"match from socket for domain <missing> action A\nmatch from any for any action B",
	{.local = true}, RULES_MATCH, "B", "from socket;"},
    {"match from any for domain regex <missing> action A", {.local = true}, RULES_TROUBLE, NULL,
	""},
    {"match from auth <missing> for any action A", {.auth = "bob"}, RULES_TROUBLE, NULL, ""},
    {"match ! from auth <missing> for any action A", {.auth = "bob"}, RULES_TROUBLE, NULL, ""},
    {"match from auth regex <missing> for any action A", {.auth = "bob"}, RULES_TROUBLE, NULL, ""},
    /* but a rule that does not match anyway asks for nothing */
    {"match from auth <missing> for domain <domains> action A\nmatch from any for any action B",
	{.auth = "bob", .rcpt = "x@example.com"}, RULES_MATCH, "B", "for domain <domains>;"},
    {"match from src <missing> for domain <domains> action A",
	{.client = "192.0.2.1", .rcpt = "x@example.org"}, RULES_TROUBLE, NULL, ""},
    {"match from auth <missing> for domain <missing> action A", {.auth = "bob"}, RULES_TROUBLE,
	NULL, ""},
    /* who is nobody is in no table, whatever that has */
    {"match from auth <missing> for any action A", {.local = true}, RULES_NONE, NULL,
	"from auth <missing>;"},
    {"match ! from auth <missing> for any action A", {.local = true}, RULES_MATCH, "A", ""},
};

static const char prologue[] = "hostname \"mx.example.org\"\n"
			       "table nets { 192.0.2.0/24, 10.0.0.1 }\n"
			       "table users { bob, carol }\n"
			       "table domains { \"example.org\", \"*.wild.example\" }\n"
			       "table boxes { \"bob@example.org\" }\n"
			       "table missing file:/nonexistent\n"
			       "action A maildir\n"
			       "action B relay\n";

struct fixture {
	struct conf *conf;
	struct tables *tables;
	struct policy policy;
};

static void
fixture_make(struct fixture *f, const char *rules)
{
	struct conf_errors errors;
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s%s\n", prologue, rules);
	f->conf = conf_parse_text("test", text, strlen(text), &errors);
	if (f->conf == NULL)
		print_error("%s\n", errors.n > 0 ? errors.list[0].text : "?");
	conf_errors_free(&errors);
	assert_non_null(f->conf);
	f->tables = tables_create();
	assert_non_null(f->tables);
	assert_int_equal(tables_configure(f->tables, f->conf), 0);
	f->policy = (struct policy){f->conf, f->tables, "mx.example.org"};
}

static void
fixture_free(struct fixture *f)
{
	tables_free(f->tables);
	conf_free(f->conf);
}

static const char *
or_else(const char *s, const char *fallback)
{
	return s != NULL ? s : fallback;
}

static void
question_make(struct rule_question *out, const struct question *q, struct addr *client)
{
	*out = (struct rule_question){.local = q->local,
	    .tls = q->tls,
	    .helo = or_else(q->helo, ""),
	    .tag = or_else(q->tag, ""),
	    .auth = or_else(q->auth, "")};
	out->socket = q->client != NULL && strcmp(q->client, "unix") == 0;
	if (q->client != NULL && !out->socket) {
		assert_int_equal(addr_parse(q->client, 25, client), 0);
		out->client = client;
	}
	assert_int_equal(
	    address_parse(or_else(q->sender, "s@sender.example"), ADDRESS_NULL_OK, &out->sender),
	    ADDRESS_OK);
	assert_int_equal(
	    address_parse(or_else(q->rcpt, "r@rcpt.example"), 0, &out->rcpt), ADDRESS_OK);
}

static void
note_why(void *arg, const struct conf_rule *rule, const struct conf_test *failed)
{
	char *why = arg, text[128];

	assert_true(rule->line > 0);
	if (failed == NULL)
		return;
	rules_test_text(failed, text, sizeof(text));
	(void)strcat(strcat(why, text), ";");
}

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const struct conf_rule *rule = NULL;
		struct rule_question q;
		struct fixture f;
		struct addr client;
		char why[512] = "";

		print_message("%zu: %s\n", i, cases[i].rules);
		fixture_make(&f, cases[i].rules);
		question_make(&q, &cases[i].q, &client);
		assert_int_equal(
		    rules_evaluate(&f.policy, &q, note_why, why, &rule), cases[i].result);
		if (cases[i].result == RULES_MATCH) {
			if (cases[i].action == NULL)
				assert_null(rule->action);
			else
				assert_string_equal(rule->action, cases[i].action);
		}
		assert_string_equal(why, cases[i].why);
		fixture_free(&f);
	}
}

static void
test_text_is_cut(void **state)
{
	struct conf_test t = {.kind = CONF_TEST_TAG, .negated = true, .arg = (char[]){"abcdefgh"}};
	char text[8];

	(void)state;
	rules_test_text(&t, text, sizeof(text));
	assert_string_equal(text, "!tag ab");
}

/* A file's table that turns inline on reload, and back, is the one of its own configuration. */
static void
test_tables_across_reloads(void **state)
{
	static const char *const texts[] = {
	    "table t { a }\n", "table t file:/nonexistent\n", "table t { b }\n", "table u { c }\n"};
	static const enum table_answer has_a[] = {
	    TABLE_YES, TABLE_TROUBLE, TABLE_NO, TABLE_TROUBLE};
	struct tables *tables = tables_create();
	struct conf *old = NULL, *conf;
	struct conf_errors errors;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(texts); i++) {
		conf = conf_parse_text("test", texts[i], strlen(texts[i]), &errors);
		conf_errors_free(&errors);
		assert_non_null(conf);
		assert_int_equal(tables_configure(tables, conf), 0);
		conf_free(old);
		old = conf;
		assert_int_equal(table_has_word(tables_find(tables, "t"), "a"), has_a[i]);
	}
	tables_free(tables);
	conf_free(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_text_is_cut),
	    cmocka_unit_test(test_tables_across_reloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

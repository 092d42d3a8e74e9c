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

#include "tests/unit/policy_fixture.h"

struct question { /* as much of a struct rule_question as a case needs */
	const char *rcpt, *sender, *client, *helo, *tag, *auth, *name;
	enum ipc_rdns rdns;
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
	RULES_MATCH, "A", ""},
    {"match from auth tls tag \"sub\" for any action A",
	{.auth = "bob", .tls = true, .tag = "subs"}, RULES_NONE, NULL, "tag <dynamic:1>;"},
    {"match from any tag <users> for any action A", {.tag = "carol"}, RULES_MATCH, "A", ""},
    {"match from any tag regex { \"^in-\" } for any action A", {.tag = "in-1"}, RULES_MATCH, "A",
	""},
    {"match from any tag regex { \"^in-\" } for any action A", {.tag = "out"}, RULES_NONE, NULL,
	"tag regex <dynamic:1>;"},
    {"match from any ! tag <missing> for any action A", {.tag = "x"}, RULES_TROUBLE, NULL, ""},
    /* the name that the DNS has for the client */
    {"match from rdns for any action A", {.rdns = IPC_RDNS_NAMED, .name = "a.b"}, RULES_MATCH, "A",
	""},
    {"match from rdns for any action A", {.rdns = IPC_RDNS_NONE}, RULES_NONE, NULL, "from rdns;"},
    {"match ! from rdns for any action A", {.rdns = IPC_RDNS_NONE}, RULES_MATCH, "A", ""},
    {"match from rdns <domains> for any action A",
	{.rdns = IPC_RDNS_CONFIRMED, .name = "Example.org"}, RULES_MATCH, "A", ""},
    {"match from rdns <domains> for any action A",
	{.rdns = IPC_RDNS_NAMED, .name = "a.example.org"}, RULES_NONE, NULL,
	"from rdns <domains>;"},
    {"match ! from rdns <domains> for any action A",
	{.rdns = IPC_RDNS_NAMED, .name = "a.example.org"}, RULES_MATCH, "A", ""},
    {"match from rdns regex { \"^dsl\" } for any reject",
	{.rdns = IPC_RDNS_NAMED, .name = "dsl7.example.org"}, RULES_MATCH, NULL, ""},
    {"match ! from rdns <domains> for any action A", {.rdns = IPC_RDNS_TROUBLE}, RULES_TROUBLE,
	NULL, ""},
    {"match from rdns for any action A", {.rdns = IPC_RDNS_UNASKED}, RULES_TROUBLE, NULL, ""},
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
    {"match from any tag \"in\" for any action A", {.tag = ""}, RULES_NONE, NULL,
	"tag <dynamic:1>;"},
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

static void
fixture_make(struct policy_fixture *f, const char *rules)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s%s\n", prologue, rules);
	policy_fixture_make(f, text);
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
	    .rdns = q->rdns,
	    .name = or_else(q->name, ""),
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
note_why(void *arg, const struct conf_rule *rule, enum table_answer matches,
    const struct conf_test *test)
{
	char *why = arg, text[128];

	assert_true(rule->line > 0);
	assert_int_equal(matches == TABLE_YES, test == NULL);
	if (matches != TABLE_NO)
		return;
	rules_test_text(test, text, sizeof(text));
	(void)strcat(strcat(why, text), ";");
}

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct rules_decision d;
		struct rule_question q;
		struct policy_fixture f;
		struct addr client;
		char why[512] = "";
		const struct rules_observer observer = {.rule = note_why, .arg = why};

		print_message("%zu: %s\n", i, cases[i].rules);
		fixture_make(&f, cases[i].rules);
		question_make(&q, &cases[i].q, &client);
		rules_evaluate(&f.policy, &q, &observer, &d);
		assert_int_equal(d.result, cases[i].result);
		assert_int_equal(d.rule == NULL, d.result == RULES_NONE);
		assert_int_equal(d.test == NULL, d.result != RULES_TROUBLE);
		if (d.result == RULES_MATCH) {
			if (cases[i].action == NULL)
				assert_null(d.rule->action);
			else
				assert_string_equal(d.rule->action, cases[i].action);
		}
		assert_string_equal(why, cases[i].why);
		policy_fixture_free(&f);
	}
}

static void
test_text_is_cut(void **state)
{
	struct conf_test t = {.kind = CONF_TEST_TAG, .negated = true, .arg = (char[]){"abcdefgh"}};
	char text[8];

	(void)state;
	rules_test_text(&t, text, sizeof(text));
	assert_string_equal(text, "!tag <a");
}

static void
test_need_name(void **state)
{
	static const struct {
		const char *rules;
		bool need;
	} rows[] = {
	    {"", false},
	    {"match from any for any action A", false},
	    {"match from rdns for any action A", true},
	    {"match from any for any action A\nmatch ! from rdns <domains> for local action A",
		true},
	};
	struct policy_fixture f;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		fixture_make(&f, rows[i].rules);
		assert_int_equal(rules_need_name(f.conf), rows[i].need);
		policy_fixture_free(&f);
	}
}

/* Told of every test where all are wanted, else of those up to the one that fails. */
static void
note_test(
    void *arg, const struct conf_rule *rule, const struct conf_test *t, enum table_answer answer)
{
	char *said = arg, text[128], one[160];

	(void)rule;
	rules_test_text(t, text, sizeof(text));
	(void)snprintf(one, sizeof(one), "%s=%d;", text, (int)answer);
	(void)strcat(said, one);
}

static void
test_observer(void **state)
{
	struct policy_fixture f;
	struct rule_question q;
	struct rules_decision d;
	struct addr client;
	char said[512] = "";
	struct rules_observer observer = {.test = note_test, .arg = said};

	(void)state;
	fixture_make(&f, "match from local tls for local action A");
	question_make(&q, &(const struct question){.rcpt = "x@localhost"}, &client);
	rules_evaluate(&f.policy, &q, &observer, &d);
	assert_int_equal(d.result, RULES_NONE);
	assert_string_equal(said, "from local=0;");
	said[0] = '\0';
	observer.all_tests = true;
	rules_evaluate(&f.policy, &q, &observer, &d);
	assert_int_equal(d.result, RULES_NONE);
	assert_string_equal(said, "from local=0;tls=0;for local=1;");
	policy_fixture_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_text_is_cut),
	    cmocka_unit_test(test_need_name),
	    cmocka_unit_test(test_observer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

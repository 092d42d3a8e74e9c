/* SPDX-License-Identifier: ISC */
/* Which addresses a login may send as, and what becomes of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lookup/glob.h"
#include "lookup/senders.h"
#include "tests/unit/policy_fixture.h"

static const char conf_text[] =
    "hostname \"mx.example.org\"\n"
    "table own { \"bob\" = \"bob@example.org, Sales@example.org\", \"carol\" = \"@example.net\",\n"
    "    \"dave\" = \"dave+*@example.org\", \"eve@example.org\" = \"*@.example.org\",\n"
    "    \"frank\" = \"frank, @, example.org, ,\", \"root\" = \"@*\", \"gina\" = "
    "\"@example.org@x\",\n"
    "    \"hugo\" = \"hugo@example.org\thu@example.com hg@example.com\" }\n"
    "table missing file:/nonexistent\n"
    "table boxes { \"bob@example.org\" }\n"
    "filter \"rewrite-f\" phase mail-from match mail-from { \"*@*\" } rewrite "
    "\"sales@corp.example\"\n"
    "filter \"bypass-f\" phase mail-from match mail-from <boxes> bypass\n"
    "filter \"no-f\" phase mail-from match mail-from <boxes> reject \"550 5.7.9 filtered\"\n"
    "filter \"junk-f\" phase mail-from match mail-from <boxes> junk\n";

static const struct {
	const char *senders, *login, *sender;
	enum table_answer answer;
} cases[] = {
    /* its own address: the login itself */
    {"", "bob@example.org", "bob@example.org", TABLE_YES},
    {"", "bob@example.org", "Bob@EXAMPLE.org", TABLE_YES},
    {"", "Bob@Example.Org", "bob@example.org", TABLE_YES},
    {"", "bob@example.org", "\"bob\"@example.org", TABLE_YES},
    {"", "bob@example.org", "bob+tag@example.org", TABLE_NO},
    {"", "bob+tag@example.org", "bob@example.org", TABLE_NO},
    {"", "bob@example.org", "bobby@example.org", TABLE_NO},
    {"", "bob@example.org", "bo@example.org", TABLE_NO},
    {"", "bob@example.org", "bob@example.org.evil.example", TABLE_NO},
    {"", "bob@example.org", "bob@mx.example.org", TABLE_NO},
    {"", "bob@example.org", "\"bob@example.org\"@evil.example", TABLE_NO},
    {"", "bob@example.org", "carol@example.org", TABLE_NO},
    {"", "bob@", "bob@mx.example.org", TABLE_NO},
    {"", "@example.org", "bob@example.org", TABLE_NO},
    {"", "b*@example.org", "bob@example.org", TABLE_NO},
    {"",
	"b\xc3\xb6"
	"b@example.org",
	"b\xc3\xb6"
	"b@example.org",
	TABLE_YES},
    /* or at a name of this host */
    {"", "bob", "bob@mx.example.org", TABLE_YES},
    {"", "bob", "BOB@MX.example.org", TABLE_YES},
    {"", "bob", "bob@localhost", TABLE_YES},
    {"", "bob", "bob@[127.0.0.1]", TABLE_YES},
    {"", "bob", "bob@[192.0.2.1]", TABLE_NO},
    {"", "bob", "bob@example.org", TABLE_NO},
    {"", "bob", "bob+tag@mx.example.org", TABLE_NO},
    {"", "bob", "carol@mx.example.org", TABLE_NO},
    {"", "bob", "\"bob@mx.example.org\"@evil.example", TABLE_NO},
    /* the null path */
    {"", "bob", "", TABLE_YES},
    {"own", "nobody", "", TABLE_YES},
    {"missing", "bob", "", TABLE_YES},
    /* nobody owns nothing, whatever the table */
    {"", "", "bob@mx.example.org", TABLE_NO},
    {"own", "", "bob@example.org", TABLE_NO},
    /* listed */
    {"own", "bob", "bob@example.org", TABLE_YES},
    {"own", "BOB", "bob@example.org", TABLE_YES},
    {"own", "bob", "bob@EXAMPLE.ORG", TABLE_YES},
    {"own", "bob", "Bob@example.org", TABLE_NO},
    {"own", "bob", "Sales@example.org", TABLE_YES},
    {"own", "bob", "sales@example.org", TABLE_NO},
    {"own", "bob", "bob+tag@example.org", TABLE_NO},
    {"own", "bob", "bob@mx.example.org", TABLE_NO},
    {"own", "bob", "\"bob@example.org,\"@evil.example", TABLE_NO},
    {"own", "carol", "anything@example.net", TABLE_YES},
    {"own", "carol", "\"any thing\"@Example.NET", TABLE_YES},
    {"own", "carol", "a@sub.example.net", TABLE_NO},
    {"own", "dave", "dave+x@example.org", TABLE_YES},
    {"own", "dave", "dave+@example.org", TABLE_YES},
    {"own", "dave", "dave@example.org", TABLE_NO},
    {"own", "dave", "Dave+x@example.org", TABLE_NO},
    {"own", "eve@example.org", "x@a.b.example.org", TABLE_YES},
    {"own", "eve@example.org", "x@example.org", TABLE_NO},
    {"own", "eve@example.org", "eve@example.org", TABLE_NO},
    {"own", "frank", "frank@mx.example.org", TABLE_NO},
    {"own", "frank", "frank@example.org", TABLE_NO},
    {"own", "root", "who@ever.example", TABLE_YES},
    {"own", "gina", "x@example.org", TABLE_NO},
    {"own", "gina", "\"@example.org\"@x", TABLE_YES},
    {"own", "hugo", "hu@example.com", TABLE_YES},
    {"own", "hugo", "hg@example.com", TABLE_YES},
    {"own", "hugo", "hg@example.org", TABLE_NO},
    {"own", "nobody", "nobody@mx.example.org", TABLE_NO},
    {"own", "nobody@example.org", "nobody@example.org", TABLE_NO},
    {"boxes", "bob@example.org", "bob@example.org", TABLE_NO}, /* a list: nobody has anything */
    /* nobody can say */
    {"missing", "bob", "bob@example.org", TABLE_TROUBLE},
    {"unheard-of", "bob", "bob@example.org", TABLE_TROUBLE},
    {"own", "bob", "no address", TABLE_TROUBLE},
};

static int
setup(void **state)
{
	static struct policy_fixture f;

	policy_fixture_make(&f, conf_text);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	policy_fixture_free(*state);
	return 0;
}

static void
test_owns(void **state)
{
	const struct policy_fixture *f = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		enum table_answer a = senders_owns(
		    &f->policy, cases[i].senders, cases[i].login, cases[i].sender);

		if (a != cases[i].answer)
			fail_msg("<%s> of '%s' by '%s': %d", cases[i].sender, cases[i].login,
			    cases[i].senders, a);
	}
}

/* A list of thousands, an address longer than any, and a pattern that a slow matcher drowns in. */
static void
test_long_lists(void **state)
{
	const struct policy_fixture *f = *state;
	FILE *file = tmpfile();
	unsigned int i;

	assert_non_null(file);
	(void)fputs("many: ", file);
	for (i = 0; i < 5000; i++)
		(void)fprintf(file, "a%u@example.org, ", i);
	(void)fprintf(file, "\nwide: %*s@b.example, w@b.example\n", 2 * 1024, "w");
	(void)fprintf(file, "\"slow\": a*a*a*a*a*a*a*a*a*a*a*a*a*a*b@c.example\n");
	assert_int_equal(fflush(file), 0);
	rewind(file);
	assert_int_equal(tables_load(f->tables, "missing", dup(fileno(file))), 0);
	(void)fclose(file);
	assert_int_equal(
	    senders_owns(&f->policy, "missing", "many", "a4999@example.org"), TABLE_YES);
	assert_int_equal(
	    senders_owns(&f->policy, "missing", "many", "a5000@example.org"), TABLE_NO);
	assert_int_equal(senders_owns(&f->policy, "missing", "wide", "w@b.example"), TABLE_YES);
	assert_int_equal(senders_owns(&f->policy, "missing", "slow",
			     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@c.example"),
	    TABLE_NO);
	assert_true(glob_matches("*b*", "aabaa", false));
	assert_false(glob_matches("*B*", "aabaa", false));
	assert_true(glob_matches("*B*", "aabaa", true));
}

/* "550 5.7.1" or "go on", "=" the value; what the filters said and what came of it. */
static void
test_after_filters(void **state)
{
	static const struct {
		const char *filter, *senders, *login, *sender, *verdict;
	} rows[] = {
	    {"", "", "bob@example.org", "bob@example.org", "0 "},
	    {"", "", "bob@example.org", "carol@example.org", "550 5.7.1"},
	    {"", "missing", "bob@example.org", "carol@example.org", "451 4.4.3"},
	    {"bypass-f", "", "bob@example.org", "bob@example.org", "0 bypass"},
	    {"bypass-f", "", "carol@example.org", "bob@example.org", "550 5.7.1"},
	    {"junk-f", "", "bob@example.org", "bob@example.org", "0 junk"},
	    {"junk-f", "", "carol@example.org", "bob@example.org", "550 5.7.1"},
	    {"no-f", "", "bob@example.org", "bob@example.org", "550 5.7.9"},
	    {"no-f", "missing", "carol@example.org", "bob@example.org", "550 5.7.9"},
	    {"rewrite-f", "", "bob@example.org", "bob@example.org", "550 5.7.1"},
	    {"rewrite-f", "", "sales@corp.example", "bob@example.org", "0 =sales@corp.example"},
	    {"rewrite-f", "own", "root", "bob@example.org", "0 =sales@corp.example"},
	};
	const struct policy_fixture *f = *state;
	size_t i;

	for (i = 0; i < NITEMS(rows); i++) {
		struct filter_question q = {.phase = CONF_PHASE_MAIL_FROM,
		    .name = "",
		    .helo = "",
		    .auth = rows[i].login,
		    .sender = rows[i].sender,
		    .rcpt = ""};
		struct filter_verdict v;
		char text[1024];

		assert_true(filter_evaluate(&f->policy, rows[i].filter, &q, NULL, &v));
		assert_int_not_equal(
		    senders_judge(&f->policy, rows[i].senders, &q, &v), TABLE_PENDING);
		(void)snprintf(text, sizeof(text), "%u %s%s%s%s%s", v.code, v.status,
		    v.bypass ? "bypass" : "", v.junk ? "junk" : "", v.value[0] != '\0' ? "=" : "",
		    v.value);
		if (strcmp(text, rows[i].verdict) != 0)
			fail_msg("%zu: '%s'", i, text);
		assert_int_equal(v.trouble, v.code == 451);
		assert_int_equal(v.text[0] != '\0', v.code != 0);
	}
}

/* Only MAIL has a sender to rewrite: what another phase rewrites is none. */
static void
test_value_of_another_phase(void **state)
{
	const struct policy_fixture *f = *state;
	struct filter_question q = {
	    .phase = CONF_PHASE_RCPT_TO, .auth = "bob@example.org", .sender = "carol@example.org"};
	struct filter_verdict v = {.value = "bob@example.org", .filter = ""};

	assert_int_equal(senders_judge(&f->policy, "", &q, &v), TABLE_NO);
	assert_int_equal(v.code, 550);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_owns), cmocka_unit_test(test_after_filters),
	    cmocka_unit_test(test_value_of_another_phase),
	    cmocka_unit_test(test_long_lists), /* loads the table that is missing until then */
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: ISC */
/* Recipients at RCPT: who exists, who does not and why, who can't be told now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/recipient_scene.h"

static const char text[] =
    "hostname \"mx.example.org\"\n"
    "srs key \"0123456789abcdef\"\n"
    "smtp sub-addr-delim \"+-\"\n"
    "table aliases { team = \"alice\", \"list-of-x\" = alice, stale = gone, \"chain\" = stale,\n"
    "  both = \"gone, away\", loop = loop2, loop2 = loop, self = self, alice = \"alice\",\n"
    "  pipe = \"|cat\", path = \"/x\", odd = \":x\", list = \":include:/none\",\n"
    "  out = \"x@y.example\", denied = \"x@refused.example\", bad = \"x@\", slash = "
    "\"\\alice\",\n"
    "  far = \"hang\", empty = \", ,\", boss = \"postmaster\", over = \"nobody@v2.example\" }\n"
    "table users { \"demo@v.example\" = vmail, \"root\" = root }\n"
    "table people { ann = \"1:1:/home/ann\" }\n"
    "table late file:/nonexistent\n"
    "action \"local\" maildir alias <aliases>\n"
    "action \"plain\" maildir\n"
    "action \"virtual\" maildir \"/mail/%{dest.domain}/%{dest.user}\" virtual <users> user vmail\n"
    "action \"mapped\" maildir virtual <users>\n"
    "action \"all\" maildir \"/mail/%{dest.user}\" user vmail\n"
    "action \"late\" maildir alias <late>\n"
    "action \"based\" maildir userbase <people>\n"
    "action \"latebase\" maildir userbase <late>\n"
    "action \"only\" expand-only\n"
    "action \"v2\" maildir virtual <users>\n"
    "action \"mx\" relay\n"
    "match for domain \"v2.example\" action \"v2\"\n"
    "match for local action \"local\"\n"
    "match for domain \"late.example\" action \"late\"\n"
    "match for domain \"refused.example\" reject\n"
    "match for any action \"mx\"\n";

static const char *const accounts[] = {"alice", "root", "vmail", "al_ice", "www-data", NULL};
static const struct scene_file files[] = {{"alice", FORWARD_USER, "a@b.example"},
    {"hang", FORWARD_USER, NULL}, {NULL, FORWARD_USER, NULL}};
static const struct scene_pair srs[] = {
    {"-SRS0=good@mx.example.org", "ann@s.example"},
    {"-SRS0=here@mx.example.org", "alice@mx.example.org"},
    {"-SRS0=gone@mx.example.org", "nobody@mx.example.org"},
    {"-SRS0=refused@mx.example.org", "x@refused.example"},
    {"-SRS0=late@mx.example.org", "x@late.example"},
    {"-SRS0=loop@mx.example.org", "SRS0=loop@mx.example.org"},
    {NULL, NULL},
};

static const struct {
	const char *address, *action;
	enum recipient_result result;
	const char *why;
} cases[] = {
    {"alice@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"ALICE@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"alice+tag@mx.example.org", "plain", RECIPIENT_EXISTS, ""},
    {"alice-tag@mx.example.org", "plain", RECIPIENT_EXISTS, ""},
    {"al_ice@mx.example.org", "plain", RECIPIENT_EXISTS, ""},
    {"www-data@mx.example.org", "plain", RECIPIENT_EXISTS, ""},
    {"www-data-x@mx.example.org", "plain", RECIPIENT_ABSENT, "no account \"www\""},
    {"alice_tag@mx.example.org", "plain", RECIPIENT_ABSENT, "no account \"alice_tag\""},
    {"team@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"list-of-x@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"list@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    /* what stands for one other is followed */
    {"stale@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"gone\""},
    {"chain@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"gone\""},
    {"both@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"loop@mx.example.org", "local", RECIPIENT_ABSENT, "no end of the aliases of \"loop\""},
    {"self@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"self\""},
    {"alice+x@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"slash@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"pipe@mx.example.org", "local", RECIPIENT_ABSENT, "commands are not allowed here: |cat"},
    {"path@mx.example.org", "local", RECIPIENT_ABSENT, "files are not allowed here: /x"},
    {"odd@mx.example.org", "local", RECIPIENT_ABSENT, "no way to deliver to: :x"},
    {"empty@mx.example.org", "local", RECIPIENT_ABSENT, "no way to deliver to: \"\""},
    {"out@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"bad@mx.example.org", "local", RECIPIENT_ABSENT, "no address in \"x@\""},
    {"denied@mx.example.org", "local", RECIPIENT_ABSENT,
	"no rule that lets mail on to \"x@refused.example\""},
    {"far@mx.example.org", "local", RECIPIENT_UNSURE, "accounts does not answer"},
    {"boss@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"over@mx.example.org", "local", RECIPIENT_ABSENT,
	"no recipient \"nobody@v2.example\" in table <users>"},
    {"nobody@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"nobody\""},
    {"\"a b\"@mx.example.org", "plain", RECIPIENT_ABSENT,
	"no recipient \"\"a b\"@mx.example.org\""},
    {"hang@mx.example.org", "plain", RECIPIENT_UNSURE, "accounts does not answer"},
    {"demo@v.example", "virtual", RECIPIENT_EXISTS, ""},
    {"x@v.example", "virtual", RECIPIENT_ABSENT, "no recipient \"x@v.example\" in table <users>"},
    {"alice@v.example", "mapped", RECIPIENT_ABSENT,
	"no recipient \"alice@v.example\" in table <users>"},
    {"x@y.example", "late", RECIPIENT_UNSURE, "table <late> does not answer"},
    {"ann@mx.example.org", "based", RECIPIENT_EXISTS, ""},
    {"alice@mx.example.org", "based", RECIPIENT_ABSENT, "no account \"alice\" in table <people>"},
    {"ann@mx.example.org", "latebase", RECIPIENT_UNSURE, "table <late> does not answer"},
    {"alice@mx.example.org", "only", RECIPIENT_EXISTS, ""}, /* a .forward file */
    {"root@mx.example.org", "only", RECIPIENT_ABSENT, "no recipient \"root@mx.example.org\""},
    {"hang@mx.example.org", "only", RECIPIENT_UNSURE, "forward does not answer"},
    {"any@thing.example", "mx", RECIPIENT_EXISTS, ""},
    /* RFC 5321 4.5.1, RFC 2142 */
    {"postmaster", "local", RECIPIENT_EXISTS, ""},
    {"PostMaster@v.example", "virtual", RECIPIENT_EXISTS, ""},
    {"abuse@v.example", "mapped", RECIPIENT_EXISTS, ""},
    {"abuse@mx.example.org", "only", RECIPIENT_EXISTS, ""},
    {"abuse@mx.example.org", "based", RECIPIENT_EXISTS, ""},
    {"postmaster@mx.example.org", "late", RECIPIENT_UNSURE, "table <late> does not answer"},
    {"postmaster@mx.example.org", "latebase", RECIPIENT_UNSURE, "table <late> does not answer"},
    {"abusers@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"abusers\""},
    /* SRS */
    {"SRS0=good@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"SRS0=here@mx.example.org", "local", RECIPIENT_EXISTS, ""},
    {"SRS0=gone@mx.example.org", "local", RECIPIENT_ABSENT, "no account \"nobody\""},
    {"SRS0=refused@mx.example.org", "local", RECIPIENT_ABSENT,
	"no rule that lets mail on to \"x@refused.example\""},
    {"SRS0=late@mx.example.org", "local", RECIPIENT_UNSURE, "table <late> does not answer"},
    {"SRS0=loop@mx.example.org", "local", RECIPIENT_ABSENT,
	"no end of the aliases of \"SRS0=loop\""},
    {"SRS0=forged@mx.example.org", "local", RECIPIENT_ABSENT,
	"no recipient \"SRS0=forged@mx.example.org\""},
    {"SRS0=good@elsewhere.example", "mx", RECIPIENT_EXISTS, ""},
};

static int
setup(void **state)
{
	static struct scene s;

	scene_open(&s, text);
	s.accounts = accounts;
	s.files = files;
	s.srs = srs;
	*state = &s;
	return 0;
}

static int
teardown(void **state)
{
	scene_close(*state);
	return 0;
}

static void
check(struct scene *s, size_t i, bool slow)
{
	const struct conf_action *action = conf_action_find(s->conf, cases[i].action);
	enum recipient_result r;
	struct address a;
	char why[256];

	if (recipient_parse(&s->policy, cases[i].address, &a) == -1)
		return;
	scene_begin(s);
	while ((r = recipient_check(&s->policy, action, &a, why, sizeof(why))) == RECIPIENT_WAITS) {
		assert_true(slow && s->nasked > 0);
		scene_answer_all(s);
	}
	assert_string_equal(why, cases[i].why);
	assert_int_equal(r, cases[i].result);
}

static void
test_cases(void **state)
{
	struct scene *s = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		print_message("%s %s\n", cases[i].address, cases[i].action);
		check(s, i, false);
		s->slow = true;
		check(s, i, true);
		s->slow = false;
	}
}

/* Who has no mailbox by a name that a catch-all takes is refused at once. */
static void
test_no_such_mailbox(void **state)
{
	struct scene *s = *state;
	struct address a;
	char why[256];

	scene_begin(s);
	assert_int_equal(recipient_parse(&s->policy, "\"..\"@v.example", &a), 0);
	assert_int_equal(
	    recipient_check(&s->policy, conf_action_find(s->conf, "all"), &a, why, sizeof(why)),
	    RECIPIENT_ABSENT);
	assert_string_equal(why, "no mailbox can have the name \"\"..\"@v.example\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_no_such_mailbox),
	};

	return cmocka_run_group_tests_name("recipient", tests, setup, teardown);
}

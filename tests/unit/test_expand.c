/* SPDX-License-Identifier: ISC */
/* Aliases, virtual users, lists, .forward files, SRS: whom a recipient stands for in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/expand.h"
#include "tests/unit/recipient_scene.h"

static const char text[] =
    "hostname \"mx.example.org\"\n"
    "srs key \"0123456789abcdef\"\n"
    "table aliases {\n"
    "  root = alice, postmaster = \"root\", team = \"alice, bob@remote.example, root, Team2\",\n"
    "  team2 = \"carol,alice\", self = \"Self, alice\", quiet = \"\\quiet, root\", nested = "
    "\"\\root\",\n"
    "  a = b, b = c, c = a, exit = \"a, dave\", pipe = \"|cat\", \"file\" = \"/etc/passwd\",\n"
    "  quoted = '\"|cat -a, b\", alice', \"include\" = \":include:/etc/passwd\",\n"
    "  both = \"|cat, alice\", refused = \"x@refused.example\", bad = \"a@@b\", long = \"nobody "
    "here\",\n"
    "  empty = \" , ,\", here = \"root@mx.example.org\", away = \"x@smart.example\",\n"
    "  virt = \"info@v.example\", lost = \"x@late.example\", \"tag+ged\" = alice, odd = \"a/b\",\n"
    "  mixed = \"alice, x@refused.example, bob@remote.example, a@@b, a/b, x@refused.example, "
    "a\tb\xe9@\", nothing = \"x@refused.example, a@@b\",\n"
    "  fwd = \"alice, away, gone@remote.example\", waits = \"alice, hang, slow@late.example\","
    "  allwait = \"hang, slow@late.example\", hangself = \"hangself, alice\",\n"
    "  members = \":include:/lists/members, zoe@remote.example\", loop = "
    "\":include:/lists/loop\",\n"
    "  nolist = \":include:/lists/none, alice\", unsafelist = \"open, alice\",\n"
    "  stale = \"gone, alice\", pair = \"kim, lee\",\n"
    "  twice = \"alice, root@mx.example.org\", utf8 = \"\xc3\xa9@remote.example\"\n"
    "}\n"
    "table users {\n"
    "  \"demo@v.example\" = demo, \"info@v.example\" = \"demo@v.example, x@remote.example\",\n"
    "  \"sales+eu@v.example\" = bob, sales = \"demo\", \"@all.example\" = demo,\n"
    "  \"one@v.example\" = carol, \"two@v.example\" = carol,\n"
    "  \"alike@v.example\" = \"Demo+a@v.example, demo@V.example, DEMO+b@v.example\",\n"
    "  \"all@v.example\" = \"one@v.example, two@v.example\"\n"
    "}\n"
    "table people { alice = \"1:1:/home/alice\" }\n"
    "table catch { \"@\" = demo }\n"
    "table late file:/nonexistent\n"
    "action \"local\" maildir alias <aliases>\n"
    "action \"plain\" maildir\n"
    "action \"byname\" maildir \"/mail/%{dest.user}\" alias <aliases>\n"
    "action \"virtual\" maildir \"/mail/%{dest.domain}/%{dest.user}\" virtual <users> user vmail\n"
    "action \"mapped\" maildir virtual <users>\n"
    "action \"catchall\" maildir virtual <catch>\n"
    "action \"late\" maildir virtual <late>\n"
    "action \"only\" expand-only alias <aliases>\n"
    "action \"fwdonly\" forward-only\n"
    "action \"based\" maildir userbase <people>\n"
    "action \"shared\" maildir \"/mail/%{dest.user}\" virtual <users> user vmail\n"
    "action \"mx\" relay\n"
    "action \"smart\" relay host \"smtp://127.0.0.1:2525\"\n"
    "match for local action \"local\"\n"
    "match for domain \"v.example\" action \"virtual\"\n"
    "match for domain \"late.example\" action \"late\"\n"
    "match for domain \"refused.example\" reject\n"
    "match for domain \"smart.example\" action \"smart\"\n"
    "match for any action \"mx\"\n";

/* items: "address action user dest;" each, sorted by the order they are found in. */
static const struct {
	const char *address, *action;
	enum ipc_outcome outcome;
	const char *items, *status;
} cases[] = {
    {"alice@mx.example.org", "local", IPC_OK, "alice@mx.example.org local alice local:alice;", ""},
    {"Alice+tag@localhost", "plain", IPC_OK, "Alice+tag@localhost plain alice local:alice;", ""},
    {"root@localhost", "local", IPC_OK, "root@localhost local alice local:alice;", ""},
    {"ROOT+x@localhost", "local", IPC_OK, "ROOT+x@localhost local alice local:alice;", ""},
    {"root@localhost", "plain", IPC_OK, "root@localhost plain root local:root;", ""},
    {"tag+ged@localhost", "local", IPC_OK, "tag+ged@localhost local alice local:alice;", ""},
    {"postmaster", "local", IPC_OK, "postmaster@mx.example.org local alice local:alice;", ""},
    {"team@localhost", "local", IPC_OK,
	"team@localhost local alice local:alice;bob@remote.example mx  remote.example;"
	"team@localhost local carol local:carol;",
	""},
    {"self@localhost", "local", IPC_OK,
	"self@localhost local self local:self;self@localhost local alice local:alice;", ""},
    {"self+tag@localhost", "local", IPC_OK,
	"self+tag@localhost local self local:self;self+tag@localhost local alice local:alice;", ""},
    {"quiet@localhost", "local", IPC_OK,
	"quiet@localhost local quiet local:quiet;quiet@localhost local alice local:alice;", ""},
    {"nested@localhost", "local", IPC_OK, "nested@localhost local root local:root;", ""},
    {"a@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"exit@localhost", "local", IPC_OK, "exit@localhost local dave local:dave;", ""},
    {"pipe@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"file@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"include@localhost", "local", IPC_RETRY, "", "4.2.4"},
    {"odd@localhost", "local", IPC_FAIL, "", "5.1.1"},
    {"long@localhost", "local", IPC_FAIL, "", "5.1.1"},
    {"bad@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"empty@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"refused@localhost", "local", IPC_FAIL, "", "5.7.1"},
    {"lost@localhost", "local", IPC_RETRY, "", "4.4.3"},
    /* what can't be used beside what can: the sender is told */
    {"both@localhost", "local", IPC_OK,
	"|cat   fail:5.2.4 commands are not allowed here;both@localhost local alice local:alice;",
	"5.2.4"},
    {"quoted@localhost", "local", IPC_OK,
	"|cat -a, b   fail:5.2.4 commands are not allowed here;quoted@localhost local alice "
	"local:alice;",
	"5.2.4"},
    {"mixed@localhost", "local", IPC_OK,
	"mixed@localhost local alice local:alice;"
	"x@refused.example   fail:5.7.1 forwarding denied by the rules;"
	"bob@remote.example mx  remote.example;"
	"a@@b   fail:5.2.4 alias target is not an address;a/b   fail:5.1.1 no such recipient;"
	"a\\x09b\\xe9@   fail:5.2.4 alias target is not an address;",
	"5.7.1"},
    {"nothing@localhost", "local", IPC_FAIL, "", "5.7.1"},
    {"here@localhost", "local", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    /* one mailbox, and one for each address */
    {"twice@localhost", "local", IPC_OK, "twice@localhost local alice local:alice;", ""},
    {"all@v.example", "virtual", IPC_OK,
	"one@v.example virtual vmail local:vmail;two@v.example virtual vmail local:vmail;", ""},
    {"away@localhost", "local", IPC_OK, "x@smart.example smart  smtp://127.0.0.1:2525;", ""},
    {"utf8@localhost", "local", IPC_OK, "\xc3\xa9@remote.example mx  remote.example;", ""},
    {"virt@localhost", "local", IPC_OK,
	"demo@v.example virtual vmail local:vmail;x@remote.example mx  remote.example;", ""},
    {"demo@v.example", "virtual", IPC_OK, "demo@v.example virtual vmail local:vmail;", ""},
    {"demo+x@v.example", "virtual", IPC_OK, "demo+x@v.example virtual vmail local:vmail;", ""},
    /* a mailbox by another address: the tag is told apart when the table has it */
    {"Sales+EU@V.example", "virtual", IPC_OK, "Sales+EU@v.example virtual vmail local+tag:vmail;",
	""},
    {"sales+us@v.example", "virtual", IPC_OK, "sales+us@v.example virtual vmail local:vmail;", ""},
    {"sales+eu@v.example", "catchall", IPC_OK, "sales+eu@v.example catchall demo local:demo;", ""},
    {"tag+ged@localhost", "byname", IPC_OK, "tag+ged@localhost byname alice local+tag:alice;", ""},
    {"root+x@localhost", "byname", IPC_OK, "root+x@localhost byname alice local:alice;", ""},
    {"alike@v.example", "virtual", IPC_OK, "Demo+a@v.example virtual vmail local:vmail;", ""},
    {"demo@v.example", "mapped", IPC_OK, "demo@v.example mapped demo local:demo;", ""},
    {"sales+eu@v.example", "mapped", IPC_OK, "sales+eu@v.example mapped bob local:bob;", ""},
    {"sales+us@v.example", "mapped", IPC_OK, "sales+us@v.example mapped demo local:demo;", ""},
    {"x@all.example", "mapped", IPC_OK, "x@all.example mapped demo local:demo;", ""},
    {"nobody@v.example", "virtual", IPC_FAIL, "", "5.1.1"},
    {"alice@v.example", "mapped", IPC_FAIL, "", "5.1.1"},
    {"postmaster@v.example", "mapped", IPC_OK,
	"postmaster@v.example mapped postmaster local:postmaster;", ""},
    {"\"demo@v.example\"@v.example", "mapped", IPC_FAIL, "", "5.1.1"},
    {"x@y.example", "catchall", IPC_OK, "x@y.example catchall demo local:demo;", ""},
    {"x@y.example", "late", IPC_RETRY, "", "4.4.3"},
    {"root@localhost", "only", IPC_FAIL, "", "5.1.1"},
    {"away@localhost", "only", IPC_OK, "x@smart.example smart  smtp://127.0.0.1:2525;", ""},
    {"x@r.example", "mx", IPC_OK, "x@r.example mx  r.example;", ""},
    {"x@[192.0.2.1]", "mx", IPC_OK, "x@[192.0.2.1] mx  [192.0.2.1];", ""},
    {"x@r.example", "smart", IPC_OK, "x@r.example smart  smtp://127.0.0.1:2525;", ""},
    /* no action: the rules choose one */
    {"root@mx.example.org", "", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    {"x@smart.example", "", IPC_OK, "x@smart.example smart  smtp://127.0.0.1:2525;", ""},
    {"x@refused.example", "", IPC_FAIL, "", "5.7.1"},
    {"x@late.example", "", IPC_RETRY, "", "4.4.3"},
    /* none of these is an account */
    {"\"../x\"@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"\"a b\"@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"-rf@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"\".\"@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"+tag@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"a-name-that-has-thirty-three-octe@localhost", "plain", IPC_FAIL, "", "5.1.1"},
    {"a-name-that-has-thirty-two-octet@localhost", "plain", IPC_OK,
	"a-name-that-has-thirty-two-octet@localhost plain a-name-that-has-thirty-two-octet "
	"local:a-name-that-has-thirty-two-octet;",
	""},
    {"stale@localhost", "local", IPC_OK,
	"gone   fail:5.1.1 no such recipient;stale@localhost local alice local:alice;", "5.1.1"},
    {"based2@localhost", "based", IPC_FAIL, "", "5.1.1"},
    /* what nobody can say now, beside what is known: it is expanded later, by itself */
    {"waits@localhost", "local", IPC_OK,
	"waits@localhost local alice local:alice;hang@localhost local  later:;"
	"slow@late.example late  later:;",
	"4.4.3"},
    {"allwait@localhost", "local", IPC_RETRY, "", "4.4.3"},
    {"hangself@localhost", "local", IPC_RETRY, "", "4.4.3"},
    /* lists in files */
    {"members@localhost", "local", IPC_OK,
	"members@localhost local alice local:alice;bob@remote.example mx  remote.example;"
	"members@localhost local carol local:carol;zoe@remote.example mx  remote.example;",
	""},
    {"loop@localhost", "local", IPC_OK, "loop@localhost local dave local:dave;", ""},
    {"nolist@localhost", "local", IPC_RETRY, "", "4.2.4"},
    /* .forward files */
    {"fay@localhost", "plain", IPC_OK, "fay@elsewhere.example mx  elsewhere.example;", ""},
    {"Fay+tag@localhost", "plain", IPC_OK, "fay@elsewhere.example mx  elsewhere.example;", ""},
    {"keeps@localhost", "plain", IPC_OK,
	"keeps@localhost plain keeps local:keeps;k@elsewhere.example mx  elsewhere.example;", ""},
    {"slash@localhost", "plain", IPC_OK, "slash@localhost plain slash local:slash;", ""},
    {"byaddress@localhost", "local", IPC_OK,
	"ByAddress@mx.example.org local byaddress local:byaddress;", ""},
    {"empty1@localhost", "plain", IPC_OK, "empty1@localhost plain empty1 local:empty1;", ""},
    {"comment@localhost", "plain", IPC_OK, "comment@localhost plain comment local:comment;", ""},
    {"command@localhost", "plain", IPC_FAIL, "", "5.2.4"},
    {"file1@localhost", "plain", IPC_FAIL, "", "5.2.4"},
    {"lists@localhost", "plain", IPC_FAIL, "", "5.2.4"},
    {"mixed1@localhost", "plain", IPC_OK,
	"|vacation   fail:5.2.4 commands are not allowed here;"
	"mixed1@localhost plain mixed1 local:mixed1;",
	"5.2.4"},
    {"open@localhost", "plain", IPC_RETRY, "", "4.2.4"},
    {"hang@localhost", "plain", IPC_RETRY, "", "4.4.3"},
    {"ping@localhost", "plain", IPC_OK, "ping@localhost plain ping local:ping;", ""},
    {"\"fay\"@mx.example.org", "local", IPC_OK, "fay@elsewhere.example mx  elsewhere.example;", ""},
    {"toroot@localhost", "local", IPC_OK, "toroot@localhost local alice local:alice;", ""},
    {"fwd@localhost", "local", IPC_OK,
	"fwd@localhost local alice local:alice;x@smart.example smart  smtp://127.0.0.1:2525;"
	"gone@remote.example mx  remote.example;",
	""},
    {"unsafelist@localhost", "local", IPC_OK,
	"open@localhost local  later:;unsafelist@localhost local alice local:alice;", "4.2.4"},
    {"pair@localhost", "local", IPC_OK, /* it is one address, whoever's file it stands in */
	"home@elsewhere.example mx  elsewhere.example;pair@localhost local alice local:alice;", ""},
    /* of a userbase; and whoever gets the mail of others has no say */
    {"based@localhost", "based", IPC_OK, "b@elsewhere.example mx  elsewhere.example;", ""},
    {"demo@v.example", "shared", IPC_OK, "demo@v.example shared vmail local:vmail;", ""},
    {"fay@localhost", "fwdonly", IPC_OK, "fay@elsewhere.example mx  elsewhere.example;", ""},
    {"keeps@localhost", "fwdonly", IPC_OK,
	"Keeps   fail:5.1.1 no such recipient;k@elsewhere.example mx  elsewhere.example;", "5.1.1"},
    {"alice@localhost", "fwdonly", IPC_FAIL, "", "5.1.1"},
    /* postmaster and abuse, whose there is no account of */
    {"abuse@localhost", "plain", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    {"Abuse@v.example", "virtual", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    {"postmaster@v.example", "shared", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    {"postmaster@v.example", "fwdonly", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    /* SRS */
    {"SRS0=good=AA=s.example=ann@mx.example.org", "local", IPC_OK, "ann@s.example mx  s.example;",
	""},
    {"srs0+good=AA=s.example=ann@v.example", "virtual", IPC_OK, "ann@s.example mx  s.example;", ""},
    {"SRS0=twice=AA@mx.example.org", "local", IPC_OK, "ann@s.example mx  s.example;", ""},
    {"SRS0=home=AA@mx.example.org", "local", IPC_OK, "root@mx.example.org local alice local:alice;",
	""},
    {"SRS0=refused=AA@mx.example.org", "local", IPC_FAIL, "", "5.7.1"},
    {"SRS0=forged=AA=s.example=ann@mx.example.org", "local", IPC_FAIL, "", "5.1.1"},
    {"SRS0=forged=AA=s.example=ann@any.example", "catchall", IPC_OK,
	"SRS0=forged=AA=s.example=ann@any.example catchall demo local:demo;", ""},
    {"SRS0@mx.example.org", "local", IPC_OK, "SRS0@mx.example.org local srs0 local:srs0;", ""},
};

/* Accounts of this host.  Of those that a client names RCPT found out whether they exist. */
static const char *const accounts[] = {"alice", "bob", "byaddress", "carol", "dave", "demo",
    "keeps", "mixed1", "ping", "postmaster", "quiet", "root", "self", "slash", "vmail", NULL};

static const struct scene_file files[] = {
    {"fay", FORWARD_USER, "fay@elsewhere.example\n"},
    {"keeps", FORWARD_USER, "# me, too\nKeeps\nk@elsewhere.example"},
    {"slash", FORWARD_USER, "\\slash"},
    {"byaddress", FORWARD_USER, "ByAddress@mx.example.org"},
    {"empty1", FORWARD_USER, ""},
    {"comment", FORWARD_USER, "# nothing\n\n , ,\n"},
    {"command", FORWARD_USER, "\"|cat > x\"\n"},
    {"file1", FORWARD_USER, "/var/mail/file1\n"},
    {"lists", FORWARD_USER, ":include:/etc/passwd\n"},
    {"mixed1", FORWARD_USER, "|vacation\n\\mixed1\n"},
    {"open", FORWARD_UNSAFE, "others can write to .forward"},
    {"hang", FORWARD_USER, NULL},
    {"hangself", FORWARD_USER, NULL},
    {"ping", FORWARD_USER, "pong"},
    {"pong", FORWARD_USER, "ping"},
    {"toroot", FORWARD_ROOT, "root"},
    {"kim", FORWARD_USER, "home@elsewhere.example, root"},
    {"lee", FORWARD_USER, "home@ELSEWHERE.example, root"},
    {"based\npeople", FORWARD_USER, "b@elsewhere.example"},
    {"based2\npeople", FORWARD_USER, "bob"}, /* who is no account of the userbase */
    {"vmail", FORWARD_USER, "thief@elsewhere.example"},
    {NULL, FORWARD_USER, NULL},
};

static const struct scene_pair srs[] = {
    {"-SRS0=good=AA=s.example=ann@mx.example.org", "ann@s.example"},
    {"-srs0+good=AA=s.example=ann@v.example", "ann@s.example"},
    {"-SRS0=twice=AA@mx.example.org", "SRS0=good=AA=s.example=ann@mx.example.org"},
    {"-SRS0=home=AA@mx.example.org", "root@mx.example.org"},
    {"-SRS0=refused=AA@mx.example.org", "x@refused.example"},
    {NULL, NULL},
};

static int
setup(void **state)
{
	static struct scene s;

	scene_open(&s, text);
	s.accounts = accounts;
	s.files = files;
	s.srs = srs;
	scene_include(&s, "aliases", "/lists/members",
	    "# the team\nalice, bob@remote.example\n:include:/lists/more\n");
	scene_include(&s, "aliases", "/lists/more", "carol\r\nalice\r\n");
	scene_include(&s, "aliases", "/lists/loop", ":include:/lists/loop\ndave\n");
	*state = &s;
	return 0;
}

static int
teardown(void **state)
{
	scene_close(*state);
	return 0;
}

/* Goes on until it is over, a few targets at a time; what is asked is answered as late as it can be. */
static struct expander *
expand(struct scene *s, const char *address, const char *action)
{
	struct expander *e;
	struct address a;
	enum expand_state state;

	scene_begin(s);
	assert_int_equal(recipient_parse(&s->policy, address, &a), 0);
	e = expander_create(&s->policy, &a, conf_action_find(s->conf, action));
	assert_non_null(e);
	while ((state = expander_run(e, 3)) != EXPAND_DONE)
		if (state == EXPAND_PENDING) {
			assert_true(s->slow && s->nasked > 0);
			scene_answer_all(s);
			assert_false(inquiry_is_pending(s->inquiry));
		}
	return e;
}

static void
items_text(const struct expansion *x, char *dst, size_t size)
{
	size_t i, n = 0;

	dst[0] = '\0';
	for (i = 0; i < x->nitems; i++)
		n += (size_t)snprintf(dst + n, size - n, "%s %s %s %s;", x->items[i].address,
		    x->items[i].action, x->items[i].user, x->items[i].dest);
}

static void
run_cases(struct scene *s)
{
	const struct expansion *x;
	struct expander *e;
	char got[1024];
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		print_message("%s %s\n", cases[i].address, cases[i].action);
		e = expand(s, cases[i].address, cases[i].action);
		x = expander_result(e);
		items_text(x, got, sizeof(got));
		assert_string_equal(got, cases[i].items);
		assert_string_equal(x->status, cases[i].status);
		assert_int_equal(x->outcome, cases[i].outcome);
		assert_true(x->outcome == IPC_OK || x->text[0] != '\0');
		expander_free(e);
	}
}

static void
test_cases(void **state)
{
	run_cases(*state);
}

/* The same, while every answer is waited for. */
static void
test_cases_slowly(void **state)
{
	struct scene *s = *state;

	s->slow = true;
	run_cases(s);
	s->slow = false;
}

static void
test_reasons(void **state)
{
	static const struct {
		const char *address, *action, *text;
	} rows[] = {
	    {"command@localhost", "plain", "commands are not allowed here: \"|cat > x\""},
	    {"file1@localhost", "plain", "files are not allowed here: /var/mail/file1"},
	    {"lists@localhost", "plain", "lists are not allowed here: :include:/etc/passwd"},
	    {"open@localhost", "plain", "others can write to .forward: open@localhost"},
	    {"x@y.example", "late", "table <late> does not answer: x@y.example"},
	    {"nobody@v.example", "virtual", "no such recipient: nobody@v.example"},
	    {"a@localhost", "local", "the alias leads to nobody: a"},
	};
	struct expander *e;
	size_t i;

	for (i = 0; i < NITEMS(rows); i++) {
		e = expand(*state, rows[i].address, rows[i].action);
		assert_string_equal(expander_result(e)->text, rows[i].text);
		expander_free(e);
	}
}

/* -- limits -- */

/* Aliases a0 -> a1 -> ... of that many steps. */
static void
open_big(struct scene *s, size_t depth, const char *more)
{
	size_t size = 256 + 64 * depth + strlen(more), n = 0, i;
	char *big = malloc(size);

	assert_non_null(big);
	n += (size_t)snprintf(big + n, size - n, "table t { ");
	for (i = 0; i < depth; i++)
		n += (size_t)snprintf(big + n, size - n, "a%zu = a%zu, ", i, i + 1);
	(void)snprintf(big + n, size - n,
	    "%s x = y }\naction A maildir alias <t>\nmatch for any action A\n", more);
	scene_open(s, big);
	s->has_all_accounts = true;
	free(big);
}

static void
test_depth(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const struct expansion *x;
	struct expander *e;
	char address[32];
	size_t from;

	(void)state;
	open_big(s, 40, "");
	for (from = 20; from < 40; from++) {
		(void)snprintf(address, sizeof(address), "a%zu@h", from);
		e = expand(s, address, "A");
		x = expander_result(e);
		assert_int_equal(x->outcome, 40 - from <= EXPAND_DEPTH_MAX ? IPC_OK : IPC_FAIL);
		assert_string_equal(x->status, x->outcome == IPC_OK ? "" : "5.2.4");
		expander_free(e);
	}
	scene_close(s);
	free(s);
}

/* A list of that many accounts, in a file; each has a .forward file, perhaps. */
static struct expander *
expand_wide(struct scene *s, size_t width)
{
	char *wide = malloc(width * 8 + 1);
	struct expander *e;
	size_t i, n = 0;

	assert_non_null(wide);
	for (i = 0; i < width; i++)
		n += (size_t)snprintf(wide + n, width * 8 + 1 - n, "u%zu\n", i);
	scene_include(s, "t", "/wide", wide);
	free(wide);
	e = expand(s, "wide@h", "A");
	return e;
}

static void
test_width(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const struct expansion *x;
	struct expander *e;

	(void)state;
	open_big(s, 0, "wide = \":include:/wide\",");
	e = expand_wide(s, EXPAND_WIDTH_MAX);
	x = expander_result(e);
	assert_int_equal(x->outcome, IPC_OK);
	assert_int_equal(x->nitems, EXPAND_WIDTH_MAX);
	assert_string_equal(x->items[9999].dest, "local:u9999");
	assert_true(expander_is_large(e));
	expander_free(e);
	e = expand_wide(s, EXPAND_WIDTH_MAX + 1);
	x = expander_result(e);
	assert_int_equal(x->outcome, IPC_FAIL);
	assert_string_equal(x->status, "5.2.4");
	assert_int_equal(x->nitems, 0);
	expander_free(e);
	scene_close(s);
	free(s);
}

/* Many targets, or few in a long text. */
static void
test_large(void **state)
{
	static const size_t widths[] = {1, 200, 300};
	struct scene *s = calloc(1, sizeof(*s));
	char *comment = malloc(20001);
	struct expander *e;
	size_t i;

	(void)state;
	assert_non_null(comment);
	open_big(s, 0, "wide = \":include:/wide\", long = \":include:/long\",");
	for (i = 0; i < NITEMS(widths); i++) {
		e = expand_wide(s, widths[i]);
		assert_int_equal(expander_result(e)->outcome, IPC_OK);
		assert_int_equal(expander_is_large(e), widths[i] > 256);
		expander_free(e);
	}
	memset(comment, ',', 20000);
	comment[19999] = 'u';
	comment[20000] = '\0';
	scene_include(s, "t", "/long", comment);
	e = expand(s, "long@h", "A");
	assert_int_equal(expander_result(e)->nitems, 1);
	assert_true(expander_is_large(e));
	expander_free(e);
	free(comment);
	scene_close(s);
	free(s);
}

/* Members are asked about together, but not all of them at once; and each once. */
static void
test_width_slowly(void **state)
{
	static const struct scene_file all[] = {
	    {"u5", FORWARD_USER, "u7, five@elsewhere.example"}, {NULL, FORWARD_USER, NULL}};
	struct scene *s = calloc(1, sizeof(*s));
	const struct expansion *x;
	struct expander *e;

	(void)state;
	open_big(s, 0, "wide = \":include:/wide\",");
	s->files = all;
	s->slow = true;
	e = expand_wide(s, 1000);
	x = expander_result(e);
	assert_int_equal(x->outcome, IPC_OK);
	assert_int_equal(x->nitems, 1000);
	assert_string_equal(x->items[4].dest, "local:u4");
	assert_string_equal(x->items[5].dest, "local:u7"); /* in the order of the texts */
	assert_int_equal(s->most_asked, EXPAND_AHEAD);
	assert_int_equal(
	    s->questions, 1001 + 1000); /* files, of "five" too; accounts, but not u5's */
	expander_free(e);
	scene_close(s);
	free(s);
}

/* -- what is told -- */

struct story {
	char text[2048];
	size_t n;
};

static void
on_event(void *arg, const struct expand_event *e)
{
	struct story *t = arg;

	t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "%u %s %s %s;", e->depth,
	    e->kind, e->subject, e->text);
}

static void
test_story(void **state)
{
	struct scene *s = *state;
	struct story story = {.n = 0};
	struct expander *e;
	struct address a;

	scene_begin(s);
	assert_int_equal(recipient_parse(&s->policy, "team@localhost", &a), 0);
	e = expander_create(&s->policy, &a, conf_action_find(s->conf, "local"));
	assert_non_null(e);
	expander_observe(e, on_event, &story);
	assert_int_equal(expander_run(e, 100), EXPAND_DONE);
	assert_string_equal(story.text,
	    "0 alias team@localhost aliases;1 mailbox alice local:alice;"
	    "1 relay bob@remote.example remote.example;1 alias root aliases;2 repeated alice ;"
	    "1 alias Team2 aliases;2 mailbox carol local:carol;2 repeated alice ;");
	expander_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_cases_slowly),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_width),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_width_slowly),
	    cmocka_unit_test(test_story),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

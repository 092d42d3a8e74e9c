/* SPDX-License-Identifier: ISC */
/* Aliases and virtual users: whom a recipient stands for in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/expand.h"
#include "lookup/recipient.h"

static const char text[] =
    "hostname \"mx.example.org\"\n"
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
    "  twice = \"alice, root@mx.example.org\", utf8 = \"\xc3\xa9@remote.example\"\n"
    "}\n"
    "table users {\n"
    "  \"demo@v.example\" = demo, \"info@v.example\" = \"demo@v.example, x@remote.example\",\n"
    "  \"sales+eu@v.example\" = bob, sales = \"demo\", \"@all.example\" = demo,\n"
    "  \"one@v.example\" = carol, \"two@v.example\" = carol,\n"
    "  \"alike@v.example\" = \"Demo+a@v.example, demo@V.example, DEMO+b@v.example\",\n"
    "  \"all@v.example\" = \"one@v.example, two@v.example\"\n"
    "}\n"
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
    "action \"mx\" relay\n"
    "action \"smart\" relay host \"smtp://127.0.0.1:2525\"\n"
    "match for local action \"local\"\n"
    "match for domain \"v.example\" action \"virtual\"\n"
    "match for domain \"late.example\" action \"late\"\n"
    "match for domain \"refused.example\" reject\n"
    "match for domain \"smart.example\" action \"smart\"\n"
    "match for any action \"mx\"\n";

struct fixture {
	struct conf *conf;
	struct tables *tables;
	struct policy policy;
};

static int
setup(void **state)
{
	static struct fixture f;
	struct conf_errors errors;

	f.conf = conf_parse_text("test", text, strlen(text), &errors);
	if (f.conf == NULL)
		print_error("%u: %s\n", errors.list[0].line, errors.list[0].text);
	conf_errors_free(&errors);
	assert_non_null(f.conf);
	assert_non_null(f.tables = tables_create());
	assert_int_equal(tables_configure(f.tables, f.conf), 0);
	f.policy = (struct policy){f.conf, f.tables, "mx.example.org"};
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	tables_free(f->tables);
	conf_free(f->conf);
	return 0;
}

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
	"self+tag@localhost local alice local:alice;self+tag@localhost local self local:self;", ""},
    {"quiet@localhost", "local", IPC_OK,
	"quiet@localhost local quiet local:quiet;quiet@localhost local alice local:alice;", ""},
    {"nested@localhost", "local", IPC_OK, "nested@localhost local root local:root;", ""},
    {"a@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"exit@localhost", "local", IPC_OK, "exit@localhost local dave local:dave;", ""},
    {"pipe@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"file@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"include@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"odd@localhost", "local", IPC_FAIL, "", "5.1.1"},
    {"long@localhost", "local", IPC_FAIL, "", "5.1.1"},
    {"bad@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"empty@localhost", "local", IPC_FAIL, "", "5.2.4"},
    {"refused@localhost", "local", IPC_FAIL, "", "5.7.1"},
    {"lost@localhost", "local", IPC_RETRY, "", "4.3.0"},
    /* what can't be used beside what can: the sender is told */
    {"both@localhost", "local", IPC_OK,
	"|cat   fail:5.2.4 alias target not allowed;both@localhost local alice local:alice;",
	"5.2.4"},
    {"quoted@localhost", "local", IPC_OK,
	"|cat -a, b   fail:5.2.4 alias target not allowed;quoted@localhost local alice "
	"local:alice;",
	"5.2.4"},
    {"mixed@localhost", "local", IPC_OK,
	"x@refused.example   fail:5.7.1 forwarding denied by the rules;"
	"a@@b   fail:5.2.4 alias target is not an address;"
	"a\\x09b\\xe9@   fail:5.2.4 alias target is not an address;"
	"mixed@localhost local alice local:alice;bob@remote.example mx  remote.example;"
	"a/b   fail:5.1.1 no such recipient;",
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
	"x@remote.example mx  remote.example;demo@v.example virtual vmail local:vmail;", ""},
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
    {"x@y.example", "late", IPC_RETRY, "", "4.3.0"},
    {"root@localhost", "only", IPC_FAIL, "", "5.1.1"},
    {"away@localhost", "only", IPC_OK, "x@smart.example smart  smtp://127.0.0.1:2525;", ""},
    {"x@r.example", "mx", IPC_OK, "x@r.example mx  r.example;", ""},
    {"x@[192.0.2.1]", "mx", IPC_OK, "x@[192.0.2.1] mx  [192.0.2.1];", ""},
    {"x@r.example", "smart", IPC_OK, "x@r.example smart  smtp://127.0.0.1:2525;", ""},
    /* no action: the rules choose one */
    {"root@mx.example.org", "", IPC_OK, "root@mx.example.org local alice local:alice;", ""},
    {"x@smart.example", "", IPC_OK, "x@smart.example smart  smtp://127.0.0.1:2525;", ""},
    {"x@refused.example", "", IPC_FAIL, "", "5.7.1"},
    {"x@late.example", "", IPC_RETRY, "", "4.3.0"},
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
};

static void
expand(const struct fixture *f, const char *address, const char *action, struct expansion *out)
{
	struct address a;

	assert_int_equal(recipient_parse(&f->policy, address, &a), 0);
	assert_int_equal(expand_run(&f->policy, &a, conf_action_find(f->conf, action), out), 0);
}

static void
test_cases(void **state)
{
	struct expansion e;
	char got[1024];
	size_t i, j, n;

	for (i = 0; i < NITEMS(cases); i++) {
		print_message("%s %s\n", cases[i].address, cases[i].action);
		expand(*state, cases[i].address, cases[i].action, &e);
		assert_int_equal(e.outcome, cases[i].outcome);
		got[n = 0] = '\0';
		for (j = 0; j < e.nitems; j++)
			n += (size_t)snprintf(got + n, sizeof(got) - n, "%s %s %s %s;",
			    e.items[j].address, e.items[j].action, e.items[j].user,
			    e.items[j].dest);
		assert_string_equal(got, cases[i].items);
		assert_string_equal(e.status, cases[i].status);
		assert_true(e.outcome == IPC_OK || e.text[0] != '\0');
		expansion_free(&e);
	}
}

/* Aliases a0 -> a1 -> ... of that many steps. */
static struct conf *
big_conf(size_t depth)
{
	size_t size = 256 + 64 * depth, n = 0, i;
	char *big = malloc(size);
	struct conf_errors errors;
	struct conf *conf;

	assert_non_null(big);
	n += (size_t)snprintf(big + n, size - n, "table t { ");
	for (i = 0; i < depth; i++)
		n += (size_t)snprintf(big + n, size - n, "a%zu = a%zu, ", i, i + 1);
	n += (size_t)snprintf(big + n, size - n, "x = y }\naction A maildir alias <t>\n");
	conf = conf_parse_text("big", big, n, &errors);
	conf_errors_free(&errors);
	assert_non_null(conf);
	free(big);
	return conf;
}

static void
test_depth(void **state)
{
	struct conf *conf = big_conf(40);
	struct tables *tables = tables_create();
	struct fixture f = {conf, tables, {conf, tables, "h"}};
	struct expansion e;
	char address[32];
	size_t from;

	(void)state;
	assert_int_equal(tables_configure(tables, conf), 0);
	for (from = 20; from < 40; from++) {
		(void)snprintf(address, sizeof(address), "a%zu@h", from);
		expand(&f, address, "A", &e);
		assert_int_equal(e.outcome, 40 - from <= EXPAND_DEPTH_MAX ? IPC_OK : IPC_FAIL);
		assert_string_equal(e.status, e.outcome == IPC_OK ? "" : "5.2.4");
		expansion_free(&e);
	}
	tables_free(tables);
	conf_free(conf);
}

static void
expand_wide(size_t width, struct expansion *e)
{
	struct conf *conf = big_conf(0);
	struct tables *tables = tables_create();
	struct fixture f = {conf, tables, {conf, tables, "h"}};
	char *wide = malloc(width * 8 + 1);
	size_t i, n = 0;

	assert_non_null(wide);
	for (i = 0; i < width; i++)
		n += (size_t)snprintf(wide + n, width * 8 + 1 - n, "u%zu,", i);
	assert_int_equal(tables_configure(tables, conf), 0);
	assert_int_equal(table_add(tables_find(tables, "t"), "wide", wide), 0);
	expand(&f, "wide@h", "A", e);
	tables_free(tables);
	conf_free(conf);
	free(wide);
}

static void
test_width(void **state)
{
	struct expansion e;

	(void)state;
	expand_wide(EXPAND_WIDTH_MAX, &e);
	assert_int_equal(e.outcome, IPC_OK);
	assert_int_equal(e.nitems, EXPAND_WIDTH_MAX);
	expansion_free(&e);
	expand_wide(EXPAND_WIDTH_MAX + 1, &e);
	assert_int_equal(e.outcome, IPC_FAIL);
	assert_string_equal(e.status, "5.2.4");
	assert_int_equal(e.nitems, 0);
	expansion_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: ISC */
/* What the filters say, phase by phase, and the names that the DNS gives clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/filter.h"
#include "lookup/rdns.h"
#include "tests/unit/policy_fixture.h"

struct question { /* as much of a struct filter_question as a case needs */
	const char *client;
	enum ipc_rdns rdns;
	const char *name, *helo, *auth, *sender, *rcpt;
};

#define ANY                    \
	{                      \
		.client = NULL \
	}

/*
 * The verdict as text: code and status of a refusal ("disconnect" before it),
 * or what goes on; "=value"; "by" the filter.
 */
static const struct {
	const char *filters;
	enum conf_phase phase;
	struct question q;
	const char *verdict;
} cases[] = {
    /* one condition of each kind */
    {"filter f phase connect match fcrdns junk", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_CONFIRMED},
	"junk by f"},
    {"filter f phase connect match fcrdns junk", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_NAMED}, ""},
    {"filter f phase connect match fcrdns junk", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_NONE}, ""},
    {"filter f phase connect match !fcrdns reject \"550 no name\"", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_NAMED}, "550 5.7.1 by f"},
    {"filter f phase connect match !fcrdns reject \"550 no name\"", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_CONFIRMED}, ""},
    {"filter f phase connect match rdns junk", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_NAMED},
	"junk by f"},
    {"filter f phase connect match !rdns junk", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_NONE},
	"junk by f"},
    {"filter f phase connect match rdns <domains> junk", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_NAMED, .name = "a.wild.example"}, "junk by f"},
    {"filter f phase connect match rdns <domains> junk", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_NAMED, .name = "other.example"}, ""},
    {"filter f phase connect match rdns <domains> junk", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_NONE, .name = "a.wild.example"}, ""},
    {"filter f phase connect match rdns regex { \"^dsl-[0-9]+\" } junk", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_CONFIRMED, .name = "dsl-77.example"}, "junk by f"},
    {"filter f phase connect match src <nets> disconnect \"421 4.7.0 later\"", CONF_PHASE_CONNECT,
	{.client = "192.0.2.7"}, "disconnect 421 4.7.0 by f"},
    {"filter f phase connect match src <nets> junk", CONF_PHASE_CONNECT, {.client = "192.0.3.7"},
	""},
    {"filter f phase connect match !src <nets> junk", CONF_PHASE_CONNECT, {.client = "192.0.3.7"},
	"junk by f"},
    {"filter f phase connect match src <nets> junk", CONF_PHASE_CONNECT, {.client = "unix"}, ""},
    {"filter f phase helo match helo <domains> reject \"550 5.7.9 no\"", CONF_PHASE_HELO,
	{.helo = "example.org"}, "550 5.7.9 by f"},
    {"filter f phase ehlo match helo <domains> junk", CONF_PHASE_EHLO, {.helo = "x.example"}, ""},
    {"filter f phase ehlo match helo regex { \"^[0-9.]+$\" } junk", CONF_PHASE_EHLO,
	{.helo = "127.0.0.1"}, "junk by f"},
    {"filter f phase mail-from match auth bypass", CONF_PHASE_MAIL_FROM, {.auth = "bob"},
	"bypass by f"},
    {"filter f phase mail-from match auth bypass", CONF_PHASE_MAIL_FROM, ANY, ""},
    {"filter f phase mail-from match !auth junk", CONF_PHASE_MAIL_FROM, ANY, "junk by f"},
    {"filter f phase mail-from match auth <users> bypass", CONF_PHASE_MAIL_FROM, {.auth = "eve"},
	""},
    {"filter f phase mail-from match mail-from <boxes> junk", CONF_PHASE_MAIL_FROM,
	{.sender = "BOB@example.org"}, "junk by f"},
    {"filter f phase mail-from match mail-from <boxes> junk", CONF_PHASE_MAIL_FROM, {.sender = ""},
	""},
    {"filter f phase mail-from match !mail-from <boxes> junk", CONF_PHASE_MAIL_FROM, {.sender = ""},
	"junk by f"},
    {"filter f phase rcpt-to match rcpt-to <boxes> reject \"550 gone\"", CONF_PHASE_RCPT_TO,
	{.rcpt = "bob@example.org"}, "550 5.7.1 by f"},
    {"filter f phase rcpt-to match rcpt-to { \"postmaster\" } reject \"550 gone\"",
	CONF_PHASE_RCPT_TO, {.rcpt = "postmaster"}, "550 5.7.1 by f"},
    {"filter f phase data match mail-from <boxes> src <nets> junk", CONF_PHASE_DATA,
	{.client = "192.0.2.7", .sender = "bob@example.org"}, "junk by f"},
    {"filter f phase data match mail-from <boxes> src <nets> junk", CONF_PHASE_DATA,
	{.client = "192.0.3.7", .sender = "bob@example.org"}, ""},
    {"filter f phase commit match !fcrdns reject \"451 4.7.1 later\"", CONF_PHASE_COMMIT,
	{.rdns = IPC_RDNS_NONE}, "451 4.7.1 by f"},
    /* a filter is of one phase */
    {"filter f phase connect match !src <nets> junk", CONF_PHASE_EHLO, {.client = "192.0.3.7"}, ""},
    {"filter f phase helo match helo <domains> junk", CONF_PHASE_EHLO, {.helo = "example.org"}, ""},
    /* rewrite */
    {"filter f phase ehlo match helo <domains> rewrite \"new.example\"", CONF_PHASE_EHLO,
	{.helo = "example.org"}, "=new.example by f"},
    {"filter f phase mail-from match !auth rewrite \"x@new.example\"", CONF_PHASE_MAIL_FROM,
	{.sender = "bob@example.org"}, "=x@new.example by f"},
    {"filter f phase rcpt-to match rcpt-to <boxes> rewrite \"x@new.example\"", CONF_PHASE_RCPT_TO,
	{.rcpt = "bob@example.org"}, "=x@new.example by f"},
    /* chains: in order, junk and rewrite go on, the rest is final */
    {"filter a phase connect match !src <nets> junk\n"
     "filter b phase connect match !src <nets> reject \"550 b\"\n"
     "filter c phase connect match !src <nets> disconnect \"550 c\"\n"
     "filter f chain { a, b, c }",
	CONF_PHASE_CONNECT, {.client = "192.0.3.7"}, "550 5.7.1 junk by b"},
    {"filter a phase connect match !src <nets> bypass\n"
     "filter b phase connect match !src <nets> reject \"550 b\"\n"
     "filter f chain { a, b }",
	CONF_PHASE_CONNECT, {.client = "192.0.3.7"}, "bypass by a"},
    {"filter a phase connect match src <nets> bypass\n"
     "filter b phase connect match !src <nets> reject \"550 b\"\n"
     "filter f chain { a, b }",
	CONF_PHASE_CONNECT, {.client = "192.0.3.7"}, "550 5.7.1 by b"},
    {"filter a phase ehlo match !src <nets> junk\n"
     "filter b phase connect match !src <nets> reject \"550 b\"\n"
     "filter f chain { a, b }",
	CONF_PHASE_EHLO, {.client = "192.0.3.7"}, "junk by a"},
    {"filter a phase ehlo match helo { \"old.example\" } rewrite \"example.org\"\n"
     "filter b phase ehlo match helo <domains> reject \"550 b\"\n"
     "filter f chain { a, b }",
	CONF_PHASE_EHLO, {.helo = "old.example"}, "550 5.7.1 =example.org by b"},
    {"filter a phase mail-from match !auth rewrite \"bob@example.org\"\n"
     "filter b phase mail-from match mail-from <boxes> junk\n"
     "filter f chain { a, b }",
	CONF_PHASE_MAIL_FROM, {.sender = "x@y.example"}, "junk =bob@example.org by b"},
    {"filter a phase rcpt-to match !auth rewrite \"bob@example.org\"\n"
     "filter b phase rcpt-to match rcpt-to <boxes> reject \"550 b\"\n"
     "filter f chain { a, b }",
	CONF_PHASE_RCPT_TO, {.rcpt = "x@y.example"}, "550 5.7.1 =bob@example.org by b"},
    /* what nobody can say */
    {"filter f phase connect match fcrdns bypass", CONF_PHASE_CONNECT, {.rdns = IPC_RDNS_TROUBLE},
	"trouble 421 4.4.3 by f"},
    {"filter f phase connect match !fcrdns reject \"550 no\"", CONF_PHASE_CONNECT,
	{.rdns = IPC_RDNS_TROUBLE}, "trouble 421 4.4.3 by f"},
    {"filter f phase mail-from match !rdns reject \"550 no\"", CONF_PHASE_MAIL_FROM,
	{.rdns = IPC_RDNS_TROUBLE}, "trouble 451 4.4.3 by f"},
    {"filter f phase mail-from match rdns <domains> junk", CONF_PHASE_MAIL_FROM,
	{.rdns = IPC_RDNS_UNASKED}, "trouble 451 4.4.3 by f"},
    {"filter f phase mail-from match fcrdns mail-from <boxes> junk", CONF_PHASE_MAIL_FROM,
	{.rdns = IPC_RDNS_TROUBLE, .sender = "x@y.example"}, ""},
    {"filter f phase mail-from match src <missing> junk", CONF_PHASE_MAIL_FROM,
	{.client = "192.0.2.7"}, "trouble 451 4.4.3 by f"},
    {"filter f phase mail-from match !mail-from <missing> junk", CONF_PHASE_MAIL_FROM, ANY,
	"trouble 451 4.4.3 by f"},
    {"filter a phase ehlo match !src <nets> bypass\n"
     "filter b phase ehlo match fcrdns junk\n"
     "filter f chain { a, b }",
	CONF_PHASE_EHLO, {.client = "192.0.3.7", .rdns = IPC_RDNS_TROUBLE}, "bypass by a"},
    /* what no honest session asks, and what a reload took away */
    {"filter g phase mail-from match !auth junk", CONF_PHASE_MAIL_FROM, ANY,
	"trouble 451 4.4.3 by "},
    {"filter g phase connect match !src <nets> junk", CONF_PHASE_CONNECT, ANY,
	"trouble 421 4.4.3 by "},
    {"filter f phase mail-from match !auth junk", CONF_PHASE__MAX, ANY, "trouble 451 4.4.3 by "},
    {"filter f phase mail-from match !auth junk", (enum conf_phase)15, ANY,
	"trouble 451 4.4.3 by "},
    {"filter f phase mail-from match !auth junk", CONF_PHASE_MAIL_FROM, {.sender = "no address"},
	"trouble 451 4.4.3 by "},
    {"filter f phase rcpt-to match !auth junk", CONF_PHASE_RCPT_TO, {.rcpt = ""},
	"trouble 451 4.4.3 by "},
};

static const char prologue[] = "table nets { 192.0.2.0/24, \"2001:db8::/32\" }\n"
			       "table users { bob, carol }\n"
			       "table domains { \"example.org\", \"*.wild.example\" }\n"
			       "table boxes { \"bob@example.org\" }\n"
			       "table missing file:/nonexistent\n";

static void
fixture_make(struct policy_fixture *f, const char *filters)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s%s\n", prologue, filters);
	policy_fixture_make(f, text);
}

static const char *
or_else(const char *s, const char *fallback)
{
	return s != NULL ? s : fallback;
}

static void
ask(const struct policy_fixture *f, enum conf_phase phase, const struct question *q,
    struct filter_verdict *v)
{
	struct filter_question fq = {.phase = (uint8_t)phase,
	    .rdns = q->rdns,
	    .name = or_else(q->name, ""),
	    .helo = or_else(q->helo, "helo.example"),
	    .auth = or_else(q->auth, ""),
	    .sender = or_else(q->sender, "s@sender.example"),
	    .rcpt = or_else(q->rcpt, "r@rcpt.example")};
	struct addr client;

	if (strcmp(or_else(q->client, "unix"), "unix") != 0) {
		assert_int_equal(addr_parse(q->client, 0, &client), 0);
		fq.client = &client;
	}
	assert_true(filter_evaluate(&f->policy, "f", &fq, NULL, v));
}

static void
verdict_text(const struct filter_verdict *v, char *dst, size_t size)
{
	char code[64] = "";

	if (v->code != 0) {
		assert_string_not_equal(v->text, "");
		(void)snprintf(code, sizeof(code), "%s%s%u %s ", v->trouble ? "trouble " : "",
		    v->disconnect ? "disconnect " : "", v->code, v->status);
	}
	(void)snprintf(dst, size, "%s%s%s%s%s%s", code, v->junk ? "junk " : "",
	    v->bypass ? "bypass " : "", v->value[0] != '\0' ? "=" : "", v->value,
	    v->value[0] != '\0' ? " " : "");
	if (dst[0] != '\0')
		(void)snprintf(dst + strlen(dst), size - strlen(dst), "by %s", v->filter);
}

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		struct filter_verdict v;
		struct policy_fixture f;
		char text[1024];

		print_message("%zu: %s\n", i, cases[i].filters);
		fixture_make(&f, cases[i].filters);
		ask(&f, cases[i].phase, &cases[i].q, &v);
		verdict_text(&v, text, sizeof(text));
		assert_string_equal(text, cases[i].verdict);
		policy_fixture_free(&f);
	}
}

static void
test_no_filter(void **state)
{
	struct filter_question q = {.phase = 15, .sender = "no address"};
	struct filter_verdict v;
	struct policy_fixture f;

	(void)state;
	fixture_make(&f, "");
	assert_true(filter_evaluate(&f.policy, "", &q, NULL, &v));
	assert_int_equal(v.code, 0);
	assert_false(v.junk || v.bypass || v.trouble);
	policy_fixture_free(&f);
}

static void
test_needs_name(void **state)
{
	static const struct {
		const char *filters;
		bool needs;
	} needs[] = {
	    {"filter f phase connect match src <nets> junk", false},
	    {"filter f phase connect match fcrdns junk", true},
	    {"filter f phase commit match src <nets> !rdns <domains> junk", true},
	    {"filter a phase connect match src <nets> junk\nfilter b phase data match rdns junk\n"
	     "filter f chain { a, b }",
		true},
	    {"filter a phase connect match fcrdns junk\nfilter f phase data match !auth junk",
		false},
	    {"", false},
	};
	struct policy_fixture f;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(needs); i++) {
		fixture_make(&f, needs[i].filters);
		assert_int_equal(filter_needs_name(f.conf, "f"), needs[i].needs);
		policy_fixture_free(&f);
	}
}

/* -- the client's name -- */

static void
test_names_of_hosts(void **state)
{
	static const char *const names[] = {"", "a_b.example", "-x.example", "192.0.2.1", "1",
	    "mx.1", "good.example", "x--y.1a.example", "1.example", "localhost", "c1.example",
	    "c2.example", "c3.example", "c4.example", "c5.example"};
	struct dns_records records = {.n = 0};
	struct rdns_names got;
	size_t i;

	(void)state;
	rdns_choose(&records, &got);
	assert_int_equal(got.n, 0);
	for (i = 0; i < NITEMS(names); i++)
		(void)snprintf(
		    records.list[records.n++].name, sizeof(records.list[0].name), "%s", names[i]);
	rdns_choose(&records, &got);
	assert_int_equal(got.n, RDNS_NAMES_MAX);
	for (i = 0; i < got.n; i++)
		assert_string_equal(got.list[i], names[6 + i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_no_filter),
	    cmocka_unit_test(test_needs_name),
	    cmocka_unit_test(test_names_of_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* What a relay action's tables say: lists, mappings of senders and domains, wherever they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lookup/memo.h"
#include "lookup/relay_plan.h"
#include "lookup/table_memory.h"
#include "lookup/tables.h"

#define U "bücher.example"
#define A "xn--bcher-kva.example"

static const char conf_text[] =
    "hostname \"mx.example.org\"\n"
    "table two { \"smtp://one.example\", \"smtps://Two.example:465\" }\n"
    "table bywhom { \"Bob@example.org\" = \"smtp://bob.example\",\n"
    "  \"@example.org\" = \"smtp://org.example, lmtp://org2.example:24\",\n"
    "  \"example.net\" = \"net.example:26\", \"<>\" = \"smtp://null.example\", \"@" U
    "\" = \"smtp://b.example\" }\n"
    "table everybody { \"*\" = \"smtp://all.example\", \"@example.org\" = \"smtp://org.example\" "
    "}\n"
    "table domains { \"example.com\" = \"smtp://com.example\", \"" U "\" = \"smtp://b.example\" }\n"
    "table alldomains { \"*\" = \"smtp://rest.example\" }\n"
    "table ips { 192.0.2.1, \"2001:DB8:0::1\" }\n"
    "table senderips { \"@example.org\" = \"192.0.2.7, 192.0.2.8\", \"*\" = \"192.0.2.9\" }\n"
    "table helos { \"192.0.2.7\" = \"seven.example\", \"2001:db8::1\" = \"six.example\" }\n"
    "table helos2 { \"2001:DB8:0::1\" = \"six.example\" }\n"
    "table wrong file:/wrong\ntable lost file:/lost\ntable slow file:/slow\n"
    "table keys { \"k\" = \"u:p\" }\n"
    "oauth o provider google user a@b.example client-id i\n"
    "action \"mx\" relay\n"
    "action \"one\" relay host \"smtp+tls://own.example:587\" src <ips>\n"
    "action \"list\" relay host <two>\n"
    "action \"bysender\" relay host <bywhom> src <senderips> helo-src <helos>\n"
    "action \"all\" relay host <everybody> src <ips> helo-src <helos2>\n"
    "action \"bydomain\" relay domain <domains>\n"
    "action \"alldomains\" relay domain <alldomains> src <ips> helo-src <helos>\n"
    "action \"lostlist\" relay host <lost>\n"
    "action \"lostsrc\" relay src <lost>\n"
    "action \"lostdomain\" relay domain <lost>\n"
    "action \"slow\" relay host <slow> src <slow> helo-src <helos>\n"
    "action \"wrong\" relay host <wrong>\n"
    "action \"wrongauth\" relay host <wrong> auth <keys>\n"
    "action \"wrongtls\" relay host <wrong> tls\n"
    "action \"wrongsrc\" relay src <wrong>\n"
    "action \"wronghelo\" relay src <ips> helo-src <wrong>\n"
    "match for any action \"mx\"\n";

static struct scene {
	struct conf *conf;
	struct policy policy;
	struct inquiry_queue *queue;
	struct inquiry_sources sources;
	struct table *tables[64];
	size_t ntables;
	const char *wrong_key, *wrong_value; /* the one entry of <wrong> */
	struct memo_waiter *asked[8];
	char keys[256];
	size_t nasked;
} scene;

static enum table_answer
slow_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	(void)table;
	(void)value;
	assert_true(service == SERVICE_RELAYHOST || service == SERVICE_SOURCE);
	assert_true(scene.nasked < NITEMS(scene.asked));
	assert_int_equal(str_append(scene.keys, sizeof(scene.keys), key), 0);
	assert_int_equal(str_append(scene.keys, sizeof(scene.keys), " "), 0);
	scene.asked[scene.nasked++] = w;
	return TABLE_PENDING;
}

/* Inline ones are in memory, <wrong> has one entry, <lost> is not there, <slow> elsewhere. */
void
tables_find(const struct tables *ts, const char *name, struct table_ref *out)
{
	static const struct backend_ops slow_ops = {.find = slow_find};
	const struct conf_table *ct = conf_table_find(scene.conf, name);
	struct table *t;
	size_t i;

	(void)ts;
	assert_non_null(ct);
	*out = (struct table_ref){.known = true};
	if (strcmp(name, "slow") == 0) {
		out->ops = &slow_ops;
		out->backend = &scene;
		return;
	}
	if (strcmp(name, "lost") == 0)
		return;
	assert_non_null(t = table_create(name));
	for (i = 0; i < ct->npairs; i++)
		assert_int_equal(table_add(t, ct->pairs[i].key, ct->pairs[i].value), 0);
	if (strcmp(name, "wrong") == 0 && scene.wrong_key != NULL)
		assert_int_equal(table_add(t, scene.wrong_key, scene.wrong_value), 0);
	assert_true(scene.ntables < NITEMS(scene.tables));
	out->memory = scene.tables[scene.ntables++] = t;
}

enum table_answer
tables_include(const struct tables *ts, const char *name, const char *path, const char **text)
{
	(void)ts;
	(void)name;
	(void)path;
	(void)text;
	return TABLE_TROUBLE;
}

struct memo *
tables_includes(const struct tables *ts)
{
	(void)ts;
	return NULL;
}

static int64_t
now_ms(void *arg)
{
	(void)arg;
	return 0;
}

static void
on_resume(void *arg)
{
	(void)arg;
}

static void
begin(void)
{
	inquiry_free(scene.policy.inquiry);
	scene.policy.inquiry = inquiry_create(&scene.sources, on_resume, NULL);
	assert_non_null(scene.policy.inquiry);
	while (scene.ntables > 0)
		table_free(scene.tables[--scene.ntables]);
	scene.nasked = 0;
	scene.keys[0] = '\0';
}

static int
setup(void **state)
{
	struct conf_errors errors;

	(void)state;
	scene = (struct scene){
	    .conf = conf_parse_text("test", conf_text, strlen(conf_text), &errors),
	    .queue = inquiry_queue_create()};
	if (scene.conf == NULL)
		print_error("%u: %s\n", errors.list[0].line, errors.list[0].text);
	conf_errors_free(&errors);
	assert_true(scene.conf != NULL && scene.queue != NULL);
	scene.sources = (struct inquiry_sources){.queue = scene.queue, .now_ms = now_ms};
	scene.policy = (struct policy){.conf = scene.conf, .hostname = "mx.example.org"};
	begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	begin();
	inquiry_free(scene.policy.inquiry);
	inquiry_queue_free(scene.queue);
	conf_free(scene.conf);
	return 0;
}

/* "url url | address helo, address helo," or "4.3.5 text" */
static void
plan_text(const struct relay_plan *plan, char *dst, size_t size)
{
	size_t n = 0, i;

	if (plan->outcome != IPC_OK) {
		(void)snprintf(dst, size, "%s %s", plan->status, plan->text);
		return;
	}
	for (i = 0; i < plan->nservers; i++)
		n += (size_t)snprintf(dst + n, size - n, "%s ", plan->servers[i]);
	n += (size_t)snprintf(dst + n, size - n, "|");
	for (i = 0; i < plan->nsources; i++)
		n += (size_t)snprintf(dst + n, size - n, " %s%s%s,", plan->sources[i].address,
		    plan->sources[i].helo[0] == '\0' ? "" : " ", plan->sources[i].helo);
}

static void
make(const char *action, const char *sender, const char *dest, struct relay_plan *plan)
{
	const struct relay_question q = {
	    .action = conf_action_find(scene.conf, action), .sender = sender, .dest = dest};

	assert_non_null(q.action);
	relay_plan_make(&scene.policy, &q, plan);
}

static void
assert_plan(const char *action, const char *sender, const char *dest, const char *want)
{
	struct relay_plan plan;
	char got[2048];

	begin();
	make(action, sender, dest, &plan);
	assert_false(plan.pending);
	plan_text(&plan, got, sizeof(got));
	print_message("%s %s %s: %s\n", action, sender, dest, got);
	assert_string_equal(got, want);
}

static const struct {
	const char *action, *sender, *dest, *plan;
} cases[] = {
    {"mx", "a@b.example", "example.com", "|"},
    {"one", "", "smtp+tls://own.example:587",
	"smtp+tls://own.example:587 | 192.0.2.1, 2001:db8::1,"},
    {"list", "a@b.example", "x", "smtp://one.example smtps://Two.example:465 |"},
    /* of senders: the address, "@domain", the domain */
    {"bysender", "bob@Example.org", "x",
	"smtp://bob.example | 192.0.2.7 seven.example, 192.0.2.8,"},
    {"bysender", "alice@example.org", "x",
	"smtp://org.example lmtp://org2.example:24 | 192.0.2.7 seven.example, 192.0.2.8,"},
    {"bysender", "a@example.net", "x", "net.example:26 | 192.0.2.9,"},
    {"bysender", "a@b.example", "x", "| 192.0.2.9,"},
    {"bysender", "", "x", "smtp://null.example | 192.0.2.9,"},
    {"bysender", "x@" U, "x", "smtp://b.example | 192.0.2.9,"},
    {"bysender", "x@" A, "x", "smtp://b.example | 192.0.2.9,"},
    {"bysender", "\"bob@example.org\"@b.example", "x", "| 192.0.2.9,"},
    {"bysender", "\"@example.org\"@b.example", "x", "| 192.0.2.9,"},
    {"bysender", "no address", "x", "|"},
    {"all", "a@example.org", "x", "smtp://org.example | 192.0.2.1, 2001:db8::1 six.example,"},
    {"all", "a@b.example", "x", "smtp://all.example | 192.0.2.1, 2001:db8::1 six.example,"},
    {"all", "", "x", "smtp://all.example | 192.0.2.1, 2001:db8::1 six.example,"},
    /* of domains */
    {"bydomain", "", "example.com", "smtp://com.example |"},
    {"bydomain", "", "Example.COM", "smtp://com.example |"},
    {"bydomain", "", A, "smtp://b.example |"},
    {"bydomain", "", "a.example.com", "5.4.4 table <domains> has no relay for a.example.com"},
    {"alldomains", "", "a.example.com",
	"smtp://rest.example | 192.0.2.1, 2001:db8::1 six.example,"},
    /* nobody can say: mail waits, it does not take another way */
    {"lostlist", "a@b.example", "x", "4.4.3 table <lost> does not answer"},
    {"lostsrc", "a@b.example", "x", "4.4.3 table <lost> does not answer"},
    {"lostdomain", "a@b.example", "x", "4.4.3 table <lost> does not answer"},
};

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++)
		assert_plan(cases[i].action, cases[i].sender, cases[i].dest, cases[i].plan);
}

/* What a file says that the parser never saw. */
static void
test_wrong(void **state)
{
	static const struct {
		const char *action, *key, *value, *plan;
	} rows[] = {
	    {"wrong", NULL, NULL, "4.3.5 table <wrong> is empty"},
	    {"wrongsrc", NULL, NULL, "4.3.5 table <wrong> is empty"},
	    {"wronghelo", NULL, NULL, "| 192.0.2.1, 2001:db8::1,"},
	    {"wrong", "http://x.example", NULL,
		"4.3.5 table <wrong>: http://x.example is not the URL of a relay"},
	    {"wrong", "a\nb", NULL, "4.3.5 table <wrong>: \"a\\x0ab\" is not the URL of a relay"},
	    {"wrong", "*", "smtp://x.example,smtp://:25",
		"4.3.5 table <wrong>: smtp://:25 is not the URL of a relay"},
	    {"wrong", "smtps://k@x.example", NULL,
		"4.3.5 table <wrong>: smtps://k@x.example has a label, and the action no "
		"credentials"},
	    {"wrong", "smtps://o@x.example", NULL, "smtps://o@x.example |"},
	    {"wrongauth", "smtps://k@x.example", NULL, "smtps://k@x.example |"},
	    {"wrongtls", "smtp+notls://x.example", NULL,
		"4.3.5 table <wrong>: smtp+notls://x.example contradicts the TLS of the action"},
	    {"wrongsrc", "mx.example.org", NULL,
		"4.3.5 table <wrong>: mx.example.org is not an address"},
	    {"wrongsrc", "*", "192.0.2.1, 192.0.2.256",
		"4.3.5 table <wrong>: 192.0.2.256 is not an address"},
	    {"wronghelo", "192.0.2.1", "not a name",
		"4.3.5 table <wrong>: \"not a name\" is not the name of a host"},
	    {"wronghelo", "192.0.2.1", "[192.0.2.1]", "| 192.0.2.1 [192.0.2.1], 2001:db8::1,"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		scene.wrong_key = rows[i].key;
		scene.wrong_value = rows[i].value;
		assert_plan(rows[i].action, "a@b.example", "x", rows[i].plan);
	}
}

/* As many as there is room for, and one more. */
static void
test_bounds(void **state)
{
	char value[8192], url[RELAY_URL_MAX + 8];
	struct relay_plan plan;
	size_t i, n, k;

	(void)state;
	scene.wrong_key = "*";
	scene.wrong_value = value;
	for (k = RELAY_SERVERS_MAX; k <= RELAY_SERVERS_MAX + 1; k++) {
		for (i = n = 0; i < k; i++)
			n += (size_t)snprintf(value + n, sizeof(value) - n, "h%zu.example, ", i);
		begin();
		make("wrong", "a@b.example", "x", &plan);
		assert_int_equal(plan.outcome, k == RELAY_SERVERS_MAX ? IPC_OK : IPC_RETRY);
	}
	assert_string_equal(plan.text, "table <wrong>: h16.example is one relay too many");
	for (k = RELAY_SOURCES_MAX; k <= RELAY_SOURCES_MAX + 1; k++) {
		for (i = n = 0; i < k; i++)
			n += (size_t)snprintf(value + n, sizeof(value) - n, "192.0.2.%zu, ", i);
		begin();
		make("wrongsrc", "a@b.example", "x", &plan);
		assert_int_equal(plan.outcome, k == RELAY_SOURCES_MAX ? IPC_OK : IPC_RETRY);
	}
	assert_string_equal(plan.text, "table <wrong>: 192.0.2.8 is one address too many");
	/* One octet decides whether a URL has room; what is cut is never taken for a whole one. */
	memset(url, 'a', sizeof(url) - 1);
	url[sizeof(url) - 1] = '\0';
	scene.wrong_value = url;
	for (n = sizeof(url) - 1; n > RELAY_URL_MAX - 200; n--) {
		url[n] = '\0';
		begin();
		make("wrong", "a@b.example", "x", &plan);
		assert_true(plan.outcome != IPC_OK || strcmp(plan.servers[0], url) == 0);
	}
}

static void
give(size_t n, enum table_answer answer, const char *value)
{
	struct memo_waiter *w = scene.asked[n];

	w->done(w->arg, answer, value);
}

/* Servers and sources are asked for at the same time, one key after the other, each once. */
static void
test_waits(void **state)
{
	struct relay_plan plan;
	char got[512];

	(void)state;
	begin();
	make("slow", "Bob@" U, "x", &plan);
	assert_true(plan.pending);
	assert_string_equal(scene.keys, "bob@" A " bob@" A " ");
	give(0, TABLE_NO, NULL);
	give(1, TABLE_YES, "192.0.2.7");
	make("slow", "Bob@" U, "x", &plan);
	assert_true(plan.pending);
	assert_string_equal(scene.keys, "bob@" A " bob@" A " bob@" U " ");
	give(2, TABLE_NO, NULL);
	make("slow", "Bob@" U, "x", &plan);
	give(3, TABLE_YES, "smtp://s.example");
	make("slow", "Bob@" U, "x", &plan);
	assert_false(plan.pending);
	plan_text(&plan, got, sizeof(got));
	assert_string_equal(got, "smtp://s.example | 192.0.2.7 seven.example,");
	assert_string_equal(scene.keys, "bob@" A " bob@" A " bob@" U " @" A " ");

	begin();
	make("slow", "a@b.example", "x", &plan);
	inquiry_give_up(scene.policy.inquiry);
	make("slow", "a@b.example", "x", &plan);
	assert_false(plan.pending);
	assert_string_equal(plan.status, "4.4.3");
}

static void
test_dest(void **state)
{
	static const struct {
		const char *action, *domain, *dest;
	} rows[] = {
	    {"mx", "Example.COM", "example.com"},
	    {"mx", U, A},
	    {"mx", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"},
	    {"one", "example.com", "smtp+tls://own.example:587"},
	    {"list", "example.com", "smtp://one.example"},
	    {"bysender", "example.com", "example.com"},
	    {"bydomain", U, A},
	    {"slow", "example.com", "example.com"},
	    {"lostlist", "example.com", "example.com"},
	};
	char got[IPC_NAME_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		begin();
		assert_int_equal(
		    relay_dest(&scene.policy, conf_action_find(scene.conf, rows[i].action),
			rows[i].domain, got),
		    0);
		assert_string_equal(got, rows[i].dest);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_cases),
	    TEST(test_wrong),
	    TEST(test_bounds),
	    TEST(test_waits),
	    TEST(test_dest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/*
 * What a decision asks: at once, later, once, never again; and the decisions that
 * must wait.  The tables are the test's own: "fast" is in memory, "slow" answers when the
 * test says so, "down" never does, "dear" and "nets" at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/host.h"
#include "lookup/check.h"
#include "lookup/filter.h"
#include "lookup/inquiry.h"
#include "lookup/memo.h"
#include "lookup/senders.h"
#include "lookup/table_memory.h"
#include "lookup/tables.h"

#define ASKED_MAX 64

/* -- tables, instead of tables.c -- */

struct slow { /* a question that "slow" was asked */
	char key[128];
	enum table_service service;
	struct memo_waiter *w; /* NULL: answered, or forgotten */
};

static struct scene {
	struct table *fast;
	struct conf *conf; /* whose lists in place are in memory, too */
	struct table *lists[64];
	size_t nlists;
	struct slow slow[ASKED_MAX];
	size_t nslow, ndear;
	char asked[512]; /* the keys that "dear" and "nets" were asked for */
	struct inquiry_queue *queue;
	struct memo *accounts, *includes;
	struct memo_entry *list_asked; /* of a list that is on its way */
	struct inquiry_sources sources;
	int resumed;
	char events[1024];
} scene;

static enum table_answer
slow_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	struct slow *s = &scene.slow[scene.nslow];

	(void)table;
	(void)value;
	assert_true(scene.nslow < ASKED_MAX);
	(void)snprintf(s->key, sizeof(s->key), "%s", key);
	s->service = service;
	s->w = w;
	scene.nslow++;
	return TABLE_PENDING;
}

static enum table_answer
down_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	(void)table;
	(void)service;
	(void)key;
	(void)w;
	(void)value;
	return TABLE_TROUBLE;
}

/* Has "there" with a value, "bare" without, and the networks 10/8 and ::/0. */
static enum table_answer
dear_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	(void)table;
	(void)service;
	(void)w;
	scene.ndear++;
	(void)snprintf(scene.asked + strlen(scene.asked), sizeof(scene.asked) - strlen(scene.asked),
	    "%s ", key);
	*value = strcmp(key, "there") == 0 ? "value" : "";
	return strcmp(key, "there") == 0 || strcmp(key, "bare") == 0 ||
		       strcmp(key, "10.0.0.0/8") == 0
		   ? TABLE_YES
		   : TABLE_NO;
}

static const struct backend_ops slow_ops = {.find = slow_find};
static const struct backend_ops down_ops = {.find = down_find};
static const struct backend_ops dear_ops = {.find = dear_find, .is_dear = true};
static const struct backend_ops nets_ops = {.find = dear_find, .knows_prefixes = true};

/* A list that a rule has in place. */
static struct table *
list_find(const char *name)
{
	const struct conf_table *ct = conf_table_find(scene.conf, name);
	struct table *t = table_create(name);
	size_t i;

	assert_true(ct != NULL && t != NULL && scene.nlists < 64);
	for (i = 0; i < ct->npairs; i++)
		assert_int_equal(table_add(t, ct->pairs[i].key, NULL), 0);
	return scene.lists[scene.nlists++] = t;
}

void
tables_find(const struct tables *ts, const char *name, struct table_ref *out)
{
	static const struct {
		const char *name;
		const struct backend_ops *ops;
	} rows[] = {{"slow", &slow_ops}, {"slow2", &slow_ops}, {"down", &down_ops},
	    {"dear", &dear_ops}, {"nets", &nets_ops}};
	size_t i;

	(void)ts;
	*out = (struct table_ref){.known = false};
	if (strcmp(name, "fast") == 0)
		out->memory = scene.fast;
	else if (strncmp(name, "dynamic:", 8) == 0)
		out->memory = list_find(name);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(name, rows[i].name) == 0) {
			out->ops = rows[i].ops;
			out->backend = &scene;
		}
}

enum table_answer
tables_include(const struct tables *ts, const char *name, const char *path, const char **text)
{
	(void)ts;
	(void)name;
	*text = "alice";
	if (strcmp(path, "/coming") == 0 && scene.list_asked != NULL)
		return TABLE_PENDING;
	return strcmp(path, "/gone") != 0 ? TABLE_YES : TABLE_TROUBLE;
}

struct memo *
tables_includes(const struct tables *ts)
{
	(void)ts;
	return scene.includes;
}

/* The n-th question that "slow" was asked is answered. */
static void
answer(size_t n, enum table_answer a, const char *value)
{
	struct memo_waiter *w = scene.slow[n].w;

	assert_true(n < scene.nslow);
	assert_non_null(w);
	scene.slow[n].w = NULL;
	w->done(w->arg, a, value);
}

/* -- the rest of the scene -- */

static int
on_account(void *arg, struct memo_entry *e)
{
	(void)arg;
	memo_answer(e, strcmp(memo_key(e), "alice") == 0 ? TABLE_YES : TABLE_NO, NULL, 0);
	return 0;
}

static int
on_include(void *arg, struct memo_entry *e)
{
	(void)arg;
	scene.list_asked = e;
	return 0;
}

static int64_t
now_ms(void *arg)
{
	(void)arg;
	return 0;
}

static int
setup(void **state)
{
	const struct memo_plan plan = {.entries_max = 10,
	    .octets_max = 10000,
	    .asked_max = 10,
	    .yes_ms = 1000,
	    .no_ms = 1000,
	    .ask = on_account};
	const struct memo_plan lists = {.asked_max = 10, .ask = on_include};

	(void)state;
	scene = (struct scene){.fast = table_create("fast"),
	    .queue = inquiry_queue_create(),
	    .accounts = memo_create(&plan),
	    .includes = memo_create(&lists)};
	assert_non_null(scene.fast);
	assert_int_equal(table_add(scene.fast, "there", "value"), 0);
	assert_int_equal(table_add(scene.fast, "bare", NULL), 0);
	assert_int_equal(table_add(scene.fast, "*.example.org", NULL), 0);
	scene.sources = (struct inquiry_sources){
	    .queue = scene.queue, .accounts = scene.accounts, .now_ms = now_ms};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	while (scene.nlists > 0)
		table_free(scene.lists[--scene.nlists]);
	table_free(scene.fast);
	memo_free(scene.accounts);
	memo_free(scene.includes);
	inquiry_queue_free(scene.queue);
	return 0;
}

static void
on_resume(void *arg)
{
	(void)arg;
	scene.resumed++;
}

static struct inquiry *
inquiry(void)
{
	struct inquiry *q = inquiry_create(&scene.sources, on_resume, NULL);

	assert_non_null(q);
	return q;
}

static void
assert_value(struct inquiry *q, const char *table, const char *key, const char *want)
{
	const char *value = NULL;
	enum table_answer a = inquiry_value(q, table, SERVICE_ALIAS, key, &value);

	assert_int_equal(a, want == NULL ? TABLE_NO : TABLE_YES);
	if (want != NULL)
		assert_string_equal(value, want);
}

/* -- one inquiry -- */

static void
test_at_once(void **state)
{
	struct inquiry *q = inquiry();
	const char *value;

	(void)state;
	assert_value(q, "fast", "There", "value");
	assert_value(q, "fast", "bare", NULL);
	assert_value(q, "dear", "THERE", "value");
	assert_value(q, "dear", "bare", NULL);
	assert_value(q, "dear", "", NULL);
	assert_int_equal(inquiry_has_word(q, "dear", "bare"), TABLE_YES);
	assert_int_equal(inquiry_has_domain(q, "fast", "a.example.org"), TABLE_YES);
	assert_int_equal(inquiry_value(q, "down", SERVICE_ALIAS, "x", &value), TABLE_TROUBLE);
	assert_string_equal(inquiry_trouble(q), "table <down>");
	assert_int_equal(inquiry_has_word(q, "unheard-of", "x"), TABLE_TROUBLE);
	assert_string_equal(inquiry_trouble(q), "table <unheard-of>");
	assert_int_equal(inquiry_has_regex(q, "dear", "x"), TABLE_TROUBLE);
	assert_int_equal(inquiry_account(q, "alice"), TABLE_YES);
	assert_int_equal(inquiry_account(q, "bob"), TABLE_NO);
	assert_int_equal(inquiry_forward(q, "alice", "", &value), TABLE_TROUBLE);
	assert_string_equal(inquiry_trouble(q), "forward");
	assert_int_equal(inquiry_include(q, "fast", "/there", &value), TABLE_YES);
	assert_int_equal(inquiry_include(q, "fast", "/gone", &value), TABLE_TROUBLE);
	assert_false(inquiry_is_pending(q));
	inquiry_free(q);
}

/* A list that is on its way is waited for. */
static void
test_include_to_come(void **state)
{
	struct inquiry *q = inquiry();
	struct memo_entry *asked;
	const char *text;

	(void)state;
	scene.list_asked = (struct memo_entry *)&scene;
	assert_int_equal(inquiry_include(q, "fast", "/coming", &text), TABLE_PENDING);
	assert_true(inquiry_is_pending(q));
	asked = scene.list_asked;
	assert_string_equal(memo_key(asked), "fast\n/coming");
	scene.list_asked = NULL;
	memo_answer(asked, TABLE_YES, NULL, 0);
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
	assert_int_equal(inquiry_include(q, "fast", "/coming", &text), TABLE_YES);
	assert_string_equal(text, "alice");
	inquiry_free(q);
}

/* The keys of a subject are tried in their order, in lower case, until one is there. */
static void
test_keys(void **state)
{
	struct inquiry *q = inquiry();
	struct addr a;

	(void)state;
	assert_int_equal(inquiry_has_domain(q, "dear", "A.b.c"), TABLE_NO);
	assert_string_equal(scene.asked, "a.b.c .b.c .c ");
	scene.asked[0] = '\0';
	assert_int_equal(host_parse("10.255.255.255", &a), 0);
	assert_int_equal(inquiry_has_network(q, "dear", &a), TABLE_NO);
	assert_string_equal(scene.asked, "10.255.255.255 ");
	assert_int_equal(inquiry_has_network(q, "nets", &a), TABLE_YES);
	assert_non_null(strstr(scene.asked, " 10.254.0.0/15 10.252.0.0/14 "));
	assert_non_null(strstr(scene.asked, " 10.128.0.0/9 10.0.0.0/8 "));
	assert_null(strstr(scene.asked, "/7"));
	inquiry_free(q);
}

/* A question is asked once, and its answer is there however often it is wanted. */
static void
test_later(void **state)
{
	struct inquiry *q = inquiry();
	const char *value;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(
		    inquiry_value(q, "slow", SERVICE_ALIAS, "K", &value), TABLE_PENDING);
		assert_int_equal(
		    inquiry_value(q, "slow", SERVICE_VIRTUAL, "k", &value), TABLE_PENDING);
		assert_int_equal(
		    inquiry_value(q, "slow2", SERVICE_ALIAS, "k", &value), TABLE_PENDING);
	}
	assert_int_equal(scene.nslow, 3);
	assert_true(inquiry_is_pending(q));
	answer(1, TABLE_NO, "");
	answer(0, TABLE_YES, "late");
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 0);
	answer(2, TABLE_TROUBLE, "");
	assert_false(inquiry_is_pending(q));
	assert_int_equal(scene.resumed, 0);
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
	for (i = 0; i < 3; i++) {
		assert_int_equal(inquiry_value(q, "slow", SERVICE_ALIAS, "k", &value), TABLE_YES);
		assert_string_equal(value, "late");
		assert_int_equal(inquiry_value(q, "slow", SERVICE_VIRTUAL, "k", &value), TABLE_NO);
		assert_int_equal(
		    inquiry_value(q, "slow2", SERVICE_ALIAS, "k", &value), TABLE_TROUBLE);
	}
	assert_int_equal(scene.nslow, 3);
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
	inquiry_free(q);
}

/* What costs is asked once in a decision, though it answers at once. */
static void
test_dear(void **state)
{
	struct inquiry *q = inquiry();
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_value(q, "dear", "there", "value");
		assert_value(q, "dear", "gone", NULL);
	}
	assert_int_equal(scene.ndear, 2);
	inquiry_free(q);
}

#define MANY 8

/* Asks q for n values more, each of a quarter of what one inquiry may keep but for a little; how many it has. */
static size_t
take_values(struct inquiry *q, size_t n)
{
	size_t len = INQUIRY_VALUES_MAX / 4 - 100, i, have = 0, first = scene.nslow;
	char key[24], *text = test_malloc(len + 1);
	const char *value;

	memset(text, 'v', len);
	text[len] = '\0';
	for (i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "%zu", i);
		assert_int_equal(
		    inquiry_value(q, "slow", SERVICE_ALIAS, key, &value), TABLE_PENDING);
	}
	for (i = 0; i < n; i++)
		answer(first + i, TABLE_YES, text);
	for (i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "%zu", i);
		have += inquiry_value(q, "slow", SERVICE_ALIAS, key, &value) == TABLE_YES;
	}
	test_free(text);
	return have;
}

/* A table that has a long answer to everything fills no memory: what is more is trouble. */
static void
test_values_are_bounded(void **state)
{
	struct inquiry *all[MANY];
	size_t i, have = 0;

	(void)state;
	all[0] = inquiry();
	assert_int_equal(take_values(all[0], 6), 4);
	inquiry_free(all[0]);
	for (i = 0; i < MANY; i++) {
		all[i] = inquiry();
		have += take_values(all[i], 4);
	}
	assert_int_equal(have, 16);
	for (i = 0; i < MANY; i++)
		inquiry_free(all[i]);
	all[0] = inquiry();
	assert_int_equal(take_values(all[0], 4), 4);
	inquiry_free(all[0]);
}

/* One that is freed, or has given up, wants no answer any more. */
static void
test_ends(void **state)
{
	struct inquiry *q = inquiry(), *other = inquiry();
	const char *value;

	(void)state;
	assert_int_equal(inquiry_value(q, "slow", SERVICE_ALIAS, "a", &value), TABLE_PENDING);
	assert_int_equal(inquiry_value(other, "slow", SERVICE_ALIAS, "a", &value), TABLE_PENDING);
	inquiry_give_up(q);
	assert_false(inquiry_is_pending(q));
	assert_int_equal(inquiry_value(q, "slow", SERVICE_ALIAS, "a", &value), TABLE_TROUBLE);
	assert_int_equal(inquiry_value(q, "slow", SERVICE_ALIAS, "b", &value), TABLE_TROUBLE);
	assert_value(q, "fast", "there", "value");
	answer(1, TABLE_NO, "");
	inquiry_yield(q);
	inquiry_yield(q);
	inquiry_free(other); /* which was to be resumed */
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
	inquiry_yield(q);
	inquiry_free(q);
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
}

static void
on_yield(void *arg)
{
	struct inquiry **q = arg;

	if (++scene.resumed < 3)
		inquiry_yield(*q);
}

/* Who has done enough for a turn is called in the next one, not in this. */
static void
test_turns(void **state)
{
	struct inquiry *q;

	(void)state;
	q = inquiry_create(&scene.sources, on_yield, &q);
	inquiry_yield(q);
	assert_true(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 1);
	assert_true(inquiry_queue_run(scene.queue));
	assert_false(inquiry_queue_run(scene.queue));
	assert_int_equal(scene.resumed, 3);
	inquiry_free(q);
}

/* Nobody waits: what is not there at once can't be said. */
static void
test_nobody_waits(void **state)
{
	struct inquiry *q = inquiry_create(&scene.sources, NULL, NULL);
	const char *value;

	(void)state;
	assert_int_equal(inquiry_value(q, "slow", SERVICE_ALIAS, "k", &value), TABLE_TROUBLE);
	assert_false(inquiry_is_pending(q));
	inquiry_free(q);
}

static void
on_event(void *arg, const struct inquiry_event *e)
{
	char one[160];

	(void)arg;
	(void)snprintf(one, sizeof(one), "%s %s %s=%d%s%s; ", e->source,
	    e->service == SERVICE__MAX ? "-" : service_word(e->service), e->key, (int)e->answer,
	    e->value == NULL ? "" : " ", e->value == NULL ? "" : e->value);
	(void)strcat(scene.events, one);
}

static void
test_observer(void **state)
{
	struct inquiry *q = inquiry();
	const char *value;
	struct addr a;

	(void)state;
	inquiry_observe(q, on_event, NULL);
	assert_value(q, "fast", "there", "value");
	assert_int_equal(inquiry_has_domain(q, "fast", "a.b"), TABLE_NO);
	assert_int_equal(host_parse("192.0.2.1", &a), 0);
	assert_int_equal(inquiry_has_network(q, "nets", &a), TABLE_NO);
	assert_int_equal(inquiry_value(q, "slow", SERVICE_VIRTUAL, "k", &value), TABLE_PENDING);
	assert_int_equal(inquiry_account(q, "alice"), TABLE_YES);
	assert_string_equal(scene.events,
	    "fast alias there=1 value; fast domain a.b=0; nets netaddr 192.0.2.1=0; "
	    "slow virtual k=3; accounts - alice=1 ; ");
	inquiry_free(q);
}

/* -- decisions that wait -- */

static struct conf *
conf_of(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_parse_text("test", text, strlen(text), &errors);

	if (c == NULL)
		print_error("%s\n", errors.n > 0 ? errors.list[0].text : "?");
	conf_errors_free(&errors);
	assert_non_null(c);
	return c;
}

static const char conf_text[] =
    "hostname \"mx.example.org\"\n"
    "table slow { ::1 }\ntable slow2 { x }\ntable down { x }\ntable users { \"x\" = \"x\" }\n"
    "table nets { 10.0.0.1 }\n"
    "action A relay\n"
    "action L maildir\n"
    "filter f phase connect match src <nets> junk\n"
    "filter g phase connect match src <slow> disconnect \"421 go\"\n"
    "filter c chain { f, g }\n"
    "match from any for domain \"two.example\" helo <slow> mail-from <slow2> action A\n"
    "match from any for domain \"no.example\" helo <slow> tls action A\n"
    "match from any for domain \"down.example\" helo <down> mail-from <slow> action A\n"
    "match from any for domain \"neg.example\" ! helo <slow> action A\n"
    "match from any for domain \"reject.example\" reject\n"
    "match from any for domain \"relay.example\" action A\n"
    "match from any for local action L\n";

struct decision {
	struct conf *conf;
	struct policy policy;
	struct check_question question;
	struct check_verdict verdict;
};

static void
decide(struct decision *d)
{
	check_evaluate(&d->policy, &d->question, NULL, &d->verdict);
}

static void
decision_make(struct decision *d, const char *rcpt)
{
	*d = (struct decision){.conf = conf_of(conf_text)};
	scene.conf = d->conf;
	d->policy = (struct policy){d->conf, inquiry(), "mx.example.org"};
	d->question = (struct check_question){.sender = "s@sender.example",
	    .rcpt = rcpt,
	    .rule = {.helo = "client.example", .tag = "", .auth = "", .name = ""}};
	decide(d);
}

static void
decision_free(struct decision *d)
{
	inquiry_free(d->policy.inquiry);
	conf_free(d->conf);
}

static void
assert_verdict(const struct decision *d, unsigned int code, const char *status, const char *why)
{
	assert_false(d->verdict.pending);
	assert_string_equal(d->verdict.why, why);
	assert_int_equal(d->verdict.code, code);
	assert_string_equal(d->verdict.status, status);
	assert_int_equal(d->verdict.action != NULL, code == 250);
}

/* What is independent is asked at the same time; the answers in any order give one verdict. */
static void
test_check_waits(void **state)
{
	struct decision d;

	(void)state;
	decision_make(&d, "x@two.example");
	assert_true(d.verdict.pending);
	assert_int_equal(scene.nslow, 2);
	assert_string_equal(scene.slow[0].key, "client.example");
	assert_string_equal(scene.slow[1].key, "s@sender.example");
	answer(1, TABLE_YES, "");
	answer(0, TABLE_NO, "");
	decide(&d);
	assert_true(d.verdict.pending); /* the next key of the client's name */
	assert_int_equal(scene.nslow, 3);
	assert_string_equal(scene.slow[2].key, ".example");
	answer(2, TABLE_YES, "");
	decide(&d);
	assert_verdict(&d, 250, "2.1.5", "rule at line 12");
	assert_int_equal(scene.nslow, 3);
	decision_free(&d);
}

static void
test_check_negation(void **state)
{
	struct decision d;

	(void)state;
	decision_make(&d, "x@neg.example");
	assert_true(d.verdict.pending);
	answer(0, TABLE_NO, "");
	decide(&d);
	answer(1, TABLE_NO, "");
	decide(&d);
	assert_verdict(&d, 250, "2.1.5", "rule at line 15");
	decision_free(&d);
}

/* A rule that fails anyway waits for nobody; a table that is down is nobody's "no". */
static void
test_check_reasons(void **state)
{
	struct decision d;

	(void)state;
	decision_make(&d, "x@no.example");
	assert_verdict(&d, 550, "5.7.1", "no rule matches");
	assert_int_equal(scene.nslow, 1);
	scene.nslow = 0;
	decision_free(&d);
	decision_make(&d, "x@down.example");
	assert_true(d.verdict.pending);
	answer(0, TABLE_YES, "");
	decide(&d);
	assert_verdict(&d, 451, "4.4.3", "rule at line 14, table <down> does not answer");
	decision_free(&d);
	decision_make(&d, "x@reject.example");
	assert_verdict(&d, 550, "5.7.1", "rejected by the rule at line 16");
	decision_free(&d);
	decision_make(&d, "x@other.example");
	assert_verdict(&d, 550, "5.7.1", "no rule matches");
	decision_free(&d);
	decision_make(&d, "no address");
	assert_verdict(&d, 553, "5.1.3", "the recipient is not an address");
	decision_free(&d);
	decision_make(&d, "x@relay.example");
	assert_verdict(&d, 250, "2.1.5", "rule at line 17");
	decision_free(&d);
}

/* Who gives up waiting gets a 451, never more. */
static void
test_check_gives_up(void **state)
{
	struct decision d;

	(void)state;
	decision_make(&d, "x@two.example");
	inquiry_give_up(d.policy.inquiry);
	decide(&d);
	assert_verdict(&d, 451, "4.4.3", "rule at line 12, table <slow> does not answer");
	decision_free(&d);
}

static void
on_member(void *arg, const struct conf_filter *f, enum table_answer matches,
    const struct filter_verdict *so_far)
{
	char one[64];

	(void)arg;
	(void)so_far;
	(void)snprintf(one, sizeof(one), "%s=%d ", f->name, (int)matches);
	(void)strcat(scene.events, one);
}

static void
test_filter_waits(void **state)
{
	static const struct filter_observer observer = {.member = on_member};
	struct filter_question q = {.phase = CONF_PHASE_CONNECT,
	    .name = "",
	    .helo = "",
	    .auth = "",
	    .sender = "",
	    .rcpt = ""};
	struct conf *conf = conf_of(conf_text);
	struct policy p = {conf, inquiry(), "mx.example.org"};
	struct filter_verdict v;
	struct addr client;

	(void)state;
	assert_int_equal(host_parse("10.2.3.4", &client), 0);
	q.client = &client;
	assert_false(filter_evaluate(&p, "c", &q, &observer, &v));
	assert_string_equal(scene.events, "f=1 ");
	answer(0, TABLE_YES, "");
	assert_true(filter_evaluate(&p, "c", &q, &observer, &v));
	assert_string_equal(scene.events, "f=1 f=1 g=1 ");
	assert_int_equal(v.code, 421);
	assert_true(v.junk);
	inquiry_free(p.inquiry);
	conf_free(conf);
}

static void
test_sender_waits(void **state)
{
	struct filter_question q = {
	    .phase = CONF_PHASE_MAIL_FROM, .auth = "bob", .sender = "a@example.org"};
	struct conf *conf = conf_of(conf_text);
	struct policy p = {conf, inquiry(), "mx.example.org"};
	struct filter_verdict v = {.filter = ""};

	(void)state;
	assert_int_equal(senders_judge(&p, "slow", &q, &v), TABLE_PENDING);
	assert_int_equal(v.code, 0);
	assert_int_equal(scene.slow[0].service, SERVICE_SENDERS);
	answer(0, TABLE_YES, "b@example.org, a@example.org");
	assert_int_equal(senders_judge(&p, "slow", &q, &v), TABLE_YES);
	assert_int_equal(v.code, 0);
	inquiry_free(p.inquiry);
	conf_free(conf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_at_once),
	    TEST(test_include_to_come),
	    TEST(test_keys),
	    TEST(test_later),
	    TEST(test_dear),
	    TEST(test_values_are_bounded),
	    TEST(test_ends),
	    TEST(test_turns),
	    TEST(test_nobody_waits),
	    TEST(test_observer),
	    TEST(test_check_waits),
	    TEST(test_check_negation),
	    TEST(test_check_reasons),
	    TEST(test_check_gives_up),
	    TEST(test_filter_waits),
	    TEST(test_sender_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

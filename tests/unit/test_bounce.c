/* SPDX-License-Identifier: ISC */
/*
 * Reports as the queue makes them, on a real spool: every failed recipient is
 * told of once, however many there are and however long what is said of them,
 * and a report that can't be made waits aside.
 */
#include "tests/unit/spool_fixture.h"

#include "queue/queue.h"

enum { MANY = 1500 };

static int64_t now_s = NOW;

/* What bounce.c takes from the rest of the program. */
int64_t
service_now_s(const struct service *s)
{
	(void)s;
	return now_s;
}

const char *
queue_hostname(const struct program *p)
{
	(void)p;
	return "mx.example.org";
}

static struct spool *
open_reserving(uint64_t reserve_bytes)
{
	struct spool_options o = {.directory = fixture_dir, .reserve_bytes = reserve_bytes};
	struct spool *s = spool_open(&o, now_s);

	assert_non_null(s);
	return s;
}

/* Many failed recipients, every tenth not to be told of. */
static void
put_many(struct spool *s, int address_len, size_t text_len)
{
	static char address[MANY][SPOOL_ADDRESS_MAX + 1], orcpt[SPOOL_ADDRESS_MAX + 1];
	static char text[SPOOL_TEXT_MAX + 1], host[SPOOL_NAME_MAX + 1];
	static struct spool_rcpt r[MANY];
	const struct spool_answer answer = {"5.1.1", text, host};
	struct spool_message m;
	uint64_t id;
	size_t i;

	memset(orcpt, 'o', SPOOL_ADDRESS_MAX);
	memcpy(orcpt, "rfc822;", 7);
	orcpt[address_len] = '\0';
	memset(text, 't', SPOOL_TEXT_MAX);
	text[text_len] = '\0';
	memset(host, 'h', SPOOL_NAME_MAX);
	assert_int_equal(spool_begin(s, NOW, 0, &id), 0);
	for (i = 0; i < MANY; i++) {
		(void)snprintf(
		    address[i], sizeof(address[i]), "%0*zu@x.example", address_len - 10, i);
		r[i] = rcpt_make(address[i]);
		r[i].orcpt = orcpt;
		r[i].notify = i % 10 == 0 ? 1 : 0;
	}
	m = message_make(id);
	spool_finish(s, &m, (struct span){(const uint8_t *)"", 0}, r, MANY, NULL, NULL);
	for (i = 0; i < MANY; i++)
		spool_failed(s, SPOOL_KEY(id, i), NOW, &answer, NULL, NULL);
	spool_commit(s, NOW);
}

struct tally {
	unsigned int told[MANY];
	uint64_t ids[MANY];
	uint32_t nchunks[MANY];
	size_t nreports, failed;
	struct buf text;
};

static void
on_tally(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct tally *t = arg;

	if (r == NULL && m->flags == SPOOL_IS_REPORT) {
		assert_true(t->nreports < MANY);
		t->ids[t->nreports] = m->id;
		t->nchunks[t->nreports++] = m->nchunks;
	}
	t->failed += r != NULL && r->state == SPOOL_FAILED;
}

static void
on_text(void *arg, struct span data)
{
	struct tally *t = arg;

	assert_int_equal(buf_append(&t->text, data.data, data.len), 0);
}

static void
tally_report(struct spool *s, struct tally *t, size_t n)
{
	static const char field[] = "Final-Recipient: rfc822; ";
	const char *at;
	uint32_t seq;

	buf_init(&t->text, 4U << 20);
	for (seq = 0; seq < t->nchunks[n]; seq++)
		assert_int_equal(spool_read(s, t->ids[n], seq, on_text, t), 0);
	assert_int_equal(buf_append(&t->text, "", 1), 0);
	at = (const char *)buf_head(&t->text);
	while ((at = strstr(at, field)) != NULL) {
		at += sizeof(field) - 1;
		t->told[strtoul(at, NULL, 10)]++;
	}
	buf_free(&t->text);
}

static void
tally_up(struct spool *s, struct tally *t)
{
	size_t i;

	memset(t, 0, sizeof(*t));
	assert_int_equal(spool_list(s, 0, MANY, MANY, on_tally, t), 0);
	for (i = 0; i < t->nreports; i++)
		tally_report(s, t, i);
}

static void
run(struct program *p, size_t turns)
{
	for (; turns > 0; turns--) {
		bounce_run(p);
		spool_commit(p->spool, now_s);
	}
}

static const struct {
	int address_len;
	size_t text_len, reports_min, reports_max;
} many[] = {
    {SPOOL_ADDRESS_MAX, SPOOL_TEXT_MAX, 3, 10}, /* what fits is less than a report may tell of */
    {20, 20, 2, 2},
};

static void
test_many(void **state)
{
	static const struct conf conf = {.values = {.queue_ttl_s = 1000}};
	static struct tally t;
	size_t i, k, turns;

	(void)state;
	for (k = 0; k < NITEMS(many); k++) {
		struct program p = {.conf = &conf, .reports_due = true};

		fixture_wipe();
		p.spool = open_reserving(0);
		put_many(p.spool, many[k].address_len, many[k].text_len);
		for (turns = 0; p.reports_due && turns < 20; turns++)
			run(&p, 1);
		assert_true(turns < 20);
		tally_up(p.spool, &t);
		assert_int_equal(t.failed, 0);
		assert_int_equal(t.nreports, p.reports);
		assert_in_range(t.nreports, many[k].reports_min, many[k].reports_max);
		for (i = 0; i < MANY; i++)
			assert_int_equal(t.told[i], i % 10 == 0 ? 0 : 1);
		spool_close(p.spool);
	}
}

static void
put_one(struct spool *s)
{
	static const struct spool_answer answer = {"5.1.1", "no such user", ""};
	struct spool_rcpt r = rcpt_make("bob@example.net");
	struct spool_message m;
	uint64_t id;

	assert_int_equal(spool_begin(s, NOW, 0, &id), 0);
	m = message_make(id);
	r.notify = 0;
	spool_finish(s, &m, (struct span){(const uint8_t *)"", 0}, &r, 1, NULL, NULL);
	spool_failed(s, SPOOL_KEY(id, 0), NOW, &answer, NULL, NULL);
}

/* The disk is full: each report is put off, and made when there is room. */
static void
test_put_off(void **state)
{
	static const struct conf conf = {.values = {.queue_ttl_s = 1000}};
	static struct tally t;
	struct program p = {.conf = &conf, .reports_due = true};
	size_t i;

	(void)state;
	fixture_wipe();
	p.spool = open_reserving(0);
	for (i = 0; i < 20; i++)
		put_one(p.spool);
	spool_close(p.spool);
	p.spool = open_reserving(UINT64_MAX);
	for (i = 0; i < 3; i++)
		run(&p, 1);
	assert_false(p.reports_due); /* three turns saw all twenty: none stood before another */
	assert_int_equal(p.reports, 0);
	spool_close(p.spool);
	p.spool = open_reserving(0);
	p.reports_due = true;
	run(&p, 1);
	assert_int_equal(p.reports, 0);
	now_s += 300;
	p.reports_due = true;
	run(&p, 3);
	tally_up(p.spool, &t);
	assert_int_equal(t.nreports, 20);
	assert_int_equal(t.failed, 0);
	spool_close(p.spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_put_off),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

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

/* -- late, and the sender wants to hear of it (RFC 2852) -- */

struct found { /* the newest report */
	uint64_t id;
	uint32_t nchunks;
	unsigned int flags;
	int priority;
	size_t nreports;
	struct buf text;
};

static void
on_find(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct found *f = arg;

	if (r != NULL || (m->flags & SPOOL_IS_REPORT) == 0)
		return;
	f->nreports++;
	f->id = m->id;
	f->nchunks = m->nchunks;
	f->flags = m->flags;
	f->priority = m->priority;
}

static void
on_found_text(void *arg, struct span data)
{
	struct found *f = arg;

	assert_int_equal(buf_append(&f->text, data.data, data.len), 0);
}

static void
find_report(struct spool *s, struct found *f, size_t nreports)
{
	uint32_t seq;

	*f = (struct found){.nreports = 0};
	assert_int_equal(spool_list(s, 0, MANY, MANY, on_find, f), 0);
	assert_int_equal(f->nreports, nreports);
	buf_init(&f->text, 1U << 20);
	for (seq = 0; seq < f->nchunks; seq++)
		assert_int_equal(spool_read(s, f->id, seq, on_found_text, f), 0);
	assert_int_equal(buf_append(&f->text, "", 1), 0);
}

static void
has(const struct found *f, const char *what, bool wanted)
{
	if ((strstr((const char *)buf_head(&f->text), what) != NULL) != wanted)
		fail_msg("%s %s in:\n%s", what, wanted ? "is not" : "is",
		    (const char *)buf_head(&f->text));
}

static void
put_late(struct spool *s, unsigned int notify, uint64_t *id)
{
	struct spool_rcpt r[] = {
	    rcpt_make("a@example.net"), rcpt_make("b@example.net"), rcpt_make("c@example.net")};
	struct spool_message m;

	assert_int_equal(spool_begin(s, NOW, 0, id), 0);
	m = message_make(*id);
	m.by = IPC_BY_NOTIFY;
	m.by_s = NOW + 600;
	m.flags = SPOOL_REQUIRETLS;
	m.priority = 4;
	r[0].notify = notify;
	r[1].notify = 1; /* NEVER */
	r[2].notify = notify;
	spool_finish(s, &m, (struct span){(const uint8_t *)"", 0}, r, 3, NULL, NULL);
	spool_commit(s, NOW);
}

static void
run_at(struct program *p, int64_t at_s)
{
	now_s = at_s;
	p->reports_due = true;
	run(p, 3);
}

/* Told once, of those still on their way; the failure before it is told by itself. */
static void
test_late(void **state)
{
	static const struct conf conf = {.values = {.queue_ttl_s = 1000}};
	static const struct spool_answer failed = {"5.1.1", "no such user", "mx.example.net"};
	static const struct spool_answer deferred = {"4.4.1", "connection refused", ""};
	struct program p = {.conf = &conf};
	struct found f;
	uint64_t id;

	(void)state;
	fixture_wipe();
	now_s = NOW;
	p.spool = open_reserving(0);
	put_late(p.spool, 0, &id);
	spool_failed(p.spool, SPOOL_KEY(id, 0), NOW + 10, &failed, NULL, NULL);
	spool_deferred(p.spool, SPOOL_KEY(id, 2), NOW + 900, &deferred, NULL, NULL);
	spool_commit(p.spool, NOW);
	run_at(&p, NOW + 10);
	find_report(p.spool, &f, 1);
	has(&f, "Action: failed", true);
	has(&f, "a@example.net", true);
	has(&f, "c@example.net", false);
	/* RFC 8689 5: and it is to be kept as close as what it tells of. */
	assert_int_equal(f.flags, SPOOL_IS_REPORT | SPOOL_REQUIRETLS);
	assert_int_equal(f.priority, 4);
	buf_free(&f.text);
	run_at(&p, NOW + 599);
	assert_int_equal(p.reports, 1);
	run_at(&p, NOW + 600);
	find_report(p.spool, &f, 2);
	has(&f, "Action: delayed", true);
	has(&f, "Status: 4.4.7", true);
	has(&f, "Deliver-By-Date: ", true);
	has(&f, "Will-Retry-Until: ", true);
	has(&f, "Diagnostic-Code: x-postern; connection refused", true);
	has(&f, "Final-Recipient: rfc822; c@example.net", true);
	has(&f, "a@example.net", false);
	has(&f, "b@example.net", false);
	buf_free(&f.text);
	run_at(&p, NOW + 99999);
	assert_int_equal(p.reports, 2);
	spool_close(p.spool);
	now_s = NOW;
}

/* -- success, and the sender wants to hear of it (RFC 3461 5.2) -- */

/* Failures are told by themselves; nothing is told twice, and the message goes with the last. */
static void
test_success(void **state)
{
	static const struct conf conf = {.values = {.queue_ttl_s = 1000}};
	static const struct spool_answer failed = {"5.1.1", "no such user", "mx.example.net"};
	static const struct spool_answer relayed = {"2.0.0", "250 2.0.0 taken", "mx.example.net"};
	static const struct spool_answer stored = {"2.1.5", "", ""};
	struct program p = {.conf = &conf};
	struct found f;
	uint64_t id;

	(void)state;
	fixture_wipe();
	now_s = NOW;
	p.spool = open_reserving(0);
	put_late(p.spool, IPC_NOTIFY_SUCCESS | IPC_NOTIFY_FAILURE, &id);
	spool_failed(p.spool, SPOOL_KEY(id, 0), NOW, &failed, NULL, NULL);
	spool_succeeded(p.spool, SPOOL_KEY(id, 1), SPOOL_DELIVERED, NOW, &stored, NULL, NULL);
	spool_succeeded(p.spool, SPOOL_KEY(id, 2), SPOOL_RELAYED, NOW, &relayed, NULL, NULL);
	spool_commit(p.spool, NOW);
	p.reports_due = true;
	run(&p, 1);
	find_report(p.spool, &f, 1);
	has(&f, "Subject: Your message could not be delivered", true);
	has(&f, "Final-Recipient: rfc822; a@example.net", true);
	has(&f, "c@example.net", false);
	buf_free(&f.text);
	run(&p, 2);
	find_report(p.spool, &f, 2);
	has(&f, "Subject: Your message was delivered", true);
	has(&f, "Action: delivered\r\nStatus: 2.1.5", true);
	has(&f, "Action: relayed\r\nStatus: 2.0.0\r\nRemote-MTA: dns; mx.example.net", true);
	has(&f, "a@example.net", false);
	buf_free(&f.text);
	assert_int_equal(snap_list(p.spool)->nmessages, 2); /* the reports */
	run_at(&p, NOW + 99999);
	assert_int_equal(p.reports, 2);
	spool_close(p.spool);
	now_s = NOW;
}

static void
on_id(void *arg, uint64_t id)
{
	(void)id;
	++*(size_t *)arg;
}

/* Nobody is told who wants to hear of failures only; and that is settled too. */
static void
test_late_unwanted(void **state)
{
	static const struct conf conf = {.values = {.queue_ttl_s = 1000}};
	struct program p = {.conf = &conf};
	size_t left = 0;
	uint64_t id;

	(void)state;
	fixture_wipe();
	now_s = NOW;
	p.spool = open_reserving(0);
	put_late(p.spool, 4, &id);
	run_at(&p, NOW + 600);
	assert_int_equal(p.reports, 0);
	assert_int_equal(spool_reports(p.spool, NOW + 600, 9, on_id, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(snap_list(p.spool)->nrcpts, 3);
	spool_close(p.spool);
	now_s = NOW;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_put_off),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_late_unwanted),
	    cmocka_unit_test(test_success),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

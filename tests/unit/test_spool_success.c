/* SPDX-License-Identifier: ISC */
/*
 * Success that is to be reported, attempts that were none, and what is
 * remembered of domains: all of it as it is after the spool was opened again.
 */
#include "tests/unit/spool_fixture.h"

static const char *const to[] = {"a@example.net", "b@example.net"};
static const struct spool_answer taken = {"2.0.0", "250 taken", "mx.example.net"};
static size_t nreported;

static struct spool *
open_fresh(void)
{
	struct spool *s;

	fixture_wipe();
	s = fixture_open_sqlite();
	assert_non_null(s);
	return s;
}

static struct spool *
open_again(struct spool *s)
{
	spool_close(s);
	s = fixture_open_sqlite();
	assert_non_null(s);
	return s;
}

static void
on_report(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
	nreported++;
}

static size_t
reports_at(struct spool *s, int64_t at_s)
{
	nreported = 0;
	assert_int_equal(spool_reports(s, at_s, 9, on_report, NULL), 0);
	return nreported;
}

static void
test_success_waits_for_its_report(void **state)
{
	struct spool *s = open_fresh();
	int results[4] = {PENDING, PENDING, PENDING, PENDING};
	uint64_t id = message_put(s, 10, to, 2, &results[0]), keys[2];
	struct spool_report report = {.id = id, .settled = keys, .nsettled = 2};
	struct snap *t;

	(void)state;
	keys[0] = SPOOL_KEY(id, 0);
	keys[1] = SPOOL_KEY(id, 1);
	spool_succeeded(s, keys[0], SPOOL_RELAYED, NOW + 5, &taken, on_done, &results[1]);
	spool_commit(s, NOW);
	assert_int_equal(results[1], 0);
	s = open_again(s);
	assert_int_equal(snap_due(s, NOW + 9, 9, NULL)->nrcpts, 1); /* it is not tried again */
	assert_int_equal(reports_at(s, NOW + 4), 0);
	assert_int_equal(reports_at(s, NOW + 5), 1);
	t = snap_list(s);
	assert_int_equal(t->r[0].state, SPOOL_RELAYED);
	assert_string_equal(t->r[0].status, "2.0.0");
	assert_string_equal(t->r[0].text, "250 taken");
	spool_reported(s, &report, on_done, &results[2]); /* one of them is still under way */
	spool_commit(s, NOW);
	assert_int_equal(results[2], ENOENT);
	assert_int_equal(snap_list(s)->nrcpts, 2);
	spool_succeeded(s, keys[1], SPOOL_DELIVERED, NOW + 6, &taken, NULL, NULL);
	spool_reported(s, &report, on_done, &results[3]);
	spool_commit(s, NOW);
	assert_int_equal(results[3], 0);
	assert_int_equal(snap_list(s)->nmessages, 0);
	spool_close(s);
}

/* What stands beside the one that it was says nothing of its own success. */
static void
test_expanded(void **state)
{
	struct spool_rcpt into[3] = {rcpt_make("c"), rcpt_make("d"), rcpt_make("list")};
	struct spool *s = open_fresh();
	int results[2] = {PENDING, PENDING};
	uint64_t id = message_put(s, 10, to, 1, &results[0]);
	struct snap *t;
	size_t i;

	(void)state;
	into[0].state = into[1].state = SPOOL_READY;
	into[2].state = SPOOL_EXPANDED;
	spool_expand(s, SPOOL_KEY(id, 0), into, 3, NOW + 5, on_done, &results[1]);
	spool_commit(s, NOW);
	assert_int_equal(results[1], 0);
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->nrcpts, 3);
	for (i = 0; i < 3; i++) /* NEVER and SUCCESS it was: NEVER is left */
		assert_int_equal(t->r[i].notify, 1);
	assert_int_equal(t->r[2].state, SPOOL_EXPANDED);
	assert_int_equal(snap_due(s, NOW + 9, 9, NULL)->nrcpts, 2);
	assert_int_equal(reports_at(s, NOW + 5), 1);
	spool_close(s);
}

static void
test_no_attempt(void **state)
{
	static const struct spool_answer busy = {"4.4.1", "nobody is there", "mx.example.net"};
	struct spool *s = open_fresh();
	int results[3] = {PENDING, PENDING, PENDING};
	uint64_t id = message_put(s, 10, to, 1, &results[0]);
	struct snap *t;

	(void)state;
	spool_deferred(s, SPOOL_KEY(id, 0), NOW + 10, &taken, on_done, &results[1]);
	spool_put_off(s, SPOOL_KEY(id, 0), NOW + 20, &busy, on_done, &results[2]);
	spool_commit(s, NOW);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], 0);
	s = open_again(s);
	t = snap_list(s);
	assert_int_equal(t->r[0].attempts, 1);
	assert_int_equal(t->r[0].due_s, NOW + 20);
	assert_string_equal(t->r[0].text, "nobody is there");
	spool_close(s);
}

/* -- what is remembered of domains -- */

struct rows {
	size_t n;
	char domains[256];
	enum ipc_tls_level last;
};

static void
on_row(void *arg, const struct spool_tls *t)
{
	struct rows *rows = arg;
	size_t len = strlen(rows->domains);

	rows->n++;
	rows->last = t->level;
	(void)snprintf(rows->domains + len, sizeof(rows->domains) - len, "%s ", t->domain);
}

static struct rows
rows_of(struct spool *s, const char *after, size_t limit, int64_t seen_after_s)
{
	struct rows rows = {.n = 0};

	assert_int_equal(spool_tls_list(s, after, limit, seen_after_s, on_row, &rows), 0);
	return rows;
}

static void
remember(struct spool *s, const char *domain, enum ipc_tls_level level, int64_t seen_s)
{
	struct spool_tls t = {domain, level, NOW, seen_s};
	int result = PENDING;

	spool_tls_set(s, &t, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, 0);
}

static void
test_domains(void **state)
{
	struct spool *s = open_fresh();
	struct spool_tls t;

	(void)state;
	assert_int_equal(spool_tls_get(s, "a.example", &t), -1);
	assert_int_equal(errno, ENOENT);
	remember(s, "a.example", IPC_TLS_ENCRYPTED, NOW + 1);
	remember(s, "b.example", IPC_TLS_VERIFIED, NOW + 2);
	remember(s, "c.example", IPC_TLS_DANE, NOW + 3);
	remember(s, "a.example", IPC_TLS_DANE, NOW + 4);
	s = open_again(s);
	assert_int_equal(spool_tls_get(s, "a.example", &t), 0);
	assert_int_equal(t.level, IPC_TLS_DANE);
	assert_int_equal(t.since_s, NOW);
	assert_int_equal(t.seen_s, NOW + 4);
	assert_string_equal(rows_of(s, "", 9, 0).domains, "a.example b.example c.example ");
	assert_string_equal(rows_of(s, "a.example", 1, 0).domains, "b.example ");
	assert_string_equal(rows_of(s, "", 9, NOW + 2).domains, "a.example c.example ");
	assert_false(spool_tls_prune(s, NOW + 2));
	spool_commit(s, NOW);
	s = open_again(s);
	assert_string_equal(rows_of(s, "", 9, 0).domains, "a.example c.example ");
	spool_close(s);
}

static void
test_domains_forgotten(void **state)
{
	struct spool *s = open_fresh();
	int results[3] = {PENDING, PENDING, PENDING};

	(void)state;
	remember(s, "a.example", IPC_TLS_ENCRYPTED, NOW);
	remember(s, "b.example", IPC_TLS_ENCRYPTED, NOW);
	spool_tls_forget(s, "A.Example", on_done, &results[0]);
	spool_tls_forget(s, "a.example", on_done, &results[1]);
	spool_commit(s, NOW);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], ENOENT);
	s = open_again(s);
	assert_string_equal(rows_of(s, "", 9, 0).domains, "b.example ");
	spool_tls_forget(s, "", on_done, &results[2]);
	spool_commit(s, NOW);
	assert_int_equal(results[2], 0);
	assert_int_equal(rows_of(s, "", 9, 0).n, 0);
	spool_close(s);
}

/* Anybody who has a domain has as many names in it as he likes. */
static void
test_domains_are_so_many(void **state)
{
	struct spool *s = open_fresh();
	struct spool_tls t = {.level = IPC_TLS_DANE, .since_s = NOW, .seen_s = NOW};
	int result = PENDING;
	char name[32];
	size_t i;

	(void)state;
	t.domain = name;
	for (i = 0; i < SPOOL_TLS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%zu.example", i);
		spool_tls_set(s, &t, NULL, NULL);
	}
	spool_commit(s, NOW);
	remember(s, "n7.example", IPC_TLS_VERIFIED, NOW);
	s = open_again(s);
	(void)snprintf(name, sizeof(name), "one.more.example");
	spool_tls_set(s, &t, on_done, &result);
	spool_commit(s, NOW);
	assert_int_equal(result, ENOSPC);
	remember(s, "n8.example", IPC_TLS_VERIFIED, NOW);
	spool_tls_forget(s, "n9.example", NULL, NULL);
	remember(s, "one.more.example", IPC_TLS_VERIFIED, NOW);
	assert_false(spool_tls_prune(s, NOW - 1));
	spool_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_success_waits_for_its_report),
	    cmocka_unit_test(test_expanded),
	    cmocka_unit_test(test_no_attempt),
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_domains_forgotten),
	    cmocka_unit_test(test_domains_are_so_many),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

/* SPDX-License-Identifier: ISC */
/*
 * smtpd-table-postgres: tables in PostgreSQL.
 *
 * A table has a few connections to its server.  A question takes one that is idle;
 * where there is none it makes another, up to a bound, and beyond that it follows others
 * on one that answers well, so that a slow query has no line behind it.
 *
 * Invariants: a question waits in the table's line or is on a connection; one that
 * waits has a connection to hope for, or is answered RETRY at once.  A server that is
 * down is tried again with growing pauses.  Nothing a server says is fatal.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/postgres.h"
#include "table/postgres_connection.h"
#include "table/postgres_scram.h"
#include "table/postgres_text.h"

#define CONNECTIONS_MAX 4
#define PIPELINE_MAX	64  /* questions on one connection */
#define SLOW_MS		100 /* an answer that takes longer has no more put behind it */
#define IDLE_MS		60000
#define PAUSE_MIN_MS	250
#define PAUSE_MAX_MS	5000
#define LOG_MS		1000 /* between two lines about failing queries */

struct backend_table {
	char name[CONF_NAME_MAX + 1];
	struct postgres conf;
	struct pg_connection connections[CONNECTIONS_MAX];
	struct pg_jobs waiting;
	unsigned int failures; /* to connect, one after another */
	int64_t retry_ms;      /* no connection is tried before */
	int64_t logged_ms;
	bool is_down;	 /* and that was logged */
	bool is_running; /* the line is being served */
	char why[PG_WHY_MAX];
};

/* -- the line -- */

static struct pg_connection *
find_idle(struct backend_table *t)
{
	size_t i;

	for (i = 0; i < CONNECTIONS_MAX; i++)
		if (t->connections[i].state == PG_READY && t->connections[i].njobs == 0)
			return &t->connections[i];
	return NULL;
}

static bool
has_state(const struct backend_table *t, enum pg_state state)
{
	size_t i;

	for (i = 0; i < CONNECTIONS_MAX; i++)
		if (t->connections[i].state == state)
			return true;
	return false;
}

static bool
may_follow(const struct pg_connection *c, int64_t now_ms)
{
	const struct pg_job *oldest = TAILQ_FIRST(&c->jobs);

	return c->state == PG_READY && c->njobs < PIPELINE_MAX &&
	       (oldest == NULL || now_ms - oldest->sent_ms < SLOW_MS);
}

/* The one with the fewest questions, of those that answer well. */
static struct pg_connection *
find_company(struct backend_table *t, int64_t now_ms)
{
	struct pg_connection *best = NULL;
	size_t i;

	for (i = 0; i < CONNECTIONS_MAX; i++) {
		struct pg_connection *c = &t->connections[i];

		if (may_follow(c, now_ms) && (best == NULL || c->njobs < best->njobs))
			best = c;
	}
	return best;
}

/* One at a time; a server that is down is not tried before its pause is over. */
static void
connect_another(struct backend_table *t, int64_t now_ms)
{
	size_t i;

	if (now_ms < t->retry_ms || has_state(t, PG_CONNECTING))
		return;
	for (i = 0; i < CONNECTIONS_MAX; i++)
		if (t->connections[i].state == PG_DOWN) {
			pg_connection_open(&t->connections[i], now_ms);
			return;
		}
}

/* A server that failed last time gives no reason to wait for it. */
static bool
has_hope(const struct backend_table *t)
{
	return has_state(t, PG_READY) || (t->failures == 0 && has_state(t, PG_CONNECTING));
}

static void
refuse_waiting(struct backend_table *t)
{
	struct pg_job *j;

	while ((j = TAILQ_FIRST(&t->waiting)) != NULL) {
		TAILQ_REMOVE(&t->waiting, j, entry);
		question_end(j->q, IPC_RETRY, t->why);
		free(j);
	}
}

static struct pg_connection *
pick(struct backend_table *t, int64_t now_ms)
{
	struct pg_connection *c = find_idle(t);

	if (c != NULL)
		return c;
	connect_another(t, now_ms);
	if (t->failures == 0 && has_state(t, PG_CONNECTING))
		return NULL; /* in a moment there will be one */
	return find_company(t, now_ms);
}

static void
run(struct backend_table *t, int64_t now_ms)
{
	struct pg_connection *c;
	struct pg_job *j;

	if (t->is_running) /* a connection was lost on the way */
		return;
	t->is_running = true;
	while ((j = TAILQ_FIRST(&t->waiting)) != NULL && (c = pick(t, now_ms)) != NULL) {
		TAILQ_REMOVE(&t->waiting, j, entry);
		pg_connection_send(c, j, now_ms);
	}
	t->is_running = false;
	if (!has_hope(t))
		refuse_waiting(t);
}

/* -- what connections say -- */

static void
log_server(const struct backend_table *t, enum log_level level, const char *event, const char *why)
{
	char server[64];
	struct logline l;

	(void)snprintf(
	    server, sizeof(server), "%s:%u", t->conf.hostaddr, (unsigned int)t->conf.port_number);
	logline_start(&l, level, event);
	logline_str(&l, "table", t->name);
	logline_str(&l, "server", server);
	if (why != NULL)
		logline_str(&l, "error", why);
	logline_end(&l);
}

static void
on_up(void *arg)
{
	struct backend_table *t = arg;

	if (t->is_down)
		log_server(t, LOG_LEVEL_INFO, "table-server-up", NULL);
	t->is_down = false;
	t->failures = 0;
	run(t, time_mono_ms());
}

static int64_t
pause_ms(const struct backend_table *t)
{
	int64_t ms = PAUSE_MIN_MS;
	unsigned int i;

	for (i = 1; i < t->failures && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

/* One that was lost is made again soon; one that can't be had, after a pause. */
static void
on_down(void *arg, bool was_ready, const char *why)
{
	struct backend_table *t = arg;
	int64_t now_ms = time_mono_ms();

	if (!was_ready)
		t->failures++;
	t->retry_ms = now_ms + pause_ms(t);
	if (!has_state(t, PG_READY) && (!t->is_down || strcmp(t->why, why) != 0)) {
		log_server(t, LOG_LEVEL_WARN, "table-server-down", why);
		t->is_down = true;
	}
	str_cut(t->why, sizeof(t->why), why);
	run(t, now_ms);
}

static void
on_free(void *arg)
{
	struct backend_table *t = arg;

	if (!TAILQ_EMPTY(&t->waiting))
		run(t, time_mono_ms());
}

static void
on_error(void *arg, enum table_service service, const char *why)
{
	struct backend_table *t = arg;
	int64_t now_ms = time_mono_ms();
	struct logline l;

	if (now_ms - t->logged_ms < LOG_MS)
		return;
	t->logged_ms = now_ms;
	logline_start(&l, LOG_LEVEL_WARN, "table-query-failed");
	logline_str(&l, "table", t->name);
	logline_str(&l, "service", service_word(service));
	logline_str(&l, "error", why);
	logline_end(&l);
}

/* -- what the frame says -- */

static void
ask(struct backend_table *t, struct question *q, int64_t now_ms)
{
	enum table_service query = database_service(&t->conf.db, question_service(q));
	struct pg_job *j;

	if (query == SERVICE__MAX) {
		on_error(t, question_service(q), "its configuration has no query for this service");
		question_end(q, IPC_RETRY, "its configuration has no query for this service");
		return;
	}
	if (!pg_is_utf8(question_key(q))) {
		question_end(q, IPC_GONE, "");
		return;
	}
	if ((j = calloc(1, sizeof(*j))) == NULL) {
		question_end(q, IPC_RETRY, "out of memory");
		return;
	}
	j->q = q;
	j->service = question_service(q);
	j->query = query;
	question_set_note(q, j);
	TAILQ_INSERT_TAIL(&t->waiting, j, entry);
	run(t, now_ms);
}

static void
forget(struct backend_table *t, struct question *q)
{
	struct pg_job *j = question_note(q);

	j->q = NULL;
	if (j->on != NULL)
		return; /* its answer will be passed over */
	TAILQ_REMOVE(&t->waiting, j, entry);
	free(j);
}

static void
tick(struct backend_table *t, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < CONNECTIONS_MAX; i++) {
		struct pg_connection *c = &t->connections[i];

		pg_connection_tick(c, now_ms);
		if (i > 0 && c->state == PG_READY && c->njobs == 0 &&
		    now_ms - c->used_ms >= IDLE_MS)
			pg_connection_close(c);
	}
	if (!has_state(t, PG_READY))
		connect_another(t, now_ms);
	run(t, now_ms);
}

static void
close_table(struct backend_table *t)
{
	size_t i;

	for (i = 0; i < CONNECTIONS_MAX; i++)
		pg_connection_close(&t->connections[i]);
	postgres_free(&t->conf);
	free(t);
}

static struct backend_table *
open_table(const struct backend_setup *setup, char why[BACKEND_WHY_MAX])
{
	struct database_error error;
	struct backend_table *t;
	size_t i;

	if ((t = calloc(1, sizeof(*t))) == NULL) {
		str_cut(why, BACKEND_WHY_MAX, "out of memory");
		return NULL;
	}
	if (postgres_parse(setup->text, setup->len, &t->conf, &error) == -1) {
		if (error.line > 0)
			(void)snprintf(why, BACKEND_WHY_MAX, "line %u: %s", error.line, error.text);
		else
			str_cut(why, BACKEND_WHY_MAX, error.text);
		free(t);
		return NULL;
	}
	str_cut(t->name, sizeof(t->name), setup->name);
	str_cut(t->why, sizeof(t->why), "the server was not reached yet");
	TAILQ_INIT(&t->waiting);
	t->logged_ms = setup->now_ms - LOG_MS;
	for (i = 0; i < CONNECTIONS_MAX; i++) {
		struct pg_connection *c = &t->connections[i];

		*c = (struct pg_connection){.base = setup->base,
		    .conf = &t->conf,
		    .on_up = on_up,
		    .on_down = on_down,
		    .on_free = on_free,
		    .on_error = on_error,
		    .arg = t};
		TAILQ_INIT(&c->jobs);
	}
	return t;
}

/*
 * libpq and OpenSSL look for files, in a home directory too.  There is none: with
 * its name at hand nobody asks the system's accounts for it.
 */
static int
prepare(void)
{
	if (pg_scram_prepare() == -1) {
		log_warn("event=libpq-not-bounded");
		errno = ENOTSUP;
		return -1;
	}
	return setenv("HOME", "/nonexistent", 1);
}

const struct table_backend the_backend = {
    .kind = CONF_TABLE_POSTGRES,
    .prepare = prepare,
    .open = open_table,
    .close = close_table,
    .ask = ask,
    .forget = forget,
    .tick = tick,
};

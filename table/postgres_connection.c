/* SPDX-License-Identifier: ISC */
/*
 * One connection to a PostgreSQL server.
 *
 * libpq does the talking, never waiting: in pipeline mode, questions are sent as they
 * come and answered in order.  Each is a segment of its own (it ends with a sync), so that
 * one that fails takes no other with it, and its rows come one by one, so that a
 * query without bounds fills no memory.
 *
 * Invariants: jobs is what the server owes us, in order; a socket is watched only while
 * libpq has it.  Nothing a server says is fatal.
 */
#include "table/postgres_connection.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "table/postgres_scram.h"
#include "table/postgres_text.h"

#define COLUMNS_MAX    16
#define PASSWORD_LEAST 6 /* a shorter one is in every text, and no secret */

static void on_event(evutil_socket_t fd, short what, void *arg);

/* -- the end -- */

/* Before libpq touches its socket, which it may close and open again under the same number. */
static void
unwatch(struct pg_connection *c)
{
	if (c->event != NULL)
		event_free(c->event);
	c->event = NULL;
	c->watched = 0;
}

static void
job_end(struct pg_connection *c, struct pg_job *j, enum ipc_outcome outcome, const char *why)
{
	TAILQ_REMOVE(&c->jobs, j, entry);
	c->heard = 0;
	c->njobs -= !j->is_settings;
	if (j->q != NULL)
		question_end(j->q, outcome, why);
	free(j);
}

static void
disconnect(struct pg_connection *c, const char *why)
{
	struct pg_job *j;

	unwatch(c);
	PQfinish(c->pg);
	c->pg = NULL;
	c->state = PG_DOWN;
	memset(c->statements, 0, sizeof(c->statements));
	while ((j = TAILQ_FIRST(&c->jobs)) != NULL)
		job_end(c, j, IPC_RETRY, why);
}

void
pg_connection_close(struct pg_connection *c)
{
	disconnect(c, "closed");
}

static void
lose(struct pg_connection *c, const char *why)
{
	bool was_ready = c->state == PG_READY;

	disconnect(c, why);
	c->on_down(c->arg, was_ready, why);
}

/* What a server says is logged.  It may know the password, and say that. */
static void
hide_password(const struct pg_connection *c, char why[PG_WHY_MAX])
{
	const char *password = c->conf->password;

	if (password != NULL && strlen(password) >= PASSWORD_LEAST &&
	    strcmp(password, c->conf->user) != 0 && strstr(why, password) != NULL)
		str_cut(why, PG_WHY_MAX, "the server's words are not for a log");
}

/* With libpq's last words: their first line. */
static void
lose_by_libpq(struct pg_connection *c)
{
	char why[PG_WHY_MAX];

	str_cut(why, sizeof(why), PQerrorMessage(c->pg));
	why[strcspn(why, "\r\n")] = '\0';
	hide_password(c, why);
	lose(c, why[0] == '\0' ? "the connection was lost" : why);
}

/* -- watching -- */

static int
watch(struct pg_connection *c, short what)
{
	if (c->event != NULL && c->watched == what)
		return 0;
	unwatch(c);
	c->event = event_new(c->base, PQsocket(c->pg), (short)(what | EV_PERSIST), on_event, c);
	if (c->event == NULL || event_add(c->event, NULL) == -1) {
		lose(c, "out of memory");
		return -1;
	}
	c->watched = what;
	return 0;
}

/* -- results -- */

static void
note_error(struct pg_connection *c, struct pg_job *j, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	state = state == NULL ? "" : state;
	j->outcome = pg_error_outcome(state);
	if (j->outcome == IPC_GONE)
		return;
	str_cut(j->why, sizeof(j->why), message == NULL ? "the query failed" : message);
	hide_password(c, j->why);
	if (j->prepares || pg_error_is_stale(state))
		c->statements[j->query] = 0;
	c->on_error(c->arg, j->service, j->why);
}

static void
trouble_of_row(struct pg_connection *c, struct pg_job *j, const char *why)
{
	c->on_error(c->arg, j->service, why);
	question_end(j->q, IPC_RETRY, why);
	j->q = NULL;
}

static void
take_row(struct pg_connection *c, struct pg_job *j, const PGresult *res, int row)
{
	struct pg_column columns[COLUMNS_MAX];
	char value[IPC_VALUE_MAX + 1];
	int i, n = PQnfields(res);
	size_t len;

	for (i = 0; i < n && i < COLUMNS_MAX; i++) {
		columns[i].value = PQgetisnull(res, row, i) ? NULL : PQgetvalue(res, row, i);
		columns[i].len = (size_t)PQgetlength(res, row, i);
	}
	switch (pg_row_value(j->service, columns, (size_t)i, value, &len)) {
	case PG_ROW_EMPTY:
		break;
	case PG_ROW_TOO_LONG:
		trouble_of_row(c, j, "too long a value");
		break;
	case PG_ROW_TAKEN:
		j->has_row = true;
		if (question_row(j->q, value, len) == -1) {
			c->on_error(c->arg, j->service, "its rows can't be passed on");
			j->q = NULL;
		}
		break;
	}
	explicit_bzero(value, sizeof(value));
}

static void
take_rows(struct pg_connection *c, struct pg_job *j, const PGresult *res)
{
	int row;

	for (row = 0; row < PQntuples(res) && j->q != NULL; row++)
		if (!j->has_row || !pg_takes_one_row(j->service))
			take_row(c, j, res, row);
}

/* Without an answer, or an error, nothing was said: least of all that there are no rows. */
static void
end_of_segment(struct pg_connection *c, struct pg_job *j)
{
	if (j->outcome == IPC_OK && !j->is_answered)
		job_end(c, j, IPC_RETRY, "the server did not answer the query");
	else
		job_end(c, j, j->outcome, j->why);
}

/* false: the connection is of no use any more. */
static bool
take_result(struct pg_connection *c, struct pg_job *j, const PGresult *res)
{
	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK: /* the statement was prepared */
		j->prepares = false;
		return true;
	case PGRES_TUPLES_OK:
		j->is_answered = true;
		take_rows(c, j, res);
		return true;
	case PGRES_SINGLE_TUPLE:
		take_rows(c, j, res);
		return true;
	case PGRES_FATAL_ERROR:
		note_error(c, j, res);
		return PQstatus(c->pg) == CONNECTION_OK;
	case PGRES_PIPELINE_ABORTED: /* what comes after an error in its segment */
		return true;
	case PGRES_PIPELINE_SYNC:
		end_of_segment(c, j);
		return true;
	default:
		return false;
	}
}

/* libpq keeps them for who asks. */
static void
drop_notifies(struct pg_connection *c)
{
	PGnotify *notify;

	while ((notify = PQnotifies(c->pg)) != NULL)
		PQfreemem(notify);
}

/* What has arrived, as far as it is whole.  -1: the connection is gone. */
static int
take_results(struct pg_connection *c)
{
	struct pg_job *j;
	PGresult *res;
	bool goes_on = true;

	while (goes_on && (j = TAILQ_FIRST(&c->jobs)) != NULL) {
		drop_notifies(c);
		(void)PQsetSingleRowMode(c->pg); /* heeded where a query begins to be answered */
		if (PQisBusy(c->pg))
			return 0;
		if ((res = PQgetResult(c->pg)) == NULL) /* the end of one part of a segment */
			continue;
		goes_on = take_result(c, j, res);
		PQclear(res);
	}
	if (goes_on) {
		(void)PQisBusy(c->pg); /* takes what a server says unasked */
		drop_notifies(c);
		return 0;
	}
	lose_by_libpq(c);
	return -1;
}

static void
flush(struct pg_connection *c)
{
	int rc = PQflush(c->pg);

	if (rc == -1)
		lose_by_libpq(c);
	else
		(void)watch(c, (short)(EV_READ | (rc == 1 ? EV_WRITE : 0)));
}

static void
on_ready_event(struct pg_connection *c)
{
	/* What OpenSSL has in hand of a record is seen on no socket: a second look takes it. */
	if (PQconsumeInput(c->pg) == 0 || (PQsslInUse(c->pg) && PQconsumeInput(c->pg) == 0)) {
		lose_by_libpq(c);
		return;
	}
	if (++c->heard > PG_HEARD_MAX) {
		lose(c, "the server talks without end");
		return;
	}
	if (take_results(c) == -1)
		return;
	flush(c);
	if (c->state == PG_READY)
		c->on_free(c->arg);
}

/* -- questions -- */

static int
send_settings(struct pg_connection *c)
{
	char sql[160];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT set_config('statement_timeout', '%d', false), "
	    "set_config('default_transaction_read_only', 'on', false)",
	    PG_QUERY_MS);
	return PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1 ? 0 : -1;
}

static int
send_query(struct pg_connection *c, struct pg_job *j)
{
	unsigned int *number = &c->statements[j->query];
	const char *key = question_key(j->q);
	char name[32];

	j->prepares = *number == 0;
	if (j->prepares)
		*number = ++c->last_statement;
	(void)snprintf(name, sizeof(name), "%s_%u", service_word(j->query), *number);
	if (j->prepares && PQsendPrepare(c->pg, name, c->conf->db.queries[j->query], 0, NULL) == 0)
		return -1;
	return PQsendQueryPrepared(c->pg, name, 1, &key, NULL, NULL, 0) == 1 ? 0 : -1;
}

void
pg_connection_send(struct pg_connection *c, struct pg_job *j, int64_t now_ms)
{
	int rc;

	j->on = c;
	j->sent_ms = c->used_ms = now_ms;
	j->outcome = IPC_OK;
	TAILQ_INSERT_TAIL(&c->jobs, j, entry);
	c->njobs += !j->is_settings;
	rc = j->is_settings ? send_settings(c) : send_query(c, j);
	if (rc == -1 || PQpipelineSync(c->pg) == 0)
		lose_by_libpq(c);
	else
		flush(c);
}

/* -- connecting -- */

static void
ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

/* Nothing that libpq would else look for in files and in the environment. */
static PGconn *
connect_start(const struct postgres *p)
{
	static const char *const fixed[][2] = {
	    {"client_encoding", "UTF8"},
	    {"gssencmode", "disable"},
	    {"tcp_user_timeout", "7000"},
	    {"fallback_application_name", "postern"},
	};
	const char *names[24], *values[24];
	size_t n = 0, i;

#define POSTGRES_PARAMETER(word, what) \
	names[n] = #word;              \
	values[n++] = p->word;
	POSTGRES_WORDS(POSTGRES_PARAMETER)
#undef POSTGRES_PARAMETER
	for (i = 0; i < NITEMS(fixed); i++) {
		names[n] = fixed[i][0];
		values[n++] = fixed[i][1];
	}
	names[n] = values[n] = NULL;
	return PQconnectStartParams(names, values, 0);
}

void
pg_connection_open(struct pg_connection *c, int64_t now_ms)
{
	bug_on(c->state != PG_DOWN);
	c->state = PG_CONNECTING;
	c->changed_ms = now_ms;
	if ((c->pg = connect_start(c->conf)) == NULL)
		lose(c, "out of memory");
	else if (PQstatus(c->pg) == CONNECTION_BAD)
		lose_by_libpq(c);
	else {
		(void)PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
		(void)watch(c, EV_WRITE);
	}
}

static void
connected(struct pg_connection *c)
{
	int64_t now_ms = time_mono_ms();
	struct pg_job *settings;

	if (PQsetnonblocking(c->pg, 1) == -1 || PQenterPipelineMode(c->pg) == 0) {
		lose_by_libpq(c);
		return;
	}
	if ((settings = calloc(1, sizeof(*settings))) == NULL) {
		lose(c, "out of memory");
		return;
	}
	settings->is_settings = true;
	c->state = PG_READY;
	c->heard = 0;
	c->changed_ms = now_ms;
	pg_connection_send(c, settings, now_ms);
	if (c->state == PG_READY)
		c->on_up(c->arg);
}

static void
on_connecting_event(struct pg_connection *c)
{
	PostgresPollingStatusType how;

	unwatch(c);
	pg_scram_begin();
	how = PQconnectPoll(c->pg);
	if (pg_scram_was_too_much()) {
		lose(c, "the server wants too many iterations of SCRAM");
		return;
	}
	switch (how) {
	case PGRES_POLLING_READING:
		(void)watch(c, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		(void)watch(c, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		connected(c);
		break;
	default:
		lose_by_libpq(c);
		break;
	}
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct pg_connection *c = arg;

	(void)fd;
	(void)what;
	if (c->state == PG_CONNECTING)
		on_connecting_event(c);
	else
		on_ready_event(c);
}

/* -- time -- */

void
pg_connection_tick(struct pg_connection *c, int64_t now_ms)
{
	const struct pg_job *oldest = TAILQ_FIRST(&c->jobs);

	if (c->state == PG_CONNECTING && now_ms - c->changed_ms >= PG_CONNECT_MS)
		lose(c, "no connection in time");
	else if (oldest != NULL && now_ms - oldest->sent_ms >= PG_PATIENCE_MS)
		lose(c, "the server does not answer");
}

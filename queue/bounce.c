/* SPDX-License-Identifier: ISC */
/*
 * Reports to senders (RFC 3461, 3464): recipients that failed for good, those
 * not reached in the time that the sender gave (RFC 2852), and the success that a
 * sender wanted to hear of, are told of in an ordinary new message with the null sender.
 *
 * Invariants: the report and the removal of what it reports are one step of
 * the spool; mail with the null sender is never reported on (RFC 5321 6.1),
 * its failure stands in the log.  A report that can't be made is put off, so
 * that it never stands before other messages'.  Nothing is fatal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mail/dsn.h"
#include "queue/queue.h"

#define REPORTS_PER_TURN 8
#define RCPTS_MAX	 1000 /* settled by one report; the others are left to the next */
#define FULL_TEXTS	 100  /* recipients of whom the whole answer is told */
#define SHORT_TEXT	 200  /* octets of the others' */
#define RETRY_S		 300  /* when a report could not be made */
#define REPORT_MAX	 (2U << 20)

struct report { /* while it is put together */
	struct program *p;
	uint64_t id;
	enum dsn_kind kind;
	char *sender, *envid;
	int64_t received_s, expires_s, by_s; /* by_s 0: nobody asked for a time */
	bool late;			     /* by_s has passed, and it was not told yet */
	bool overdue;			     /* by_s has passed, and it is to be returned */
	unsigned int flags;
	int priority;
	uint32_t nchunks;
	struct dsn_recipient *rcpts;
	size_t n, ntold;	     /* ntold: the first ones, that fit */
	uint64_t settled[RCPTS_MAX]; /* keys: of those told of, then of those not to be */
	size_t nsettled;
	bool any_success; /* to be told */
	bool more;	  /* left to the next report */
	struct buf header, text;
	bool out_of_memory;
	bool is_8bit; /* the report holds octets above 127 */
};

struct pending { /* until the spool tells the fate of a report; owned by its done */
	struct program *p;
	uint64_t id;
};

static char *
keep_some(struct report *r, const char *s, size_t max)
{
	char *copy = strndup(s, max);

	if (copy == NULL)
		r->out_of_memory = true;
	return copy;
}

static char *
keep(struct report *r, const char *s)
{
	return keep_some(r, s, SPOOL_TEXT_MAX); /* nothing of the spool is longer */
}

static bool
wants(const struct spool_rcpt *rcpt, unsigned int what)
{
	return rcpt->notify == 0 || (rcpt->notify & what) != 0;
}

/* One more to be told of; what else is said of it depends on the kind of report. */
static struct dsn_recipient *
tell_of(struct report *r, const struct spool_rcpt *rcpt)
{
	struct dsn_recipient *list, *d;

	if ((list = reallocarray(r->rcpts, r->n + 1, sizeof(*list))) == NULL) {
		r->out_of_memory = true;
		return NULL;
	}
	r->rcpts = list;
	d = &list[r->n++];
	*d = (struct dsn_recipient){.original = keep(r, rcpt->original),
	    .final = keep(r, rcpt->address),
	    .orcpt = keep(r, rcpt->orcpt),
	    .diagnostic = keep_some(
		r, rcpt->text, r->n <= FULL_TEXTS ? SPOOL_TEXT_MAX : SHORT_TEXT),
	    .remote_mta = keep(r, rcpt->remote)};
	return d;
}

static const enum dsn_action actions[SPOOL_STATE__MAX] = {
    [SPOOL_FAILED] = DSN_ACTION_FAILED,
    [SPOOL_DELIVERED] = DSN_ACTION_DELIVERED,
    [SPOOL_RELAYED] = DSN_ACTION_RELAYED,
    [SPOOL_EXPANDED] = DSN_ACTION_EXPANDED,
};

/* It is settled by this report, and (told) told of. */
static void
take_settled(struct report *r, const struct spool_rcpt *rcpt, bool told)
{
	struct dsn_recipient *d;

	if (r->nsettled == RCPTS_MAX) {
		r->more = true;
		return;
	}
	r->settled[r->nsettled++] = rcpt->key;
	if (!told || (d = tell_of(r, rcpt)) == NULL)
		return;
	r->settled[r->nsettled - 1] = r->settled[r->n - 1];
	r->settled[r->n - 1] = rcpt->key;
	d->action = actions[rcpt->state];
	d->status = keep(r, rcpt->status);
	d->last_attempt_s = service_now_s(r->p->service);
}

/* RFC 2852: still on its way when it should have been there.  Nothing is settled by that. */
static void
take_late(struct report *r, const struct spool_rcpt *rcpt)
{
	struct dsn_recipient *d;

	if (rcpt->state >= SPOOL_FAILED || r->n == RCPTS_MAX || !wants(rcpt, IPC_NOTIFY_DELAY) ||
	    (d = tell_of(r, rcpt)) == NULL)
		return;
	d->action = DSN_ACTION_DELAYED;
	d->status = keep(r, STATUS_LATE);
	d->will_retry_until_s = r->expires_s;
}

static void
visit(void *arg, const struct spool_message *m, const struct spool_rcpt *rcpt)
{
	struct report *r = arg;

	if (rcpt != NULL) {
		if (rcpt->state == SPOOL_FAILED)
			take_settled(r, rcpt, wants(rcpt, IPC_NOTIFY_FAILURE));
		r->any_success = r->any_success || rcpt->state > SPOOL_FAILED;
		return;
	}
	r->sender = keep(r, m->sender);
	r->envid = keep(r, m->envid);
	r->received_s = m->received_s;
	r->expires_s = m->expires_s;
	r->flags = m->flags;
	r->priority = m->priority;
	r->nchunks = m->nchunks;
	r->by_s = m->by == IPC_BY_NONE ? 0 : m->by_s;
	r->late = m->by == IPC_BY_NOTIFY && (m->flags & SPOOL_WARNED) == 0 &&
		  m->by_s > m->received_s && m->by_s <= service_now_s(r->p->service);
	r->overdue = m->by == IPC_BY_RETURN && m->by_s <= service_now_s(r->p->service);
}

/* For a report that is not on failures. */
static void
visit_others(void *arg, const struct spool_message *m, const struct spool_rcpt *rcpt)
{
	struct report *r = arg;

	(void)m;
	if (rcpt != NULL && r->kind == DSN_DELAYED)
		take_late(r, rcpt);
	else if (rcpt != NULL && rcpt->state > SPOOL_FAILED)
		take_settled(r, rcpt, true);
}

static void
report_free(struct report *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		free((char *)(uintptr_t)r->rcpts[i].original);
		free((char *)(uintptr_t)r->rcpts[i].final);
		free((char *)(uintptr_t)r->rcpts[i].orcpt);
		free((char *)(uintptr_t)r->rcpts[i].status);
		free((char *)(uintptr_t)r->rcpts[i].diagnostic);
		free((char *)(uintptr_t)r->rcpts[i].remote_mta);
	}
	free(r->rcpts);
	free(r->sender);
	free(r->envid);
	buf_free(&r->header);
	buf_free(&r->text);
}

/* -- the original's header: up to the empty line, or as much as is returned at all -- */

static void
take_chunk(void *arg, struct span data)
{
	struct report *r = arg;
	size_t room = DSN_HEADERS_MAX - r->header.len;

	if (buf_append(&r->header, data.data, data.len < room ? data.len : room) == -1)
		r->out_of_memory = true;
}

static bool
cut_at_empty_line(struct buf *b)
{
	const uint8_t *end = b->len == 0 ? NULL : memmem(buf_head(b), b->len, "\r\n\r\n", 4);

	if (end == NULL)
		return false;
	b->len = (size_t)(end - buf_head(b)) + 2;
	return true;
}

static void
read_header(struct report *r)
{
	uint32_t seq;

	buf_init(&r->header, DSN_HEADERS_MAX);
	for (seq = 0; seq < r->nchunks && r->header.len < DSN_HEADERS_MAX; seq++)
		if (spool_read(r->p->spool, r->id, seq, take_chunk, r) == -1 ||
		    cut_at_empty_line(&r->header))
			break;
}

/* Half of those told of are left to the next report; of a delay the first half must do. */
static void
tell_half(struct report *r)
{
	size_t half = r->ntold / 2, rest = r->nsettled - r->ntold;

	if (r->kind == DSN_DELAYED) {
		r->ntold = half;
		return;
	}
	memmove(&r->settled[half], &r->settled[r->ntold], rest * sizeof(r->settled[0]));
	r->nsettled = half + rest;
	r->ntold = half;
	r->more = true;
}

/* As many recipients as fit; one always does, and the header with it. */
static int
write_recipients(struct report *r, struct dsn *d)
{
	for (r->ntold = r->n;; tell_half(r)) {
		buf_init(&r->text, REPORT_MAX);
		d->nrecipients = r->ntold;
		if (dsn_format(d, &r->text) == 0) {
			r->is_8bit = dsn_is_8bit(d);
			return 0;
		}
		if (errno != ENOBUFS || r->ntold <= 1)
			return -1;
		buf_free(&r->text);
	}
}

static int
write_text(struct report *r, int64_t now_s)
{
	uint64_t noise[2];
	char boundary[40], mailer[300];
	struct dsn d = {.kind = r->kind,
	    .reporting_mta = queue_hostname(r->p),
	    .sender = r->sender,
	    .from_mailer = mailer,
	    .envid = r->envid,
	    .boundary = boundary,
	    .arrival_s = r->received_s,
	    .deliver_by_s = r->by_s,
	    .now_s = now_s,
	    .recipients = r->rcpts};

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
		return -1;
	(void)snprintf(boundary, sizeof(boundary), "%016llx%016llx", (unsigned long long)noise[0],
	    (unsigned long long)noise[1]);
	(void)snprintf(mailer, sizeof(mailer), "MAILER-DAEMON@%s", queue_hostname(r->p));
	read_header(r);
	if (r->out_of_memory) {
		errno = ENOMEM;
		return -1;
	}
	d.headers = (struct span){buf_head(&r->header), r->header.len};
	return write_recipients(r, &d);
}

/* -- into the spool -- */

static int
append_text(struct report *r, uint64_t id)
{
	uint32_t seq = 1;
	size_t at, n;

	for (at = 0; at < r->text.len; at += n, seq++) {
		n = r->text.len - at < SPOOL_CHUNK_MAX ? r->text.len - at : SPOOL_CHUNK_MAX;
		if (spool_append(r->p->spool, id, seq, (struct span){buf_head(&r->text) + at, n}) ==
		    -1)
			return -1;
	}
	return 0;
}

/* Something is in the way of this message's report: others go first. */
static void
put_off(struct program *p, uint64_t id, int error)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "report-put-off");
	logline_id(&l, "id", id);
	logline_u64(&l, "retry_s", RETRY_S);
	logline_str(&l, "why", strerror(error));
	logline_end(&l);
	spool_report_later(p->spool, id, service_now_s(p->service) + RETRY_S, NULL, NULL);
}

static void
on_reported(void *arg, int error)
{
	struct pending *pending = arg;
	struct program *p = pending->p;

	if (error == 0)
		p->more_due = p->reports_due = true; /* the report is, and perhaps a further one */
	else if (error != ENOENT)		     /* an admin may have removed it */
		put_off(p, pending->id, error);
	free(pending);
}

/* The spool takes the report, or NULL, for what is settled. */
static int
settle(const struct report *r, const struct spool_message *m, const struct spool_rcpt *to)
{
	static const struct span no_trace = {(const uint8_t *)"", 0};
	struct spool_report report = {.id = r->id,
	    .settled = r->settled,
	    .nsettled = r->nsettled,
	    .more = r->more,
	    .warned = r->kind == DSN_DELAYED,
	    .message = m,
	    .trace = no_trace,
	    .to = to};
	struct pending *pending;

	if ((pending = malloc(sizeof(*pending))) == NULL)
		return -1;
	*pending = (struct pending){.p = r->p, .id = r->id};
	spool_reported(r->p->spool, &report, on_reported, pending);
	return 0;
}

static const char *const kinds[] = {
    [DSN_FAILED] = "failed", [DSN_DELAYED] = "delayed", [DSN_DELIVERED] = "delivered"};

static int
store_report(struct report *r, int64_t now_s)
{
	struct program *p = r->p;
	struct spool_rcpt to = {.state = SPOOL_EXPAND,
	    .address = r->sender,
	    .original = r->sender,
	    .orcpt = "",
	    .action = "", /* the rules decide, as for a local client */
	    .user = "",
	    .dest = "",
	    .status = "",
	    .text = "",
	    .remote = "",
	    .due_s = now_s};
	struct spool_message m = {.sender = "",
	    .envid = "",
	    .ret = "",
	    .client = "local",
	    /* RFC 8689 5: what it tells of the message is to be kept as close as the message. */
	    .flags = SPOOL_IS_REPORT | (r->is_8bit ? SPOOL_8BITMIME : 0U) |
		     (r->flags & SPOOL_REQUIRETLS),
	    .priority = r->priority,
	    .received_s = now_s,
	    .expires_s = now_s + p->conf->values.queue_ttl_s};
	struct logline l;
	int error;

	if (spool_begin(p->spool, now_s, r->text.len, &m.id) == -1)
		return -1;
	if (append_text(r, m.id) == -1 || settle(r, &m, &to) == -1) {
		error = errno;
		spool_abandon(p->spool, m.id);
		errno = error;
		return -1;
	}
	p->reports++;
	logline_start(&l, LOG_LEVEL_INFO, "reported");
	logline_id(&l, "id", r->id);
	logline_id(&l, "report", m.id);
	logline_str(&l, "kind", kinds[r->kind]);
	logline_str(&l, "to", r->sender);
	logline_u64(&l, "recipients", r->ntold);
	logline_end(&l);
	return 0;
}

static int
drop(struct report *r)
{
	struct logline l;

	if (r->nsettled == 0) /* it was only late, or all is told already */
		return settle(r, NULL, NULL);
	logline_start(&l, LOG_LEVEL_WARN, "undeliverable-dropped");
	logline_id(&l, "id", r->id);
	logline_str(
	    &l, "why", r->n == 0 ? "no report was asked for" : "there is no sender to tell");
	logline_end(&l);
	return settle(r, NULL, NULL);
}

/* Failures first, then success; what is left is told to be late by a report of its own. */
static enum dsn_kind
kind_of(const struct report *r)
{
	if (r->nsettled > 0)
		return DSN_FAILED;
	if (r->any_success)
		return DSN_DELIVERED;
	return r->late ? DSN_DELAYED : DSN_FAILED;
}

static int
report_make(struct report *r)
{
	int64_t now_s = service_now_s(r->p->service);

	if (spool_get(r->p->spool, r->id, SPOOL_RCPT_MAX, visit, r) == -1)
		return -1;
	if (r->overdue && r->p->fail_late(r->p, r->id) > 0)
		return 0; /* when they have failed, the spool says so again */
	r->kind = kind_of(r);
	r->more = r->more || (r->kind == DSN_FAILED && r->any_success);
	if (r->kind != DSN_FAILED &&
	    spool_get(r->p->spool, r->id, SPOOL_RCPT_MAX, visit_others, r) == -1)
		return -1;
	if (r->out_of_memory) {
		errno = ENOMEM;
		return -1;
	}
	if (r->sender[0] == '\0' || r->n == 0)
		return drop(r);
	return write_text(r, now_s) == -1 ? -1 : store_report(r, now_s);
}

static void
report_message(struct program *p, uint64_t id)
{
	struct report r = {.p = p, .id = id};

	if (report_make(&r) == -1)
		put_off(p, id, errno);
	report_free(&r);
}

struct ids {
	uint64_t list[REPORTS_PER_TURN];
	size_t n;
};

static void
gather(void *arg, uint64_t id)
{
	struct ids *ids = arg;

	if (ids->n < REPORTS_PER_TURN)
		ids->list[ids->n++] = id;
}

void
bounce_run(struct program *p)
{
	struct ids ids = {.n = 0};
	size_t i;

	if (!p->reports_due)
		return;
	p->reports_due = false;
	if (spool_reports(p->spool, service_now_s(p->service), REPORTS_PER_TURN, gather, &ids) ==
	    -1)
		return;
	for (i = 0; i < ids.n; i++)
		report_message(p, ids.list[i]);
	p->reports_due = ids.n == REPORTS_PER_TURN;
}

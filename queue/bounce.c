/* SPDX-License-Identifier: ISC */
/*
 * Reports to senders (RFC 3461, 3464): recipients that failed for good are
 * told of in an ordinary new message with the null sender.
 *
 * Invariants: the report and the removal of what it reports are one step of
 * the spool; mail with the null sender is never reported on (RFC 5321 6.1),
 * its failure stands in the log.
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
#define RCPTS_MAX	 1000 /* told of in one report */
#define NOTIFY_NEVER	 0x1U
#define NOTIFY_FAILURE	 0x4U /* RFC 3461 4.1; nothing given means failure */
#define REPORT_MAX	 (2U << 20)

struct report { /* while it is put together */
	struct program *p;
	uint64_t id;
	char *sender, *envid;
	int64_t received_s;
	uint32_t nchunks;
	struct dsn_recipient *rcpts;
	size_t n;
	struct buf header, text;
	bool out_of_memory;
};

static char *
keep(struct report *r, const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		r->out_of_memory = true;
	return copy;
}

static bool
wants_report(const struct spool_rcpt *rcpt)
{
	return rcpt->notify == 0 || (rcpt->notify & NOTIFY_FAILURE) != 0;
}

static void
take_rcpt(struct report *r, const struct spool_rcpt *rcpt)
{
	struct dsn_recipient *list, *d;

	if (rcpt->state != SPOOL_FAILED || !wants_report(rcpt) || r->n >= RCPTS_MAX)
		return;
	if ((list = reallocarray(r->rcpts, r->n + 1, sizeof(*list))) == NULL) {
		r->out_of_memory = true;
		return;
	}
	r->rcpts = list;
	d = &list[r->n++];
	*d = (struct dsn_recipient){.original = keep(r, rcpt->original),
	    .final = keep(r, rcpt->address),
	    .orcpt = keep(r, rcpt->orcpt),
	    .action = DSN_ACTION_FAILED,
	    .status = keep(r, rcpt->status),
	    .diagnostic = keep(r, rcpt->text),
	    .remote_mta = keep(r, rcpt->remote),
	    .last_attempt_s = service_now_s(r->p->service)};
}

static void
visit(void *arg, const struct spool_message *m, const struct spool_rcpt *rcpt)
{
	struct report *r = arg;

	if (rcpt != NULL) {
		take_rcpt(r, rcpt);
		return;
	}
	r->sender = keep(r, m->sender);
	r->envid = keep(r, m->envid);
	r->received_s = m->received_s;
	r->nchunks = m->nchunks;
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

static int
write_text(struct report *r, int64_t now_s)
{
	uint64_t noise[2];
	char boundary[40], mailer[300];
	struct dsn d = {.kind = DSN_FAILED,
	    .reporting_mta = queue_hostname(r->p),
	    .sender = r->sender,
	    .from_mailer = mailer,
	    .envid = r->envid,
	    .boundary = boundary,
	    .arrival_s = r->received_s,
	    .now_s = now_s,
	    .recipients = r->rcpts,
	    .nrecipients = r->n};

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
		return -1;
	(void)snprintf(boundary, sizeof(boundary), "%016llx%016llx", (unsigned long long)noise[0],
	    (unsigned long long)noise[1]);
	(void)snprintf(mailer, sizeof(mailer), "MAILER-DAEMON@%s", queue_hostname(r->p));
	read_header(r);
	d.headers = (struct span){buf_head(&r->header), r->header.len};
	buf_init(&r->text, REPORT_MAX);
	return r->out_of_memory ? -1 : dsn_format(&d, &r->text);
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

static void
on_reported(void *arg, int error)
{
	struct program *p = arg;

	if (error == 0)
		p->more_due = true;
	else
		p->reports_due = true; /* again at the next tick */
}

static void
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
	    .flags = SPOOL_IS_REPORT,
	    .received_s = now_s,
	    .expires_s = now_s + p->conf->values.queue_ttl_s};
	static const struct span no_trace = {(const uint8_t *)"", 0};
	struct logline l;

	if (spool_begin(p->spool, now_s, r->text.len, &m.id) == -1)
		return;
	if (append_text(r, m.id) == -1) {
		spool_abandon(p->spool, m.id);
		return;
	}
	spool_reported(p->spool, r->id, &m, no_trace, &to, on_reported, p);
	p->reports++;
	logline_start(&l, LOG_LEVEL_INFO, "reported");
	logline_id(&l, "id", r->id);
	logline_id(&l, "report", m.id);
	logline_str(&l, "to", r->sender);
	logline_u64(&l, "recipients", r->n);
	logline_end(&l);
}

static void
drop(struct report *r)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "undeliverable-dropped");
	logline_id(&l, "id", r->id);
	logline_str(
	    &l, "why", r->n == 0 ? "no report was asked for" : "there is no sender to tell");
	logline_end(&l);
	spool_reported(r->p->spool, r->id, NULL, (struct span){NULL, 0}, NULL, on_reported, r->p);
}

static void
report_message(void *arg, uint64_t id)
{
	struct program *p = arg;
	struct report r = {.p = p, .id = id};
	int64_t now_s = service_now_s(p->service);

	if (spool_get(p->spool, id, SPOOL_RCPT_MAX, visit, &r) == 0 && !r.out_of_memory) {
		if (r.sender[0] == '\0' || r.n == 0)
			drop(&r);
		else if (write_text(&r, now_s) == 0)
			store_report(&r, now_s);
	}
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

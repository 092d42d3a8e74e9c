/* SPDX-License-Identifier: ISC */
/*
 * What session asks of the filters at each phase, and whether a login may use a
 * sender; both may have to wait for tables.
 *
 * Invariant: every question gets one verdict, unless its session process is gone
 * before.  One that is answered at once leaves nothing behind.  Nothing is fatal.
 */
#include "lookup/filterings.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/filter.h"
#include "lookup/filter_log.h"
#include "lookup/lookup.h"
#include "lookup/senders.h"

#define FILTERINGS_MAX 16384 /* that wait, at once */
#define DEADLINE_MS    30000 /* session's is longer */

/* What was asked, to be asked again. */
struct filtering_copy {
	uint8_t phase, rdns;
	bool owned;
	char filter[IPC_WORD_MAX + 1], senders[IPC_WORD_MAX + 1], client[IPC_WORD_MAX + 1];
	char name[IPC_NAME_MAX + 1], helo[IPC_NAME_MAX + 1];
	char auth[IPC_ADDRESS_MAX + 1], sender[IPC_ADDRESS_MAX + 1], rcpt[IPC_ADDRESS_MAX + 1];
};

struct filtering { /* waits; owned by the list */
	TAILQ_ENTRY(filtering) entry;
	struct filterings *filterings;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	struct inquiry *inquiry;
	struct filter_log log;
	struct filtering_copy copy;
};

struct filterings {
	struct lookup *lookup;
	TAILQ_HEAD(, filtering) head; /* the oldest first */
	size_t n;
};

struct filterings *
filterings_create(struct lookup *l)
{
	struct filterings *fs;

	if ((fs = calloc(1, sizeof(*fs))) == NULL)
		return NULL;
	fs->lookup = l;
	TAILQ_INIT(&fs->head);
	return fs;
}

static void
filtering_free(struct filtering *f)
{
	inquiry_free(f->inquiry);
	TAILQ_REMOVE(&f->filterings->head, f, entry);
	f->filterings->n--;
	free(f);
}

void
filterings_free(struct filterings *fs)
{
	struct filtering *f;

	if (fs == NULL)
		return;
	while ((f = TAILQ_FIRST(&fs->head)) != NULL)
		filtering_free(f);
	free(fs);
}

void
filterings_unlink(struct filterings *fs, const struct channel *ch)
{
	struct filtering *f, *next;

	for (f = TAILQ_FIRST(&fs->head); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (f->ch == ch)
			filtering_free(f);
	}
}

size_t
filterings_count(const struct filterings *fs)
{
	return fs->n;
}

/* -- verdicts -- */

static void
send_verdict(struct lookup *l, struct channel *ch, uint32_t req, const struct filter_verdict *v)
{
	struct msg_filter_verdict m = {.req = req,
	    .code = v->code,
	    .status = v->status,
	    .text = v->text,
	    .disconnect = v->disconnect,
	    .junk = v->junk,
	    .bypass = v->bypass,
	    .value = v->value,
	    .filter = v->filter};

	l->counters.filters_asked++;
	l->counters.filters_refused += v->code != 0;
	(void)channel_send(ch, MSG_filter_verdict, &m);
}

static void
send_trouble(struct lookup *l, struct channel *ch, uint32_t req)
{
	struct filter_verdict v = {.code = 451, .trouble = true, .filter = ""};

	str_cut(v.status, sizeof(v.status), "4.4.3");
	str_cut(v.text, sizeof(v.text), "can't be checked now, try again later");
	send_verdict(l, ch, req, &v);
}

/* -- the decision -- */

/* Whether the login may send as that, now that the filters let it pass.  false: pending. */
static bool
judge_sender(struct lookup *l, const struct policy *p, const char *senders,
    const struct filter_question *q, struct filter_verdict *v)
{
	char sender[sizeof(v->value)];

	str_cut(sender, sizeof(sender), senders_said(q, v));
	switch (senders_judge(p, senders, q, v)) {
	case TABLE_YES:
		break;
	case TABLE_PENDING:
		return false;
	case TABLE_NO:
	case TABLE_TROUBLE:
		filter_log_sender(q, sender, v);
		l->counters.senders_refused++;
		break;
	}
	return true;
}

/* false: pending. */
static bool
evaluate(struct lookup *l, struct inquiry *inquiry, const struct msg_filter_check *m,
    struct filter_log *log, struct filter_verdict *v)
{
	const struct policy policy = lookup_policy(l, inquiry);
	struct filter_question q = {.phase = m->phase,
	    .rdns = (enum ipc_rdns)m->rdns,
	    .name = m->name,
	    .helo = m->helo,
	    .auth = m->auth,
	    .sender = m->sender,
	    .rcpt = m->rcpt};
	const struct filter_observer observer = filter_log_observer(log, &q);
	struct addr client;

	if (host_parse(m->client, &client) == 0 && client.ss.ss_family != AF_UNIX)
		q.client = &client;
	if (!filter_evaluate(&policy, m->filter, &q, &observer, v))
		return false;
	return v->code != 0 || !m->owned || judge_sender(l, &policy, m->senders, &q, v);
}

/* -- those that wait -- */

static int
copy_set(struct filtering_copy *c, const struct msg_filter_check *m)
{
	c->phase = m->phase;
	c->rdns = m->rdns;
	c->owned = m->owned;
	if (str_copy(c->filter, sizeof(c->filter), m->filter) == -1 ||
	    str_copy(c->senders, sizeof(c->senders), m->senders) == -1 ||
	    str_copy(c->client, sizeof(c->client), m->client) == -1 ||
	    str_copy(c->name, sizeof(c->name), m->name) == -1 ||
	    str_copy(c->helo, sizeof(c->helo), m->helo) == -1 ||
	    str_copy(c->auth, sizeof(c->auth), m->auth) == -1 ||
	    str_copy(c->sender, sizeof(c->sender), m->sender) == -1 ||
	    str_copy(c->rcpt, sizeof(c->rcpt), m->rcpt) == -1)
		return -1;
	return 0;
}

static struct msg_filter_check
copy_message(const struct filtering_copy *c)
{
	return (struct msg_filter_check){.phase = c->phase,
	    .rdns = c->rdns,
	    .owned = c->owned,
	    .filter = c->filter,
	    .senders = c->senders,
	    .client = c->client,
	    .name = c->name,
	    .helo = c->helo,
	    .auth = c->auth,
	    .sender = c->sender,
	    .rcpt = c->rcpt};
}

static void
on_resume(void *arg)
{
	struct filtering *f = arg;
	struct lookup *l = f->filterings->lookup;
	struct msg_filter_check m = copy_message(&f->copy);
	struct channel *ch = f->ch;
	uint32_t req = f->req;
	struct filter_verdict v;

	if (!evaluate(l, f->inquiry, &m, &f->log, &v))
		return;
	filtering_free(f); /* first: the channel may close within what comes next */
	send_verdict(l, ch, req, &v);
}

/* Takes the inquiry over. */
static void
filtering_wait(struct filterings *fs, struct channel *ch, struct inquiry *inquiry,
    const struct msg_filter_check *m, const struct filter_log *log)
{
	struct lookup *l = fs->lookup;
	struct filtering *f = NULL;

	if (fs->n == FILTERINGS_MAX || (f = calloc(1, sizeof(*f))) == NULL ||
	    copy_set(&f->copy, m) == -1) {
		free(f);
		inquiry_free(inquiry);
		send_trouble(l, ch, m->req);
		return;
	}
	f->filterings = fs;
	f->ch = ch;
	f->req = m->req;
	f->deadline_ms = service_now_ms(l->service) + DEADLINE_MS;
	f->inquiry = inquiry;
	f->log = *log;
	inquiry_set_owner(inquiry, f);
	TAILQ_INSERT_TAIL(&fs->head, f, entry);
	fs->n++;
}

void
filterings_tick(struct filterings *fs, int64_t now_ms)
{
	struct filtering *f;

	while ((f = TAILQ_FIRST(&fs->head)) != NULL && f->deadline_ms <= now_ms) {
		inquiry_give_up(f->inquiry);
		on_resume(f);
	}
}

/* -- the question -- */

void
filtering_begin(struct filterings *fs, struct channel *ch, const struct msg_filter_check *m)
{
	struct lookup *l = fs->lookup;
	struct inquiry *inquiry = lookup_inquiry(l, on_resume, NULL);
	struct filter_log log = {.seen = 0};
	struct filter_verdict v;

	if (inquiry == NULL) {
		send_trouble(l, ch, m->req);
		return;
	}
	if (!evaluate(l, inquiry, m, &log, &v)) {
		filtering_wait(fs, ch, inquiry, m, &log);
		return;
	}
	inquiry_free(inquiry);
	send_verdict(l, ch, m->req, &v);
}

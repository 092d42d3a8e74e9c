/* SPDX-License-Identifier: ISC */
/*
 * What an admin sees and changes.  Every answer is a page, so that a queue of
 * a million messages costs neither memory nor the mail's time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "queue/queue.h"

#define PAGE_RCPTS 1000 /* recipients shown of one message in a page */
#define ONE_RCPTS  3000 /* and when it is asked for alone */

struct page {
	struct program *p;
	struct channel *ch;
	uint32_t req;
	size_t messages;
	uint64_t last;
};

static void
send_message(const struct page *page, const struct spool_message *m)
{
	struct msg_list_message out = {.req = page->req,
	    .id = m->id,
	    .sender = m->sender,
	    .client = m->client,
	    .received_s = m->received_s,
	    .expires_s = m->expires_s,
	    .size_bytes = m->size_bytes,
	    .flags = m->flags,
	    .nchunks = m->nchunks,
	    .envid = m->envid,
	    .ret = m->ret,
	    .priority = m->priority,
	    .release_s = m->release_s,
	    .by = (uint8_t)m->by,
	    .by_s = m->by_s};

	(void)channel_send(page->ch, MSG_list_message, &out);
}

static void
page_visit(void *arg, const struct spool_message *m, const struct spool_rcpt *r)
{
	struct page *page = arg;
	struct msg_list_rcpt out;

	if (r == NULL) {
		page->messages++;
		page->last = m->id;
		send_message(page, m);
		return;
	}
	out = (struct msg_list_rcpt){.req = page->req,
	    .key = r->key,
	    .address = r->address,
	    .original = r->original,
	    .orcpt = r->orcpt,
	    .notify = r->notify,
	    .action = r->action,
	    .dest = r->dest,
	    .state = (uint8_t)r->state,
	    .working = map_get_u64(page->p->working, r->key) != NULL,
	    .due_s = r->due_s,
	    .attempts = r->attempts,
	    .status = r->status,
	    .text = r->text,
	    .remote = r->remote};
	(void)channel_send(page->ch, MSG_list_rcpt, &out);
}

static void
page_end(const struct page *page, int rc, bool more)
{
	struct msg_list_end end = {.req = page->req,
	    .outcome = (uint8_t)(rc == 0 ? IPC_OK : outcome_of_error(errno)),
	    .more = more};

	(void)channel_send(page->ch, MSG_list_end, &end);
}

/* A message at a time, so that a page of long ones can end before it is too much to send. */
void
admin_list(struct program *p, struct channel *ch, const struct msg_list *m)
{
	struct page page = {.p = p, .ch = ch, .req = m->req, .last = m->after};
	size_t before;
	int rc = 0;

	while (page.messages < m->limit && channel_pending_bytes(ch) < CHANNEL_HIGH) {
		before = page.messages;
		rc = spool_list(p->spool, page.last, 1, PAGE_RCPTS, page_visit, &page);
		if (rc == -1 || page.messages == before) {
			page_end(&page, rc, false);
			return;
		}
	}
	page_end(&page, 0, true);
}

void
admin_get(struct program *p, struct channel *ch, const struct msg_get *m)
{
	struct page page = {.p = p, .ch = ch, .req = m->req};

	page_end(&page, spool_get(p->spool, m->id, ONE_RCPTS, page_visit, &page), false);
}

struct read_answer {
	struct channel *ch;
	struct msg_read_data m;
};

static void
send_data(void *arg, struct span data)
{
	struct read_answer *a = arg;

	a->m.outcome = IPC_OK;
	a->m.data = data;
	(void)channel_send(a->ch, MSG_read_data, &a->m);
}

void
admin_read(struct program *p, struct channel *ch, const struct msg_read *m)
{
	struct read_answer a = {.ch = ch, .m = {.req = m->req}};

	if (spool_read(p->spool, m->id, m->seq, send_data, &a) == 0)
		return;
	a.m.outcome = (uint8_t)outcome_of_error(errno);
	(void)channel_send(ch, MSG_read_data, &a.m);
}

/* -- changes: answered when they are durable -- */

struct change {
	struct program *p;
	uint32_t req, instance;
	const char *what; /* it is that may not be there */
};

static void
on_changed(void *arg, int error)
{
	struct change *c = arg;
	struct channel *control = service_peer(c->p->service, ROLE_CONTROL, c->instance);
	struct msg_done m = {.req = c->req,
	    .outcome = (uint8_t)outcome_of_error(error),
	    .text = error == 0	      ? ""
		    : error == ENOENT ? c->what
				      : strerror(error)};

	if (control != NULL)
		(void)channel_send(control, MSG_done, &m);
	c->p->more_due = true;
	free(c);
}

/* Tried again now, the dead destinations too: an admin may know better. */
static void
change_schedule(struct program *p, uint64_t id, struct change *c)
{
	struct channel *delivery = service_peer(p->service, ROLE_DELIVERY, 0);
	struct msg_forgive forgive = {0};

	if (delivery != NULL)
		(void)channel_send(delivery, MSG_forgive, &forgive);
	spool_schedule(p->spool, id, service_now_s(p->service), on_changed, c);
}

static void
change_remove(struct program *p, uint64_t id, struct change *c)
{
	schedule_forget(p, id);
	spool_remove(p->spool, id, on_changed, c);
}

static void
change_hold(struct program *p, uint64_t id, struct change *c)
{
	schedule_forget(p, id);
	spool_set_flags(p->spool, id, SPOOL_HELD_MESSAGE, 0, on_changed, c);
}

static void
change_release(struct program *p, uint64_t id, struct change *c)
{
	spool_set_flags(p->spool, id, 0, SPOOL_HELD_MESSAGE, on_changed, c);
}

static void (*const changes[IPC_CHANGE__MAX])(struct program *, uint64_t, struct change *) = {
    [IPC_SCHEDULE] = change_schedule,
    [IPC_REMOVE] = change_remove,
    [IPC_HOLD] = change_hold,
    [IPC_RELEASE] = change_release,
};

/* NULL: the admin was told that there is no memory for it. */
static struct change *
change_create(struct program *p, struct channel *ch, uint32_t req, const char *what)
{
	struct change *c = calloc(1, sizeof(*c));
	struct msg_done failed = {.req = req, .outcome = IPC_RETRY, .text = "out of memory"};

	if (c == NULL)
		(void)channel_send(ch, MSG_done, &failed);
	else
		*c = (struct change){p, req, channel_instance(ch), what};
	return c;
}

void
admin_change(struct program *p, struct channel *ch, const struct msg_change *m)
{
	struct change *c = change_create(p, ch, m->req, "no such message");

	if (c != NULL)
		changes[m->what](p, m->id, c);
}

void
admin_tls_forget(struct program *p, struct channel *ch, const struct msg_tls_forget *m)
{
	struct change *c = change_create(p, ch, m->req, "nothing is remembered of that domain");

	if (c != NULL)
		spool_tls_forget(p->spool, m->domain, on_changed, c);
}

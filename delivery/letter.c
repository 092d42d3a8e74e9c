/* SPDX-License-Identifier: ISC */
/*
 * A letter: one message for one mailbox, on its way to the agent of that mailbox.
 *
 * Invariants: it is delivered only when the agent says so after it was told
 * that the message is whole; a message that was in this mailbox before
 * (Delivered-To) is refused.  Nothing is fatal.
 */
#include "delivery/local_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lib/mail/address.h"
#include "lib/mail/idn.h"

#define PUT_TIMEOUT_MS 600000

static void
letter_end(struct letter *l)
{
	struct agent *a = l->agent;
	struct local *local = &a->delivery->local;

	body_stop(&l->body);
	ask_end(service_asks(a->delivery->service), l->req);
	if (l->state == LETTER_WAITING)
		TAILQ_REMOVE(&a->waiting, l, entry);
	else {
		TAILQ_REMOVE(&a->sent, l, entry);
		a->nsent--;
	}
	if (l->job != NULL)
		l->job->rcpts[l->rcpt].letter = NULL;
	l->state = LETTER_ENDED;
	l->job = NULL;
	a->idle_since_ms = service_now_ms(a->delivery->service);
	TAILQ_INSERT_TAIL(&local->ended, l, entry);
}

void
letter_verdict(struct letter *l, const struct verdict *v)
{
	struct job *j = l->job;
	size_t rcpt = l->rcpt;

	letter_end(l);
	if (j != NULL)
		job_verdict(j, rcpt, v, NULL);
}

static void
letter_fail(struct letter *l, enum cause cause)
{
	struct verdict v;

	verdict_of(&v, cause, NULL);
	letter_verdict(l, &v);
}

/* The agent is to forget what it has of it. */
static void
letter_recall(struct letter *l)
{
	struct msg_put_end end = {.req = l->req, .ok = false};

	if (l->state == LETTER_STREAMING)
		(void)channel_send(l->agent->ch, MSG_put_end, &end);
}

static void
on_chunk(void *arg, struct span data)
{
	struct letter *l = arg;
	struct msg_put_chunk m = {.req = l->req, .data = data};

	if (!l->scan.done)
		header_scan_feed(&l->scan, data.data, data.len);
	if (l->scan.delivered_to > 0) {
		letter_recall(l);
		letter_fail(l, CAUSE_LOOP);
		return;
	}
	(void)channel_send(l->agent->ch, MSG_put_chunk, &m);
}

static void
on_body_whole(void *arg)
{
	struct letter *l = arg;
	struct msg_put_end end = {.req = l->req, .ok = true};

	l->state = LETTER_WHOLE;
	(void)channel_send(l->agent->ch, MSG_put_end, &end);
}

static void
on_body_broken(void *arg, enum cause why)
{
	letter_recall(arg);
	letter_fail(arg, why);
}

static const struct body_callbacks body_calls = {on_chunk, on_body_whole, on_body_broken};

static void
on_put_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct letter *l = owner;

	(void)req;
	l->req = 0;
	agent_fail(l->agent, why == ASK_TIMEOUT ? CAUSE_AGENT_TIMEOUT : CAUSE_AGENT_LOST);
}

void
letter_send(struct letter *l)
{
	struct agent *a = l->agent;
	struct service *s = a->delivery->service;
	const struct job *j = l->job;
	struct msg_put m = {.id = j->id,
	    .sender = j->sender,
	    .rcpt = j->rcpts[l->rcpt].address,
	    .size_bytes = j->size_bytes,
	    .flags = j->flags};

	m.req = l->req = ask_begin(
	    service_asks(s), a->ch, service_now_ms(s) + PUT_TIMEOUT_MS, on_put_failed, l);
	if (m.req == 0) {
		letter_fail(l, CAUSE_NO_MEMORY);
		return;
	}
	TAILQ_REMOVE(&a->waiting, l, entry);
	TAILQ_INSERT_TAIL(&a->sent, l, entry);
	a->nsent++;
	a->nserved++;
	l->state = LETTER_STREAMING;
	header_scan_init(&l->scan, m.rcpt);
	(void)channel_send(a->ch, MSG_put, &m);
	body_start(&l->body, &a->delivery->bodies);
}

int
letter_create(struct agent *a, struct job *j, size_t rcpt)
{
	struct letter *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return -1;
	l->agent = a;
	l->job = j;
	l->rcpt = rcpt;
	l->body.callbacks = &body_calls;
	l->body.arg = l;
	l->body.id = j->id;
	l->body.size_bytes = j->size_bytes;
	l->body.nchunks = j->nchunks;
	j->rcpts[rcpt].letter = l;
	TAILQ_INSERT_TAIL(&a->waiting, l, entry);
	return 0;
}

/* What the mailbox is found by: one name, however the domain is written.  What is no address has none. */
static void
canonical_address(const struct job *j, size_t rcpt, char dst[ADDRESS_MAX + 1])
{
	const unsigned int flags = ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	bool tagged = str_starts_nocase(j->dest, MAILBOX_DEST_TAGGED);
	char domain[ADDRESS_DOMAIN_MAX + 1];
	struct address a;

	dst[0] = '\0';
	if (address_parse(j->rcpts[rcpt].address, flags, &a) != ADDRESS_OK)
		return;
	address_canonical(&a, tagged ? NULL : j->delivery->conf->values.smtp_subaddr);
	if (idn_to_ascii(a.domain, domain) == -1)
		(void)!str_copy(domain, sizeof(domain), a.domain);
	(void)snprintf(dst, ADDRESS_MAX + 1, "%s@%s", a.local, domain);
}

int
letter_path(
    const struct conf_action *action, const struct job *j, size_t rcpt, char *dst, size_t size)
{
	char dest[ADDRESS_MAX + 1];
	const struct pattern_values values = {.sender = j->sender,
	    .rcpt = j->rcpts[rcpt].address,
	    .dest = dest,
	    .username = j->rcpts[rcpt].user};

	canonical_address(j, rcpt, dest);
	return mailbox_path(action->target, &values, dst, size);
}

/* What the agent has whole can't be called back: its verdict will find nobody. */
void
local_abandon(struct letter *l)
{
	letter_recall(l);
	letter_end(l);
}

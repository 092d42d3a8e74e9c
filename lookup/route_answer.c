/* SPDX-License-Identifier: ISC */
/*
 * Delivery's and fetch's questions for a route, and the answers to them.
 *
 * Invariant: each has one route_end, unless its channel is gone.  Nothing is
 * fatal.
 */
#include <stdbool.h>

#include "lookup/route.h"

static void
on_tlsa(void *arg, uint32_t req, const struct route_tlsa *t)
{
	struct msg_route_tlsa m = {.req = req,
	    .host = t->host,
	    .base = t->base,
	    .usage = t->usage,
	    .selector = t->selector,
	    .matching = t->matching,
	    .data = {t->data, t->size}};

	(void)channel_send(arg, MSG_route_tlsa, &m);
}

static void
on_host(void *arg, uint32_t req, const struct route_host *h)
{
	struct msg_route_host m = {.req = req,
	    .host = h->host,
	    .address = h->address,
	    .preference = h->preference,
	    .secure = h->secure};

	(void)channel_send(arg, MSG_route_host, &m);
}

static void
on_end(void *arg, uint32_t req, const struct route_end *e)
{
	struct msg_route_end m = {
	    .req = req, .outcome = e->outcome, .status = e->status, .text = e->text};

	(void)channel_send(arg, MSG_route_end, &m);
}

static const struct route_events events = {.tlsa = on_tlsa, .host = on_host, .end = on_end};

void
route_begin(struct routes *rs, struct channel *ch, const struct msg_route *m)
{
	static const struct route_end busy = {IPC_RETRY, "4.3.2", "too many questions under way"};
	struct route_question q = {.name = m->name,
	    .mx = m->mx,
	    .tlsa = m->tlsa,
	    .port = m->port,
	    .backup = m->backup,
	    .req = m->req};

	if (route_ask(rs, &q, &events, ch) == -1)
		on_end(ch, m->req, &busy);
}

void
routes_unlink(struct routes *rs, const struct channel *ch)
{
	routes_forget(rs, ch);
}

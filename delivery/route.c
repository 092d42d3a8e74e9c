/* SPDX-License-Identifier: ISC */
/*
 * Which hosts take the mail, asked of smtpd-lookup.
 *
 * Invariant: done is called once.  A lookup that is down, late or says
 * nothing useful defers the message; it can make us try ROUTE_HOSTS_MAX
 * addresses at most.
 */
#include "delivery/route.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define ROUTE_TIMEOUT_MS 120000

void
route_stop(struct route *r)
{
	if (r->req != 0)
		ask_end(service_asks(r->service), r->req);
	free(r->hosts);
	r->hosts = NULL;
	r->req = 0;
	r->nhosts = r->next = 0;
}

static void
route_fail(struct route *r, enum cause cause, const char *detail)
{
	struct verdict v;

	verdict_of(&v, cause, detail);
	r->done(r->arg, &v);
}

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct route *r = owner;

	(void)req;
	(void)why;
	r->req = 0;
	route_fail(r, CAUSE_NO_RESOLVER, NULL);
}

static int
add_host(struct route *r, const char *name, const char *address)
{
	struct route_host *h;

	if (r->nhosts == ROUTE_HOSTS_MAX)
		return -1;
	if (r->hosts == NULL && (r->hosts = calloc(ROUTE_HOSTS_MAX, sizeof(*r->hosts))) == NULL)
		return -1;
	h = &r->hosts[r->nhosts];
	if (str_copy(h->name, sizeof(h->name), name) == -1 ||
	    addr_parse(address, r->port, &h->addr) == -1)
		return -1;
	r->nhosts++;
	return 0;
}

void
route_start(struct route *r, const char *name, bool mx)
{
	struct channel *lookup = service_peer(r->service, ROLE_LOOKUP, 0);
	struct msg_route m = {.name = name, .mx = mx};

	if (!mx && add_host(r, name, name) == 0) {
		r->done(r->arg, NULL);
		return;
	}
	if (lookup != NULL)
		r->req = ask_begin(service_asks(r->service), lookup,
		    service_now_ms(r->service) + ROUTE_TIMEOUT_MS, on_ask_failed, r);
	m.req = r->req;
	if (r->req == 0 || channel_send(lookup, MSG_route, &m) == -1) {
		route_stop(r);
		route_fail(r, CAUSE_NO_RESOLVER, NULL);
	}
}

/* What is no address, or one too many, is passed over: the others may do. */
void
route_add(struct route *r, const struct msg_route_host *m)
{
	(void)add_host(r, m->host, m->address);
}

void
route_end(struct route *r, const struct msg_route_end *m)
{
	struct verdict v;

	ask_end(service_asks(r->service), r->req);
	r->req = 0;
	if (m->outcome == IPC_OK && r->nhosts > 0) {
		r->done(r->arg, NULL);
		return;
	}
	if (m->outcome == IPC_OK)
		verdict_of(&v, CAUSE_NO_RESOLVER, "it knows no address");
	else
		verdict_set(&v, (enum ipc_outcome)m->outcome, m->status, m->text);
	r->done(r->arg, &v);
}

const struct route_host *
route_next(struct route *r)
{
	return r->next < r->nhosts ? &r->hosts[r->next++] : NULL;
}

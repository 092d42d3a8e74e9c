/* SPDX-License-Identifier: ISC */
/*
 * Which hosts take the mail, asked of smtpd-lookup.
 *
 * Invariant: done is called once.  A lookup that is down, late or says
 * nothing useful defers the message; it can make us try ROUTE_HOSTS_MAX
 * addresses at most, and no host of which DANE said more than was kept.
 */
#include "delivery/route.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define ROUTE_TIMEOUT_MS 120000

void
route_stop(struct route *r)
{
	size_t i;

	if (r->req != 0)
		ask_end(service_asks(r->service), r->req);
	for (i = 0; i < r->nrecords; i++)
		free(r->records[i]);
	free(r->records);
	free(r->hosts);
	r->hosts = NULL;
	r->records = NULL;
	r->req = 0;
	r->nhosts = r->nrecords = 0;
	r->incomplete = false;
}

static void
route_fail(struct route *r, enum cause cause, const char *detail)
{
	struct verdict v;

	verdict_of(&v, cause, detail);
	v.untried = true; /* nobody was asked */
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

static struct route_host *
add_host(struct route *r, const char *name, const char *address)
{
	struct route_host *h;

	if (r->nhosts == ROUTE_HOSTS_MAX)
		return NULL;
	if (r->hosts == NULL && (r->hosts = calloc(ROUTE_HOSTS_MAX, sizeof(*r->hosts))) == NULL)
		return NULL;
	h = &r->hosts[r->nhosts];
	if (str_copy(h->name, sizeof(h->name), name) == -1 ||
	    addr_parse(address, r->port, &h->addr) == -1)
		return NULL;
	r->nhosts++;
	return h;
}

void
route_start(struct route *r, const struct route_question *q)
{
	struct channel *lookup = service_peer(r->service, ROLE_LOOKUP, 0);
	struct msg_route m = {
	    .name = q->name, .mx = q->mx, .tlsa = q->tlsa, .port = q->port, .backup = q->backup};

	r->asker = ASKER_ROUTE;
	r->port = q->port;
	if (!q->mx && add_host(r, q->name, q->name) != NULL) {
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
	struct route_host *h = add_host(r, m->host, m->address);

	if (h == NULL)
		return;
	h->preference = m->preference;
	h->secure = m->secure;
}

static struct route_record *
record_create(const struct msg_route_tlsa *m)
{
	struct route_record *record = calloc(1, sizeof(*record) + m->data.len);

	if (record == NULL)
		return NULL;
	if (str_copy(record->host, sizeof(record->host), m->host) == -1 ||
	    str_copy(record->base, sizeof(record->base), m->base) == -1) {
		free(record);
		return NULL;
	}
	if (m->data.len > 0)
		memcpy(record->data, m->data.data, m->data.len);
	record->tlsa = (struct tls_record){
	    m->usage, m->selector, m->matching, record->data, m->data.len};
	return record;
}

/* A record that is not kept might be the only one that can be used. */
void
route_add_tlsa(struct route *r, const struct msg_route_tlsa *m)
{
	struct route_record *record = NULL;

	if (r->records == NULL)
		r->records = calloc(ROUTE_RECORDS_MAX, sizeof(struct route_record *));
	if (r->records != NULL && r->nrecords < ROUTE_RECORDS_MAX)
		record = record_create(m);
	if (record == NULL)
		r->incomplete = true;
	else
		r->records[r->nrecords++] = record;
}

size_t
route_records(
    const struct route *r, const char *host, struct tls_record *dst, size_t max, const char **base)
{
	size_t i, n = 0;

	*base = host;
	for (i = 0; i < r->nrecords && n < max; i++) {
		if (strcmp(r->records[i]->host, host) != 0)
			continue;
		dst[n++] = r->records[i]->tlsa;
		*base = r->records[i]->base;
	}
	return n;
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

/* SPDX-License-Identifier: ISC */
/*
 * The way to the servers of a domain: MX, then the addresses of each host,
 * all asked at once and answered in the order of preference.
 *
 * Invariant: each route owns its DNS queries, and ends once: by its answer,
 * by its deadline, or with its channel.  Nothing is fatal.
 */
#include "lookup/route.h"

#include <sys/queue.h>
#include <sys/random.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lookup/lookup.h"
#include "lookup/mx.h"

#define ROUTES_MAX    1024
#define ADDRESSES_MAX 32 /* of one route */
#define PER_HOST_MAX  8	 /* of one type, of one host */
#define DEADLINE_MS   60000

enum half { HALF_AAAA, HALF_A, HALF__MAX }; /* in the order they are given out */

static const enum dns_type half_types[HALF__MAX] = {
    [HALF_AAAA] = DNS_AAAA,
    [HALF_A] = DNS_A,
};

struct route;

struct host_query { /* part of its route */
	struct route *route;
	struct dns_query *query; /* NULL: answered */
	size_t n;
	uint8_t addresses[PER_HOST_MAX][16];
};

struct route { /* owned by its struct routes */
	TAILQ_ENTRY(route) entry;
	struct routes *routes;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	bool mx;
	char name[ADDRESS_DOMAIN_MAX + 1];
	struct dns_query *mx_query;
	struct mx_list list;
	size_t next; /* the host whose addresses are to be given out next */
	size_t given;
	bool trouble;			       /* a host's addresses could not be found out */
	struct host_query (*hosts)[HALF__MAX]; /* list.n of them */
};

TAILQ_HEAD(route_list, route);

struct routes {
	struct lookup *lookup;
	struct route_list list;
	size_t n;
};

struct routes *
routes_create(struct lookup *l)
{
	struct routes *rs;

	if ((rs = calloc(1, sizeof(*rs))) == NULL)
		return NULL;
	rs->lookup = l;
	TAILQ_INIT(&rs->list);
	return rs;
}

static void
route_free(struct route *r)
{
	size_t i, half;

	dns_cancel(r->mx_query);
	for (i = 0; r->hosts != NULL && i < r->list.n; i++)
		for (half = 0; half < HALF__MAX; half++)
			dns_cancel(r->hosts[i][half].query);
	free(r->hosts);
	TAILQ_REMOVE(&r->routes->list, r, entry);
	r->routes->n--;
	free(r);
}

/* -- answering -- */

enum end {
	END_OK,
	END_TROUBLE,
	END_BUSY,
	END_BAD_NAME,
	END_NO_NAME,
	END_NULL_MX,
	END_LOOP,
	END_UNUSABLE,
	END_NO_ADDRESS,
	END_NO_HOST
};

static const struct end_row {
	enum ipc_outcome outcome;
	const char *status, *text; /* the name goes before the text */
} ends[] = {
    [END_OK] = {IPC_OK, "", ""},
    [END_TROUBLE] = {IPC_RETRY, "4.4.3", "no answer from the DNS"},
    [END_BUSY] = {IPC_RETRY, "4.3.2", "too many DNS questions under way"},
    [END_BAD_NAME] = {IPC_FAIL, "5.1.2", "not a domain name"},
    [END_NO_NAME] = {IPC_FAIL, "5.1.2", "no such domain"},
    [END_NULL_MX] = {IPC_FAIL, "5.1.10", "domain takes no mail (null MX)"},
    [END_LOOP] = {IPC_FAIL, "5.4.6", "mail for it loops back to this host"},
    [END_UNUSABLE] = {IPC_FAIL, "5.4.4", "MX records name no host"},
    [END_NO_ADDRESS] = {IPC_FAIL, "5.4.4", "mail servers have no address"},
    /* A host that the administrator named: a mistake to be mended, not the sender's. */
    [END_NO_HOST] = {IPC_RETRY, "4.4.4", "host has no address"},
};

static void
send_end(struct channel *ch, uint32_t req, const char *name, enum end end)
{
	const struct end_row *row = &ends[end];
	struct msg_route_end m = {
	    .req = req, .outcome = (uint8_t)row->outcome, .status = row->status, .text = ""};
	char text[IPC_TEXT_MAX], shown[IPC_NAME_MAX];

	if (end != END_OK) {
		str_quote(shown, sizeof(shown), name);
		if (str_format(text, sizeof(text), "%s: %s", shown, row->text) == 0)
			m.text = text;
	}
	(void)channel_send(ch, MSG_route_end, &m);
}

static void
route_end(struct route *r, enum end end)
{
	struct channel *ch = r->ch;
	uint32_t req = r->req;
	char name[sizeof(r->name)];

	memcpy(name, r->name, sizeof(name));
	route_free(r);
	send_end(ch, req, name, end);
}

/*
 * -1: the channel is gone, and may have taken the route with it.  (A peer that
 * does not read is cut off from within channel_send().)
 */
static int
send_address(struct route *r, const struct mx_host *host, int family, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];
	struct msg_route_host m = {
	    .req = r->req, .host = host->name, .address = text, .preference = host->preference};

	if (r->given == ADDRESSES_MAX || inet_ntop(family, address, text, sizeof(text)) == NULL)
		return 0;
	r->given++;
	return channel_send(r->ch, MSG_route_host, &m);
}

static int
send_host(struct route *r, size_t i)
{
	size_t half, j;

	for (half = 0; half < HALF__MAX; half++)
		for (j = 0; j < r->hosts[i][half].n; j++)
			if (send_address(r, &r->list.hosts[i],
				half_types[half] == DNS_A ? AF_INET : AF_INET6,
				r->hosts[i][half].addresses[j]) == -1)
				return -1;
	return 0;
}

/* Gives out what is settled, in order, and ends the route with the last host. */
static void
route_advance(struct route *r)
{
	for (; r->next < r->list.n; r->next++) {
		const struct host_query *h = r->hosts[r->next];

		if (h[HALF_AAAA].query != NULL || h[HALF_A].query != NULL)
			return;
		if (send_host(r, r->next) == -1)
			return;
	}
	if (r->given > 0)
		route_end(r, END_OK);
	else if (r->trouble)
		route_end(r, END_TROUBLE);
	else
		route_end(r, r->mx ? END_NO_ADDRESS : END_NO_HOST);
}

/* -- addresses -- */

static void
on_addresses(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct host_query *h = arg;
	size_t i;

	h->query = NULL;
	if (result == DNS_TROUBLE)
		h->route->trouble = true;
	if (result == DNS_FOUND)
		for (i = 0; i < records->n && h->n < PER_HOST_MAX; i++)
			memcpy(h->addresses[h->n++], records->list[i].address, 16);
	route_advance(h->route);
}

static bool
is_localhost(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t n = strlen(name);

	return str_equal_nocase(name, "localhost") ||
	       (n >= sizeof(suffix) && str_equal_nocase(name + n - (sizeof(suffix) - 1), suffix));
}

/* RFC 6761 6.3: these names are never asked about. */
static void
know_localhost(struct host_query host[HALF__MAX])
{
	static const uint8_t loopback[16] = {INADDR_LOOPBACK >> 24, 0, 0, 1};

	memcpy(host[HALF_A].addresses[0], loopback, sizeof(loopback));
	memcpy(host[HALF_AAAA].addresses[0], &in6addr_loopback, sizeof(in6addr_loopback));
	host[HALF_A].n = host[HALF_AAAA].n = 1;
}

static void
ask_addresses(struct route *r)
{
	struct dns *dns = r->routes->lookup->dns;
	size_t i, half;

	if ((r->hosts = calloc(r->list.n, sizeof(*r->hosts))) == NULL) {
		route_end(r, END_BUSY);
		return;
	}
	for (i = 0; i < r->list.n; i++) {
		if (is_localhost(r->list.hosts[i].name)) {
			know_localhost(r->hosts[i]);
			continue;
		}
		for (half = 0; half < HALF__MAX; half++) {
			struct host_query *h = &r->hosts[i][half];

			h->route = r;
			h->query = dns_ask(
			    dns, r->list.hosts[i].name, half_types[half], on_addresses, h);
			if (h->query == NULL)
				r->trouble = true;
		}
	}
	route_advance(r);
}

/* -- hosts -- */

static void
on_mx(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct route *r = arg;
	struct mx_question q = {.domain = r->name, .self = r->routes->lookup->hostname};

	r->mx_query = NULL;
	if (getrandom(&q.seed, sizeof(q.seed), 0) != (ssize_t)sizeof(q.seed))
		q.seed = r->req;
	switch (mx_choose(&q, result, records, &r->list)) {
	case MX_HOSTS:
		ask_addresses(r);
		break;
	case MX_NULL:
		route_end(r, END_NULL_MX);
		break;
	case MX_LOOP:
		route_end(r, END_LOOP);
		break;
	case MX_NO_NAME:
		route_end(r, END_NO_NAME);
		break;
	case MX_UNUSABLE:
		route_end(r, END_UNUSABLE);
		break;
	case MX_TROUBLE:
		route_end(r, END_TROUBLE);
		break;
	}
}

/* A name to be taken as it is: a host of the configuration, or one of our own. */
static void
route_to_host(struct route *r)
{
	struct mx_host *h = &r->list.hosts[0];

	(void)memcpy(h->name, r->name, sizeof(h->name));
	h->preference = 0;
	r->list.n = 1;
	ask_addresses(r);
}

static void
route_to_address(struct route *r, int family, const uint8_t *address)
{
	struct mx_host host = {.preference = 0};

	(void)memcpy(host.name, r->name, sizeof(host.name));
	if (send_address(r, &host, family, address) == 0)
		route_end(r, END_OK);
}

static void
route_start(struct route *r)
{
	struct address_literal literal;
	uint8_t address[16];

	if (address_literal_parse(r->name, &literal))
		route_to_address(
		    r, literal.family == ADDRESS_IPV4 ? AF_INET : AF_INET6, literal.bytes);
	else if (!r->mx && inet_pton(AF_INET, r->name, address) == 1)
		route_to_address(r, AF_INET, address);
	else if (!r->mx && inet_pton(AF_INET6, r->name, address) == 1)
		route_to_address(r, AF_INET6, address);
	else if (!address_domain_valid(r->name, false))
		route_end(r, END_BAD_NAME);
	else if (!r->mx || is_localhost(r->name))
		route_to_host(r);
	else if ((r->mx_query = dns_ask(r->routes->lookup->dns, r->name, DNS_MX, on_mx, r)) == NULL)
		route_end(r, END_BUSY);
}

void
route_begin(struct routes *rs, struct channel *ch, const struct msg_route *m)
{
	struct route *r;

	if (rs->n == ROUTES_MAX || (r = calloc(1, sizeof(*r))) == NULL) {
		send_end(ch, m->req, m->name, END_BUSY);
		return;
	}
	*r = (struct route){.routes = rs,
	    .ch = ch,
	    .req = m->req,
	    .mx = m->mx,
	    .deadline_ms = service_now_ms(rs->lookup->service) + DEADLINE_MS};
	TAILQ_INSERT_TAIL(&rs->list, r, entry);
	rs->n++;
	if (str_copy(r->name, sizeof(r->name), m->name) == -1)
		route_end(r, END_BAD_NAME);
	else
		route_start(r);
}

/* -- ends from outside -- */

void
routes_unlink(struct routes *rs, const struct channel *ch)
{
	struct route *r, *next;

	for (r = TAILQ_FIRST(&rs->list); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->ch == ch)
			route_free(r);
	}
}

static void
end_early(struct route *r)
{
	/* What was given out is good, though there may have been more. */
	route_end(r, r->given > 0 ? END_OK : END_TROUBLE);
}

void
routes_tick(struct routes *rs, int64_t now_ms)
{
	struct route *r;

	/* All have the same time, so the oldest is first. */
	while ((r = TAILQ_FIRST(&rs->list)) != NULL && r->deadline_ms <= now_ms)
		end_early(r);
}

void
routes_fail(struct routes *rs)
{
	struct route *r;

	while ((r = TAILQ_FIRST(&rs->list)) != NULL)
		end_early(r);
}

void
routes_free(struct routes *rs)
{
	struct route *r;

	if (rs == NULL)
		return;
	while ((r = TAILQ_FIRST(&rs->list)) != NULL)
		route_free(r);
	free(rs);
}

size_t
routes_count(const struct routes *rs)
{
	return rs->n;
}

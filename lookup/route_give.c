/* SPDX-License-Identifier: ISC */
/*
 * What comes of a route, once all of its hosts are settled: addresses in the
 * order to try them, or why there are none.
 *
 * Invariant: a host that is ourselves is not given out, nor one that is no
 * better: it would send the mail back (RFC 5321 5.1).  Nothing is fatal.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/lookup.h"
#include "lookup/route_private.h"
#include "lookup/self.h"

#define ADDRESSES_MAX 32 /* of one route */
#define MX_PORT	      25

/* -- the end -- */

static const struct end_row {
	enum ipc_outcome outcome;
	const char *status, *text; /* the name goes before the text */
} ends[] = {
    [END_OK] = {IPC_OK, "", ""},
    [END_TROUBLE] = {IPC_RETRY, "4.4.3", "no answer from the DNS"},
    [END_BOGUS] = {IPC_RETRY, "4.7.5", "DNSSEC: the answer is bogus"},
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

/* For those who use one family alone. */
static const char *
wanted_family(const struct route *r)
{
	if (!hop_uses(r->plan.family, AF_INET6))
		return " (IPv4)";
	if (!hop_uses(r->plan.family, AF_INET))
		return " (IPv6)";
	return "";
}

void
route_finish(struct route *r, enum end end)
{
	const struct end_row *row = &ends[end];
	const struct route_events *events = r->events;
	struct route_end e = {.outcome = (uint8_t)row->outcome, .status = row->status, .text = ""};
	char text[IPC_TEXT_MAX], shown[IPC_NAME_MAX];
	void *arg = r->arg;
	uint32_t req = r->req;

	if (end != END_OK) {
		str_quote(shown, sizeof(shown), r->name);
		if (str_format(text, sizeof(text), "%s: %s%s", shown, row->text,
			end == END_NO_ADDRESS || end == END_NO_HOST ? wanted_family(r) : "") == 0)
			e.text = text;
	}
	route_free(r);
	events->end(arg, req, &e);
}

/* With the last host. */
void
route_end_with_hosts(struct route *r)
{
	if (r->given > 0)
		route_finish(r, END_OK);
	else if (r->trouble == HOP_BOGUS)
		route_finish(r, END_BOGUS);
	else if (r->trouble == HOP_NO_ANSWER)
		route_finish(r, END_TROUBLE);
	else if (r->loops)
		route_finish(r, END_LOOP);
	else
		route_finish(r, r->mx ? END_NO_ADDRESS : END_NO_HOST);
}

/* -- giving out hosts -- */

void
route_give_address(struct route *r, const struct mx_host *host, int family, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];
	struct route_host h = {.host = host->name,
	    .address = text,
	    .preference = host->preference,
	    .secure = r->secure};

	if (r->given == ADDRESSES_MAX || inet_ntop(family, address, text, sizeof(text)) == NULL)
		return;
	r->given++;
	r->events->host(r->arg, r->req, &h);
}

static void
give_tlsa(struct route *r, const struct hop *h)
{
	size_t i;

	for (i = 0; h->tlsa != NULL && i < h->tlsa->n; i++) {
		const struct hop_tlsa *from = &h->tlsa->list[i];
		struct route_tlsa t = {.host = h->name,
		    .base = h->tlsa->base,
		    .usage = from->usage,
		    .selector = from->selector,
		    .matching = from->matching,
		    .data = from->data,
		    .size = from->size};

		r->events->tlsa(r->arg, r->req, &t);
	}
}

static const char *
pass_reason(const struct hop *h)
{
	switch (h->trouble) {
	case HOP_BOGUS:
		return "DNSSEC: bogus";
	case HOP_NO_ANSWER:
		return "no answer from the DNS";
	case HOP_FINE:
		break;
	}
	return "no address";
}

static void
pass_over(struct route *r, const struct mx_host *host, const char *why)
{
	struct route_pass p = {.host = host->name, .preference = host->preference, .why = why};
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, "mx-passed-over");
	logline_str(&l, "domain", r->name);
	logline_str(&l, "host", host->name);
	logline_str(&l, "why", why);
	logline_end(&l);
	if (r->events->pass != NULL)
		r->events->pass(r->arg, r->req, &p);
}

/* RFC 2181 10.3 forbids it, and RFC 5321 5.1 leaves us free: mail goes there all the same. */
static void
log_alias(const struct route *r, const struct hop *h)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, "mx-is-alias");
	logline_str(&l, "domain", r->name);
	logline_str(&l, "host", h->name);
	logline_str(&l, "canonical", h->canonical);
	logline_end(&l);
}

static void
give_host(struct route *r, const struct mx_host *host, const struct hop *h)
{
	const uint8_t *address;
	int family;
	size_t i;

	if (h->trouble > r->trouble)
		r->trouble = h->trouble;
	if (h->alias && r->mx && !str_equal_nocase(h->name, r->name))
		log_alias(r, h);
	if (hop_address(h, 0, &family) == NULL) {
		pass_over(r, host, pass_reason(h));
		return;
	}
	if (r->given < ADDRESSES_MAX)
		give_tlsa(r, h);
	for (i = 0; (address = hop_address(h, i, &family)) != NULL; i++)
		route_give_address(r, host, family, address);
}

/* -- ourselves -- */

bool
route_is_own_address(const struct route *r, int family, const uint8_t *address)
{
	const struct lookup *l = r->routes->lookup;
	char text[INET6_ADDRSTRLEN];
	struct addr a;

	return inet_ntop(family, address, text, sizeof(text)) != NULL &&
	       addr_parse(text, MX_PORT, &a) == 0 && self_listens(l->conf, &a);
}

static bool
is_self(const struct route *r, const struct hop *h)
{
	const uint8_t *address;
	int family;
	size_t i;

	/* canonical is "" where it is not known, backup where there is none. */
	if (h->alias && h->canonical[0] != '\0' &&
	    (str_equal_nocase(h->canonical, r->routes->lookup->hostname) ||
		str_equal_nocase(h->canonical, r->backup)))
		return true;
	for (i = 0; (address = hop_address(h, i, &family)) != NULL; i++)
		if (route_is_own_address(r, family, address))
			return true;
	return false;
}

/* How many of the hosts are better than ourselves: all, unless we are one of them. */
static size_t
count_better(struct route *r)
{
	const struct mx_host *hosts = r->list.hosts;
	size_t i, n;

	for (i = 0; i < r->list.n && r->mx; i++)
		if (is_self(r, &r->hops[i])) {
			for (n = i; n > 0 && hosts[n - 1].preference == hosts[i].preference;)
				n--;
			r->loops = true;
			pass_over(r, &hosts[i], "this host itself");
			return n;
		}
	return r->list.n;
}

void
route_give_hosts(struct route *r)
{
	size_t i, n = count_better(r);

	for (i = 0; i < n; i++)
		give_host(r, &r->list.hosts[i], &r->hops[i]);
	route_end_with_hosts(r);
}

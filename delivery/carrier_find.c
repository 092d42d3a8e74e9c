/* SPDX-License-Identifier: ISC */
/*
 * The search for a server: the lane's servers in order, of each the hosts that lookup
 * names, of each host its addresses.
 *
 * Invariants: an address has one try (and one more in plain, where that is allowed); a
 * worse host is not asked because a better one is at its limit; a host that lately did
 * not answer is asked last.  The search is over SEARCH_MS after it began, at the latest
 * with what is under way then.  Nothing is fatal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "delivery/carrier_private.h"
#include "lib/base/str.h"

#define SEARCH_MS      600000
#define LMTP_SOCKET_MS 30000
#define PROXY_SCHEME   "socks5://"

/* -- nobody is left -- */

static void
fail_here(struct carrier *c, enum cause cause, const char *detail)
{
	struct verdict v;

	verdict_of(&v, cause, detail);
	v.untried = cause == CAUSE_NO_MEMORY || cause == CAUSE_LIMITED;
	carrier_failed(c, &v);
}

static void
found_nobody(struct carrier *c)
{
	struct lane *l = c->lane;
	struct verdict why;
	char remote[sizeof(c->remote)];

	if (!c->has_why)
		fail_here(c, c->route.nhosts > 0 ? CAUSE_LIMITED : CAUSE_NO_HOST, NULL);
	why = c->why;
	memcpy(remote, c->why_remote, sizeof(remote));
	carrier_free(c);
	lane_nobody(l, &why, remote);
}

void
carrier_find_stop(struct carrier *c)
{
	dial_stop(c->dial);
	c->dial = NULL;
	route_stop(&c->route);
	ask_end(service_asks(c->lane->delivery->service), c->lmtp_req);
	c->lmtp_req = 0;
	if (c->fd != -1)
		(void)close(c->fd);
	c->fd = -1;
}

/* -- a server's hosts -- */

static void
on_routed(void *arg, const struct verdict *why)
{
	struct carrier *c = arg;

	c->routed = why == NULL;
	if (why != NULL)
		c->route_why = *why;
	carrier_ripen(c, EVENT_ROUTED);
}

void
carrier_on_routed(struct carrier *c)
{
	if (c->fd != -1) { /* the socket of an LMTP server */
		carrier_on_dialed(c);
		return;
	}
	if (c->routed) {
		carrier_next_host(c);
		return;
	}
	carrier_failed(c, &c->route_why);
	carrier_next_server(c);
}

/* Is it of any use to know what DANE says? */
static bool
wants_dane(const struct conf_action *a, const struct relay_url *u)
{
	return u->tls != RELAY_TLS_NEVER && a->fingerprint == NULL && tls_client_has_dane();
}

static void
ask_route(struct carrier *c, const struct conf_action *a)
{
	const struct relay_url *u = carrier_url(c);
	bool mx = c->lane->nservers == 0;
	struct route_question q = {.name = mx ? c->lane->dest : u->host,
	    .mx = mx,
	    .tlsa = wants_dane(a, u),
	    .port = u->port,
	    .backup = ""};

	if (a->backup)
		q.backup = a->backup_name != NULL ? a->backup_name : c->lane->delivery->hostname;
	memset(c->spent, 0, sizeof(c->spent));
	c->remote[0] = '\0';
	c->plain = c->login_failed = false;
	route_stop(&c->route);
	c->route.service = c->lane->delivery->service;
	c->route.done = on_routed;
	c->route.arg = c;
	route_start(&c->route, &q);
}

/* -- LMTP over a Unix socket, which the parent opens -- */

static void
socket_is_refused(struct carrier *c, const char *text)
{
	c->routed = false;
	verdict_of(&c->route_why, CAUSE_NO_SOCKET, text);
	carrier_ripen(c, EVENT_ROUTED);
}

static void
on_socket_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct carrier *c = owner;

	(void)req;
	(void)why;
	c->lmtp_req = 0;
	socket_is_refused(c, NULL);
}

static void
ask_socket(struct carrier *c)
{
	struct service *s = c->lane->delivery->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_lmtp_connect m = {.action = c->lane->action};

	str_cut(c->remote, sizeof(c->remote), "socket");
	m.req = c->lmtp_req = ask_begin(
	    service_asks(s), parent, service_now_ms(s) + LMTP_SOCKET_MS, on_socket_failed, c);
	if (m.req == 0 || channel_send(parent, MSG_lmtp_connect, &m) == -1)
		socket_is_refused(c, NULL);
}

void
carrier_lmtp_socket(struct carrier *c, int fd)
{
	ask_end(service_asks(c->lane->delivery->service), c->lmtp_req);
	c->lmtp_req = 0;
	c->fd = fd;
	carrier_ripen(c, EVENT_ROUTED);
}

void
carrier_lmtp_refused(struct carrier *c, const char *text)
{
	ask_end(service_asks(c->lane->delivery->service), c->lmtp_req);
	c->lmtp_req = 0;
	socket_is_refused(c, text);
}

/* -- servers -- */

/* "socks5://192.0.2.1:1080", "socks5://[2001:db8::1]:1080" */
static int
read_proxy(struct carrier *c, const struct conf_action *a)
{
	char text[IPC_NAME_MAX], *host = text, *colon;
	uint64_t port;

	c->proxy.len = 0;
	if (a->proxy == NULL)
		return 0;
	if (!str_starts_nocase(a->proxy, PROXY_SCHEME) ||
	    str_copy(text, sizeof(text), a->proxy + strlen(PROXY_SCHEME)) == -1 ||
	    (colon = strrchr(text, ':')) == NULL || colon == text ||
	    str_u64(colon + 1, 1, UINT16_MAX, &port) == -1)
		return -1;
	*colon = '\0';
	if (text[0] == '[' && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	}
	return addr_parse(host, (uint16_t)port, &c->proxy);
}

void
carrier_find(struct carrier *c)
{
	const struct conf_action *a = carrier_action(c);

	if (a == NULL) {
		fail_here(c, CAUSE_NO_ACTION, NULL);
		found_nobody(c);
	} else if (c->lane->lmtp_socket)
		ask_socket(c);
	else if (read_proxy(c, a) == -1) {
		fail_here(c, CAUSE_PROXY, a->proxy);
		found_nobody(c);
	} else
		ask_route(c, a);
}

static bool
is_too_late(const struct carrier *c)
{
	return service_now_ms(c->lane->delivery->service) - c->since_ms > SEARCH_MS;
}

void
carrier_next_server(struct carrier *c)
{
	if (++c->server < c->lane->nservers && !is_too_late(c))
		carrier_find(c);
	else
		found_nobody(c);
}

/* -- one host's addresses -- */

/* One source of each family, the lane's in turn.  -1: all are at their limits, until *at_ms. */
static int
choose_sources(struct carrier *c, int64_t *at_ms)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct lane *l = c->lane;
	const struct lane_source *s;
	int64_t at;
	size_t f, i;

	c->nsources = 0;
	for (f = 0; f < NITEMS(families); f++)
		for (i = 0; i < l->nsources; i++) {
			s = &l->sources[(l->turn + i) % l->nsources];
			if (s->addr.ss.ss_family != families[f])
				continue;
			if ((at = carrier_limits_source_at(c, s)) != 0) {
				*at_ms = *at_ms == 0 || at < *at_ms ? at : *at_ms;
				continue;
			}
			c->chosen[c->nsources] = s;
			c->sources[c->nsources++] = s->addr;
			break;
		}
	return l->nsources > 0 && c->nsources == 0 ? -1 : 0;
}

static bool
is_down(const struct carrier *c, const struct route_host *h)
{
	struct delivery *d = c->lane->delivery;
	char text[ADDR_TEXT_MAX];

	addr_format(&h->addr, text);
	return limit_host_is_down(d->limits, text, service_now_ms(d->service));
}

/* What a look through the hosts found. */
struct look {
	bool found;
	size_t first;
	int64_t at_ms; /* a better one is at its limit until then; 0: none */
};

static void
look_for_host(struct carrier *c, bool also_down, struct look *out)
{
	const struct route_host *h;
	uint32_t worst = UINT32_MAX;
	int64_t at;
	size_t i;

	for (i = 0; i < c->route.nhosts; i++) {
		h = &c->route.hosts[i];
		if (c->spent[i] || h->preference > worst || (!also_down && is_down(c, h)))
			continue;
		if ((at = carrier_limits_host_at(c, h)) == 0) {
			out->found = true;
			out->first = i;
			return;
		}
		worst = h->preference;
		out->at_ms = out->at_ms == 0 || at < out->at_ms ? at : out->at_ms;
	}
}

/* The addresses of the same host that can be tried now. */
static void
gather_addresses(struct carrier *c, size_t first)
{
	const struct route_host *h = c->route.hosts;
	size_t i;

	c->naddresses = 0;
	for (i = first; i < c->route.nhosts && c->naddresses < DIAL_ADDRESSES_MAX; i++) {
		if (c->spent[i] || strcmp(h[i].name, h[first].name) != 0)
			continue;
		if (i != first && (is_down(c, &h[i]) || carrier_limits_host_at(c, &h[i]) != 0))
			continue;
		c->which[c->naddresses] = i;
		c->addresses[c->naddresses++] = h[i].addr;
	}
}

static void
set_remote(struct carrier *c, size_t host)
{
	const struct route_host *h = &c->route.hosts[host];
	char address[ADDR_TEXT_MAX];

	addr_format(&h->addr, address);
	(void)snprintf(c->remote, sizeof(c->remote), "%.*s[%s]",
	    (int)(sizeof(c->remote) - sizeof(address) - 2), h->name, address);
}

static void
on_dialed(void *arg, int fd, size_t address, int error, const char *text)
{
	struct carrier *c = arg;

	c->fd = fd;
	c->dial_error = error;
	str_cut(c->dial_text, sizeof(c->dial_text), text);
	c->current = c->which[fd == -1 ? c->naddresses - 1 : address];
	carrier_ripen(c, EVENT_DIALED);
}

static void
spend(struct carrier *c, size_t until)
{
	size_t i;

	for (i = 0; i < c->naddresses && c->which[i] <= until; i++)
		c->spent[c->which[i]] = true;
}

static void
spend_host(struct carrier *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->route.nhosts; i++)
		if (strcmp(c->route.hosts[i].name, name) == 0)
			c->spent[i] = true;
}

static void
start_dial(struct carrier *c)
{
	const struct dial_options o = {.addresses = c->addresses,
	    .naddresses = c->naddresses,
	    .sources = c->sources,
	    .nsources = c->nsources,
	    .proxy = c->proxy.len > 0 ? &c->proxy : NULL,
	    .done = on_dialed,
	    .arg = c};

	c->lane->turn++;
	c->current = c->which[0];
	carrier_limits_count(c); /* others may look before it is connected */
	c->dial = dial_start(service_base(c->lane->delivery->service), &o);
	if (c->dial != NULL)
		return;
	fail_here(c, CAUSE_NO_MEMORY, NULL);
	found_nobody(c);
}

/* True: it is being dialled.  False: policy forbids the host, and it is spent. */
static bool
try_host(struct carrier *c, size_t first)
{
	const struct route_host *h = &c->route.hosts[first];
	struct verdict why;

	set_remote(c, first);
	if (carrier_tls_plan(c, h, &why) == -1) {
		carrier_failed(c, &why);
		spend_host(c, h->name);
		return false;
	}
	gather_addresses(c, first);
	start_dial(c);
	return true;
}

/* In plain, after TLS broke: to that address alone. */
static void
dial_again(struct carrier *c)
{
	c->naddresses = 1;
	c->which[0] = c->current;
	c->addresses[0] = c->route.hosts[c->current].addr;
	start_dial(c);
}

/* True: it waits, or gave up its place. */
static bool
wait_for_limits(struct carrier *c, int64_t at_ms)
{
	if (at_ms == 0)
		return false;
	if (!carrier_limits_wait(c, at_ms))
		found_nobody(c);
	return true;
}

void
carrier_next_host(struct carrier *c)
{
	struct look look;
	int64_t at = 0;

	if (c->plain) {
		dial_again(c);
		return;
	}
	do {
		look = (struct look){.found = false};
		if (is_too_late(c) || c->lane->lmtp_socket)
			break;
		if (choose_sources(c, &at) == -1 && wait_for_limits(c, at))
			return;
		look_for_host(c, false, &look);
		if (!look.found && look.at_ms == 0)
			look_for_host(c, true, &look);
		if (!look.found && wait_for_limits(c, look.at_ms))
			return;
	} while (look.found && !try_host(c, look.first));
	if (!look.found)
		carrier_next_server(c);
}

/* -- what came of it -- */

static void
dial_failed(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;
	const char *text = c->dial_text[0] != '\0' ? c->dial_text : strerror(c->dial_error);
	char address[ADDR_TEXT_MAX];
	size_t i;

	carrier_limits_forget_host(c);
	set_remote(c, c->current);
	fail_here(c, c->proxy.len > 0 ? CAUSE_PROXY : CAUSE_UNREACHABLE, text);
	c->plain = false;
	spend(c, c->current);
	for (i = 0; i < c->naddresses && c->proxy.len == 0; i++) {
		addr_format(&c->addresses[i], address);
		limit_host_down(d->limits, address, service_now_ms(d->service), text);
	}
	carrier_next_host(c);
}

static void
dial_succeeded(struct carrier *c)
{
	char address[ADDR_TEXT_MAX];

	set_remote(c, c->current);
	spend(c, c->current);
	addr_format(&c->route.hosts[c->current].addr, address);
	limit_host_up(c->lane->delivery->limits, address);
	if (c->current != c->which[0])
		carrier_limits_count(c);
}

void
carrier_on_dialed(struct carrier *c)
{
	int fd = c->fd;

	dial_stop(c->dial);
	c->dial = NULL;
	if (fd == -1) {
		dial_failed(c);
		return;
	}
	if (!c->lane->lmtp_socket)
		dial_succeeded(c);
	c->fd = -1;
	c->lane->delivery->nconnections++;
	if (carrier_connect(c, fd) == 0)
		return;
	(void)close(fd);
	fail_here(c, CAUSE_NO_MEMORY, NULL);
	found_nobody(c);
}

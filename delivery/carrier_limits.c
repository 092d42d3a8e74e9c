/* SPDX-License-Identifier: ISC */
/*
 * What a connection counts as: its lane from the start; its host, provider and source
 * from when it is dialled.
 *
 * Invariant: what was counted is taken back once, whatever way it ends.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "delivery/carrier_private.h"
#include "lib/base/str.h"

static int64_t
ask(const struct carrier *c, const struct limit_subject *s)
{
	struct delivery *d = c->lane->delivery;
	enum conf_scope scope;

	return limit_connect_at(d->limits, s, service_now_ms(d->service), &scope);
}

void
carrier_limits_init(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;

	memset(&c->subject, 0, sizeof(c->subject));
	c->subject.keys[CONF_SCOPE_DOMAIN] = c->lane->domain_key;
	c->subject.keys[CONF_SCOPE_RELAY] = c->lane->relay_key;
	if (limit_connect(d->limits, &c->subject, service_now_ms(d->service)) == 0)
		c->counted_lane = true;
}

/* With what is known of the connection besides, which is counted already. */
static struct limit_subject
subject_of(const struct carrier *c)
{
	return (struct limit_subject){.keys = {[CONF_SCOPE_DOMAIN] = c->lane->domain_key,
					  [CONF_SCOPE_RELAY] = c->lane->relay_key},
	    .silent = {[CONF_SCOPE_DOMAIN] = true, [CONF_SCOPE_RELAY] = true}};
}

int64_t
carrier_limits_mx_at(struct carrier *c, const char *host)
{
	struct limit_subject s = subject_of(c);

	s.keys[CONF_SCOPE_MX] = limit_mx_provider(host);
	return ask(c, &s);
}

int64_t
carrier_limits_source_at(struct carrier *c, const struct lane_source *source)
{
	struct limit_subject s = subject_of(c);

	s.keys[CONF_SCOPE_SOURCE] = source->address;
	return ask(c, &s);
}

/* The source of the address' family; NULL: the kernel chose. */
static const struct lane_source *
source_for(const struct carrier *c, const struct addr *host)
{
	size_t i;

	for (i = 0; i < c->nsources; i++)
		if (c->sources[i].ss.ss_family == host->ss.ss_family)
			return c->chosen[i];
	return NULL;
}

/* Where the address is, and from where it would be connected to. */
static void
take_keys(struct carrier *c, const struct route_host *h)
{
	const struct lane_source *source = source_for(c, &h->addr);

	addr_format(&h->addr, c->host_key);
	(void)snprintf(c->mx_key, sizeof(c->mx_key), "%s", limit_mx_provider(h->name));
	(void)snprintf(c->route_key, sizeof(c->route_key), "%s %s",
	    source != NULL ? source->address : "*", c->host_key);
	c->counted = subject_of(c);
	c->counted.keys[CONF_SCOPE_MX] = c->mx_key;
	c->counted.keys[CONF_SCOPE_HOST] = c->host_key;
	c->counted.keys[CONF_SCOPE_ROUTE] = c->route_key;
	if (source != NULL)
		c->counted.keys[CONF_SCOPE_SOURCE] = source->address;
}

int64_t
carrier_limits_host_at(struct carrier *c, const struct route_host *h)
{
	take_keys(c, h);
	return ask(c, &c->counted);
}

/* Who wants a place is short of one, and others sit on theirs. */
static bool
is_crowded(const struct delivery *d)
{
	size_t max = d->conf->values.delivery_max_connections;

	return !TAILQ_EMPTY(&d->lanes.blocked) && d->lanes.ncarriers >= max - max / 5;
}

/* More than a short while is the queue's business, and no attempt. */
bool
carrier_limits_wait(struct carrier *c, int64_t at_ms)
{
	struct delivery *d = c->lane->delivery;
	int64_t ms = at_ms - service_now_ms(d->service);

	if (ms <= LANE_PUT_OFF_MS && !is_crowded(d)) {
		carrier_wake_at(c, at_ms);
		return true;
	}
	verdict_of(&c->why, CAUSE_LIMITED, NULL);
	c->why.untried = c->has_why = true;
	c->why.again_s = ms / 1000;
	c->why_remote[0] = '\0';
	return false;
}

void
carrier_limits_forget_host(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;

	if (c->counted_host)
		limit_disconnect(d->limits, &c->counted, service_now_ms(d->service));
	c->counted_host = false;
}

void
carrier_limits_count(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;

	carrier_limits_forget_host(c);
	take_keys(c, &c->route.hosts[c->current]);
	c->counted_host = limit_connect(d->limits, &c->counted, service_now_ms(d->service)) == 0;
	c->subject = c->counted;
	memset(c->subject.silent, 0, sizeof(c->subject.silent));
}

void
carrier_limits_forget(struct carrier *c)
{
	struct delivery *d = c->lane->delivery;
	const struct limit_subject s = {.keys = {[CONF_SCOPE_DOMAIN] = c->lane->domain_key,
					    [CONF_SCOPE_RELAY] = c->lane->relay_key}};

	carrier_limits_forget_host(c);
	if (c->counted_lane)
		limit_disconnect(d->limits, &s, service_now_ms(d->service));
	c->counted_lane = false;
}

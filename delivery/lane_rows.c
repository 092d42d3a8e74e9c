/* SPDX-License-Identifier: ISC */
/*
 * What bounds deliveries, for `smtpctl show limits`: what is counted together first,
 * then the destinations that are known to be dead.
 *
 * Invariant: numbers rise within a page and from page to page.  Nothing is fatal.
 */
#include <string.h>

#include "delivery/lane_private.h"

#define LANE_ROWS (UINT64_C(1) << 63) /* lanes are numbered behind all else */

static const char *const scopes[CONF_SCOPE__MAX] = {
    [CONF_SCOPE_DOMAIN] = "domain",
    [CONF_SCOPE_RELAY] = "relay",
    [CONF_SCOPE_SOURCE] = "source",
    [CONF_SCOPE_MX] = "mx",
    [CONF_SCOPE_HOST] = "host",
    [CONF_SCOPE_ROUTE] = "route",
};

struct page {
	struct delivery *delivery;
	struct channel *ch;
	const struct msg_limits *ask;
	uint32_t n;
	bool more;
};

/* Of a moment on the steady clock; 0: none. */
static int64_t
wall_clock(const struct delivery *d, int64_t ms)
{
	int64_t left_ms = ms - service_now_ms(d->service);

	return left_ms <= 0 ? 0 : service_now_s(d->service) + (left_ms + 999) / 1000;
}

static uint32_t
count_waiting(const struct delivery *d, enum conf_scope scope, const char *key)
{
	const struct lane *l;
	size_t n = 0;

	for (l = TAILQ_FIRST(&d->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry))
		if ((scope == CONF_SCOPE_DOMAIN && strcmp(l->domain_key, key) == 0) ||
		    (scope == CONF_SCOPE_RELAY && strcmp(l->relay_key, key) == 0))
			n += l->nwaiting;
	return (uint32_t)n;
}

/* False: the page is full. */
static bool
send_row(struct page *p, const struct msg_limits_row *m)
{
	if (p->n == p->ask->limit) {
		p->more = true;
		return false;
	}
	p->n++;
	(void)channel_send(p->ch, MSG_limits_row, m);
	return true;
}

static bool
visit_limit(void *arg, const struct limit_row *row)
{
	struct page *p = arg;
	const struct msg_limits_row m = {.req = p->ask->req,
	    .number = row->number,
	    .scope = scopes[row->scope],
	    .key = row->key,
	    .connections = row->connections,
	    .connections_max = row->connections_max,
	    .mails = row->mails,
	    .mails_max = row->mails_max,
	    .delay_ms = row->delay_ms,
	    .waiting = count_waiting(p->delivery, row->scope, row->key),
	    .until_s = wall_clock(p->delivery, row->down_until_ms),
	    .why = row->why};

	return send_row(p, &m);
}

static bool
send_lane(struct page *p, const struct lane *l)
{
	const struct msg_limits_row m = {.req = p->ask->req,
	    .number = LANE_ROWS | l->number,
	    .scope = "dead",
	    .key = l->nservers > 0 ? l->relay_key : l->domain_key,
	    .waiting = (uint32_t)l->nwaiting,
	    .until_s = wall_clock(p->delivery, l->dead_until_ms),
	    .why = l->why->text};

	return send_row(p, &m);
}

static void
list_dead(struct page *p)
{
	const struct lane *l;

	for (l = TAILQ_FIRST(&p->delivery->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry))
		if (l->state == LANE_DEAD && (LANE_ROWS | l->number) > p->ask->after &&
		    !send_lane(p, l))
			return;
}

void
lanes_list(struct delivery *d, struct channel *ch, const struct msg_limits *m)
{
	struct page p = {.delivery = d, .ch = ch, .ask = m};
	struct msg_limits_end end = {.req = m->req,
	    .connections = (uint32_t)d->lanes.ncarriers,
	    .connections_max = (uint32_t)d->conf->values.delivery_max_connections};

	if (m->after < LANE_ROWS)
		limits_list(d->limits, m->after, service_now_ms(d->service), visit_limit, &p);
	if (!p.more)
		list_dead(&p);
	end.more = p.more;
	(void)channel_send(ch, MSG_limits_end, &end);
}

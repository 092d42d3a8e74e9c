/* SPDX-License-Identifier: ISC */
/*
 * Lanes: which mail waits for which servers, and when connections are sent out for it.
 * How a lane is, and how many it is worth, is in lane_health.c.
 *
 * Invariants: a lane that knows of no living server has one carrier under way at most;
 * what waits is judged by what that one finds.  All connections together are at most
 * "mta max-connections", and the last fifth of them is for lanes that have none.
 * Nothing is fatal.
 */
#include "delivery/lane.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/carrier.h"
#include "delivery/lane_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define LANES_MAX 20000

/* -- what is to be looked at, and when -- */

void
lane_mark(struct lane *l)
{
	if (l->hot)
		return;
	l->hot = true;
	TAILQ_INSERT_TAIL(&l->delivery->lanes.hot, l, hot_entry);
}

void
lane_wake_at(struct lane *l, int64_t at_ms)
{
	int64_t ms = at_ms - service_now_ms(l->delivery->service);
	struct timeval tv;

	ms = ms > 0 ? ms : 1;
	tv = (struct timeval){ms / 1000, (ms % 1000) * 1000};
	(void)event_add(l->timer, &tv);
}

static void
block(struct lane *l)
{
	if (l->blocked)
		return;
	l->blocked = true;
	TAILQ_INSERT_TAIL(&l->delivery->lanes.blocked, l, blocked_entry);
}

static void
unblock(struct lane *l)
{
	if (!l->blocked)
		return;
	l->blocked = false;
	TAILQ_REMOVE(&l->delivery->lanes.blocked, l, blocked_entry);
}

/* -- who waits -- */

struct relay *
lane_take(struct lane *l)
{
	struct relay *r = TAILQ_FIRST(&l->waiting);

	if (r == NULL)
		return NULL;
	TAILQ_REMOVE(&l->waiting, r, entry);
	l->nwaiting--;
	return r;
}

void
lane_put_back(struct lane *l, struct relay *r)
{
	r->place = RELAY_WAITING;
	r->carrier = NULL;
	TAILQ_INSERT_HEAD(&l->waiting, r, entry);
	l->nwaiting++;
	lane_mark(l);
}

void
lane_judge_all(struct lane *l, const struct verdict *v, const char *remote)
{
	const struct job_via via = {.remote = remote, .tls = ""};
	struct relay *r;

	while ((r = lane_take(l)) != NULL) {
		relay_judge(r, v, &via);
		relay_end(r);
	}
}

/* It has to wait for long: that is the queue's business, and no attempt. */
void
lane_put_off(struct lane *l, const struct verdict *why, const char *remote, int64_t until_ms)
{
	struct verdict v = *why;

	v.outcome = IPC_RETRY;
	v.untried = true;
	v.again_s = (until_ms - service_now_ms(l->delivery->service) + 999) / 1000;
	v.again_s = v.again_s > 0 ? v.again_s : 1;
	lane_judge_all(l, &v, remote);
}

static struct lane *
find_forgettable(struct delivery *d)
{
	struct lane *l;

	for (l = TAILQ_FIRST(&d->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry))
		if (l->nwaiting == 0 && TAILQ_EMPTY(&l->carriers))
			return l;
	return NULL;
}

static struct lane *
lane_for(struct delivery *d, const struct lane_plan *plan)
{
	char key[LANE_KEY_MAX];
	struct lane *l;

	if (lane_key(plan, key, sizeof(key)) == -1)
		return NULL;
	if ((l = map_get(d->lanes.by_key, key)) != NULL)
		return l;
	if (map_count(d->lanes.by_key) >= LANES_MAX && (l = find_forgettable(d)) != NULL)
		lane_free(l);
	return lane_create(d, plan, key);
}

int
lane_join(struct delivery *d, const struct lane_plan *plan, struct relay *r)
{
	struct lane *l = lane_for(d, plan);

	if (l == NULL)
		return -1;
	l->tls_best = plan->tls_best;
	r->lane = l;
	r->place = RELAY_WAITING;
	TAILQ_INSERT_TAIL(&l->waiting, r, entry);
	l->nwaiting++;
	lane_mark(l);
	return 0;
}

void
lane_leave(struct relay *r)
{
	if (r->place == RELAY_CARRIED)
		carrier_cut(r->carrier);
	if (r->place == RELAY_WAITING) {
		TAILQ_REMOVE(&r->lane->waiting, r, entry);
		r->lane->nwaiting--;
		lane_mark(r->lane);
	}
	r->carrier = NULL;
	r->lane = NULL;
}

/* -- sending carriers out -- */

static bool
wants_carrier(const struct lane *l)
{
	return l->nwaiting > l->nsearching && l->nactive < l->window;
}

static bool
is_room_for(const struct lane *l)
{
	const struct delivery *d = l->delivery;
	size_t max = d->conf->values.delivery_max_connections;

	return d->lanes.ncarriers < (TAILQ_EMPTY(&l->carriers) ? max : max - max / 5);
}

/* An idle connection of another lane can go. */
static bool
can_make_room(const struct lane *l)
{
	return TAILQ_EMPTY(&l->carriers) && !TAILQ_EMPTY(&l->delivery->lanes.idle);
}

/* 0: now. */
static int64_t
limits_allow_at(struct lane *l, int64_t now, enum conf_scope *scope)
{
	const struct limit_subject s = {
	    .keys = {[CONF_SCOPE_DOMAIN] = l->domain_key, [CONF_SCOPE_RELAY] = l->relay_key}};
	int64_t at = limit_connect_at(l->delivery->limits, &s, now, scope);
	int64_t mail_at = limit_mail_at(l->delivery->limits, &s, now, scope);

	if (l->pause_ms > now && l->pause_ms > at)
		at = l->pause_ms;
	return at > mail_at ? at : mail_at;
}

/* False: not now. */
static bool
send_out(struct lane *l, int64_t now)
{
	enum conf_scope scope = CONF_SCOPE__MAX;
	struct verdict v;
	int64_t at;

	if (!is_room_for(l) && !can_make_room(l)) { /* first, for thousands may have to hear it */
		block(l);
		return false;
	}
	at = limits_allow_at(l, now, &scope);
	if (at > now + LANE_PUT_OFF_MS && l->nactive == 0) {
		verdict_of(&v, CAUSE_LIMITED, NULL);
		lane_put_off(l, &v, "", at);
		return false;
	}
	if (at > 0) {
		lane_wake_at(l, at);
		block(l);
		return false;
	}
	if (!is_room_for(l)) {
		carrier_retire(TAILQ_FIRST(&l->delivery->lanes.idle));
		block(l);
		return false;
	}
	if (carrier_start(l) == 0)
		return true;
	verdict_of(&v, CAUSE_NO_MEMORY, NULL);
	lane_judge_all(l, &v, "");
	return false;
}

/* What is known of trouble is kept for a while. */
static bool
is_over(const struct lane *l, int64_t now)
{
	return l->nwaiting == 0 && TAILQ_EMPTY(&l->carriers) &&
	       (l->nfailures == 0 || l->dead_until_ms + LANE_DEAD_MAX_MS < now) &&
	       (l->nlost == 0 || l->pause_ms + LANE_DEAD_MAX_MS < now);
}

/* The servers of its mail may be others now, and what is demanded of them. */
static void
plan_anew(struct lane *l, int64_t now)
{
	struct verdict v;

	l->renewed = false;
	verdict_of(&v, CAUSE_RENEWED, NULL);
	lane_put_off(l, &v, "", now);
}

static void
lane_look(struct lane *l)
{
	int64_t now = service_now_ms(l->delivery->service);

	unblock(l);
	if (l->renewed)
		plan_anew(l, now);
	if (l->state == LANE_DEAD && now >= l->dead_until_ms)
		l->state = LANE_NEW;
	if (l->state == LANE_DEAD && l->nwaiting > 0)
		lane_put_off(l, l->why, l->remote, l->dead_until_ms);
	carriers_feed(l);
	while (wants_carrier(l) && send_out(l, now))
		;
	if (is_over(l, now))
		lane_free(l);
}

/* -- the loop's top -- */

/* Who was blocked is looked at first, in that order; who still is goes to the end. */
static void
mark_blocked(struct delivery *d)
{
	struct lane *l;

	TAILQ_FOREACH_REVERSE(l, &d->lanes.blocked, lane_list, blocked_entry)
	{
		if (l->hot)
			TAILQ_REMOVE(&d->lanes.hot, l, hot_entry);
		l->hot = true;
		TAILQ_INSERT_HEAD(&d->lanes.hot, l, hot_entry);
	}
	d->lanes.room = false;
}

void
lanes_turn(struct delivery *d)
{
	struct lane *l;

	do {
		carriers_turn(d);
		if (d->lanes.room)
			mark_blocked(d);
		while ((l = TAILQ_FIRST(&d->lanes.hot)) != NULL) {
			TAILQ_REMOVE(&d->lanes.hot, l, hot_entry);
			l->hot = false;
			lane_look(l);
		}
	} while (!TAILQ_EMPTY(&d->lanes.ripe));
}

void
lanes_tick(struct delivery *d)
{
	int64_t now = service_now_ms(d->service);
	struct lane *l;

	limits_tick(d->limits, now);
	for (l = TAILQ_FIRST(&d->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry))
		if (is_over(l, now))
			lane_mark(l);
}

void
lanes_forgive(struct delivery *d)
{
	int64_t now = service_now_ms(d->service);
	struct lane *l;

	limits_forgive(d->limits);
	for (l = TAILQ_FIRST(&d->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry)) {
		if (l->state != LANE_DEAD)
			continue;
		l->state = LANE_NEW;
		l->dead_until_ms = l->pause_ms = now;
		lane_mark(l);
	}
}

void
lanes_drain(struct delivery *d)
{
	struct carrier *c;

	while ((c = TAILQ_FIRST(&d->lanes.idle)) != NULL)
		carrier_retire(c);
}

void
lanes_renew(struct delivery *d)
{
	struct lane *l;

	for (l = TAILQ_FIRST(&d->lanes.all); l != NULL; l = TAILQ_NEXT(l, entry)) {
		carriers_wear(l);
		l->renewed = true;
		lane_mark(l);
	}
}

int
lanes_init(struct delivery *d)
{
	TAILQ_INIT(&d->lanes.all);
	TAILQ_INIT(&d->lanes.hot);
	TAILQ_INIT(&d->lanes.blocked);
	TAILQ_INIT(&d->lanes.ripe);
	TAILQ_INIT(&d->lanes.idle);
	d->lanes.by_key = map_create(LANES_MAX);
	d->limits = limits_create();
	return d->lanes.by_key == NULL || d->limits == NULL ? -1 : 0;
}

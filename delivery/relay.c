/* SPDX-License-Identifier: ISC */
/*
 * One job on its way to other hosts: what has to be known before it joins a lane,
 * and its end.
 *
 * Invariants: every recipient has a verdict when a relay ends; its job lives as long
 * as it does, for a connection reads of it.  Nothing is fatal.
 */
#include "delivery/relay.h"

#include <stdlib.h>
#include <string.h>

#include "delivery/carrier.h"
#include "delivery/relay_private.h"

/* -- ends -- */

static void
relay_free(struct relay *r)
{
	if (r->job != NULL)
		job_relayed(r->job);
	relay_plan_free(r);
	relay_ascii_free(r);
	free(r->sender);
	free(r->addresses);
	free(r->indices);
	free(r->dsn);
	free(r);
}

void
relay_judge(struct relay *r, const struct verdict *v, const struct job_via *via)
{
	if (r->job != NULL)
		job_verdict_all(r->job, v, via);
}

static void
stop_all(struct relay *r)
{
	body_stop(&r->body);
	ask_end(service_asks(r->delivery->service), r->req);
	r->req = 0;
}

void
relay_end(struct relay *r)
{
	struct verdict v;

	if (r->place == RELAY_OVER)
		return;
	stop_all(r);
	if (r->job != NULL && !job_is_judged(r->job)) {
		verdict_of(&v, CAUSE_CONNECTION_LOST, NULL);
		relay_judge(r, &v, NULL);
	}
	r->place = RELAY_OVER;
	TAILQ_INSERT_TAIL(&r->delivery->relays_over, r, entry);
}

void
relay_fail(struct relay *r, const struct verdict *why)
{
	relay_judge(r, why, NULL);
	relay_end(r);
}

void
relay_fail_by(struct relay *r, enum cause cause, const char *detail)
{
	struct verdict v;

	verdict_of(&v, cause, detail);
	relay_fail(r, &v);
}

void
relay_abandon(struct relay *r)
{
	if (r->place == RELAY_OVER) {
		r->job = NULL;
		return;
	}
	stop_all(r);
	lane_leave(r);
	r->job = NULL;
	relay_end(r);
}

/* -- the body, for whoever carries it -- */

static void
on_chunk(void *arg, struct span data)
{
	struct relay *r = arg;

	carrier_body(r->carrier, data);
}

static void
on_body_whole(void *arg)
{
	struct relay *r = arg;

	carrier_body_end(r->carrier);
}

static void
on_body_broken(void *arg, enum cause why)
{
	struct relay *r = arg;

	carrier_body_break(r->carrier, why);
}

static const struct body_callbacks body_calls = {on_chunk, on_body_whole, on_body_broken};

/* -- the start -- */

static bool (*const steps[])(struct relay *r, const struct conf_action *action) = {
    relay_srs_begin,
    relay_ascii_begin,
    relay_plan_begin,
};

void
relay_go_on(struct relay *r)
{
	const struct conf_action *action = conf_action_find(r->delivery->conf, r->job->action);

	if (action == NULL) {
		relay_fail_by(r, CAUSE_NO_ACTION, NULL);
		return;
	}
	while (r->step < NITEMS(steps))
		if (steps[r->step++](r, action))
			return;
	r->body.callbacks = &body_calls;
	if (relay_plan_join(r, action) == -1)
		relay_fail_by(r, CAUSE_NO_MEMORY, NULL);
}

static struct relay *
relay_create(struct job *j)
{
	struct relay *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->asker = ASKER_RELAY;
	r->delivery = j->delivery;
	r->job = j;
	r->body.arg = r;
	r->body.id = j->id;
	r->body.size_bytes = j->size_bytes;
	r->body.nchunks = j->nchunks;
	r->addresses = calloc(j->nrcpts, sizeof(*r->addresses));
	r->indices = calloc(j->nrcpts, sizeof(*r->indices));
	if (r->addresses == NULL || r->indices == NULL) {
		r->job = NULL;
		relay_free(r);
		return NULL;
	}
	j->relay = r;
	return r;
}

void
relay_start(struct job *j, const struct conf_action *action)
{
	struct relay *r = relay_create(j);
	struct verdict v;

	if (r == NULL) {
		verdict_of(&v, CAUSE_NO_MEMORY, NULL);
		job_verdict_all(j, &v, NULL);
	} else if (relay_take_order(r, action, &v) == -1)
		relay_fail(r, &v);
	else
		relay_go_on(r);
}

/* -- the loop's top -- */

void
relays_turn(struct delivery *d)
{
	struct relay *r;

	while ((r = TAILQ_FIRST(&d->relays_over)) != NULL) {
		TAILQ_REMOVE(&d->relays_over, r, entry);
		relay_free(r);
	}
}

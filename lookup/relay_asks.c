/* SPDX-License-Identifier: ISC */
/*
 * What delivery asks of a relay action's tables.
 *
 * Invariant: every question gets one relay_end, unless its asker is gone before; what comes
 * before it is whole.  One that is answered at once leaves nothing behind.  Nothing is
 * fatal.
 */
#include "lookup/relay_asks.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/lookup.h"
#include "lookup/relay_plan.h"

#define RELAY_ASKS_MAX 4096  /* that wait, at once */
#define DEADLINE_MS    30000 /* delivery's is longer */

struct relay_ask { /* owned by the list */
	TAILQ_ENTRY(relay_ask) entry;
	struct relay_asks *all;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	struct inquiry *inquiry;
	char action[CONF_NAME_MAX + 1], sender[IPC_ADDRESS_MAX + 1], dest[IPC_NAME_MAX + 1];
};

struct relay_asks {
	struct lookup *lookup;
	TAILQ_HEAD(, relay_ask) head; /* the oldest first */
	size_t n;
};

struct relay_asks *
relay_asks_create(struct lookup *l)
{
	struct relay_asks *ra;

	if ((ra = calloc(1, sizeof(*ra))) == NULL)
		return NULL;
	ra->lookup = l;
	TAILQ_INIT(&ra->head);
	return ra;
}

static void
ask_free(struct relay_ask *a)
{
	inquiry_free(a->inquiry);
	TAILQ_REMOVE(&a->all->head, a, entry);
	a->all->n--;
	free(a);
}

void
relay_asks_free(struct relay_asks *ra)
{
	struct relay_ask *a;

	if (ra == NULL)
		return;
	while ((a = TAILQ_FIRST(&ra->head)) != NULL)
		ask_free(a);
	free(ra);
}

void
relay_asks_unlink(struct relay_asks *ra, const struct channel *ch)
{
	struct relay_ask *a, *next;

	for (a = TAILQ_FIRST(&ra->head); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->ch == ch)
			ask_free(a);
	}
}

size_t
relay_asks_count(const struct relay_asks *ra)
{
	return ra->n;
}

/* -- answers -- */

static void
send_end(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *status,
    const char *text)
{
	struct msg_relay_end m = {
	    .req = req, .outcome = (uint8_t)outcome, .status = status, .text = text};

	(void)channel_send(ch, MSG_relay_end, &m);
}

static void
send_plan(struct channel *ch, uint32_t req, const struct relay_plan *plan)
{
	size_t i;

	for (i = 0; plan->outcome == IPC_OK && i < plan->nservers; i++) {
		struct msg_relay_url m = {.req = req, .url = plan->servers[i]};

		if (channel_send(ch, MSG_relay_url, &m) == -1)
			return;
	}
	for (i = 0; plan->outcome == IPC_OK && i < plan->nsources; i++) {
		const struct relay_source *s = &plan->sources[i];
		struct msg_relay_source m = {.req = req, .address = s->address, .helo = s->helo};

		if (channel_send(ch, MSG_relay_source, &m) == -1)
			return;
	}
	send_end(ch, req, plan->outcome, plan->status, plan->text);
}

/* -- work -- */

static void
on_resume(void *arg)
{
	struct relay_ask *a = arg;
	struct policy policy = lookup_policy(a->all->lookup, a->inquiry);
	struct relay_question q = {.action = conf_action_find(policy.conf, a->action),
	    .sender = a->sender,
	    .dest = a->dest};
	struct relay_plan plan = {
	    .outcome = IPC_RETRY, .status = "4.3.5", .text = "the action is no longer configured"};

	if (q.action != NULL && q.action->kind == CONF_ACTION_RELAY)
		relay_plan_make(&policy, &q, &plan);
	if (plan.pending)
		return;
	send_plan(a->ch, a->req, &plan);
	ask_free(a);
}

void
relay_ask_begin(struct relay_asks *ra, struct channel *ch, const struct msg_relay_ask *m)
{
	struct lookup *l = ra->lookup;
	struct relay_ask *a = NULL;

	if (ra->n == RELAY_ASKS_MAX || (a = calloc(1, sizeof(*a))) == NULL ||
	    (a->inquiry = lookup_inquiry(l, on_resume, a)) == NULL ||
	    str_copy(a->action, sizeof(a->action), m->action) == -1 ||
	    str_copy(a->sender, sizeof(a->sender), m->sender) == -1 ||
	    str_copy(a->dest, sizeof(a->dest), m->dest) == -1) {
		if (a != NULL)
			inquiry_free(a->inquiry);
		free(a);
		send_end(ch, m->req, IPC_RETRY, "4.3.2", "too many questions under way");
		return;
	}
	a->all = ra;
	a->ch = ch;
	a->req = m->req;
	a->deadline_ms = service_now_ms(l->service) + DEADLINE_MS;
	TAILQ_INSERT_TAIL(&ra->head, a, entry);
	ra->n++;
	on_resume(a);
}

/* What is not answered by now is trouble, which is an answer. */
void
relay_asks_tick(struct relay_asks *ra, int64_t now_ms)
{
	struct relay_ask *a;

	while ((a = TAILQ_FIRST(&ra->head)) != NULL && a->deadline_ms <= now_ms) {
		inquiry_give_up(a->inquiry);
		on_resume(a);
	}
}

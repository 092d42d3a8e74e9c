/* SPDX-License-Identifier: ISC */
/*
 * Expansion of recipients: a stack of texts with targets, followed depth first.
 *
 * Invariant: seen holds a key for each step that was taken and each item there
 * is, so that nothing is done twice and every loop ends; at most EXPAND_WIDTH_MAX
 * targets are followed, at most EXPAND_DEPTH_MAX deep.  A target that waits for an
 * answer has changed nothing.  Nothing is fatal.
 */
#include "lookup/expand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/expand_private.h"

#define TEXT_MAX      (EXPAND_WIDTH_MAX * (size_t)(TARGET_MAX + 16)) /* octets of targets */
#define LARGE_TARGETS 256
#define LARGE_OCTETS  (16 << 10)

/* -- frames -- */

static void
frame_pop(struct expander *e)
{
	free(e->frames[--e->nframes].text);
}

static void
frame_push(struct expander *e, const struct plan *plan, const char *what)
{
	static const char *const kinds[] = {[SOURCE_ALIAS] = "alias",
	    [SOURCE_VIRTUAL] = "virtual",
	    [SOURCE_INCLUDE] = "include",
	    [SOURCE_FORWARD] = "forward",
	    [SOURCE_SRS] = "srs",
	    [SOURCE_POSTMASTER] = "postmaster"};
	const struct frame *above = e->nframes > 0 ? &e->frames[e->nframes - 1] : NULL;
	struct frame *f = &e->frames[e->nframes];
	bool include = plan->source == SOURCE_INCLUDE;
	size_t len = strnlen(plan->text, TEXT_MAX);

	if (e->nframes == EXPAND_DEPTH_MAX) {
		expand_fail_all(e, "aliases nested too deep", what);
		return;
	}
	if (len == TEXT_MAX) {
		expand_fail_all(e, "too many recipients", what);
		return;
	}
	expand_tell(
	    e, kinds[plan->source], what, &plan->step, plan->table != NULL ? plan->table : "");
	*f = (struct frame){.step = plan->step,
	    .source = plan->source,
	    .table = plan->table,
	    .by_alias = include ? above->by_alias : plan->source == SOURCE_ALIAS,
	    .text = strdup(plan->text)};
	if (plan->source == SOURCE_FORWARD)
		memcpy(f->account, plan->account, sizeof(f->account));
	else if (above != NULL)
		memcpy(f->account, above->account, sizeof(f->account));
	e->noctets += len;
	if ((f->at = f->text) == NULL)
		e->no_memory = true;
	else
		e->nframes++;
}

/* -- the loop -- */

/* What no rule was found for has no action, and can't lead back to itself. */
static bool
is_first(struct expander *e, const struct plan *plan, const char *what)
{
	const struct frame *f = e->nframes > 0 ? &e->frames[e->nframes - 1] : NULL;
	char key[STEP_KEY_MAX + TARGET_MAX + 1];

	if (plan->step.action == NULL)
		return true;
	if (step_key(&plan->step, f, key, sizeof(key)) == -1 ||
	    (!plan->is_step && str_append(key, sizeof(key), what) == -1))
		return false;
	return expand_seen_first(e, key);
}

static void
carry_out(struct expander *e, const struct plan *plan, const char *what)
{
	if (plan->move != MOVE_FAIL && plan->move != MOVE_REPEATED && !is_first(e, plan, what))
		return;
	switch (plan->move) {
	case MOVE_FAIL:
		expand_tell(e, "failed", what, &plan->step, plan->why);
		expand_add_failed(e, plan->status, plan->why, what);
		break;
	case MOVE_LATER:
		expand_tell(e, "later", what, &plan->step, plan->why);
		expand_add_later(e, plan, what);
		break;
	case MOVE_REPEATED:
		expand_tell(e, "repeated", what, &plan->step, "");
		break;
	case MOVE_FOLLOW:
		frame_push(e, plan, what);
		break;
	case MOVE_MAILBOX:
		expand_add_local(e, &plan->step, plan->account);
		break;
	case MOVE_RELAY:
		expand_add_relay(e, &plan->step, what);
		break;
	case MOVE_PENDING:
		bug_on(true);
	}
}

/* One has to wait: the answers that those behind it need are asked for meanwhile. */
static void
look_ahead(const struct expander *e, const struct frame *f, const char *at)
{
	char target[TARGET_MAX + 1];
	struct plan plan;
	size_t i;

	for (i = 1; i < EXPAND_AHEAD; i++)
		switch (target_next(&at, target)) {
		case TARGET_ONE:
			plan_target(e, f, target, &plan);
			break;
		case TARGET_TOO_LONG:
			break;
		case TARGET_END:
			return;
		}
}

/* False: it has to wait. */
static bool
follow_next(struct expander *e)
{
	struct frame *f = &e->frames[e->nframes - 1];
	char target[TARGET_MAX + 1];
	const char *at = f->at;
	struct plan plan;

	switch (target_next(&at, target)) {
	case TARGET_END:
		frame_pop(e);
		return true;
	case TARGET_TOO_LONG:
		plan = (struct plan){
		    .move = MOVE_FAIL, .status = "5.2.4", .why = "alias target too long"};
		break;
	case TARGET_ONE:
		plan_target(e, f, target, &plan);
		break;
	}
	if (plan.move == MOVE_PENDING) {
		look_ahead(e, f, at);
		return false;
	}
	f->at = at;
	e->ntargets += plan.move != MOVE_FOLLOW || plan.source != SOURCE_INCLUDE;
	if (e->ntargets > EXPAND_WIDTH_MAX)
		expand_fail_all(e, "too many recipients", e->first.address.local);
	else
		carry_out(e, &plan, target);
	return true;
}

static bool
follow_first(struct expander *e)
{
	char what[ADDRESS_MAX + 1];
	struct plan plan = {.step = e->first, .status = ""};

	if (address_format(&e->first.address, what, sizeof(what)) == -1)
		what[0] = '\0';
	if (e->first.action == NULL)
		plan_address(e, NULL, &plan);
	else
		plan_step(e, NULL, &plan);
	if (plan.move == MOVE_PENDING)
		return false;
	e->begun = true;
	carry_out(e, &plan, what);
	return true;
}

enum expand_state
expander_run(struct expander *e, size_t targets)
{
	bool goes_on = true;

	while (goes_on && !e->no_memory && e->out.outcome == IPC_OK) {
		if (e->begun && e->nframes == 0)
			break;
		if (targets-- == 0)
			return EXPAND_MORE;
		goes_on = e->begun ? follow_next(e) : follow_first(e);
	}
	if (!goes_on)
		return EXPAND_PENDING;
	expand_settle(e);
	return EXPAND_DONE;
}

struct expander *
expander_create(const struct policy *p, const struct address *a, const struct conf_action *action)
{
	struct expander *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	e->policy = *p;
	e->first = (struct step){.address = *a, .action = action};
	e->out.outcome = IPC_OK;
	if ((e->seen = map_create(4 * EXPAND_WIDTH_MAX)) == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

void
expander_free(struct expander *e)
{
	if (e == NULL)
		return;
	while (e->nframes > 0)
		frame_pop(e);
	expand_items_drop(&e->out);
	map_free(e->seen, NULL);
	free(e);
}

void
expander_observe(struct expander *e, expand_observer observe, void *arg)
{
	e->observe = observe;
	e->observe_arg = arg;
}

bool
expander_is_large(const struct expander *e)
{
	return e->ntargets > LARGE_TARGETS || e->noctets > LARGE_OCTETS;
}

const struct expansion *
expander_result(const struct expander *e)
{
	return &e->out;
}

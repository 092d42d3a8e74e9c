/* SPDX-License-Identifier: ISC */
/*
 * Explains where a recipient that is accepted goes: what it stands for.
 *
 * Invariant: what the queue would be told is told here by the same expander.  Nothing is
 * fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/explain_private.h"
#include "lookup/recipient.h"

#define TARGETS_A_TURN 500

/* -- the action -- */

static void
relay_text(const struct conf_action *a, char *dst, size_t size)
{
	if (a->host != NULL)
		(void)snprintf(dst, size, "relay %s", a->host);
	else if (a->host_table != NULL)
		(void)snprintf(dst, size, "relay as table <%s> says", a->host_table);
	else if (a->domain_table != NULL)
		(void)snprintf(
		    dst, size, "relay as table <%s> says of the domain", a->domain_table);
	else
		(void)snprintf(dst, size, "relay to the hosts that the domain names%s",
		    a->backup ? ", the better ones than this" : "");
}

static void
way_text(const struct conf_action *a, char *dst, size_t size)
{
	static const char *const words[] = {
	    [CONF_ACTION_MAILDIR] = "maildir",
	    [CONF_ACTION_MBOX] = "mbox",
	    [CONF_ACTION_MDA] = "mda",
	    [CONF_ACTION_LMTP] = "lmtp",
	    [CONF_ACTION_RELAY] = "relay",
	    [CONF_ACTION_EXPAND_ONLY] = "expand-only",
	    [CONF_ACTION_FORWARD_ONLY] = "forward-only",
	};
	const char *target = a->target;

	if (a->kind == CONF_ACTION_RELAY) {
		relay_text(a, dst, size);
		return;
	}
	if (a->kind == CONF_ACTION_MAILDIR && target == NULL)
		target = "~/Maildir";
	(void)snprintf(dst, size, "%s%s%s", words[a->kind], target == NULL ? "" : " ",
	    target == NULL ? "" : target);
}

/* -- what it stands for -- */

static void
set_depth(struct explanation *x, unsigned int depth)
{
	for (; x->way.depth < depth; x->way.depth++)
		explain_in(x->tree);
	for (; x->way.depth > depth; x->way.depth--)
		explain_out(x->tree);
}

/*
 * They belong to the step that comes next.  Where an expansion waits it asks ahead, and asks the
 * same again when it goes on: each question is shown once.
 */
static void
on_way_lookup(void *arg, const struct inquiry_event *e)
{
	struct explanation *x = arg;
	struct explain_lookup l;

	if (e->answer == TABLE_PENDING)
		return;
	explain_lookup_step(&l, e);
	if (map_get(x->way.asked, l.subject) != NULL || map_set(x->way.asked, l.subject, x) == -1)
		return;
	set_depth(x, expander_depth(x->way.expander) + 1);
	explain_add(x->tree, &l.step);
}

static void
on_expand(void *arg, const struct expand_event *e)
{
	struct explanation *x = arg;
	char text[IPC_TEXT_MAX];

	set_depth(x, e->depth + 1);
	if (e->action[0] != '\0')
		(void)snprintf(text, sizeof(text), "%s%saction \"%s\"", e->text,
		    e->text[0] == '\0' ? "" : ", ", e->action);
	else
		(void)snprintf(text, sizeof(text), "%s", e->text);
	explain_wrap(x->tree, x->part_mark,
	    &(struct explain_step){.kind = e->kind, .subject = e->subject, .text = text});
	x->part_mark = explain_mark(x->tree);
}

static int
start_expansion(struct explanation *x)
{
	const struct policy p = explain_policy(x);
	const struct conf_action *action = conf_action_find(p.conf, x->decision.action);
	struct address address;

	x->whole_mark = x->part_mark = explain_mark(x->tree);
	x->way.depth = 0;
	if (action == NULL || recipient_parse(&p, x->rcpt, &address) == -1 ||
	    (x->way.asked = map_create(EXPLAIN_ROWS_MAX)) == NULL ||
	    (x->way.expander = expander_create(&p, &address, action)) == NULL)
		return -1;
	inquiry_observe(x->inquiry, on_way_lookup, x);
	expander_observe(x->way.expander, on_expand, x);
	return 0;
}

static void
end_expansion(struct explanation *x)
{
	const struct expansion *e = expander_result(x->way.expander);
	char subject[CONF_NAME_MAX + 16], text[CONF_STRING_MAX + 64], way[CONF_STRING_MAX + 64];
	char why[sizeof(x->decision.why)];

	set_depth(x, 0);
	inquiry_observe(x->inquiry, NULL, NULL);
	way_text(conf_action_find(x->lookup->conf, x->decision.action), way, sizeof(way));
	(void)snprintf(subject, sizeof(subject), "action \"%s\"", x->decision.action);
	if (e->outcome == IPC_OK)
		(void)snprintf(text, sizeof(text), "%s", way);
	else
		(void)snprintf(text, sizeof(text), "%s %s", e->status, e->text);
	explain_wrap(x->tree, x->whole_mark,
	    &(struct explain_step){.kind = "delivery",
		.subject = subject,
		.result = e->outcome == IPC_OK	    ? "yes"
			  : e->outcome == IPC_RETRY ? "trouble"
						    : "no",
		.text = text});
	if (e->outcome == IPC_OK)
		return;
	str_cut(why, sizeof(why), x->decision.why);
	explain_why(x, "%s; but then delivery %s: %s", why,
	    e->outcome == IPC_RETRY ? "has to wait" : "fails", text);
}

enum stage_result
explain_expansion(struct explanation *x)
{
	if (x->way.expander == NULL && start_expansion(x) == -1)
		return STAGE_NEXT;
	switch (expander_run(x->way.expander, TARGETS_A_TURN)) {
	case EXPAND_MORE:
		inquiry_yield(x->inquiry);
		return STAGE_GOES_ON;
	case EXPAND_PENDING:
		return STAGE_GOES_ON;
	case EXPAND_DONE:
		break;
	}
	end_expansion(x);
	return STAGE_NEXT;
}

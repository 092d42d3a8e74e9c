/* SPDX-License-Identifier: ISC */
/*
 * Explains where a recipient that is accepted goes: what it stands for, and for
 * a relay which hosts.
 *
 * Invariant: what the queue would be told is told here by the same expander, and what
 * delivery would be told by the same routes, one after the other and at most
 * EXPLAIN_ROUTES_MAX.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/mail/relay_url.h"
#include "lookup/explain_private.h"
#include "lookup/recipient.h"

#define TARGETS_A_TURN 500

/* -- the action -- */

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

	if (a->kind == CONF_ACTION_RELAY)
		target = a->host == NULL ? "to the hosts that the domain names" : a->host;
	else if (a->kind == CONF_ACTION_MAILDIR && target == NULL)
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

/* -- which hosts -- */

/* As delivery takes its orders: an action can ask for more than its URL does. */
static const char *
tls_text(const struct conf_action *a, const struct relay_url *url)
{
	bool checked = (a->tls_required || url->label[0] != '\0') && !a->tls_no_verify;

	if (url->tls == RELAY_TLS_NEVER)
		return "never";
	if (url->tls == RELAY_TLS_MAY && !a->tls_required)
		return "when offered; certificates and TLSA records are not checked";
	return checked ? "required, the certificate is checked"
		       : "required, the certificate is not checked";
}

static void
show_manner(struct explanation *x, const struct conf_action *a, const struct relay_url *url)
{
	explain_add(x->tree, &(struct explain_step){.kind = "tls", .text = tls_text(a, url)});
	explain_add(x->tree, &(struct explain_step){.kind = "source",
				 .subject = a->src,
				 .text = a->src == NULL ? "the kernel chooses" : NULL});
}

static void
add_part_of_host(struct explanation *x, const char *kind, const char *subject, const char *text)
{
	explain_in(x->tree);
	explain_add(
	    x->tree, &(struct explain_step){.kind = kind, .subject = subject, .text = text});
	explain_out(x->tree);
}

/* Before its addresses. */
static void
on_tlsa(void *arg, uint32_t req, const struct route_tlsa *t)
{
	struct explanation *x = arg;
	char text[2 * 64 + 64];
	size_t i, at;

	(void)req;
	at = (size_t)snprintf(text, sizeof(text), "%u %u %u ", t->usage, t->selector, t->matching);
	for (i = 0; i < t->size && at + 6 < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", t->data[i]);
	if (i < t->size)
		(void)snprintf(text + at, sizeof(text) - at, "...");
	explain_add(
	    x->tree, &(struct explain_step){.kind = "tlsa", .subject = t->base, .text = text});
}

static void
on_host(void *arg, uint32_t req, const struct route_host *h)
{
	struct explanation *x = arg;
	char text[64];

	(void)req;
	if (strcmp(x->way.host, h->host) != 0) {
		str_cut(x->way.host, sizeof(x->way.host), h->host);
		(void)snprintf(text, sizeof(text), "preference %u, %s", h->preference,
		    h->secure ? "DNSSEC vouches for it" : "without DNSSEC");
		explain_wrap(x->tree, x->part_mark,
		    &(struct explain_step){
			.kind = "host", .subject = h->host, .result = "yes", .text = text});
	}
	add_part_of_host(x, "address", h->address, "");
	x->part_mark = explain_mark(x->tree);
}

static void
on_pass(void *arg, uint32_t req, const struct route_pass *p)
{
	struct explanation *x = arg;

	(void)req;
	explain_add(
	    x->tree, &(struct explain_step){
			 .kind = "host", .subject = p->host, .result = "no", .text = p->why});
	x->part_mark = explain_mark(x->tree);
}

static void
end_route(struct explanation *x, enum ipc_outcome outcome, const char *status, const char *text)
{
	const struct expand_item *item =
	    &expander_result(x->way.expander)->items[x->way.routed[x->way.nroutes - 1]];
	char why[IPC_TEXT_MAX];

	x->way.routing = false;
	(void)snprintf(why, sizeof(why), "%s%s%s", status, status[0] == '\0' ? "" : " ", text);
	explain_wrap(x->tree, x->whole_mark,
	    &(struct explain_step){.kind = "route",
		.subject = item->dest,
		.result = outcome == IPC_OK	 ? "yes"
			  : outcome == IPC_RETRY ? "trouble"
						 : "no",
		.text = why});
}

static void
on_end(void *arg, uint32_t req, const struct route_end *e)
{
	struct explanation *x = arg;

	(void)req;
	end_route(x, (enum ipc_outcome)e->outcome, e->status, e->text);
	inquiry_yield(x->inquiry);
}

static const struct route_events route_events = {
    .tlsa = on_tlsa, .host = on_host, .pass = on_pass, .end = on_end};

static bool
is_relayed(const struct expand_item *item)
{
	return item->action[0] != '\0' && item->user[0] == '\0' &&
	       strncmp(item->dest, EXPAND_LATER, strlen(EXPAND_LATER)) != 0;
}

static bool
is_routed(const struct explanation *x, const struct expand_item *item)
{
	const struct expand_item *items = expander_result(x->way.expander)->items;
	size_t i;

	for (i = 0; i < x->way.nroutes; i++)
		if (str_equal_nocase(items[x->way.routed[i]].dest, item->dest))
			return true;
	return false;
}

static void
begin_route(struct explanation *x, const struct expand_item *item)
{
	const struct conf_action *a = conf_action_find(x->lookup->conf, item->action);
	struct relay_url url = {.tls = RELAY_TLS_MAY, .port = 25};
	struct route_question q = {.name = item->dest, .mx = a->host == NULL, .tlsa = true};

	x->whole_mark = x->part_mark = explain_mark(x->tree);
	x->way.host[0] = '\0';
	if (a->host != NULL && relay_url_parse(a->host, &url) == -1) {
		end_route(x, IPC_RETRY, "4.3.5", "not a URL of a relay");
		return;
	}
	if (a->host != NULL)
		q.name = url.host;
	q.port = url.port;
	show_manner(x, a, &url);
	x->part_mark = explain_mark(x->tree);
	x->way.routing = true;
	if (route_ask(x->lookup->routes, &q, &route_events, x) == -1)
		end_route(x, IPC_RETRY, "4.3.2", "too many questions to the DNS under way");
}

static void
show_rest(struct explanation *x, size_t n)
{
	char text[64];

	if (n == 0)
		return;
	(void)snprintf(text, sizeof(text), "and %zu more recipients elsewhere", n);
	explain_add(x->tree, &(struct explain_step){.kind = "more", .text = text});
}

/* The next one whose route is not known.  How many there were when there was no room for their routes. */
static size_t
ask_next(struct explanation *x)
{
	const struct expansion *e = expander_result(x->way.expander);
	size_t left = 0;

	for (; !x->way.routing && x->way.next_item < e->nitems; x->way.next_item++) {
		const struct expand_item *item = &e->items[x->way.next_item];

		if (!is_relayed(item) || is_routed(x, item))
			continue;
		if (x->way.nroutes == EXPLAIN_ROUTES_MAX) {
			left++;
			continue;
		}
		x->way.routed[x->way.nroutes++] = x->way.next_item;
		begin_route(x, item);
	}
	return left;
}

enum stage_result
explain_routes(struct explanation *x)
{
	size_t left;

	if (x->way.routing && !x->is_late)
		return STAGE_GOES_ON;
	if (x->way.routing) {
		routes_forget(x->lookup->routes, x);
		end_route(x, IPC_RETRY, "4.4.3", "no answer in time");
	}
	if (x->way.expander == NULL || x->is_late)
		return STAGE_NEXT;
	left = ask_next(x);
	if (x->way.routing)
		return STAGE_GOES_ON;
	show_rest(x, left);
	return STAGE_NEXT;
}

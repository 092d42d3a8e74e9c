/* SPDX-License-Identifier: ISC */
/*
 * Explains, of a recipient that goes to another host, which servers take it, and how
 * they are talked to.
 *
 * Invariant: what delivery would be told is told here, by the same plans and the same
 * routes, one after the other and at most EXPLAIN_ROUTES_MAX.  What is remembered of
 * a domain's TLS is not known here.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/relay_url.h"
#include "lookup/explain_private.h"

/* -- how -- */

/* As delivery makes its policy of the action and the URL; TLSA records and REQUIRETLS can demand more. */
static const char *
tls_text(const struct conf_action *a, const struct relay_url *url)
{
	if (url->tls == RELAY_TLS_NEVER)
		return "never";
	if (a->fingerprint != NULL)
		return "required, the certificate is one of those that are pinned";
	if (url->label[0] != '\0')
		return "required, the certificate is checked: a credential goes there";
	if (a->tls_required && !a->tls_no_verify)
		return "required, the certificate is checked";
	if (a->tls_required || url->tls != RELAY_TLS_MAY)
		return "required, the certificate is checked where there are TLSA records";
	return "when offered; required and checked where there are TLSA records";
}

static void
show_text(struct explanation *x, const char *kind, const char *subject, const char *text)
{
	explain_add(
	    x->tree, &(struct explain_step){.kind = kind, .subject = subject, .text = text});
}

/* The same for all servers. */
static void
show_manner(struct explanation *x, const struct conf_action *a)
{
	const struct relay_plan *plan = &x->way.plan;
	char text[IPC_NAME_MAX + 16];
	size_t i;

	if (plan->nsources == 0)
		show_text(x, "source", NULL, "the kernel chooses");
	for (i = 0; i < plan->nsources; i++) {
		const struct relay_source *s = &plan->sources[i];

		(void)snprintf(
		    text, sizeof(text), "%s%s", s->helo[0] == '\0' ? "" : "says HELO ", s->helo);
		show_text(x, "source", s->address, text);
	}
	if (a->helo != NULL)
		show_text(x, "helo", a->helo, "");
	if (a->proxy != NULL)
		show_text(x, "proxy", a->proxy, "");
}

static void
show_server(struct explanation *x, const struct conf_action *a, const struct relay_url *url)
{
	show_text(x, "tls", NULL, tls_text(a, url));
	if (url->label[0] != '\0')
		show_text(x, "login", url->label,
		    conf_oauth_find(x->lookup->conf, url->label) != NULL ? "by OAuth"
									 : "by a password");
}

/* -- the hosts of a route -- */

static void
add_part_of_host(struct explanation *x, const char *kind, const char *subject, const char *text)
{
	explain_in(x->tree);
	show_text(x, kind, subject, text);
	explain_out(x->tree);
}

/* Those that count: RFC 7672 3.1.3, and what RFC 6698 2.1 has a meaning for. */
static bool
is_usable(const struct route_tlsa *t)
{
	return (t->usage == 2 || t->usage == 3) && t->selector <= 1 && t->matching <= 2;
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
	for (i = 0; i < t->size && at + 32 < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", t->data[i]);
	(void)snprintf(text + at, sizeof(text) - at, "%s%s", i < t->size ? "..." : "",
	    is_usable(t) ? "" : ", of no use for mail");
	show_text(x, "tlsa", t->base, text);
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

/* -- one recipient: its plan, then a route for each of its servers -- */

static const struct expand_item *
item_of(const struct explanation *x)
{
	return &expander_result(x->way.expander)->items[x->way.routed[x->way.nroutes - 1]];
}

static const char *
outcome_word(enum ipc_outcome outcome)
{
	return outcome == IPC_OK ? "yes" : outcome == IPC_RETRY ? "trouble" : "no";
}

/* What comes of the whole: the best of its servers, and of those that are no use the first. */
static void
take_outcome(struct explanation *x, enum ipc_outcome outcome, const char *status, const char *text)
{
	struct explain_way *w = &x->way;

	if (w->server > 0 && (w->outcome == IPC_OK || outcome != IPC_OK))
		return;
	w->outcome = outcome;
	(void)snprintf(
	    w->why, sizeof(w->why), "%s%s%s", status, status[0] == '\0' ? "" : " ", text);
}

static void
end_route(struct explanation *x, enum ipc_outcome outcome, const char *status, const char *text)
{
	struct explain_way *w = &x->way;
	char why[IPC_TEXT_MAX];

	w->routing = false;
	take_outcome(x, outcome, status, text);
	(void)snprintf(why, sizeof(why), "%s%s%s", status, status[0] == '\0' ? "" : " ", text);
	if (w->plan.nservers > 1)
		explain_wrap(x->tree, w->server_mark,
		    &(struct explain_step){.kind = "server",
			.subject = w->plan.servers[w->server],
			.result = outcome_word(outcome),
			.text = why});
	w->server++;
}

static void
end_item(struct explanation *x)
{
	explain_wrap(x->tree, x->whole_mark,
	    &(struct explain_step){.kind = "route",
		.subject = item_of(x)->dest,
		.result = outcome_word(x->way.outcome),
		.text = x->way.why});
	x->way.at_item = false;
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

static void
begin_route(struct explanation *x)
{
	const struct conf_action *a = conf_action_find(x->lookup->conf, item_of(x)->action);
	const struct relay_plan *plan = &x->way.plan;
	struct relay_url url = {.tls = RELAY_TLS_MAY, .port = 25};
	struct route_question q = {
	    .name = item_of(x)->dest, .mx = plan->nservers == 0, .tlsa = true, .backup = ""};

	x->way.server_mark = explain_mark(x->tree);
	x->way.host[0] = '\0';
	if (!q.mx && relay_url_parse(plan->servers[x->way.server], &url) == -1) {
		end_route(x, IPC_RETRY, "4.3.5", "not the URL of a relay");
		return;
	}
	if (!q.mx)
		q.name = url.host;
	if (a->backup && a->backup_name != NULL)
		q.backup = a->backup_name;
	q.port = url.port;
	q.tlsa = url.tls != RELAY_TLS_NEVER && a->fingerprint == NULL;
	show_server(x, a, &url);
	x->part_mark = explain_mark(x->tree);
	x->way.routing = true;
	if (route_ask(x->lookup->routes, &q, &route_events, x) == -1)
		end_route(x, IPC_RETRY, "4.3.2", "too many questions to the DNS under way");
}

static void
on_plan_lookup(void *arg, const struct inquiry_event *e)
{
	struct explanation *x = arg;
	struct explain_lookup l;

	if (e->answer == TABLE_PENDING)
		return;
	explain_lookup_step(&l, e);
	explain_add(x->tree, &l.step);
}

/* False: it waits. */
static bool
plan_item(struct explanation *x)
{
	const struct policy p = explain_policy(x);
	const struct expand_item *item = item_of(x);
	const struct relay_question q = {.action = conf_action_find(p.conf, item->action),
	    .sender = x->sender,
	    .dest = item->dest};
	struct explain_way *w = &x->way;

	inquiry_observe(x->inquiry, on_plan_lookup, x);
	relay_plan_make(&p, &q, &w->plan);
	inquiry_observe(x->inquiry, NULL, NULL);
	if (w->plan.pending) {
		explain_cut(x->tree, x->whole_mark);
		return false;
	}
	w->planned = true;
	w->server = 0;
	if (w->plan.outcome == IPC_OK) {
		show_manner(x, q.action);
	} else {
		take_outcome(x, w->plan.outcome, w->plan.status, w->plan.text);
		end_item(x);
	}
	return true;
}

/* -- all of them -- */

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
		if (str_equal_nocase(items[x->way.routed[i]].dest, item->dest) &&
		    strcmp(items[x->way.routed[i]].action, item->action) == 0)
			return true;
	return false;
}

/* The next one whose route is not known; false: there is none, or no room for it. */
static bool
next_item(struct explanation *x)
{
	const struct expansion *e = expander_result(x->way.expander);
	struct explain_way *w = &x->way;

	for (; w->next_item < e->nitems; w->next_item++) {
		const struct expand_item *item = &e->items[w->next_item];

		if (!is_relayed(item) || is_routed(x, item))
			continue;
		if (w->nroutes == EXPLAIN_ROUTES_MAX) {
			w->nleft++;
			continue;
		}
		w->routed[w->nroutes++] = w->next_item++;
		w->at_item = true;
		w->planned = false;
		w->server = 0;
		w->outcome = IPC_RETRY;
		str_cut(w->why, sizeof(w->why), "4.4.3 no answer in time");
		x->whole_mark = explain_mark(x->tree);
		return true;
	}
	return false;
}

static void
show_rest(struct explanation *x, size_t n)
{
	char text[64];

	if (n == 0)
		return;
	(void)snprintf(text, sizeof(text), "and %zu more recipients elsewhere", n);
	show_text(x, "more", NULL, text);
}

/* False: it waits. */
static bool
go_on(struct explanation *x)
{
	struct explain_way *w = &x->way;

	if (!w->planned)
		return plan_item(x);
	if (w->server < w->plan.nservers || w->server == 0)
		begin_route(x);
	else
		end_item(x);
	return !w->routing;
}

/* What is known by now is all. */
static void
end_late(struct explanation *x)
{
	if (x->way.routing) {
		routes_forget(x->lookup->routes, x);
		end_route(x, IPC_RETRY, "4.4.3", "no answer in time");
	}
	if (x->way.at_item && !x->way.planned)
		(void)plan_item(x);
	if (x->way.at_item)
		end_item(x);
}

enum stage_result
explain_routes(struct explanation *x)
{
	if (x->is_late)
		end_late(x);
	if (x->way.expander == NULL || x->is_late)
		return STAGE_NEXT;
	while (!x->way.routing && (x->way.at_item || next_item(x)))
		if (!go_on(x))
			return STAGE_GOES_ON;
	if (x->way.routing)
		return STAGE_GOES_ON;
	show_rest(x, x->way.nleft);
	return STAGE_NEXT;
}

/* SPDX-License-Identifier: ISC */
/*
 * Whose servers, and from which address: by the action alone, or with what its tables
 * say of the sender and the domain, which lookup is asked for.
 *
 * Invariant: a table that can't be read now defers the message; it never falls back to
 * the MX of the domain.  Nothing is fatal.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/relay_private.h"
#include "lib/base/str.h"

#define QUESTION_MS 60000

struct relay_answer { /* while it comes, and until the lane has copied it */
	struct lane_plan plan;
	char sources[LANE_SOURCES_MAX][IPC_WORD_MAX + 1];
	char helos[LANE_SOURCES_MAX][IPC_NAME_MAX + 1];
	bool bad; /* a URL that is none */
};

static bool
has_tables(const struct conf_action *a)
{
	return a->host_table != NULL || a->domain_table != NULL || a->src != NULL ||
	       a->helo_src != NULL;
}

void
relay_plan_free(struct relay *r)
{
	free(r->answer);
	r->answer = NULL;
}

/* -- asking -- */

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct relay *r = owner;

	(void)req;
	(void)why;
	r->req = 0;
	relay_fail_by(r, CAUSE_NO_RESOLVER, NULL);
}

static int
ask(struct relay *r)
{
	struct service *s = r->delivery->service;
	struct channel *lookup = service_peer(s, ROLE_LOOKUP, 0);
	struct msg_relay_ask m = {
	    .action = r->job->action, .sender = r->mail.sender, .dest = r->job->dest};

	if (lookup == NULL || (r->answer = calloc(1, sizeof(*r->answer))) == NULL)
		return -1;
	m.req = r->req = ask_begin(
	    service_asks(s), lookup, service_now_ms(s) + QUESTION_MS, on_failed, r);
	return m.req == 0 || channel_send(lookup, MSG_relay_ask, &m) == -1 ? -1 : 0;
}

bool
relay_plan_begin(struct relay *r, const struct conf_action *action)
{
	if (action->kind != CONF_ACTION_RELAY || !has_tables(action))
		return false;
	if (ask(r) == -1)
		relay_fail_by(r, CAUSE_NO_RESOLVER, NULL);
	return true;
}

/* -- the answer; what is one too many is left out -- */

void
relay_plan_url(struct relay *r, const struct msg_relay_url *m)
{
	struct lane_plan *p = &r->answer->plan;

	if (p->nservers == LANE_SERVERS_MAX)
		return;
	if (relay_url_parse(m->url, &p->servers[p->nservers]) == -1)
		r->answer->bad = true;
	else
		p->nservers++;
}

void
relay_plan_source(struct relay *r, const struct msg_relay_source *m)
{
	struct relay_answer *a = r->answer;
	size_t n = a->plan.nsources;

	if (n == LANE_SOURCES_MAX ||
	    str_copy(a->sources[n], sizeof(a->sources[n]), m->address) == -1 ||
	    str_copy(a->helos[n], sizeof(a->helos[n]), m->helo) == -1)
		return;
	a->plan.sources[n] = a->sources[n];
	a->plan.helos[n] = a->helos[n];
	a->plan.nsources++;
}

void
relay_plan_end(struct relay *r, const struct msg_relay_end *m)
{
	struct verdict v;

	ask_end(service_asks(r->delivery->service), r->req);
	r->req = 0;
	if (m->outcome != IPC_OK) {
		verdict_set(&v, (enum ipc_outcome)m->outcome, m->status, m->text);
		relay_fail(r, &v);
	} else if (r->answer->bad && r->answer->plan.nservers == 0)
		relay_fail_by(r, CAUSE_BAD_RELAY, NULL);
	else
		relay_go_on(r);
}

/* -- the plan -- */

/* "/run/x.sock", "host:24", "lmtp://host:24" */
static int
plan_lmtp(struct lane_plan *p, const char *target)
{
	char url[RELAY_HOST_MAX + 32];

	if (target[0] == '/') {
		p->lmtp_socket = true;
		return 0;
	}
	if (str_format(url, sizeof(url), "%s%s",
		str_starts_nocase(target, "lmtp") && strstr(target, "://") != NULL ? "" : "lmtp://",
		target) == -1)
		return -1;
	p->nservers = 1;
	return relay_url_parse(url, &p->servers[0]);
}

/* Servers of the configuration are all that counts; the domain does with its own. */
static int
plan_servers(struct lane_plan *p, const struct relay *r, const struct conf_action *action)
{
	if (action->kind == CONF_ACTION_LMTP)
		return plan_lmtp(p, action->target);
	if (p->nservers == 0 && action->host != NULL) {
		p->nservers = 1;
		return relay_url_parse(action->host, &p->servers[0]);
	}
	if (p->nservers == 0)
		p->dest = r->job->dest;
	return 0;
}

static int
join(struct relay *r, const struct conf_action *action, struct lane_plan *p)
{
	const struct client_mail *m = &r->mail;

	p->action = r->job->action;
	p->dest = "";
	p->requires_tls = m->requires_tls && m->sender[0] != '\0'; /* RFC 8689 5 */
	p->needs_deliverby = m->by == IPC_BY_RETURN;
	p->tls_best = r->job->tls_best;
	if (plan_servers(p, r, action) == -1) {
		relay_fail_by(r, CAUSE_BAD_RELAY,
		    action->kind == CONF_ACTION_LMTP ? action->target : action->host);
		return 0;
	}
	return lane_join(r->delivery, p, r);
}

int
relay_plan_join(struct relay *r, const struct conf_action *action)
{
	struct lane_plan plan;
	int rc;

	if (r->answer != NULL)
		rc = join(r, action, &r->answer->plan);
	else {
		plan.nservers = plan.nsources =
		    0; /* the arrays are left as they are: they are large */
		plan.lmtp_socket = false;
		rc = join(r, action, &plan);
	}
	relay_plan_free(r);
	return rc;
}

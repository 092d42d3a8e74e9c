/* SPDX-License-Identifier: ISC */
/*
 * TLS of a connection: what is demanded of it, what came of it, and who is told.
 *
 * Invariant: every attempt is one line in the log, with its policy and its verdict.
 * Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "delivery/carrier_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

/* -- what is demanded -- */

static enum conf_remember
remember(const struct carrier *c)
{
	return (enum conf_remember)c->lane->delivery->conf->values.mta_remember_tls;
}

static void
take_action(struct carrier *c, struct policy_facts *f, const struct conf_action *a)
{
	f->required = a->tls_required;
	f->no_verify = a->tls_no_verify;
	str_cut(c->ca, sizeof(c->ca), a->ca != NULL ? a->ca : "");
	f->ca = a->ca != NULL ? c->ca : NULL;
}

/* What is remembered is of a domain's own servers. */
static void
take_memory(const struct carrier *c, struct policy_facts *f)
{
	f->domain = c->lane->nservers > 0 ? "" : c->lane->dest;
	f->best = IPC_TLS_PLAIN;
	if (f->domain[0] == '\0' || remember(c) == CONF_REMEMBER_OFF)
		return;
	f->best = c->lane->tls_best;
	f->enforce = remember(c) == CONF_REMEMBER_ENFORCE;
}

int
carrier_tls_plan(struct carrier *c, const struct route_host *host, struct verdict *why)
{
	const struct conf_action *a = carrier_action(c);
	const struct relay_url *u = carrier_url(c);
	struct policy_facts f = {.url = u->tls,
	    .credential = u->label[0] != '\0',
	    .pins = c->pins,
	    .requires_tls = c->lane->requires_tls,
	    .host = host->name,
	    .host_secure = host->secure,
	    .records = c->records};

	if (a == NULL) {
		verdict_of(why, CAUSE_NO_ACTION, NULL);
		return -1;
	}
	if (c->route.incomplete) {
		verdict_of(why, CAUSE_NO_RESOLVER, "it said too much");
		return -1;
	}
	if (a->fingerprint != NULL &&
	    policy_pins(a->fingerprint, c->pins, c->pin_room, &f.npins) == -1) {
		verdict_of(why, CAUSE_BAD_RELAY, a->fingerprint);
		return -1;
	}
	take_action(c, &f, a);
	take_memory(c, &f);
	f.nrecords = route_records(&c->route, host->name, c->records, POLICY_RECORDS_MAX, &f.base);
	return policy_make(&c->policy, &f, why);
}

/* -- what came of it -- */

static void
log_attempt(const struct carrier *c, enum log_level level, const struct tls_judgement *j,
    const char *verdict, const char *why)
{
	struct logline l;

	logline_start(&l, level, "tls-out");
	logline_str(&l, "action", c->lane->action);
	logline_str(&l, "dest", c->lane->domain_key);
	logline_str(&l, "host", c->remote);
	logline_str(&l, "policy", policy_level_name(c->policy.level));
	logline_str(&l, "for", c->policy.why != NULL ? c->policy.why : "");
	logline_str(&l, "level", policy_tls_name(c->tls.level));
	if (j != NULL) {
		logline_str(&l, "protocol", j->protocol);
		logline_str(&l, "cipher", j->cipher);
	}
	logline_str(&l, "verdict", verdict);
	if (why[0] != '\0')
		logline_str(&l, "why", why);
	logline_end(&l);
}

bool
carrier_tls_accepts(struct carrier *c, struct tls *tls, struct verdict *why)
{
	struct tls_judgement j;
	bool ok;

	tls_client_judge(tls, &j);
	ok = policy_accepts(&c->policy, &j, &c->tls.level, why);
	str_cut(c->tls.protocol, sizeof(c->tls.protocol), j.protocol);
	str_cut(c->tls.cipher, sizeof(c->tls.cipher), j.cipher);
	(void)snprintf(c->tls.summary, sizeof(c->tls.summary), "%s %s %s",
	    policy_tls_name(c->tls.level), j.protocol, j.cipher);
	log_attempt(c, ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, &j, ok ? "accepted" : "refused",
	    ok ? j.why : why->text);
	return ok;
}

/* It did not come as far as a verdict on TLS, and should have. */
bool
carrier_tls_failed(struct carrier *c, const struct verdict *why)
{
	bool demanded = c->policy.tls == RELAY_TLS_MUST || c->policy.tls == RELAY_TLS_FIRST;

	if (c->lane->lmtp_socket || c->tls.summary[0] != '\0' ||
	    (c->end != CLIENT_TLS_BROKEN && !demanded && !client_wants_tls(c->client)))
		return false;
	c->tls.level = IPC_TLS_PLAIN;
	log_attempt(c, LOG_LEVEL_WARN, NULL, "failed", why->text);
	return true;
}

static void
warn_weaker(const struct carrier *c)
{
	log_warn("event=tls-weaker dest=%s host=%s level=%s remembered=%s", c->lane->dest,
	    c->remote, policy_tls_name(c->tls.level), policy_tls_name(c->lane->tls_best));
}

void
carrier_tls_ready(struct carrier *c)
{
	if (c->lane->lmtp_socket)
		return;
	if (c->tls.summary[0] == '\0')
		log_attempt(c, LOG_LEVEL_INFO, NULL, "accepted",
		    c->plain			       ? "the handshake failed"
		    : c->policy.tls == RELAY_TLS_NEVER ? "it is not asked for"
						       : "it is not offered");
	if (c->lane->nservers == 0 && remember(c) != CONF_REMEMBER_OFF &&
	    c->tls.level < c->lane->tls_best)
		warn_weaker(c);
}

bool
carrier_tls_is_outgrown(const struct carrier *c)
{
	return c->lane->nservers == 0 && !c->lane->lmtp_socket &&
	       remember(c) == CONF_REMEMBER_ENFORCE && c->policy.level != POLICY_NEVER &&
	       c->policy.level != POLICY_PINNED && c->tls.level < c->lane->tls_best;
}

/* Once a connection: the queue remembers how well a domain can be talked to. */
void
carrier_tls_delivered(struct carrier *c)
{
	struct channel *queue = service_peer(c->lane->delivery->service, ROLE_QUEUE, 0);
	struct msg_tls_seen m = {.domain = c->lane->dest, .level = (uint8_t)c->tls.level};

	if (c->told_seen || c->lane->nservers > 0 || c->lane->dest[0] == '\0' || queue == NULL ||
	    c->tls.level == IPC_TLS_PLAIN || remember(c) == CONF_REMEMBER_OFF)
		return;
	c->told_seen = true;
	(void)channel_send(queue, MSG_tls_seen, &m);
}

/* SPDX-License-Identifier: ISC */
/*
 * Logging in to a smarthost: the vault has the credential and speaks SASL, the server
 * hears it; this only carries what they say.
 *
 * Invariants: nothing of an exchange is kept here, and nothing of it is logged.  It
 * begins only over a connection that on_tls() found good enough for a credential.  A
 * login that is refused never fails a message.  Nothing is fatal.
 */
#include <string.h>

#include "delivery/carrier_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define AUTH_MS 300000

static void
stop(struct carrier *c, const struct verdict *why)
{
	if (c->client == NULL || c->state != CARRIER_FINDING)
		return; /* it went on, or is over */
	c->login_failed = true;
	client_auth_stop(c->client, why);
}

/* What was held until the vault had its say. */
static void
let_go(struct carrier *c)
{
	if (c->held != EVENT_NONE)
		carrier_ripen(c, c->held);
	c->held = EVENT_NONE;
}

static void
stop_for(struct carrier *c, enum cause cause)
{
	struct verdict v;

	verdict_of(&v, cause, NULL);
	v.untried = cause == CAUSE_NO_VAULT;
	stop(c, &v);
}

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct carrier *c = owner;

	(void)req;
	(void)why;
	c->auth_req = 0;
	stop_for(c, CAUSE_NO_VAULT);
	let_go(c);
}

/* A credential is for verified TLS alone, whatever the client believes. */
static bool
is_safe(const struct carrier *c)
{
	return c->tls.summary[0] != '\0' && c->tls.level >= IPC_TLS_VERIFIED;
}

void
carrier_auth_begin(struct carrier *c, const char *mechanisms)
{
	struct service *s = c->lane->delivery->service;
	struct channel *vault = service_peer(s, ROLE_VAULT, 0);
	const struct relay_url *u = carrier_url(c);
	struct msg_relay_auth m = {.action = c->lane->action,
	    .label = u->label,
	    .host = u->host,
	    .port = u->port,
	    .mechanisms = mechanisms};

	if (!is_safe(c)) {
		stop_for(c, CAUSE_AUTH_UNSAFE);
		return;
	}
	if (vault != NULL)
		c->auth_req = ask_begin(
		    service_asks(s), vault, service_now_ms(s) + AUTH_MS, on_ask_failed, c);
	m.req = c->auth_req;
	if (c->auth_req == 0 || channel_send(vault, MSG_relay_auth, &m) == -1) {
		ask_end(service_asks(s), c->auth_req);
		c->auth_req = 0;
		stop_for(c, CAUSE_NO_VAULT);
	}
}

void
carrier_auth_step(struct carrier *c, const struct msg_relay_auth_step *m)
{
	if (c->client == NULL)
		return;
	client_auth(c->client, m->mechanism[0] != '\0' ? m->mechanism : NULL,
	    m->with_data ? &m->data : NULL);
}

void
carrier_auth_challenge(struct carrier *c, struct span data)
{
	struct channel *vault = service_peer(c->lane->delivery->service, ROLE_VAULT, 0);
	struct msg_relay_auth_challenge m = {.req = c->auth_req, .data = data};

	if (c->auth_req == 0 || vault == NULL ||
	    channel_send(vault, MSG_relay_auth_challenge, &m) == -1)
		stop_for(c, CAUSE_NO_VAULT);
}

/* The vault's last word, before the server's or after it. */
void
carrier_auth_end(struct carrier *c, const struct msg_relay_auth_end *m)
{
	struct verdict v;

	ask_end(service_asks(c->lane->delivery->service), c->auth_req);
	c->auth_req = 0;
	if (m->outcome != IPC_OK) {
		verdict_set(&v, IPC_RETRY, m->status, m->text);
		v.again_s = m->again_s;
		stop(c, &v);
	}
	let_go(c);
}

static void
tell_vault(struct carrier *c, enum ipc_outcome outcome, const char *text)
{
	struct channel *vault = service_peer(c->lane->delivery->service, ROLE_VAULT, 0);
	char line[IPC_TEXT_MAX + 1];
	struct msg_relay_auth_result m = {
	    .req = c->auth_req, .outcome = (uint8_t)outcome, .text = line};

	str_cut(line, sizeof(line), text);
	if (vault != NULL && c->auth_req != 0)
		(void)channel_send(vault, MSG_relay_auth_result, &m);
}

static void
alarm_refused(const struct carrier *c, const char *text)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "relay-login-refused");
	logline_str(&l, "action", c->lane->action);
	logline_str(&l, "label", carrier_url(c)->label);
	logline_str(&l, "relay", c->remote);
	logline_str(&l, "reply", text);
	logline_end(&l);
}

void
carrier_auth_result(struct carrier *c, enum ipc_outcome outcome, const char *text)
{
	tell_vault(c, outcome, text);
	if (outcome == IPC_OK)
		return;
	c->login_failed = true;
	if (outcome == IPC_FAIL)
		alarm_refused(c, text);
}

/* The connection is gone: the vault need not go on. */
void
carrier_auth_drop(struct carrier *c)
{
	c->held = EVENT_NONE;
	if (c->auth_req == 0)
		return;
	tell_vault(c, IPC_GONE, "");
	ask_end(service_asks(c->lane->delivery->service), c->auth_req);
	c->auth_req = 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * What a relay is to do: the action's URL and TLS, the message's needs, the
 * recipients that can be written on the wire.
 *
 * Invariant: an action can add to what a message requires, never take from it.
 * Nothing is fatal.
 */
#include "delivery/relay_private.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

#define TIMEOUT_BASE_S 300 /* "mta timeout" of this means the RFC's own time-outs */

static int
take_action(struct relay *r, const struct conf_action *action)
{
	const struct delivery *d = r->delivery;

	if (action->host != NULL && relay_url_parse(action->host, &r->url) == -1)
		return -1;
	if (action->host == NULL)
		r->url = (struct relay_url){.tls = RELAY_TLS_MAY, .port = 25};
	/* A credential is for the one it was meant for. */
	if (action->tls_required && r->url.tls == RELAY_TLS_MAY)
		r->url.tls = RELAY_TLS_MUST;
	r->options.helo = r->helo;
	r->options.tls_verify = (action->tls_required || r->url.label[0] != '\0') &&
				!action->tls_no_verify;
	r->options.tls_client = d->tls;
	r->options.timeout_scale = 1000 * d->conf->values.delivery_timeout_s / TIMEOUT_BASE_S;
	r->route.port = r->url.port;
	return str_copy(
	    r->helo, sizeof(r->helo), action->helo != NULL ? action->helo : d->hostname);
}

static void
take_recipients(struct relay *r)
{
	const unsigned int flags = ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	struct job *j = r->job;
	struct address a;
	struct verdict v;
	size_t i;

	for (i = 0; i < j->nrcpts; i++) {
		if (address_parse(j->rcpts[i].address, flags, &a) != ADDRESS_OK) {
			verdict_of(&v, CAUSE_BAD_RECIPIENT, NULL);
			job_verdict(j, i, &v, "");
			continue;
		}
		r->mail.is_utf8 |= a.utf8;
		r->addresses[r->mail.nrcpts] = j->rcpts[i].address;
		r->indices[r->mail.nrcpts++] = i;
	}
}

static void
take_mail(struct relay *r)
{
	const struct job *j = r->job;

	r->mail.sender = j->sender;
	r->mail.rcpts = r->addresses;
	r->mail.size_bytes = j->size_bytes;
	r->mail.is_binary = (j->flags & IPC_FLAG_BINARYMIME) != 0;
	r->mail.is_8bit = (j->flags & IPC_FLAG_8BITMIME) != 0;
	r->mail.is_utf8 = (j->flags & IPC_FLAG_SMTPUTF8) != 0;
	r->mail.requires_tls = (j->flags & IPC_FLAG_REQUIRETLS) != 0;
	r->mail.priority = j->priority;
	r->mail.by = j->by;
	r->mail.by_s = j->by_s;
	r->mail.by_trace = j->by_trace;
}

static bool
is_sender_valid(struct relay *r)
{
	struct address a;

	if (address_parse(r->job->sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return false;
	r->mail.is_utf8 |= a.utf8;
	return true;
}

/*
 * RFC 8689 4.2.1: verified TLS, with the host of the action's own URL.  Those that DNS
 * names would have to be proven by DNSSEC or MTA-STS, of which a route tells nothing.
 */
static int
require_tls(struct relay *r)
{
	if (r->url.host[0] == '\0')
		return -1;
	if (r->url.tls == RELAY_TLS_MAY)
		r->url.tls = RELAY_TLS_MUST;
	r->options.tls_verify = true;
	return 0;
}

int
relay_take_order(struct relay *r, const struct conf_action *action, struct verdict *why)
{
	if (take_action(r, action) == -1) {
		verdict_of(why, CAUSE_BAD_RELAY, action->host);
		return -1;
	}
	take_mail(r);
	if (!is_sender_valid(r)) {
		verdict_of(why, CAUSE_BAD_SENDER, NULL);
		return -1;
	}
	if (r->mail.requires_tls && r->mail.sender[0] != '\0' && require_tls(r) == -1) {
		verdict_of(why, CAUSE_UNPROVEN_ROUTE, NULL);
		return -1;
	}
	take_recipients(r);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * What an admin may see and change of the vault; never anything secret.
 *
 * Invariant: a page is as long as it was asked for at most, so that nobody
 * else waits for it.  Nothing is fatal.
 */
#include "vault/admin.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/host.h"
#include "vault/backoff.h"
#include "vault/keys.h"
#include "vault/vault.h"

/* -- certificates -- */

/* No pki named: all of them. */
static bool
uses(const struct conf_listener *l, const char *pki)
{
	size_t i;

	if (l->tls == CONF_TLS_NONE)
		return false;
	for (i = 0; i < l->npkis; i++)
		if (strcmp(l->pkis[i], pki) == 0)
			return true;
	return l->npkis == 0;
}

/* "192.0.2.1:587, [2001:db8::1]:465", as far as there is room. */
static void
used_by(const struct conf *conf, const char *pki, char dst[IPC_TEXT_MAX])
{
	char one[CONF_STRING_MAX + 16];
	size_t i;

	dst[0] = '\0';
	for (i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];
		bool v6 = strchr(l->host, ':') != NULL;

		if (!uses(l, pki))
			continue;
		(void)snprintf(one, sizeof(one), v6 ? "%s[%s]:%u" : "%s%s:%u",
		    dst[0] == '\0' ? "" : ", ", l->host, l->port);
		if (str_append(dst, IPC_TEXT_MAX, one) == -1)
			return;
	}
}

void
admin_certificates(struct vault *v, struct channel *ch, uint32_t req)
{
	struct msg_certificates_end end = {.req = req};
	char warnings[IPC_TEXT_MAX], users[IPC_TEXT_MAX];
	size_t i;

	for (i = 0; i < keys_count(v->keys); i++) {
		const struct keys_entry e = keys_entry(v->keys, i);
		const struct certificate *c = e.certificate;
		struct msg_certificates_row m = {.req = req,
		    .name = e.name,
		    .subject = c->subject,
		    .issuer = c->issuer,
		    .names = c->names,
		    .key_type = c->key_type,
		    .fingerprint = c->fingerprint,
		    .not_before_s = c->not_before_s,
		    .not_after_s = c->not_after_s,
		    .used_by = users,
		    .warnings = warnings,
		    .signatures = e.signatures};

		keys_warnings(v->keys, i, service_now_s(v->service), warnings);
		used_by(v->conf, e.name, users);
		if (channel_send(ch, MSG_certificates_row, &m) == -1)
			return;
	}
	(void)channel_send(ch, MSG_certificates_end, &end);
}

/* -- logins -- */

/* Monotonic milliseconds as the wall clock has them; 0 for what is past. */
static int64_t
wall_s(const struct vault *v, int64_t ms, bool past)
{
	int64_t left_ms = ms - service_now_ms(v->service);

	if (left_ms <= 0 && !past)
		return 0;
	return service_now_s(v->service) + (left_ms + (past ? 0 : 999)) / 1000;
}

static int
send_row(struct vault *v, struct channel *ch, uint32_t req, const struct backoff_row *row)
{
	struct msg_logins_row m = {.req = req,
	    .number = row->number,
	    .login = row->kind == BACKOFF_LOGIN,
	    .what = row->what,
	    .failures = row->failures,
	    .last_s = wall_s(v, row->last_ms, true),
	    .until_s = wall_s(v, row->until_ms, false)};

	return channel_send(ch, MSG_logins_row, &m);
}

void
admin_logins(struct vault *v, struct channel *ch, const struct msg_logins *m)
{
	struct msg_logins_end end = {.req = m->req};
	struct backoff_row row;
	uint64_t after = m->after;
	uint32_t n;

	backoff_tick(v->backoff, service_now_ms(v->service));
	for (n = 0; backoff_next(v->backoff, after, &row); n++) {
		if ((end.more = n == m->limit))
			break;
		if (send_row(v, ch, m->req, &row) == -1)
			return;
		after = row.number;
	}
	(void)channel_send(ch, MSG_logins_end, &end);
}

/* A login or network as it is shown, or any address of a network. */
static int
clear(struct vault *v, const char *what)
{
	const struct host_prefix prefix = {
	    (unsigned int)v->conf->values.smtp_prefix4, (unsigned int)v->conf->values.smtp_prefix6};
	char network[HOST_NETWORK_SIZE];

	if (backoff_clear(v->backoff, what) == 0)
		return 0;
	return host_network_parse(what, &prefix, network) == 0 ? backoff_clear(v->backoff, network)
							       : -1;
}

void
admin_logins_clear(struct vault *v, struct channel *ch, const struct msg_logins_clear *m)
{
	struct msg_done done = {.req = m->req, .outcome = IPC_OK, .text = ""};

	if (m->what[0] == '\0') {
		backoff_clear_all(v->backoff);
	} else if (clear(v, m->what) == -1) {
		done.outcome = IPC_GONE;
		done.text = "no failures are known of it";
	}
	(void)channel_send(ch, MSG_done, &done);
}

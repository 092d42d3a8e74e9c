/* SPDX-License-Identifier: ISC */
/*
 * What an admin may see of the accounts of OAuth, and make them forget.
 *
 * Invariant: no token, code or secret of a client is in a row.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/oauth_private.h"

#define NAMES_MAX 64 /* labels that may be what was meant */

static const char *const provider_words[] = {
    [CONF_OAUTH_OTHER] = "other",
    [CONF_OAUTH_GOOGLE] = "google",
    [CONF_OAUTH_MICROSOFT] = "microsoft",
};
static const char *const grant_words[] = {
    [CONF_OAUTH_DEVICE] = "device",
    [CONF_OAUTH_CODE] = "code",
    [CONF_OAUTH_CLIENT] = "client",
    [CONF_OAUTH_JWT] = "jwt",
};

static void
send_row(const struct oauth_account *a, struct channel *ch, uint32_t req)
{
	struct msg_oauth_row m = {.req = req,
	    .label = a->conf->name,
	    .provider = provider_words[a->conf->provider],
	    .user = a->conf->user,
	    .grant = grant_words[a->conf->grant],
	    .consent = !oauth_needs_consent(a) || (a->refresh != NULL && !a->lost),
	    .consent_s = a->refresh == NULL ? 0 : a->consent_s,
	    .trouble = a->trouble};

	if (a->access != NULL && a->until_ms > oauth_now_ms(a))
		m.expires_s = service_now_s(a->all->vault->service) +
			      (a->until_ms - oauth_now_ms(a)) / 1000;
	(void)channel_send(ch, MSG_oauth_row, &m);
}

void
oauth_on_list(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct vault *v = ctx;
	struct msg_oauth_end end = {.req = msg->req};
	const struct oauth_account *a;

	(void)fd;
	TAILQ_FOREACH (a, &v->oauths->accounts, entry)
		send_row(a, ch, msg->req);
	(void)channel_send(ch, MSG_oauth_end, &end);
}

/* -- forgetting -- */

static void
reply_unknown(const struct oauths *os, struct channel *ch, const struct msg_oauth_forget *m)
{
	const char *names[NAMES_MAX + 1], *near;
	char shown[IPC_WORD_MAX + 8], text[IPC_TEXT_MAX];
	const struct oauth_account *a;
	size_t n = 0;

	TAILQ_FOREACH (a, &os->accounts, entry)
		if (n < NAMES_MAX)
			names[n++] = a->conf->name;
	names[n] = NULL;
	str_quote(shown, sizeof(shown), m->label);
	if ((near = str_nearest(m->label, names)) != NULL)
		(void)snprintf(
		    text, sizeof(text), "no oauth %s, did you mean \"%s\"?", shown, near);
	else
		(void)snprintf(text, sizeof(text), "no oauth %s", shown);
	oauth_reply(ch, m->req, MSG_done, IPC_FAIL, text);
}

/* What the server has of it is not ours to forget: its own pages revoke a consent. */
static void
forget(struct oauth_account *a)
{
	struct logline l;

	if (a->login != NULL)
		oauth_login_end(a->login, IPC_FAIL, "an admin has it forgotten");
	oauth_fetch_cancel(&a->renewal);
	(void)oauth_replace(&a->access, NULL);
	(void)oauth_replace(&a->refresh, NULL);
	a->lost = false;
	a->consent_s = a->renew_ms = a->retry_ms = 0;
	oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN,
	    oauth_needs_consent(a) ? "its consent was forgotten: smtpctl oauth login" : "");
	logline_start(&l, LOG_LEVEL_INFO, "oauth-forgotten");
	logline_str(&l, "label", a->conf->name);
	logline_end(&l);
}

void
oauth_on_forget(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_oauth_forget *m = &msg->oauth_forget;
	struct vault *v = ctx;
	struct oauth_account *a = oauth_account_find(v->oauths, m->label);

	(void)fd;
	if (a == NULL) {
		reply_unknown(v->oauths, ch, m);
		return;
	}
	forget(a);
	if (oauth_needs_consent(a))
		oauth_store(a);
	oauth_store_reply(a, ch, m->req, MSG_done);
	oauth_serve(a);
}

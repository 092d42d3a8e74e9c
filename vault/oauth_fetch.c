/* SPDX-License-Identifier: ISC */
/*
 * Questions to authorization servers, which smtpd-fetch puts.
 *
 * Invariants: a question ends once: with its answer, which is read here and wiped
 * afterwards, or by being called off.  No secret is in the text of an error, whoever
 * put it there.
 */
#include <string.h>

#include "lib/base/str.h"
#include "vault/oauth_private.h"

#define FETCH_MS 75000 /* smtpd-fetch gives up sooner */

static struct service *
service_of(const struct oauth_fetch *f)
{
	return f->account->all->vault->service;
}

static void
finish(struct oauth_fetch *f, struct oauth_answer *a)
{
	f->ask = 0;
	f->done(f->owner, a);
	explicit_bzero(a, sizeof(*a));
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct oauth_answer a = {.said = OAUTH_SAID_TROUBLE};

	(void)req;
	str_cut(a.text, sizeof(a.text),
	    why == ASK_LOST ? "smtpd-fetch is being restarted" : "smtpd-fetch does not answer");
	finish(owner, &a);
}

int
oauth_fetch_post(struct oauth_fetch *f, const char *url, struct buf *form)
{
	struct service *s = service_of(f);
	struct channel *ch = service_peer(s, ROLE_FETCH, 0);
	struct msg_fetch m = {.url = url, .form = {buf_head(form), form->len}};

	bug_on(f->ask != 0);
	if (ch != NULL)
		f->ask = ask_begin(service_asks(s), ch, service_now_ms(s) + FETCH_MS, on_failed, f);
	m.req = f->ask;
	if (f->ask != 0 && channel_send(ch, MSG_fetch, &m) == -1)
		oauth_fetch_cancel(f);
	buf_free(form);
	return f->ask == 0 ? -1 : 0;
}

/* At the end of the process the service is gone first. */
void
oauth_fetch_cancel(struct oauth_fetch *f)
{
	if (f->ask != 0 && service_of(f) != NULL)
		ask_end(service_asks(service_of(f)), f->ask);
	f->ask = 0;
}

/* A server may say back what it was sent. */
static void
hide_secrets(const struct oauth_account *a, char *text)
{
	const char *const secrets[] = {a->access, a->refresh, a->conf->client_secret};
	size_t i;

	for (i = 0; i < NITEMS(secrets); i++)
		if (secrets[i] != NULL)
			str_hide(text, secrets[i], strlen(secrets[i]));
	if (a->login != NULL)
		oauth_login_hide(a->login, text);
}

/* Nothing else is asked of smtpd-fetch, so the question's owner is what it has to be. */
void
oauth_on_fetched(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_fetched *m = &msg->fetched;
	struct vault *v = ctx;
	struct oauth_fetch *f = ask_owner(service_asks(v->service), ch, m->req);
	struct oauth_answer a = {.said = OAUTH_SAID_TROUBLE};

	(void)fd;
	if (f == NULL)
		return; /* too late */
	ask_end(service_asks(v->service), m->req);
	if (m->outcome == IPC_OK)
		oauth_answer_read(m->code, m->body, &a);
	else
		str_escape(a.text, sizeof(a.text), m->text, strlen(m->text));
	hide_secrets(f->account, a.text);
	finish(f, &a);
}

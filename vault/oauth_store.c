/* SPDX-License-Identifier: ISC */
/*
 * Consents on disk: sealed here, written by the parent, a file a label.
 *
 * Invariants: one write of an account is under way at a time, and what it had changed
 * meanwhile is written after it; an admin is told OK when all of it is durable, and not before.
 * What is on disk counts only for the client, user and server that it was given for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/json_doc.h"
#include "vault/oauth_private.h"
#include "vault/staged.h"

#define RETRY_MS    60000
#define CONSENT_MAX (INT64_C(1) << 40)

/* -- what is kept -- */

static int
make_record(const struct oauth_account *a, struct buf *out)
{
	struct json_t *j = json_doc_create();
	int rc = -1;

	if (j != NULL && json_doc_add_text(j, "label", a->conf->name) == 0 &&
	    json_doc_add_text(j, "binding", a->binding) == 0 &&
	    json_doc_add_text(j, "refresh_token", a->refresh) == 0 &&
	    json_doc_add_number(j, "consent_s", a->consent_s) == 0)
		rc = json_doc_write(j, out);
	json_doc_free(j);
	return rc;
}

static void
read_record(struct oauth_account *a, struct span text)
{
	struct json_t *j = json_doc_read(text.data, text.len);
	const char *binding = j == NULL ? NULL : json_doc_text(j, "binding");
	const char *token = j == NULL ? NULL : json_doc_text(j, "refresh_token");

	if (binding == NULL || token == NULL || token[0] == '\0')
		oauth_set_trouble(
		    a, OAUTH_TROUBLE_TOKEN, "what was kept of its consent is not readable");
	else if (strcmp(binding, a->binding) != 0)
		oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN,
		    "its consent was given for another user, client or server: "
		    "smtpctl oauth login");
	else if (oauth_replace(&a->refresh, token) == 0) {
		a->consent_s = json_doc_number(j, "consent_s", 0, CONSENT_MAX, 0);
		oauth_end_trouble(a, OAUTH_TROUBLE_TOKEN);
	}
	json_doc_free(j);
}

void
oauth_load(struct oauth_account *a)
{
	struct span sealed;
	struct buf text;

	if (!staged_find(a->all->staged, IPC_DATA_SEALED, a->conf->name, &sealed))
		return;
	buf_init(&text, IPC_SEALED_MAX + 1);
	if (sealer_open(&a->all->sealer, a->conf->name, sealed, &text) == 0)
		read_record(a, (struct span){buf_head(&text), text.len});
	else
		oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN,
		    errno == ENOKEY ? "its consent can't be opened: there is no vault key"
				    : "its consent can't be opened: is it another vault key?");
	buf_free(&text);
	a->loaded = a->refresh != NULL; /* else it may be readable another time */
}

/* -- who waits -- */

void
oauth_reply(struct channel *ch, uint32_t req, enum message_type type, enum ipc_outcome outcome,
    const char *text)
{
	const struct msg_done done = {.req = req, .outcome = (uint8_t)outcome, .text = text};
	const struct msg_oauth_done oauth_done = {
	    .req = req, .outcome = (uint8_t)outcome, .text = text};

	if (ch == NULL)
		return;
	if (type == MSG_done)
		(void)channel_send(ch, MSG_done, &done);
	else
		(void)channel_send(ch, MSG_oauth_done, &oauth_done);
}

static void
reply_all(struct oauth_account *a, enum ipc_outcome outcome, const char *text)
{
	while (a->nreplies > 0) {
		const struct oauth_reply *r = &a->replies[--a->nreplies];

		oauth_reply(r->ch, r->req, r->type, outcome, text);
	}
}

void
oauth_store_reply(struct oauth_account *a, struct channel *ch, uint32_t req, enum message_type type)
{
	if (!a->dirty && a->seal_ask == 0)
		oauth_reply(ch, req, type, IPC_OK, "");
	else if (a->nreplies == OAUTH_REPLIES_MAX)
		oauth_reply(ch, req, type, IPC_RETRY, "too many wait for this");
	else if (a->seal_retry_ms > oauth_now_ms(a))
		oauth_reply(ch, req, type, IPC_RETRY, "it can't be kept on disk now; see the log");
	else if (ch != NULL)
		a->replies[a->nreplies++] = (struct oauth_reply){ch, req, type};
}

void
oauth_store_unlink(struct oauth_account *a, const struct channel *ch)
{
	size_t i;

	for (i = a->nreplies; i-- > 0;)
		if (a->replies[i].ch == ch)
			a->replies[i] = a->replies[--a->nreplies];
}

/* -- writing -- */

static void
on_trouble(struct oauth_account *a, const char *why)
{
	char text[IPC_TEXT_MAX];
	struct logline l;

	a->dirty = true;
	a->seal_retry_ms = oauth_now_ms(a) + RETRY_MS;
	logline_start(&l, LOG_LEVEL_WARN, "oauth-not-kept");
	logline_str(&l, "label", a->conf->name);
	logline_str(&l, "why", why);
	logline_end(&l);
	(void)snprintf(text, sizeof(text), "it can't be kept on disk: %s", why);
	oauth_set_trouble(a, OAUTH_TROUBLE_DISK, text);
	reply_all(a, IPC_RETRY, text);
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct oauth_account *a = owner;

	(void)req;
	(void)why;
	a->seal_ask = 0;
	on_trouble(a, "no answer");
}

static void
send_seal(struct oauth_account *a, struct span data)
{
	struct service *s = a->all->vault->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_seal m = {.name = a->conf->name, .data = data};

	a->seal_ask = m.req = ask_begin(
	    service_asks(s), parent, oauth_now_ms(a) + OAUTH_SEAL_MS, on_failed, a);
	if (m.req != 0 && parent != NULL && channel_send(parent, MSG_seal, &m) == 0) {
		a->dirty = false;
		return;
	}
	ask_end(service_asks(s), m.req);
	a->seal_ask = 0;
	on_trouble(a, "the parent can't be asked");
}

/* Nothing is what "forget it" is. */
static void
write_now(struct oauth_account *a)
{
	struct buf record, sealed;

	buf_init(&record, SEALED_PLAIN_MAX);
	buf_init(&sealed, IPC_SEALED_MAX);
	if (a->refresh == NULL)
		send_seal(a, (struct span){NULL, 0});
	else if (make_record(a, &record) == -1)
		on_trouble(a, "the record can't be made");
	else if (sealer_seal(&a->all->sealer, a->conf->name,
		     (struct span){buf_head(&record), record.len}, &sealed) == -1)
		on_trouble(a, errno == ENOKEY ? "there is no vault key" : strerror(errno));
	else
		send_seal(a, (struct span){buf_head(&sealed), sealed.len});
	buf_free(&record);
	buf_free(&sealed);
}

void
oauth_store(struct oauth_account *a)
{
	a->loaded = a->dirty = true;
	a->seal_retry_ms = 0;
	if (a->seal_ask == 0)
		write_now(a);
}

void
oauth_store_tick(struct oauth_account *a)
{
	if (a->dirty && a->seal_ask == 0 && a->seal_retry_ms <= oauth_now_ms(a))
		write_now(a);
}

static void
on_sealed(struct oauth_account *a, const struct msg_sealed *m)
{
	char text[IPC_NAME_MAX];

	a->seal_ask = 0;
	if (m->outcome != IPC_OK) {
		str_escape(text, sizeof(text), m->text, strlen(m->text));
		on_trouble(a, text);
	} else if (a->dirty) {
		write_now(a);
	} else {
		oauth_end_trouble(a, OAUTH_TROUBLE_DISK);
		reply_all(a, IPC_OK, "");
	}
}

/* Not by the question's owner: others ask the parent, too. */
void
oauth_on_sealed(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;
	struct oauth_account *a;

	(void)ch;
	(void)fd;
	TAILQ_FOREACH (a, &v->oauths->accounts, entry)
		if (msg->req != 0 && a->seal_ask == msg->req)
			break;
	if (a == NULL)
		return; /* it took too long */
	ask_end(service_asks(v->service), msg->req);
	on_sealed(a, &msg->sealed);
}

/* SPDX-License-Identifier: ISC */
/*
 * The envelope: MAIL, RCPT, RSET.
 *
 * Invariant: s->tx is there exactly while a transaction is under way; every
 * recipient in it was accepted by lookup, with an action.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "session/session.h"

#define LOOKUP_DEADLINE_MS 90000

static void
rcpt_free(struct recipient *r)
{
	free(r->address);
	free(r->action);
	free(r->orcpt);
}

void
transaction_free(struct session *s)
{
	struct transaction *t = s->tx;
	size_t i;

	if (t == NULL)
		return;
	data_take_back(s);
	for (i = 0; i < t->nrcpts; i++)
		rcpt_free(&t->rcpts[i]);
	free(t->rcpts);
	buf_free(&t->chunk);
	free(t);
	s->tx = NULL;
}

static void
reply_parse(struct session *s, enum parse_result r, enum verb verb)
{
	const struct parse_answer *a = parse_answer(r, verb);

	session_reply_text(s, a->code, a->enhanced, a->text);
}

/* Extensions that EHLO does not announce are not accepted either. */
static bool
mail_unsupported(const struct session *s, const struct mail_args *a)
{
	if (!s->extended && (a->has_size || a->body != BODY_KIND_NONE))
		return true;
	return a->smtputf8 || a->ret[0] != '\0' || a->envid[0] != '\0' || a->has_auth ||
	       a->body == BODY_KIND_BINARYMIME;
}

static enum reply
mail_refusal(const struct session *s, const struct mail_args *a)
{
	if (s->program->paused)
		return REPLY_PAUSED;
	if (s->policy->auth_required)
		return REPLY_AUTH_FIRST;
	if (mail_unsupported(s, a))
		return REPLY_UNSUPPORTED_PARAM;
	if (a->has_size && a->size > s->program->conf->values.smtp_max_message_bytes)
		return REPLY_TOO_BIG; /* RFC 1870 6.1 */
	return REPLY_NONE;
}

void
cmd_mail(struct session *s, const struct command *c)
{
	struct mail_args args;
	enum parse_result r = parse_mail(c->arg, &args);
	enum reply refusal;
	struct transaction *t;

	if (r != PARSE_OK) {
		reply_parse(s, r, VERB_MAIL);
		return;
	}
	if ((refusal = mail_refusal(s, &args)) != REPLY_NONE) {
		session_reply(s, refusal);
		return;
	}
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		session_reply(s, REPLY_NO_MEMORY);
		return;
	}
	t->mail = args;
	buf_init(&t->chunk, IPC_CHUNK_MAX);
	if (args.from.local[0] != '\0' &&
	    address_format(&args.from, t->sender, sizeof(t->sender)) == -1) {
		free(t);
		reply_parse(s, PARSE_BAD_ADDRESS, VERB_MAIL);
		return;
	}
	s->tx = t;
	session_enter(s, STATE_MAIL);
	session_reply(s, REPLY_SENDER_OK);
}

/* -- RCPT: lookup decides -- */

static int
ask_lookup(struct session *s, const char *rcpt)
{
	struct service *service = s->program->service;
	struct channel *lookup = service_peer(service, ROLE_LOOKUP, 0);
	char client[ADDR_TEXT_MAX];
	struct msg_rcpt_check m = {.client = client,
	    .local = s->local,
	    .helo = s->helo,
	    .tag = s->policy->tag,
	    .auth = "",
	    .sender = s->tx->sender,
	    .rcpt = rcpt};

	addr_format(&s->peer, client);
	s->question = ask_begin(service_asks(service), lookup,
	    service_now_ms(service) + LOOKUP_DEADLINE_MS, on_lookup_lost, s);
	if (s->question == 0 || lookup == NULL)
		return s->question == 0 ? -1 : 0;
	m.req = s->question;
	if (channel_send(lookup, MSG_rcpt_check, &m) == 0)
		return 0;
	ask_end(service_asks(service), s->question);
	s->question = 0;
	return -1;
}

void
cmd_rcpt(struct session *s, const struct command *c)
{
	struct transaction *t = s->tx;
	char rcpt[IPC_ADDRESS_MAX + 1];
	enum parse_result r = parse_rcpt(c->arg, t->mail.smtputf8, &t->pending);

	if (r == PARSE_OK && address_format(&t->pending.to, rcpt, sizeof(rcpt)) == -1)
		r = PARSE_BAD_ADDRESS;
	if (r != PARSE_OK) {
		t->nrefused++;
		reply_parse(s, r, VERB_RCPT);
		return;
	}
	if (t->pending.notify != 0 || t->pending.orcpt[0] != '\0') {
		session_reply(s, REPLY_UNSUPPORTED_PARAM);
		return;
	}
	if (t->nrcpts >= s->program->conf->values.smtp_max_recipients) {
		session_reply(s, REPLY_TOO_MANY_RCPTS); /* RFC 5321 4.5.3.1.10 */
		return;
	}
	if (ask_lookup(s, rcpt) == -1) {
		session_reply(s, REPLY_LOOKUP_DOWN);
		return;
	}
	session_enter(s, STATE_ASKING);
}

static int
rcpt_add(struct transaction *t, const char *action)
{
	char rcpt[IPC_ADDRESS_MAX + 1];
	struct recipient *list, *r;

	if (address_format(&t->pending.to, rcpt, sizeof(rcpt)) == -1)
		return -1;
	if ((list = reallocarray(t->rcpts, t->nrcpts + 1, sizeof(*list))) == NULL)
		return -1;
	t->rcpts = list;
	r = &list[t->nrcpts];
	*r = (struct recipient){.address = strdup(rcpt),
	    .action = strdup(action),
	    .orcpt = strdup(t->pending.orcpt),
	    .notify = t->pending.notify};
	if (r->address == NULL || r->action == NULL || r->orcpt == NULL) {
		rcpt_free(r);
		return -1;
	}
	t->nrcpts++;
	return 0;
}

static void
log_refused(const struct session *s, const struct msg_rcpt_verdict *m)
{
	char client[ADDR_TEXT_MAX], rcpt[IPC_ADDRESS_MAX + 1];
	struct logline l;

	addr_format(&s->peer, client);
	if (address_format(&s->tx->pending.to, rcpt, sizeof(rcpt)) == -1)
		return;
	logline_start(&l, LOG_LEVEL_INFO, "recipient-refused");
	logline_str(&l, "client", client);
	logline_str(&l, "from", s->tx->sender);
	logline_str(&l, "to", rcpt);
	logline_u64(&l, "code", m->code);
	logline_str(&l, "status", m->status);
	logline_str(&l, "text", m->text);
	logline_u64(&l, "rule", m->rule_line);
	logline_end(&l);
}

static void
count_refused(struct session *s, const struct msg_rcpt_verdict *m)
{
	s->tx->nrefused++;
	s->program->rejected_recipients++;
	log_refused(s, m);
}

void
mail_rcpt_answer(struct session *s, const struct msg_rcpt_verdict *m)
{
	struct transaction *t = s->tx;

	s->question = 0;
	if (m->code == 250 && rcpt_add(t, m->action) == -1) {
		session_enter(s, t->nrcpts > 0 ? STATE_RCPT : STATE_MAIL);
		session_reply(s, REPLY_NO_MEMORY);
	} else {
		if (m->code != 250)
			count_refused(s, m);
		else if (t->begun == BEGUN_NOT)
			data_announce(s);
		session_enter(s, t->nrcpts > 0 ? STATE_RCPT : STATE_MAIL);
		session_reply_text(s, m->code, m->status, m->text);
	}
	session_continue(s);
}

void
cmd_rset(struct session *s, const struct command *c)
{
	(void)c;
	if (s->tx != NULL) {
		transaction_free(s);
		session_enter(s, STATE_IDLE);
	}
	session_reply(s, REPLY_OK);
}

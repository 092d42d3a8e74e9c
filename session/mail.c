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
	announce_take_back(s);
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

/* What EHLO did not offer is not accepted either. */
static bool
mail_unsupported(const struct session *s, const struct mail_args *a)
{
	bool report = a->ret[0] != '\0' || a->envid[0] != '\0';
	bool submitter = a->has_priority || a->has_hold || a->has_by;

	if (!s->extended && (a->has_size || a->body != BODY_KIND_NONE || a->smtputf8))
		return true;
	return (report && (!s->extended || s->policy->no_dsn)) ||
	       (a->has_auth && s->auth == NULL && !auth_is_offered(s)) ||
	       (a->requiretls && io_tls(s->io) == NULL) ||
	       (submitter && !(s->extended && hello_serves_submitters(s)));
}

/* RFC 6710, 4865 and 2852, for those whom we know. */
static enum reply
submitter_refusal(const struct session *s, const struct mail_args *a)
{
	int64_t now_s = service_now_s(s->program->service);
	int64_t max_s = s->program->conf->values.smtp_max_hold_s;

	if (s->auth == NULL && (a->has_priority || a->has_hold || a->has_by))
		return REPLY_AUTH_FOR_PARAM;
	if (a->has_hold && (a->hold_for_s > max_s || a->hold_until_s > now_s + max_s))
		return REPLY_HOLD_TOO_LONG; /* RFC 4865 5 */
	if (a->has_by && a->by_mode == 'R' && a->by_s <= 0)
		return REPLY_BAD_BY; /* RFC 2852 4 */
	return REPLY_NONE;
}

static enum reply
mail_refusal(const struct session *s, const struct mail_args *a)
{
	const struct conf_values *v = &s->program->conf->values;

	if (s->program->paused)
		return REPLY_PAUSED;
	if (s->policy->tls_required && io_tls(s->io) == NULL)
		return REPLY_TLS_FIRST; /* RFC 3207 4 */
	if (s->policy->auth_required && s->auth == NULL)
		return REPLY_AUTH_FIRST;
	if (mail_unsupported(s, a))
		return REPLY_UNSUPPORTED_PARAM;
	if (v->smtp_max_mails > 0 && s->nmails >= v->smtp_max_mails)
		return REPLY_TOO_MANY_MAILS; /* RFC 9422 4.1 */
	if (a->has_size && a->size > v->smtp_max_message_bytes)
		return REPLY_TOO_BIG; /* RFC 1870 6.1 */
	return submitter_refusal(s, a);
}

static struct transaction *
transaction_create(const struct mail_args *args)
{
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->mail = *args;
	buf_init(&t->chunk, IPC_CHUNK_MAX);
	if (args->from.local[0] != '\0' &&
	    address_format(&args->from, t->sender, sizeof(t->sender)) == -1) {
		free(t);
		return NULL;
	}
	return t;
}

void
cmd_mail(struct session *s, const struct command *c)
{
	struct mail_args args;
	enum parse_result r = parse_mail(c->arg, &args);
	enum reply refusal;

	if (r != PARSE_OK) {
		reply_parse(s, r, VERB_MAIL);
		return;
	}
	if ((refusal = mail_refusal(s, &args)) != REPLY_NONE) {
		session_reply(s, refusal);
		return;
	}
	if ((s->tx = transaction_create(&args)) == NULL) {
		session_reply(s, REPLY_NO_MEMORY);
		return;
	}
	gate_ask(s, CONF_PHASE_MAIL_FROM);
}

/* value: what a filter wrote in place of the sender; lookup's word, so not trusted to be one. */
static int
rewrite_sender(struct transaction *t, const char *value)
{
	unsigned flags = ADDRESS_NULL_OK | (t->mail.smtputf8 ? ADDRESS_UTF8_OK : 0U);
	struct address a;

	if (value[0] == '\0')
		return 0;
	if (strcmp(value, "<>") == 0)
		t->sender[0] = '\0';
	else if (address_parse(value, flags, &a) != ADDRESS_OK ||
		 address_format(&a, t->sender, sizeof(t->sender)) == -1)
		return -1;
	return 0;
}

void
mail_passed(struct session *s, const char *value)
{
	if (rewrite_sender(s->tx, value) == -1) {
		transaction_free(s);
		session_enter(s, STATE_IDLE);
		session_reply(s, REPLY_FILTERS_DOWN);
		return;
	}
	s->nmails++;
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
	struct msg_rcpt_check m = {.visit = (uint32_t)io_fd(s->io),
	    .first = !s->tx->asked,
	    .client = client,
	    .local = s->local,
	    .helo = s->helo,
	    .tag = s->policy->tag,
	    .auth = s->auth == NULL ? "" : s->auth,
	    .tls = io_tls(s->io) != NULL,
	    .rdns = s->rdns,
	    .name = s->name == NULL ? "" : s->name,
	    .sender = s->tx->sender,
	    .rcpt = rcpt};

	addr_format(&s->peer, client);
	s->question = ask_begin(service_asks(service), lookup,
	    service_now_ms(service) + LOOKUP_DEADLINE_MS, on_lookup_lost, s);
	if (s->question == 0 || lookup == NULL)
		return s->question == 0 ? -1 : 0;
	m.req = s->question;
	s->tx->asked = true;
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
	if ((t->pending.notify != 0 || t->pending.orcpt[0] != '\0') &&
	    (!s->extended || s->policy->no_dsn)) {
		session_reply(s, REPLY_UNSUPPORTED_PARAM);
		return;
	}
	if (t->nrcpts >= s->program->conf->values.smtp_max_recipients) {
		session_reply(s, REPLY_TOO_MANY_RCPTS); /* RFC 5321 4.5.3.1.10 */
		return;
	}
	gate_ask(s, CONF_PHASE_RCPT_TO);
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
	logline_str(&l, "why", m->why);
	logline_end(&l);
}

void
mail_rcpt_refused(struct session *s, const struct msg_rcpt_verdict *m)
{
	s->tx->nrefused++;
	s->program->rejected_recipients++;
	log_refused(s, m);
}

/* Nobody can judge it now. */
static void
put_off(struct session *s, const char *why)
{
	const struct reply_row *row = reply_row(REPLY_LOOKUP_DOWN);
	const struct msg_rcpt_verdict m = {.code = (uint16_t)row->code,
	    .status = row->status,
	    .text = row->text,
	    .action = "",
	    .why = why};

	mail_rcpt_refused(s, &m);
	session_reply(s, REPLY_LOOKUP_DOWN);
}

static int
rewrite_rcpt(struct transaction *t, const char *value, char *rcpt, size_t size)
{
	unsigned flags = ADDRESS_BARE_POSTMASTER_OK | (t->mail.smtputf8 ? ADDRESS_UTF8_OK : 0U);

	if (value[0] != '\0' && address_parse(value, flags, &t->pending.to) != ADDRESS_OK)
		return -1;
	return address_format(&t->pending.to, rcpt, size);
}

void
mail_rcpt_passed(struct session *s, const char *value)
{
	char rcpt[IPC_ADDRESS_MAX + 1];
	enum state back = s->tx->nrcpts > 0 ? STATE_RCPT : STATE_MAIL;
	const char *why = NULL;

	if (rewrite_rcpt(s->tx, value, rcpt, sizeof(rcpt)) == -1)
		why = "a filter wrote what is no address";
	else if (ask_lookup(s, rcpt) == -1)
		why = "lookup is down";
	if (why == NULL) {
		session_enter(s, STATE_ASKING);
		return;
	}
	if (s->state == STATE_FILTERING)
		session_enter(s, back);
	put_off(s, why);
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

void
mail_rcpt_answer(struct session *s, const struct msg_rcpt_verdict *m)
{
	struct transaction *t = s->tx;

	s->question = 0;
	if (m->code == 421) { /* this client is to leave */
		mail_rcpt_refused(s, m);
		session_quit_text(s, m->code, m->status, m->text);
		return;
	}
	if (m->code == 250 && rcpt_add(t, m->action) == -1) {
		session_enter(s, t->nrcpts > 0 ? STATE_RCPT : STATE_MAIL);
		session_reply(s, REPLY_NO_MEMORY);
	} else {
		if (m->code != 250)
			mail_rcpt_refused(s, m);
		else if (t->begun == BEGUN_NOT)
			announce(s);
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

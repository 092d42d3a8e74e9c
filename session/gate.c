/* SPDX-License-Identifier: ISC */
/*
 * The filters of smtpd.conf, as lookup answers them.
 *
 * Invariants: a command goes on exactly when the filter of its port let it
 * pass, or has nothing to say at its phase; where lookup can't be asked it does
 * not.  One row a phase: what goes on, and what a refusal undoes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "session/session.h"

#define FILTER_DEADLINE_MS 90000

static void
nothing(struct session *s)
{
	(void)s;
}

/* What follows a refused body, refuse() leaves to data.c, which knows whether a chunk is to be swallowed. */
static const struct {
	void (*passed)(struct session *s, const char *value);
	void (*refused)(struct session *s);
} gates[CONF_PHASE__MAX] = {
    [CONF_PHASE_CONNECT] = {NULL, nothing}, /* with client_enter */
    [CONF_PHASE_HELO] = {hello_passed, hello_refused},
    [CONF_PHASE_EHLO] = {hello_passed, hello_refused},
    [CONF_PHASE_MAIL_FROM] = {mail_passed, transaction_free},
    [CONF_PHASE_RCPT_TO] = {mail_rcpt_passed, nothing},
    [CONF_PHASE_DATA] = {data_passed, nothing},
    [CONF_PHASE_COMMIT] = {commit_passed, nothing},
};

static bool
is_filtered(const struct session *s, enum conf_phase phase)
{
	return s->policy->gates[phase] && !s->bypass && !(s->tx != NULL && s->tx->bypass);
}

/* A login must own what it sends as; no filter lets it off that. */
static bool
is_owned(const struct session *s, enum conf_phase phase)
{
	return phase == CONF_PHASE_MAIL_FROM && s->auth != NULL && s->owns_sender;
}

static int
send_check(struct session *s, struct channel *lookup)
{
	char client[ADDR_TEXT_MAX], rcpt[IPC_ADDRESS_MAX + 1] = "";
	struct msg_filter_check m = {.req = s->question,
	    .phase = s->phase,
	    .filter = is_filtered(s, (enum conf_phase)s->phase) ? s->policy->filter : "",
	    .owned = is_owned(s, (enum conf_phase)s->phase),
	    .senders = s->policy->senders,
	    .client = client,
	    .rdns = s->rdns,
	    .name = s->name == NULL ? "" : s->name,
	    .helo = s->helo == NULL ? "" : s->helo,
	    .auth = s->auth == NULL ? "" : s->auth,
	    .sender = s->tx == NULL ? "" : s->tx->sender,
	    .rcpt = rcpt};

	addr_format(&s->peer, client);
	if (s->phase == CONF_PHASE_RCPT_TO &&
	    address_format(&s->tx->pending.to, rcpt, sizeof(rcpt)) == -1)
		return -1;
	return channel_send(lookup, MSG_filter_check, &m);
}

void
gate_ask(struct session *s, enum conf_phase phase)
{
	struct service *service = s->program->service;
	struct channel *lookup = service_peer(service, ROLE_LOOKUP, 0);

	if (!is_filtered(s, phase) && !is_owned(s, phase)) {
		gates[phase].passed(s, "");
		return;
	}
	s->phase = (uint8_t)phase;
	s->back = s->state;
	session_enter(s, STATE_FILTERING);
	s->question = ask_begin(service_asks(service), lookup,
	    service_now_ms(service) + FILTER_DEADLINE_MS, on_lookup_lost, s);
	if (s->question == 0 || (lookup != NULL && send_check(s, lookup) == -1))
		gate_lost(s, "lookup is down");
}

/* Of a recipient the log has the reason, whoever refused it. */
static void
note_refusal(struct session *s, const struct msg_filter_verdict *m, const char *why)
{
	const struct msg_rcpt_verdict refused = {
	    .code = m->code, .status = m->status, .text = m->text, .action = "", .why = why};

	if (s->phase == CONF_PHASE_RCPT_TO)
		mail_rcpt_refused(s, &refused);
}

/* The state of before, or the one that a refused body leads to. */
static void
refuse(struct session *s, const struct msg_filter_verdict *m)
{
	enum conf_phase phase = (enum conf_phase)s->phase;

	gates[phase].refused(s);
	if (phase == CONF_PHASE_DATA || phase == CONF_PHASE_COMMIT) {
		data_give_up_text(s, m->code, m->status, m->text);
		return;
	}
	session_enter(s, s->back);
	session_reply_text(s, m->code, m->status, m->text);
}

static void
end_refused(struct session *s, const struct msg_filter_verdict *m)
{
	char why[sizeof("filter \"\" at mail-from") + IPC_WORD_MAX];

	(void)snprintf(why, sizeof(why), "filter \"%s\" at %s", m->filter,
	    conf_phase_name((enum conf_phase)s->phase));
	note_refusal(s, m, why);
	if (m->disconnect)
		session_quit_text(s, m->code, m->status, m->text);
	else
		refuse(s, m);
}

void
gate_answer(struct session *s, const struct msg_filter_verdict *m)
{
	s->question = 0;
	if (s->tx != NULL) {
		s->tx->junk |= m->junk;
		s->tx->bypass |= m->bypass;
	} else {
		s->junk |= m->junk;
		s->bypass |= m->bypass;
	}
	if (m->code == 0)
		gates[s->phase].passed(s, m->value);
	else
		end_refused(s, m);
	session_continue(s);
}

void
gate_lost(struct session *s, const char *why)
{
	bool is_rcpt = s->phase == CONF_PHASE_RCPT_TO;
	const struct reply_row *row = reply_row(is_rcpt ? REPLY_LOOKUP_DOWN : REPLY_FILTERS_DOWN);
	const struct msg_filter_verdict m = {
	    .code = (uint16_t)row->code, .status = row->status, .text = row->text};

	ask_end(service_asks(s->program->service), s->question);
	s->question = 0;
	note_refusal(s, &m, why);
	refuse(s, &m);
}

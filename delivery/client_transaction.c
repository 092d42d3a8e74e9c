/* SPDX-License-Identifier: ISC */
/*
 * MAIL, RCPT, DATA, in turn or pipelined (RFC 2920), as often as the server's
 * limit on recipients asks for, said (RFC 9422) or shown by 452.  A message in
 * chunks (RFC 3030) has no DATA: its first chunk follows the replies to RCPT.
 *
 * Invariants: DATA goes out only after every RCPT did; a body only to a
 * server that accepted a recipient; a recipient gets the verdict of the reply
 * to its own RCPT, or of the message's end that it was accepted for, once.
 * Each transaction judges one recipient at least.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"

#define WINDOW	  100 /* commands that wait for a reply at once */
#define TLS_FIRST 530 /* RFC 3207 4: "Must issue a STARTTLS command first" */

/* -- verdicts -- */

void
client_verdict(struct client *c, size_t rcpt, const struct verdict *v)
{
	struct verdict copy;

	if (c->rcpts[rcpt] == RCPT_DONE)
		return;
	c->rcpts[rcpt] = RCPT_DONE;
	c->nverdicts++;
	copy = *v;
	/* LMTP, which ends here (RFC 2033), and SMTP without DSN: nobody else tells (RFC 3461 5.2). */
	copy.relayed = v->outcome == IPC_OK && (c->options.lmtp || !client_has_dsn(c));
	c->options.callbacks->on_verdict(c->options.arg, rcpt, &copy);
}

void
client_verdict_all(struct client *c, const struct verdict *v)
{
	size_t i;

	for (i = 0; c->mail != NULL && i < c->mail->nrcpts; i++)
		client_verdict(c, i, v);
}

void
client_verdict_accepted(struct client *c)
{
	struct verdict v;
	size_t i;

	verdict_of_reply(&v, STAGE_DATA, &c->reply);
	for (i = 0; i < c->nbatch; i++)
		if (c->rcpts[c->batch[i]] == RCPT_ACCEPTED)
			client_verdict(c, c->batch[i], &v);
}

void
client_verdict_next(struct client *c)
{
	struct verdict v;
	size_t i;

	verdict_of_reply(&v, STAGE_DATA, &c->reply);
	for (i = 0; i < c->nbatch; i++)
		if (c->rcpts[c->batch[i]] == RCPT_ACCEPTED) {
			client_verdict(c, c->batch[i], &v);
			return;
		}
}

bool
client_has_dsn(const struct client *c)
{
	return (c->features & FEATURE_DSN) != 0;
}

size_t
client_mails_left(const struct client *c)
{
	if (c->mail_limit == SIZE_MAX)
		return SIZE_MAX;
	return c->mail_limit > c->ntransactions ? c->mail_limit - c->ntransactions : 0;
}

static size_t
data_index(const struct client *c)
{
	return 1 + c->nbatch;
}

static void
send_command(struct client *c, size_t index)
{
	if (index == 0)
		client_send_mail(c);
	else if (index < data_index(c))
		client_send_rcpt(c, c->batch[index - 1]);
	else
		client_write_str(c, "DATA\r\n");
}

/* -- a transaction -- */

/* DATA for nobody is no rare thing with RFC 2920 3.1; LMTP has no reply to its end (RFC 2033 4.2). */
static bool
may_send_data(const struct client *c)
{
	size_t due = c->sent - c->answered;

	if (c->form != BODY_LINES)
		return false;
	return due == 0 ? c->accepted > 0 : !c->options.lmtp;
}

static bool
may_send_next(const struct client *c)
{
	size_t due = c->sent - c->answered;

	if (c->state == CLIENT_OVER || c->refused || c->sent > data_index(c))
		return false;
	if (c->sent == data_index(c) && !may_send_data(c))
		return false;
	return due == 0 || ((c->features & FEATURE_PIPELINING) != 0 && due < WINDOW);
}

/* Sends what may be sent and enters the state of the oldest command without a reply. */
static void
transaction_go_on(struct client *c)
{
	if (c->sent == c->answered && !client_may_talk(c))
		return;
	client_cork(c);
	while (may_send_next(c))
		send_command(c, c->sent++);
	client_uncork(c);
	if (c->sent == c->answered && c->form != BODY_LINES && c->accepted > 0)
		client_body_begin(c);
	else if (c->sent == c->answered)
		client_transaction_over(c, !c->refused);
	else if (c->answered == 0)
		client_enter(c, CLIENT_MAIL);
	else
		client_enter(c, c->answered < data_index(c) ? CLIENT_RCPT : CLIENT_DATA);
}

/* For as many of those still open as the server takes at once. */
static void
transaction_begin(struct client *c)
{
	size_t i;

	c->nbatch = c->sent = c->answered = c->accepted = 0;
	c->refused = false;
	for (i = 0; i < c->mail->nrcpts && c->nbatch < c->rcpt_limit; i++)
		if (c->rcpts[i] == RCPT_OPEN)
			c->batch[c->nbatch++] = i;
	transaction_go_on(c);
}

void
client_settle(struct client *c)
{
	c->mail = NULL;
	c->nmails++;
	client_message_ends(c);
	client_enter(c, CLIENT_IDLE);
	c->options.callbacks->on_done(c->options.arg);
}

/* RFC 9422 4.1: it takes no more on this connection.  The rest is due at once, on another. */
static void
put_off(struct client *c)
{
	struct verdict v;

	verdict_of(&v, CAUSE_LIMITED, "messages in a session");
	v.untried = true;
	v.again_s = 1;
	client_verdict_all(c, &v);
}

static void
go_on(struct client *c)
{
	if (c->nverdicts < c->mail->nrcpts && client_mails_left(c) == 0)
		put_off(c);
	if (c->nverdicts < c->mail->nrcpts)
		transaction_begin(c);
	else if (c->sending)
		client_soon(c, CLIENT_SETTLED);
	else
		client_settle(c);
}

void
client_transaction_over(struct client *c, bool reset)
{
	if (c->state == CLIENT_OVER)
		return;
	if (reset)
		client_say(c, CLIENT_RSET, "RSET\r\n");
	else
		go_on(c);
}

void
client_on_rset(struct client *c)
{
	go_on(c);
}

/* -- replies -- */

void
client_on_mail_ok(struct client *c)
{
	c->answered++;
	transaction_go_on(c);
}

void
client_on_mail_refused(struct client *c)
{
	struct verdict v;

	if (c->reply.code == TLS_FIRST && !c->secure)
		verdict_of(&v, CAUSE_TLS_WANTED, c->reply.text);
	else
		verdict_of_reply(&v, STAGE_MAIL, &c->reply);
	client_verdict_all(c, &v);
	c->refused = true;
	c->answered++;
	transaction_go_on(c);
}

void
client_on_rcpt_ok(struct client *c)
{
	size_t rcpt = c->batch[c->answered - 1];

	if (c->rcpts[rcpt] == RCPT_OPEN) {
		c->rcpts[rcpt] = RCPT_ACCEPTED;
		c->accepted++;
	}
	c->answered++;
	transaction_go_on(c);
}

/* RFC 5321 4.5.3.1.10: enough for one transaction; with what it said to others, the mail is for them. */
static bool
is_overflow(const struct client *c)
{
	const struct reply *r = &c->reply;

	if (c->accepted == 0 || (r->code != 452 && r->code != 552))
		return false;
	return r->enhanced[0] == '\0' || strcmp(r->enhanced + 1, ".5.3") == 0;
}

/* Those who are open still come in another transaction, no larger than this one. */
static void
take_no_more(struct client *c)
{
	c->rcpt_limit = c->accepted < c->rcpt_limit ? c->accepted : c->rcpt_limit;
	if (c->sent <= c->nbatch)
		c->nbatch = c->sent - 1;
}

void
client_on_rcpt_refused(struct client *c)
{
	struct verdict v;

	if (is_overflow(c))
		take_no_more(c);
	else {
		verdict_of_reply(&v, STAGE_RCPT, &c->reply);
		client_verdict(c, c->batch[c->answered - 1], &v);
	}
	c->answered++;
	transaction_go_on(c);
}

/*
 * RFC 2920 3.1: a server may want data for nobody; it gets none.  One that wants them
 * although it refused MAIL could send the recipients an empty message.
 */
void
client_on_data_ok(struct client *c)
{
	c->answered++;
	if (c->refused)
		client_give_up(c, CLIENT_CLOSED);
	else if (c->accepted == 0)
		client_body_none(c);
	else if (client_may_talk(c))
		client_body_begin(c);
}

void
client_on_data_refused(struct client *c)
{
	c->answered++;
	client_verdict_accepted(c);
	client_transaction_over(c, !c->refused);
}

/* -- a message -- */

/* What the message needs, and the server lacks, is known before MAIL.  CAUSE__MAX: nothing. */
static enum cause
find_lack(const struct client *c)
{
	const struct client_mail *m = c->mail;
	int64_t left_s;

	if (c->size_limit > 0 && m->size_bytes > c->size_limit)
		return CAUSE_TOO_BIG;
	if (m->is_utf8 && !m->is_utf8_by_rcpts && (c->features & FEATURE_SMTPUTF8) == 0)
		return CAUSE_NO_SMTPUTF8;
	/* RFC 3030 3: BINARYMIME is of no use without CHUNKING. */
	if (m->is_binary && (~c->features & (FEATURE_CHUNKING | FEATURE_BINARYMIME)) != 0)
		return CAUSE_NO_BINARYMIME;
	if (!m->is_binary && m->is_8bit && (c->features & FEATURE_8BITMIME) == 0)
		return CAUSE_NO_8BITMIME;
	if (m->requires_tls && m->sender[0] != '\0' && !client_keeps_tls(c))
		return c->secure ? CAUSE_NO_REQUIRETLS : CAUSE_NO_SAFE_TLS;
	if (m->by != IPC_BY_RETURN)
		return CAUSE__MAX;
	if ((c->features & FEATURE_DELIVERBY) == 0)
		return CAUSE_NO_DELIVERBY;
	left_s = client_by_left(c);
	return left_s > 0 && (uint64_t)left_s >= c->by_min_s ? CAUSE__MAX : CAUSE_TOO_LATE;
}

static int
make_room(struct client *c, size_t n)
{
	enum rcpt_state *rcpts;
	size_t *batch;

	if (n > c->nrooms) {
		rcpts = calloc(n, sizeof(*rcpts));
		batch = calloc(n, sizeof(*batch));
		if (rcpts == NULL || batch == NULL) {
			free(rcpts);
			free(batch);
			return -1;
		}
		free(c->rcpts);
		free(c->batch);
		c->rcpts = rcpts;
		c->batch = batch;
		c->nrooms = n;
	}
	memset(c->rcpts, 0, c->nrooms * sizeof(*c->rcpts));
	return 0;
}

static void
refuse_here(struct client *c, enum cause cause)
{
	char limit[64] = "";
	struct verdict v;

	if (cause == CAUSE_TOO_BIG)
		(void)snprintf(
		    limit, sizeof(limit), "its limit is %" PRIu64 " octets", c->size_limit);
	verdict_of(&v, cause, limit);
	client_verdict_all(c, &v);
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s <= 127)
		s++;
	return *s == '\0';
}

/* Who can't be named to a server without SMTPUTF8 does not keep the message from the others. */
static void
refuse_utf8(struct client *c)
{
	struct verdict v;
	size_t i;

	if (!c->mail->is_utf8 || (c->features & FEATURE_SMTPUTF8) != 0)
		return;
	verdict_of(&v, CAUSE_NO_SMTPUTF8, NULL);
	for (i = 0; i < c->mail->nrcpts; i++)
		if (!is_ascii(c->mail->rcpts[i]))
			client_verdict(c, i, &v);
}

/* No room to judge by: each is told the same, without it. */
static void
no_memory(struct client *c)
{
	struct verdict v;
	size_t i;

	verdict_of(&v, CAUSE_NO_MEMORY, NULL);
	for (i = 0; i < c->mail->nrcpts; i++)
		c->options.callbacks->on_verdict(c->options.arg, i, &v);
	c->nverdicts = c->mail->nrcpts;
}

void
client_send(struct client *c, const struct client_mail *mail)
{
	enum cause lack;

	bug_on(c->state != CLIENT_IDLE);
	c->sending = true;
	c->mail = mail;
	c->nverdicts = 0;
	client_enter(c, CLIENT_MAIL);
	client_message_begins(c);
	client_body_choose(c);
	if (make_room(c, mail->nrcpts) == -1)
		no_memory(c);
	else if ((lack = find_lack(c)) != CAUSE__MAX)
		refuse_here(c, lack);
	else
		refuse_utf8(c);
	go_on(c);
	c->sending = false;
}

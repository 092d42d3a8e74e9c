/* SPDX-License-Identifier: ISC */
/*
 * MAIL, RCPT, DATA, in turn or pipelined (RFC 2920), as often as the server's
 * limit on recipients asks for.  A binary message goes as one chunk instead of
 * DATA (RFC 3030), once a recipient is accepted.
 *
 * Invariants: DATA goes out only after every RCPT did; a body only to a
 * server that accepted a recipient; a recipient gets the verdict of the reply
 * to its own RCPT, or of the DATA it was accepted for.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/bug.h"

#define BY_MAX	    999999999 /* RFC 2852 4: nine digits */
#define WINDOW	    100	      /* commands that wait for a reply at once */
#define COMMAND_MAX (IPC_ADDRESS_MAX + 128)

static size_t
data_index(const struct client *c)
{
	return 1 + c->end - c->first;
}

static const char *
body_parameter(const struct client_mail *m)
{
	if (m->is_binary)
		return " BODY=BINARYMIME";
	return m->is_8bit ? " BODY=8BITMIME" : "";
}

int64_t
client_by_left(const struct client *c)
{
	int64_t by_s = c->mail->by_s > 0 ? c->mail->by_s : 0;
	int64_t left_s = by_s - c->options->callbacks->on_clock(c->options->arg);

	if (left_s > BY_MAX)
		return BY_MAX;
	return left_s < -BY_MAX ? -BY_MAX : left_s;
}

/* RFC 2852 4: what is left of the time; less than nothing where it is only to be told of. */
static void
by_parameter(const struct client *c, char *dst, size_t size)
{
	const struct client_mail *m = c->mail;

	dst[0] = '\0';
	if (m->by != IPC_BY_NONE && (c->features & FEATURE_DELIVERBY) != 0)
		(void)snprintf(dst, size, " BY=%" PRId64 ";%c%s", client_by_left(c),
		    m->by == IPC_BY_RETURN ? 'R' : 'N', m->by_trace ? "T" : "");
}

static void
send_mail(struct client *c)
{
	bool tls = c->mail->requires_tls && client_keeps_tls(c);
	char line[COMMAND_MAX], size[40] = "", by[24], priority[24] = "";

	if ((c->features & FEATURE_SIZE) != 0) /* RFC 1870 */
		(void)snprintf(size, sizeof(size), " SIZE=%" PRIu64, c->mail->size_bytes);
	if ((c->features & FEATURE_MT_PRIORITY) != 0 && c->mail->priority != 0) /* RFC 6710 */
		(void)snprintf(priority, sizeof(priority), " MT-PRIORITY=%d", c->mail->priority);
	by_parameter(c, by, sizeof(by));
	(void)snprintf(line, sizeof(line), "MAIL FROM:<%s>%s%s%s%s%s%s\r\n", c->mail->sender, size,
	    body_parameter(c->mail), c->mail->is_utf8 ? " SMTPUTF8" : "", tls ? " REQUIRETLS" : "",
	    by, priority);
	client_write(c, line);
}

static void
send_rcpt(struct client *c, size_t rcpt)
{
	char line[COMMAND_MAX];

	(void)snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", c->mail->rcpts[rcpt]);
	client_write(c, line);
}

static void
send_command(struct client *c, size_t index)
{
	if (index == 0)
		send_mail(c);
	else if (index < data_index(c))
		send_rcpt(c, c->first + index - 1);
	else
		client_write(c, "DATA\r\n");
}

static bool
may_send_next(const struct client *c)
{
	size_t due = c->sent - c->answered;

	if (c->state == CLIENT_OVER || c->refused || c->sent > data_index(c))
		return false;
	if (c->sent == data_index(c) && (c->mail->is_binary || (due == 0 && c->accepted == 0)))
		return false;
	return due == 0 || ((c->features & FEATURE_PIPELINING) != 0 && due < WINDOW);
}

/* The transaction is over, and no body was sent. */
static void
transaction_end(struct client *c)
{
	if (c->nverdicts < c->mail->nrcpts)
		client_say(c, CLIENT_RSET, "RSET\r\n");
	else
		client_quit(c);
}

/* The whole message as one chunk: as long as was said, or the connection is cut. */
static void
chunk_begin(struct client *c)
{
	char line[48];

	(void)snprintf(line, sizeof(line), "BDAT %" PRIu64 " LAST\r\n", c->mail->size_bytes);
	client_write(c, line);
	if (c->state != CLIENT_OVER)
		client_body_begin(c);
}

/* Sends what may be sent and enters the state of the oldest command without a reply. */
static void
transaction_go_on(struct client *c)
{
	if (c->sent == c->answered && !client_may_talk(c))
		return;
	while (may_send_next(c))
		send_command(c, c->sent++);
	if (c->sent == c->answered && c->mail->is_binary && c->accepted > 0)
		chunk_begin(c);
	else if (c->sent == c->answered)
		transaction_end(c);
	else if (c->answered == 0)
		client_enter(c, CLIENT_MAIL);
	else
		client_enter(c, c->answered < data_index(c) ? CLIENT_RCPT : CLIENT_DATA);
}

void
client_mail_begin(struct client *c)
{
	size_t rest = c->mail->nrcpts - c->end;

	c->first = c->end;
	c->end += rest < c->rcpt_limit ? rest : c->rcpt_limit;
	c->sent = c->answered = c->accepted = 0;
	c->refused = false;
	transaction_go_on(c);
}

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

	verdict_of_reply(&v, STAGE_MAIL, &c->reply);
	client_verdict_all(c, &v);
	c->refused = true;
	c->answered++;
	transaction_go_on(c);
}

void
client_on_rcpt_ok(struct client *c)
{
	size_t rcpt = c->first + c->answered - 1;

	if (c->rcpts[rcpt] == RCPT_OPEN) {
		c->rcpts[rcpt] = RCPT_ACCEPTED;
		c->accepted++;
	}
	c->answered++;
	transaction_go_on(c);
}

void
client_on_rcpt_refused(struct client *c)
{
	struct verdict v;

	verdict_of_reply(&v, STAGE_RCPT, &c->reply);
	client_verdict(c, c->first + c->answered - 1, &v);
	c->answered++;
	transaction_go_on(c);
}

static void
verdict_accepted(struct client *c)
{
	struct verdict v;
	size_t i;

	verdict_of_reply(&v, STAGE_DATA, &c->reply);
	for (i = c->first; i < c->end; i++)
		if (c->rcpts[i] == RCPT_ACCEPTED)
			client_verdict(c, i, &v);
}

/* RFC 2920 3.1: a server may want data for nobody; it gets none. */
void
client_on_data_ok(struct client *c)
{
	c->answered++;
	if (c->accepted == 0)
		client_say(c, CLIENT_DOT, ".\r\n");
	else if (client_may_talk(c))
		client_body_begin(c);
}

void
client_on_data_refused(struct client *c)
{
	c->answered++;
	verdict_accepted(c);
	transaction_end(c);
}

/* It has read enough.  The rest of the body would be taken for commands: cut. */
void
client_on_body_refused(struct client *c)
{
	verdict_accepted(c);
	verdict_of_reply(&c->why, STAGE_DATA, &c->reply);
	client_give_up(c, CLIENT_DONE);
}

void
client_on_dot(struct client *c)
{
	verdict_accepted(c);
	if (c->nverdicts < c->mail->nrcpts && (!c->mail->is_binary || c->reply.code / 100 == 2))
		client_begin(c);
	else
		transaction_end(c); /* RFC 3030 2: a chunk that failed leaves an unknown state */
}

void
client_on_rset(struct client *c)
{
	client_begin(c);
}

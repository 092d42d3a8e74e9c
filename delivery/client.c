/* SPDX-License-Identifier: ISC */
/*
 * An SMTP connection: its socket, its clock, its lines.  What is said when is
 * in client_states.c and client_transaction.c.
 *
 * Invariants: a reply answers the command it was awaited for: nothing is sent
 * while unasked-for input is there, so that no reply can be given ahead of
 * its command.  on_over() comes once, last.  Whatever the other side does ends
 * in a verdict; nothing is fatal.
 */
#include "delivery/client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "delivery/client_private.h"
#include "lib/base/bug.h"
#include "lib/net/io.h"
#include "lib/net/tls_client.h"

#define LINE_MAX_OCTETS 4096 /* RFC 5321 4.5.3.1.5 says 512; real servers say more */
#define INPUT_MAX	(64U << 10)
#define OUTPUT_MAX	(512U << 10) /* holds the mark, and a window of chunks of dots alone */
#define OUTPUT_MARK	(128U << 10) /* enough for now */
#define STUFF_PIECE	8192U

/* -- ends -- */

static void
client_over(struct client *c, enum client_end how)
{
	if (c->state == CLIENT_OVER)
		return;
	c->state = CLIENT_OVER;
	(void)event_del(c->timer);
	io_free(c->io);
	c->io = NULL;
	c->options->callbacks->on_over(c->options->arg, how);
}

void
client_give_up(struct client *c, enum client_end how)
{
	if (c->state == CLIENT_BODY)
		c->options->callbacks->on_body_stop(c->options->arg);
	if (c->passed_over)
		how = CLIENT_NEXT_HOST;
	if (c->nverdicts > 0)
		how = CLIENT_DONE; /* no second host for a message that one has judged */
	if (how == CLIENT_DONE)
		client_verdict_all(c, &c->why);
	client_over(c, how);
}

void
client_fail(struct client *c, enum cause cause, const char *detail)
{
	if (c->state == CLIENT_OVER)
		return;
	if (!c->passed_over)
		verdict_of(&c->why, cause, detail);
	client_give_up(c, client_rows[c->state].lost);
}

void
client_verdict(struct client *c, size_t rcpt, const struct verdict *v)
{
	if (c->rcpts[rcpt] == RCPT_DONE)
		return;
	c->rcpts[rcpt] = RCPT_DONE;
	c->nverdicts++;
	c->options->callbacks->on_verdict(c->options->arg, rcpt, v);
}

void
client_verdict_all(struct client *c, const struct verdict *v)
{
	size_t i;

	for (i = 0; i < c->mail->nrcpts; i++)
		client_verdict(c, i, v);
}

const struct verdict *
client_why(const struct client *c)
{
	return &c->why;
}

/* -- the clock -- */

static void
client_arm(struct client *c)
{
	int64_t scale = c->options->timeout_scale > 0 ? c->options->timeout_scale : 1000;
	int64_t ms = client_rows[c->state].timeout_s * scale;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	(void)event_add(c->timer, &tv);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct client *c = arg;

	(void)sock;
	(void)what;
	client_fail(c, c->state == CLIENT_CONNECTING ? CAUSE_UNREACHABLE : CAUSE_REMOTE_TIMEOUT,
	    client_rows[c->state].name);
}

/* -- talking -- */

void
client_enter(struct client *c, enum client_state state)
{
	if (c->state == CLIENT_OVER)
		return;
	c->state = state;
	client_arm(c);
}

void
client_write(struct client *c, const char *text)
{
	if (c->state != CLIENT_OVER && io_write_str(c->io, text) == -1)
		client_fail(c, CAUSE_CONNECTION_LOST, strerror(errno));
}

bool
client_may_talk(struct client *c)
{
	if (c->state == CLIENT_OVER)
		return false;
	if (io_input(c->io)->len == 0)
		return true;
	client_fail(c, CAUSE_GARBAGE, "it talks out of turn");
	return false;
}

void
client_say(struct client *c, enum client_state state, const char *line)
{
	if (!client_may_talk(c))
		return;
	client_enter(c, state);
	client_write(c, line);
}

void
client_quit(struct client *c)
{
	client_say(c, CLIENT_QUIT, "QUIT\r\n");
}

/* -- the body -- */

void
client_body_begin(struct client *c)
{
	c->stuff = (struct stuff){STUFF_START};
	c->full = false;
	client_enter(c, CLIENT_BODY);
	c->options->callbacks->on_body(c->options->arg);
}

static int
write_stuffed(struct client *c, struct span data)
{
	uint8_t out[STUFF_ROOM(STUFF_PIECE)];
	size_t part, n;

	for (; data.len > 0; data.data += part, data.len -= part) {
		part = data.len < STUFF_PIECE ? data.len : STUFF_PIECE;
		n = stuff_feed(&c->stuff, data.data, part, out);
		if (io_write(c->io, out, n) == -1)
			return -1;
	}
	return 0;
}

/* A chunk is the octets as they are (RFC 3030 2). */
static int
write_body(struct client *c, struct span data)
{
	return c->mail->is_binary ? io_write(c->io, data.data, data.len) : write_stuffed(c, data);
}

void
client_body(struct client *c, struct span data)
{
	int rc, error;

	if (c->state != CLIENT_BODY)
		return;
	io_cork(c->io);
	rc = write_body(c, data);
	error = errno;
	io_uncork(c->io);
	if (rc == -1) {
		client_fail(c, CAUSE_CONNECTION_LOST, strerror(error));
		return;
	}
	if (c->state == CLIENT_BODY && !c->full && io_unsent(c->io) > OUTPUT_MARK) {
		c->full = true;
		c->options->callbacks->on_room(c->options->arg, false);
	}
}

void
client_body_end(struct client *c)
{
	uint8_t out[STUFF_END_ROOM];
	size_t n;

	if (c->state != CLIENT_BODY || !client_may_talk(c))
		return;
	client_enter(c, CLIENT_DOT);
	if (c->mail->is_binary)
		return; /* its length was said before it */
	n = stuff_end(&c->stuff, out);
	if (io_write(c->io, out, n) == -1)
		client_fail(c, CAUSE_CONNECTION_LOST, strerror(errno));
}

void
client_body_break(struct client *c, enum cause why)
{
	if (c->state == CLIENT_BODY)
		client_fail(c, why, NULL);
}

/* The clock of the answer to the message's end runs from when the end is out. */
static void
on_drained(void *arg, struct io *io)
{
	struct client *c = arg;

	(void)io;
	if (c->state != CLIENT_BODY && c->state != CLIENT_DOT)
		return;
	client_arm(c);
	if (!c->full || c->state == CLIENT_DOT)
		return;
	c->full = false;
	c->options->callbacks->on_room(c->options->arg, true);
}

/* -- listening -- */

static void
client_react(struct client *c)
{
	client_reaction reaction = client_rows[c->state].on_class[c->reply.code / 100];

	if (reaction == NULL)
		client_fail(c, CAUSE_GARBAGE, c->reply.text);
	else
		reaction(c);
	reply_reset(&c->reply);
}

static void
client_line(struct client *c, const char *line, size_t len)
{
	enum reply_result result;

	if (c->state == CLIENT_EHLO)
		client_learn(c, line, len);
	result = reply_feed_line(&c->reply, line, len);
	io_line_done(c->io);
	if (result == REPLY_BROKEN)
		client_fail(c, CAUSE_GARBAGE, client_rows[c->state].name);
	else if (result == REPLY_DONE)
		client_react(c);
}

static void
on_input(void *arg, struct io *io)
{
	struct client *c = arg;
	const char *line;
	size_t len;
	int rc = 0;

	(void)io;
	while (c->state != CLIENT_OVER && (rc = io_line(c->io, LINE_MAX_OCTETS, &line, &len)) == 1)
		client_line(c, line, len);
	if (c->state != CLIENT_OVER && rc == -1)
		client_fail(c, CAUSE_GARBAGE, "a line without end");
}

static void
on_ready(void *arg, struct io *io)
{
	struct client *c = arg;

	(void)io;
	if (c->state == CLIENT_HANDSHAKE)
		c->secure = true;
	else if (c->options->tls == RELAY_TLS_FIRST) {
		client_start_tls(c);
		return;
	}
	if (c->secure && c->options->tls != RELAY_TLS_FIRST)
		client_say_ehlo(c); /* RFC 3207 4.2: what was said before is forgotten */
	else
		client_enter(c, CLIENT_GREETING);
}

static const char *
end_text(struct client *c, enum io_end why)
{
	const char *text;

	if (why != IO_TLS_FAILED)
		return why == IO_ERROR ? strerror(io_error(c->io)) : "";
	text = tls_error(io_tls(c->io));
	return text == NULL ? "" : text;
}

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	struct client *c = arg;
	enum cause cause = CAUSE_CONNECTION_LOST;

	(void)io;
	if (c->state == CLIENT_CONNECTING)
		cause = CAUSE_UNREACHABLE;
	else if (c->state == CLIENT_HANDSHAKE && why == IO_TLS_FAILED && client_insists_on_tls(c))
		cause = CAUSE_NO_SAFE_TLS;
	else if (c->state == CLIENT_HANDSHAKE)
		cause = CAUSE_TLS_FAILED;
	client_fail(c, cause, end_text(c, why));
}

/*
 * STARTTLS, answered; or TLS from the first octet.  A peer that fails at it
 * is one of those that would be talked to in plain, or not.
 */
void
client_start_tls(struct client *c)
{
	struct tls *tls = NULL;

	client_enter(c, CLIENT_HANDSHAKE);
	if (c->options->tls_client != NULL)
		tls = tls_client_connect(
		    c->options->tls_client, c->io, c->options->host, c->options->tls_verify);
	if (tls == NULL)
		client_fail(c, CAUSE_TLS_FAILED, "it can't be set up here");
	else
		(void)io_start_tls(c->io, tls);
}

/* -- life -- */

static const struct io_callbacks io_calls = {
    .on_input = on_input, .on_drained = on_drained, .on_ready = on_ready, .on_end = on_end};

struct client *
client_create(struct event_base *base, int fd, const struct client_options *options,
    const struct client_mail *mail)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->options = options;
	c->mail = mail;
	if ((c->rcpts = calloc(mail->nrcpts, sizeof(*c->rcpts))) == NULL ||
	    (c->timer = event_new(base, -1, 0, on_timer, c)) == NULL ||
	    (c->io = io_create(base, fd, &io_calls, c)) == NULL) {
		client_free(c);
		errno = ENOMEM;
		return NULL;
	}
	io_set_limits(c->io, INPUT_MAX, OUTPUT_MAX);
	io_wait_connected(c->io);
	client_enter(c, CLIENT_CONNECTING);
	return c;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	if (c->timer != NULL)
		event_free(c->timer);
	io_free(c->io);
	free(c->rcpts);
	free(c);
}

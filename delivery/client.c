/* SPDX-License-Identifier: ISC */
/*
 * An SMTP or LMTP connection: its socket, its clock, its lines, its ends.
 * What is said when is in client_states.c and the files that it names.
 *
 * Invariants: a reply answers the command it was awaited for: nothing is sent
 * while unasked-for input is there, so that no reply can be given ahead of
 * its command.  on_over() comes once, last.  Whatever the other side does ends
 * in a verdict, or in on_over() with nothing judged; nothing is fatal.
 */
#include "delivery/client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/client_private.h"
#include "lib/base/str.h"
#include "lib/net/io.h"
#include "lib/net/tls_client.h"

#define LINE_MAX_OCTETS	     4096  /* RFC 5321 4.5.3.1.5 says 512; real servers say more */
#define CHALLENGE_MAX_OCTETS 12294 /* RFC 4954 4: 12,288 octets of base64, and "334 ", CRLF */
#define INPUT_MAX	     (64U << 10)
#define OUTPUT_MAX	     (512U << 10) /* holds all that a body that is told to pause still hands over */

/* -- ends -- */

static void
client_over(struct client *c, enum client_end how)
{
	if (c->state == CLIENT_OVER)
		return;
	c->state = CLIENT_OVER;
	(void)event_del(c->timer);
	(void)event_del(c->message);
	io_free(c->io);
	c->io = NULL;
	buf_free(&c->held);
	buf_free(&c->response);
	c->options.callbacks->on_over(c->options.arg, how);
}

/*
 * A connection that was good for a message and is lost when the next begins
 * was kept too long; nothing of this one can have been taken before its body was asked for.
 */
static bool
client_is_stale(const struct client *c)
{
	return c->nmails > 0 && c->nverdicts == 0 &&
	       (c->state == CLIENT_MAIL || c->state == CLIENT_RCPT || c->state == CLIENT_DATA);
}

void
client_give_up(struct client *c, enum client_end how)
{
	if (c->state == CLIENT_OVER)
		return;
	if (c->passed_over)
		how = CLIENT_UNUSABLE;
	else if (how == CLIENT_LOST && client_is_stale(c))
		how = CLIENT_STALE;
	if (c->state == CLIENT_BODY)
		c->options.callbacks->on_body_stop(c->options.arg);
	if (how == CLIENT_LOST)
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
client_pass_over(struct client *c)
{
	c->passed_over = true;
	client_say(c, CLIENT_QUIT, "QUIT\r\n");
}

void
client_quit(struct client *c)
{
	if (c->state == CLIENT_IDLE)
		client_say(c, CLIENT_QUIT, "QUIT\r\n");
	else if (c->state != CLIENT_QUIT)
		client_over(c, CLIENT_CLOSED);
}

const struct verdict *
client_why(const struct client *c)
{
	return &c->why;
}

bool
client_wants_tls(const struct client *c)
{
	return c->starting_tls && !c->secure;
}

/* -- the clock -- */

static void
client_arm(struct client *c)
{
	int64_t scale = c->options.timeout_scale > 0 ? c->options.timeout_scale : 1000;
	int64_t ms = client_rows[c->state].timeout_s * scale;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	if (ms > 0)
		(void)event_add(c->timer, &tv);
	else
		(void)event_del(c->timer);
}

void
client_soon(struct client *c, enum client_state state)
{
	if (c->state == CLIENT_OVER)
		return;
	client_enter(c, state);
	event_active(c->timer, EV_TIMEOUT, 0);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct client *c = arg;

	(void)sock;
	(void)what;
	if (c->state == CLIENT_START)
		client_start_tls(c);
	else if (c->state == CLIENT_SETTLED)
		client_settle(c);
	else
		client_fail(c, CAUSE_REMOTE_TIMEOUT, client_rows[c->state].name);
}

/* -- a message as a whole -- */

#define MESSAGE_S   3600 /* and a second for each so many octets */
#define MESSAGE_BPS 1024

/* Who takes nearly five minutes for each recipient would have one message for days. */
void
client_message_begins(struct client *c)
{
	int64_t scale = c->options.timeout_scale > 0 ? c->options.timeout_scale : 1000;
	uint64_t for_size_s = c->mail->size_bytes / MESSAGE_BPS;
	int64_t ms = (MESSAGE_S + (int64_t)(for_size_s < INT32_MAX ? for_size_s : INT32_MAX)) *
		     scale;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	(void)event_add(c->message, &tv);
}

void
client_message_ends(struct client *c)
{
	(void)event_del(c->message);
}

static void
on_message_timer(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	client_fail(arg, CAUSE_REMOTE_TIMEOUT, "the message took too long");
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
client_write(struct client *c, const void *data, size_t len)
{
	if (c->state != CLIENT_OVER && io_write(c->io, data, len) == -1)
		client_fail(c, CAUSE_CONNECTION_LOST, strerror(errno));
}

void
client_write_str(struct client *c, const char *text)
{
	client_write(c, text, strlen(text));
}

void
client_cork(struct client *c)
{
	if (c->state == CLIENT_OVER || c->corked)
		return;
	c->corked = true;
	io_cork(c->io);
}

void
client_uncork(struct client *c)
{
	if (c->state == CLIENT_OVER || !c->corked)
		return;
	c->corked = false;
	io_uncork(c->io);
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
	client_write_str(c, line);
}

/* The clock of a body, and of the answer to its end, runs from when it is out. */
static void
on_drained(void *arg, struct io *io)
{
	struct client *c = arg;

	(void)io;
	if (c->state != CLIENT_BODY && c->state != CLIENT_DOT)
		return;
	client_arm(c);
	if (c->state == CLIENT_BODY)
		client_body_room(c);
}

/* -- listening -- */

/* RFC 5321 3.8: it closes, whatever was asked of it.  What it says of that is for all. */
static bool
closes(const struct client *c)
{
	return c->reply.code == 421 && client_rows[c->state].lost == CLIENT_LOST;
}

static void
client_react(struct client *c)
{
	client_reaction reaction = client_rows[c->state].on_class[c->reply.code / 100];

	if (closes(c)) {
		verdict_of_reply(&c->why, STAGE_DATA, &c->reply);
		client_give_up(c, CLIENT_LOST);
	} else if (reaction == NULL)
		client_fail(c, CAUSE_GARBAGE, c->reply.text);
	else
		reaction(c);
	reply_reset(&c->reply);
}

static void
client_line(struct client *c, const char *line, size_t len)
{
	enum reply_result result;

	if (c->state == CLIENT_AUTH && client_auth_line(c, line, len))
		return;
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
	size_t len, max;
	int rc = 0;

	(void)io;
	while (c->state != CLIENT_OVER) {
		max = c->state == CLIENT_AUTH ? CHALLENGE_MAX_OCTETS : LINE_MAX_OCTETS;
		if ((rc = io_line(c->io, max, &line, &len)) != 1)
			break;
		client_line(c, line, len);
	}
	if (c->state != CLIENT_OVER && rc == -1)
		client_fail(c, CAUSE_GARBAGE, "a line without end");
}

/* -- TLS -- */

static enum cause
cause_of_end(const struct client *c)
{
	if (c->state != CLIENT_HANDSHAKE)
		return CAUSE_CONNECTION_LOST;
	return c->options.needs_requiretls ? CAUSE_NO_SAFE_TLS : CAUSE_TLS_FAILED;
}

/* It is up.  Nothing is said under it before the owner knows with whom it is. */
static void
on_ready(void *arg, struct io *io)
{
	const struct client_callbacks *calls;
	struct client *c = arg;
	struct verdict why;

	if (c->state != CLIENT_HANDSHAKE)
		return;
	if (!tls_client_is_up(io_tls(io))) {
		client_fail(c, cause_of_end(c), "the other side hung up");
		return;
	}
	calls = c->options.callbacks;
	if (calls->on_tls != NULL && !calls->on_tls(c->options.arg, io_tls(io), &why)) {
		c->why = why;
		client_give_up(c, CLIENT_UNUSABLE);
		return;
	}
	c->secure = true;
	if (c->options.tls == RELAY_TLS_FIRST)
		client_enter(c, CLIENT_GREETING);
	else
		client_say_hello(c); /* RFC 3207 4.2: what was said before is forgotten */
}

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	struct client *c = arg;
	char room[160];
	const char *text = "";

	if (why == IO_TLS_FAILED)
		text = tls_client_error(io_tls(io), room, sizeof(room));
	else if (why == IO_ERROR)
		text = strerror(io_error(io));
	client_fail(c, cause_of_end(c), text);
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
	if (c->options.tls_client != NULL)
		tls = tls_client_connect(c->options.tls_client, c->io, c->options.want);
	if (tls == NULL)
		client_fail(c, CAUSE_TLS_FAILED, "it can't be set up here");
	else
		(void)io_start_tls(c->io, tls);
}

/* -- life -- */

static const struct io_callbacks io_calls = {
    .on_input = on_input, .on_drained = on_drained, .on_ready = on_ready, .on_end = on_end};

struct client *
client_create(struct event_base *base, int fd, const struct client_options *options)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->options = *options;
	str_cut(c->helo, sizeof(c->helo), options->helo);
	buf_init(&c->held, OUTPUT_MAX);
	buf_init(&c->response, CHALLENGE_MAX_OCTETS);
	if ((c->timer = event_new(base, -1, 0, on_timer, c)) == NULL ||
	    (c->message = event_new(base, -1, 0, on_message_timer, c)) == NULL ||
	    (c->io = io_create(base, fd, &io_calls, c)) == NULL) {
		client_free(c);
		errno = ENOMEM;
		return NULL;
	}
	io_set_limits(c->io, INPUT_MAX, OUTPUT_MAX);
	if (options->tls == RELAY_TLS_FIRST)
		client_soon(c, CLIENT_START);
	else
		client_enter(c, CLIENT_GREETING);
	return c;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->message != NULL)
		event_free(c->message);
	io_free(c->io);
	buf_free(&c->held);
	buf_free(&c->response);
	free(c->rcpts);
	free(c->batch);
	free(c);
}

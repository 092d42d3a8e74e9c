/* SPDX-License-Identifier: ISC */
/*
 * One client, from greeting to goodbye.
 *
 * Invariants: a session is in exactly one state, and changes it by
 * session_enter() alone; while it waits for lookup or queue no command is
 * read; what it asked of others is taken back when it goes.  Nothing that a
 * client sends is fatal.
 */
#include "session/session.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"

#define COMMAND_MAX	   2048	 /* RFC 5321 4.5.3.1.4 asks for 512; extensions add to it */
#define INPUT_MAX	   65536 /* octets read ahead of a client */
#define OUTPUT_MAX	   65536 /* octets of replies that a client does not read */
#define OUTPUT_HIGH	   32768 /* with so many unread, no command is taken */
#define GOODBYE_TIMEOUT_MS 5000

static void on_input(void *arg, struct io *io);
static void on_drained(void *arg, struct io *io);
static void on_eof(void *arg, struct io *io);
static void on_handshake(void *arg, struct io *io);
static void on_ready(void *arg, struct io *io);
static bool on_timeout(void *arg, struct io *io);
static void on_end(void *arg, struct io *io, enum io_end why);

static const struct io_callbacks callbacks = {.on_input = on_input,
    .on_drained = on_drained,
    .on_handshake = on_handshake,
    .on_ready = on_ready,
    .on_eof = on_eof,
    .on_timeout = on_timeout,
    .on_end = on_end};

void
session_enter(struct session *s, enum state to)
{
	bug_on(!state_may_follow(s->state, to));
	s->state = to;
	if (to & STATE_ANY_COMMAND)
		s->heard_ms = service_now_ms(s->program->service);
}

/* What others were asked on behalf of this session is no longer wanted. */
void
session_take_back(struct session *s)
{
	auth_take_back(s);
	ask_end(service_asks(s->program->service), s->question);
	s->question = 0;
	if (s->timer != NULL)
		event_free(s->timer);
	s->timer = NULL;
	transaction_free(s);
}

/* -- life -- */

static bool
is_local(const struct addr *peer, int fd)
{
	struct addr own = {.len = sizeof(own.ss)};

	if (addr_is_loopback(peer))
		return true;
	return getsockname(fd, (struct sockaddr *)&own.ss, &own.len) == 0 && addr_equal(peer, &own);
}

bool
session_is_local(const struct session *s)
{
	return s->local;
}

const char *
session_hostname(const struct session *s)
{
	return s->policy->hostname[0] != '\0' ? s->policy->hostname : program_hostname(s->program);
}

/* In LMTP each recipient of a message has an answer of its own. */
static size_t
output_max(const struct session *s)
{
	uint64_t answers = s->policy->lmtp ? s->program->conf->values.smtp_max_recipients : 0;

	return OUTPUT_MAX + (size_t)answers * SESSION_LINE_MAX;
}

void
session_create(struct program *p, struct policy *policy, int fd, const struct addr *peer)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->io = io_create(service_base(p->service), fd, &callbacks, s)) == NULL) {
		free(s);
		(void)close(fd);
		return;
	}
	s->program = p;
	s->policy = policy_hold(policy);
	s->peer = *peer;
	s->local = is_local(peer, fd);
	s->state = STATE_ENTERING;
	TAILQ_INSERT_TAIL(&p->sessions, s, entry);
	p->nsessions++;
	s->heard_ms = service_now_ms(p->service);
	io_set_limits(s->io, INPUT_MAX, output_max(s));
	io_set_timeout(s->io, p->conf->values.smtp_timeout_s * 1000);
	door_open(s);
}

void
session_bury(struct session *s)
{
	struct program *p = s->program;

	if (s->buried)
		return;
	s->buried = true;
	session_take_back(s);
	door_leave(s);
	session_enter(s, STATE_CLOSING);
	io_pause_input(s->io, true);
	TAILQ_REMOVE(&p->sessions, s, entry);
	TAILQ_INSERT_TAIL(&p->buried, s, entry);
	p->nsessions--;
}

void
sessions_reap(struct program *p)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&p->buried)) != NULL) {
		TAILQ_REMOVE(&p->buried, s, entry);
		io_free(s->io);
		policy_release(s->policy);
		free(s->helo);
		free(s->auth);
		free(s->name);
		free(s->held);
		free(s->pki);
		free(s);
	}
}

/* -- input -- */

/* A line that does not end in CRLF in time.  The first is skipped to its end; the second is one too many. */
static void
line_too_long(struct session *s)
{
	struct buf *in = io_input(s->io);
	const char *end;

	if (s->too_long >= 2) {
		session_quit(s, REPLY_TOO_MANY_ERRORS);
		return;
	}
	if (s->too_long == 0) {
		s->too_long = 1;
		if (s->state == STATE_CHALLENGED)
			auth_line_too_long(s);
		else
			session_reply(s, REPLY_LINE_TOO_LONG);
	}
	if ((end = memmem(buf_head(in), in->len, "\r\n", 2)) != NULL) {
		s->too_long = 2;
		io_consume(s->io, (size_t)(end + 2 - (const char *)buf_head(in)));
		return;
	}
	/* The last octet stays: it may be the CR of a CRLF. */
	io_consume(s->io, in->len - 1);
}

/* A bare LF within what should be one line ends nothing: it is an error of its own. */
static void
one_line(struct session *s, const char *line, size_t len)
{
	char copy[AUTH_LINE_MAX + 1];

	if (s->too_long == 1) {
		s->too_long = 2; /* the rest of a line that was answered already */
		io_line_done(s->io);
		return;
	}
	memcpy(copy, line, len);
	copy[len] = '\0';
	io_line_done(s->io);
	s->heard_ms = service_now_ms(s->program->service);
	if (s->state == STATE_CHALLENGED)
		auth_line(s, copy, len);
	else
		command_run(s, copy, len);
	explicit_bzero(copy, len); /* it may have been a password */
}

static bool
has_erred_enough(const struct session *s)
{
	return s->errors > s->program->conf->values.smtp_max_errors &&
	       (s->state & (unsigned int)STATE_ANY_COMMAND) != 0;
}

static size_t
line_max(const struct session *s)
{
	bool auth = s->state == STATE_CHALLENGED || command_may_be_auth(io_input(s->io));

	return auth ? AUTH_LINE_MAX : COMMAND_MAX;
}

static bool
command_step(struct session *s)
{
	const char *line;
	size_t len;
	int rc;

	if (has_erred_enough(s)) {
		session_quit(s, REPLY_TOO_MANY_ERRORS);
		return false;
	}
	/* Who does not read replies gets no more commands done. */
	if (io_unsent(s->io) > OUTPUT_HIGH)
		return false;
	rc = io_line(s->io, line_max(s), &line, &len);
	if (rc == 0)
		return false;
	if (rc == -1) {
		line_too_long(s);
		return io_input(s->io)->len > 1;
	}
	one_line(s, line, len);
	return true;
}

/* One step of input; false when there is nothing more to do now. */
static bool
input_step(struct session *s)
{
	enum state state = s->state;

	if (state & (unsigned int)STATE_WAITING)
		return false;
	if (state & (unsigned int)(STATE_ANY_COMMAND | STATE_CHALLENGED))
		return command_step(s);
	if (state == STATE_PROXY)
		door_proxy_input(s);
	else if (state == STATE_SWALLOW)
		data_swallow_input(s);
	else
		stream_input(s);
	return s->state != state && io_input(s->io)->len > 0;
}

/* Between messages is when a server that is going down says so. */
static void
quit_if_draining(struct session *s)
{
	if (service_is_draining(s->program->service) &&
	    (s->state & (unsigned int)(STATE_ANY_COMMAND | STATE_CHALLENGED)) != 0)
		session_quit(s, REPLY_CLOSING);
}

/* A command or header that never ends is silence by another name. */
static bool
trickles(const struct session *s)
{
	bool proxy = s->state == STATE_PROXY;
	int64_t timeout_ms = proxy ? DOOR_PROXY_TIMEOUT_MS
				   : s->program->conf->values.smtp_timeout_s * 1000;

	return (proxy || (s->state & (unsigned int)(STATE_ANY_COMMAND | STATE_CHALLENGED)) != 0) &&
	       io_input(s->io)->len > 0 && io_unsent(s->io) == 0 &&
	       service_now_ms(s->program->service) - s->heard_ms > timeout_ms;
}

/* What it said is here, and not dealt with because the queue is slow. */
static bool
awaits_queue(const struct session *s)
{
	return (s->state & (unsigned int)(STATE_DATA | STATE_CHUNK)) != 0 &&
	       s->program->queue_pressed && io_input(s->io)->len > 0;
}

/* The client closed its side and all that it said was answered: that is goodbye. */
static void
end_if_silent(struct session *s)
{
	if (!s->eof || s->buried || (s->state & (unsigned int)STATE_WAITING) || awaits_queue(s))
		return;
	if (io_unsent(s->io) > OUTPUT_HIGH)
		return; /* there is more to do once it has read */
	session_take_back(s);
	session_enter(s, STATE_CLOSING);
	io_set_timeout(s->io, GOODBYE_TIMEOUT_MS);
	if (io_unsent(s->io) == 0)
		session_bury(s);
}

static void
on_input(void *arg, struct io *io)
{
	struct session *s = arg;

	/* The replies to a pipelined group leave together (RFC 2920 3.2). */
	io_cork(io);
	while (io_input(io)->len > 0 && input_step(s))
		continue;
	if (has_erred_enough(s))
		session_quit(s, REPLY_TOO_MANY_ERRORS);
	else if (trickles(s))
		session_quit(s, REPLY_TIMEOUT);
	quit_if_draining(s);
	io_uncork(io);
	end_if_silent(s);
	if (s->state == STATE_CLOSING)
		io_pause_input(io, true);
}

void
session_continue(struct session *s)
{
	s->heard_ms = service_now_ms(s->program->service);
	quit_if_draining(s);
	io_continue(s->io);
	if (has_erred_enough(s))
		session_quit(s, REPLY_TOO_MANY_ERRORS);
	end_if_silent(s);
}

static void
on_drained(void *arg, struct io *io)
{
	struct session *s = arg;

	if (s->state == STATE_CLOSING)
		session_bury(s);
	else if (s->state == STATE_HANDSHAKE && io_tls(io) == NULL)
		tls_drained(s);
	else if (io_input(io)->len > 0 || s->eof)
		io_kick(io); /* commands that waited for the replies to be read */
}

static void
on_handshake(void *arg, struct io *io)
{
	(void)io;
	tls_step(arg);
}

static void
on_ready(void *arg, struct io *io)
{
	(void)io;
	tls_ready(arg);
}

static void
on_eof(void *arg, struct io *io)
{
	struct session *s = arg;

	s->eof = true;
	on_input(s, io);
}

/*
 * While we are the ones who are awaited, the client's silence is no fault.  Else it
 * is told why it ends (RFC 5321 4.5.3.2), and has a moment to read that.
 */
static bool
on_timeout(void *arg, struct io *io)
{
	struct session *s = arg;

	(void)io;
	if (s->state == STATE_CLOSING)
		return false;
	if ((s->state & (unsigned int)STATE_WAITING) == 0)
		session_quit(s, REPLY_TIMEOUT);
	return true;
}

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	struct session *s = arg;

	(void)io;
	if (why == IO_TLS_FAILED)
		tls_failed(s);
	session_bury(s);
}

/* SPDX-License-Identifier: ISC */
/*
 * What a client is told, and when.
 *
 * Invariants: a reply leaves as one segment, and answers come in the order of
 * their commands: while one waits to be said no other command is read.  Who
 * makes mistakes waits longer for each; who makes too many is sent away.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "session/session.h"

#define GOODBYE_TIMEOUT_MS 5000
#define DELAY_MAX_MS	   30000

void
session_say(struct session *s, const char *line)
{
	bool failed;

	/* One segment a reply: two would wait for each other (Nagle and delayed ACK). */
	io_cork(s->io);
	failed = io_write_str(s->io, line) == -1 || io_write_str(s->io, "\r\n") == -1;
	io_uncork(s->io);
	/* A reply that is lost would make the next one an answer to the wrong command. */
	if (failed)
		session_bury(s);
}

void
session_format(char line[SESSION_LINE_MAX], int code, const char *status, const char *text)
{
	(void)snprintf(
	    line, SESSION_LINE_MAX, "%d %s%s%s", code, status, status[0] == '\0' ? "" : " ", text);
}

int
session_hold(struct session *s, const char *line, size_t times)
{
	free(s->held);
	s->held_times = times;
	return (s->held = strdup(line)) == NULL ? -1 : 0;
}

void
session_say_held(struct session *s)
{
	char *line = s->held;
	size_t i;

	s->held = NULL;
	for (i = 0; line != NULL && i < s->held_times && !s->buried; i++)
		session_say(s, line);
	free(line);
}

/* A quarter of the errors that are allowed cost nothing; each one after them a delay more. */
static int64_t
error_delay_ms(const struct session *s)
{
	const struct conf_values *v = &s->program->conf->values;
	uint64_t spared = v->smtp_max_errors / 4;
	int64_t ms;

	if (s->errors <= spared || (s->state & (unsigned int)STATE_ANY_COMMAND) == 0 ||
	    service_is_draining(s->program->service))
		return 0;
	ms = (int64_t)(s->errors - spared) * v->smtp_error_delay_s * 1000;
	return ms > DELAY_MAX_MS ? DELAY_MAX_MS : ms;
}

void
session_reply_text(struct session *s, int code, const char *status, const char *text)
{
	char line[SESSION_LINE_MAX];
	int64_t ms = 0;

	session_format(line, code, status, text);
	if (code >= 500) {
		s->errors++;
		ms = error_delay_ms(s);
	}
	if (ms > 0)
		session_delay(s, line, ms);
	else
		session_say(s, line);
}

void
session_reply(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);

	session_reply_text(s, row->code, row->status, row->text);
}

/* -- later -- */

/* What is left of a session when its last line is said: to see that it leaves. */
static void
await_end(struct session *s)
{
	if (s->buried)
		return;
	io_set_timeout(s->io, GOODBYE_TIMEOUT_MS);
	if (io_unsent(s->io) == 0)
		session_bury(s);
}

static void
part(struct session *s)
{
	session_take_back(s);
	session_enter(s, STATE_CLOSING);
	session_say_held(s);
	await_end(s);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	(void)sock;
	(void)what;
	event_free(s->timer);
	s->timer = NULL;
	if (s->state == STATE_ENTERING) {
		door_wait_over(s);
		return;
	}
	session_enter(s, s->back);
	if (s->parting) {
		part(s);
		return;
	}
	session_say_held(s);
	session_continue(s);
}

void
session_delay(struct session *s, const char *line, int64_t ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
	struct event_base *base = service_base(s->program->service);

	s->timer = event_new(base, -1, 0, on_timer, s);
	if (s->timer == NULL || (line != NULL && session_hold(s, line, 1) == -1) ||
	    event_add(s->timer, &tv) == -1) {
		session_bury(s); /* without memory nobody is kept waiting */
		return;
	}
	if (line == NULL)
		return;
	s->back = s->state;
	session_enter(s, STATE_DELAYED);
}

/* -- goodbye -- */

void
session_quit_text(struct session *s, int code, const char *status, const char *text)
{
	char line[SESSION_LINE_MAX];

	if (s->state == STATE_CLOSING)
		return;
	if (s->state == STATE_HANDSHAKE || (s->policy->smtps && io_tls(s->io) == NULL)) {
		session_bury(s); /* a word in plain would be noise to it */
		return;
	}
	session_take_back(s);
	session_enter(s, STATE_CLOSING);
	session_format(line, code, status, text);
	session_say(s, line);
	await_end(s);
}

void
session_quit(struct session *s, enum reply r)
{
	const struct reply_row *row = reply_row(r);

	session_quit_text(s, row->code, row->status, row->text);
}

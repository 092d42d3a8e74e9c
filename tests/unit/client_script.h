/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_CLIENT_SCRIPT_H
#define TESTS_UNIT_CLIENT_SCRIPT_H

/*
 * The SMTP client against a scripted server at the other end of a socket pair.
 *
 * A script is a list of lines: "S:" the server sends, "C:" it must then have
 * received exactly that, "B" it waits until the client may send the message,
 * "X" it closes.  What the client tells its owner is gathered as text: a verdict
 * a line, then how it ended.  A header of static functions, since each test is
 * one program of one file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "delivery/client.h"
#include "lib/base/bug.h"
#include "lib/net/tls_client.h"

#define STEPS_MAX  40
#define DEADLINE_S 20

enum body_kind { BODY_SENT, BODY_HELD, BODY_BROKEN };

struct script {
	const char *name;
	enum relay_tls tls;
	size_t nrcpts;
	uint64_t size_bytes;
	bool is_8bit, is_utf8, is_binary, requires_tls, is_report;
	enum body_kind body;
	int64_t timeout_scale;
	bool more; /* the client may have said more than the script tells */
	const char *steps[STEPS_MAX];
	const char *told;
};

struct run {
	const struct script *script;
	struct event_base *base;
	struct client *client;
	int fd; /* the server's end */
	bool body_begun, over;
	char told[4096];
};

/* -- the owner -- */

static void
tell(struct run *r, const char *text)
{
	assert_true(strlen(r->told) + strlen(text) < sizeof(r->told));
	(void)strcat(r->told, text);
}

static void
on_verdict(void *arg, size_t rcpt, const struct verdict *v)
{
	static const char *const outcomes[] = {"ok", "retry", "fail"};
	char line[64];

	(void)snprintf(line, sizeof(line), "%zu %s %s\n", rcpt, outcomes[v->outcome], v->status);
	tell(arg, line);
}

static void
on_body(void *arg)
{
	static const char text[] = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n";
	struct run *r = arg;
	struct span one = {(const uint8_t *)text, 14}, two = {(const uint8_t *)text + 14, 15};

	r->body_begun = true;
	if (r->script->body == BODY_HELD)
		return;
	client_body(r->client, one);
	if (r->script->body == BODY_BROKEN) {
		client_body_break(r->client, CAUSE_BODY_LOST);
		return;
	}
	client_body(r->client, two);
	client_body_end(r->client);
}

static void
on_room(void *arg, bool room)
{
	(void)arg;
	(void)room;
}

static void
on_body_stop(void *arg)
{
	tell(arg, "stop\n");
}

static void
on_over(void *arg, enum client_end how)
{
	static const char *const ends[] = {
	    [CLIENT_DONE] = "done", [CLIENT_NEXT_HOST] = "next", [RELAY_TLS_BROKEN] = "tls"};
	struct run *r = arg;
	char line[64];

	assert_false(r->over);
	r->over = true;
	(void)snprintf(line, sizeof(line), "%s%s%s", ends[how], how == CLIENT_DONE ? "" : " ",
	    how == CLIENT_DONE ? "" : client_why(r->client)->status);
	tell(r, line);
}

static const struct client_callbacks callbacks = {
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_over = on_over,
};

/* -- the server -- */

static void
turn(struct run *r, time_t deadline)
{
	(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	if (time(NULL) > deadline)
		fail_msg("%s: nothing happens after:\n%s", r->script->name, r->told);
}

static void
server_expect(struct run *r, const char *want)
{
	time_t deadline = time(NULL) + DEADLINE_S;
	size_t len = strlen(want), have = 0;
	char got[4096];
	ssize_t n;

	while (have < len) {
		turn(r, deadline);
		n = recv(r->fd, got + have, len - have, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			fail_msg(
			    "%s: closed instead of %s, after: %s", r->script->name, want, r->told);
		have += n > 0 ? (size_t)n : 0;
		got[have] = '\0';
		if (strncmp(got, want, have) != 0)
			fail_msg("%s: got %s instead of %s", r->script->name, got, want);
	}
}

static void
server_step(struct run *r, const char *step)
{
	time_t deadline = time(NULL) + DEADLINE_S;

	if (step[0] == 'X') {
		(void)shutdown(r->fd, SHUT_RDWR);
	} else if (step[0] == 'B') {
		while (!r->body_begun)
			turn(r, deadline);
	} else if (step[0] == 'S') {
		assert_int_equal(
		    send(r->fd, step + 2, strlen(step + 2), MSG_NOSIGNAL), strlen(step + 2));
	} else {
		server_expect(r, step + 2);
	}
}

/* Whatever else was said before the end must be nothing. */
static void
server_expect_end(struct run *r)
{
	time_t deadline = time(NULL) + DEADLINE_S;
	char rest[256];
	ssize_t n;

	while (!r->over)
		turn(r, deadline);
	n = recv(r->fd, rest, sizeof(rest) - 1, MSG_DONTWAIT);
	if (n > 0 && !r->script->more) {
		rest[n] = '\0';
		fail_msg("%s: it also said %s", r->script->name, rest);
	}
}

static void
run_script(const struct script *s, struct tls_client *tls)
{
	static const char *const rcpts[] = {"r0@example.org", "r1@example.org", "r2@example.org"};
	const struct client_mail mail = {.sender = s->is_report ? "" : "s@example.net",
	    .rcpts = rcpts,
	    .nrcpts = s->nrcpts == 0 ? 1 : s->nrcpts,
	    .size_bytes = s->size_bytes == 0 ? 29 : s->size_bytes,
	    .is_8bit = s->is_8bit,
	    .is_utf8 = s->is_utf8,
	    .is_binary = s->is_binary,
	    .requires_tls = s->requires_tls};
	struct run r = {.script = s, .base = event_base_new()};
	const struct client_options options = {.callbacks = &callbacks,
	    .arg = &r,
	    .helo = "mx.test",
	    .host = "example.org",
	    .tls = s->tls,
	    .tls_client = tls,
	    .timeout_scale = s->timeout_scale};
	int pair[2];
	size_t i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	r.fd = pair[1];
	r.client = client_create(r.base, pair[0], &options, &mail);
	assert_non_null(r.client);
	for (i = 0; i < STEPS_MAX && s->steps[i] != NULL; i++)
		server_step(&r, s->steps[i]);
	server_expect_end(&r);
	if (strcmp(r.told, s->told) != 0)
		fail_msg("%s: told\n%s\ninstead of\n%s", s->name, r.told, s->told);
	client_free(r.client);
	(void)close(r.fd);
	event_base_free(r.base);
}

/* -- the scripts -- */

#define HELLO	      "S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250 mx\r\n"
#define HELLO_WITH(k) "S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250 " k "\r\n"
#define MAIL	      "C:MAIL FROM:<s@example.net>\r\n"
#define RCPT(n)	      "C:RCPT TO:<r" n "@example.org>\r\n"
#define DATA	      "C:DATA\r\n", "S:354 go\r\n"
#define TEXT	      "C:Subject: x\r\n\r\n..dot\r\n...\r\nend\r\n.\r\n"
#define OK	      "S:250 ok\r\n"
#define QUIT	      "C:QUIT\r\n", "S:221 bye\r\n"

static void
run_scripts(const struct script *list, size_t n, struct tls_client *tls)
{
	size_t i;

	for (i = 0; i < n; i++)
		run_script(&list[i], tls);
}

#endif

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_CLIENT_SCRIPT_H
#define TESTS_UNIT_CLIENT_SCRIPT_H

/*
 * The SMTP client against a scripted server at the other end of a socket pair.
 *
 * A script is a list of lines: "S:" the server sends, "C:" it must then have received exactly
 * that, "T" a TLS handshake, "B" it waits until the client may send the message, "W:" until its
 * owner was told that, "A:" the owner's next step of AUTH, "X" it closes.  What the owner is told
 * is gathered as text: a verdict a line, what else there is, then how it ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <tls.h>
#include <unistd.h>

#include "delivery/client.h"
#include "lib/base/bug.h"
#include "lib/net/tls_client.h"
#include "tests/unit/tls_pair.h"

#define STEPS_MAX  60
#define DEADLINE_S 20
#define RCPTS_MAX  8
#define NOW_S	   1000

enum body_kind { BODY_SENT, BODY_HELD, BODY_BROKEN, BODY_LONG };

struct script {
	const char *name;
	enum relay_tls tls;
	size_t nrcpts, nmails; /* 0: 1 */
	uint64_t size_bytes;
	bool is_8bit, is_utf8, is_binary, requires_tls, is_report;
	bool lmtp, chunking, auth, needs_requiretls, needs_deliverby, shy;
	enum ipc_by by;
	int64_t by_s;
	int priority;
	const struct client_dsn *dsn;
	const char *envid, *ret;
	enum body_kind body;
	int64_t timeout_scale;
	bool quiet;   /* verdicts and messages are not told: there are too many */
	bool more;    /* the client may have said more than the script tells */
	bool bad_tls; /* the owner does not like whom TLS is with */
	const char *steps[STEPS_MAX];
	const char *told;
};

struct run {
	const struct script *script;
	struct event_base *base;
	struct client *client;
	struct client_mail mail;
	struct tls *listener, *tls; /* of the server */
	size_t left;		    /* messages to send */
	int fd;			    /* the server's end */
	bool body_begun, over, in_send;
	char told[8192];
};

static const char *const outcomes[] = {"ok", "retry", "fail"};

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
	char line[96], again[32] = "";

	assert_false(v->relayed && v->outcome != IPC_OK);
	if (((struct run *)arg)->script->quiet)
		return;
	if (v->again_s > 0)
		(void)snprintf(again, sizeof(again), " again %d", (int)v->again_s);
	(void)snprintf(line, sizeof(line), "%zu %s %s%s%s%s\n", rcpt, outcomes[v->outcome],
	    v->status, again, v->untried ? " untried" : "",
	    v->relayed && ((struct run *)arg)->script->dsn != NULL ? " relayed" : "");
	tell(arg, line);
}

static void
on_body(void *arg)
{
	static const char text[] = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n";
	uint8_t much[32768];
	struct run *r = arg;
	struct span one = {(const uint8_t *)text, 14}, two = {(const uint8_t *)text + 14, 15};

	r->body_begun = true;
	if (r->script->body == BODY_HELD)
		return;
	memset(much, 'x', sizeof(much));
	if (r->script->body == BODY_LONG)
		client_body(r->client, (struct span){much, sizeof(much)});
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
send_next(struct run *r)
{
	if (r->left == 0) {
		if (!r->script->shy)
			client_quit(r->client);
		return;
	}
	r->left--;
	r->body_begun = false;
	r->in_send = true;
	client_send(r->client, &r->mail);
	r->in_send = false;
}

static void
on_ready(void *arg)
{
	struct run *r = arg;

	if (r->script->auth)
		tell(r, "ready\n");
	send_next(r);
}

static void
on_done(void *arg)
{
	struct run *r = arg;

	assert_false(r->in_send);
	if (!r->script->quiet)
		tell(r, "done\n");
	send_next(r);
}

static bool
on_tls(void *arg, struct tls *tls, struct verdict *why)
{
	struct run *r = arg;

	assert_non_null(tls);
	if (r->script->bad_tls)
		verdict_of(why, CAUSE_TLS_UNVERIFIED, NULL);
	return !r->script->bad_tls;
}

static void
on_auth(void *arg, const char *mechanisms)
{
	tell(arg, "auth ");
	tell(arg, mechanisms);
	tell(arg, "\n");
}

static void
on_auth_challenge(void *arg, struct span data)
{
	char line[64];

	(void)snprintf(
	    line, sizeof(line), "challenge %.*s\n", (int)data.len, (const char *)data.data);
	tell(arg, line);
}

static void
on_auth_result(void *arg, enum ipc_outcome outcome, const char *text)
{
	tell(arg, "auth is ");
	tell(arg, outcomes[outcome]);
	tell(arg, ": ");
	tell(arg, text);
	tell(arg, "\n");
}

static void
on_over(void *arg, enum client_end how)
{
	static const char *const ends[] = {[CLIENT_CLOSED] = "closed",
	    [CLIENT_UNUSABLE] = "unusable",
	    [CLIENT_TLS_BROKEN] = "tls",
	    [CLIENT_STALE] = "stale",
	    [CLIENT_LOST] = "lost"};
	struct run *r = arg;

	assert_false(r->over);
	r->over = true;
	tell(r, ends[how]);
	if (how == CLIENT_UNUSABLE || how == CLIENT_TLS_BROKEN) {
		tell(r, " ");
		tell(r, client_why(r->client)->status);
	}
}

static int64_t
on_clock(void *arg)
{
	(void)arg;
	return NOW_S;
}

static const struct client_callbacks callbacks = {
    .on_ready = on_ready,
    .on_tls = on_tls,
    .on_auth = on_auth,
    .on_auth_challenge = on_auth_challenge,
    .on_auth_result = on_auth_result,
    .on_verdict = on_verdict,
    .on_body = on_body,
    .on_room = on_room,
    .on_body_stop = on_body_stop,
    .on_done = on_done,
    .on_over = on_over,
    .on_clock = on_clock,
};

/* -- the server -- */

static void
turn(struct run *r, time_t deadline)
{
	(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	if (time(NULL) > deadline)
		fail_msg("%s: nothing happens after:\n%s", r->script->name, r->told);
}

static ssize_t
server_read(struct run *r, char *dst, size_t n)
{
	ssize_t got;

	if (r->tls == NULL)
		return recv(r->fd, dst, n, MSG_DONTWAIT);
	got = tls_read(r->tls, dst, n);
	if (got == TLS_WANT_POLLIN || got == TLS_WANT_POLLOUT) {
		errno = EAGAIN;
		return -1;
	}
	return got;
}

static void
server_expect(struct run *r, const char *want)
{
	time_t deadline = time(NULL) + DEADLINE_S;
	size_t len = strlen(want), have = 0;
	static char got[131072];
	ssize_t n;

	assert_true(len < sizeof(got));
	while (have < len) {
		turn(r, deadline);
		errno = 0;
		n = server_read(r, got + have, len - have);
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
server_say(struct run *r, const char *text)
{
	size_t len = strlen(text);

	if (r->tls != NULL)
		assert_int_equal(tls_write(r->tls, text, len), len);
	else
		assert_int_equal(send(r->fd, text, len, MSG_NOSIGNAL), len);
}

static void
server_handshake(struct run *r)
{
	struct tls_config *config = tls_config_new();
	time_t deadline = time(NULL) + DEADLINE_S;
	int rc;

	r->listener = tls_server();
	assert_int_equal(tls_config_set_keypair_mem(config, (const uint8_t *)certificate,
			     strlen(certificate), (const uint8_t *)key, strlen(key)),
	    0);
	assert_int_equal(tls_configure(r->listener, config), 0);
	tls_config_free(config);
	assert_int_equal(tls_accept_socket(r->listener, &r->tls, r->fd), 0);
	while ((rc = tls_handshake(r->tls)) == TLS_WANT_POLLIN || rc == TLS_WANT_POLLOUT)
		turn(r, deadline);
	if (rc != 0)
		fail_msg("%s: handshake: %s", r->script->name, tls_error(r->tls));
}

static void
wait_told(struct run *r, const char *what)
{
	time_t deadline = time(NULL) + DEADLINE_S;

	while (strstr(r->told, what) == NULL)
		turn(r, deadline);
}

/* "A:MECHANISM data", "A: data" later, "A:MECHANISM" without any, "A:!" gives up. */
static void
owner_step(struct run *r, const char *step)
{
	const char *space = strchr(step, ' ');
	char mechanism[32];
	struct verdict why;
	struct span data = {NULL, 0};

	if (step[0] == '!') {
		verdict_of(&why, CAUSE_NO_CREDENTIAL, NULL);
		client_auth_stop(r->client, &why);
		return;
	}
	(void)snprintf(mechanism, sizeof(mechanism), "%.*s",
	    space == NULL ? (int)strlen(step) : (int)(space - step), step);
	if (space != NULL)
		data = (struct span){(const uint8_t *)space + 1, strlen(space + 1)};
	client_auth(r->client, mechanism, space == NULL ? NULL : &data);
}

static void
server_step(struct run *r, const char *step)
{
	time_t deadline = time(NULL) + DEADLINE_S;

	switch (step[0]) {
	case 'X':
		(void)shutdown(r->fd, SHUT_RDWR);
		break;
	case 'B':
		while (!r->body_begun)
			turn(r, deadline);
		break;
	case 'T':
		server_handshake(r);
		break;
	case 'W':
		wait_told(r, step + 2);
		break;
	case 'A':
		owner_step(r, step + 2);
		break;
	case 'S':
		server_say(r, step + 2);
		break;
	default:
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
	n = server_read(r, rest, sizeof(rest) - 1);
	if (n > 0 && !r->script->more) {
		rest[n] = '\0';
		fail_msg("%s: it also said %s", r->script->name, rest);
	}
}

static struct client_mail
mail_of(const struct script *s)
{
	static const char *const rcpts[RCPTS_MAX] = {"r0@example.org", "r1@example.org",
	    "r2@example.org", "r3@example.org", "r4@example.org", "r5@example.org",
	    "r6@example.org", "r7@example.org"};

	assert_true(s->nrcpts <= RCPTS_MAX);
	return (struct client_mail){.sender = s->is_report ? "" : "s@example.net",
	    .rcpts = rcpts,
	    .nrcpts = s->nrcpts == 0 ? 1 : s->nrcpts,
	    .dsn = s->dsn,
	    .envid = s->envid == NULL ? "" : s->envid,
	    .ret = s->ret == NULL ? "" : s->ret,
	    .size_bytes = s->size_bytes == 0 ? 29 : s->size_bytes,
	    .is_8bit = s->is_8bit,
	    .is_utf8 = s->is_utf8,
	    .is_binary = s->is_binary,
	    .requires_tls = s->requires_tls,
	    .priority = s->priority,
	    .by = s->by,
	    .by_s = s->by_s};
}

static void
run_script(const struct script *s, struct tls_client *tls)
{
	static const char *const names[] = {"peer.test"};
	const struct tls_want want = {
	    .check = tls != NULL && tls_client_can_verify(tls) ? TLS_CHECK_NAMES : TLS_CHECK_LATER,
	    .host = "peer.test",
	    .names = names,
	    .nnames = 1};
	struct run r = {.script = s, .base = event_base_new(), .mail = mail_of(s)};
	const struct client_options options = {.callbacks = &callbacks,
	    .arg = &r,
	    .helo = "mx.test",
	    .lmtp = s->lmtp,
	    .tls = s->tls,
	    .want = &want,
	    .tls_client = tls,
	    .auth = s->auth,
	    .needs_requiretls = s->needs_requiretls,
	    .needs_deliverby = s->needs_deliverby,
	    .chunking = s->chunking,
	    .timeout_scale = s->timeout_scale};
	int pair[2];
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN); /* the server's libtls writes to whom may be gone */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	r.fd = pair[1];
	r.left = s->nmails == 0 ? 1 : s->nmails;
	r.client = client_create(r.base, pair[0], &options);
	assert_non_null(r.client);
	for (i = 0; i < STEPS_MAX && s->steps[i] != NULL; i++)
		server_step(&r, s->steps[i]);
	server_expect_end(&r);
	if (strcmp(r.told, s->told) != 0)
		fail_msg("%s: told\n%s\ninstead of\n%s", s->name, r.told, s->told);
	client_free(r.client);
	tls_free(r.tls);
	tls_free(r.listener);
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
#define RSET	      "C:RSET\r\n", "S:250 ok\r\n"
#define ONE(reply)    MAIL, OK, RCPT("0"), OK, DATA, TEXT, "S:" reply "\r\n"
#define DONE	      "done\nclosed"

static void
run_scripts(const struct script *list, size_t n, struct tls_client *tls)
{
	size_t i;

	for (i = 0; i < n; i++)
		run_script(&list[i], tls);
}

#endif

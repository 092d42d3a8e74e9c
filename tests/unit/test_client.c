/* SPDX-License-Identifier: ISC */
/*
 * The SMTP client against a scripted server at the other end of a socket pair.
 *
 * A script is a list of lines: "S:" the server sends, "C:" it must then have
 * received exactly that, "B" it waits until the client may send the message,
 * "X" it closes.  What the client tells its owner is
 * gathered as text: a verdict a line, then how it ended.
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
	enum client_tls tls;
	size_t nrcpts;
	uint64_t size_bytes;
	bool is_8bit, is_utf8;
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
	    [CLIENT_DONE] = "done", [CLIENT_NEXT_HOST] = "next", [CLIENT_TLS_BROKEN] = "tls"};
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
	const struct client_mail mail = {.sender = "s@example.net",
	    .rcpts = rcpts,
	    .nrcpts = s->nrcpts == 0 ? 1 : s->nrcpts,
	    .size_bytes = s->size_bytes == 0 ? 29 : s->size_bytes,
	    .is_8bit = s->is_8bit,
	    .is_utf8 = s->is_utf8};
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

static const struct script plain[] = {
    {.name = "one by one",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, RCPT("1"), "S:550 5.1.1 who\r\n", DATA, TEXT,
	    "S:250 2.6.0 queued\r\n", QUIT},
	.told = "1 fail 5.1.1\n0 ok 2.6.0\ndone"},
    {.name = "pipelined",
	.nrcpts = 2,
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nRCPT "
	    "TO:<r1@example.org>\r\nDATA\r\n",
	    "S:250 ok\r\n250 ok\r\n450 4.7.1 later\r\n354 go\r\n", TEXT, OK, QUIT},
	.told = "1 retry 4.7.1\n0 ok 2.0.0\ndone"},
    {.name = "parameters",
	.is_8bit = true,
	.is_utf8 = true,
	.steps = {"S:220-hi\r\n220 there\r\n", "C:EHLO mx.test\r\n",
	    "S:250-mx\r\n250-8bitmime\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n",
	    "C:MAIL FROM:<s@example.net> SIZE=29 BODY=8BITMIME SMTPUTF8\r\n", OK, RCPT("0"), OK,
	    DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\ndone"},
    {.name = "HELO",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:502 what\r\n", "C:HELO mx.test\r\n", OK,
	    MAIL, OK, RCPT("0"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 ok 2.0.0\ndone"},
    {.name = "a recipient a transaction",
	.nrcpts = 2,
	.steps = {HELLO_WITH("LIMITS MAILMAX=9 RCPTMAX=1"), MAIL, OK, RCPT("0"), OK, DATA, TEXT, OK,
	    MAIL, OK, RCPT("1"), OK, DATA, TEXT, "S:451 later\r\n", QUIT},
	.told = "0 ok 2.0.0\n1 retry 4.3.0\ndone"},
    {.name = "refused, then the next transaction",
	.nrcpts = 2,
	.steps = {HELLO_WITH("LIMITS RCPTMAX=1"), MAIL, OK, RCPT("0"), "S:550 who\r\n",
	    "C:RSET\r\n", OK, MAIL, OK, RCPT("1"), OK, DATA, TEXT, OK, QUIT},
	.told = "0 fail 5.1.1\n1 ok 2.0.0\ndone"},
    {.name = "everybody refused",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.7.1 no\r\n", RCPT("1"), "S:450 x\r\n", QUIT},
	.told = "0 fail 5.7.1\n1 retry 4.2.0\ndone"},
    {.name = "MAIL refused",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, "S:550 5.7.1 not you\r\n", QUIT},
	.told = "0 fail 5.7.1\n1 fail 5.7.1\ndone"},
    {.name = "MAIL refused and data wanted for nobody",
	.steps = {HELLO_WITH("PIPELINING"),
	    "C:MAIL FROM:<s@example.net>\r\nRCPT TO:<r0@example.org>\r\nDATA\r\n",
	    "S:451 4.3.0 no\r\n250 ok\r\n354 go\r\n", "C:.\r\n", "S:250 ok\r\n", QUIT},
	.told = "0 retry 4.3.0\ndone"},
    {.name = "DATA refused",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "S:554 5.6.0 no\r\n", QUIT},
	.told = "0 fail 5.6.0\ndone"},
    {.name = "the message refused",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT, "S:554 5.7.1 spam\r\n", QUIT},
	.told = "0 fail 5.7.1\ndone"},
    {.name = "too large",
	.size_bytes = 1001,
	.steps = {HELLO_WITH("SIZE 1000"), QUIT},
	.told = "0 fail 5.3.4\ndone"},
    {.name = "no limit on the size",
	.size_bytes = 1001,
	.steps = {HELLO_WITH("SIZE 0"), "C:MAIL FROM:<s@example.net> SIZE=1001\r\n", OK, RCPT("0"),
	    "S:550 5.1.1 who\r\n", QUIT},
	.told = "0 fail 5.1.1\ndone"},
    {.name = "no 8BITMIME", .is_8bit = true, .steps = {HELLO, QUIT}, .told = "0 fail 5.6.3\ndone"},
    {.name = "no SMTPUTF8",
	.is_utf8 = true,
	.steps = {HELLO_WITH("8BITMIME"), QUIT},
	.told = "0 fail 5.6.7\ndone"},
};

static const struct script trouble[] = {
    {.name = "greeted with 421", .steps = {"S:421 busy\r\n"}, .told = "next 4.3.2"},
    {.name = "greeted with 554", .steps = {"S:554 no mail\r\n"}, .told = "next 5.0.0"},
    {.name = "EHLO is too early",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:421 4.3.2 no\r\n"},
	.told = "next 4.3.2"},
    {.name = "closed at once", .steps = {"X"}, .told = "next 4.4.2"},
    {.name = "silent", .timeout_scale = 1, .steps = {"S:22"}, .told = "next 4.4.2"},
    {.name = "lost after MAIL",
	.nrcpts = 2,
	.steps = {HELLO, MAIL, OK, RCPT("0"), "S:550 5.1.1 who\r\n", RCPT("1"), "X"},
	.told = "0 fail 5.1.1\n1 retry 4.4.2\ndone"},
    {.name = "lost after the final dot",
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT, "X"},
	.told = "0 retry 4.4.2\ndone"},
    {.name = "silent after the final dot",
	.timeout_scale = 1,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, TEXT},
	.told = "0 retry 4.4.2\ndone"},
    {.name = "not SMTP", .steps = {"S:HTTP/1.1 400 Bad Request\r\n"}, .told = "next 4.5.0"},
    {.name = "an intermediate reply to MAIL",
	.steps = {HELLO, MAIL, "S:354 go\r\n"},
	.told = "0 retry 4.5.0\ndone"},
    {.name = "two codes in a reply", .steps = {"S:220-a\r\n250 b\r\n"}, .told = "next 4.5.0"},
    {.name = "a reply ahead of its command",
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250 mx\r\n250 ok\r\n"},
	.told = "next 4.5.0"},
    {.name = "talks out of turn when all is said",
	.size_bytes = 1001,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:250-mx\r\n250 SIZE 10\r\n250 ok\r\n"},
	.told = "0 fail 5.3.4\ndone"},
    {.name = "the last reply ahead of the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, "C:DATA\r\n", "S:354 go\r\n250 ok\r\n"},
	.told = "0 retry 4.5.0\ndone"},
    {.name = "a good end inside the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, "B", OK},
	.told = "stop\n0 retry 4.5.0\ndone"},
    {.name = "enough of the message",
	.body = BODY_HELD,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA, "B", "S:552 5.3.4 enough\r\n"},
	.told = "0 fail 5.3.4\nstop\ndone"},
    {.name = "a message that can't be read to its end",
	.body = BODY_BROKEN,
	.steps = {HELLO, MAIL, OK, RCPT("0"), OK, DATA},
	.told = "stop\n0 retry 4.3.0\ndone"},
    {.name = "quits without QUIT's reply",
	.steps = {HELLO, MAIL, "S:550 5.7.1 no\r\n", "C:QUIT\r\n", "X"},
	.told = "0 fail 5.7.1\ndone"},
};

static const struct script secure[] = {
    {.name = "STARTTLS refused, and may be",
	.tls = CLIENT_TLS_MAY,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:454 4.7.0 no\r\n", MAIL,
	    "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\ndone"},
    {.name = "STARTTLS not wanted",
	.tls = CLIENT_TLS_NEVER,
	.steps = {HELLO_WITH("STARTTLS"), MAIL, "S:550 5.7.1 no\r\n", QUIT},
	.told = "0 fail 5.7.1\ndone"},
    {.name = "STARTTLS refused, and must not be",
	.tls = CLIENT_TLS_MUST,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:454 4.7.0 no\r\n"},
	.told = "next 4.7.4"},
    {.name = "STARTTLS missing",
	.tls = CLIENT_TLS_MUST,
	.steps = {HELLO_WITH("SIZE 0")},
	.told = "next 4.7.4"},
    {.name = "STARTTLS missing, and EHLO too",
	.tls = CLIENT_TLS_MUST,
	.steps = {"S:220 hi\r\n", "C:EHLO mx.test\r\n", "S:502 no\r\n", "C:HELO mx.test\r\n", OK},
	.told = "next 4.7.4"},
    {.name = "octets slipped in behind STARTTLS",
	.tls = CLIENT_TLS_MAY,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:220 go\r\n250 2.0.0 fake\r\n"},
	.told = "next 4.7.0"},
    {.name = "no TLS behind STARTTLS",
	.tls = CLIENT_TLS_MAY,
	.more = true,
	.steps = {HELLO_WITH("STARTTLS"), "C:STARTTLS\r\n", "S:220 go\r\n", "C:\x16\x03",
	    "S:500 no such thing as TLS\r\n"},
	.told = "tls 4.7.5"},
    {.name = "no TLS at all",
	.tls = CLIENT_TLS_FIRST,
	.more = true,
	.steps = {"C:\x16\x03", "S:220 hi\r\n"},
	.told = "tls 4.7.5"},
};

static void
test_plain(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(plain); i++)
		run_script(&plain[i], NULL);
}

static void
test_trouble(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(trouble); i++)
		run_script(&trouble[i], NULL);
}

static void
test_secure(void **state)
{
	struct tls_client *tls;
	size_t i;

	(void)state;
	tls = tls_client_create();
	assert_non_null(tls);
	for (i = 0; i < NITEMS(secure); i++)
		run_script(&secure[i], tls);
	tls_client_free(tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_trouble),
	    cmocka_unit_test(test_secure),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}

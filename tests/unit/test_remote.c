/* SPDX-License-Identifier: ISC */
/*
 * Questions to Dovecot and to token helpers, played by this test, as is the
 * parent: answers, lost connections, deadlines, liars; every question ends
 * once, and no descriptor is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/remote.h"
#include "vault/remote_lines.h"

#define PEERS_MAX   16
#define ANSWERS_MAX 300
#define GREETING \
	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tOAUTHBEARER\nSPID\t1\nCUID\t1\nDONE\n"

enum parent_does { CONNECT, REFUSE, NOTHING };

struct answer {
	struct rig *rig;
	int times;
	enum ipc_auth result;
	char login[IPC_ADDRESS_MAX + 1];
	struct remote_question *cancel; /* when this one ends */
	bool again;			/* ask once more */
};

struct rig {
	struct event_base *base;
	struct asks *asks;
	struct channel *vault, *parent;
	struct remotes *remotes;
	struct conf conf;
	struct conf_table tables[2];
	enum parent_does parent_does;
	uint32_t last_req;
	int peers[PEERS_MAX];
	size_t npeers, descriptors;
	int64_t now_ms;
	struct answer answers[ANSWERS_MAX];
};

static char last_line[LOG_LINE_MAX];
static char dovecot[] = "dovecot", helper[] = "helper", path_a[] = "/a", path_b[] = "/b";

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	str_cut(last_line, sizeof(last_line), line);
}

static size_t
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

/* -- the parent -- */

static void
on_get(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;
	struct msg_helper_refused refused = {.req = msg->req, .text = "/a: Connection refused"};
	struct msg_helper_link link = {.req = msg->req};
	int pair[2];

	(void)fd;
	r->last_req = msg->req;
	if (r->parent_does == NOTHING)
		return;
	if (r->parent_does == REFUSE) {
		assert_int_equal(channel_send(ch, MSG_helper_refused, &refused), 0);
		return;
	}
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_in_range(r->npeers, 0, PEERS_MAX - 1);
	r->peers[r->npeers++] = pair[0];
	assert_int_equal(channel_send_fd(ch, MSG_helper_link, &link, pair[1]), 0);
}

static void
on_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	remotes_on_link(r->remotes, ch, msg->req, fd);
}

static void
on_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	(void)fd;
	remotes_on_refused(r->remotes, ch, msg->req, msg->helper_refused.text);
}

static void
on_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	fail_msg("a channel was closed: %s", last_line);
}

static const channel_handler of_parent[MSG__MAX] = {[MSG_helper_get] = on_get};
static const channel_handler of_vault[MSG__MAX] = {
    [MSG_helper_link] = on_link, [MSG_helper_refused] = on_refused};
static const struct channel_rules parent_rules = {
    .self = ROLE_PARENT, .handlers = of_parent, .on_close = on_close};
static const struct channel_rules vault_rules = {
    .self = ROLE_VAULT, .handlers = of_vault, .on_close = on_close};

static int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	int pair[2];

	assert_non_null(r);
	log_set_sink(keep_line, NULL);
	last_line[0] = '\0';
	r->descriptors = count_descriptors();
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->base = event_base_new();
	r->asks = asks_create(64);
	r->vault = channel_create(r->base, pair[0], ROLE_PARENT, 0, &vault_rules);
	r->parent = channel_create(r->base, pair[1], ROLE_VAULT, 0, &parent_rules);
	channel_set_context(r->vault, r);
	channel_set_context(r->parent, r);
	r->remotes = remotes_create(r->base, r->asks, r->vault);
	assert_non_null(r->remotes);
	r->tables[0] = (struct conf_table){
	    .name = dovecot, .kind = CONF_TABLE_DOVECOT, .path = path_a};
	r->tables[1] = (struct conf_table){
	    .name = helper, .kind = CONF_TABLE_HELPER, .path = path_a};
	r->conf.tables = r->tables;
	r->conf.ntables = NITEMS(r->tables);
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	r->now_ms = 1000000;
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *r = *state;
	size_t i;

	remotes_free(r->remotes);
	asks_free(r->asks);
	channel_free(r->vault);
	channel_free(r->parent);
	event_base_free(r->base);
	for (i = 0; i < r->npeers; i++)
		if (r->peers[i] != -1)
			(void)close(r->peers[i]);
	assert_int_equal(count_descriptors(), r->descriptors);
	for (i = 0; i < ANSWERS_MAX; i++)
		assert_in_range(r->answers[i].times, 0, 2);
	free(r);
	return 0;
}

static void
turn(struct rig *r)
{
	int i;

	for (i = 0; i < 8; i++) {
		channel_flush(r->vault);
		channel_flush(r->parent);
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
}

static void
later(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	asks_tick(r->asks, r->now_ms);
	remotes_tick(r->remotes, r->now_ms);
	turn(r);
}

/* -- who asks -- */

static struct remote_question *
ask_as(struct rig *r, struct answer *a, const char *table, enum remote_secret kind);

static void
on_done(void *owner, enum ipc_auth result, const char *login)
{
	struct answer *a = owner;

	a->times++;
	a->result = result;
	str_cut(a->login, sizeof(a->login), login);
	remote_cancel(a->cancel);
	a->cancel = NULL;
	if (a->again) {
		a->again = false;
		(void)ask_as(a->rig, a, helper, REMOTE_XOAUTH2);
	}
}

static struct remote_question *
ask_as(struct rig *r, struct answer *a, const char *table, enum remote_secret kind)
{
	struct remote_request request = {.table = table,
	    .client = "192.0.2.1",
	    .kind = kind,
	    .login = "demo",
	    .secret = {(const uint8_t *)"secret", 6}};
	int times = a->times;
	struct remote_question *q;

	a->rig = r;
	q = remote_ask(r->remotes, &request, r->now_ms, on_done, a);
	assert_int_equal(a->times, times);
	return q;
}

static struct remote_question *
ask(struct rig *r, size_t n, const char *table, enum remote_secret kind)
{
	struct remote_question *q = ask_as(r, &r->answers[n], table, kind);

	turn(r);
	return q;
}

static void
assert_answer(struct rig *r, size_t n, enum ipc_auth result, const char *login)
{
	if (r->answers[n].times != 1)
		fail_msg("question %zu ended %d times; %s", n, r->answers[n].times, last_line);
	assert_int_equal(r->answers[n].result, result);
	assert_string_equal(r->answers[n].login, login);
}

static void
assert_waiting(struct rig *r, size_t n)
{
	assert_int_equal(r->answers[n].times, 0);
}

/* -- the other side -- */

static void
say(struct rig *r, size_t peer, const char *text)
{
	assert_int_equal(
	    send(r->peers[peer], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(r);
}

static void
hang_up(struct rig *r, size_t peer)
{
	assert_int_equal(close(r->peers[peer]), 0);
	r->peers[peer] = -1;
	turn(r);
}

/* What was said to it since the last time; "(closed)" at the end. */
static const char *
hear(struct rig *r, size_t peer)
{
	static char text[65536];
	ssize_t n = recv(r->peers[peer], text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n == 0)
		return "(closed)";
	if (n == -1)
		return errno == EAGAIN ? "" : "(closed)";
	text[n] = '\0';
	return text;
}

static void
assert_hears(struct rig *r, size_t peer, const char *what)
{
	const char *text = hear(r, peer);

	if (strncmp(text, what, strlen(what)) != 0 || (what[0] == '\0' && text[0] != '\0'))
		fail_msg("peer %zu hears '%s', not '%s'", peer, text, what);
}

/* A connection to Dovecot that has greeted. */
static void
greet(struct rig *r, size_t peer)
{
	assert_hears(r, peer, "VERSION\t1\t1\nCPID\t");
	say(r, peer, GREETING);
}

#define TOKEN "TOKEN c2VjcmV0 demo\n"

/* -- Dovecot -- */

static void
test_dovecot(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_hears(r, 0, "AUTH\t1\tPLAIN\t");
	assert_waiting(r, 0);
	say(r, 0, "OK\t1\tuser=demo@example.org\n");
	assert_answer(r, 0, IPC_AUTH_OK, "demo@example.org");
	/* The connection stays. */
	assert_non_null(ask(r, 1, dovecot, REMOTE_OAUTHBEARER));
	assert_hears(r, 0, "AUTH\t2\tOAUTHBEARER\t");
	say(r, 0, "FAIL\t2\tuser=demo\n");
	assert_answer(r, 1, IPC_AUTH_REFUSED, "");
	assert_int_equal(r->npeers, 1);
}

static void
test_dovecot_many(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < 5; i++)
		assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_int_equal(r->npeers, 1);
	say(r, 0,
	    "FAIL\t3\ttemp\nOK\t5\tuser=five\nOK\t99\tuser=forged\nOK\t5\tuser=again\n"
	    "NEW\tword\nFAIL\t0\n");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 4, IPC_AUTH_OK, "five");
	assert_waiting(r, 0);
	assert_waiting(r, 1);
	say(r, 0, "OK\t1\tuser=o");
	assert_waiting(r, 0);
	say(r, 0, "ne\nOK\t4\tuser=four\n");
	assert_answer(r, 0, IPC_AUTH_OK, "one");
	assert_answer(r, 3, IPC_AUTH_OK, "four");
	hang_up(r, 0);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_int_equal(r->answers[2].times, 1);
}

static void
test_dovecot_refused_token(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_OAUTHBEARER));
	greet(r, 0);
	(void)hear(r, 0);
	say(r, 0, "CONT\t1\teyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\n");
	assert_hears(r, 0, "CONT\t1\tAQ==\n");
	say(r, 0, "FAIL\t1\tuser=demo\n");
	assert_answer(r, 0, IPC_AUTH_REFUSED, "");
	assert_non_null(ask(r, 1, dovecot, REMOTE_OAUTHBEARER));
	(void)hear(r, 0);
	say(r, 0, "CONT\t2\tx\nCONT\t2\tx\n");
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, "(closed)");
}

static void
test_dovecot_does_not_offer(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_XOAUTH2));
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_non_null(strstr(last_line, "does not offer XOAUTH2"));
	assert_hears(r, 0, "AUTH\t2\tPLAIN");
	assert_null(ask(r, 2, dovecot, REMOTE_XOAUTH2));
	say(r, 0, "OK\t2\tuser=d\n");
	assert_answer(r, 1, IPC_AUTH_OK, "d");
}

static void
test_dovecot_liars(void **state)
{
	static const struct {
		const char *greeting, *then; /* then NULL: it is the greeting that is wrong */
	} cases[] = {
	    {"VERSION\t2\t0\nDONE\n", NULL},
	    {"VERSION\tx\n", NULL},
	    {"OK\t1\tuser=root\n", NULL},
	    {"MECH\n", NULL},
	    {GREETING, "OK\t1\n"},
	    {GREETING, "OK\t1\tuser=\x80\n"},
	    {GREETING, "OK\t1\tuser=ro ot\n"},
	    {GREETING, "FAIL\t-1\n"},
	    {GREETING, "CONT\t9\tx\n"},
	};
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		later(r, 60000);
		assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
		assert_int_equal(r->npeers, i + 1);
		(void)hear(r, i);
		say(r, i, cases[i].greeting);
		if (cases[i].then != NULL) {
			assert_hears(r, i, "AUTH");
			say(r, i, cases[i].then);
		}
		assert_answer(r, i, IPC_AUTH_TROUBLE, "");
		assert_hears(r, i, "(closed)");
	}
}

static void
test_dovecot_endless(void **state)
{
	static char line[DOVECOT_LINE_MAX + 2];
	struct rig *r = *state;
	size_t i;

	memset(line, 'x', sizeof(line) - 1);
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 0);
	say(r, 0, line);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_non_null(strstr(last_line, "too long a line"));
	later(r, 60000);
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 1);
	for (i = 0; i < 200; i++) {
		assert_waiting(r, 1);
		say(r, 1, "COOKIE\tx\n");
	}
	say(r, 1, "COOKIE\tx\n");
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
}

/* The longest line that it takes. */
static void
test_dovecot_long_line(void **state)
{
	static char line[DOVECOT_LINE_MAX + 2];
	struct rig *r = *state;

	memset(line, 'x', sizeof(line) - 2);
	line[DOVECOT_LINE_MAX] = '\n';
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	(void)hear(r, 0);
	say(r, 0, line);
	say(r, 0, GREETING);
	say(r, 0, line);
	say(r, 0, "OK\t1\tuser=d\n");
	assert_answer(r, 0, IPC_AUTH_OK, "d");
}

/* -- connections -- */

static void
test_parent_refuses(void **state)
{
	struct rig *r = *state;
	size_t i;

	r->parent_does = REFUSE;
	for (i = 0; i < 4; i++) {
		assert_non_null(ask(r, 2 * i, dovecot, REMOTE_PASSWORD));
		assert_answer(r, 2 * i, IPC_AUTH_TROUBLE, "");
		assert_non_null(strstr(last_line, "Connection refused"));
		/* It is left alone for a while, longer each time. */
		later(r, (1000 << i) - 1);
		assert_null(ask(r, 2 * i + 1, dovecot, REMOTE_PASSWORD));
		later(r, 1);
	}
	later(r, 60000);
	r->parent_does = CONNECT;
	assert_non_null(ask(r, 8, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	say(r, 0, "FAIL\t9\n");
	say(r, 0, "FAIL\t5\n");
	assert_answer(r, 8, IPC_AUTH_REFUSED, "");
	/* An answer, and all is well again. */
	hang_up(r, 0);
	r->parent_does = REFUSE;
	assert_non_null(ask(r, 9, dovecot, REMOTE_PASSWORD));
	later(r, 1000);
	r->parent_does = CONNECT;
	assert_non_null(ask(r, 10, dovecot, REMOTE_PASSWORD));
}

static void
test_parent_is_silent(void **state)
{
	struct rig *r = *state;
	struct msg_helper_link late = {.req = 0};
	int pair[2];

	r->parent_does = NOTHING;
	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	later(r, 5000);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	/* What comes late, or was never asked for, is closed. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->peers[r->npeers++] = pair[0];
	late.req = r->last_req;
	assert_int_equal(channel_send_fd(r->parent, MSG_helper_link, &late, pair[1]), 0);
	turn(r);
	assert_hears(r, 0, "(closed)");
}

static void
test_idle_close(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	say(r, 0, "OK\t1\tuser=d\n");
	last_line[0] = '\0';
	hang_up(r, 0);
	/* That is nobody's fault. */
	assert_string_equal(last_line, "");
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 1);
	assert_hears(r, 1, "AUTH\t2");
	say(r, 1, "OK\t2\tuser=e\n");
	assert_answer(r, 1, IPC_AUTH_OK, "e");
}

static void
test_deadlines(void **state)
{
	struct rig *r = *state;

	/* It never greets. */
	assert_non_null(ask(r, 0, dovecot, REMOTE_PASSWORD));
	later(r, 9999);
	assert_waiting(r, 0);
	later(r, 1);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, "VERSION");
	assert_hears(r, 0, "(closed)");
	later(r, 60000);
	/* It greets, and falls silent: the connection is not worth keeping. */
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	greet(r, 1);
	later(r, 5000);
	assert_non_null(ask(r, 2, dovecot, REMOTE_PASSWORD));
	later(r, 5000);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	later(r, 60000);
	/* It answers others: that one question is late, and its answer too. */
	assert_non_null(ask(r, 3, dovecot, REMOTE_PASSWORD));
	greet(r, 2);
	later(r, 5000);
	assert_non_null(ask(r, 4, dovecot, REMOTE_PASSWORD));
	say(r, 2, "OK\t5\tuser=d\n");
	assert_answer(r, 4, IPC_AUTH_OK, "d");
	later(r, 5000);
	assert_answer(r, 3, IPC_AUTH_TROUBLE, "");
	say(r, 2, "OK\t4\tuser=d\n");
	assert_non_null(ask(r, 5, dovecot, REMOTE_PASSWORD));
	say(r, 2, "OK\t6\tuser=d\n");
	assert_answer(r, 5, IPC_AUTH_OK, "d");
}

static void
test_full(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < REMOTE_WAITING_MAX; i++)
		assert_non_null(ask_as(r, &r->answers[i], dovecot, REMOTE_PASSWORD));
	assert_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	greet(r, 0);
	assert_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	say(r, 0, "OK\t7\tuser=d\n");
	assert_non_null(ask(r, i, dovecot, REMOTE_PASSWORD));
	hang_up(r, 0);
	for (i = 0; i < REMOTE_WAITING_MAX; i++)
		assert_int_equal(r->answers[i].times, 1);
}

static void
test_cannot_be_asked(void **state)
{
	struct rig *r = *state;
	static const uint8_t long_secret[REMOTE_SECRET_MAX + 1] = {'x'};
	struct remote_request request = {.table = helper,
	    .client = "",
	    .kind = REMOTE_XOAUTH2,
	    .login = "demo",
	    .secret = {long_secret, sizeof(long_secret)}};

	assert_null(ask(r, 0, "nobody", REMOTE_PASSWORD));
	assert_null(ask(r, 0, helper, REMOTE_PASSWORD));
	assert_null(remote_ask(r->remotes, &request, r->now_ms, on_done, &r->answers[0]));
	assert_int_equal(r->npeers, 0);
}

/* -- helpers -- */

static void
test_helper(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	assert_hears(r, 0, TOKEN);
	say(r, 0, "OK demo@example.org\n");
	assert_answer(r, 0, IPC_AUTH_OK, "demo@example.org");
	assert_non_null(ask(r, 1, helper, REMOTE_OAUTHBEARER));
	assert_hears(r, 0, TOKEN);
	say(r, 0, "NO\n");
	assert_answer(r, 1, IPC_AUTH_REFUSED, "");
	assert_non_null(ask(r, 2, helper, REMOTE_OAUTHBEARER));
	say(r, 0, "LATER\n");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_int_equal(r->npeers, 1);
}

static void
test_helper_pool(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < 6; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	assert_int_equal(r->npeers, 4);
	for (i = 0; i < 4; i++) {
		assert_string_equal(hear(r, i), TOKEN);
		assert_hears(r, i, "");
	}
	say(r, 2, "OK two\n");
	assert_answer(r, 2, IPC_AUTH_OK, "two");
	assert_string_equal(hear(r, 2), TOKEN);
	say(r, 0, "NO\n");
	assert_answer(r, 0, IPC_AUTH_REFUSED, "");
	assert_string_equal(hear(r, 0), TOKEN);
	say(r, 2, "OK four\n");
	say(r, 0, "OK five\n");
	assert_answer(r, 4, IPC_AUTH_OK, "four");
	assert_answer(r, 5, IPC_AUTH_OK, "five");
	assert_waiting(r, 1);
	assert_waiting(r, 3);
}

static void
test_helper_closes_each_time(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK a\n");
	/* It closes while the next question is on its way: asked again, once. */
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	hang_up(r, 0);
	assert_waiting(r, 1);
	assert_string_equal(hear(r, 1), TOKEN);
	say(r, 1, "OK b\n");
	assert_answer(r, 1, IPC_AUTH_OK, "b");
	assert_non_null(ask(r, 2, helper, REMOTE_XOAUTH2));
	hang_up(r, 1);
	assert_string_equal(hear(r, 2), TOKEN);
	hang_up(r, 2);
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_null(ask(r, 3, helper, REMOTE_XOAUTH2));
	later(r, 1000);
	/* Half an answer is none to ask again for. */
	assert_non_null(ask(r, 4, helper, REMOTE_XOAUTH2));
	say(r, 3, "OK a\n");
	assert_non_null(ask(r, 5, helper, REMOTE_XOAUTH2));
	say(r, 3, "OK r");
	hang_up(r, 3);
	assert_answer(r, 5, IPC_AUTH_TROUBLE, "");
}

static void
test_helper_liars(void **state)
{
	static const char *const cases[] = {
	    "YES\n", "OK two words\n", "\n", "OK\n", "OK a\nOK b\n", "NO\r\n"};
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		later(r, 60000);
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
		(void)hear(r, i);
		say(r, i, cases[i]);
		assert_hears(r, i, "(closed)");
		if (strcmp(cases[i], "OK a\nOK b\n") == 0)
			assert_answer(r, i, IPC_AUTH_OK, "a");
		else
			assert_answer(r, i, IPC_AUTH_TROUBLE, "");
	}
	/* Nothing was asked. */
	later(r, 60000);
	assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	say(r, i, "OK a\n");
	say(r, i, "OK root\n");
	assert_null(ask(r, i + 1, helper, REMOTE_XOAUTH2));
}

static void
test_helper_late(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK a\n");
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	later(r, 9999);
	assert_waiting(r, 1);
	later(r, 1);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_hears(r, 0, TOKEN TOKEN);
	/* Its answer can't become the next one's. */
	assert_hears(r, 0, "(closed)");
	assert_int_equal(r->npeers, 1);
}

/* -- who asked is gone, or asks more -- */

static void
test_cancel(void **state)
{
	struct rig *r = *state;
	struct remote_question *q;
	size_t i;

	remote_cancel(NULL);
	q = ask(r, 0, helper, REMOTE_XOAUTH2);
	remote_cancel(q);
	assert_non_null(ask(r, 1, helper, REMOTE_XOAUTH2));
	say(r, 0, "OK zero\n");
	say(r, 1, "OK one\n");
	assert_waiting(r, 0);
	assert_answer(r, 1, IPC_AUTH_OK, "one");
	for (i = 2; i < 6; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	q = ask(r, 6, helper, REMOTE_XOAUTH2);
	assert_non_null(ask(r, 7, helper, REMOTE_XOAUTH2));
	remote_cancel(q);
	say(r, 0, "NO\n");
	say(r, 0, "OK seven\n");
	assert_answer(r, 7, IPC_AUTH_OK, "seven");
	assert_waiting(r, 6);
}

static void
test_from_inside(void **state)
{
	struct rig *r = *state;
	struct remote_question *waiting;
	size_t i;

	for (i = 0; i < 4; i++)
		r->answers[i].again = true;
	for (i = 0; i < 4; i++)
		assert_non_null(ask(r, i, helper, REMOTE_XOAUTH2));
	waiting = ask(r, 4, helper, REMOTE_XOAUTH2);
	r->answers[0].cancel = waiting;
	say(r, 0, "OK a\n");
	/* The place is its own again. */
	assert_string_equal(hear(r, 0), TOKEN TOKEN);
	for (i = 0; i < 4; i++)
		hang_up(r, i);
	/* One was asked anew at once, the others were told, and asked again. */
	for (i = 0; i < 4; i++) {
		assert_string_equal(hear(r, 4), TOKEN);
		say(r, 4, "OK b\n");
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(r->answers[i].times, 2);
		assert_string_equal(r->answers[i].login, "b");
	}
	assert_waiting(r, 4);
}

static void
test_configure(void **state)
{
	struct rig *r = *state;

	assert_non_null(ask(r, 0, helper, REMOTE_XOAUTH2));
	assert_non_null(ask(r, 1, dovecot, REMOTE_PASSWORD));
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_waiting(r, 0);
	r->tables[1].path = path_b;
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_answer(r, 0, IPC_AUTH_TROUBLE, "");
	assert_waiting(r, 1);
	assert_non_null(ask(r, 2, helper, REMOTE_XOAUTH2));
	r->answers[2].again = true;
	r->conf.ntables = 0;
	assert_int_equal(remotes_configure(r->remotes, &r->conf), 0);
	assert_answer(r, 1, IPC_AUTH_TROUBLE, "");
	assert_answer(r, 2, IPC_AUTH_TROUBLE, "");
	assert_null(ask(r, 3, helper, REMOTE_XOAUTH2));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_dovecot),
	    TEST(test_dovecot_many),
	    TEST(test_dovecot_refused_token),
	    TEST(test_dovecot_does_not_offer),
	    TEST(test_dovecot_liars),
	    TEST(test_dovecot_endless),
	    TEST(test_dovecot_long_line),
	    TEST(test_parent_refuses),
	    TEST(test_parent_is_silent),
	    TEST(test_idle_close),
	    TEST(test_deadlines),
	    TEST(test_full),
	    TEST(test_cannot_be_asked),
	    TEST(test_helper),
	    TEST(test_helper_pool),
	    TEST(test_helper_closes_each_time),
	    TEST(test_helper_liars),
	    TEST(test_helper_late),
	    TEST(test_cancel),
	    TEST(test_from_inside),
	    TEST(test_configure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

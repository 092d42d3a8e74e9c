/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_REMOTE_RIG_H
#define TESTS_UNIT_REMOTE_RIG_H

/*
 * The vault's questions to back ends, with the parent and the other side played by the
 * test.  When a test is over, no descriptor may be left.
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

#define UNUSED	    __attribute__((unused))
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
static char dovecot[] = "dovecot", helper[] = "helper", path_a[] = "/a";

static UNUSED void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	str_cut(last_line, sizeof(last_line), line);
}

static UNUSED size_t
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

static UNUSED void
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

static UNUSED void
on_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	remotes_on_link(r->remotes, ch, msg->req, fd);
}

static UNUSED void
on_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	(void)fd;
	remotes_on_refused(r->remotes, ch, msg->req, msg->helper_refused.text);
}

static UNUSED void
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

static UNUSED int
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

static UNUSED int
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

static UNUSED void
turn(struct rig *r)
{
	int i;

	for (i = 0; i < 8; i++) {
		channel_flush(r->vault);
		channel_flush(r->parent);
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
}

static UNUSED void
later(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	asks_tick(r->asks, r->now_ms);
	remotes_tick(r->remotes, r->now_ms);
	turn(r);
}

/* -- who asks -- */

static UNUSED struct remote_question *
ask_as(struct rig *r, struct answer *a, const char *table, enum remote_secret kind);

static UNUSED void
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

static UNUSED struct remote_question *
ask_as(struct rig *r, struct answer *a, const char *table, enum remote_secret kind)
{
	char network[32];
	struct remote_request request = {.table = table,
	    .client = "192.0.2.1",
	    .network = network,
	    .kind = kind,
	    .login = "demo",
	    .secret = {(const uint8_t *)"secret", 6}};
	int times = a->times;
	struct remote_question *q;

	a->rig = r;
	(void)snprintf(network, sizeof(network), "%td", a - r->answers);
	q = remote_ask(r->remotes, &request, r->now_ms, on_done, a);
	assert_int_equal(a->times, times);
	return q;
}

static UNUSED struct remote_question *
ask(struct rig *r, size_t n, const char *table, enum remote_secret kind)
{
	struct remote_question *q = ask_as(r, &r->answers[n], table, kind);

	turn(r);
	return q;
}

static UNUSED void
assert_answer(struct rig *r, size_t n, enum ipc_auth result, const char *login)
{
	if (r->answers[n].times != 1)
		fail_msg("question %zu ended %d times; %s", n, r->answers[n].times, last_line);
	assert_int_equal(r->answers[n].result, result);
	assert_string_equal(r->answers[n].login, login);
}

static UNUSED void
assert_waiting(struct rig *r, size_t n)
{
	assert_int_equal(r->answers[n].times, 0);
}

/* -- the other side -- */

static UNUSED void
say(struct rig *r, size_t peer, const char *text)
{
	assert_int_equal(
	    send(r->peers[peer], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(r);
}

static UNUSED void
hang_up(struct rig *r, size_t peer)
{
	assert_int_equal(close(r->peers[peer]), 0);
	r->peers[peer] = -1;
	turn(r);
}

/* What was said to it since the last time; "(closed)" at the end. */
static UNUSED const char *
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

static UNUSED void
assert_hears(struct rig *r, size_t peer, const char *what)
{
	const char *text = hear(r, peer);

	if (strncmp(text, what, strlen(what)) != 0 || (what[0] == '\0' && text[0] != '\0'))
		fail_msg("peer %zu hears '%s', not '%s'", peer, text, what);
}

/* A connection to Dovecot that has greeted. */
static UNUSED void
greet(struct rig *r, size_t peer)
{
	assert_hears(r, peer, "VERSION\t1\t1\nCPID\t");
	say(r, peer, GREETING);
}

#define TOKEN "TOKEN c2VjcmV0 demo\n" /* the question to a helper */

#endif

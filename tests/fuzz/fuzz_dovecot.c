/* SPDX-License-Identifier: ISC */
/*
 * What Dovecot, or a token helper, may say to the vault: each line alone, and
 * all of it on a connection with questions under way.  The first octet says
 * whom it is from and how many questions there are.  A login must be fit to be one; each
 * question ends once, whatever comes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/base/bug.h"
#include "lib/base/log.h"
#include "vault/remote.h"
#include "vault/remote_lines.h"

#define QUESTIONS_MAX 6
#define NOW_MS	      1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct event_base *base;
	struct asks *asks;
	struct channel *vault, *parent;
	struct remotes *remotes;
	struct conf_table table;
	struct conf conf;
	int peer;
};

static struct world world;
static char name[] = "t";

static void
must(bool good)
{
	if (!good)
		abort();
}

/* -- one line -- */

static void
try_line(const char *line, size_t len)
{
	char *exact = malloc(len == 0 ? 1 : len);
	struct dovecot_line d;
	struct helper_line h;

	must(exact != NULL);
	memcpy(exact, line, len);
	if (dovecot_parse(exact, len, &d) == 0) {
		must(d.word == DOVECOT_OK ? login_is_fit(d.login, strlen(d.login))
					  : d.login[0] == '\0');
		must(!d.temporary || d.word == DOVECOT_FAIL);
	}
	if (helper_parse(exact, len, &h) == 0)
		must(h.result == IPC_AUTH_OK ? login_is_fit(h.login, strlen(h.login))
					     : h.login[0] == '\0');
	free(exact);
}

static void
try_lines(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size, *stop;

	for (; at < end; at = stop + 1) {
		if ((stop = memchr(at, '\n', (size_t)(end - at))) == NULL)
			stop = end;
		try_line(at, (size_t)(stop - at));
	}
}

/* -- a connection -- */

static void
on_get(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct world *w = ctx;
	struct msg_helper_refused refused = {.req = msg->req, .text = "no"};
	struct msg_helper_link link = {.req = msg->req};
	int pair[2];

	(void)fd;
	if (w->peer != -1) { /* one is enough */
		(void)channel_send(ch, MSG_helper_refused, &refused);
		return;
	}
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	w->peer = pair[0];
	(void)channel_send_fd(ch, MSG_helper_link, &link, pair[1]);
}

static void
on_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	remotes_on_link(((struct world *)ctx)->remotes, ch, msg->req, fd);
}

static void
on_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	remotes_on_refused(((struct world *)ctx)->remotes, ch, msg->req, msg->helper_refused.text);
}

static void
on_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	abort();
}

static const channel_handler of_parent[MSG__MAX] = {[MSG_helper_get] = on_get};
static const channel_handler of_vault[MSG__MAX] = {
    [MSG_helper_link] = on_link, [MSG_helper_refused] = on_refused};
static const struct channel_rules parent_rules = {
    .self = ROLE_PARENT, .handlers = of_parent, .on_close = on_close};
static const struct channel_rules vault_rules = {
    .self = ROLE_VAULT, .handlers = of_vault, .on_close = on_close};

static void
no_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void
make_world(struct world *w)
{
	int pair[2];

	log_set_sink(no_log, NULL);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	w->base = event_base_new();
	w->asks = asks_create(64);
	w->vault = channel_create(w->base, pair[0], ROLE_PARENT, 0, &vault_rules);
	w->parent = channel_create(w->base, pair[1], ROLE_VAULT, 0, &parent_rules);
	must(w->vault != NULL && w->parent != NULL);
	channel_set_context(w->vault, w);
	channel_set_context(w->parent, w);
	w->table = (struct conf_table){.name = name};
	w->conf = (struct conf){.tables = &w->table, .ntables = 1};
}

static void
turn(struct world *w)
{
	int i;

	for (i = 0; i < 4; i++) {
		channel_flush(w->vault);
		channel_flush(w->parent);
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
}

static void
on_done(void *owner, enum ipc_auth result, const char *login)
{
	int *times = owner;

	must(++*times == 1);
	must(result == IPC_AUTH_OK ? login_is_fit(login, strlen(login)) : login[0] == '\0');
}

static void
say(struct world *w, const uint8_t *data, size_t size)
{
	while (size > 0 && w->peer != -1) {
		size_t n = size > 4096 ? 4096 : size;

		if (send(w->peer, data, n, MSG_NOSIGNAL) == -1)
			return;
		data += n;
		size -= n;
		turn(w);
	}
}

static void
try_connection(struct world *w, bool dovecot, unsigned int n, const uint8_t *data, size_t size)
{
	struct remote_request request = {.table = name,
	    .client = "192.0.2.1",
	    .login = "demo",
	    .kind = dovecot ? REMOTE_PASSWORD : REMOTE_XOAUTH2,
	    .secret = {(const uint8_t *)"secret", 6}};
	int times[QUESTIONS_MAX] = {0};
	bool asked[QUESTIONS_MAX] = {false};
	unsigned int i;

	w->peer = -1;
	w->table.kind = dovecot ? CONF_TABLE_DOVECOT : CONF_TABLE_HELPER;
	w->remotes = remotes_create(w->base, w->asks, w->vault);
	must(w->remotes != NULL && remotes_configure(w->remotes, &w->conf) == 0);
	for (i = 0; i < n; i++) {
		if (dovecot && i % 2 == 1)
			request.kind = REMOTE_OAUTHBEARER;
		asked[i] = remote_ask(w->remotes, &request, NOW_MS, on_done, &times[i]) != NULL;
	}
	turn(w);
	say(w, data, size);
	remotes_tick(w->remotes, NOW_MS + REMOTE_DEADLINE_MS);
	turn(w);
	for (i = 0; i < n; i++)
		must(times[i] == asked[i]);
	remotes_free(w->remotes);
	if (w->peer != -1)
		(void)close(w->peer);
	turn(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	if (world.base == NULL)
		make_world(&world);
	try_lines(data + 1, size - 1);
	try_connection(
	    &world, (data[0] & 1) != 0, (data[0] >> 1) % QUESTIONS_MAX + 1, data + 1, size - 1);
	return 0;
}

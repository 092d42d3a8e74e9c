/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_VAULT_RIG_H
#define TESTS_UNIT_VAULT_RIG_H

/*
 * The vault with all of its handlers, and everybody it talks with played by the test:
 * what each of them hears is kept, and the clock goes when it is told to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/conf.h"
#include "lib/service/service.h"
#include "vault/remote.h"
#include "vault/vault.h"

#define UNUSED	  __attribute__((unused))
#define HEARD_MAX 64
#define LOG_MAX	  (256 << 10)
#define NOW_S	  1800000000

struct heard { /* one message */
	enum message_type type;
	uint32_t req;
	char a[IPC_FETCH_MAX + 1], b[IPC_FETCH_MAX + 1];
	size_t len; /* of b */
	int64_t n, m;
};

struct rig {
	struct vault v;
	struct event_base *base;
	struct asks *asks;
	struct channel *near[ROLE__MAX], *far[ROLE__MAX];
	struct conf *conf;
	struct heard *heard;
	size_t nheard, nread;
	int64_t now_ms;
	bool draining, stopped;
};

static struct rig *rig;
static char logged[LOG_MAX];

static UNUSED void
keep_log(void *arg, enum log_level level, const char *line)
{
	size_t n = strlen(logged);

	(void)arg;
	(void)level;
	(void)snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

static UNUSED void
assert_logged(const char *what)
{
	if (strstr(logged, what) == NULL)
		fail_msg("'%s' is not in the log:\n%s", what, logged);
}

static UNUSED void
assert_not_logged(const char *what)
{
	if (strstr(logged, what) != NULL)
		fail_msg("'%s' is in the log:\n%s", what, logged);
}

/* -- what lib/service does -- */

struct asks *
service_asks(const struct service *s)
{
	(void)s;
	return rig->asks;
}

struct event_base *
service_base(const struct service *s)
{
	(void)s;
	return rig->base;
}

int64_t
service_now_ms(const struct service *s)
{
	(void)s;
	return rig->now_ms;
}

int64_t
service_now_s(const struct service *s)
{
	(void)s;
	return NOW_S + rig->now_ms / 1000;
}

struct channel *
service_peer(const struct service *s, enum role role, uint32_t instance)
{
	(void)s;
	return instance == 0 ? rig->near[role] : NULL;
}

bool
service_is_draining(const struct service *s)
{
	(void)s;
	return rig->draining;
}

void
service_stop(struct service *s)
{
	(void)s;
	rig->stopped = true;
}

/* -- what others hear -- */

static void
set_b(struct heard *h, struct span data)
{
	memcpy(h->b, data.data, data.len);
	h->b[data.len] = '\0';
	h->len = data.len;
}

static void
keep(void *ctx, enum message_type type, const union message *msg)
{
	struct rig *r = ctx;
	struct heard *h = &r->heard[r->nheard++ % HEARD_MAX];

	assert_in_range(r->nheard - r->nread, 1, HEARD_MAX);
	*h = (struct heard){.type = type, .req = msg->req};
	switch ((int)type) {
	case MSG_fetch:
		str_cut(h->a, sizeof(h->a), msg->fetch.url);
		set_b(h, msg->fetch.form);
		break;
	case MSG_seal:
		str_cut(h->a, sizeof(h->a), msg->seal.name);
		set_b(h, msg->seal.data);
		break;
	case MSG_oauth_prompt:
		str_cut(h->a, sizeof(h->a), msg->oauth_prompt.url);
		str_cut(h->b, sizeof(h->b), msg->oauth_prompt.code);
		h->n = msg->oauth_prompt.how;
		h->m = msg->oauth_prompt.expires_s;
		break;
	case MSG_oauth_done:
		h->n = msg->oauth_done.outcome;
		str_cut(h->a, sizeof(h->a), msg->oauth_done.text);
		break;
	case MSG_done:
		h->n = msg->done.outcome;
		str_cut(h->a, sizeof(h->a), msg->done.text);
		break;
	case MSG_oauth_row:
		(void)snprintf(h->a, sizeof(h->a), "%s %s %s %s %s", msg->oauth_row.label,
		    msg->oauth_row.provider, msg->oauth_row.user, msg->oauth_row.grant,
		    msg->oauth_row.consent ? "yes" : "no");
		str_cut(h->b, sizeof(h->b), msg->oauth_row.trouble);
		h->n = msg->oauth_row.expires_s;
		h->m = msg->oauth_row.consent_s;
		break;
	case MSG_relay_auth_step:
		str_cut(h->a, sizeof(h->a), msg->relay_auth_step.mechanism);
		set_b(h, msg->relay_auth_step.data);
		h->n = msg->relay_auth_step.with_data;
		break;
	case MSG_relay_auth_end:
		h->n = msg->relay_auth_end.outcome;
		h->m = msg->relay_auth_end.again_s;
		str_cut(h->a, sizeof(h->a), msg->relay_auth_end.text);
		str_cut(h->b, sizeof(h->b), msg->relay_auth_end.status);
		break;
	case MSG_derive:
		h->n = msg->derive.iterations;
		set_b(h, msg->derive.password);
		memcpy(h->a, msg->derive.salt.data, msg->derive.salt.len);
		h->m = (int64_t)msg->derive.salt.len;
		break;
	case MSG_find:
		(void)snprintf(h->a, sizeof(h->a), "%s %u", msg->find.table, msg->find.service);
		str_cut(h->b, sizeof(h->b), msg->find.key);
		break;
	case MSG_table_ask:
		(void)snprintf(
		    h->a, sizeof(h->a), "%s %u", msg->table_ask.table, msg->table_ask.service);
		str_cut(h->b, sizeof(h->b), msg->table_ask.key);
		break;
	default:
		break;
	}
}

#define KEEP(name)                                                           \
	static UNUSED void keep_##name(                                      \
	    void *ctx, struct channel *ch, const union message *msg, int fd) \
	{                                                                    \
		(void)ch;                                                    \
		(void)fd;                                                    \
		keep(ctx, MSG_##name, msg);                                  \
	}
KEEP(fetch)
KEEP(seal)
KEEP(oauth_prompt)
KEEP(oauth_done)
KEEP(done)
KEEP(oauth_row)
KEEP(oauth_end)
KEEP(relay_auth_step)
KEEP(relay_auth_end)
KEEP(derive)
KEEP(find)
KEEP(table_ask)

static const channel_handler of_others[MSG__MAX] = {
    [MSG_fetch] = keep_fetch,
    [MSG_seal] = keep_seal,
    [MSG_oauth_prompt] = keep_oauth_prompt,
    [MSG_oauth_done] = keep_oauth_done,
    [MSG_done] = keep_done,
    [MSG_oauth_row] = keep_oauth_row,
    [MSG_oauth_end] = keep_oauth_end,
    [MSG_relay_auth_step] = keep_relay_auth_step,
    [MSG_relay_auth_end] = keep_relay_auth_end,
    [MSG_derive] = keep_derive,
    [MSG_find] = keep_find,
    [MSG_table_ask] = keep_table_ask,
};

/* -- life -- */

static UNUSED void
on_far_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
}

static UNUSED void
unlink_role(struct rig *r, enum role role)
{
	struct channel *ch = r->near[role];

	if (ch == NULL)
		return;
	r->near[role] = NULL;
	asks_channel_lost(r->asks, ch);
	vault_program.on_unlink(&r->v, ch);
	channel_free(ch);
	channel_free(r->far[role]);
	r->far[role] = NULL;
}

static UNUSED void
on_near_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	fail_msg("the vault cut off %s:\n%s", role_word(channel_peer(ch)), logged);
}

static struct channel_rules far_rules[ROLE__MAX];
static const struct channel_rules *near_rules;

static UNUSED void
link_role(struct rig *r, enum role role)
{
	static struct channel_rules of_vault;
	int pair[2];

	of_vault = (struct channel_rules){
	    .self = ROLE_VAULT, .handlers = vault_program.handlers, .on_close = on_near_close};
	near_rules = &of_vault;
	far_rules[role] = (struct channel_rules){
	    .self = role, .handlers = of_others, .on_close = on_far_close};
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	r->near[role] = channel_create(r->base, pair[0], role, 0, near_rules);
	r->far[role] = channel_create(r->base, pair[1], ROLE_VAULT, 0, &far_rules[role]);
	channel_set_context(r->near[role], &r->v);
	channel_set_context(r->far[role], r);
	vault_program.on_link(&r->v, r->near[role]);
}

/* The vault's part of a configuration, as the parent makes it. */
static UNUSED void
configure(struct rig *r, const char *text)
{
	struct conf *whole, *part, *old = r->conf;
	struct conf_errors errors;
	struct buf dumped;

	whole = conf_parse_text("test", text, strlen(text), &errors);
	if (whole == NULL)
		fail_msg("%u: %s", errors.list[0].line, errors.list[0].text);
	conf_errors_free(&errors);
	buf_init(&dumped, 1 << 20);
	assert_int_equal(conf_dump(whole, CONF_FOR_VAULT, &dumped), 0);
	part = conf_parse_text("slice", (const char *)buf_head(&dumped), dumped.len, &errors);
	if (part == NULL)
		fail_msg(
		    "%u: %s: %s", errors.list[0].line, errors.list[0].text, errors.list[0].source);
	conf_errors_free(&errors);
	buf_free(&dumped);
	conf_free(whole);
	r->conf = part;
	vault_program.configure(&r->v, part);
	conf_free(old);
}

/* A file of the parent's, in pieces. */
static UNUSED void
feed(struct rig *r, enum ipc_data kind, const char *name, const void *data, size_t len)
{
	const size_t half = len / 2;
	union message m = {.file_data = {.kind = (uint8_t)kind, .name = name}};

	m.file_data.data = (struct span){data, half};
	vault_program.handlers[MSG_file_data](&r->v, NULL, &m, -1);
	m.file_data.data = (struct span){(const uint8_t *)data + half, len - half};
	m.file_data.last = true;
	vault_program.handlers[MSG_file_data](&r->v, NULL, &m, -1);
}

static UNUSED int
rig_set_up(void **state)
{
	static const enum role roles[] = {
	    ROLE_PARENT, ROLE_FETCH, ROLE_CONTROL, ROLE_DELIVERY, ROLE_HASHER};
	struct rig *r = calloc(1, sizeof(*r));
	size_t i;

	assert_non_null(r);
	rig = r;
	logged[0] = '\0';
	log_set_sink(keep_log, NULL);
	r->heard = calloc(HEARD_MAX, sizeof(*r->heard));
	assert_non_null(r->heard);
	r->base = event_base_new();
	r->asks = asks_create(1024);
	r->now_ms = 1000000;
	r->v.service = (struct service *)(void *)r;
	assert_int_equal(vault_init(&r->v), 0);
	for (i = 0; i < NITEMS(roles); i++)
		link_role(r, roles[i]);
	*state = r;
	return 0;
}

static UNUSED int
rig_tear_down(void **state)
{
	struct rig *r = *state;
	size_t i;

	for (i = 0; i < ROLE__MAX; i++)
		unlink_role(r, (enum role)i);
	asks_free(r->asks);
	r->v.service = NULL;
	remotes_free(r->v.remotes);
	vault_free(&r->v);
	event_base_free(r->base);
	conf_free(r->conf);
	free(r->heard);
	free(r);
	return 0;
}

/* -- time -- */

static UNUSED void
turn(struct rig *r)
{
	int i, role;

	for (i = 0; i < 6; i++) {
		vault_program.on_turn(&r->v);
		for (role = 0; role < ROLE__MAX; role++) {
			if (r->near[role] != NULL)
				channel_flush(r->near[role]);
			if (r->far[role] != NULL)
				channel_flush(r->far[role]);
		}
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
}

static UNUSED void
tick(struct rig *r)
{
	asks_tick(r->asks, r->now_ms);
	vault_program.on_tick(&r->v);
	turn(r);
}

static UNUSED void
later(struct rig *r, int64_t s)
{
	r->now_ms += s * 1000;
	tick(r);
}

/* -- what was heard -- */

/* The next message that somebody heard; good until there were many more. */
static UNUSED const struct heard *
next(struct rig *r, enum message_type type)
{
	const struct heard *h;

	turn(r);
	if (r->nread == r->nheard)
		fail_msg("nobody hears %s:\n%s", message_name(type), logged);
	h = &r->heard[r->nread++ % HEARD_MAX];
	if (h->type != type)
		fail_msg("%s was heard, not %s: %s %s", message_name(h->type), message_name(type),
		    h->a, h->b);
	return h;
}

static UNUSED void
assert_quiet(struct rig *r)
{
	turn(r);
	if (r->nread != r->nheard)
		fail_msg("%s was heard: %s %s", message_name(r->heard[r->nread % HEARD_MAX].type),
		    r->heard[r->nread % HEARD_MAX].a, r->heard[r->nread % HEARD_MAX].b);
}

/* -- what others say -- */

static UNUSED void
fetched(struct rig *r, const struct heard *question, uint16_t code, const char *body)
{
	struct msg_fetched m = {.req = question->req,
	    .outcome = IPC_OK,
	    .code = code,
	    .text = "",
	    .body = {(const uint8_t *)body, strlen(body)}};

	assert_int_equal(channel_send(r->far[ROLE_FETCH], MSG_fetched, &m), 0);
	turn(r);
}

static UNUSED void
not_fetched(struct rig *r, const struct heard *question, const char *why)
{
	struct msg_fetched m = {.req = question->req, .outcome = IPC_RETRY, .text = why};

	assert_int_equal(channel_send(r->far[ROLE_FETCH], MSG_fetched, &m), 0);
	turn(r);
}

static UNUSED void
sealed(struct rig *r, const struct heard *question, enum ipc_outcome outcome)
{
	struct msg_sealed m = {.req = question->req,
	    .outcome = (uint8_t)outcome,
	    .text = outcome == IPC_OK ? "" : "No space left on device"};

	assert_int_equal(channel_send(r->far[ROLE_PARENT], MSG_sealed, &m), 0);
	turn(r);
}

#endif

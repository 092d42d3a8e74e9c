/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TABLE_REMOTE_RIG_H
#define TESTS_UNIT_TABLE_REMOTE_RIG_H

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lookup/table_remote.h"

/* Lookup's end of a link to a program of tables, of which the test is the other end. */
#define RIG_ASKED_MAX 64

struct rig {
	struct event_base *base;
	struct channel *lookup, *program; /* NULL: gone */
	struct asks *asks;
	int64_t now_ms;
	struct table_remote *table;
	size_t nasked;
	struct {
		uint32_t req;
		uint8_t service;
		char table[IPC_WORD_MAX + 1], key[IPC_ADDRESS_MAX + 1];
	} asked[RIG_ASKED_MAX]; /* as the program heard it; the newest in place of the last */
};

static struct asks *
rig_asks(void *arg)
{
	struct rig *r = arg;

	return r->asks;
}

static struct channel *
rig_peer(void *arg, uint32_t instance)
{
	struct rig *r = arg;

	return instance == 0 ? r->lookup : NULL;
}

static int64_t
rig_now_ms(void *arg)
{
	struct rig *r = arg;

	return r->now_ms;
}

static void
rig_on_row(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	(void)fd;
	table_remote_on_row(r->asks, ch, &msg->table_row);
}

static void
rig_on_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;

	(void)fd;
	table_remote_on_end(r->asks, ch, &msg->table_end);
}

static void
rig_on_ask(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct rig *r = ctx;
	size_t n = r->nasked < RIG_ASKED_MAX ? r->nasked : RIG_ASKED_MAX - 1;

	(void)ch;
	(void)fd;
	r->nasked++;
	r->asked[n].req = msg->req;
	r->asked[n].service = msg->table_ask.service;
	str_cut(r->asked[n].table, sizeof(r->asked[n].table), msg->table_ask.table);
	str_cut(r->asked[n].key, sizeof(r->asked[n].key), msg->table_ask.key);
}

static void
rig_on_close(void *ctx, struct channel *ch)
{
	struct rig *r = ctx;

	if (ch == r->lookup) {
		r->lookup = NULL;
		asks_channel_lost(r->asks, ch);
	} else
		r->program = NULL;
	channel_free(ch);
}

static const channel_handler rig_lookup_handlers[MSG__MAX] = {
    [MSG_table_row] = rig_on_row,
    [MSG_table_end] = rig_on_end,
};

static const channel_handler rig_program_handlers[MSG__MAX] = {
    [MSG_table_ask] = rig_on_ask,
};

static const struct channel_rules rig_lookup_rules = {
    .self = ROLE_LOOKUP, .handlers = rig_lookup_handlers, .on_close = rig_on_close};
static const struct channel_rules rig_program_rules = {
    .self = ROLE_TABLE, .handlers = rig_program_handlers, .on_close = rig_on_close};

/* Until both ends have heard what was said. */
static inline void
rig_turn(struct rig *r)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (r->lookup != NULL)
			channel_flush(r->lookup);
		if (r->program != NULL)
			channel_flush(r->program);
		(void)event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
}

static inline void
rig_row(struct rig *r, uint32_t req, const char *value)
{
	struct msg_table_row m = {.req = req, .value = value};

	(void)channel_send(r->program, MSG_table_row, &m);
}

static inline void
rig_end(struct rig *r, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	struct msg_table_end m = {.req = req, .outcome = (uint8_t)outcome, .text = text};

	(void)channel_send(r->program, MSG_table_end, &m);
}

static inline void
rig_open(struct rig *r, int64_t cache_ms)
{
	struct remote_world world = {rig_asks, rig_peer, rig_now_ms, r};
	int pair[2];

	*r = (struct rig){.now_ms = 1000};
	if ((r->base = event_base_new()) == NULL || (r->asks = asks_create(1024)) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	r->lookup = channel_create(r->base, pair[0], ROLE_TABLE, 0, &rig_lookup_rules);
	r->program = channel_create(r->base, pair[1], ROLE_LOOKUP, 0, &rig_program_rules);
	r->table = table_remote_create(&world, "pg");
	if (r->lookup == NULL || r->program == NULL || r->table == NULL)
		abort();
	channel_set_context(r->lookup, r);
	channel_set_context(r->program, r);
	table_remote_configure(r->table, 0, cache_ms);
}

static inline void
rig_close(struct rig *r)
{
	table_remote_ops.free(r->table);
	channel_free(r->lookup);
	channel_free(r->program);
	asks_free(r->asks);
	event_base_free(r->base);
}

#endif

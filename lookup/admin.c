/* SPDX-License-Identifier: ISC */
/*
 * What an admin may see of the clients, a page at a time, and change.
 *
 * Invariant: a page is as long as it was asked for at most, so that nobody
 * else waits for it.  Nothing is fatal.
 */
#include "lookup/admin.h"

#include <errno.h>

#include "lookup/lookup.h"

static uint32_t
to_u32(uint64_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static int
send_row(struct lookup *l, struct channel *ch, uint32_t req, const struct client_row *row)
{
	struct msg_clients_row m = {.req = req,
	    .number = row->number,
	    .client = row->client,
	    .open = to_u32(row->open),
	    .connections = to_u32(row->connections),
	    .messages = to_u32(row->messages),
	    .recipients = to_u32(row->recipients),
	    .refused = to_u32(row->refused),
	    .over = row->over};

	if (row->over[0] != '\0')
		m.until_s = service_now_s(l->service) + (row->left_ms + 999) / 1000;
	return channel_send(ch, MSG_clients_row, &m);
}

void
admin_clients(struct lookup *l, struct channel *ch, const struct msg_clients *m)
{
	struct msg_clients_end end = {.req = m->req};
	int64_t now_ms = service_now_ms(l->service);
	struct client_row row;
	uint64_t after = m->after;
	uint32_t n;

	clients_tick(l->clients, now_ms);
	for (n = 0; clients_next(l->clients, after, now_ms, &row); n++) {
		if ((end.more = n == m->limit))
			break;
		if (send_row(l, ch, m->req, &row) == -1)
			return;
		after = row.number;
	}
	end.open = to_u32(clients_counters(l->clients)->open);
	(void)channel_send(ch, MSG_clients_end, &end);
}

void
admin_clients_clear(struct lookup *l, struct channel *ch, const struct msg_clients_clear *m)
{
	struct msg_done done = {.req = m->req, .outcome = IPC_OK, .text = ""};

	if (m->client[0] == '\0') {
		clients_clear_all(l->clients);
	} else if (clients_clear(l->clients, m->client) == -1) {
		done.outcome = errno == ENOENT ? IPC_GONE : IPC_FAIL;
		done.text = errno == ENOENT ? "no such client" : "not the address of a client";
	}
	(void)channel_send(ch, MSG_done, &done);
}

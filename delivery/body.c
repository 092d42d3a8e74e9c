/* SPDX-License-Identifier: ISC */
/*
 * Pulling a message out of the queue.
 *
 * Invariant: next <= asked <= next + BODY_WINDOW, and each chunk in between is
 * either asked for or here.  Answers may come in any order; chunks are handed
 * over in theirs.  A queue that dies, is late or has no such chunk ends the body.
 */
#include "delivery/body.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_TIMEOUT_MS 60000

void
body_stop(struct body *b)
{
	size_t i;

	for (i = 0; i < BODY_WINDOW; i++) {
		if (b->slots[i].req != 0)
			ask_end(service_asks(b->service), b->slots[i].req);
		free(b->slots[i].data);
		b->slots[i] = (struct body_slot){0};
	}
	b->running = false;
}

static void
body_end(struct body *b, bool whole)
{
	body_stop(b);
	b->callbacks->on_end(b->arg, whole);
}

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct body *b = owner;
	size_t i;

	(void)why;
	for (i = 0; i < BODY_WINDOW; i++)
		if (b->slots[i].req == req)
			b->slots[i].req = 0;
	body_end(b, false);
}

static int
body_ask(struct body *b)
{
	struct channel *queue = service_peer(b->service, ROLE_QUEUE, 0);
	struct body_slot *slot = &b->slots[b->asked % BODY_WINDOW];
	struct msg_chunk_get get = {.id = b->id, .seq = b->asked};

	if (queue == NULL)
		return -1;
	get.req = ask_begin(service_asks(b->service), queue,
	    service_now_ms(b->service) + CHUNK_TIMEOUT_MS, on_ask_failed, b);
	if (get.req == 0)
		return -1;
	slot->req = get.req;
	b->asked++;
	(void)channel_send(queue, MSG_chunk_get, &get);
	return 0;
}

/* Hands over the next chunk.  Its place in the window is free before the owner is called. */
static void
body_hand_over(struct body *b)
{
	struct body_slot *slot = &b->slots[b->next % BODY_WINDOW];
	uint8_t *data = slot->data;
	struct span span = {data, slot->len};

	*slot = (struct body_slot){0};
	b->next++;
	b->callbacks->on_chunk(b->arg, span);
	free(data);
}

/* The owner may pause, go on or stop inside its callback: one loop serves them all. */
static void
body_run(struct body *b)
{
	if (b->handing)
		return;
	b->handing = true;
	while (b->running && !b->paused && b->next < b->nchunks &&
	       b->slots[b->next % BODY_WINDOW].here)
		body_hand_over(b);
	b->handing = false;
	if (!b->running)
		return;
	if (b->next == b->nchunks) {
		if (!b->paused)
			body_end(b, true);
		return;
	}
	while (!b->paused && b->asked < b->nchunks && b->asked < b->next + BODY_WINDOW)
		if (body_ask(b) == -1) {
			body_end(b, false);
			return;
		}
}

void
body_start(struct body *b, struct service *service, uint64_t id, uint32_t nchunks)
{
	bug_on(b->running);
	b->service = service;
	b->id = id;
	b->nchunks = nchunks;
	b->asked = b->next = 0;
	b->paused = false;
	b->running = true;
	body_run(b);
}

void
body_pause(struct body *b, bool paused)
{
	if (b->paused == paused)
		return;
	b->paused = paused;
	if (!paused && b->running)
		body_run(b);
}

/* Most chunks come in order to an owner who takes them: those are not copied. */
static void
body_take(struct body *b, struct body_slot *slot, struct span data)
{
	bool now = slot == &b->slots[b->next % BODY_WINDOW] && !b->paused && !b->handing;

	slot->req = 0;
	if (now) {
		b->next++;
		b->handing = true;
		b->callbacks->on_chunk(b->arg, data);
		b->handing = false;
		return;
	}
	if (data.len > 0 && (slot->data = malloc(data.len)) == NULL) {
		body_end(b, false);
		return;
	}
	if (data.len > 0)
		memcpy(slot->data, data.data, data.len);
	slot->len = data.len;
	slot->here = true;
}

void
body_answer(struct body *b, const struct msg_chunk *msg)
{
	size_t i;

	ask_end(service_asks(b->service), msg->req);
	for (i = 0; i < BODY_WINDOW; i++)
		if (b->slots[i].req == msg->req)
			break;
	if (i == BODY_WINDOW)
		return;
	if (msg->outcome != IPC_OK) {
		b->slots[i].req = 0;
		body_end(b, false);
		return;
	}
	body_take(b, &b->slots[i], msg->data);
	if (b->running)
		body_run(b);
}

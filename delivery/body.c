/* SPDX-License-Identifier: ISC */
/*
 * Pulling messages out of the queue.
 *
 * Invariants: next <= asked <= next + BODY_WINDOW, and each chunk in between
 * is a piece in the window.  A piece is idle only when no answer for it is on
 * its way: a body that stops leaves its pieces to their answers.  Bodies that
 * want more than there are idle pieces take turns.  A body is whole when it
 * has as many octets as the queue said; anything else breaks it.
 */
#include "delivery/body.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

#define CHUNK_TIMEOUT_MS 60000

void
bodies_init(struct bodies *all, struct service *service)
{
	size_t i;

	all->service = service;
	TAILQ_INIT(&all->waiting);
	TAILQ_INIT(&all->idle);
	for (i = 0; i < BODIES_WINDOW; i++) {
		all->pieces[i] = (struct body_piece){.bodies = all};
		TAILQ_INSERT_TAIL(&all->idle, &all->pieces[i], entry);
	}
}

static void
piece_release(struct body_piece *p)
{
	struct bodies *all = p->bodies;

	free(p->data);
	*p = (struct body_piece){.bodies = all};
	TAILQ_INSERT_HEAD(&all->idle, p, entry);
}

static void
leave_line(struct body *b)
{
	if (b->waiting)
		TAILQ_REMOVE(&b->bodies->waiting, b, entry);
	b->waiting = false;
}

void
body_stop(struct body *b)
{
	struct body_piece *p;
	size_t i;

	for (i = 0; i < BODY_WINDOW; i++) {
		if ((p = b->window[i]) == NULL)
			continue;
		b->window[i] = NULL;
		p->body = NULL;
		if (p->req == 0)
			piece_release(p);
	}
	leave_line(b);
	b->running = false;
}

static void
body_break(struct body *b, enum cause why)
{
	body_stop(b);
	b->callbacks->on_broken(b->arg, why);
}

/* -- asking -- */

static void bodies_go(struct bodies *all);

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct body_piece *p = owner;
	struct bodies *all = p->bodies;

	(void)req;
	(void)why;
	p->req = 0;
	if (p->body == NULL)
		piece_release(p);
	else
		body_break(p->body, CAUSE_BODY_LOST);
	bodies_go(all);
}

static int
body_ask(struct body *b, struct body_piece *p)
{
	struct service *s = b->bodies->service;
	struct channel *queue = service_peer(s, ROLE_QUEUE, 0);
	struct msg_chunk_get get = {.id = b->id, .seq = b->asked};

	if (queue == NULL)
		return -1;
	get.req = ask_begin(
	    service_asks(s), queue, service_now_ms(s) + CHUNK_TIMEOUT_MS, on_ask_failed, p);
	if (get.req == 0)
		return -1;
	TAILQ_REMOVE(&b->bodies->idle, p, entry);
	p->body = b;
	p->req = get.req;
	p->seq = b->asked;
	b->window[b->asked % BODY_WINDOW] = p;
	b->asked++;
	(void)channel_send(queue, MSG_chunk_get, &get);
	return 0;
}

/* Who wants one more goes to the end of the line, for one. */
static void
join_line(struct body *b)
{
	if (!b->running || b->paused || b->waiting || b->asked == b->nchunks ||
	    b->asked - b->next == BODY_WINDOW)
		return;
	b->waiting = true;
	TAILQ_INSERT_TAIL(&b->bodies->waiting, b, entry);
}

static void
bodies_go(struct bodies *all)
{
	struct body_piece *p;
	struct body *b;

	while ((b = TAILQ_FIRST(&all->waiting)) != NULL && (p = TAILQ_FIRST(&all->idle)) != NULL) {
		leave_line(b);
		if (body_ask(b, p) == -1)
			body_break(b, CAUSE_BODY_LOST);
		else
			join_line(b);
	}
}

/* -- handing over -- */

static void
body_is_damaged(struct body *b, uint64_t surplus)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "body-damaged");
	logline_id(&l, "id", b->id);
	logline_u64(&l, "octets", b->size_bytes - b->left_bytes + surplus);
	logline_u64(&l, "expected", b->size_bytes);
	logline_u64(&l, "chunks", b->nchunks);
	logline_end(&l);
	body_break(b, CAUSE_BODY_DAMAGED);
}

/* All chunks are handed over. */
static void
body_end(struct body *b)
{
	if (b->left_bytes > 0) {
		body_is_damaged(b, 0);
		return;
	}
	body_stop(b);
	b->callbacks->on_whole(b->arg);
}

static void
body_hand_over(struct body *b, struct span data)
{
	if (data.len > b->left_bytes) {
		body_is_damaged(b, data.len);
		return;
	}
	b->left_bytes -= data.len;
	b->next++;
	b->callbacks->on_chunk(b->arg, data);
	if (b->running && b->next == b->nchunks)
		body_end(b);
}

/* What came ahead of its turn.  Its place in the window is free before the owner is called. */
static void
body_hand_over_held(struct body *b)
{
	struct body_piece **place, *p;
	struct span data;

	while (b->running && b->next < b->asked) {
		place = &b->window[b->next % BODY_WINDOW];
		p = *place;
		if (p->req != 0)
			return;
		*place = NULL;
		data = (struct span){p->data, p->len};
		p->data = NULL;
		piece_release(p);
		body_hand_over(b, data);
		free((uint8_t *)(uintptr_t)data.data);
	}
}

/* Most chunks come in order: those are not copied. */
static void
body_take(struct body *b, struct body_piece *p, struct span data)
{
	if (p->seq == b->next) {
		b->window[p->seq % BODY_WINDOW] = NULL;
		piece_release(p);
		body_hand_over(b, data);
		body_hand_over_held(b);
	} else if (data.len > 0 && (p->data = malloc(data.len)) == NULL)
		body_break(b, CAUSE_BODY_LOST);
	else if (data.len > 0) {
		memcpy(p->data, data.data, data.len);
		p->len = data.len;
	}
}

void
body_answer(struct body_piece *p, const struct msg_chunk *msg)
{
	struct bodies *all = p->bodies;
	struct body *b = p->body;

	ask_end(service_asks(all->service), p->req);
	p->req = 0;
	if (b == NULL)
		piece_release(p);
	else if (msg->outcome != IPC_OK)
		body_break(b, CAUSE_BODY_LOST);
	else {
		body_take(b, p, msg->data);
		join_line(b);
	}
	bodies_go(all);
}

/* -- life -- */

void
body_start(struct body *b, struct bodies *all)
{
	bug_on(b->running);
	b->bodies = all;
	b->left_bytes = b->size_bytes;
	b->asked = b->next = 0;
	b->paused = false;
	b->running = true;
	if (b->nchunks == 0) {
		body_end(b);
		return;
	}
	join_line(b);
	bodies_go(all);
}

void
body_pause(struct body *b, bool paused)
{
	if (!b->running || b->paused == paused)
		return;
	b->paused = paused;
	if (paused) {
		leave_line(b);
		return;
	}
	join_line(b);
	bodies_go(b->bodies);
}

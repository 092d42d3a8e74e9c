/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_BODY_H
#define DELIVERY_BODY_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "delivery/verdict.h"
#include "lib/base/buf.h"
#include "lib/ipc/message.h"
#include "lib/service/service.h"

/*
 * The text of a message, pulled out of the queue chunk by chunk and handed
 * over in order.  So many chunks may be asked for or held at once, which bounds
 * the memory of both sides whatever the number and size of the messages:
 */
#define BODY_WINDOW   4	 /* of one message */
#define BODIES_WINDOW 64 /* of all together; who finds no room waits in line */

struct body;

struct body_piece { /* a chunk that was asked for; owned by bodies, idle or not */
	TAILQ_ENTRY(body_piece) entry;
	struct bodies *bodies;
	struct body *body; /* NULL: nobody wants it any more */
	uint32_t req;	   /* of the question under way, else 0: it is here */
	uint32_t seq;
	uint8_t *data; /* a copy, when it could not be handed over at once */
	size_t len;
};

TAILQ_HEAD(body_list, body);
TAILQ_HEAD(body_pieces, body_piece);

struct bodies { /* all that are under way: one a process */
	struct service *service;
	struct body_list waiting; /* for an idle piece, in turn */
	struct body_pieces idle;
	struct body_piece pieces[BODIES_WINDOW];
};

struct body_callbacks {
	void (*on_chunk)(void *arg, struct span data);
	/* One of these, once, last.  Whole: all that was promised was handed over. */
	void (*on_whole)(void *arg);
	void (*on_broken)(void *arg, enum cause why);
};

struct body { /* part of its owner; all zero: not started */
	TAILQ_ENTRY(body) entry;
	struct bodies *bodies;
	const struct body_callbacks *callbacks;
	void *arg;
	uint64_t id, size_bytes, left_bytes;	/* left: still to be handed over */
	uint32_t nchunks, asked, next;		/* next: the one to be handed over */
	struct body_piece *window[BODY_WINDOW]; /* chunk n is in n % BODY_WINDOW */
	bool paused, waiting, running;
};

void bodies_init(struct bodies *all, struct service *service);

/* b->id, size_bytes and nchunks say what there must be.  Callbacks may come from within. */
void body_start(struct body *b, struct bodies *all);
/* Forgets everything that is under way; no callback comes after it.  Fine at any time. */
void body_stop(struct body *b);
/* A paused body asks for nothing more; up to BODY_WINDOW chunks may still be handed over. */
void body_pause(struct body *b, bool paused);
/* The queue's answer to a question whose owner is p. */
void body_answer(struct body_piece *p, const struct msg_chunk *msg);

#endif

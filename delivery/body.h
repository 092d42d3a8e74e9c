/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_BODY_H
#define DELIVERY_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/ipc/message.h"
#include "lib/service/service.h"

/*
 * The text of a message, pulled out of the queue chunk by chunk and handed
 * over in order.  At most BODY_WINDOW chunks are asked for or held at once,
 * which bounds the memory whatever the size of the message.
 */
#define BODY_WINDOW 4

struct body_callbacks {
	void (*on_chunk)(void *arg, struct span data);
	void (*on_end)(void *arg, bool whole); /* once; whole: every chunk was handed over */
};

struct body { /* part of its owner; all zero: not started */
	struct service *service;
	const struct body_callbacks *callbacks;
	void *arg;
	uint64_t id;
	uint32_t nchunks, asked, next; /* next: the one to be handed over */
	struct body_slot {
		uint32_t req; /* of the question under way, else 0 */
		bool here;
		uint8_t *data; /* a copy, when it could not be handed over at once */
		size_t len;
	} slots[BODY_WINDOW]; /* chunk n is in slot n % BODY_WINDOW */
	bool paused, handing, running;
};

/* The callbacks may come from within.  A body that runs is stopped first. */
void body_start(struct body *b, struct service *service, uint64_t id, uint32_t nchunks);
/* Forgets everything that is under way; no callback comes after it.  Fine at any time. */
void body_stop(struct body *b);
/* A paused body hands nothing over; going on may call back from within. */
void body_pause(struct body *b, bool paused);
/* The queue's answer to a question whose owner is b. */
void body_answer(struct body *b, const struct msg_chunk *msg);

#endif

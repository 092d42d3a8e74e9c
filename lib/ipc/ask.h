/* SPDX-License-Identifier: ISC */
#ifndef LIB_IPC_ASK_H
#define LIB_IPC_ASK_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

/*
 * Questions under way: each has an id (the message's req), an owner, a
 * deadline and one end.  It ends by ask_end(), by its deadline, by the death
 * of its channel, or by ask_cancel() when its owner goes; the callback of the
 * owner is called for the deadline and the death alone.
 */
struct asks;

enum ask_failure { ASK_TIMEOUT, ASK_LOST };
typedef void (*ask_failed)(void *owner, uint32_t req, enum ask_failure why);

struct asks *asks_create(size_t max) WARN_UNUSED; /* max: under way at once */
void asks_free(struct asks *a);

/* A fresh id, never 0, not in use.  0: ENOBUFS or ENOMEM.  NULL ch is as good as lost: fails at the next tick. */
uint32_t ask_begin(struct asks *a, struct channel *ch, int64_t deadline_ms, ask_failed failed,
    void *owner) WARN_UNUSED;
/*
 * The owner of a question that ch was asked, NULL when there is none (it
 * ended before, or the id is forged).  The question goes on until ask_end().
 */
void *ask_owner(const struct asks *a, const struct channel *ch, uint32_t req);
void ask_set_deadline(struct asks *a, uint32_t req, int64_t deadline_ms);
void ask_end(struct asks *a, uint32_t req); /* also cancels; 0 and unknown ids are fine */

void asks_tick(struct asks *a, int64_t now_ms); /* ends what is past its deadline */
void asks_channel_lost(struct asks *a, const struct channel *ch); /* ends what was asked of it */
size_t asks_count(const struct asks *a);

#endif

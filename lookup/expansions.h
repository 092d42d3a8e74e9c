/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPANSIONS_H
#define LOOKUP_EXPANSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/*
 * The queue's questions what recipients stand for, while they are being answered: all at the
 * same time, a slice of work a turn of the loop.
 */
struct expansions;

struct expansions *expansions_create(struct lookup *l) WARN_UNUSED;
void expansions_free(struct expansions *x); /* NULL is fine */
/* Answers with expand_item and expand_end, sooner or later; at once when there are too many. */
void expansion_begin(struct expansions *x, struct channel *ch, const struct msg_expand *m);
/* The configuration is being replaced: all that are under way begin anew, in a later turn. */
void expansions_reload(struct expansions *x);
void expansions_unlink(struct expansions *x, const struct channel *ch); /* the asker is gone */
/* What waits to go out to ch is little again. */
void expansions_go_on(struct expansions *x, const struct channel *ch);
void expansions_tick(struct expansions *x, int64_t now_ms);
size_t expansions_count(const struct expansions *x);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FILTERINGS_H
#define LOOKUP_FILTERINGS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The questions of session for the filters and about senders, and those of them that wait for an answer. */
struct filterings;

struct filterings *filterings_create(struct lookup *l) WARN_UNUSED;
void filterings_free(struct filterings *fs); /* NULL is fine */
/* Answers with filter_verdict, perhaps before it returns. */
void filtering_begin(struct filterings *fs, struct channel *ch, const struct msg_filter_check *m);
void filterings_unlink(struct filterings *fs, const struct channel *ch); /* the asker is gone */
void filterings_tick(struct filterings *fs, int64_t now_ms); /* ends what took too long */
size_t filterings_count(const struct filterings *fs);

#endif

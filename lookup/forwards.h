/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FORWARDS_H
#define LOOKUP_FORWARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ipc/channel.h"
#include "lookup/memo.h"

struct service;

/*
 * The .forward files of accounts: the parent is asked for one, opened as its account, and
 * what stands in it is remembered for a while.
 */
struct forwards;

struct forwards *forwards_create(struct service *const *service) WARN_UNUSED;
void forwards_free(struct forwards *f); /* NULL is fine */
/* Keys and values as inquiry.h and forward.h have them. */
struct memo *forwards_memo(struct forwards *f);
void
forwards_configure(struct forwards *f, int64_t good_ms); /* for how long what was read is good */
void forwards_tick(struct forwards *f, int64_t now_ms);

/* The parent's answers; fd is taken over. */
void forwards_file(struct forwards *f, struct channel *ch, uint32_t req, int fd, bool root);
void forwards_none(struct forwards *f, struct channel *ch, uint32_t req, enum ipc_outcome outcome,
    const char *text);

#endif

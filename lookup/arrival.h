/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ARRIVAL_H
#define LOOKUP_ARRIVAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The question of session when a client connects: may it come in? */
struct arrivals;

struct arrivals *arrivals_create(struct lookup *l) WARN_UNUSED;
void arrivals_free(struct arrivals *as); /* NULL is fine */
/* Answers with client_verdict, perhaps before it returns; m->again: without an answer. */
void arrival_begin(struct arrivals *as, struct channel *ch, const struct msg_client_enter *m);
/* The client is gone: it is not counted any more, and gets no answer. */
void arrival_leave(struct arrivals *as, const struct channel *ch, uint32_t visit);
void arrivals_unlink(struct arrivals *as, const struct channel *ch); /* all its clients are gone */
void arrivals_tick(struct arrivals *as, int64_t now_ms);	     /* ends what took too long */
void arrivals_fail(struct arrivals *as);	  /* no names now: the resolver is being replaced */
size_t arrivals_count(const struct arrivals *as); /* under way */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RELAY_ASKS_H
#define LOOKUP_RELAY_ASKS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* Delivery's questions what the tables of a relay action say (relay_plan.h), and those of them that wait. */
struct relay_asks;

struct relay_asks *relay_asks_create(struct lookup *l) WARN_UNUSED;
void relay_asks_free(struct relay_asks *ra); /* NULL is fine */
/* Answers with relay_url, relay_source and one relay_end, perhaps before it returns. */
void relay_ask_begin(struct relay_asks *ra, struct channel *ch, const struct msg_relay_ask *m);
void relay_asks_unlink(struct relay_asks *ra, const struct channel *ch); /* the asker is gone */
void relay_asks_tick(struct relay_asks *ra, int64_t now_ms); /* ends what took too long */
size_t relay_asks_count(const struct relay_asks *ra);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ROUTE_H
#define LOOKUP_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The questions of delivery: which addresses take mail for a name. */
struct routes;

struct routes *routes_create(struct lookup *l) WARN_UNUSED;
void routes_free(struct routes *rs); /* NULL is fine */
/* Answers with route_host, as many times as there are addresses, and one route_end. */
void route_begin(struct routes *rs, struct channel *ch, const struct msg_route *m);
void routes_unlink(struct routes *rs, const struct channel *ch); /* the asker is gone */
void routes_tick(struct routes *rs, int64_t now_ms);		 /* ends what took too long */
void routes_fail(struct routes *rs); /* all end with RETRY: the resolver is being replaced */
size_t routes_count(const struct routes *rs);

#endif

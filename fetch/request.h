/* SPDX-License-Identifier: ISC */
#ifndef FETCH_REQUEST_H
#define FETCH_REQUEST_H

#include <stdint.h>

#include "fetch/fetch.h"
#include "lib/ipc/channel.h"
#include "lib/ipc/message.h"

/* One form on its way: the addresses of its host, then the post, then the answer. */

/* Ends in one `fetched`, or in requests_drop(). */
void request_start(struct fetcher *f, struct channel *ch, const struct msg_fetch *m);
/* An answer to what is no request of ours. */
void request_refuse(struct channel *ch, uint32_t req, const char *why);
/* Nobody is left on that channel to be answered. */
void requests_drop(struct fetcher *f, const struct channel *ch);

/* Lookup's answers to the question of a request; r may be gone after the second. */
void request_add_address(struct request *r, const char *address);
void request_routed(struct request *r, const struct msg_route_end *m);

#endif

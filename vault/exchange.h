/* SPDX-License-Identifier: ISC */
#ifndef VAULT_EXCHANGE_H
#define VAULT_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct vault;

/*
 * AUTHs under way, each from auth_begin to its verdict.  What one is doing, a
 * question to a hasher, the parent or another program, ends with it.
 */
#define EXCHANGES_MAX	   4096
#define EXCHANGES_MAX_EACH 2048			 /* of one session process */
#define EXCHANGE_MAX_MS	   (330 * INT64_C(1000)) /* a session gives up sooner */
#define EXCHANGE_WORK_MS   (60 * INT64_C(1000))	 /* without a word from or to the client */

struct exchanges;

struct exchanges *exchanges_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void exchanges_free(struct exchanges *xs);	      /* NULL is fine */
size_t exchanges_count(const struct exchanges *xs);
void exchanges_tick(struct vault *v, int64_t now_ms);
void exchanges_unlink(struct vault *v, struct channel *ch); /* a session process is gone */

/* Handlers. */
void exchange_begin(struct vault *v, struct channel *ch, const struct msg_auth_begin *m);
void exchange_response(struct vault *v, struct channel *ch, const struct msg_auth_response *m);
void exchange_cancel(struct vault *v, struct channel *ch, uint32_t req);
void exchange_shadow(struct vault *v, const struct msg_shadow_answer *m);

#endif

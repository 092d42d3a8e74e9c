/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_SRS_H
#define LOOKUP_SRS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ipc/channel.h"
#include "lookup/memo.h"

struct service;

/*
 * Addresses that senders of forwarded mail were rewritten to (SRS): the vault, which has
 * the key, is asked what one stands for.
 */
struct srs;

struct srs *srs_create(struct service *const *service) WARN_UNUSED;
void srs_free(struct srs *s);	      /* NULL is fine */
struct memo *srs_memo(struct srs *s); /* keys as inquiry.h has them */
void srs_tick(struct srs *s, int64_t now_ms);
void srs_answer(
    struct srs *s, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *address);

/* Does the local part look like one, "SRS0=..." or "SRS1=..." with "=", "+" or "-"? */
bool srs_is_local_part(const char *local);

#endif

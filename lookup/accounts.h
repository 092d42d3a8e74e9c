/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ACCOUNTS_H
#define LOOKUP_ACCOUNTS_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"
#include "lookup/memo.h"

struct service;

/*
 * Which accounts this host has: the parent knows, and what it said is
 * remembered for a while, so that a busy server asks once a minute and name.
 */
struct accounts;

struct accounts *accounts_create(struct service *const *service) WARN_UNUSED;
void accounts_free(struct accounts *a); /* NULL is fine */
struct memo *accounts_memo(struct accounts *a);
/* The parent's answer to question req. */
void
accounts_answer(struct accounts *a, struct channel *ch, uint32_t req, enum ipc_outcome outcome);
void accounts_tick(struct accounts *a, int64_t now_ms); /* forgets what is old */

#endif

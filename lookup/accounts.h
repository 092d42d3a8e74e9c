/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ACCOUNTS_H
#define LOOKUP_ACCOUNTS_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

struct channel;
struct service;

/*
 * Which accounts this host has: the parent knows, and what it said is
 * remembered for a while, so that a busy server asks once a minute and name.
 */
struct accounts;
struct account;

#define ACCOUNTS_MAX 8192 /* names remembered, or asked about */

/* Somebody who waits; part of its owner, who forgets it before it goes. */
struct account_waiter {
	TAILQ_ENTRY(account_waiter) entry;
	struct account *account;			   /* NULL: not waiting */
	void (*done)(void *arg, enum ipc_outcome outcome); /* OK, GONE or RETRY */
	void *arg;
};

struct accounts *accounts_create(struct service *const *service) WARN_UNUSED;
void accounts_free(struct accounts *a); /* NULL is fine; nobody may wait any more */

/* Calls done, perhaps before it returns. */
void account_find(struct accounts *a, const char *name, struct account_waiter *w);
void account_forget(struct account_waiter *w);
/* The parent's answer to question req. */
void
accounts_answer(struct accounts *a, struct channel *ch, uint32_t req, enum ipc_outcome outcome);
void accounts_tick(struct accounts *a, int64_t now_ms); /* forgets what is old */

struct account_counters {
	uint64_t asked, remembered;
};
const struct account_counters *accounts_counters(const struct accounts *a);
size_t accounts_count(const struct accounts *a);

#endif

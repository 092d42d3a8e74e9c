/* SPDX-License-Identifier: ISC */
#ifndef VAULT_TURN_H
#define VAULT_TURN_H

#include <sys/queue.h>

#include <stddef.h>

#include "lib/base/bug.h"

/*
 * Who is next: a line for each client, and the lines served in turn, so that
 * whoever asks much waits behind itself alone.  Bounded: so many in a line, so
 * many in all.  Pure.
 */
#define TURNS_MAX      1000
#define TURNS_MAX_EACH 16 /* of one client */

struct turns;
struct turn_line;

struct turn { /* a member of what waits; zeroed: it does not */
	TAILQ_ENTRY(turn) entry;
	struct turn_line *line; /* NULL: does not wait */
};

struct turns *turns_create(void) WARN_UNUSED;
void turns_free(struct turns *t); /* nobody may wait; NULL is fine */
/* At the end of the client's line.  -1: EAGAIN (too many wait), ENOMEM. */
int turn_wait(struct turns *t, struct turn *w, const char *client) WARN_UNUSED;
void turn_leave(struct turns *t, struct turn *w); /* one that does not wait: fine */
/* The one whose turn it is; it waits no longer.  NULL: nobody. */
struct turn *turns_next(struct turns *t) WARN_UNUSED;
size_t turns_count(const struct turns *t);

#endif

/* SPDX-License-Identifier: ISC */
/*
 * Questions between programs.
 *
 * Invariant: every question in the table has a live owner and ends exactly
 * once.  An answer is matched to the channel that was asked, so that one
 * peer can't answer for another.
 */
#include "lib/ipc/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "lib/base/map.h"

struct ask { /* owned by its table */
	TAILQ_ENTRY(ask) entry;
	const struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	ask_failed failed;
	void *owner;
};

struct asks {
	struct map *by_req;
	TAILQ_HEAD(, ask) list; /* in the order they were asked */
	uint32_t last;
};

struct asks *
asks_create(size_t max)
{
	struct asks *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	TAILQ_INIT(&a->list);
	if ((a->by_req = map_create(max)) == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void
ask_remove(struct asks *a, struct ask *q)
{
	(void)map_remove_u64(a->by_req, q->req);
	TAILQ_REMOVE(&a->list, q, entry);
	free(q);
}

void
asks_free(struct asks *a)
{
	struct ask *q;

	if (a == NULL)
		return;
	while ((q = TAILQ_FIRST(&a->list)) != NULL)
		ask_remove(a, q);
	map_free(a->by_req, NULL);
	free(a);
}

uint32_t
ask_begin(struct asks *a, struct channel *ch, int64_t deadline_ms, ask_failed failed, void *owner)
{
	struct ask *q;

	if ((q = malloc(sizeof(*q))) == NULL)
		return 0;
	do {
		a->last++;
	} while (a->last == 0 || map_get_u64(a->by_req, a->last) != NULL);
	*q = (struct ask){.ch = ch,
	    .req = a->last,
	    .deadline_ms = ch == NULL ? INT64_MIN : deadline_ms,
	    .failed = failed,
	    .owner = owner};
	if (map_set_u64(a->by_req, q->req, q) == -1) {
		free(q);
		return 0;
	}
	TAILQ_INSERT_TAIL(&a->list, q, entry);
	return q->req;
}

void *
ask_owner(const struct asks *a, const struct channel *ch, uint32_t req)
{
	struct ask *q = map_get_u64(a->by_req, req);

	return q == NULL || q->ch != ch ? NULL : q->owner;
}

void
ask_set_deadline(struct asks *a, uint32_t req, int64_t deadline_ms)
{
	struct ask *q = map_get_u64(a->by_req, req);

	if (q != NULL)
		q->deadline_ms = deadline_ms;
}

void
ask_end(struct asks *a, uint32_t req)
{
	struct ask *q = map_get_u64(a->by_req, req);

	if (q != NULL)
		ask_remove(a, q);
}

/*
 * A callback may end other questions, so the walk starts again after each
 * and is over when nothing matches; questions begun meanwhile are not yet due.
 */
static void
ask_fail(struct asks *a, struct ask *q, enum ask_failure why)
{
	struct ask copy = *q;

	ask_remove(a, q);
	copy.failed(copy.owner, copy.req, why);
}

void
asks_tick(struct asks *a, int64_t now_ms)
{
	struct ask *q;

again:
	TAILQ_FOREACH (q, &a->list, entry)
		if (q->deadline_ms <= now_ms) {
			ask_fail(a, q, q->ch == NULL ? ASK_LOST : ASK_TIMEOUT);
			goto again;
		}
}

void
asks_channel_lost(struct asks *a, const struct channel *ch)
{
	struct ask *q;

again:
	TAILQ_FOREACH (q, &a->list, entry)
		if (q->ch == ch) {
			ask_fail(a, q, ASK_LOST);
			goto again;
		}
}

size_t
asks_count(const struct asks *a)
{
	return map_count(a->by_req);
}

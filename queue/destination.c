/* SPDX-License-Identifier: ISC */
/*
 * No destination may have all the work: past its share, what is meant for it
 * waits here, out of the way of the others, until some of it is done.
 *
 * Invariant: a destination exists exactly while a work counts in it or waits
 * for it, and never has more than its share in jobs.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "queue/queue.h"

#define SHARE	   128 /* recipients of one destination in jobs at once */
#define PRIORITIES (2 * SPOOL_PRIORITY_MAX + 1)

struct destination { /* owned by the map p->destinations */
	char key[IPC_WORD_MAX + IPC_NAME_MAX + 2];
	size_t active, nparked;
	struct works parked[PRIORITIES]; /* the highest first (RFC 6710) */
};

static struct works *
parked_with(struct destination *d, const struct work *w)
{
	return &d->parked[SPOOL_PRIORITY_MAX - w->message->priority];
}

static struct destination *
destination_get(struct work *w)
{
	struct program *p = w->program;
	char key[sizeof(((struct destination *)0)->key)];
	struct destination *d;
	size_t i;

	if (str_format(key, sizeof(key), "%s\n%s", w->action, w->dest) == -1)
		return NULL;
	if ((d = map_get(p->destinations, key)) != NULL)
		return d;
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	memcpy(d->key, key, sizeof(key));
	for (i = 0; i < PRIORITIES; i++)
		TAILQ_INIT(&d->parked[i]);
	if (map_set(p->destinations, key, d) == -1) {
		free(d);
		return NULL;
	}
	return d;
}

bool
destination_join(struct work *w)
{
	struct destination *d = destination_get(w);

	if (d == NULL)
		return true; /* no memory for fairness: on with it */
	w->destination = d;
	if (d->active < SHARE) {
		d->active++;
		return true;
	}
	work_stage(w, WORK_PARKED);
	TAILQ_INSERT_TAIL(parked_with(d, w), w, entry);
	d->nparked++;
	w->program->nparked++;
	return false;
}

static void
parked_remove(struct destination *d, struct work *w)
{
	TAILQ_REMOVE(parked_with(d, w), w, entry);
	d->nparked--;
	w->program->nparked--;
}

/* The first that waits has its turn: it joins again when it is handed out. */
static void
unpark(struct destination *d)
{
	struct work *w = NULL;
	size_t i;

	for (i = 0; i < PRIORITIES && w == NULL; i++)
		w = TAILQ_FIRST(&d->parked[i]);
	parked_remove(d, w);
	w->destination = NULL;
	work_stage(w, WORK_READY);
}

void
destination_leave(struct work *w)
{
	struct destination *d = w->destination;

	if (d == NULL)
		return;
	w->destination = NULL;
	if (w->stage == WORK_PARKED) {
		parked_remove(d, w);
	} else {
		d->active--;
		if (d->nparked > 0)
			unpark(d);
	}
	if (d->active == 0 && d->nparked == 0) {
		(void)map_remove(w->program->destinations, d->key);
		free(d);
	}
}

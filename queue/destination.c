/* SPDX-License-Identifier: ISC */
/*
 * No destination may have all the work: past its share, what is meant for it
 * waits here, out of the way of the others, until some of it is done.  Nor may it
 * have all the memory for that: what is more than half of what is left waits in the spool.
 *
 * Invariant: a destination exists exactly while a work counts in it or waits for it, never
 * has more than its share in jobs, and who waits for it waits for one that counts in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "queue/queue.h"

#define SHARE	   128 /* recipients of one destination in jobs at once */
#define PARKED_MAX (WORKING_MAX - WORKING_LIMIT - PULL_MAX) /* that wait, all destinations */
#define POSTPONE_S 60 /* for how long, when it is not known how fast the destination is */
#define FIRST_S	   5  /* and when nothing was tried yet: most destinations are well */
#define PACE_MIN   (PARKED_MAX / POSTPONE_S) /* that come back from the spool in a second, at least */
#define WINDOW_S   30			     /* what left it since then says how fast it is */
#define PRIORITIES (2 * SPOOL_PRIORITY_MAX + 1)

struct destination { /* owned by the map p->destinations */
	char key[IPC_WORD_MAX + IPC_NAME_MAX + 2];
	size_t active, nparked;
	size_t nleft, nturn;	 /* that left since since_s; that have their turn at turn_s */
	int64_t since_s, turn_s; /* turn_s: of those that went back to the spool, the last */
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
	d->since_s = service_now_ms(p->service) / 1000;
	for (i = 0; i < PRIORITIES; i++)
		TAILQ_INIT(&d->parked[i]);
	if (map_set(p->destinations, key, d) == -1) {
		free(d);
		return NULL;
	}
	return d;
}

static void
on_postponed(void *arg, int error)
{
	struct work *w = arg;
	struct program *p = w->program;

	if (error != 0 && error != ENOENT) { /* due as before; not at once, or it would spin */
		p->more_due = false;
		p->next_due_s = service_now_s(p->service) + 1;
	}
	work_free(w);
}

/* How many leave it in a second. */
static size_t
pace_of(struct destination *d, int64_t now_s)
{
	if (now_s - d->since_s >= 2 * WINDOW_S) {
		d->nleft = now_s - d->since_s >= 4 * WINDOW_S ? 0 : d->nleft / 2;
		d->since_s = now_s - WINDOW_S;
	}
	return d->nleft / (size_t)(now_s - d->since_s + 1);
}

/*
 * They come back one after the other, no faster than they can be served, and the first when
 * half of those that wait in memory are done.
 */
static int64_t
next_turn(struct destination *d, int64_t now_s)
{
	size_t pace = pace_of(d, now_s);
	size_t wait_s = now_s - d->since_s < FIRST_S ? FIRST_S : POSTPONE_S;

	if (pace > 0 && d->nparked / pace / 2 < wait_s)
		wait_s = 1 + d->nparked / pace / 2;
	if (d->turn_s < now_s + (int64_t)wait_s) {
		d->turn_s = now_s + (int64_t)wait_s;
		d->nturn = 0;
	}
	if (d->nturn++ >= (pace > PACE_MIN ? pace : PACE_MIN)) {
		d->turn_s++;
		d->nturn = 1;
	}
	return d->turn_s;
}

static void
postpone(struct destination *d, struct work *w)
{
	struct program *p = w->program;
	int64_t now_s = service_now_s(p->service), mono_s = service_now_ms(p->service) / 1000;
	int64_t due_s = now_s + next_turn(d, mono_s) - mono_s;

	if (due_s > w->expires_s && w->expires_s > now_s)
		due_s = w->expires_s;
	if (p->next_due_s == 0 || due_s < p->next_due_s)
		p->next_due_s = due_s;
	w->destination = NULL;
	work_stage(w, WORK_RECORDING);
	spool_postponed(p->spool, w->key, due_s, on_postponed, w);
}

static void
parked_remove(struct destination *d, struct work *w)
{
	TAILQ_REMOVE(parked_with(d, w), w, entry);
	d->nparked--;
	w->program->nparked--;
}

/* Nobody who is less urgent waits in memory while w has to go: NULL, if there is none. */
static struct work *
parked_below(struct destination *d, const struct work *w)
{
	size_t i;

	for (i = PRIORITIES; i > 0 && &d->parked[i - 1] != parked_with(d, w); i--)
		if (!TAILQ_EMPTY(&d->parked[i - 1]))
			return TAILQ_LAST(&d->parked[i - 1], works);
	return NULL;
}

/* Half of what is left: whoever comes next finds room.  False: not for w. */
static bool
make_room(struct destination *d, struct work *w)
{
	struct work *last;

	if (d->nparked < PARKED_MAX - w->program->nparked)
		return true;
	if ((last = parked_below(d, w)) == NULL) {
		postpone(d, w);
		return false;
	}
	parked_remove(d, last);
	postpone(d, last);
	return true;
}

bool
destination_join(struct work *w)
{
	struct destination *d;

	if (w->destination != NULL)
		return true; /* it waited, and has its share */
	if ((d = destination_get(w)) == NULL)
		return true; /* no memory for fairness: on with it */
	w->destination = d;
	if (d->active < SHARE) {
		d->active++;
		return true;
	}
	if (!make_room(d, w))
		return false;
	work_stage(w, WORK_PARKED);
	TAILQ_INSERT_TAIL(parked_with(d, w), w, entry);
	d->nparked++;
	w->program->nparked++;
	return false;
}

/*
 * The first that waits has the share that became free, which is kept for it until it
 * is handed out: whatever becomes of it instead, the next one has it then.
 */
static void
unpark(struct destination *d)
{
	struct work *w = NULL;
	size_t i;

	for (i = 0; i < PRIORITIES && w == NULL; i++)
		w = TAILQ_FIRST(&d->parked[i]);
	parked_remove(d, w);
	d->active++;
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
		d->nleft++;
		if (d->nparked > 0)
			unpark(d);
	}
	if (d->active == 0 && d->nparked == 0) {
		(void)map_remove(w->program->destinations, d->key);
		free(d);
	}
}

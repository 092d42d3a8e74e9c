/* SPDX-License-Identifier: ISC */
/*
 * No destination may have all the work: past its share, what is meant for it
 * waits here, out of the way of the others, until some of it is done.  Nor may it
 * have all the memory for that: what is more than half of what is left waits in the spool.
 *
 * A share is as much as is left to all others, so it shrinks as destinations come that
 * keep what they have; but everybody may have a few.  A hundred that never answer leave room.
 * When there are many hundreds of those, who comes anew to another server waits in the
 * spool: mail for the users of this one does not wait for the world.
 *
 * Invariant: a destination exists exactly while a work counts in it or waits for it, and
 * who waits for it waits for one that counts in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "queue/queue.h"

#define SHARED	   2048 /* recipients in jobs at once: of them, each may have what is left */
#define SHARE_MIN  4	/* or so many */
#define CROWD	   2560 /* from then on it is one */
#define AWAY_MAX   3072 /* and from then on none: recipients of other servers in jobs */
#define CROWD_S	   30	/* then it waits so long, and up to as long again */
#define PARKED_MAX (WORKING_MAX - WORKING_LIMIT - PULL_MAX) /* that wait, all destinations */
#define POSTPONE_S 60 /* for how long, when it is not known how fast the destination is */
#define FIRST_S	   5  /* and when nothing was tried yet: most destinations are well */
#define PACE_MIN   (PARKED_MAX / POSTPONE_S) /* that come back from the spool in a second, at least */
#define WINDOW_S   30			     /* what left it since then says how fast it is */
#define PRIORITIES (2 * SPOOL_PRIORITY_MAX + 1)

#define KEY_MAX	   (IPC_WORD_MAX + IPC_NAME_MAX + 2)

struct destination { /* owned by the map p->destinations */
	char key[KEY_MAX];
	size_t active, nparked;
	size_t nleft, nturn;	 /* that left since since_s; that have their turn at turn_s */
	int64_t since_s, turn_s; /* turn_s: of those that went back to the spool, the last */
	struct works parked[PRIORITIES]; /* the highest first (RFC 6710) */
};

static size_t
share_of(const struct program *p)
{
	if (p->nactive + SHARE_MIN < SHARED)
		return SHARED - p->nactive;
	return p->nactive < CROWD ? SHARE_MIN : 1;
}

static bool
is_away(const struct work *w)
{
	return w->user[0] == '\0';
}

static struct works *
parked_with(struct destination *d, const struct work *w)
{
	return &d->parked[SPOOL_PRIORITY_MAX - w->message->priority];
}

static int
destination_key(const struct work *w, char key[KEY_MAX])
{
	return str_format(key, KEY_MAX, "%s\n%s", w->action, w->dest);
}

static struct destination *
destination_get(struct work *w)
{
	struct program *p = w->program;
	char key[KEY_MAX];
	struct destination *d;
	size_t i;

	if (destination_key(w, key) == -1)
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
postpone(struct work *w, int64_t due_s)
{
	struct program *p = w->program;
	int64_t now_s = service_now_s(p->service);

	if (due_s > w->expires_s && w->expires_s > now_s)
		due_s = w->expires_s;
	if (p->next_due_s == 0 || due_s < p->next_due_s)
		p->next_due_s = due_s;
	w->destination = NULL;
	work_stage(w, WORK_RECORDING);
	spool_postponed(p->spool, w->key, due_s, on_postponed, w);
}

static void
postpone_turn(struct destination *d, struct work *w)
{
	const struct service *s = w->program->service;
	int64_t mono_s = service_now_ms(s) / 1000;

	postpone(w, service_now_s(s) + next_turn(d, mono_s) - mono_s);
}

/* Nothing of it is under way, and other servers have all that they may have. */
static bool
is_crowded_out(const struct work *w)
{
	const struct program *p = w->program;
	char key[KEY_MAX];

	return is_away(w) && p->naway >= AWAY_MAX &&
	       (destination_key(w, key) == -1 || map_get(p->destinations, key) == NULL);
}

static void
parked_remove(struct destination *d, struct work *w)
{
	TAILQ_REMOVE(parked_with(d, w), w, entry);
	d->nparked--;
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

	if (d->nparked < PARKED_MAX - w->program->nstage[WORK_PARKED])
		return true;
	if ((last = parked_below(d, w)) == NULL) {
		postpone_turn(d, w);
		return false;
	}
	parked_remove(d, last);
	postpone_turn(d, last);
	return true;
}

static void
activate(struct destination *d, struct work *w)
{
	d->active++;
	w->program->nactive++;
	w->program->naway += is_away(w);
}

bool
destination_join(struct work *w)
{
	struct destination *d;

	if (w->destination != NULL)
		return true; /* it waited, and has its share */
	if (is_crowded_out(w)) {
		postpone(w, service_now_s(w->program->service) + CROWD_S +
				(int64_t)(w->message->id % CROWD_S));
		return false;
	}
	if ((d = destination_get(w)) == NULL)
		return true; /* no memory for fairness: on with it */
	w->destination = d;
	if (d->active < share_of(w->program)) {
		activate(d, w);
		return true;
	}
	if (!make_room(d, w))
		return false;
	work_stage(w, WORK_PARKED);
	TAILQ_INSERT_TAIL(parked_with(d, w), w, entry);
	d->nparked++;
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
	activate(d, w);
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
		w->program->nactive--;
		w->program->naway -= is_away(w);
		while (d->nparked > 0 && d->active < share_of(w->program))
			unpark(d);
	}
	if (d->active == 0 && d->nparked == 0) {
		(void)map_remove(w->program->destinations, d->key);
		free(d);
	}
}

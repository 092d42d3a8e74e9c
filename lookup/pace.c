/* SPDX-License-Identifier: ISC */
/*
 * libunbound's events on our loop (its "pluggable event API").
 *
 * Invariant: an event that is put off is either still pending or has its
 * later timer pending, so that none is lost; del and free take both back.
 * libunbound's callback may free the event that it is called for.  Nothing is
 * fatal.
 */
#include "lookup/pace.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unbound-event.h>

typedef void (*pace_callback)(int fd, short what, void *arg);

struct pace { /* owned by who made it; ub is its first member */
	struct ub_event_base ub;
	struct event_base *base;
	struct timeval turn; /* the loop's time, which is another in each turn */
	int64_t spent_us;    /* in this turn */
};

struct paced { /* owned by libunbound; ub is its first member */
	struct ub_event ub;
	struct pace *pace;
	struct event *event, *later;
	int fd;
	short bits; /* UB_EV_..., which are libevent's */
	short what; /* that it was put off with */
	pace_callback callback;
	void *arg;
};

_Static_assert(UB_EV_TIMEOUT == EV_TIMEOUT && UB_EV_READ == EV_READ && UB_EV_WRITE == EV_WRITE &&
		   UB_EV_PERSIST == EV_PERSIST,
    "libunbound's bits are libevent's");

/* -- time -- */

static int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool
is_spent(struct pace *p)
{
	struct timeval now;

	(void)event_base_gettimeofday_cached(p->base, &now);
	if (evutil_timercmp(&now, &p->turn, !=)) {
		p->turn = now;
		p->spent_us = 0;
	}
	return p->spent_us >= PACE_TURN_US;
}

static void
run(struct paced *e, short what)
{
	struct pace *p = e->pace;
	int64_t since = now_us();

	(void)event_del(e->later);
	e->callback(e->fd, what, e->arg); /* e may be gone now */
	p->spent_us += now_us() - since;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = {0, 0}; /* which is the next turn */
	struct paced *e = arg;

	(void)fd;
	if (!is_spent(e->pace) || evtimer_add(e->later, &at_once) == -1)
		run(e, what);
	else
		e->what = what;
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct paced *e = arg;

	(void)what;
	on_event(fd, e->what, e);
}

/* -- what libunbound calls -- */

static struct paced *
paced_of(struct ub_event *ub)
{
	return (struct paced *)(void *)ub;
}

static void
paced_free(struct ub_event *ub)
{
	struct paced *e = paced_of(ub);

	if (e->event != NULL)
		event_free(e->event);
	if (e->later != NULL)
		event_free(e->later);
	free(e);
}

static void
add_bits(struct ub_event *ub, short bits)
{
	paced_of(ub)->bits |= bits;
}

static void
del_bits(struct ub_event *ub, short bits)
{
	struct paced *e = paced_of(ub);

	e->bits = (short)(e->bits & ~bits);
}

static void
set_fd(struct ub_event *ub, int fd)
{
	paced_of(ub)->fd = fd;
}

static int
del(struct ub_event *ub)
{
	struct paced *e = paced_of(ub);

	(void)event_del(e->later);
	return event_del(e->event);
}

static int
add(struct ub_event *ub, struct timeval *tv)
{
	struct paced *e = paced_of(ub);

	/* Bits and descriptor may be others than the last time. */
	(void)del(ub);
	if (event_assign(e->event, e->pace->base, e->fd, e->bits, on_event, e) == -1)
		return -1;
	return event_add(e->event, tv);
}

static int
add_timer(struct ub_event *ub, struct ub_event_base *base, pace_callback callback, void *arg,
    struct timeval *tv)
{
	struct paced *e = paced_of(ub);

	(void)base;
	e->fd = -1;
	e->bits = EV_TIMEOUT;
	e->callback = callback;
	e->arg = arg;
	return add(ub, tv);
}

/* libunbound has no signals of its own. */
static int
add_signal(struct ub_event *ub, struct timeval *tv)
{
	(void)ub;
	(void)tv;
	return -1;
}

static int
del_signal(struct ub_event *ub)
{
	(void)ub;
	return -1;
}

static void
of_windows(struct ub_event *ub)
{
	(void)ub;
}

static void
of_windows_too(struct ub_event *ub, int bits)
{
	(void)ub;
	(void)bits;
}

static struct ub_event_vmt event_calls = {
    .add_bits = add_bits,
    .del_bits = del_bits,
    .set_fd = set_fd,
    .free = paced_free,
    .add = add,
    .del = del,
    .add_timer = add_timer,
    .del_timer = del,
    .add_signal = add_signal,
    .del_signal = del_signal,
    .winsock_unregister_wsaevent = of_windows,
    .winsock_tcp_wouldblock = of_windows_too,
};

static struct ub_event *
new_event(struct ub_event_base *base, int fd, short bits, pace_callback callback, void *arg)
{
	struct pace *p = (struct pace *)(void *)base;
	struct paced *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	*e = (struct paced){.ub = {UB_EVENT_MAGIC, &event_calls},
	    .pace = p,
	    .fd = fd,
	    .bits = bits,
	    .callback = callback,
	    .arg = arg};
	e->event = event_new(p->base, fd, bits, on_event, e);
	e->later = evtimer_new(p->base, on_later, e);
	if (e->event == NULL || e->later == NULL) {
		paced_free(&e->ub);
		return NULL;
	}
	return &e->ub;
}

static struct ub_event *
new_signal(struct ub_event_base *base, int fd, pace_callback callback, void *arg)
{
	(void)base;
	(void)fd;
	(void)callback;
	(void)arg;
	return NULL;
}

static struct ub_event *
new_wsaevent(struct ub_event_base *base, void *wsaevent, pace_callback callback, void *arg)
{
	(void)wsaevent;
	return new_signal(base, -1, callback, arg);
}

/* The loop is not libunbound's to run, to end or to free. */
static void
no_free(struct ub_event_base *base)
{
	(void)base;
}

static int
no_dispatch(struct ub_event_base *base)
{
	(void)base;
	return -1;
}

static int
no_loopexit(struct ub_event_base *base, struct timeval *tv)
{
	(void)base;
	(void)tv;
	return -1;
}

static struct ub_event_base_vmt base_calls = {
    .free = no_free,
    .dispatch = no_dispatch,
    .loopexit = no_loopexit,
    .new_event = new_event,
    .new_signal = new_signal,
    .winsock_register_wsaevent = new_wsaevent,
};

/* -- making and ending -- */

struct pace *
pace_create(struct event_base *base)
{
	struct pace *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->ub.magic = UB_EVENT_MAGIC;
	p->ub.vmt = &base_calls;
	p->base = base;
	return p;
}

void
pace_free(struct pace *p)
{
	free(p);
}

struct ub_event_base *
pace_events(struct pace *p)
{
	return &p->ub;
}

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_PACE_H
#define LOOKUP_PACE_H

#include "lib/base/bug.h"

struct event_base;
struct ub_event_base;

/*
 * libunbound's events on our loop, for a bounded time in each of its turns.
 *
 * A zone may be made so that it costs seconds to find that its signatures are
 * wrong (CVE-2023-50387, CVE-2023-50868).  libunbound does such work in pieces;
 * here, what comes above PACE_TURN_US in one turn waits for the next, so
 * that everybody else's questions are answered between.
 */
#define PACE_TURN_US 10000

struct pace;

struct pace *pace_create(struct event_base *base) WARN_UNUSED; /* NULL: ENOMEM */
/* Once libunbound has freed all of its events. */
void pace_free(struct pace *p); /* NULL is fine */
/* For ub_ctx_create_ub_event(). */
struct ub_event_base *pace_events(struct pace *p);

#endif

/* SPDX-License-Identifier: ISC */
/*
 * How a lane is: what its carriers tell of the destination, how many of them it is
 * worth, and for how long it is known to be dead.
 *
 * Invariant: a lane dies by what was found out when nobody of it had a server, never by
 * our own trouble.  Nothing is fatal.
 */
#include <stdlib.h>

#include "delivery/lane_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

#define WINDOW_MAX     1000
#define WISH_MAX_S     (4 * 3600) /* of a server: so long is it left in peace at most, */
#define WISH_MIN_MS    5000	  /* and at least */
#define TROUBLE_MS     1000
#define OWN_TROUBLE_MS 10000
#define LOST_MAX       3

void
lane_alive(struct lane *l)
{
	if (l->mourned)
		log_info("event=destination-alive action=%s dest=%s", l->action, l->domain_key);
	l->mourned = false;
	l->state = LANE_OPEN;
	l->nfailures = 0;
	l->dead_until_ms = 0;
	lane_mark(l);
}

void
lane_success(struct lane *l)
{
	l->nlost = 0;
	if (l->window < WINDOW_MAX)
		l->window++;
	lane_mark(l);
}

void
lane_pause(struct lane *l, int64_t until_ms)
{
	l->pause_ms = until_ms > l->pause_ms ? until_ms : l->pause_ms;
	lane_mark(l);
}

static void
slow_down(struct lane *l)
{
	l->window = l->window > 1 ? l->window / 2 : 1;
	lane_pause(l, service_now_ms(l->delivery->service) + TROUBLE_MS);
}

/*
 * As long as the server wishes; else half of what one message waits, and twice as long each time.
 * Not less for a wish: ten thousand that are put off every few seconds are work for the disk.
 */
static int64_t
dead_ms(const struct lane *l, const struct verdict *why)
{
	int64_t ms = l->delivery->conf->values.retry_min_s * 500;
	int64_t wish_ms = 1000 * (why->again_s < WISH_MAX_S ? why->again_s : WISH_MAX_S);
	unsigned int n = why->again_s > 0 ? 0 : l->nfailures;

	for (; n > 1 && ms < LANE_DEAD_MAX_MS; n--)
		ms *= 2;
	ms = ms < LANE_DEAD_MAX_MS ? ms : LANE_DEAD_MAX_MS;
	if (why->again_s <= 0)
		return ms;
	ms = ms > WISH_MIN_MS ? ms : WISH_MIN_MS;
	return wish_ms > ms ? wish_ms : ms;
}

static void
log_dead(const struct lane *l, int64_t ms)
{
	struct logline line;

	logline_start(&line, LOG_LEVEL_WARN, "destination-dead");
	logline_str(&line, "action", l->action);
	logline_str(&line, "dest", l->domain_key);
	logline_str(&line, "relay", l->remote);
	logline_i64(&line, "for_s", (ms + 999) / 1000);
	logline_str(&line, "status", l->why->status);
	logline_str(&line, "why", l->why->text);
	logline_end(&line);
}

static void
lane_die(struct lane *l, const struct verdict *why, const char *remote)
{
	int64_t ms;

	if (l->why == NULL && (l->why = malloc(sizeof(*l->why))) == NULL)
		return; /* it is tried again sooner than it should be */
	*l->why = *why;
	str_cut(l->remote, sizeof(l->remote), remote);
	l->nfailures++;
	ms = dead_ms(l, why);
	l->state = LANE_DEAD;
	l->mourned = true;
	l->dead_until_ms = service_now_ms(l->delivery->service) + ms;
	log_dead(l, ms);
}

/*
 * While others of its carriers have a server, or still look for one, that is no news of
 * the destination.
 */
void
lane_nobody(struct lane *l, const struct verdict *why, const char *remote)
{
	if (l->nactive > 0) {
		slow_down(l);
		return;
	}
	l->window = 1;
	l->nlost = 0;
	l->state = LANE_NEW;
	if (why->untried) { /* our own trouble tells nothing of the destination */
		l->pause_ms = service_now_ms(l->delivery->service) +
			      (1000 * why->again_s > OWN_TROUBLE_MS ? 1000 * why->again_s
								    : OWN_TROUBLE_MS);
		lane_put_off(l, why, remote, l->pause_ms);
		lane_mark(l);
		return;
	}
	if (why->outcome == IPC_RETRY)
		lane_die(l, why, remote);
	lane_judge_all(l, why, remote);
	lane_mark(l);
}

/*
 * Who greets, and then takes nothing, is as good as dead; who refuses a message for good,
 * and is cut off in the midst of it, said nothing of any other.
 */
void
lane_lost(struct lane *l, const struct verdict *why, const char *remote)
{
	if (why->outcome == IPC_FAIL)
		lane_mark(l);
	else if (++l->nlost >= LOST_MAX)
		lane_nobody(l, why, remote);
	else
		slow_down(l);
}

/* SPDX-License-Identifier: ISC */
/*
 * Deaths and what follows: the cause in the log, a restart with back-off, a
 * fresh link for the peers; and the orderly end of them all.
 *
 * No death of a child ends the parent, but one: a process that can't enter
 * its role when the server starts, for then the host lacks something.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/role/watch.h"
#include "smtpd/accounts.h"
#include "smtpd/hand.h"

#define FAST_DEATH_MS	1000 /* living less than this counts towards the back-off */
#define FIRST_DELAY_MS	25
#define DELAY_MAX_MS	1000  /* serving again within two seconds */
#define OPTIONAL_MAX_MS 30000 /* an optional program that can't live may not be installed at all */
#define GOODBYE_MS	3000  /* from hanging up on us to the end of the process */
#define ENTRY_MS	15000 /* for a child to enter its role */
#define DRAIN_MS	10000

/* Who goes first: nobody may need a process that is gone already. */
static const enum role drain_order[][7] = {
    {ROLE_SESSION, ROLE_DELIVERY, ROLE_AGENT},
    {ROLE_CONTROL, ROLE_QUEUE, ROLE_LOOKUP, ROLE_VAULT, ROLE_HASHER, ROLE_TABLE, ROLE_FETCH},
};

/* -- forbidden system calls -- */

static void
on_violation(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	struct role_violation v;
	struct logline l;

	(void)what;
	if (role_watch_receive(fd, &v) == -1) {
		if (errno != EAGAIN && errno != EINTR)
			(void)event_del(c->listener);
		return;
	}
	logline_start(&l, LOG_LEVEL_WARN, "forbidden-call");
	logline_str(&l, "process", child_name(c));
	logline_u64(&l, "pid", (uint64_t)c->pid);
	logline_str(&l, "call", v.name);
	logline_u64(&l, "number", (uint64_t)v.nr);
	logline_end(&l);
	if (v.pid == c->pid && c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

void
supervise_listen_for_violations(struct child *c, int fd)
{
	if (c->listener != NULL)
		event_free(c->listener);
	if (c->listener_fd != -1)
		(void)close(c->listener_fd);
	c->listener = NULL;
	if ((c->listener_fd = fd) == -1)
		return;
	c->listener = event_new(c->smtpd->base, fd, EV_READ | EV_PERSIST, on_violation, c);
	if (c->listener == NULL || event_add(c->listener, NULL) == -1)
		log_warn("event=violations-unwatched process=%s", child_name(c));
}

/* -- deaths -- */

static void
log_death(const struct child *c, int status)
{
	bool wanted = c->draining || c->row->on_demand;
	struct logline l;

	logline_start(&l,
	    wanted && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? LOG_LEVEL_DEBUG
								    : LOG_LEVEL_WARN,
	    "process-ended");
	logline_str(&l, "process", child_name(c));
	logline_u64(&l, "pid", (uint64_t)c->pid);
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		logline_u64(&l, "signal", (uint64_t)WTERMSIG(status));
		logline_str(&l, "name", name == NULL ? "?" : name);
	} else
		logline_u64(&l, "exit", (uint64_t)WEXITSTATUS(status));
	logline_end(&l);
}

static void set_timer(struct child *c, int64_t ms);

static int64_t
delay_max_ms(const struct child *c)
{
	return c->row->optional ? OPTIONAL_MAX_MS : DELAY_MAX_MS;
}

/* What fails is tried again. */
void
supervise_start(struct child *c)
{
	if (child_start(c) == 0) {
		if (c->restarts > 0)
			log_info(
			    "event=restarted process=%s restarts=%u", child_name(c), c->restarts);
		return;
	}
	log_warn("event=%s process=%s error=\"%s\"",
	    c->restarts > 0 ? "restart-failed" : "start-failed", child_name(c), strerror(errno));
	slice_stop(c);
	channel_free(c->ch);
	c->ch = NULL;
	if (c->pid > 0)
		child_condemn(c);
	else
		set_timer(c, delay_max_ms(c));
}

static void
start_again(struct child *c)
{
	c->restarts++;
	supervise_start(c);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	struct child *c = arg;

	(void)sock;
	(void)what;
	if (c->pid == 0 && !c->smtpd->draining)
		start_again(c);
	else if (c->pid > 0 && !c->condemned &&
		 (!c->has_entered || c->ch == NULL || c->agent.let_go)) {
		log_warn("event=killed process=%s why=\"%s\"", child_name(c),
		    !c->has_entered   ? "did not enter its role"
		    : c->agent.let_go ? "was let go but did not end"
				      : "hung up but did not end");
		child_condemn(c);
		runas_given_up(c);
	}
}

static void
set_timer(struct child *c, int64_t ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (c->timer == NULL)
		c->timer = event_new(c->smtpd->base, -1, 0, on_timer, c);
	if (c->timer == NULL || event_add(c->timer, &tv) == -1)
		log_warn("event=no-timer process=%s error=\"out of memory\"", child_name(c));
}

void
supervise_expect_entry(struct child *c)
{
	set_timer(c, ENTRY_MS);
}

void
supervise_expect_end(struct child *c)
{
	/* An agent may have a slow disk to wait for. */
	set_timer(c, c->row->on_demand ? DRAIN_MS : GOODBYE_MS);
}

static int64_t
delay_ms(const struct child *c)
{
	int64_t delay = FIRST_DELAY_MS, most = delay_max_ms(c);
	uint32_t i;

	if (c->fast_deaths == 0)
		return FIRST_DELAY_MS;
	for (i = 0; i < c->fast_deaths && delay < most; i++)
		delay *= 2;
	return delay < most ? delay : most;
}

static void
restart_later(struct child *c)
{
	c->fast_deaths = time_mono_ms() - c->started_ms < FAST_DEATH_MS ? c->fast_deaths + 1 : 0;
	set_timer(c, delay_ms(c));
}

static void drain_next(struct smtpd *d);

static void
child_died(struct child *c, int status)
{
	struct smtpd *d = c->smtpd;
	bool hopeless = !c->has_entered && c->restarts == 0 && d->generation == 1 &&
			WIFEXITED(status) && !c->row->on_demand && !c->row->optional;

	/* What it wrote last, its log lines among it, is still in the socket. */
	if (c->ch != NULL)
		channel_drain(c->ch);
	log_death(c, status);
	slice_stop(c);
	channel_free(c->ch);
	c->ch = NULL;
	c->pid = 0;
	if (c->row->role == ROLE_LOOKUP)
		accounts_lookup_lost(d->accounts);
	if (c->row->role == ROLE_DELIVERY)
		runas_delivery_lost(c);
	runas_given_up(c);
	supervise_listen_for_violations(c, -1);
	if (hopeless && !d->draining) {
		log_warn("event=stopping why=\"%s could not start\"", child_name(c));
		d->exit_status = 1;
		child_free(c);
		supervise_drain(d);
	} else if (c->row->on_demand || d->draining || !child_is_wanted(c)) {
		child_free(c);
		if (d->draining)
			drain_next(d);
	} else
		restart_later(c);
}

void
supervise_reap(struct smtpd *d)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		TAILQ_FOREACH (c, &d->children, entry)
			if (c->pid == pid)
				break;
		if (c != NULL)
			child_died(c, status);
		else
			hands_reaped(d, pid);
	}
}

/* One that is not in its role yet has nothing to end. */
static void
tell_to_end(struct child *c, int64_t ms)
{
	struct msg_drain m = {.deadline_ms = ms > 0 ? (uint32_t)ms : 0};

	if (c->locked)
		(void)channel_send(c->ch, MSG_drain, &m);
	else
		child_condemn(c);
}

static void
end_gently(struct child *c)
{
	c->draining = true;
	c->started_ms -= FAST_DEATH_MS; /* wanted: no back-off */
	tell_to_end(c, DRAIN_MS);
	set_timer(c, DRAIN_MS + 2000);
}

void
supervise_restart(struct child *c, const char *why)
{
	if (c->ch == NULL || c->draining)
		return;
	log_info("event=restarting process=%s why=\"%s\"", child_name(c), why);
	end_gently(c);
}

void
supervise_end(struct child *c, const char *why)
{
	if (c->pid == 0) {
		child_free(c);
		return;
	}
	if (c->ch == NULL || c->draining)
		return;
	log_info("event=ending process=%s why=\"%s\"", child_name(c), why);
	end_gently(c);
}

/* -- the end -- */

static bool
in_phase(const struct child *c, size_t phase)
{
	size_t i;

	for (i = 0; i < NITEMS(drain_order[phase]); i++)
		if (drain_order[phase][i] == c->row->role)
			return true;
	return false;
}

/* Tells the children of a phase to end; how many are left of it. */
static size_t
drain_phase(struct smtpd *d, size_t phase)
{
	int64_t left = d->drain_deadline_ms - time_mono_ms();
	struct child *c, *next;
	size_t n = 0;

	for (c = TAILQ_FIRST(&d->children); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!in_phase(c, phase))
			continue;
		if (c->pid == 0) {
			child_free(c);
			continue;
		}
		/* What can't be killed is not waited for. */
		if (c->row->on_demand && c->condemned)
			continue;
		n++;
		/* An agent leaves when delivery lets it go. */
		if (!c->draining && c->row->role != ROLE_AGENT && c->ch != NULL)
			tell_to_end(c, left);
		c->draining = true;
	}
	return n;
}

static void
drain_next(struct smtpd *d)
{
	size_t phase;

	for (phase = 0; phase < NITEMS(drain_order); phase++)
		if (drain_phase(d, phase) > 0)
			return;
	(void)event_base_loopbreak(d->base);
}

static void
on_drain_timeout(evutil_socket_t sock, short what, void *arg)
{
	static const struct timeval moment = {1, 0};
	struct smtpd *d = arg;
	struct child *c;
	bool hopeless = true;

	(void)sock;
	(void)what;
	TAILQ_FOREACH (c, &d->children, entry)
		if (c->pid > 0 && !c->condemned) {
			log_warn(
			    "event=killed process=%s why=\"did not end in time\"", child_name(c));
			child_condemn(c);
			hopeless = false;
		}
	/* Who is still there a moment later can't be killed. */
	if (hopeless || event_add(d->drain_timer, &moment) == -1)
		(void)event_base_loopbreak(d->base);
}

/* The second call is impatience: everything ends at once; the spool is safe all the same. */
void
supervise_drain(struct smtpd *d)
{
	const struct timeval limit = {DRAIN_MS / 1000 + 2, 0};

	if (d->draining) {
		on_drain_timeout(-1, 0, d);
		return;
	}
	d->draining = true;
	log_info("event=draining");
	d->drain_deadline_ms = time_mono_ms() + DRAIN_MS;
	listen_close(d);
	d->drain_timer = event_new(d->base, -1, 0, on_drain_timeout, d);
	if (d->drain_timer == NULL || event_add(d->drain_timer, &limit) == -1)
		log_warn("event=no-timer for=drain error=\"out of memory\"");
	drain_next(d);
}

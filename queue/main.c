/* SPDX-License-Identifier: ISC */
/*
 * smtpd-queue: the spool and the schedule.  No network.
 *
 * A turn of its loop is a group: everything that arrived is done to the
 * spool, one commit makes it durable, and only then the answers go out.  What was durable
 * before, and is ready to be delivered, does not wait for that.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "queue/queue.h"

#define INCOMING_MAX  65536
#define IDLE_MS	      50		   /* of each second, for housekeeping */
#define SPOOL_RESERVE (UINT64_C(16) << 20) /* octets of disk kept free for what is under way */

static void
configure(void *ctx, const struct conf *conf)
{
	struct program *p = ctx;

	p->conf = conf;
}

const char *
queue_hostname(const struct program *p)
{
	return p->conf->values.hostname != NULL ? p->conf->values.hostname : p->hostname;
}

enum ipc_outcome
outcome_of_error(int error)
{
	switch (error) {
	case 0:
		return IPC_OK;
	case ENOSPC:
		return IPC_FULL;
	case ENOENT:
		return IPC_GONE;
	default:
		return IPC_RETRY;
	}
}

static int
prepare(void *ctx)
{
	(void)ctx;
	spool_prepare();
	return 0;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Inside the sandbox: the root directory is the spool directory. */
static int
begin(void *ctx)
{
	struct program *p = ctx;
	struct spool_options options = {
	    .directory = service_is_privileged(p->service) ? "/" : p->conf->values.spool,
	    .reserve_bytes = SPOOL_RESERVE};

	p->incoming = map_create(INCOMING_MAX);
	p->working = map_create(WORKING_MAX);
	p->jobs = map_create(WORKING_MAX);
	p->handed = map_create(WORKING_MAX);
	p->destinations = map_create(WORKING_MAX);
	if (p->incoming == NULL || p->working == NULL || p->jobs == NULL || p->handed == NULL ||
	    p->destinations == NULL ||
	    (p->again = event_new(service_base(p->service), -1, 0, on_again, NULL)) == NULL)
		return -1;
	p->spool = spool_open(&options, service_now_s(p->service));
	p->more_due = p->reports_due = true;
	p->fail_late = schedule_late;
	return p->spool == NULL ? -1 : 0;
}

static void
on_link(void *ctx, struct channel *ch)
{
	struct program *p = ctx;

	/* What a peer's death left undone can go on. */
	if (channel_peer(ch) == ROLE_DELIVERY || channel_peer(ch) == ROLE_LOOKUP)
		p->more_due = true;
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct program *p = ctx;

	if (channel_peer(ch) == ROLE_SESSION)
		receive_lost(p, ch);
	else if (channel_peer(ch) == ROLE_DELIVERY)
		jobs_lost(p);
}

/* Delivery asks for more than it takes: its next questions wait until it has. */
static void
on_pressure(void *ctx, struct channel *ch, bool high)
{
	(void)ctx;
	if (channel_peer(ch) == ROLE_DELIVERY || channel_peer(ch) == ROLE_CONTROL)
		channel_pause(ch, high);
}

static void
on_turn(void *ctx)
{
	struct program *p = ctx;

	if (spool_needs_commit(p->spool)) {
		schedule_hand_out(p);
		spool_commit(p->spool, service_now_s(p->service));
	}
	if (service_is_draining(p->service)) {
		service_stop(p->service);
		return;
	}
	schedule_run(p);
	bounce_run(p);
}

static void
on_tick(void *ctx)
{
	struct program *p = ctx;
	int64_t now_s = service_now_s(p->service), started_ms = time_mono_ms();

	/* Also closes groups that nobody waits for, and tries again to open a store that failed. */
	spool_commit(p->spool, now_s);
	/* What delivered mail leaves is taken away as fast as new mail may come. */
	while (spool_idle(p->spool) && time_mono_ms() - started_ms < IDLE_MS)
		continue;
	if (p->next_due_s != 0 && p->next_due_s <= now_s)
		p->more_due = true;
	p->reports_due = true;
	outcomes_retry(p);
	tls_prune(p);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct program *p = ctx;

	(void)deadline_ms;
	service_stop(p->service);
}

static void
counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct program *p = ctx;
	struct spool_stats s;

	spool_stats(p->spool, &s);
	row(arg, "messages", s.messages);
	row(arg, "recipients", s.recipients);
	row(arg, "in-flight", map_count(p->working));
	row(arg, "parked", p->nstage[WORK_PARKED]);
	row(arg, "received", p->received);
	row(arg, "delivered", p->delivered);
	row(arg, "deferred", p->deferred);
	row(arg, "failed", p->failed);
	row(arg, "reports", p->reports);
	row(arg, "commits", s.commits);
	row(arg, "commit-us", s.commit_us);
	row(arg, "changes", s.changes);
	row(arg, "largest-group", s.largest_group);
	row(arg, "store-reopened", s.reopened);
	row(arg, "quarantined", s.quarantined);
	row(arg, "indices-rebuilt", s.repaired);
}

int
main(void)
{
	static const struct service_program program = {.role = ROLE_QUEUE,
	    .handlers = queue_handlers,
	    .configure = configure,
	    .prepare = prepare,
	    .begin = begin,
	    .on_link = on_link,
	    .on_unlink = on_unlink,
	    .on_pressure = on_pressure,
	    .gather = 2,
	    .on_turn = on_turn,
	    .on_tick = on_tick,
	    .on_drain = on_drain,
	    .counters = counters};
	static struct program p;
	int rc;

	TAILQ_INIT(&p.ready);
	TAILQ_INIT(&p.unrecorded);
	if (gethostname(p.hostname, sizeof(p.hostname) - 1) == -1 || p.hostname[0] == '\0')
		str_cut(p.hostname, sizeof(p.hostname), "localhost");
	rc = service_main(&program, &p, &p.service);
	if (p.spool != NULL)
		spool_close(p.spool);
	return rc;
}

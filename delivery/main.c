/* SPDX-License-Identifier: ISC */
/*
 * smtpd-delivery: takes jobs from the queue and carries them out, over SMTP
 * or through delivery agents.
 *
 * Invariant: every recipient of every job is judged once, or the queue went
 * away.  Fatal: no memory at the start, TLS that can't be set up at all.
 */
#include <sys/types.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "delivery/delivery.h"
#include "delivery/job.h"
#include "delivery/lane.h"
#include "delivery/limit.h"
#include "delivery/local.h"
#include "delivery/relay.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/net/tls_client.h"

#define CA_PIECE 65536U

static void
configure(void *ctx, const struct conf *conf)
{
	struct delivery *d = ctx;

	d->conf = conf;
	limits_configure(d->limits, conf);
	lanes_renew(d);
	if (conf->values.hostname != NULL &&
	    str_copy(d->hostname, sizeof(d->hostname), conf->values.hostname) == -1)
		log_warn("event=hostname-too-long");
}

/* name: that of an action's "ca"; "" for the authorities that all others trust. */
static void
use_ca(struct delivery *d, const char *name, const struct buf *ca)
{
	int rc = name[0] == '\0' ? tls_client_set_ca(d->tls, buf_head(ca), ca->len)
				 : tls_client_add_ca(d->tls, name, buf_head(ca), ca->len);

	if (rc == 0)
		return;
	log_warn("event=ca-bundle-refused name=\"%s\" octets=%zu effect=\"%s\"", name, ca->len,
	    name[0] == '\0' && !tls_client_can_verify(d->tls) ? "no server can be verified"
							      : "the old one stays");
}

static void
on_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct delivery *d = ctx;
	struct buf ca;
	uint8_t *p;
	ssize_t n = 0;

	buf_init(&ca, DELIVERY_CA_MAX);
	while (kind == IPC_FILE_CA && (p = buf_reserve(&ca, CA_PIECE)) != NULL &&
	       (n = read(fd, p, CA_PIECE)) > 0)
		buf_commit(&ca, (size_t)n);
	if (n != 0)
		log_warn("event=ca-bundle-unread name=\"%s\" error=\"%s\"", name, strerror(errno));
	else if (kind == IPC_FILE_CA)
		use_ca(d, name, &ca);
	(void)close(fd);
	buf_free(&ca);
}

/* While files can be opened. */
static int
prepare(void *ctx)
{
	struct delivery *d = ctx;

	bodies_init(&d->bodies, d->service);
	return d->hostname[0] == '\0' ? gethostname(d->hostname, sizeof(d->hostname) - 1) : 0;
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	if (channel_peer(ch) == ROLE_QUEUE)
		jobs_drop(ctx);
}

/* Ends inside callbacks were only noted: this is where things are freed. */
static void
on_turn(void *ctx)
{
	struct delivery *d = ctx;

	lanes_turn(d);
	relays_turn(d);
	local_turn(d);
	jobs_turn(d);
	if (d->drain_deadline_ms != 0 && d->njobs == 0 && d->gathering == NULL)
		service_stop(d->service);
}

static void
on_tick(void *ctx)
{
	struct delivery *d = ctx;

	local_tick(d);
	lanes_tick(d);
	if (d->drain_deadline_ms != 0 && service_now_ms(d->service) >= d->drain_deadline_ms) {
		log_warn("event=drain-cut-short jobs=%zu", d->njobs);
		service_stop(d->service);
	}
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct delivery *d = ctx;

	d->drain_deadline_ms = deadline_ms > 0 ? deadline_ms : 1;
	lanes_drain(d);
}

static void
counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct delivery *d = ctx;

	row(arg, "jobs", d->njobs);
	row(arg, "connections.now", d->lanes.ncarriers);
	row(arg, "connections", d->nconnections);
	row(arg, "destinations", map_count(d->lanes.by_key));
	row(arg, "agents.now", d->local.running);
	row(arg, "agents", d->nagents);
	row(arg, "delivered", d->ndelivered);
	row(arg, "deferred", d->ndeferred);
	row(arg, "failed", d->nfailed);
}

static const struct service_program program = {
    .role = ROLE_DELIVERY,
    .handlers = delivery_handlers,
    .configure = configure,
    .on_file = on_file,
    .prepare = prepare,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain,
    .counters = counters,
};

int
main(void)
{
	static struct delivery d;
	int rc;

	TAILQ_INIT(&d.jobs);
	TAILQ_INIT(&d.finished);
	TAILQ_INIT(&d.relays_over);
	/* OpenSSL reads its own files now, while it can. */
	if (local_init(&d) == -1 || lanes_init(&d) == -1 || (d.tls = tls_client_create()) == NULL)
		return 1;
	rc = service_main(&program, &d, &d.service);
	tls_client_free(d.tls);
	return rc;
}

/* SPDX-License-Identifier: ISC */
/*
 * What other processes say to smtpd-delivery.
 *
 * Invariant: an answer reaches the owner of its question or nobody, also when a peer
 * answers something that it was not asked; a peer that leaves the order of messages is
 * cut off.
 */
#include <unistd.h>

#include "delivery/body.h"
#include "delivery/carrier.h"
#include "delivery/job.h"
#include "delivery/lane.h"
#include "delivery/local.h"
#include "delivery/relay.h"
#include "delivery/route.h"

/* Of a question of that kind; NULL: there is none. */
static void *
owner_of(const struct delivery *d, const struct channel *ch, uint32_t req, enum asker kind)
{
	enum asker *asker = ask_owner(service_asks(d->service), ch, req);

	return asker != NULL && *asker == kind ? asker : NULL;
}

static void
start_when_whole(struct delivery *d)
{
	struct job *j = d->gathering;

	if (j->nhere < j->nrcpts)
		return;
	d->gathering = NULL;
	job_start(j);
}

static void
on_job(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct delivery *d = ctx;

	(void)fd;
	if (d->gathering != NULL || msg->job.nrcpts == 0)
		channel_reject(ch, "a job without its recipients");
	else if ((d->gathering = job_create(d, &msg->job)) == NULL)
		channel_reject(ch, "out of memory");
}

static void
on_job_rcpt(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct delivery *d = ctx;

	(void)fd;
	if (d->gathering == NULL || msg->req != d->gathering->req)
		channel_reject(ch, "a recipient of no job");
	else if (job_add_rcpt(d->gathering, &msg->job_rcpt) == -1)
		channel_reject(ch, "out of memory");
	else
		start_when_whole(d);
}

static void
on_chunk(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct delivery *d = ctx;
	struct body_piece *p = ask_owner(service_asks(d->service), ch, msg->req);

	(void)fd;
	if (p != NULL)
		body_answer(p, &msg->chunk);
}

static void
on_route_tlsa(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct route *r = owner_of(ctx, ch, msg->req, ASKER_ROUTE);

	(void)fd;
	if (r != NULL)
		route_add_tlsa(r, &msg->route_tlsa);
}

static void
on_route_host(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct route *r = owner_of(ctx, ch, msg->req, ASKER_ROUTE);

	(void)fd;
	if (r != NULL)
		route_add(r, &msg->route_host);
}

static void
on_route_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct route *r = owner_of(ctx, ch, msg->req, ASKER_ROUTE);

	(void)fd;
	if (r != NULL)
		route_end(r, &msg->route_end);
}

static void
on_srs_answer(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct relay *r = owner_of(ctx, ch, msg->req, ASKER_RELAY);

	(void)fd;
	if (r != NULL)
		relay_srs_answer(r, &msg->srs_answer);
}

static void
on_relay_url(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct relay *r = owner_of(ctx, ch, msg->req, ASKER_RELAY);

	(void)fd;
	if (r != NULL)
		relay_plan_url(r, &msg->relay_url);
}

static void
on_relay_source(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct relay *r = owner_of(ctx, ch, msg->req, ASKER_RELAY);

	(void)fd;
	if (r != NULL)
		relay_plan_source(r, &msg->relay_source);
}

static void
on_relay_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct relay *r = owner_of(ctx, ch, msg->req, ASKER_RELAY);

	(void)fd;
	if (r != NULL)
		relay_plan_end(r, &msg->relay_end);
}

static void
on_relay_auth_step(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct carrier *c = owner_of(ctx, ch, msg->req, ASKER_CARRIER);

	(void)fd;
	if (c != NULL)
		carrier_auth_step(c, &msg->relay_auth_step);
}

static void
on_relay_auth_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct carrier *c = owner_of(ctx, ch, msg->req, ASKER_CARRIER);

	(void)fd;
	if (c != NULL)
		carrier_auth_end(c, &msg->relay_auth_end);
}

static void
on_lmtp_socket(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct carrier *c = owner_of(ctx, ch, msg->req, ASKER_CARRIER);

	if (c != NULL)
		carrier_lmtp_socket(c, fd);
	else
		(void)close(fd);
}

static void
on_lmtp_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct carrier *c = owner_of(ctx, ch, msg->req, ASKER_CARRIER);

	(void)fd;
	if (c != NULL)
		carrier_lmtp_refused(c, msg->lmtp_refused.text);
}

static void
on_forgive(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
	lanes_forgive(ctx);
}

static void
on_limits(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	lanes_list(ctx, ch, &msg->limits);
}

static void
on_agent_started(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = owner_of(ctx, ch, msg->req, ASKER_AGENT);
	const struct msg_agent_end end = {.req = msg->req};

	if (a != NULL) {
		local_agent_started(a, fd);
		return;
	}
	/* Too late: the agent sees it and leaves, or has to. */
	(void)close(fd);
	(void)channel_send(ch, MSG_agent_end, &end);
}

static void
on_agent_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = owner_of(ctx, ch, msg->req, ASKER_AGENT);

	(void)fd;
	if (a != NULL)
		local_agent_refused(a, &msg->agent_refused);
}

const channel_handler delivery_handlers[MSG__MAX] = {
    [MSG_job] = on_job,
    [MSG_job_rcpt] = on_job_rcpt,
    [MSG_chunk] = on_chunk,
    [MSG_route_tlsa] = on_route_tlsa,
    [MSG_route_host] = on_route_host,
    [MSG_route_end] = on_route_end,
    [MSG_srs_answer] = on_srs_answer,
    [MSG_relay_url] = on_relay_url,
    [MSG_relay_source] = on_relay_source,
    [MSG_relay_end] = on_relay_end,
    [MSG_relay_auth_step] = on_relay_auth_step,
    [MSG_relay_auth_end] = on_relay_auth_end,
    [MSG_lmtp_socket] = on_lmtp_socket,
    [MSG_lmtp_refused] = on_lmtp_refused,
    [MSG_forgive] = on_forgive,
    [MSG_limits] = on_limits,
    [MSG_agent_started] = on_agent_started,
    [MSG_agent_refused] = on_agent_refused,
};

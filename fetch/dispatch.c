/* SPDX-License-Identifier: ISC */
/*
 * What reaches smtpd-fetch, and where it goes: the configuration that names the
 * endpoints, who is trusted, forms to be posted, addresses of hosts.
 *
 * Invariant: a form is posted to what is, to the letter, an endpoint of the
 * configuration, and to nothing else, whoever asks.  Fatal: a libcurl that is not
 * what this program was made for, and no memory at start.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "fetch/request.h"
#include "fetch/transfer.h"
#include "lib/base/log.h"

#define CA_PIECE 65536U

void
fetcher_init(struct fetcher *f)
{
	TAILQ_INIT(&f->requests);
	buf_init(&f->ca, FETCH_CA_MAX);
}

/* What was still under way ends with the process: the event base it was on is gone. */
void
fetcher_free(struct fetcher *f)
{
	buf_free(&f->ca);
}

/* -- configuration -- */

static void
configure(void *ctx, const struct conf *conf)
{
	struct fetcher *f = ctx;

	f->conf = conf;
}

/* The whole file or nothing: with half of them a server could not be told from a stranger. */
static int
read_ca(int fd, struct buf *out)
{
	ssize_t n = 0;
	uint8_t *p;

	while ((p = buf_reserve(out, CA_PIECE)) != NULL && (n = read(fd, p, CA_PIECE)) > 0)
		buf_commit(out, (size_t)n);
	return p == NULL || n == -1 || out->len == 0 ? -1 : 0;
}

static void
on_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct fetcher *f = ctx;
	struct buf fresh;

	(void)name;
	buf_init(&fresh, FETCH_CA_MAX);
	if (kind == IPC_FILE_CA && read_ca(fd, &fresh) == 0) {
		buf_free(&f->ca);
		f->ca = fresh;
	} else {
		buf_free(&fresh);
		log_warn("event=file-not-read for=fetch");
	}
	(void)close(fd);
}

static int
prepare(void *ctx)
{
	struct fetcher *f = ctx;

	f->transfers = transfers_create(service_base(f->service));
	return f->transfers == NULL ? -1 : 0;
}

/* -- life -- */

static void
on_unlink(void *ctx, struct channel *ch)
{
	requests_drop(ctx, ch);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct fetcher *f = ctx;

	f->drain_deadline_ms = deadline_ms;
}

static void
on_turn(void *ctx)
{
	struct fetcher *f = ctx;

	if (service_is_draining(f->service) &&
	    (f->nrequests == 0 || service_now_ms(f->service) >= f->drain_deadline_ms))
		service_stop(f->service);
}

/* -- messages -- */

static bool
same(const char *ours, const char *asked)
{
	return ours != NULL && strcmp(ours, asked) == 0;
}

/* Where a browser is sent is no business of ours. */
static bool
is_endpoint(const struct conf *conf, const char *url)
{
	size_t i;

	for (i = 0; conf != NULL && i < conf->noauths; i++)
		if (same(conf->oauths[i].token_url, url) || same(conf->oauths[i].device_url, url))
			return true;
	return false;
}

static void
on_fetch(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_fetch *m = &msg->fetch;
	struct fetcher *f = ctx;

	(void)fd;
	if (!is_endpoint(f->conf, m->url))
		request_refuse(ch, m->req, "that is no endpoint of the configuration");
	else if (f->ca.len == 0)
		request_refuse(ch, m->req, "there are no trusted certificates (ca-file)");
	else if (f->nrequests == FETCH_REQUESTS_MAX)
		request_refuse(ch, m->req, "too much is asked for at once");
	else
		request_start(f, ch, m);
}

static void
on_route_host(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct fetcher *f = ctx;
	struct request *r = ask_owner(service_asks(f->service), ch, msg->route_host.req);

	(void)fd;
	if (r != NULL)
		request_add_address(r, msg->route_host.address);
}

static void
on_route_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct fetcher *f = ctx;
	struct request *r = ask_owner(service_asks(f->service), ch, msg->route_end.req);

	(void)fd;
	if (r != NULL)
		request_routed(r, &msg->route_end);
}

/* Never asked for: HTTPS has no DANE. */
static void
on_route_tlsa(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)fd;
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_fetch] = on_fetch,
    [MSG_route_host] = on_route_host,
    [MSG_route_end] = on_route_end,
    [MSG_route_tlsa] = on_route_tlsa,
};

const struct service_program fetch_program = {
    .role = ROLE_FETCH,
    .handlers = handlers,
    .configure = configure,
    .on_file = on_file,
    .prepare = prepare,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_drain = on_drain,
};

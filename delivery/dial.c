/* SPDX-License-Identifier: ISC */
/*
 * Which of a host's addresses answers first.
 *
 * Invariants: at most two sockets at once; each address is tried once, in
 * order, unless one before it answered; done() comes once, from the loop, and
 * what is handed over is a socket that nothing is pending on.
 */
#include "delivery/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/socks.h"

#define RUNNERS 2

struct runner { /* an address that is tried; owned by its dial; fd -1: idle */
	struct dial *dial;
	int fd;
	size_t address;
	struct event *ready, *late;
	bool greeting; /* connected to the proxy, which is talked to */
	struct socks socks;
};

struct dial {
	struct event_base *base;
	struct dial_options options;
	struct event *clock; /* the start; then, the next address' turn */
	struct runner runners[RUNNERS];
	size_t next; /* address to try */
	int error;   /* of the last that failed */
	const char *text;
};

static void on_ready(evutil_socket_t sock, short what, void *arg);
static void on_late(evutil_socket_t sock, short what, void *arg);

/* -- a runner -- */

static void
runner_stop(struct runner *r)
{
	if (r->ready != NULL)
		event_free(r->ready);
	if (r->late != NULL)
		event_free(r->late);
	if (r->fd != -1)
		(void)close(r->fd);
	r->ready = r->late = NULL;
	r->fd = -1;
}

static void
runner_fail(struct runner *r, int error, const char *text)
{
	r->dial->error = error;
	r->dial->text = text;
	runner_stop(r);
}

/* An address of the family to connect from; the kernel chooses the port when it knows both ends. */
static int
bind_source(const struct dial_options *o, int fd, sa_family_t family)
{
	const int on = 1;
	size_t i;

	if (o->nsources == 0)
		return 0;
	for (i = 0; i < o->nsources; i++)
		if (o->sources[i].ss.ss_family == family)
			break;
	if (i == o->nsources) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&o->sources[i].ss, o->sources[i].len);
}

static int
open_socket(const struct dial_options *o, const struct addr *to)
{
	const int on = 1;
	int fd, error;

	fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* Commands are small, and each waits for the answer to the last. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind_source(o, fd, to->ss.ss_family) == 0 &&
	    (connect(fd, (const struct sockaddr *)&to->ss, to->len) == 0 || errno == EINPROGRESS))
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static int
runner_wait(struct runner *r, short what)
{
	if (r->ready != NULL)
		event_free(r->ready);
	r->ready = event_new(r->dial->base, r->fd, what, on_ready, r);
	return r->ready == NULL || event_add(r->ready, NULL) == -1 ? -1 : 0;
}

/* All of it, the proxy's part too. */
static int
runner_set_deadline(struct runner *r)
{
	int64_t set_ms = r->dial->options.timeout_ms, ms = set_ms > 0 ? set_ms : DIAL_TIMEOUT_MS;
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	r->late = event_new(r->dial->base, -1, 0, on_late, r);
	return r->late == NULL || event_add(r->late, &tv) == -1 ? -1 : 0;
}

static int
runner_start(struct runner *r, size_t address)
{
	const struct dial_options *o = &r->dial->options;

	r->address = address;
	r->greeting = false;
	r->socks = (struct socks){0};
	r->fd = open_socket(o, o->proxy != NULL ? o->proxy : &o->addresses[address]);
	if (r->fd == -1 || runner_wait(r, EV_WRITE) == -1 || runner_set_deadline(r) == -1) {
		runner_fail(r, errno, "");
		return -1;
	}
	return 0;
}

/* -- the race -- */

static void
dial_over(struct dial *d, int fd, size_t address)
{
	size_t i;

	for (i = 0; i < RUNNERS; i++)
		runner_stop(&d->runners[i]);
	(void)event_del(d->clock);
	d->options.done(
	    d->options.arg, fd, address, fd == -1 ? d->error : 0, fd == -1 ? d->text : "");
}

static struct runner *
idle_runner(struct dial *d)
{
	size_t i;

	for (i = 0; i < RUNNERS; i++)
		if (d->runners[i].fd == -1)
			return &d->runners[i];
	return NULL;
}

static bool
is_running(const struct dial *d)
{
	size_t i;

	for (i = 0; i < RUNNERS; i++)
		if (d->runners[i].fd != -1)
			return true;
	return false;
}

/* The next address that can be tried at all; with none left, and none under way, it is over. */
static void
dial_next(struct dial *d)
{
	const struct timeval race = {DIAL_RACE_MS / 1000, (DIAL_RACE_MS % 1000) * 1000};
	struct runner *r = idle_runner(d);

	while (r != NULL && d->next < d->options.naddresses)
		if (runner_start(r, d->next++) == 0)
			break;
	if (!is_running(d))
		dial_over(d, -1, 0);
	else if (d->next < d->options.naddresses && idle_runner(d) != NULL)
		(void)event_add(d->clock, &race);
	else
		(void)event_del(d->clock);
}

static void
on_clock(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	dial_next(arg);
}

/* -- what a socket says -- */

static void
runner_won(struct runner *r)
{
	int fd = r->fd;

	r->fd = -1;
	dial_over(r->dial, fd, r->address);
}

static void
runner_lost(struct runner *r, int error, const char *text)
{
	struct dial *d = r->dial;

	runner_fail(r, error, text);
	dial_next(d);
}

/* What is said is small, and the first on this socket: it goes out whole or never. */
static void
say_to_proxy(struct runner *r)
{
	ssize_t n = send(r->fd, r->socks.out, r->socks.nout, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n != (ssize_t)r->socks.nout)
		runner_lost(r, n == -1 ? errno : EPROTO, "the connection to it broke");
	else if (runner_wait(r, EV_READ) == -1)
		runner_lost(r, ENOMEM, "");
}

static void
proxy_result(struct runner *r, enum socks_result result)
{
	if (result == SOCKS_SAY)
		say_to_proxy(r);
	else if (result == SOCKS_DONE)
		runner_won(r);
	else if (result == SOCKS_BROKEN)
		runner_lost(r, EPROTO, r->socks.why);
	else if (runner_wait(r, EV_READ) == -1)
		runner_lost(r, ENOMEM, "");
}

static void
read_proxy(struct runner *r)
{
	enum socks_result result = SOCKS_MORE;
	uint8_t octet;
	ssize_t n = 0;

	while (result == SOCKS_MORE && (n = recv(r->fd, &octet, 1, MSG_DONTWAIT)) == 1)
		result = socks_feed(&r->socks, &r->dial->options.addresses[r->address], &octet);
	if (n == 0)
		runner_lost(r, ECONNRESET, "the proxy hung up");
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		runner_lost(r, errno, "the connection to it broke");
	else
		proxy_result(r, result);
}

static void
connected(struct runner *r)
{
	const struct dial_options *o = &r->dial->options;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		runner_lost(r, error, o->proxy != NULL ? "it can't be reached itself" : "");
	} else if (o->proxy == NULL) {
		runner_won(r);
	} else {
		r->greeting = true;
		proxy_result(r, socks_feed(&r->socks, &o->addresses[r->address], NULL));
	}
}

static void
on_ready(evutil_socket_t sock, short what, void *arg)
{
	struct runner *r = arg;

	(void)sock;
	(void)what;
	if (r->greeting)
		read_proxy(r);
	else
		connected(r);
}

static void
on_late(evutil_socket_t sock, short what, void *arg)
{
	struct runner *r = arg;

	(void)sock;
	(void)what;
	runner_lost(r, ETIMEDOUT, r->greeting ? "the proxy does not answer" : "");
}

/* -- life -- */

struct dial *
dial_start(struct event_base *base, const struct dial_options *options)
{
	struct dial *d;
	size_t i;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->base = base;
	d->options = *options;
	d->error = EADDRNOTAVAIL;
	d->text = "";
	for (i = 0; i < RUNNERS; i++)
		d->runners[i] = (struct runner){.dial = d, .fd = -1};
	if ((d->clock = event_new(base, -1, 0, on_clock, d)) == NULL) {
		free(d);
		return NULL;
	}
	event_active(d->clock, EV_TIMEOUT, 0);
	return d;
}

void
dial_stop(struct dial *d)
{
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < RUNNERS; i++)
		runner_stop(&d->runners[i]);
	event_free(d->clock);
	free(d);
}

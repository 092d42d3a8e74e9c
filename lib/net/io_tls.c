/* SPDX-License-Identifier: ISC */
/*
 * TLS as a transport of the one I/O path, by libtls over the same socket.
 *
 * Invariants: nothing that was read before the handshake is ever taken for
 * something that was said inside it (CVE-2011-0411).  When TLS has ended, the stream
 * has: no octet after it is read (CVE-2026-45185).  What the socket gave and libtls did not
 * take yet is never waited for: io->unread says that there may be more.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <tls.h>

#include "lib/net/io.h"
#include "lib/net/io_private.h"

#define READ_AHEAD 4096 /* one call for a record's header and, mostly, all of it */

/* -- what libtls calls for octets on the wire -- */

static ssize_t
take_raw(struct io *io, void *p, size_t n)
{
	if (n > io->raw.len)
		n = io->raw.len;
	memcpy(p, buf_head(&io->raw), n);
	buf_consume(&io->raw, n);
	if (io->raw.len == 0)
		buf_free(&io->raw);
	return (ssize_t)n;
}

static ssize_t
wire_failed(ssize_t n, ssize_t want)
{
	return n == -1 && (errno == EAGAIN || errno == EINTR) ? want : n;
}

ssize_t
io_tls_read(struct tls *tls, void *p, size_t n, void *arg)
{
	UNINITIALIZED uint8_t space[READ_AHEAD];
	struct io *io = arg;
	ssize_t got;

	(void)tls;
	if (io->raw.len > 0)
		return take_raw(io, p, n);
	if (n >= sizeof(space))
		return wire_failed(recv(io->fd, p, n, MSG_DONTWAIT), TLS_WANT_POLLIN);
	got = recv(io->fd, space, sizeof(space), MSG_DONTWAIT);
	if (got <= 0)
		return wire_failed(got, TLS_WANT_POLLIN);
	if ((size_t)got <= n) {
		memcpy(p, space, (size_t)got);
		return got;
	}
	memcpy(p, space, n);
	return buf_append(&io->raw, space + n, (size_t)got - n) == -1 ? -1 : (ssize_t)n;
}

ssize_t
io_tls_write(struct tls *tls, const void *p, size_t n, void *arg)
{
	struct io *io = arg;

	(void)tls;
	return wire_failed(send(io->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL), TLS_WANT_POLLOUT);
}

/* -- what the stream calls -- */

/* libtls has its own EAGAIN, one a direction. */
static ssize_t
translate(ssize_t n, short *want)
{
	if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT) {
		*want = n == TLS_WANT_POLLIN ? EV_READ : EV_WRITE;
		errno = EAGAIN;
		return -1;
	}
	if (n == -1)
		errno = EPROTO;
	return n;
}

/* A record that did not fit is in libtls still, and no event will tell. */
static ssize_t
over_tls_read(struct io *io, void *p, size_t n, short *want)
{
	ssize_t got = translate(tls_read(io_tls(io), p, n), want);

	/* A record that was none of the stream's (a KeyUpdate) may have another behind it. */
	io->unread = io->raw.len > 0 || (got > 0 && (size_t)got == n);
	return got;
}

static ssize_t
over_tls_write(struct io *io, const void *p, size_t n, short *want)
{
	ssize_t put = tls_write(io_tls(io), p, n);

	return translate(put == 0 ? -1 : put, want); /* 0: the other side said goodbye first */
}

static int
over_tls_handshake(struct io *io, short *want)
{
	int rc = (int)translate(tls_handshake(io_tls(io)), want);

	if (io->callbacks->on_handshake != NULL)
		io->callbacks->on_handshake(io->arg, io);
	io->unread = rc == 0 && io->raw.len > 0;
	return rc;
}

static void
over_tls_close(struct io *io)
{
	/* One try at close_notify; the socket is closed next in any case. */
	if (!io->handshaking)
		(void)tls_close(io_tls(io));
	tls_free(io_tls(io));
}

static const struct io_transport over_tls = {
    over_tls_read, over_tls_write, over_tls_handshake, over_tls_close};

bool
io_start_tls(struct io *io, struct tls *tls)
{
	struct buf *in = io_input(io);
	bool early = in->len > 0;

	io_consume(io, in->len);
	io_set_transport(io, &over_tls, tls);
	return early;
}

void
io_start_tls_with_input(struct io *io, struct tls *tls)
{
	io->raw = io->in;
	buf_init(&io->in, io->raw.max);
	io->scanned = 0;
	io_set_transport(io, &over_tls, tls);
}

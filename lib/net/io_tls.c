/* SPDX-License-Identifier: ISC */
/*
 * TLS as a transport of the one I/O path, by libtls over the same socket.
 *
 * Invariant: nothing that was read before the handshake is ever taken for
 * something that was said inside it (CVE-2011-0411).
 */
#include <errno.h>
#include <event2/event.h>
#include <tls.h>

#include "lib/net/io.h"
#include "lib/net/io_private.h"

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

static ssize_t
over_tls_read(struct io *io, void *p, size_t n, short *want)
{
	return translate(tls_read(io_tls(io), p, n), want);
}

static ssize_t
over_tls_write(struct io *io, const void *p, size_t n, short *want)
{
	return translate(tls_write(io_tls(io), p, n), want);
}

static int
over_tls_handshake(struct io *io, short *want)
{
	return (int)translate(tls_handshake(io_tls(io)), want);
}

static void
over_tls_close(struct io *io)
{
	/* One try at close_notify; the socket is closed next in any case. */
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

	buf_consume(in, in->len);
	io_set_transport(io, &over_tls, tls);
	return early;
}

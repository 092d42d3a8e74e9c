/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_IO_H
#define LIB_NET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

struct event_base;
struct tls;

/*
 * One non-blocking stream socket to a stranger, with a buffer each way.
 * The one I/O path: what is written is tried at once and the rest waits for
 * the socket; what is read is handed over in a buffer that the owner consumes.
 * Buffers are given back when empty: an idle connection costs its structs.
 *
 * An io may be freed inside its own callbacks.
 */
struct io;

enum io_end {
	IO_CLOSED,    /* the peer closed its side */
	IO_ERROR,     /* errno of the socket, see io_error() */
	IO_TIMEOUT,   /* the deadline of io_set_timeout() passed */
	IO_TLS_FAILED /* the handshake, or a record later */
};

struct io_callbacks {
	void (*on_input)(void *arg, struct io *io);   /* there is more in io_input() */
	void (*on_drained)(void *arg, struct io *io); /* the output buffer ran empty; may be NULL */
	void (*on_ready)(void *arg, struct io *io);   /* TLS is up; may be NULL */
	void (*on_handshake)(void *arg, struct io *io); /* after each step of one; may be NULL */
	/*
	 * The peer will say nothing more, but may still listen (a half-closed
	 * connection).  NULL, or under TLS: that ends it, by on_end with IO_CLOSED.
	 */
	void (*on_eof)(void *arg, struct io *io);
	bool (*on_timeout)(void *arg, struct io *io); /* true: go on waiting; NULL: ends it */
	void (*on_end)(void *arg, struct io *io, enum io_end why);
};

/* Takes fd, a connected socket, over.  NULL with errno; fd stays the caller's then. */
struct io *io_create(
    struct event_base *base, int fd, const struct io_callbacks *callbacks, void *arg) WARN_UNUSED;
void io_free(struct io *io); /* closes; what was not written is lost */
void io_set_limits(
    struct io *io, size_t input_max, size_t output_max); /* octets; 64 KiB each at first */

/*
 * TLS from here on; what is buffered unread is dropped (CVE-2011-0411) and reported by
 * the return value: true when there was any.  Takes tls over, which was made by
 * tls_accept_cbs() or tls_connect_cbs() with the two functions below and io as their
 * argument.  on_ready when up.
 */
bool io_start_tls(struct io *io, struct tls *tls);
/* The same, and what is buffered is part of the handshake: it came after a balancer's header. */
void io_start_tls_with_input(struct io *io, struct tls *tls);
ssize_t io_tls_read(struct tls *tls, void *p, size_t n, void *io);
ssize_t io_tls_write(struct tls *tls, const void *p, size_t n, void *io);
struct tls *io_tls(const struct io *io); /* NULL: plain */

struct buf *io_input(struct io *io);
void io_consume(struct io *io, size_t n); /* n octets of the input are dealt with */
/*
 * The owner can go on: hands over what is buffered (on_input, when there is any)
 * and reads again where a full buffer had stopped it.
 */
void io_continue(struct io *io);
/* The same from inside a callback: it happens in the loop's next turn. */
void io_kick(struct io *io);
/*
 * The next line without its CRLF: 1 and *line, *len (valid until the next call
 * on io); 0: none yet; -1: longer than max octets, CRLF included (the part seen stays).
 * A bare LF ends no line.  io_line_done() consumes it.
 */
int io_line(struct io *io, size_t max, const char **line, size_t *len) WARN_UNUSED;
void io_line_done(struct io *io);

/* -1: ENOBUFS (the peer does not read), ENOMEM; errors of the socket come by on_end. */
int io_write(struct io *io, const void *data, size_t len) WARN_UNUSED;
int io_write_str(struct io *io, const char *s) WARN_UNUSED;
size_t io_unsent(const struct io *io);
/* Between io_cork() and io_uncork() writes only gather; uncork sends. */
void io_cork(struct io *io);
void io_uncork(struct io *io);

void io_pause_input(struct io *io, bool paused);
void io_set_timeout(struct io *io, int64_t ms); /* from now, restarted by any progress; 0: none */
int io_error(const struct io *io);
int io_fd(const struct io *io);

#endif

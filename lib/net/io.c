/* SPDX-License-Identifier: ISC */
/*
 * Streams to strangers.
 *
 * Invariants: what is buffered in either direction stays under the owner's
 * limits; a stream has exactly one on_end; nothing is called after io_free().
 * No error of a socket is fatal.
 */
#include "lib/net/io.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/net/io_private.h"

#define IO_READ_SIZE 16384
#define IO_LIMIT     (64U << 10)
#define IO_KEEP	     1024 /* an empty buffer up to this size stays allocated */

static ssize_t
plain_read(struct io *io, void *p, size_t n, short *want)
{
	*want = EV_READ;
	return recv(io->fd, p, n, MSG_DONTWAIT);
}

static ssize_t
plain_write(struct io *io, const void *p, size_t n, short *want)
{
	*want = EV_WRITE;
	return send(io->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static const struct io_transport plain = {plain_read, plain_write, NULL, NULL};

/* -- events: armed only when the wish changed, for each change is a system call -- */

/* event_del() also takes back what event_active() made due, which is to come all the same. */
static void
io_disarm(struct event *event, bool due, short what)
{
	(void)event_del(event);
	if (due)
		event_active(event, what, 0);
}

static void
io_arm(struct io *io, bool want_read, bool want_write)
{
	struct timeval tv = {io->timeout_ms / 1000, (io->timeout_ms % 1000) * 1000};
	struct timeval *timeout = io->timeout_ms > 0 ? &tv : NULL;

	if (want_read && !io->armed_read)
		(void)event_add(io->readable, timeout);
	else if (!want_read && io->armed_read)
		io_disarm(io->readable, io->kicked, EV_READ);
	if (want_write && !io->armed_write)
		(void)event_add(io->writable, timeout);
	else if (!want_write && io->armed_write)
		io_disarm(io->writable, io->broken && !io->ended && !io->freed, EV_WRITE);
	io->armed_read = want_read;
	io->armed_write = want_write;
}

static void
io_want(struct io *io)
{
	bool more = !io->paused && !io->eof && io->in.len < io->in.max;
	bool unsent = (io->out.len > 0 && !io->corked && !io->write_reads) || io->read_writes;

	if (io->freed || io->ended || io->handshaking)
		return;
	io_arm(io, more || io->write_reads, unsent);
	if (more && io->unread)
		event_active(io->readable, EV_READ, 0);
}

static void
io_destroy(struct io *io)
{
	if (io->transport->close != NULL)
		io->transport->close(io);
	event_free(io->readable);
	event_free(io->writable);
	buf_free(&io->in);
	buf_free(&io->out);
	buf_free(&io->raw);
	(void)close(io->fd);
	free(io);
}

void
io_free(struct io *io)
{
	if (io == NULL || io->freed)
		return;
	io->freed = true;
	io->kicked = false;
	io_arm(io, false, false);
	if (io->depth == 0)
		io_destroy(io);
}

static void
io_leave(struct io *io)
{
	if (--io->depth == 0 && io->freed)
		io_destroy(io);
}

static void
io_finish(struct io *io, enum io_end why, int error)
{
	if (io->ended || io->freed)
		return;
	io->kicked = false;
	io->ended = true;
	io_arm(io, false, false);
	io->error = error;
	io->callbacks->on_end(io->arg, io, why);
}

/*
 * Octets of the wire may be no octets of what is said over it: under TLS they
 * restart no interval, or a record could be dragged out for ever.
 */
static void
io_got_on(struct io *io)
{
	if (io->tls != NULL)
		io->progress_ms = time_mono_ms();
}

static bool
io_drags(const struct io *io)
{
	return io->tls != NULL && !io->handshaking && io->timeout_ms > 0 && !io->paused &&
	       time_mono_ms() - io->progress_ms >= io->timeout_ms;
}

/* -- out -- */

static void
io_send(struct io *io)
{
	short want;
	ssize_t n;
	bool had = io->out.len > 0;

	io->write_reads = false;
	while (io->out.len > 0 && !io->ended && !io->broken) {
		n = io->transport->write(io, buf_head(&io->out), io->out.len, &want);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			io->write_reads = want == EV_READ;
			break;
		}
		if (n == -1) {
			/* Not from inside a write of the owner's: it must not find itself gone. */
			io->error = errno;
			io->broken = true;
			buf_free(&io->out);
			event_active(io->writable, EV_WRITE, 0);
			return;
		}
		buf_consume(&io->out, (size_t)n);
		io_got_on(io);
	}
	if (io->out.len == 0 && io->out.cap > IO_KEEP)
		buf_free(&io->out);
	if (had && io->out.len == 0 && io->callbacks->on_drained != NULL && !io->ended)
		io->callbacks->on_drained(io->arg, io);
}

int
io_write(struct io *io, const void *data, size_t len)
{
	if (io->ended || io->freed || io->broken)
		return 0;
	if (buf_append(&io->out, data, len) == -1)
		return -1;
	if (!io->corked && !io->handshaking && !io->armed_write && io->depth == 0) {
		io->depth++;
		io_send(io);
		io_want(io);
		io_leave(io);
	}
	return 0;
}

int
io_write_str(struct io *io, const char *s)
{
	return io_write(io, s, strlen(s));
}

void
io_cork(struct io *io)
{
	io->corked++;
}

void
io_uncork(struct io *io)
{
	if (--io->corked > 0 || io->depth > 0 || io->handshaking)
		return;
	io->depth++;
	io_send(io);
	io_want(io);
	io_leave(io);
}

size_t
io_unsent(const struct io *io)
{
	return io->out.len;
}

/* -- in -- */

/* Nothing more will be read: the peer closed its side (n is 0), or the stream failed. */
static void
io_read_failed(struct io *io, ssize_t n)
{
	if (n == 0 && io->tls == NULL && io->callbacks->on_eof != NULL) {
		io->eof = true;
		io->callbacks->on_eof(io->arg, io);
	} else if (n == 0)
		io_finish(io, IO_CLOSED, 0);
	else
		io_finish(io, io->tls != NULL ? IO_TLS_FAILED : IO_ERROR, errno);
}

/* True when something was read. */
static bool
io_receive(struct io *io)
{
	size_t room = io->in.max - io->in.len, n_want = IO_READ_SIZE;
	UNINITIALIZED uint8_t space[IO_READ_SIZE];
	short want;
	ssize_t n;
	int rc;

	if (n_want > room)
		n_want = room;
	if (n_want == 0)
		return false;
	n = io->transport->read(io, space, n_want, &want);
	io->read_writes = n == -1 && errno == EAGAIN && want == EV_WRITE;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		io_read_failed(io, n);
		return false;
	}
	io_got_on(io);
	rc = buf_append(&io->in, space, (size_t)n);
	explicit_bzero(space, (size_t)n); /* it may have been a password */
	if (rc == -1)
		io_finish(io, IO_ERROR, ENOMEM);
	return rc == 0;
}

static void
io_handshake(struct io *io)
{
	short want = 0;
	int rc;

	do {
		rc = io->transport->handshake(io, &want);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1 && errno == EAGAIN) {
		io_arm(io, want == EV_READ, want == EV_WRITE);
		return;
	}
	if (rc == -1) {
		io_finish(io, IO_TLS_FAILED, errno);
		return;
	}
	io->handshaking = false;
	io_got_on(io);
	if (io->callbacks->on_ready != NULL)
		io->callbacks->on_ready(io->arg, io);
}

static bool
io_was_kicked(struct io *io)
{
	bool kicked = io->kicked && !io->freed && !io->ended && io->in.len > 0;

	io->kicked = false;
	return kicked;
}

void
io_kick(struct io *io)
{
	io->kicked = true;
	event_active(io->readable, EV_READ, 0);
}

static bool
io_may_wait(struct io *io)
{
	return io->callbacks->on_timeout != NULL && io->callbacks->on_timeout(io->arg, io);
}

static void
io_timed_out(struct io *io)
{
	io_got_on(io);
	if (!io_may_wait(io))
		io_finish(io, IO_TIMEOUT, ETIMEDOUT);
}

static void
io_progress(struct io *io, short what)
{
	if (io->handshaking)
		io_handshake(io);
	else if (((what & EV_READ) || io->read_writes) && !io->paused &&
		 (io_receive(io) || io_was_kicked(io)))
		io->callbacks->on_input(io->arg, io);
	if (!io->freed && !io->ended && !io->corked && !io->handshaking)
		io_send(io);
}

static void
on_event(evutil_socket_t sock, short what, void *arg)
{
	struct io *io = arg;

	(void)sock;
	io->depth++;
	if (io->broken)
		io_finish(io, IO_ERROR, io->error);
	else if ((what & EV_TIMEOUT) == 0)
		io_progress(io, what);
	if (!io->freed && !io->ended && ((what & EV_TIMEOUT) != 0 || io_drags(io)))
		io_timed_out(io);
	if (!io->freed && io->in.len == 0)
		buf_free(&io->in);
	io_want(io);
	io_leave(io);
}

struct buf *
io_input(struct io *io)
{
	return &io->in;
}

void
io_continue(struct io *io)
{
	if (io->freed || io->ended || io->depth > 0)
		return;
	io->depth++;
	if (io->in.len > 0 && !io->paused)
		io->callbacks->on_input(io->arg, io);
	if (!io->freed && !io->ended && !io->corked)
		io_send(io);
	if (!io->freed && io->in.len == 0)
		buf_free(&io->in);
	io_want(io);
	io_leave(io);
}

void
io_pause_input(struct io *io, bool paused)
{
	io->paused = paused;
	if (io->depth == 0)
		io_want(io);
}

/* -- life -- */

struct io *
io_create(struct event_base *base, int fd, const struct io_callbacks *callbacks, void *arg)
{
	struct io *io;

	if ((io = calloc(1, sizeof(*io))) == NULL)
		return NULL;
	io->fd = fd;
	io->callbacks = callbacks;
	io->arg = arg;
	io->transport = &plain;
	buf_init(&io->in, IO_LIMIT);
	buf_init(&io->out, IO_LIMIT);
	buf_init(&io->raw, IO_LIMIT);
	io->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_event, io);
	io->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_event, io);
	if (io->readable == NULL || io->writable == NULL) {
		if (io->readable != NULL)
			event_free(io->readable);
		if (io->writable != NULL)
			event_free(io->writable);
		free(io);
		errno = ENOMEM;
		return NULL;
	}
	io_want(io);
	return io;
}

void
io_set_limits(struct io *io, size_t input_max, size_t output_max)
{
	io->in.max = input_max;
	io->out.max = output_max;
}

/* EV_PERSIST restarts the interval at each event, which is what progress means. */
void
io_set_timeout(struct io *io, int64_t ms)
{
	bool reading = io->armed_read, writing = io->armed_write;

	io_got_on(io);
	if (ms == io->timeout_ms)
		return;
	io->timeout_ms = ms;
	if (!io->freed && (reading || writing)) {
		io->armed_read = io->armed_write = false;
		io_arm(io, reading, writing);
	}
}

void
io_set_transport(struct io *io, const struct io_transport *transport, struct tls *tls)
{
	io->transport = transport;
	io->tls = tls;
	io->handshaking = transport->handshake != NULL;
	if (io->handshaking) {
		io->depth++;
		io_handshake(io);
		io_want(io);
		io_leave(io);
	}
}

struct tls *
io_tls(const struct io *io)
{
	return io->tls;
}

int
io_error(const struct io *io)
{
	return io->error;
}

int
io_fd(const struct io *io)
{
	return io->fd;
}

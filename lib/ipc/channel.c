/* SPDX-License-Identifier: ISC */
/*
 * Frames over a Unix stream socket, with descriptors.
 *
 * Invariants: a frame reaches a handler only when (type, from, to) stands in
 * the table, its bounds hold and its descriptor is there iff declared; a
 * descriptor that nobody asked for is closed.  What a peer can make us hold
 * is bounded: one frame in, CHANNEL_MAX out, a few descriptors.
 * Nothing that a peer sends is fatal; it costs the peer the channel.
 */
#include "lib/ipc/channel.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/ipc/channel_private.h"

#define FRAMES_A_TURN 4096
#define READ_ROUNDS   8 /* reads in a row before others get their turn */

static void
channel_destroy(struct channel *ch)
{
	struct out_fd *o;

	while ((o = TAILQ_FIRST(&ch->out_fds)) != NULL) {
		TAILQ_REMOVE(&ch->out_fds, o, entry);
		(void)close(o->fd);
		free(o);
	}
	while (ch->nin_fds > 0)
		(void)close(ch->in_fds[--ch->nin_fds]);
	if (ch->readable != NULL)
		event_free(ch->readable);
	if (ch->writable != NULL)
		event_free(ch->writable);
	buf_free(&ch->in);
	buf_free(&ch->out);
	if (ch->fd != -1)
		(void)close(ch->fd);
	free(ch);
}

void
channel_free(struct channel *ch)
{
	if (ch == NULL)
		return;
	ch->closed = ch->freed = true;
	if (ch->depth == 0)
		channel_destroy(ch);
	else {
		(void)event_del(ch->readable);
		(void)event_del(ch->writable);
	}
}

void
channel_enter(struct channel *ch)
{
	ch->depth++;
}

void
channel_leave(struct channel *ch)
{
	if (--ch->depth == 0 && ch->freed)
		channel_destroy(ch);
}

static void
channel_close(struct channel *ch)
{
	if (ch->closed)
		return;
	ch->closed = true;
	(void)event_del(ch->readable);
	(void)event_del(ch->writable);
	channel_enter(ch);
	ch->rules->on_close(ch->ctx, ch);
	channel_leave(ch);
}

void
channel_reject(struct channel *ch, const char *why)
{
	struct logline l;

	if (ch->closed)
		return;
	channel_enter(ch);
	logline_start(&l, LOG_LEVEL_WARN, "peer-cut-off");
	logline_str(&l, "peer", role_word(ch->peer));
	logline_u64(&l, "instance", ch->instance);
	logline_str(&l, "why", why);
	logline_end(&l);
	ch->rejected = true;
	channel_close(ch);
	channel_leave(ch);
}

bool
channel_is_rejected(const struct channel *ch)
{
	return ch->rejected;
}

/* -- in -- */

static void
take_fds(struct channel *ch, struct msghdr *mh)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (ch->nin_fds < IN_FDS_MAX)
				ch->in_fds[ch->nin_fds++] = fd;
			else
				(void)close(fd);
		}
	}
}

static int
take_fd(struct channel *ch)
{
	int fd = ch->in_fds[0];

	memmove(ch->in_fds, ch->in_fds + 1, --ch->nin_fds * sizeof(int));
	return fd;
}

bool
channel_has_more(const struct channel *ch)
{
	struct message_header h;

	return message_header(buf_head(&ch->in), ch->in.len, &h) == 0 && ch->in.len > h.length;
}

/* One frame at the head of in.  False when there is no whole one, or the channel closed. */
static bool
channel_dispatch(struct channel *ch)
{
	struct message_header h;
	union message msg;
	channel_handler handler;
	int fd = -1, more;

	more = message_header(buf_head(&ch->in), ch->in.len, &h);
	if (more == 1)
		return false;
	if (more == -1 || !message_allowed(h.type, ch->peer, ch->rules->self)) {
		channel_reject(ch, more == -1 ? "not a frame" : "message not allowed");
		return false;
	}
	if (message_decode(&h, buf_head(&ch->in), &msg) == -1) {
		channel_reject(ch, message_name(h.type));
		return false;
	}
	if (h.has_fd && ch->nin_fds == 0) {
		channel_reject(ch, "descriptor missing");
		return false;
	}
	if ((handler = ch->rules->handlers[h.type]) == NULL) {
		channel_reject(ch, "no handler");
		return false;
	}
	if (h.has_fd)
		fd = take_fd(ch);
	handler(ch->ctx, ch, &msg, fd);
	if (!ch->freed)
		buf_consume(&ch->in, h.length);
	return !ch->closed;
}

/* The frames that were read, unless a handler pauses the channel. */
static void
dispatch_all(struct channel *ch)
{
	unsigned int n;

	for (n = 0; n < FRAMES_A_TURN; n++)
		if (ch->closed || ch->paused || !channel_dispatch(ch))
			return;
	event_active(ch->readable, EV_READ, 0); /* the rest after the others */
}

static ssize_t
channel_receive(struct channel *ch)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IN_FDS_MAX)];
	} control;
	struct iovec iov;
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	ssize_t n;

	iov.iov_len = READ_SIZE - ch->in.len;
	if ((iov.iov_base = buf_reserve(&ch->in, iov.iov_len)) == NULL)
		return -1;
	n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0) {
		take_fds(ch, &mh);
		if (mh.msg_flags & MSG_CTRUNC) {
			channel_reject(ch, "too many descriptors");
			return -1;
		}
		buf_commit(&ch->in, (size_t)n);
	}
	return n;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct channel *ch = arg;
	int round;

	(void)sock;
	(void)what;
	channel_enter(ch);
	dispatch_all(ch); /* what a pause had left */
	for (round = 0; round < READ_ROUNDS && !ch->closed && !ch->paused; round++) {
		size_t room = READ_SIZE - ch->in.len;
		ssize_t n;

		if (room == 0)
			break; /* frames are left from this turn */
		n = channel_receive(ch);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			channel_close(ch);
			break;
		}
		dispatch_all(ch);
		if (ch->closed || ch->paused)
			break;
		if (ch->in.len == 0 && ch->nin_fds > 0)
			channel_reject(ch, "unexpected descriptor");
		if ((size_t)n < room)
			break;
	}
	channel_leave(ch);
}

void
channel_drain(struct channel *ch)
{
	if (!ch->closed)
		on_readable(ch->fd, EV_READ, ch);
}

void
channel_pause(struct channel *ch, bool paused)
{
	if (ch->closed || ch->paused == paused)
		return;
	ch->paused = paused;
	if (paused)
		(void)event_del(ch->readable);
	else {
		(void)event_add(ch->readable, NULL);
		/* Frames may be waiting that no new octet will announce. */
		event_active(ch->readable, EV_READ, 0);
	}
}

/* -- life -- */

struct channel *
channel_create(struct event_base *base, int fd, enum role peer, uint32_t instance,
    const struct channel_rules *rules)
{
	struct channel *ch;

	if ((ch = calloc(1, sizeof(*ch))) == NULL)
		return NULL;
	ch->fd = -1;
	ch->peer = peer;
	ch->instance = instance;
	ch->rules = rules;
	TAILQ_INIT(&ch->out_fds);
	buf_init(&ch->in, READ_SIZE);
	buf_init(&ch->out, CHANNEL_MAX);
	ch->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ch);
	ch->writable = event_new(base, fd, EV_WRITE, channel_on_writable, ch);
	if (ch->readable == NULL || ch->writable == NULL || event_add(ch->readable, NULL) == -1) {
		channel_destroy(ch);
		errno = ENOMEM;
		return NULL;
	}
	ch->fd = fd;
	return ch;
}

void
channel_set_context(struct channel *ch, void *ctx)
{
	ch->ctx = ctx;
}

void *
channel_context(const struct channel *ch)
{
	return ch->ctx;
}

void
channel_set_tag(struct channel *ch, void *tag)
{
	ch->tag = tag;
}

void *
channel_tag(const struct channel *ch)
{
	return ch->tag;
}

enum role
channel_peer(const struct channel *ch)
{
	return ch->peer;
}

uint32_t
channel_instance(const struct channel *ch)
{
	return ch->instance;
}

size_t
channel_pending_bytes(const struct channel *ch)
{
	return ch->out.len;
}

/* SPDX-License-Identifier: ISC */
/*
 * Frames on their way out of a channel: gathered, then sent in as few calls
 * as descriptors allow, for each travels with the first octet of its frame.
 *
 * Invariant: no callback but those of pressure and pending is called from a
 * send; a peer that does not read is closed from the loop's top.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/ipc/channel_private.h"

/* How much may leave in one call: up to the next descriptor, which starts a call of its own. */
static size_t
out_extent(const struct channel *ch, struct out_fd **with)
{
	struct out_fd *first = TAILQ_FIRST(&ch->out_fds), *next;

	*with = NULL;
	if (first == NULL)
		return ch->out.len;
	if (first->at > ch->sent)
		return first->at - ch->sent;
	*with = first;
	next = TAILQ_NEXT(first, entry);
	return next == NULL ? ch->out.len : next->at - ch->sent;
}

static ssize_t
out_once(struct channel *ch)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.space = {0}};
	struct out_fd *with;
	size_t extent = out_extent(ch, &with);
	struct iovec iov = {ch->out.data + ch->out.head, extent};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t n;

	if (with != NULL) {
		mh.msg_control = control.space;
		mh.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &with->fd, sizeof(int));
	}
	n = sendmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 && with != NULL) {
		TAILQ_REMOVE(&ch->out_fds, with, entry);
		(void)close(with->fd);
		free(with);
	}
	return n;
}

static void
out_drop(struct channel *ch)
{
	struct out_fd *o;

	while ((o = TAILQ_FIRST(&ch->out_fds)) != NULL) {
		TAILQ_REMOVE(&ch->out_fds, o, entry);
		(void)close(o->fd);
		free(o);
	}
	ch->sent += ch->out.len;
	buf_consume(&ch->out, ch->out.len);
}

static void
channel_relieve(struct channel *ch)
{
	if (ch->out.len == 0 && ch->out.cap > CHANNEL_LOW)
		buf_free(&ch->out);
	if (!ch->high || ch->out.len > CHANNEL_LOW)
		return;
	ch->high = false;
	if (ch->rules->on_pressure != NULL)
		ch->rules->on_pressure(ch->ctx, ch, false);
}

void
channel_flush(struct channel *ch)
{
	ssize_t n;

	ch->pending = false;
	if (ch->closed)
		return;
	channel_enter(ch);
	while (ch->out.len > 0) {
		n = out_once(ch);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == ENOBUFS)) {
			(void)event_add(ch->writable, NULL);
			break;
		}
		if (n == -1) {
			/* What the peer wrote before it died is still to be read: that ends it. */
			out_drop(ch);
			break;
		}
		ch->sent += (uint64_t)n;
		buf_consume(&ch->out, (size_t)n);
	}
	channel_relieve(ch);
	channel_leave(ch);
}

void
channel_on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct channel *ch = arg;

	(void)sock;
	(void)what;
	if (ch->full)
		channel_reject(ch, "does not read");
	else
		channel_flush(ch);
}

static int
out_add_fd(struct channel *ch, int fd)
{
	struct out_fd *o;

	if ((o = malloc(sizeof(*o))) == NULL)
		return -1;
	*o = (struct out_fd){.at = ch->sent + ch->out.len, .fd = fd};
	TAILQ_INSERT_TAIL(&ch->out_fds, o, entry);
	return 0;
}

int
channel_send_fd(struct channel *ch, enum message_type type, const void *msg, int fd)
{
	bug_on(!message_allowed(type, ch->rules->self, ch->peer));
	bug_on(message_wants_fd(type) != (fd != -1));
	if (ch->closed || ch->full) {
		errno = EPIPE;
		goto fail;
	}
	if (fd != -1 && out_add_fd(ch, fd) == -1)
		goto fail;
	if (message_encode(type, msg, &ch->out) == -1) {
		struct out_fd *o = TAILQ_LAST(&ch->out_fds, out_fds_head);

		if (fd != -1 && o != NULL) {
			TAILQ_REMOVE(&ch->out_fds, o, entry);
			free(o);
		}
		/* A stream with a message missing is no stream: ENOMEM ends it as well. */
		if (errno != EINVAL) {
			ch->full = true;
			event_active(ch->writable, EV_WRITE, 0);
		}
		goto fail;
	}
	if (!ch->high && ch->out.len > CHANNEL_HIGH) {
		ch->high = true;
		if (ch->rules->on_pressure != NULL)
			ch->rules->on_pressure(ch->ctx, ch, true);
	}
	if (ch->rules->on_pending == NULL)
		channel_flush(ch);
	else if (!ch->pending) {
		ch->pending = true;
		ch->rules->on_pending(ch->ctx, ch);
	}
	return 0;
fail:
	if (fd != -1)
		(void)close(fd);
	return -1;
}

int
channel_send(struct channel *ch, enum message_type type, const void *msg)
{
	return channel_send_fd(ch, type, msg, -1);
}

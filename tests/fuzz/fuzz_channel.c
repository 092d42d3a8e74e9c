/* SPDX-License-Identifier: ISC */
/*
 * A peer process in wrong hands: octets and descriptors, in pieces of any
 * size, arrive at a channel whose handlers answer, reject, pause and free.
 *
 * The input is a list of pieces: one octet of flags (how many descriptors
 * come along, whether to let the loop run, whether to close), one of length,
 * then the octets.  No descriptor may be left over, whatever happens.
 */
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/ipc/channel.h"

#define PIECE_FDS   0x0f /* this many descriptors */
#define PIECE_TURN  0x10 /* the loop runs after it */
#define PIECE_LONG  0x20 /* the length counts 64 octets each */
#define PIECE_CLOSE 0x40 /* the peer is gone after it */

struct subject {
	struct event_base *base;
	struct channel *ch;
	unsigned int handled;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	if (dir == NULL)
		abort();
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void
on_close(void *ctx, struct channel *ch)
{
	struct subject *s = ctx;

	if (s->ch != ch)
		abort();
	s->ch = NULL;
	channel_free(ch);
}

/* Different things in turn: answer, stop reading, refuse, and leave in the middle of it. */
static void
on_any(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_stats_end to_control = {.req = msg->req};
	const struct msg_log to_parent = {.req = msg->req, .line = "heard"};
	struct subject *s = ctx;

	if (fd != -1 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		abort();
	if (fd != -1)
		(void)close(fd);
	s->handled++;
	switch (msg->req % 8) {
	case 0:
		if (channel_peer(ch) == ROLE_CONTROL)
			(void)channel_send(ch, MSG_stats_end, &to_control);
		else
			(void)channel_send(ch, MSG_log, &to_parent);
		break;
	case 1:
		channel_pause(ch, true);
		break;
	case 2:
		channel_reject(ch, "because");
		break;
	case 3:
		s->ch = NULL;
		channel_free(ch);
		break;
	default:
		break;
	}
}

static void
quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void
send_piece(int fd, const uint8_t *octets, size_t n, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * PIECE_FDS)];
	} control = {.space = {0}};
	struct iovec iov = {(void *)(uintptr_t)octets, n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	size_t i;

	if (nfds > 0) {
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	}
	(void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
turn(struct subject *s)
{
	(void)event_base_loop(s->base, EVLOOP_NONBLOCK);
	if (s->ch != NULL)
		channel_pause(s->ch, false);
}

static void
play(struct subject *s, int fd, const uint8_t *data, size_t size)
{
	while (size >= 2) {
		uint8_t flags = data[0];
		size_t n = (size_t)data[1] * (flags & PIECE_LONG ? 64 : 1);

		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		if (n > 0)
			send_piece(fd, data, n, flags & PIECE_FDS);
		data += n;
		size -= n;
		if (flags & PIECE_TURN)
			turn(s);
		if (flags & PIECE_CLOSE)
			(void)shutdown(fd, SHUT_RDWR);
	}
	turn(s);
	turn(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static channel_handler handlers[MSG__MAX];
	const struct channel_rules rules = {
	    .self = ROLE_SESSION, .handlers = handlers, .on_close = on_close};
	struct subject s = {0};
	size_t before, i;
	int pair[2];

	log_set_sink(quiet, NULL);
	for (i = 0; i < MSG__MAX; i++)
		handlers[i] = on_any;
	before = open_descriptors();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1 ||
	    (s.base = event_base_new()) == NULL ||
	    (s.ch = channel_create(
		 s.base, pair[0], size % 2 ? ROLE_PARENT : ROLE_CONTROL, 0, &rules)) == NULL)
		abort();
	channel_set_context(s.ch, &s);
	play(&s, pair[1], data, size);
	channel_free(s.ch);
	(void)close(pair[1]);
	event_base_free(s.base);
	if (open_descriptors() != before)
		abort();
	return 0;
}

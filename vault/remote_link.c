/* SPDX-License-Identifier: ISC */
/*
 * One connection to a back end: asked of the parent, read and written by
 * recvmsg(2) and sendmsg(2) when the loop says so.
 *
 * Invariant: at most line_max octets of input are held, and what waits to go out is
 * bounded by the questions that may be under way.  Nothing is fatal.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vault/remote_private.h"

#define PARENT_MS 5000 /* for the parent's answer; it never waits for a connection */
#define OUT_MAX	  ((size_t)REMOTE_WAITING_MAX * DOVECOT_LINE_MAX)

void
link_init(struct remote_link *l, struct remote_table *t)
{
	l->table = t;
	l->fd = -1;
	TAILQ_INIT(&l->questions);
	buf_init(&l->in, t->protocol->line_max + 1);
	buf_init(&l->out, OUT_MAX);
}

void
link_down(struct remote_link *l)
{
	if (l->state == REMOTE_ASKED)
		ask_end(l->table->remotes->asks, l->req);
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->writable != NULL)
		event_free(l->writable);
	l->readable = l->writable = NULL;
	if (l->fd != -1)
		(void)close(l->fd);
	l->fd = -1;
	buf_free(&l->in);
	buf_free(&l->out);
	l->state = REMOTE_DOWN;
	l->req = 0;
	l->ready = false;
	l->greetings = 0;
	l->offers = 0;
	l->answers = 0;
}

void
link_lose(struct remote_link *l, const char *why)
{
	/* A helper may close when it has answered; and while it waits for a question. */
	if (why == NULL && (!l->ready || l->nquestions > 0))
		why = "it closed the connection";
	table_lost_link(l->table, l, why);
}

/* -- out -- */

int
link_write(struct remote_link *l, const void *data, size_t len)
{
	if (buf_append(&l->out, data, len) == -1)
		return -1;
	return event_add(l->writable, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct remote_link *l = arg;
	struct iovec iov = {.iov_len = l->out.len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	(void)what;
	if (l->out.len == 0)
		return;
	iov.iov_base = (void *)(uintptr_t)buf_head(&l->out);
	n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		link_lose(l, NULL);
		return;
	}
	if (n > 0)
		buf_consume(&l->out, (size_t)n);
	if (l->out.len > 0)
		(void)event_add(l->writable, NULL);
	else
		buf_free(&l->out);
}

/* -- in -- */

/* The first line of the input, copied and consumed; false: there is none yet. */
static bool
take_line(struct remote_link *l, char *line, size_t *len)
{
	const uint8_t *head = buf_head(&l->in);
	const uint8_t *end = l->in.len == 0 ? NULL : memchr(head, '\n', l->in.len);

	if (end == NULL)
		return false;
	*len = (size_t)(end - head);
	memcpy(line, head, *len);
	line[*len] = '\0';
	buf_consume(&l->in, *len + 1);
	return true;
}

static void
take_lines(struct remote_link *l)
{
	char line[HELPER_LINE_MAX + 1];
	const char *wrong;
	size_t len;

	/* A question's end can be this connection's.  Dovecot repeats tokens in its answers. */
	while (l->state == REMOTE_UP && take_line(l, line, &len)) {
		wrong = l->table->protocol->take(l, line, len);
		explicit_bzero(line, len);
		if (wrong != NULL) {
			link_lose(l, wrong);
			return;
		}
	}
	if (l->state != REMOTE_UP)
		return;
	if (l->in.len > l->table->protocol->line_max) {
		link_lose(l, "it says too long a line");
		return;
	}
	if (l->in.len == 0)
		buf_free(&l->in);
	table_work(l->table);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct remote_link *l = arg;
	size_t room = l->in.max - l->in.len;
	struct iovec iov = {.iov_len = room};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	(void)what;
	if ((iov.iov_base = buf_reserve(&l->in, room)) == NULL) {
		link_lose(l, "out of memory");
		return;
	}
	n = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		link_lose(l, NULL);
		return;
	}
	l->heard_ms = l->table->remotes->now_ms;
	buf_commit(&l->in, (size_t)n);
	take_lines(l);
}

/* -- up -- */

static void
on_refused(void *owner, uint32_t req, enum ask_failure why)
{
	struct remote_link *l = owner;

	(void)req;
	(void)why;
	l->req = 0;
	link_lose(l, "the parent does not answer");
}

int
link_ask(struct remote_link *l)
{
	struct remotes *r = l->table->remotes;
	struct msg_helper_get m = {.table = l->table->name};

	m.req = ask_begin(r->asks, r->parent, r->now_ms + PARENT_MS, on_refused, l);
	if (m.req == 0)
		return -1;
	/* Lost with the parent: the question ends by its deadline. */
	(void)channel_send(r->parent, MSG_helper_get, &m);
	l->state = REMOTE_ASKED;
	l->req = m.req;
	return 0;
}

void
link_up(struct remote_link *l, int fd)
{
	struct remotes *r = l->table->remotes;

	l->req = 0;
	l->state = REMOTE_UP;
	l->fd = fd;
	l->greet_ms = r->now_ms + REMOTE_DEADLINE_MS;
	l->heard_ms = r->now_ms;
	l->readable = event_new(r->base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->writable = event_new(r->base, fd, EV_WRITE, on_writable, l);
	if (l->readable == NULL || l->writable == NULL || event_add(l->readable, NULL) == -1 ||
	    l->table->protocol->greet(&l->out) == -1 || event_add(l->writable, NULL) == -1) {
		link_lose(l, "out of memory");
		return;
	}
	l->ready = !l->table->protocol->greets;
	table_work(l->table);
}

struct remote_question *
link_question(struct remote_link *l, uint32_t id)
{
	struct remote_question *q;

	TAILQ_FOREACH (q, &l->questions, entry)
		if (q->id == id)
			return q;
	return NULL;
}

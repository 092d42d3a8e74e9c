/* SPDX-License-Identifier: ISC */
/*
 * smtpctl's connection to the server.
 *
 * Invariant: only messages that the table lets smtpd-control send, with all
 * their bounds, reach a caller.  Every request may be asked twice without
 * harm, which is why a lost connection is made again once.
 */
#include "control/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/smtpctl_text.h"
#include "lib/base/str.h"

#define CONNECT_WAIT_S 10
#define ANSWER_WAIT_S  90

enum talk { TALK_OVER, TALK_LOST, TALK_FAILED };

void
client_init(struct client *c, const char *path)
{
	*c = (struct client){.path = path, .fd = -1, .wait_s = ANSWER_WAIT_S};
	buf_init(&c->in, MSG_FRAME_MAX);
	buf_init(&c->out, MSG_FRAME_MAX);
}

static void
client_close(struct client *c)
{
	if (c->fd != -1)
		(void)close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
}

void
client_free(struct client *c)
{
	client_close(c);
	buf_free(&c->out);
}

static int
connect_failed(const struct client *c, int error)
{
	const char *why = strerror(error);

	if (error == EACCES || error == EPERM) {
		text_complain(
		    "permission denied (%s): you are not an admin of this server", c->path);
		return EXIT_REFUSED;
	}
	if (error == EAGAIN || error == ETIMEDOUT)
		text_complain("the server does not answer (%s)", c->path);
	else
		text_complain("the server is not running (%s: %s)", c->path, why);
	return EXIT_TEMPFAIL;
}

static int
client_connect(struct client *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const struct timeval sending = {CONNECT_WAIT_S, 0};

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), c->path) == -1) {
		text_complain("%s: too long for the name of a socket", c->path);
		return EXIT_USAGE;
	}
	if ((c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return connect_failed(c, errno);
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &sending, sizeof(sending)) == -1 ||
	    connect(c->fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1) {
		int error = errno;

		client_close(c);
		return connect_failed(c, error);
	}
	return EXIT_OK;
}

static enum talk
send_question(struct client *c)
{
	const struct timeval answer = {(time_t)c->wait_s, 0};
	const uint8_t *p = buf_head(&c->out);
	size_t left = c->out.len;
	ssize_t n;

	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &answer, sizeof(answer)) == -1)
		return TALK_LOST;
	while (left > 0) {
		n = send(c->fd, p, left, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return TALK_LOST;
		p += n;
		left -= (size_t)n;
	}
	return TALK_OVER;
}

static enum talk
receive(struct client *c)
{
	size_t room = MSG_FRAME_MAX - c->in.len;
	uint8_t *p = buf_reserve(&c->in, room);
	ssize_t n;

	if (p == NULL) {
		text_complain("out of memory");
		return TALK_FAILED;
	}
	do {
		n = recv(c->fd, p, room, 0);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		text_complain("the server does not answer (%s)", c->path);
		return TALK_FAILED;
	}
	if (n <= 0)
		return TALK_LOST;
	buf_commit(&c->in, (size_t)n);
	return TALK_OVER;
}

/* Waits for a whole frame and decodes it. */
static enum talk
next_answer(struct client *c, struct message_header *h, union message *msg)
{
	enum talk talk;
	int more;

	while ((more = message_header(buf_head(&c->in), c->in.len, h)) == 1)
		if ((talk = receive(c)) != TALK_OVER)
			return talk;
	if (more == -1 || !message_allowed(h->type, ROLE_CONTROL, ROLE_ADMIN) ||
	    message_decode(h, buf_head(&c->in), msg) == -1) {
		text_complain(
		    "%s speaks another language: is it a server of this version?", c->path);
		return TALK_FAILED;
	}
	return TALK_OVER;
}

int
client_outcome(enum ipc_outcome outcome, const char *text)
{
	static const struct {
		const char *text;
		int status;
	} meanings[IPC_OUTCOME__MAX] = {
	    [IPC_OK] = {"", EXIT_OK},
	    [IPC_RETRY] = {"the server can't do that just now; try again", EXIT_TEMPFAIL},
	    [IPC_FAIL] = {"the server refused", EXIT_REFUSED},
	    [IPC_FULL] = {"the server's disk is full", EXIT_TEMPFAIL},
	    [IPC_GONE] = {"no such message", EXIT_REFUSED},
	    [IPC_DENIED] = {"you may not do that", EXIT_REFUSED},
	};

	if (outcome != IPC_OK)
		text_complain("%s", text[0] != '\0' ? text : meanings[outcome].text);
	return meanings[outcome].status;
}

/* The answers to the question just sent; *any when there was one at least. */
static enum talk
hear(struct client *c, client_answer on_answer, void *arg, bool *any, int *status)
{
	struct message_header h;
	union message msg;
	enum talk talk;
	bool last = false;

	while (!last) {
		if ((talk = next_answer(c, &h, &msg)) != TALK_OVER)
			return talk;
		*any = true;
		if (h.type == MSG_done && (h.req == c->req || msg.done.outcome == IPC_DENIED)) {
			*status = client_outcome((enum ipc_outcome)msg.done.outcome, msg.done.text);
			last = true;
		} else if (h.req == c->req) {
			last = on_answer != NULL && on_answer(arg, h.type, &msg);
		}
		buf_consume(&c->in, h.length);
	}
	return TALK_OVER;
}

int
client_ask(
    struct client *c, enum message_type question, void *msg, client_answer on_answer, void *arg)
{
	int status = EXIT_OK, attempt;
	bool any = false;
	enum talk talk = TALK_LOST;

	*(uint32_t *)msg = ++c->req; /* every message begins with it */
	buf_consume(&c->out, c->out.len);
	if (message_encode(question, msg, &c->out) == -1) {
		text_complain("out of memory");
		return EXIT_TEMPFAIL;
	}
	for (attempt = 0; attempt < 2 && talk == TALK_LOST && !any; attempt++) {
		if (c->fd == -1 && (status = client_connect(c)) != EXIT_OK)
			return status;
		/* A server that turns us away has told us why before it closed. */
		(void)send_question(c);
		talk = hear(c, on_answer, arg, &any, &status);
		if (talk != TALK_OVER)
			client_close(c);
	}
	if (talk == TALK_LOST)
		text_complain("the server closed the connection (%s)", c->path);
	return talk == TALK_OVER ? status : EXIT_TEMPFAIL;
}

/* SPDX-License-Identifier: ISC */
/*
 * The client of latency.py, rcpt.py and idle.py: many SMTP sessions from one
 * thread, so light that the server has the processors.
 *
 * It keeps so many sessions busy for so long, one message a connection, and
 * writes how long each took from connect to the last 250, in microseconds, a
 * line each; the first failure ends it.  With -u it says RCPT instead, for one
 * of so many users taken at random, and writes how long each answer took.  With
 * -i it opens so many, says EHLO, writes "held N", waits for the end of its
 * standard input and writes "alive N": how many still answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "tests/bench/common.h"

#define SESSIONS_MAX 100000
#define SECONDS_MAX  600
#define MESSAGE_MAX  16384	/* always taken whole by an empty socket */
#define SAMPLES_MAX  (1U << 22) /* then it ends early */
#define REPLY_MAX    2048	/* octets of one reply */
#define OPENING_MAX  64		/* idle sessions that are not greeted yet: a backlog holds them */
#define PATIENCE_MS  30000	/* without any answer at all */
#define DESCRIPTORS  32		/* that are not sessions */
#define EVENTS_MAX   256

#define RCPTS	     100 /* of one transaction */

enum mode { MESSAGES, RECIPIENTS, IDLE };
enum act { SAY, SAY_MESSAGE, SAY_RCPT, NEXT_RCPT, HOLD, END };

struct step { /* what is awaited, and what is done when it came */
	int code;
	enum act act;
	const char *text;
};

/* clang-format off */
static const struct step message_script[] = {
	{220, SAY, "EHLO client.test\r\n"},
	{250, SAY, "MAIL FROM:<you@example.net>\r\n"},
	{250, SAY, "RCPT TO:<demo@example.org>\r\n"},
	{250, SAY, "DATA\r\n"},
	{354, SAY_MESSAGE, NULL},
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
static const struct step rcpt_script[] = {
	{220, SAY, "EHLO client.test\r\n"},
	{250, SAY, "MAIL FROM:<you@example.net>\r\n"},
	{250, SAY_RCPT, NULL},
	{250, NEXT_RCPT, NULL},
	{221, END, NULL},
};
static const struct step idle_script[] = {
	{220, SAY, "EHLO client.test\r\n"},
	{250, HOLD, NULL},	/* on the other side of the hold: NOOP */
	{250, SAY, "QUIT\r\n"},
	{221, END, NULL},
};
/* clang-format on */
#define MESSAGE_TAKEN 5 /* step of message_script whose reply ends the measured time */
#define SAY_MAIL      1 /* steps of rcpt_script */
#define RCPT_TAKEN    3
#define NOOP_ANSWERED 2 /* step of idle_script */

struct client {
	int fd;		  /* -1: none */
	bool waiting;	  /* for a reply */
	size_t step, nin; /* nin: octets of the reply so far */
	size_t nrcpts;	  /* of this transaction */
	uint64_t started_ns;
	char in[REPLY_MAX];
};

struct load {
	/* as asked */
	enum mode mode;
	uint64_t nclients, seconds, size, nusers;
	uint16_t port;
	/* as it goes */
	int epoll;
	const struct step *script;
	struct client *clients;
	size_t opened, waiting, held, alive, failed; /* waiting: clients that do */
	uint64_t end_ns;
	char message[MESSAGE_MAX + 8];
	size_t message_len;
	uint32_t *samples_us;
	size_t nsamples;
};

/* -- one client -- */

static void
client_close(struct load *l, struct client *c)
{
	if (c->fd != -1)
		(void)close(c->fd);
	if (c->waiting)
		l->waiting--;
	c->fd = -1;
	c->waiting = false;
}

static void
client_fail(struct load *l, struct client *c, const char *why)
{
	if (l->failed++ == 0)
		log_warn("session %zu failed at step %zu: %s: %.*s", (size_t)(c - l->clients),
		    c->step, why, (int)strcspn(c->in, "\r\n"), c->in);
	if (!c->waiting)
		l->held--;
	client_close(l, c);
}

static void
client_open(struct load *l, struct client *c)
{
	struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};

	*c = (struct client){.waiting = true, .started_ns = now_ns()};
	l->waiting++;
	c->fd = client_connect((size_t)(c - l->clients), l->port);
	if (c->fd == -1 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &want) == -1)
		client_fail(l, c, strerror(errno));
}

static void
client_say(struct load *l, struct client *c, const char *text, size_t len)
{
	if (send(c->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		client_fail(l, c, "what was said was not taken");
}

/* After the last 250 has come, or the greeting of an idle one: another takes its turn. */
static void
client_next(struct load *l, struct client *c)
{
	if (l->mode == IDLE) {
		if (l->opened < l->nclients)
			client_open(l, &l->clients[l->opened++]);
	} else if (now_ns() < l->end_ns && l->nsamples < SAMPLES_MAX)
		client_open(l, c);
}

static void
client_sample(struct load *l, const struct client *c)
{
	uint64_t us = (now_ns() - c->started_ns) / 1000;

	if (l->nsamples < SAMPLES_MAX)
		l->samples_us[l->nsamples++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void
client_say_rcpt(struct load *l, struct client *c)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "RCPT TO:<user%" PRIu64 "@example.org>\r\n",
	    (uint64_t)random() % l->nusers);

	c->started_ns = now_ns();
	client_say(l, c, text, (size_t)n);
}

/* One more of this transaction, another transaction, or the end. */
static void
client_next_rcpt(struct load *l, struct client *c)
{
	static const char rset[] = "RSET\r\n", quit[] = "QUIT\r\n";

	if (now_ns() >= l->end_ns || l->nsamples == SAMPLES_MAX) {
		client_say(l, c, quit, strlen(quit));
	} else if (++c->nrcpts == RCPTS) {
		c->nrcpts = 0;
		c->step = SAY_MAIL;
		client_say(l, c, rset, strlen(rset));
	} else {
		c->step = RCPT_TAKEN;
		client_say_rcpt(l, c);
	}
}

/* The replies that are counted, or end a measured time. */
static void
client_count(struct load *l, const struct client *c)
{
	if ((l->mode == MESSAGES && c->step == MESSAGE_TAKEN) ||
	    (l->mode == RECIPIENTS && c->step == RCPT_TAKEN))
		client_sample(l, c);
	if (l->mode == IDLE && c->step == NOOP_ANSWERED)
		l->alive++;
}

static void
client_act(struct load *l, struct client *c)
{
	const struct step *step = &l->script[c->step];

	client_count(l, c);
	c->step++;
	switch (step->act) {
	case SAY:
		client_say(l, c, step->text, strlen(step->text));
		break;
	case SAY_MESSAGE:
		client_say(l, c, l->message, l->message_len);
		break;
	case SAY_RCPT:
		client_say_rcpt(l, c);
		break;
	case NEXT_RCPT:
		client_next_rcpt(l, c);
		break;
	case HOLD:
		c->waiting = false;
		l->waiting--;
		l->held++;
		client_next(l, c);
		break;
	case END:
		client_close(l, c);
		if (l->mode != IDLE)
			client_next(l, c);
		break;
	}
}

static void
client_read(struct load *l, struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->nin, sizeof(c->in) - 1 - c->nin, 0);
	int code = 0;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_fail(l, c, n == 0 ? "closed, or a reply too long" : strerror(errno));
		return;
	}
	c->nin += (size_t)n;
	c->in[c->nin] = '\0';
	if (!reply_whole(c->in, c->nin, &code))
		return;
	if (code != l->script[c->step].code) {
		client_fail(l, c, "unexpected reply");
		return;
	}
	c->nin = 0;
	client_act(l, c);
}

/* -- all of them -- */

/* Until nobody waits for a reply any more, or a busy one has failed. */
static void
load_run(struct load *l)
{
	struct epoll_event ready[EVENTS_MAX];
	int i, n;

	while (l->waiting > 0 && (l->mode == IDLE || l->failed == 0)) {
		n = epoll_wait(l->epoll, ready, EVENTS_MAX, PATIENCE_MS);
		if (n == 0 || (n == -1 && errno != EINTR)) {
			log_warn("%zu sessions: %s", l->waiting,
			    n == 0 ? "no answer in time" : strerror(errno));
			l->failed += l->waiting;
			return;
		}
		for (i = 0; i < n; i++)
			client_read(l, ready[i].data.ptr);
	}
}

static void
load_open(struct load *l, size_t n)
{
	while (l->opened < n)
		client_open(l, &l->clients[l->opened++]);
	load_run(l);
}

static int
run_busy(struct load *l)
{
	size_t i;

	l->script = l->mode == RECIPIENTS ? rcpt_script : message_script;
	l->end_ns = now_ns() + l->seconds * NS_PER_S;
	load_open(l, l->nclients);
	for (i = 0; i < l->nsamples; i++)
		(void)printf("%" PRIu32 "\n", l->samples_us[i]);
	return l->failed > 0;
}

static int
run_idle(struct load *l)
{
	char c;
	size_t i;

	l->script = idle_script;
	load_open(l, l->nclients < OPENING_MAX ? l->nclients : OPENING_MAX);
	(void)printf("held %zu\n", l->held);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	for (i = 0; i < l->opened; i++) {
		if (l->clients[i].fd == -1)
			continue;
		l->clients[i].waiting = true;
		l->waiting++;
		client_say(l, &l->clients[i], "NOOP\r\n", strlen("NOOP\r\n"));
	}
	load_run(l);
	(void)printf("alive %zu\n", l->alive);
	return 0;
}

static void
message_make(struct load *l)
{
	static const char line[] =
	    "A line such as people write, and as long as they are in most mail there is.\r\n";
	int n = snprintf(l->message, sizeof(l->message), "Subject: latency\r\n\r\n");
	size_t len = (size_t)n;

	for (; len + strlen(line) <= l->size; len += strlen(line))
		memcpy(l->message + len, line, strlen(line));
	memcpy(l->message + len, ".\r\n", 3);
	l->message_len = len + 3;
}

static void __attribute__((noreturn)) usage(void)
{
	(void)fputs(
	    "usage: bench-client [-i | -u users] [-n sessions] [-t seconds] [-l octets] port\n",
	    stderr);
	exit(2);
}

static void
options(struct load *l, int argc, char **argv)
{
	uint64_t port;
	int c, bad = 0;

	while ((c = getopt(argc, argv, "il:n:t:u:")) != -1) {
		if (c == 'i')
			l->mode = IDLE;
		else if (c == 'u') {
			l->mode = RECIPIENTS;
			bad |= str_u64(optarg, 1, UINT32_MAX, &l->nusers);
		} else if (c == 'l')
			bad |= str_u64(optarg, 100, MESSAGE_MAX, &l->size);
		else if (c == 'n')
			bad |= str_u64(optarg, 1, SESSIONS_MAX, &l->nclients);
		else if (c == 't')
			bad |= str_u64(optarg, 1, SECONDS_MAX, &l->seconds);
		else
			usage();
	}
	if (bad != 0 || optind + 1 != argc || str_u64(argv[optind], 1, UINT16_MAX, &port) == -1)
		usage();
	l->port = (uint16_t)port;
}

int
main(int argc, char **argv)
{
	static struct load l = {.nclients = 1, .seconds = 1, .size = 4096};

	log_set_name("bench-client");
	options(&l, argc, argv);
	descriptors_raise(l.nclients + DESCRIPTORS);
	message_make(&l);
	l.clients = calloc(l.nclients, sizeof(*l.clients));
	l.samples_us = l.mode == IDLE ? NULL : calloc(SAMPLES_MAX, sizeof(*l.samples_us));
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.clients == NULL || (l.samples_us == NULL && l.mode != IDLE) || l.epoll == -1)
		fatal("start: %s", strerror(errno));
	return l.mode == IDLE ? run_idle(&l) : run_busy(&l);
}

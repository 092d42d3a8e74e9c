/* SPDX-License-Identifier: ISC */
/*
 * smtpd-agent: puts mail into one mailbox, as its owner, confined to it.
 *
 * Invariants: OK is answered only after the message and its name are durable;
 * all messages that became whole in one turn of the loop share the sync of
 * the directory.  A message that can't be stored is answered RETRY and leaves
 * nothing.  Fatal: a mailbox that can't be opened, and being root.
 */
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "delivery/agent_maildir.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lib/service/service.h"

#define LETTERS_MAX 32 /* under way at once; smtpd-delivery keeps to fewer */
#define TRACE_MAX   (2 * IPC_ADDRESS_MAX + 64)

struct letter { /* owned by the agent, in one of its lists */
	TAILQ_ENTRY(letter) entry;
	uint32_t req;
	int error; /* errno of the first thing that failed */
	struct maildir_file file;
};
TAILQ_HEAD(letters, letter);

struct agent {
	struct service *service;
	struct channel *delivery; /* NULL before it is linked */
	char path[IPC_PATH_MAX + 1];
	struct maildir maildir;
	struct letters open, whole; /* whole: stored, waiting for the sync of this turn */
	size_t nletters;
};

static int64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* -- verdicts -- */

static void
send_verdict(struct channel *ch, uint32_t req, int error)
{
	static const struct {
		int error;
		const char *status, *text;
	} rows[] = {
	    {EDQUOT, "4.2.2", "mailbox is over its quota"},
	    {EFBIG, "4.2.2", "message is larger than a file may be"},
	    {ENOSPC, "4.3.1", "file system of the mailbox is full"},
	};
	struct msg_put_verdict m = {.req = req, .outcome = IPC_RETRY, .status = "4.2.0"};
	char text[IPC_NAME_MAX];
	size_t i;

	(void)snprintf(text, sizeof(text), "mailbox: %s", strerror(error));
	m.text = text;
	for (i = 0; i < NITEMS(rows); i++)
		if (rows[i].error == error) {
			m.status = rows[i].status;
			m.text = rows[i].text;
		}
	if (error == 0) {
		m.outcome = IPC_OK;
		m.status = "2.1.5";
		m.text = "delivered to maildir";
	}
	(void)channel_send(ch, MSG_put_verdict, &m);
}

/* -- messages -- */

static struct letter *
letter_find(struct agent *a, uint32_t req)
{
	struct letter *l;

	for (l = TAILQ_FIRST(&a->open); l != NULL; l = TAILQ_NEXT(l, entry))
		if (l->req == req)
			return l;
	return NULL;
}

static void
letter_free(struct agent *a, struct letters *list, struct letter *l)
{
	TAILQ_REMOVE(list, l, entry);
	a->nletters--;
	maildir_file_abandon(&a->maildir, &l->file);
	free(l);
}

static void
letter_write(struct agent *a, struct letter *l, const void *data, size_t n)
{
	if (l->error != 0)
		return;
	if (maildir_file_append(&l->file, data, n) == 0)
		return;
	l->error = errno;
	maildir_file_abandon(&a->maildir, &l->file);
}

/* An address goes into the header as it came: no control character may come with it. */
static bool
is_header_safe(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* RFC 5321 4.4: the last hop records the reverse-path. */
static void
letter_begin(struct agent *a, struct letter *l, const struct msg_put *m)
{
	char trace[TRACE_MAX];

	if (maildir_file_begin(&a->maildir, &l->file, now_us()) == -1) {
		l->error = errno;
		return;
	}
	l->file.lines.off = (m->flags & IPC_FLAG_BINARYMIME) != 0;
	if (str_format(trace, sizeof(trace), "Return-Path: <%s>\r\nDelivered-To: %s\r\n", m->sender,
		m->rcpt) == -1)
		l->error = errno;
	letter_write(a, l, trace, strlen(trace));
}

static void
on_put(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = ctx;
	const struct msg_put *m = &msg->put;
	struct letter *l;

	(void)fd;
	if (a->nletters >= LETTERS_MAX || letter_find(a, m->req) != NULL) {
		channel_reject(ch, "too many messages, or one twice");
		return;
	}
	if (!is_header_safe(m->sender) || !is_header_safe(m->rcpt)) {
		channel_reject(ch, "control characters in an address");
		return;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		channel_reject(ch, "out of memory");
		return;
	}
	l->req = m->req;
	TAILQ_INSERT_TAIL(&a->open, l, entry);
	a->nletters++;
	letter_begin(a, l, m);
}

static void
on_put_chunk(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct letter *l = letter_find(ctx, msg->req);

	(void)fd;
	if (l == NULL)
		channel_reject(ch, "a chunk of no message");
	else
		letter_write(ctx, l, msg->put_chunk.data.data, msg->put_chunk.data.len);
}

static void
on_put_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = ctx;
	struct letter *l = letter_find(a, msg->req);

	(void)fd;
	if (l == NULL) {
		channel_reject(ch, "the end of no message");
		return;
	}
	if (!msg->put_end.ok) {
		letter_free(a, &a->open, l);
		return;
	}
	if (l->error == 0 && maildir_file_finish(&a->maildir, &l->file) == -1)
		l->error = errno;
	if (l->error != 0) {
		send_verdict(ch, l->req, l->error);
		letter_free(a, &a->open, l);
		return;
	}
	TAILQ_REMOVE(&a->open, l, entry);
	TAILQ_INSERT_TAIL(&a->whole, l, entry);
}

/* After a failed sync nobody can say what the next one would prove: this agent ends. */
static void
on_turn(void *ctx)
{
	struct agent *a = ctx;
	struct letter *l;
	int error = 0;

	if (TAILQ_EMPTY(&a->whole))
		return;
	if (maildir_sync(&a->maildir) == -1) {
		error = errno;
		log_warn("event=sync-failed error=\"%s\"", strerror(error));
		service_stop(a->service);
	}
	while ((l = TAILQ_FIRST(&a->whole)) != NULL) {
		if (a->delivery != NULL)
			send_verdict(a->delivery, l->req, error);
		letter_free(a, &a->whole, l);
	}
}

/* -- life -- */

static void
on_mailbox(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct agent *a = ctx;

	(void)ch;
	(void)fd;
	if (str_copy(a->path, sizeof(a->path), msg->mailbox.path) == -1)
		fatal("event=mailbox-path-too-long");
}

/* From the directory that it stands in; the error is the caller's to log. */
static int
open_below(struct maildir *m, const char *path)
{
	int base_fd, rc, error;

	if ((base_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	rc = maildir_open(m, base_fd, path);
	error = errno;
	(void)close(base_fd);
	errno = error;
	return rc;
}

/* As the account already, not yet confined: the mailbox is what it will be confined to. */
static int
open_dir(void *ctx)
{
	struct agent *a = ctx;
	int error;

	if (getuid() == 0 || geteuid() == 0) {
		log_warn("event=agent-refused why=\"mail is never delivered as root\"");
		errno = EPERM;
		return -1;
	}
	if (!mailbox_path_valid(a->path)) {
		errno = EINVAL;
		return -1;
	}
	if (open_below(&a->maildir, a->path) == -1) {
		struct logline l;

		error = errno;
		logline_start(&l, LOG_LEVEL_WARN, "mailbox-not-opened");
		logline_str(&l, "path", a->path);
		logline_str(&l, "error", strerror(error));
		logline_end(&l);
		errno = error;
		return -1;
	}
	return a->maildir.fd;
}

static void
on_link(void *ctx, struct channel *ch)
{
	struct agent *a = ctx;

	a->delivery = ch;
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct agent *a = ctx;
	struct letter *l;

	(void)ch;
	a->delivery = NULL;
	while ((l = TAILQ_FIRST(&a->open)) != NULL)
		letter_free(a, &a->open, l);
	service_stop(a->service);
}

/* smtpd-delivery closes the channel when it has seen the verdicts it waits for. */
static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct agent *a = ctx;

	(void)deadline_ms;
	if (a->delivery == NULL)
		service_stop(a->service);
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_mailbox] = on_mailbox,
    [MSG_put] = on_put,
    [MSG_put_chunk] = on_put_chunk,
    [MSG_put_end] = on_put_end,
};

static const struct service_program program = {
    .role = ROLE_AGENT,
    .handlers = handlers,
    .open_dir = open_dir,
    .on_link = on_link,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_drain = on_drain,
};

static struct agent agent = {
    .maildir = {.fd = -1, .tmp_fd = -1, .new_fd = -1},
    .open = TAILQ_HEAD_INITIALIZER(agent.open),
    .whole = TAILQ_HEAD_INITIALIZER(agent.whole),
};

int
main(void)
{
	return service_main(&program, &agent, &agent.service);
}

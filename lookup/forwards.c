/* SPDX-License-Identifier: ISC */
/*
 * .forward files: asked of the parent, read here, remembered in a memo.
 *
 * Invariant: each entry that the memo asks for has one question, which is answered
 * however it ends; no more of them are with the parent at once than it has hands
 * for, the others wait in line.  What a file holds is not looked at here.  Nothing
 * is fatal.
 */
#include "lookup/forwards.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/service/service.h"
#include "lookup/file.h"
#include "lookup/forward.h"

#define QUESTION_MS 45000 /* the parent itself waits for home directories */
#define ASKED_MAX   16	  /* questions that the parent has at once */
#define GOOD_MS	    5000

TAILQ_HEAD(questions, question);

struct question { /* owned by forwards: in waiting while req is 0, then by its req */
	TAILQ_ENTRY(question) entry;
	struct forwards *forwards;
	struct memo_entry *about;
	uint32_t req;
};

struct forwards {
	struct service *const *service;
	struct memo *memo;
	struct questions waiting, asked;
	size_t nasked;
	bool is_asking;
};

/* The key is "user" or "user\nuserbase". */
static int
split_key(const char *key, struct msg_forward_get *m, char user[IPC_WORD_MAX + 1])
{
	size_t n = strcspn(key, "\n");

	if (n > IPC_WORD_MAX)
		return -1;
	memcpy(user, key, n);
	user[n] = '\0';
	m->user = user;
	m->userbase = key[n] == '\n' ? key + n + 1 : "";
	return 0;
}

/* -- questions -- */

/* It is over; what is answered is the caller's. */
static struct memo_entry *
question_free(struct question *q)
{
	struct forwards *f = q->forwards;
	struct memo_entry *about = q->about;

	TAILQ_REMOVE(q->req == 0 ? &f->waiting : &f->asked, q, entry);
	f->nasked -= q->req != 0;
	ask_end(service_asks(*f->service), q->req);
	free(q);
	return about;
}

static void ask_waiting(struct forwards *f);

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct question *q = owner;
	struct forwards *f = q->forwards;

	(void)req;
	(void)why;
	memo_answer(question_free(q), TABLE_TROUBLE, NULL, 0);
	ask_waiting(f);
}

static int
question_send(struct question *q)
{
	struct forwards *f = q->forwards;
	struct service *s = *f->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	char user[IPC_WORD_MAX + 1];
	struct msg_forward_get m = {0};

	if (parent == NULL || split_key(memo_key(q->about), &m, user) == -1)
		return -1;
	m.req = ask_begin(service_asks(s), parent, service_now_ms(s) + QUESTION_MS, on_failed, q);
	if (m.req == 0)
		return -1;
	TAILQ_REMOVE(&f->waiting, q, entry);
	TAILQ_INSERT_TAIL(&f->asked, q, entry);
	q->req = m.req;
	f->nasked++;
	return channel_send(parent, MSG_forward_get, &m);
}

/* An answer may bring further questions: one call deals with all of them. */
static void
ask_waiting(struct forwards *f)
{
	struct question *q;

	if (f->is_asking)
		return;
	f->is_asking = true;
	while (f->nasked < ASKED_MAX && (q = TAILQ_FIRST(&f->waiting)) != NULL)
		if (question_send(q) == -1)
			memo_answer(question_free(q), TABLE_TROUBLE, NULL, 0);
	f->is_asking = false;
}

static int
forward_ask(void *arg, struct memo_entry *entry)
{
	struct forwards *f = arg;
	struct question *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return -1;
	*q = (struct question){.forwards = f, .about = entry};
	TAILQ_INSERT_TAIL(&f->waiting, q, entry);
	ask_waiting(f);
	return 0;
}

struct forwards *
forwards_create(struct service *const *service)
{
	struct memo_plan plan = {.entries_max = 16384,
	    .octets_max = 8U << 20,
	    .asked_max = 8192,
	    .yes_ms = GOOD_MS,
	    .no_ms = GOOD_MS,
	    .ask = forward_ask};
	struct forwards *f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->service = service;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->asked);
	plan.arg = f;
	if ((f->memo = memo_create(&plan)) != NULL)
		return f;
	free(f);
	return NULL;
}

void
forwards_free(struct forwards *f)
{
	struct question *q;

	if (f == NULL)
		return;
	memo_free(f->memo);
	while ((q = TAILQ_FIRST(&f->waiting)) != NULL || (q = TAILQ_FIRST(&f->asked)) != NULL) {
		TAILQ_REMOVE(q->req == 0 ? &f->waiting : &f->asked, q, entry);
		free(q);
	}
	free(f);
}

struct memo *
forwards_memo(struct forwards *f)
{
	return f->memo;
}

void
forwards_configure(struct forwards *f, int64_t good_ms)
{
	memo_set_times(f->memo, good_ms, good_ms);
}

void
forwards_tick(struct forwards *f, int64_t now_ms)
{
	memo_tick(f->memo, now_ms);
}

/* -- answers -- */

/* The entry that a question was for, which is over now; NULL: nobody waits for it. */
static struct memo_entry *
question_end(struct forwards *f, struct channel *ch, uint32_t req)
{
	struct question *q = ask_owner(service_asks(*f->service), ch, req);

	return q == NULL ? NULL : question_free(q);
}

static void
answer(struct forwards *f, struct memo_entry *entry, enum table_answer answer, char *value)
{
	memo_answer(entry, answer, value, service_now_ms(*f->service));
	free(value);
	ask_waiting(f);
}

static char *
read_value(int fd, bool root)
{
	static const char too_large[] = ".forward is too large";
	char *text, *value;
	size_t len;

	if ((text = file_read(fd, FORWARD_TEXT_MAX, &len)) == NULL && errno != EFBIG)
		return NULL;
	if (text == NULL)
		return forward_format(FORWARD_UNSAFE, too_large, sizeof(too_large) - 1);
	value = forward_format(root ? FORWARD_ROOT : FORWARD_USER, text, len);
	free(text);
	return value;
}

static void
log_not_read(const struct memo_entry *entry, const char *why)
{
	struct msg_forward_get m;
	char user[IPC_WORD_MAX + 1];
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "forward-not-read");
	logline_str(&l, "account", split_key(memo_key(entry), &m, user) == 0 ? user : "");
	logline_str(&l, "why", why);
	logline_end(&l);
}

void
forwards_file(struct forwards *f, struct channel *ch, uint32_t req, int fd, bool root)
{
	struct memo_entry *entry = question_end(f, ch, req);
	struct forward forward;
	char *value = NULL;

	if (entry != NULL) {
		value = read_value(fd, root);
		if (value == NULL)
			log_not_read(entry, "it could not be read");
		else if (forward_parse(value, &forward) && forward.kind == FORWARD_UNSAFE)
			log_not_read(entry, forward.text);
		answer(f, entry, value == NULL ? TABLE_TROUBLE : TABLE_YES, value);
	}
	(void)close(fd);
}

void
forwards_none(struct forwards *f, struct channel *ch, uint32_t req, enum ipc_outcome outcome,
    const char *text)
{
	struct memo_entry *entry = question_end(f, ch, req);
	char *value;

	if (entry == NULL)
		return;
	if (outcome == IPC_GONE) {
		answer(f, entry, TABLE_NO, NULL);
		return;
	}
	log_not_read(entry, text);
	value = outcome == IPC_DENIED ? forward_format(FORWARD_UNSAFE, text, strlen(text)) : NULL;
	answer(f, entry, value == NULL ? TABLE_TROUBLE : TABLE_YES, value);
}

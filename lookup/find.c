/* SPDX-License-Identifier: ISC */
/*
 * What an admin asks of a table.
 *
 * Invariant: every question gets one answer, within FIND_MS and a tick; at most
 * FINDS_MAX are under way.  What the vault has is not even looked for here.
 * Nothing is fatal.
 */
#include "lookup/find.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/host.h"
#include "lookup/lookup.h"

#define FINDS_MAX 64
#define FIND_MS	  15000
#define NAMES_MAX 64 /* tables whose names may be what was meant */

struct find { /* owned by its struct finds */
	TAILQ_ENTRY(find) entry;
	struct finds *all;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	char table[IPC_WORD_MAX + 1], key[IPC_ADDRESS_MAX + 1];
	enum table_service service;
	struct inquiry *inquiry;
};

struct finds {
	struct lookup *lookup;
	TAILQ_HEAD(, find) list; /* the oldest first */
	size_t n;
};

/* -- the question -- */

typedef int (*subject_ask)(
    struct inquiry *q, const struct find_question *question, enum table_answer *answer);

static int
ask_word(struct inquiry *q, const struct find_question *question, enum table_answer *answer)
{
	*answer = inquiry_has_word(q, question->table, question->key);
	return 0;
}

static int
ask_domain(struct inquiry *q, const struct find_question *question, enum table_answer *answer)
{
	*answer = inquiry_has_domain(q, question->table, question->key);
	return 0;
}

/* "unix" is a client without an address. */
static int
ask_network(struct inquiry *q, const struct find_question *question, enum table_answer *answer)
{
	struct addr a;

	if (host_parse(question->key, &a) == -1)
		return -1;
	*answer = a.ss.ss_family == AF_UNIX ? inquiry_has_word(q, question->table, question->key)
					    : inquiry_has_network(q, question->table, &a);
	return 0;
}

static int
ask_mailbox(struct inquiry *q, const struct find_question *question, enum table_answer *answer)
{
	const char *text = strcmp(question->key, "<>") == 0 ? "" : question->key;
	struct address a;

	if (address_parse(text, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return -1;
	*answer = inquiry_has_mailbox(q, question->table, &a);
	return 0;
}

/* The rest have values. */
static const subject_ask subjects[SERVICE__MAX] = {
    [SERVICE_DOMAIN] = ask_domain,
    [SERVICE_NETADDR] = ask_network,
    [SERVICE_MAILADDR] = ask_mailbox,
    [SERVICE_STRING] = ask_word,
};

int
find_evaluate(struct inquiry *q, const struct find_question *question, enum table_answer *answer,
    const char **value)
{
	*value = "";
	if (subjects[question->service] == NULL) {
		*answer = inquiry_value(
		    q, question->table, question->service, question->key, value);
		return 0;
	}
	if (subjects[question->service](q, question, answer) == 0)
		return 0;
	errno = EINVAL;
	return -1;
}

/* -- the answer -- */

static void
send_end(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	struct msg_find_end m = {.req = req, .outcome = (uint8_t)outcome, .text = text};

	(void)channel_send(ch, MSG_find_end, &m);
}

static int
send_value(struct channel *ch, uint32_t req, const char *value)
{
	char piece[IPC_VALUE_MAX + 1];
	struct msg_find_row m = {.req = req, .value = piece};
	size_t len;

	for (; *value != '\0'; value += len) {
		len = strnlen(value, IPC_VALUE_MAX);
		memcpy(piece, value, len);
		piece[len] = '\0';
		if (channel_send(ch, MSG_find_row, &m) == -1)
			return -1;
	}
	return 0;
}

static void
find_free(struct find *f)
{
	struct finds *fs = f->all;

	inquiry_free(f->inquiry);
	TAILQ_REMOVE(&fs->list, f, entry);
	fs->n--;
	free(f);
}

static void
send_trouble(const struct find *f)
{
	const char *who = inquiry_trouble(f->inquiry);
	char text[IPC_NAME_MAX];

	(void)snprintf(
	    text, sizeof(text), "%s can't be asked now", who[0] == '\0' ? f->table : who);
	send_end(f->ch, f->req, IPC_RETRY, text);
}

static void
send_bad_key(const struct find *f)
{
	char text[IPC_NAME_MAX];

	(void)snprintf(text, sizeof(text), "the key of service %s is %s", service_word(f->service),
	    service_key(f->service));
	send_end(f->ch, f->req, IPC_FAIL, text);
}

static void
on_resume(void *arg)
{
	struct find *f = arg;
	const struct find_question question = {f->table, f->key, f->service};
	enum table_answer answer = TABLE_NO;
	const char *value;

	if (find_evaluate(f->inquiry, &question, &answer, &value) == -1)
		send_bad_key(f);
	else if (answer == TABLE_PENDING)
		return;
	else if (answer == TABLE_TROUBLE)
		send_trouble(f);
	else if (answer == TABLE_NO)
		send_end(f->ch, f->req, IPC_GONE, "");
	else if (send_value(f->ch, f->req, value) == 0)
		send_end(f->ch, f->req, IPC_OK, "");
	find_free(f);
}

/* -- which table -- */

static void
send_unknown(const struct lookup *l, struct channel *ch, const struct msg_find_in *m)
{
	const char *names[NAMES_MAX + 1], *near;
	char shown[IPC_WORD_MAX + 8], text[IPC_TEXT_MAX];
	size_t i, n = 0;

	for (i = 0; i < l->conf->ntables && n < NAMES_MAX; i++)
		if (strncmp(l->conf->tables[i].name, "dynamic:", 8) != 0)
			names[n++] = l->conf->tables[i].name;
	names[n] = NULL;
	str_quote(shown, sizeof(shown), m->table);
	if ((near = str_nearest(m->table, names)) != NULL)
		(void)snprintf(
		    text, sizeof(text), "no table %s, did you mean \"%s\"?", shown, near);
	else
		(void)snprintf(text, sizeof(text), "no table %s", shown);
	send_end(ch, m->req, IPC_FAIL, text);
}

static struct find *
find_create(struct finds *fs, struct channel *ch, const struct msg_find_in *m)
{
	struct find *f;

	if (fs->n == FINDS_MAX || (f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->all = fs;
	f->ch = ch;
	f->req = m->req;
	f->service = (enum table_service)m->service;
	f->deadline_ms = service_now_ms(fs->lookup->service) + FIND_MS;
	TAILQ_INSERT_TAIL(&fs->list, f, entry);
	fs->n++;
	if (str_copy(f->table, sizeof(f->table), m->table) == 0 &&
	    str_copy(f->key, sizeof(f->key), m->key) == 0 &&
	    (f->inquiry = inquiry_create(&fs->lookup->sources, on_resume, f)) != NULL)
		return f;
	find_free(f);
	return NULL;
}

void
find_begin(struct finds *fs, struct channel *ch, const struct msg_find_in *m)
{
	const struct conf_table *t = conf_table_find(fs->lookup->conf, m->table);
	struct find *f;

	if (m->service >= SERVICE__MAX)
		send_end(ch, m->req, IPC_FAIL, "no such service");
	else if (t == NULL)
		send_unknown(fs->lookup, ch, m);
	else if (t->kind == CONF_TABLE_ELSEWHERE)
		send_end(ch, m->req, IPC_DENIED, "");
	else if (m->service == SERVICE_AUTH || m->service == SERVICE_CREDENTIALS)
		send_end(ch, m->req, IPC_FAIL, "this is no table of passwords: no 'auth' names it");
	else if ((f = find_create(fs, ch, m)) != NULL)
		on_resume(f);
	else
		send_end(ch, m->req, IPC_RETRY, "too much is being looked up");
}

/* -- life -- */

struct finds *
finds_create(struct lookup *l)
{
	struct finds *fs;

	if ((fs = calloc(1, sizeof(*fs))) == NULL)
		return NULL;
	fs->lookup = l;
	TAILQ_INIT(&fs->list);
	return fs;
}

void
finds_free(struct finds *fs)
{
	struct find *f;

	if (fs == NULL)
		return;
	while ((f = TAILQ_FIRST(&fs->list)) != NULL)
		find_free(f);
	free(fs);
}

void
finds_unlink(struct finds *fs, const struct channel *ch)
{
	struct find *f, *next;

	for (f = TAILQ_FIRST(&fs->list); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (f->ch == ch)
			find_free(f);
	}
}

void
finds_tick(struct finds *fs, int64_t now_ms)
{
	struct find *f;

	/* All have the same time, so the oldest is first. */
	while ((f = TAILQ_FIRST(&fs->list)) != NULL && f->deadline_ms <= now_ms) {
		inquiry_give_up(f->inquiry);
		send_trouble(f);
		find_free(f);
	}
}

size_t
finds_count(const struct finds *fs)
{
	return fs->n;
}

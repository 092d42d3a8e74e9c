/* SPDX-License-Identifier: ISC */
/*
 * Where an account of a userbase is, for the parent, which checks what it is told.
 *
 * Invariant: every question gets one answer.  Nothing is fatal.
 */
#include "lookup/userinfos.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/lookup.h"

#define USERINFOS_MAX 4096 /* that wait, at once */
#define DEADLINE_MS   15000

struct userinfo { /* owned by the list */
	TAILQ_ENTRY(userinfo) entry;
	struct userinfos *userinfos;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	struct inquiry *inquiry;
	char table[IPC_WORD_MAX + 1], user[IPC_WORD_MAX + 1];
};

struct userinfos {
	struct lookup *lookup;
	TAILQ_HEAD(, userinfo) head; /* the oldest first */
	size_t n;
};

struct userinfos *
userinfos_create(struct lookup *l)
{
	struct userinfos *us;

	if ((us = calloc(1, sizeof(*us))) == NULL)
		return NULL;
	us->lookup = l;
	TAILQ_INIT(&us->head);
	return us;
}

static void
userinfo_free(struct userinfo *u)
{
	inquiry_free(u->inquiry);
	TAILQ_REMOVE(&u->userinfos->head, u, entry);
	u->userinfos->n--;
	free(u);
}

void
userinfos_free(struct userinfos *us)
{
	struct userinfo *u;

	if (us == NULL)
		return;
	while ((u = TAILQ_FIRST(&us->head)) != NULL)
		userinfo_free(u);
	free(us);
}

void
userinfos_unlink(struct userinfos *us, const struct channel *ch)
{
	struct userinfo *u, *next;

	for (u = TAILQ_FIRST(&us->head); u != NULL; u = next) {
		next = TAILQ_NEXT(u, entry);
		if (u->ch == ch)
			userinfo_free(u);
	}
}

static void
send_answer(struct channel *ch, uint32_t req, enum table_answer answer, const char *value)
{
	struct msg_userinfo m = {.req = req, .outcome = IPC_RETRY, .value = ""};

	if (answer == TABLE_NO) {
		m.outcome = IPC_GONE;
	} else if (answer == TABLE_YES) {
		m.outcome = IPC_OK;
		m.value = value;
	}
	(void)channel_send(ch, MSG_userinfo, &m);
}

static void
on_resume(void *arg)
{
	struct userinfo *u = arg;
	struct channel *ch = u->ch;
	uint32_t req = u->req;
	char copy[IPC_PATH_MAX + 1] = "";
	const char *value = "";
	enum table_answer answer = inquiry_value(
	    u->inquiry, u->table, SERVICE_USERINFO, u->user, &value);

	if (answer == TABLE_PENDING)
		return;
	if (str_copy(copy, sizeof(copy), value) == -1)
		answer = TABLE_TROUBLE;
	userinfo_free(u);
	send_answer(ch, req, answer, copy);
}

void
userinfo_begin(struct userinfos *us, struct channel *ch, const struct msg_userinfo_get *m)
{
	struct lookup *l = us->lookup;
	struct userinfo *u = NULL;

	if (us->n == USERINFOS_MAX || (u = calloc(1, sizeof(*u))) == NULL ||
	    (u->inquiry = lookup_inquiry(l, on_resume, u)) == NULL ||
	    str_copy(u->table, sizeof(u->table), m->table) == -1 ||
	    str_copy(u->user, sizeof(u->user), m->user) == -1) {
		if (u != NULL)
			inquiry_free(u->inquiry);
		free(u);
		send_answer(ch, m->req, TABLE_TROUBLE, "");
		return;
	}
	u->userinfos = us;
	u->ch = ch;
	u->req = m->req;
	u->deadline_ms = service_now_ms(l->service) + DEADLINE_MS;
	TAILQ_INSERT_TAIL(&us->head, u, entry);
	us->n++;
	on_resume(u);
}

void
userinfos_tick(struct userinfos *us, int64_t now_ms)
{
	struct userinfo *u;

	while ((u = TAILQ_FIRST(&us->head)) != NULL && u->deadline_ms <= now_ms) {
		inquiry_give_up(u->inquiry);
		on_resume(u);
	}
}

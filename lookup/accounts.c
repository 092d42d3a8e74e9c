/* SPDX-License-Identifier: ISC */
/*
 * The accounts that the parent was asked about.
 *
 * Invariant: each entry of the memo that is under way has one question to the parent,
 * whose end, by answer, death or deadline, is its answer.  Nothing is fatal.
 */
#include "lookup/accounts.h"

#include <stdlib.h>

#include "lib/service/service.h"

#define ACCOUNTS_MAX	8192 /* names remembered */
#define ACCOUNTS_OCTETS (4U << 20)
#define ASKED_MAX	8192  /* names asked about at once */
#define KNOWN_MS	60000 /* an account stays one for so long */
#define UNKNOWN_MS	10000 /* a new account is seen after so long */
#define QUESTION_MS	20000

struct accounts {
	struct service *const *service;
	struct memo *memo;
};

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	(void)why;
	memo_answer(owner, TABLE_TROUBLE, NULL, 0);
}

static int
on_ask(void *arg, struct memo_entry *e)
{
	struct accounts *a = arg;
	struct service *s = *a->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_user m = {.name = memo_key(e)};

	m.req = ask_begin(service_asks(s), parent, service_now_ms(s) + QUESTION_MS, on_failed, e);
	if (m.req == 0)
		return -1;
	if (parent == NULL || channel_send(parent, MSG_user, &m) == -1) {
		ask_end(service_asks(s), m.req);
		return -1;
	}
	return 0;
}

struct accounts *
accounts_create(struct service *const *service)
{
	struct accounts *a;
	struct memo_plan plan = {.entries_max = ACCOUNTS_MAX,
	    .octets_max = ACCOUNTS_OCTETS,
	    .asked_max = ASKED_MAX,
	    .yes_ms = KNOWN_MS,
	    .no_ms = UNKNOWN_MS,
	    .ask = on_ask};

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->service = service;
	plan.arg = a;
	if ((a->memo = memo_create(&plan)) == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void
accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	memo_free(a->memo);
	free(a);
}

struct memo *
accounts_memo(struct accounts *a)
{
	return a->memo;
}

void
accounts_answer(struct accounts *a, struct channel *ch, uint32_t req, enum ipc_outcome outcome)
{
	struct asks *asks = service_asks(*a->service);
	struct memo_entry *e = ask_owner(asks, ch, req);
	enum table_answer answer = TABLE_TROUBLE;

	if (e == NULL)
		return;
	ask_end(asks, req);
	if (outcome == IPC_OK)
		answer = TABLE_YES;
	else if (outcome == IPC_GONE)
		answer = TABLE_NO;
	memo_answer(e, answer, NULL, service_now_ms(*a->service));
}

void
accounts_tick(struct accounts *a, int64_t now_ms)
{
	memo_tick(a->memo, now_ms);
}

/* SPDX-License-Identifier: ISC */
/*
 * The accounts that the parent was asked about.
 *
 * Invariant: an account is in by_name and in the list of its state; one
 * that is being asked about has its question (req) under way, and only such
 * has waiters.  A flood of unknown names fills the memory and no more: the
 * oldest answers make room.  Nothing is fatal.
 */
#include "lookup/accounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/service/service.h"
#include "lookup/recipient.h"

#define KNOWN_MS    60000 /* an account stays one for so long */
#define UNKNOWN_MS  10000 /* a new account is seen after so long */
#define QUESTION_MS 20000

TAILQ_HEAD(waiter_list, account_waiter);
TAILQ_HEAD(account_list, account);

struct account { /* owned by its struct accounts */
	TAILQ_ENTRY(account) entry;
	struct accounts *accounts;
	char name[ACCOUNT_MAX + 1];
	uint32_t req; /* 0: answered */
	enum ipc_outcome outcome;
	int64_t until_ms;
	struct waiter_list waiters;
};

struct accounts {
	struct service *const *service;
	struct map *by_name;
	struct account_list asked, answered; /* answered: oldest first */
	struct account_counters counters;
};

struct accounts *
accounts_create(struct service *const *service)
{
	struct accounts *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->service = service;
	TAILQ_INIT(&a->asked);
	TAILQ_INIT(&a->answered);
	if ((a->by_name = map_create(ACCOUNTS_MAX)) == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void
account_free(void *value)
{
	free(value);
}

void
accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	map_free(a->by_name, account_free);
	free(a);
}

static void
account_remove(struct account *x)
{
	bug_on(x->req != 0);
	TAILQ_REMOVE(&x->accounts->answered, x, entry);
	(void)map_remove(x->accounts->by_name, x->name);
	free(x);
}

static struct account *
account_add(struct accounts *a, const char *name)
{
	struct account *x, *oldest = TAILQ_FIRST(&a->answered);

	if (map_count(a->by_name) == ACCOUNTS_MAX && oldest != NULL)
		account_remove(oldest);
	if ((x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	x->accounts = a;
	TAILQ_INIT(&x->waiters);
	if (str_copy(x->name, sizeof(x->name), name) == -1 ||
	    map_set(a->by_name, x->name, x) == -1) {
		free(x);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&a->answered, x, entry);
	return x;
}

/*
 * The answer is there: everybody who waited gets it.  A waiter that is told
 * may take others with it, so that each is taken from the list as it is then.
 */
static void
account_settle(struct account *x, enum ipc_outcome outcome, int64_t now_ms)
{
	struct account_waiter *w;

	while ((w = TAILQ_FIRST(&x->waiters)) != NULL) {
		TAILQ_REMOVE(&x->waiters, w, entry);
		w->account = NULL;
		w->done(w->arg, outcome);
	}
	TAILQ_REMOVE(&x->accounts->asked, x, entry);
	x->req = 0;
	x->outcome = outcome;
	x->until_ms = now_ms + (outcome == IPC_OK ? KNOWN_MS : UNKNOWN_MS);
	TAILQ_INSERT_TAIL(&x->accounts->answered, x, entry);
	if (outcome == IPC_RETRY) /* not worth remembering */
		account_remove(x);
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	(void)req;
	(void)why;
	account_settle(owner, IPC_RETRY, 0);
}

static int
account_ask(struct account *x)
{
	struct service *s = *x->accounts->service;
	struct channel *parent = service_peer(s, ROLE_PARENT, 0);
	struct msg_user m = {.name = x->name};

	m.req = ask_begin(service_asks(s), parent, service_now_ms(s) + QUESTION_MS, on_failed, x);
	if (m.req == 0)
		return -1;
	if (parent == NULL || channel_send(parent, MSG_user, &m) == -1) {
		ask_end(service_asks(s), m.req);
		return -1;
	}
	TAILQ_REMOVE(&x->accounts->answered, x, entry);
	x->req = m.req;
	TAILQ_INSERT_TAIL(&x->accounts->asked, x, entry);
	x->accounts->counters.asked++;
	return 0;
}

void
account_find(struct accounts *a, const char *name, struct account_waiter *w)
{
	int64_t now_ms = service_now_ms(*a->service);
	struct account *x = map_get(a->by_name, name);

	if (x != NULL && x->req == 0 && x->until_ms > now_ms) {
		a->counters.remembered++;
		w->done(w->arg, x->outcome);
		return;
	}
	if (x == NULL)
		x = account_add(a, name);
	if (x != NULL && x->req == 0 && account_ask(x) == -1) {
		account_remove(x);
		x = NULL;
	}
	if (x == NULL) {
		w->done(w->arg, IPC_RETRY);
		return;
	}
	w->account = x;
	TAILQ_INSERT_TAIL(&x->waiters, w, entry);
}

void
account_forget(struct account_waiter *w)
{
	if (w->account != NULL)
		TAILQ_REMOVE(&w->account->waiters, w, entry);
	w->account = NULL;
}

void
accounts_answer(struct accounts *a, struct channel *ch, uint32_t req, enum ipc_outcome outcome)
{
	struct asks *asks = service_asks(*a->service);
	struct account *x = ask_owner(asks, ch, req);

	if (x == NULL)
		return;
	ask_end(asks, req);
	if (outcome != IPC_OK && outcome != IPC_GONE)
		outcome = IPC_RETRY;
	account_settle(x, outcome, service_now_ms(*a->service));
}

void
accounts_tick(struct accounts *a, int64_t now_ms)
{
	struct account *x, *next;

	for (x = TAILQ_FIRST(&a->answered); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		if (x->until_ms <= now_ms)
			account_remove(x);
	}
}

const struct account_counters *
accounts_counters(const struct accounts *a)
{
	return &a->counters;
}

size_t
accounts_count(const struct accounts *a)
{
	return map_count(a->by_name);
}

/* SPDX-License-Identifier: ISC */
/*
 * Counts failures, and says how long to wait.
 *
 * Invariants: an entry is in the map of its kind, in that kind's list by age
 * (who failed last is at the end) and in the list of all by number.  Where memory
 * is out, a failure is not counted.  Nothing is fatal.
 */
#include "vault/backoff.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/ipc/messages.h"

#define PAIR_SIZE (IPC_WORD_MAX + 1 + IPC_ADDRESS_MAX + 1)

struct entry { /* owned by struct backoff */
	TAILQ_ENTRY(entry) by_age, by_number;
	uint64_t number;
	enum backoff_kind kind;
	uint32_t failures;
	int64_t last_ms, until_ms;
	int64_t forgiven_ms; /* a success took its failures away; 0: never */
	char what[];
};

struct pair { /* owned by struct backoff */
	TAILQ_ENTRY(pair) by_age;
	char key[];
};

TAILQ_HEAD(entry_list, entry);
TAILQ_HEAD(pair_list, pair);

struct backoff {
	struct backoff_limits limits;
	struct kind {
		struct map *by_name;
		struct entry_list by_age;
		size_t max;
	} kinds[BACKOFF_KIND__MAX];
	struct entry_list all; /* by number */
	struct map *by_number;
	struct map *pairs;
	struct pair_list pairs_by_age;
	uint64_t last_number;
};

struct backoff *
backoff_create(void)
{
	static const size_t max[BACKOFF_KIND__MAX] = {
	    [BACKOFF_CLIENT] = BACKOFF_CLIENTS_MAX, [BACKOFF_LOGIN] = BACKOFF_LOGINS_MAX};
	struct backoff *b;
	bool ok = true;
	size_t i;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	for (i = 0; i < BACKOFF_KIND__MAX; i++) {
		TAILQ_INIT(&b->kinds[i].by_age);
		b->kinds[i].max = max[i];
		ok &= (b->kinds[i].by_name = map_create(max[i])) != NULL;
	}
	TAILQ_INIT(&b->all);
	TAILQ_INIT(&b->pairs_by_age);
	b->by_number = map_create(BACKOFF_CLIENTS_MAX + BACKOFF_LOGINS_MAX);
	b->pairs = map_create(BACKOFF_PAIRS_MAX);
	if (ok && b->by_number != NULL && b->pairs != NULL)
		return b;
	backoff_free(b);
	return NULL;
}

void
backoff_free(struct backoff *b)
{
	size_t i;

	if (b == NULL)
		return;
	for (i = 0; i < BACKOFF_KIND__MAX; i++)
		map_free(b->kinds[i].by_name, free);
	map_free(b->by_number, NULL);
	map_free(b->pairs, free);
	free(b);
}

void
backoff_configure(struct backoff *b, const struct backoff_limits *limits)
{
	b->limits = *limits;
}

/* -- entries -- */

static void
entry_free(struct backoff *b, struct entry *e)
{
	struct kind *k = &b->kinds[e->kind];

	(void)map_remove(k->by_name, e->what);
	(void)map_remove_u64(b->by_number, e->number);
	TAILQ_REMOVE(&k->by_age, e, by_age);
	TAILQ_REMOVE(&b->all, e, by_number);
	free(e);
}

static struct entry *
entry_add(struct backoff *b, enum backoff_kind kind, const char *what)
{
	struct kind *k = &b->kinds[kind];
	size_t len = strlen(what);
	struct entry *e;

	if (map_count(k->by_name) >= k->max)
		entry_free(b, TAILQ_FIRST(&k->by_age));
	if ((e = calloc(1, sizeof(*e) + len + 1)) == NULL)
		return NULL;
	e->kind = kind;
	e->number = b->last_number + 1;
	memcpy(e->what, what, len + 1);
	if (map_set(k->by_name, what, e) == -1) {
		free(e);
		return NULL;
	}
	if (map_set_u64(b->by_number, e->number, e) == -1) {
		(void)map_remove(k->by_name, what);
		free(e);
		return NULL;
	}
	b->last_number++;
	TAILQ_INSERT_TAIL(&b->all, e, by_number);
	TAILQ_INSERT_TAIL(&k->by_age, e, by_age);
	return e;
}

/* Of the first failure that is not free 5 s, twice as long for each after it. */
static int64_t
block_ms(const struct backoff *b, uint32_t failures)
{
	int64_t ms = BACKOFF_FIRST_MS;
	uint64_t n;

	if (failures <= b->limits.free_failures)
		return 0;
	for (n = failures - b->limits.free_failures; n > 1 && ms < b->limits.max_block_ms; n--)
		ms *= 2;
	return ms < b->limits.max_block_ms ? ms : b->limits.max_block_ms;
}

static void
entry_failed(struct backoff *b, enum backoff_kind kind, const char *what, int64_t now_ms)
{
	struct entry *e = map_get(b->kinds[kind].by_name, what);

	if (e == NULL && (e = entry_add(b, kind, what)) == NULL)
		return;
	if (e->failures < UINT32_MAX)
		e->failures++;
	e->last_ms = now_ms;
	e->until_ms = now_ms + block_ms(b, e->failures);
	TAILQ_REMOVE(&b->kinds[kind].by_age, e, by_age);
	TAILQ_INSERT_TAIL(&b->kinds[kind].by_age, e, by_age);
}

static bool
is_blocked(const struct backoff *b, enum backoff_kind kind, const char *what, int64_t now_ms)
{
	const struct entry *e = map_get(b->kinds[kind].by_name, what);

	return e != NULL && e->until_ms > now_ms;
}

/* A login is one whatever its case: tables think so too. */
static void
login_key(const char *login, char dst[IPC_ADDRESS_MAX + 1])
{
	str_cut(dst, IPC_ADDRESS_MAX + 1, login);
	str_lower(dst);
}

static void
pair_key(const char *client, const char *login, char dst[PAIR_SIZE])
{
	char name[IPC_ADDRESS_MAX + 1];

	login_key(login, name);
	(void)snprintf(dst, PAIR_SIZE, "%s %s", client, name);
}

/* -- pairs -- */

static void
pair_add(struct backoff *b, const char *key)
{
	struct pair *p = map_get(b->pairs, key);
	size_t len = strlen(key);

	if (p != NULL) {
		TAILQ_REMOVE(&b->pairs_by_age, p, by_age);
		TAILQ_INSERT_TAIL(&b->pairs_by_age, p, by_age);
		return;
	}
	if (map_count(b->pairs) >= BACKOFF_PAIRS_MAX) {
		p = TAILQ_FIRST(&b->pairs_by_age);
		(void)map_remove(b->pairs, p->key);
		TAILQ_REMOVE(&b->pairs_by_age, p, by_age);
		free(p);
	}
	if ((p = malloc(sizeof(*p) + len + 1)) == NULL)
		return;
	memcpy(p->key, key, len + 1);
	if (map_set(b->pairs, key, p) == -1)
		free(p);
	else
		TAILQ_INSERT_TAIL(&b->pairs_by_age, p, by_age);
}

/* -- what is asked -- */

const char *
backoff_blocked(const struct backoff *b, const char *client, const char *login, int64_t now_ms)
{
	char name[IPC_ADDRESS_MAX + 1], key[PAIR_SIZE];

	if (is_blocked(b, BACKOFF_CLIENT, client, now_ms))
		return "client";
	login_key(login, name);
	if (name[0] == '\0' || !is_blocked(b, BACKOFF_LOGIN, name, now_ms))
		return NULL;
	pair_key(client, login, key);
	return map_get(b->pairs, key) == NULL ? "login" : NULL;
}

void
backoff_failed(struct backoff *b, const char *client, const char *login, int64_t now_ms)
{
	char name[IPC_ADDRESS_MAX + 1];

	entry_failed(b, BACKOFF_CLIENT, client, now_ms);
	login_key(login, name);
	if (name[0] != '\0')
		entry_failed(b, BACKOFF_LOGIN, name, now_ms);
}

void
backoff_succeeded(struct backoff *b, const char *client, const char *login, int64_t now_ms)
{
	struct entry *e = map_get(b->kinds[BACKOFF_CLIENT].by_name, client);
	char key[PAIR_SIZE];

	/* Not each time: an account of one's own would pay for guesses at all others. */
	if (e != NULL && (e->forgiven_ms == 0 || now_ms - e->forgiven_ms >= BACKOFF_FORGIVE_MS)) {
		e->failures = 0;
		e->until_ms = 0;
		e->forgiven_ms = now_ms;
	}
	pair_key(client, login, key);
	pair_add(b, key);
}

void
backoff_tick(struct backoff *b, int64_t now_ms)
{
	struct entry *e;
	size_t i;

	for (i = 0; i < BACKOFF_KIND__MAX; i++)
		while ((e = TAILQ_FIRST(&b->kinds[i].by_age)) != NULL &&
		       e->last_ms + BACKOFF_FORGET_MS <= now_ms && e->until_ms <= now_ms)
			entry_free(b, e);
}

/* -- for the admin -- */

/* Numbers only grow; the one asked for may be gone meanwhile. */
static const struct entry *
entry_after(const struct backoff *b, uint64_t after)
{
	const struct entry *e = map_get_u64(b->by_number, after);

	if (e != NULL)
		return TAILQ_NEXT(e, by_number);
	TAILQ_FOREACH (e, &b->all, by_number)
		if (e->number > after)
			break;
	return e;
}

bool
backoff_next(const struct backoff *b, uint64_t after, struct backoff_row *out)
{
	const struct entry *e = entry_after(b, after);

	while (e != NULL && e->failures == 0)
		e = TAILQ_NEXT(e, by_number);
	if (e == NULL)
		return false;
	*out = (struct backoff_row){.number = e->number,
	    .kind = e->kind,
	    .what = e->what,
	    .failures = e->failures,
	    .last_ms = e->last_ms,
	    .until_ms = e->until_ms};
	return true;
}

int
backoff_clear(struct backoff *b, const char *what)
{
	char name[IPC_ADDRESS_MAX + 1];
	struct entry *e;

	login_key(what, name);
	if ((e = map_get(b->kinds[BACKOFF_LOGIN].by_name, name)) == NULL &&
	    (e = map_get(b->kinds[BACKOFF_CLIENT].by_name, what)) == NULL) {
		errno = ENOENT;
		return -1;
	}
	entry_free(b, e);
	return 0;
}

void
backoff_clear_all(struct backoff *b)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&b->all)) != NULL)
		entry_free(b, e);
}

size_t
backoff_count(const struct backoff *b)
{
	return map_count(b->by_number);
}

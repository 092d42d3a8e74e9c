/* SPDX-License-Identifier: ISC */
/*
 * What is counted together: how many connections it has, when the last was
 * made, how many messages it took within a minute, whether it is down.
 *
 * Invariants: what limit_connect() counted, limit_disconnect() takes back.  An
 * entry is there while something counts in it or is still remembered, and
 * there are never more than ENTRIES_MAX, whatever strangers call their
 * hosts.  Nothing is fatal.
 */
#include "delivery/limit_private.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"

#define ENTRIES_MAX 65536
#define KEY_MAX	    1024
#define WHY_MAX	    200

/* Messages of a minute, in steps: what was counted in the first of them may be as old as all together. */
#define STEP_MS	    5000
#define STEPS	    13

#define DOWN_MIN_MS 30000
#define DOWN_MAX_MS 900000

struct entry { /* owned by its struct limits */
	TAILQ_ENTRY(entry) link;
	uint64_t number;
	enum conf_scope scope;
	char *key;
	uint32_t connections;
	int64_t connected_ms; /* the last time; 0: never */
	int64_t delay_ms;     /* that is kept from then on */
	int64_t step;	      /* of the newest of mails */
	uint32_t mails[STEPS];
	int64_t down_until_ms,
	    down_ms; /* down_ms: how long it was; 0: it is not known to be down */
	char why[WHY_MAX];
	uint32_t connections_max, mails_max; /* as of the last question, for people */
};

TAILQ_HEAD(entries, entry);

struct limits {
	const struct conf *conf;
	struct map *by_key;
	struct entries entries; /* in order of number */
	uint64_t last;
};

struct limits *
limits_create(void)
{
	struct limits *ls = calloc(1, sizeof(*ls));

	if (ls == NULL)
		return NULL;
	TAILQ_INIT(&ls->entries);
	if ((ls->by_key = map_create(ENTRIES_MAX)) != NULL)
		return ls;
	free(ls);
	return NULL;
}

static int
make_key(char dst[KEY_MAX], enum conf_scope scope, const char *key)
{
	if (str_format(dst, KEY_MAX, "%u %s", (unsigned int)scope, key) == -1)
		return -1;
	str_lower(dst);
	return 0;
}

static struct entry *
entry_find(const struct limits *ls, enum conf_scope scope, const char *key)
{
	char name[KEY_MAX];

	if (key == NULL || make_key(name, scope, key) == -1)
		return NULL;
	return map_get(ls->by_key, name);
}

static struct entry *
entry_create(struct limits *ls, enum conf_scope scope, const char *key)
{
	char name[KEY_MAX];
	struct entry *e;

	if (make_key(name, scope, key) == -1 || (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	if ((e->key = strdup(key)) == NULL || map_set(ls->by_key, name, e) == -1) {
		free(e->key);
		free(e);
		return NULL;
	}
	e->scope = scope;
	e->number = ++ls->last;
	TAILQ_INSERT_TAIL(&ls->entries, e, link);
	return e;
}

static struct entry *
entry_get(struct limits *ls, enum conf_scope scope, const char *key)
{
	struct entry *e = entry_find(ls, scope, key);

	return e != NULL ? e : entry_create(ls, scope, key);
}

static void
entry_free(struct limits *ls, struct entry *e)
{
	char name[KEY_MAX];

	if (make_key(name, e->scope, e->key) == 0)
		(void)map_remove(ls->by_key, name);
	TAILQ_REMOVE(&ls->entries, e, link);
	free(e->key);
	free(e);
}

void
limits_free(struct limits *ls)
{
	struct entry *e;

	if (ls == NULL)
		return;
	while ((e = TAILQ_FIRST(&ls->entries)) != NULL)
		entry_free(ls, e);
	map_free(ls->by_key, NULL);
	free(ls);
}

void
limits_configure(struct limits *ls, const struct conf *conf)
{
	ls->conf = conf;
}

/* -- messages of the last minute -- */

static void
mails_advance(struct entry *e, int64_t now_ms)
{
	int64_t step = now_ms / STEP_MS;

	if (step - e->step >= STEPS)
		memset(e->mails, 0, sizeof(e->mails));
	else
		for (; e->step < step; e->step++)
			e->mails[(e->step + 1) % STEPS] = 0;
	e->step = step;
}

static uint32_t
mails_count(struct entry *e, int64_t now_ms)
{
	uint32_t n = 0;
	size_t i;

	mails_advance(e, now_ms);
	for (i = 0; i < STEPS; i++)
		n += e->mails[i];
	return n;
}

/* When the oldest of them count no more. */
static int64_t
mails_until(const struct entry *e)
{
	int64_t step;

	for (step = e->step - STEPS + 1; step < e->step; step++)
		if (step >= 0 && e->mails[step % STEPS] > 0)
			break;
	return (step + STEPS) * STEP_MS;
}

/* -- questions -- */

/* A place that is taken is free when somebody leaves, which nobody knows: ask again soon. */
#define ASK_AGAIN_MS 1000

static int64_t
connect_at(struct limits *ls, enum conf_scope scope, const struct limit_subject *s, int64_t now_ms)
{
	int64_t most = limit_in_conf(ls->conf, LIMIT_CONNECTIONS, scope, s);
	int64_t delay_ms = limit_in_conf(ls->conf, LIMIT_DELAY, scope, s);
	struct entry *e = entry_find(ls, scope, s->keys[scope]);

	if (e == NULL)
		return 0;
	e->connections_max = (uint32_t)most;
	e->delay_ms = delay_ms;
	if (most > 0 && e->connections >= most)
		return now_ms + ASK_AGAIN_MS;
	if (delay_ms > 0 && e->connected_ms > 0 && e->connected_ms + delay_ms > now_ms)
		return e->connected_ms + delay_ms;
	return 0;
}

static int64_t
mail_at(struct limits *ls, enum conf_scope scope, const struct limit_subject *s, int64_t now_ms)
{
	int64_t rate = limit_in_conf(ls->conf, LIMIT_RATE, scope, s);
	struct entry *e = entry_find(ls, scope, s->keys[scope]);

	if (e == NULL)
		return 0;
	e->mails_max = (uint32_t)rate;
	if (rate == 0 || mails_count(e, now_ms) < rate)
		return 0;
	return mails_until(e);
}

typedef int64_t (*question)(
    struct limits *ls, enum conf_scope scope, const struct limit_subject *s, int64_t now_ms);

/* The strictest of all. */
static int64_t
latest(struct limits *ls, question ask, const struct limit_subject *s, int64_t now_ms,
    enum conf_scope *scope)
{
	int64_t at, last = 0;
	int i;

	for (i = 0; i < CONF_SCOPE__MAX; i++) {
		if (s->keys[i] == NULL || s->silent[i])
			continue;
		at = ask(ls, (enum conf_scope)i, s, now_ms);
		if (at <= last)
			continue;
		last = at;
		*scope = (enum conf_scope)i;
	}
	return last;
}

int64_t
limit_connect_at(
    struct limits *ls, const struct limit_subject *s, int64_t now_ms, enum conf_scope *scope)
{
	return latest(ls, connect_at, s, now_ms, scope);
}

int64_t
limit_mail_at(
    struct limits *ls, const struct limit_subject *s, int64_t now_ms, enum conf_scope *scope)
{
	return latest(ls, mail_at, s, now_ms, scope);
}

/* -- what happens -- */

static void
take_back(struct limits *ls, const struct limit_subject *s, int end)
{
	struct entry *e;
	int i;

	for (i = 0; i < end; i++)
		if (!s->silent[i] && (e = entry_find(ls, (enum conf_scope)i, s->keys[i])) != NULL &&
		    e->connections > 0)
			e->connections--;
}

int
limit_connect(struct limits *ls, const struct limit_subject *s, int64_t now_ms)
{
	struct entry *e;
	int i;

	for (i = 0; i < CONF_SCOPE__MAX; i++) {
		if (s->keys[i] == NULL || s->silent[i])
			continue;
		if ((e = entry_get(ls, (enum conf_scope)i, s->keys[i])) == NULL) {
			take_back(ls, s, i);
			errno = ENOMEM;
			return -1;
		}
		e->connections++;
		e->connected_ms = now_ms;
		e->connections_max = (uint32_t)limit_in_conf(
		    ls->conf, LIMIT_CONNECTIONS, e->scope, s);
		e->delay_ms = limit_in_conf(ls->conf, LIMIT_DELAY, e->scope, s);
		e->mails_max = (uint32_t)limit_in_conf(ls->conf, LIMIT_RATE, e->scope, s);
	}
	return 0;
}

void
limit_disconnect(struct limits *ls, const struct limit_subject *s, int64_t now_ms)
{
	(void)now_ms;
	take_back(ls, s, CONF_SCOPE__MAX);
}

void
limit_mail(struct limits *ls, const struct limit_subject *s, int64_t now_ms)
{
	struct entry *e;
	int i;

	for (i = 0; i < CONF_SCOPE__MAX; i++) {
		if (s->silent[i] || (e = entry_find(ls, (enum conf_scope)i, s->keys[i])) == NULL)
			continue;
		mails_advance(e, now_ms);
		e->mails[e->step % STEPS]++;
	}
}

struct limit_session
limit_session(const struct limits *ls, const struct limit_subject *s)
{
	return limit_session_of(ls->conf, s);
}

int64_t
limit_connections_max(const struct limits *ls, enum conf_scope scope, const struct limit_subject *s)
{
	return limit_in_conf(ls->conf, LIMIT_CONNECTIONS, scope, s);
}

/* -- hosts that do not answer -- */

void
limit_host_down(struct limits *ls, const char *host, int64_t now_ms, const char *why)
{
	struct entry *e = entry_get(ls, CONF_SCOPE_HOST, host);

	if (e == NULL)
		return; /* not remembered: it is tried again */
	str_cut(e->why, sizeof(e->why), why);
	if (e->down_ms > 0 && e->down_until_ms > now_ms)
		return; /* another one that was under way found out the same */
	e->down_ms = e->down_ms == 0 ? DOWN_MIN_MS : 2 * e->down_ms;
	if (e->down_ms > DOWN_MAX_MS)
		e->down_ms = DOWN_MAX_MS;
	e->down_until_ms = now_ms + e->down_ms;
}

void
limit_host_up(struct limits *ls, const char *host)
{
	struct entry *e = entry_find(ls, CONF_SCOPE_HOST, host);

	if (e == NULL)
		return;
	e->down_ms = e->down_until_ms = 0;
	e->why[0] = '\0';
}

bool
limit_host_is_down(const struct limits *ls, const char *host, int64_t now_ms)
{
	const struct entry *e = entry_find(ls, CONF_SCOPE_HOST, host);

	return e != NULL && e->down_until_ms > now_ms;
}

void
limits_forgive(struct limits *ls)
{
	struct entry *e;

	TAILQ_FOREACH (e, &ls->entries, link) {
		e->down_ms = e->down_until_ms = 0;
		e->why[0] = '\0';
	}
}

/* -- forgetting, and showing -- */

/* How long it was down is remembered as long again, so that the next time is longer. */
static bool
is_remembered(struct entry *e, int64_t now_ms)
{
	return e->connections > 0 || mails_count(e, now_ms) > 0 ||
	       (e->delay_ms > 0 && e->connected_ms + e->delay_ms > now_ms) ||
	       (e->down_ms > 0 && e->down_until_ms + e->down_ms > now_ms);
}

void
limits_tick(struct limits *ls, int64_t now_ms)
{
	struct entry *e, *next;

	for (e = TAILQ_FIRST(&ls->entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		if (!is_remembered(e, now_ms))
			entry_free(ls, e);
	}
}

void
limits_list(struct limits *ls, uint64_t after, int64_t now_ms,
    bool (*visit)(void *arg, const struct limit_row *row), void *arg)
{
	struct limit_row row;
	struct entry *e;

	TAILQ_FOREACH (e, &ls->entries, link) {
		if (e->number <= after)
			continue;
		row = (struct limit_row){.number = e->number,
		    .scope = e->scope,
		    .key = e->key,
		    .connections = e->connections,
		    .connections_max = e->connections_max,
		    .mails = mails_count(e, now_ms),
		    .mails_max = e->mails_max,
		    .delay_ms = e->delay_ms,
		    .down_until_ms = e->down_until_ms > now_ms ? e->down_until_ms : 0,
		    .why = e->why};
		if (!visit(arg, &row))
			return;
	}
}

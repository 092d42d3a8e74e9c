/* SPDX-License-Identifier: ISC */
/*
 * Counts clients and holds them to the limits.
 *
 * Invariants: a client's open is the number of visits that point to it; it is
 * in the list of periods exactly while its period is under way, and freed as
 * soon as it has neither.  That list is in the order in which periods began,
 * so that those that are over are at its head: no client waits for a search.
 * Nothing is fatal.
 */
#include "lookup/clients.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/limit.h"

#define LOG_EVERY_MS 60000 /* of what is the same for all clients */

struct client { /* owned by struct clients */
	TAILQ_ENTRY(client) by_number, by_start;
	uint64_t number;
	char name[HOST_NETWORK_SIZE];
	size_t open;
	bool has_period;
	/* of the period */
	int64_t start_ms;
	uint64_t done[LIMIT__MAX]; /* of the rates */
	unsigned int logged;	   /* limits, a bit each */
	enum limit over;
};

struct visit { /* owned by struct clients */
	TAILQ_ENTRY(visit) entry;
	struct visit_id id;
	uint64_t serial;
	struct client *client; /* NULL: there were too many to count it */
	bool any_rate;
	bool held_up; /* its message is one too many */
};

TAILQ_HEAD(client_list, client);
TAILQ_HEAD(visit_list, visit);

struct clients {
	const struct conf_values *values;
	struct map *by_name, *by_number, *visits;
	struct client_list all;	    /* by number, which is the order they came in */
	struct client_list periods; /* by start */
	struct visit_list links[IPC_INSTANCES_MAX];
	uint64_t last_number, last_serial;
	int64_t full_logged_ms, unknown_logged_ms;
	struct client_counters counters;
};

struct clients *
clients_create(void)
{
	struct clients *c;
	size_t i;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->all);
	TAILQ_INIT(&c->periods);
	for (i = 0; i < NITEMS(c->links); i++)
		TAILQ_INIT(&c->links[i]);
	c->full_logged_ms = c->unknown_logged_ms = -LOG_EVERY_MS;
	c->by_name = map_create(CLIENTS_MAX);
	c->by_number = map_create(CLIENTS_MAX);
	c->visits = map_create(VISITS_MAX);
	if (c->by_name == NULL || c->by_number == NULL || c->visits == NULL) {
		clients_free(c);
		return NULL;
	}
	return c;
}

void
clients_free(struct clients *c)
{
	if (c == NULL)
		return;
	map_free(c->visits, free);
	map_free(c->by_name, free);
	map_free(c->by_number, NULL);
	free(c);
}

void
clients_configure(struct clients *c, const struct conf_values *values)
{
	c->values = values;
}

/* -- a client -- */

static int64_t
period_ms(const struct clients *c)
{
	return c->values->smtp_rate_period_s * 1000;
}

static void
client_free(struct clients *c, struct client *x)
{
	(void)map_remove(c->by_name, x->name);
	(void)map_remove_u64(c->by_number, x->number);
	TAILQ_REMOVE(&c->all, x, by_number);
	free(x);
}

static struct client *
client_add(struct clients *c, const char *name)
{
	struct client *x;

	x = calloc(1, sizeof(*x));
	if (x == NULL || map_set(c->by_name, name, x) == -1) {
		free(x);
		return NULL;
	}
	x->number = c->last_number + 1;
	str_cut(x->name, sizeof(x->name), name); /* as long as a name may be */
	if (map_set_u64(c->by_number, x->number, x) == -1) {
		(void)map_remove(c->by_name, name);
		free(x);
		return NULL;
	}
	c->last_number++;
	TAILQ_INSERT_TAIL(&c->all, x, by_number);
	return x;
}

static void
period_begin(struct clients *c, struct client *x, int64_t now_ms)
{
	x->has_period = true;
	x->start_ms = now_ms;
	TAILQ_INSERT_TAIL(&c->periods, x, by_start);
}

/* What it did is forgotten; the client itself, too, unless it has something open. */
static void
period_end(struct clients *c, struct client *x)
{
	TAILQ_REMOVE(&c->periods, x, by_start);
	x->has_period = false;
	memset(x->done, 0, sizeof(x->done));
	x->logged = 0;
	x->over = LIMIT_NONE;
	if (x->open == 0)
		client_free(c, x);
}

void
clients_tick(struct clients *c, int64_t now_ms)
{
	struct client *x;

	while ((x = TAILQ_FIRST(&c->periods)) != NULL && x->start_ms + period_ms(c) <= now_ms)
		period_end(c, x);
}

static struct host_prefix
prefix_of(const struct clients *c)
{
	return (struct host_prefix){
	    (unsigned int)c->values->smtp_prefix4, (unsigned int)c->values->smtp_prefix6};
}

/* NULL: it can't be counted. */
static struct client *
client_get(struct clients *c, const struct client_entry *e, int64_t now_ms)
{
	const struct host_prefix whole = {32, 128}, prefix = e->any_limit ? whole : prefix_of(c);
	char name[HOST_NETWORK_SIZE];
	struct client *x;

	host_network(e->addr, &prefix, name);
	if ((x = map_get(c->by_name, name)) != NULL || (x = client_add(c, name)) != NULL)
		return x;
	c->counters.not_counted++;
	if (now_ms - c->unknown_logged_ms < LOG_EVERY_MS)
		return NULL;
	c->unknown_logged_ms = now_ms;
	log_warn("event=clients-not-counted known=%zu", map_count(c->by_name));
	return NULL;
}

/* -- limits -- */

static bool
is_over(const struct clients *c, const struct client *x, enum limit rate)
{
	return x->done[rate] > limit_value(c->values, rate);
}

/* Counts what the client does; true: that is more than the rate allows. */
static bool
client_does(struct clients *c, struct client *x, enum limit rate, int64_t now_ms)
{
	if (!x->has_period)
		period_begin(c, x, now_ms);
	x->done[rate]++;
	return is_over(c, x, rate);
}

/* A line for each client, limit and period, however often it is refused. */
static void
log_limited(struct client *x, enum limit limit)
{
	struct logline l;

	if (x->logged & 1U << limit)
		return;
	x->logged |= 1U << limit;
	logline_start(&l, LOG_LEVEL_INFO, "client-limited");
	logline_str(&l, "client", x->name);
	logline_str(&l, "limit", limit_setting(limit));
	logline_end(&l);
}

static void
log_full(struct clients *c, int64_t now_ms)
{
	if (now_ms - c->full_logged_ms < LOG_EVERY_MS)
		return;
	c->full_logged_ms = now_ms;
	log_warn("event=server-full limit=max-sessions open=%zu", map_count(c->visits));
}

/* x may be NULL with LIMIT_SESSIONS alone.  Always false. */
static bool
refuse(struct clients *c, struct client *x, enum limit limit, int64_t now_ms,
    struct client_refusal *out)
{
	struct limited who;

	if (limit == LIMIT_SESSIONS) {
		log_full(c, now_ms);
		limit_refuse(limit, NULL, out);
		return false;
	}
	log_limited(x, limit);
	if (limit_is_rate(limit))
		x->over = limit;
	who = (struct limited){x->name, c->values->smtp_rate_period_s,
	    (x->start_ms + period_ms(c) - now_ms + 999) / 1000};
	limit_refuse(limit, &who, out);
	return false;
}

/* -- visits -- */

static uint64_t
visit_key(struct visit_id id)
{
	return (uint64_t)id.link << 32 | id.number;
}

uint64_t
clients_serial(const struct clients *c, struct visit_id id)
{
	const struct visit *v = map_get_u64(c->visits, visit_key(id));

	return v == NULL ? 0 : v->serial;
}

static int
visit_add(struct clients *c, struct visit_id id, struct client *x, bool any_rate)
{
	struct visit *v;

	bug_on(id.link >= IPC_INSTANCES_MAX || clients_serial(c, id) != 0);
	v = calloc(1, sizeof(*v));
	if (v == NULL || map_set_u64(c->visits, visit_key(id), v) == -1) {
		free(v);
		return -1;
	}
	*v = (struct visit){
	    .id = id, .serial = ++c->last_serial, .client = x, .any_rate = any_rate};
	TAILQ_INSERT_TAIL(&c->links[id.link], v, entry);
	if (x != NULL)
		x->open++;
	return 0;
}

static void
visit_free(struct clients *c, struct visit *v)
{
	struct client *x = v->client;

	(void)map_remove_u64(c->visits, visit_key(v->id));
	TAILQ_REMOVE(&c->links[v->id.link], v, entry);
	free(v);
	if (x != NULL && --x->open == 0 && !x->has_period)
		client_free(c, x);
}

/* What keeps a newcomer out.  A client that can't be counted is held to nothing of its own. */
static enum limit
judge(struct clients *c, struct client *x, const struct client_entry *e, int64_t now_ms)
{
	bool too_fast = x != NULL && client_does(c, x, LIMIT_CONNECTIONS, now_ms);

	if (map_count(c->visits) >= limit_value(c->values, LIMIT_SESSIONS))
		return LIMIT_SESSIONS;
	if (x == NULL || e->any_limit)
		return LIMIT_NONE;
	if (x->open >= limit_value(c->values, LIMIT_OPEN))
		return LIMIT_OPEN;
	if (e->any_rate)
		return LIMIT_NONE;
	if (too_fast)
		return LIMIT_CONNECTIONS;
	return is_over(c, x, LIMIT_REFUSED) ? LIMIT_REFUSED : LIMIT_NONE;
}

bool
clients_enter(struct clients *c, struct visit_id id, const struct client_entry *e, int64_t now_ms,
    struct client_refusal *out)
{
	struct client *x;
	enum limit limit;

	clients_tick(c, now_ms);
	x = client_get(c, e, now_ms);
	limit = judge(c, x, e, now_ms);
	if (limit == LIMIT_NONE && visit_add(c, id, x, e->any_rate || e->any_limit) == 0)
		return true;
	c->counters.turned_away++;
	return refuse(c, x, limit == LIMIT_NONE ? LIMIT_SESSIONS : limit, now_ms, out);
}

void
clients_enter_again(
    struct clients *c, struct visit_id id, const struct client_entry *e, int64_t now_ms)
{
	struct client *x;

	clients_tick(c, now_ms);
	x = client_get(c, e, now_ms);
	if (visit_add(c, id, x, e->any_rate || e->any_limit) == -1 && x != NULL && x->open == 0 &&
	    !x->has_period)
		client_free(c, x);
}

void
clients_leave(struct clients *c, struct visit_id id, int64_t now_ms)
{
	struct visit *v;

	clients_tick(c, now_ms);
	if ((v = map_get_u64(c->visits, visit_key(id))) != NULL)
		visit_free(c, v);
}

void
clients_link_lost(struct clients *c, uint32_t link, int64_t now_ms)
{
	struct visit *v;

	clients_tick(c, now_ms);
	while ((v = TAILQ_FIRST(&c->links[link])) != NULL)
		visit_free(c, v);
}

/* -- recipients -- */

/* NULL: nothing is known of the visit, or its client is not counted. */
static struct visit *
visit_find(struct clients *c, struct visit_id id, int64_t now_ms)
{
	struct visit *v;

	clients_tick(c, now_ms);
	v = map_get_u64(c->visits, visit_key(id));
	return v == NULL || v->client == NULL ? NULL : v;
}

static enum limit
judge_rcpt(struct clients *c, struct visit *v, bool first, int64_t now_ms)
{
	struct client *x = v->client;
	bool too_fast;

	/* The further recipients of a message that is one too many are, too. */
	if (first)
		v->held_up = client_does(c, x, LIMIT_MESSAGES, now_ms) && !v->any_rate;
	too_fast = client_does(c, x, LIMIT_RECIPIENTS, now_ms);
	if (v->any_rate)
		return LIMIT_NONE;
	if (is_over(c, x, LIMIT_REFUSED))
		return LIMIT_REFUSED;
	if (v->held_up)
		return LIMIT_MESSAGES;
	return too_fast ? LIMIT_RECIPIENTS : LIMIT_NONE;
}

bool
clients_rcpt(
    struct clients *c, struct visit_id id, bool first, int64_t now_ms, struct client_refusal *out)
{
	struct visit *v = visit_find(c, id, now_ms);
	enum limit limit = v == NULL ? LIMIT_NONE : judge_rcpt(c, v, first, now_ms);

	if (limit == LIMIT_NONE)
		return true;
	c->counters.rcpts_over_limit++;
	return refuse(c, v->client, limit, now_ms, out);
}

bool
clients_rcpt_refused(
    struct clients *c, struct visit_id id, int64_t now_ms, struct client_refusal *out)
{
	struct visit *v = visit_find(c, id, now_ms);

	if (v == NULL || !client_does(c, v->client, LIMIT_REFUSED, now_ms) || v->any_rate)
		return true;
	c->counters.rcpts_over_limit++;
	return refuse(c, v->client, LIMIT_REFUSED, now_ms, out);
}

/* -- for the admin -- */

/* Numbers only grow; the one asked for may be gone meanwhile. */
static const struct client *
client_after(const struct clients *c, uint64_t after)
{
	const struct client *x = map_get_u64(c->by_number, after);

	if (x != NULL)
		return TAILQ_NEXT(x, by_number);
	TAILQ_FOREACH (x, &c->all, by_number)
		if (x->number > after)
			break;
	return x;
}

bool
clients_next(const struct clients *c, uint64_t after, int64_t now_ms, struct client_row *out)
{
	const struct client *x = client_after(c, after);

	if (x == NULL)
		return false;
	*out = (struct client_row){.number = x->number,
	    .client = x->name,
	    .open = x->open,
	    .connections = x->done[LIMIT_CONNECTIONS],
	    .messages = x->done[LIMIT_MESSAGES],
	    .recipients = x->done[LIMIT_RECIPIENTS],
	    .refused = x->done[LIMIT_REFUSED],
	    .over = limit_setting(x->over),
	    .left_ms = x->has_period ? x->start_ms + period_ms(c) - now_ms : 0};
	return true;
}

/* In the order in which a client meets them, with the act at which it does. */
static const struct {
	enum limit limit;
	enum client_act act;
} foreseen[CLIENT_LIMITS] = {
    {LIMIT_SESSIONS, CLIENT_COMES},
    {LIMIT_OPEN, CLIENT_COMES},
    {LIMIT_CONNECTIONS, CLIENT_COMES},
    {LIMIT_REFUSED, CLIENT_COMES},
    {LIMIT_MESSAGES, CLIENT_SENDS},
    {LIMIT_RECIPIENTS, CLIENT_SENDS},
};

/* What a limit would come to with the client's next connection, message and recipient. */
static uint64_t
next_use(const struct clients *c, const struct client *x, enum limit limit, enum client_act act)
{
	if (limit == LIMIT_SESSIONS)
		return map_count(c->visits) + 1;
	if (limit == LIMIT_OPEN)
		return x->open + 1;
	return x->done[limit] + (limit != LIMIT_REFUSED || act == CLIENT_GUESSES);
}

static bool
is_held_to(const struct client_entry *e, enum limit limit)
{
	if (limit == LIMIT_SESSIONS)
		return true;
	return !e->any_limit && !(e->any_rate && limit_is_rate(limit));
}

static bool
is_met_at(size_t i, enum client_act act)
{
	return foreseen[i].act == act ||
	       (act == CLIENT_GUESSES && foreseen[i].limit == LIMIT_REFUSED);
}

static void
foresee_refusal(const struct clients *c, const struct client *x, enum limit limit, int64_t now_ms,
    struct client_outlook *out)
{
	int64_t left_ms = (x->has_period ? x->start_ms : now_ms) + period_ms(c) - now_ms;
	const struct limited who = {
	    out->client, c->values->smtp_rate_period_s, (left_ms + 999) / 1000};

	limit_refuse(limit, &who, &out->refusal);
}

bool
clients_foresee(struct clients *c, const struct client_entry *e, enum client_act act,
    int64_t now_ms, struct client_outlook *out)
{
	const struct host_prefix whole = {32, 128}, prefix = e->any_limit ? whole : prefix_of(c);
	const struct client stranger = {.has_period = false}, *x;
	bool is_refused = false;
	size_t i;

	*out = (struct client_outlook){.client = ""};
	clients_tick(c, now_ms);
	host_network(e->addr, &prefix, out->client);
	if ((x = map_get(c->by_name, out->client)) == NULL)
		x = &stranger;
	for (i = 0; i < NITEMS(foreseen); i++) {
		enum limit limit = foreseen[i].limit;
		struct client_limit *l = &out->limits[i];

		*l = (struct client_limit){
		    limit_setting(limit), next_use(c, x, limit, act), UINT64_MAX, false};
		if (!is_held_to(e, limit))
			continue;
		l->max = limit_value(c->values, limit);
		l->refuses = l->used > l->max && is_met_at(i, act) && !is_refused;
		if (l->refuses)
			foresee_refusal(c, x, limit, now_ms, out);
		is_refused |= l->refuses;
	}
	return !is_refused;
}

int
clients_clear(struct clients *c, const char *client)
{
	const struct host_prefix prefix = prefix_of(c);
	struct client *x = map_get(c->by_name, client);
	char name[HOST_NETWORK_SIZE];

	if (x == NULL && host_network_parse(client, &prefix, name) == -1)
		return -1;
	if (x == NULL && (x = map_get(c->by_name, name)) == NULL) {
		errno = ENOENT;
		return -1;
	}
	if (x->has_period)
		period_end(c, x);
	return 0;
}

void
clients_clear_all(struct clients *c)
{
	struct client *x;

	while ((x = TAILQ_FIRST(&c->periods)) != NULL)
		period_end(c, x);
}

const struct client_counters *
clients_counters(struct clients *c)
{
	c->counters.open = map_count(c->visits);
	c->counters.known = map_count(c->by_name);
	return &c->counters;
}

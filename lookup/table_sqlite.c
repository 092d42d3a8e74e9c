/* SPDX-License-Identifier: ISC */
/*
 * Tables in SQLite databases.  A database is a descriptor that the parent opened
 * for reading; what others write to it is seen by the next question.
 *
 * Invariant: nobody waits here but for the end of somebody else's writing, and that
 * for no longer than BUSY_MS; a query has QUESTION_MS of the loop, or is cut
 * off, and the table then rests.  Nothing is fatal.
 */
#include <sys/queue.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/time.h"
#include "lib/service/service.h"
#include "lib/sqlite/reader.h"
#include "lib/sqlite/source.h"
#include "lookup/backend.h"

#define HEAP_MAX    (64LL << 20) /* octets of all of SQLite */
#define QUESTION_MS 100
#define REST_MS	    1000
#define BUSY_MS	    5000  /* that a question waits for a writer */
#define AGAIN_MS    20	  /* between two looks at whether he is done */
#define TURN_MS	    50	  /* of questions that have waited, in one turn of the loop */
#define WAITS_MAX   10000 /* questions that wait, of one table */
#define VALUE_KEPT  65536 /* octets of room for a value that are not given back */

struct wait { /* a question that met a writer; owned by its table's list */
	TAILQ_ENTRY(wait) link;
	struct memo_entry *entry;
	int64_t until_ms;
};

struct table_sqlite {
	const struct backend_env *env;
	struct source *source;
	struct buf value;	    /* of the last answer */
	struct memo *waits;	    /* remembers nothing: who waits for which question */
	TAILQ_HEAD(, wait) waiting; /* those that have waited longest first */
	struct event *again;	    /* NULL: nobody has waited yet */
};

/* -- one question -- */

struct taking {
	struct table_sqlite *t;
	enum table_service service;
	const char *key;
	bool bad;
};

static bool
take_row(void *arg, const char *text, size_t len)
{
	struct taking *k = arg;
	struct buf *value = &k->t->value;

	if (text == NULL)
		return true;
	if (!service_has_value(k->service))
		return false;
	if (len == 0)
		return true;
	if ((value->len > 0 && buf_append(value, ", ", 2) == -1) ||
	    buf_append(value, text, len) == -1) {
		(void)source_refuse(k->t->source, k->key, "all its rows together are too long");
		k->bad = true;
		return false;
	}
	/* Two homes for one account can't be meant. */
	return k->service != SERVICE_USERINFO;
}

static void
value_begin(struct table_sqlite *t)
{
	if (t->value.cap > VALUE_KEPT)
		buf_free(&t->value);
	buf_consume(&t->value, t->value.len);
}

/* PENDING: somebody writes. */
static enum table_answer
look(struct table_sqlite *t, enum table_service service, const char *key, const char **value)
{
	struct taking k = {t, service, key, false};
	enum source_answer answer;

	value_begin(t);
	*value = "";
	answer = source_ask(t->source, service, key, take_row, &k);
	if (answer == SOURCE_BUSY)
		return TABLE_PENDING;
	if (answer == SOURCE_TROUBLE || k.bad)
		return TABLE_TROUBLE;
	if (answer == SOURCE_NONE || (service_has_value(service) && t->value.len == 0))
		return TABLE_NO;
	if (t->value.len > 0) {
		if (buf_append(&t->value, "", 1) == -1)
			return TABLE_TROUBLE;
		*value = (const char *)buf_head(&t->value);
	}
	return TABLE_YES;
}

/* -- questions that wait -- */

/* A question as the key of a memo: the service's number, a blank, the key. */
#define QUESTION_SIZE (TABLE_KEY_MAX + 16)

static void
question_read(const char *question, enum table_service *service, const char **key)
{
	char *end;

	*service = (enum table_service)strtoul(question, &end, 10);
	*key = end + 1;
}

static void
wait_end(struct table_sqlite *t, struct wait *w, enum table_answer answer, const char *value)
{
	struct memo_entry *e = w->entry;

	TAILQ_REMOVE(&t->waiting, w, link);
	free(w);
	memo_answer(e, answer, value, time_mono_ms());
}

/* False: it waits on. */
static bool
wait_try(struct table_sqlite *t, struct wait *w, int64_t now_ms)
{
	enum table_service service;
	enum table_answer answer;
	const char *key, *value;

	question_read(memo_key(w->entry), &service, &key);
	answer = look(t, service, key, &value);
	if (answer == TABLE_PENDING) {
		if (now_ms < w->until_ms)
			return false;
		(void)source_locked(t->source, service);
		answer = TABLE_TROUBLE;
	}
	wait_end(t, w, answer, value);
	return true;
}

static int
wait_arm(const struct table_sqlite *t)
{
	static const struct timeval soon = {0, AGAIN_MS * 1000};

	return event_pending(t->again, EV_TIMEOUT, NULL) ? 0 : event_add(t->again, &soon);
}

static void
on_again(evutil_socket_t sock, short what, void *arg)
{
	struct table_sqlite *t = arg;
	int64_t began_ms = time_mono_ms(), now_ms = began_ms;
	struct wait *w;

	(void)sock;
	(void)what;
	while ((w = TAILQ_FIRST(&t->waiting)) != NULL && now_ms - began_ms < TURN_MS &&
	       wait_try(t, w, now_ms))
		now_ms = time_mono_ms();
	/* Nobody is left without an answer for want of a timer. */
	while ((w = TAILQ_FIRST(&t->waiting)) != NULL && wait_arm(t) == -1)
		wait_end(t, w, TABLE_TROUBLE, "");
}

/* A memo's: the question was just asked, and met a writer. */
static int
on_ask(void *arg, struct memo_entry *e)
{
	struct table_sqlite *t = arg;
	struct wait *w;

	if (t->again == NULL &&
	    (t->again = event_new(service_base(*t->env->service), -1, 0, on_again, t)) == NULL)
		return -1;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return -1;
	w->entry = e;
	w->until_ms = time_mono_ms() + BUSY_MS;
	TAILQ_INSERT_TAIL(&t->waiting, w, link);
	if (wait_arm(t) == 0)
		return 0;
	TAILQ_REMOVE(&t->waiting, w, link);
	free(w);
	return -1;
}

/* -- the back end -- */

static void
table_sqlite_free(void *table)
{
	struct table_sqlite *t = table;
	struct wait *w;

	while ((w = TAILQ_FIRST(&t->waiting)) != NULL) {
		TAILQ_REMOVE(&t->waiting, w, link);
		free(w);
	}
	if (t->again != NULL)
		event_free(t->again);
	memo_free(t->waits);
	source_free(t->source);
	buf_free(&t->value);
	free(t);
}

static void *
table_sqlite_create(const struct backend_env *env, const char *name)
{
	const struct source_plan plan = {
	    .question_ms = QUESTION_MS, .rest_ms = REST_MS, .idle_fd = -1};
	struct memo_plan waits = {.asked_max = WAITS_MAX, .ask = on_ask};
	struct table_sqlite *t;

	if (reader_install(HEAP_MAX) == -1 || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	waits.arg = t;
	t->env = env;
	TAILQ_INIT(&t->waiting);
	buf_init(&t->value, TABLE_VALUE_MAX);
	t->source = source_create(name, &plan);
	t->waits = memo_create(&waits);
	if (t->source != NULL && t->waits != NULL)
		return t;
	table_sqlite_free(t);
	return NULL;
}

static int
table_sqlite_load(void *table, const char *part, int fd)
{
	struct table_sqlite *t = table;

	if (*part == '\0')
		source_open(t->source, fd);
	else
		source_tell(t->source, fd);
	return 0;
}

static enum table_answer
table_sqlite_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	enum table_answer answer = look(table, service, key, value);
	struct table_sqlite *t = table;
	char question[QUESTION_SIZE];

	if (answer != TABLE_PENDING)
		return answer;
	(void)snprintf(question, sizeof(question), "%d %s", (int)service, key);
	return memo_find(t->waits, question, time_mono_ms(), w, value);
}

const struct backend_ops table_sqlite_ops = {
    .create = table_sqlite_create,
    .free = table_sqlite_free,
    .load = table_sqlite_load,
    .find = table_sqlite_find,
    .is_dear = true,
};

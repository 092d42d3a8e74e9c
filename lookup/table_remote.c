/* SPDX-License-Identifier: ISC */
/*
 * Tables that another program knows.
 *
 * Invariants: a question under way has its place in the memo, which waits for it, and
 * an id (ask.h), which ends it in any case: by its answer, its deadline or the
 * death of who was asked.  What arrives for no question is too late, and ignored.
 * Nothing is fatal.
 */
#include "lookup/table_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/table_program.h"
#include "lib/service/service.h"

#define REMEMBERED_MAX	      10000
#define REMEMBERED_OCTETS_MAX (16U << 20)
#define ARRIVING_OCTETS_MAX   (32U << 20) /* of answers that are not whole, in one table */
#define LOG_MS		      1000	  /* between two lines about one table */
#define SEPARATOR	      ", "

struct remote_question { /* owned by its table */
	TAILQ_ENTRY(remote_question) entry;
	struct table_remote *table;
	struct memo_entry *memo;
	uint32_t req;
	size_t nrows;
	struct buf rows;
};

struct table_remote {
	struct remote_world world;
	char name[CONF_NAME_MAX + 1];
	uint32_t instance;
	struct memo *memo;
	TAILQ_HEAD(, remote_question) asked;
	size_t octets; /* of what they gathered so far */
	int64_t logged_ms;
	bool has_logged;
};

/* -- trouble -- */

static void
log_trouble(struct table_remote *t, const char *why)
{
	int64_t now_ms = t->world.now_ms(t->world.arg);
	struct logline l;

	if (t->has_logged && now_ms - t->logged_ms < LOG_MS)
		return;
	t->has_logged = true;
	t->logged_ms = now_ms;
	logline_start(&l, LOG_LEVEL_WARN, "table-trouble");
	logline_str(&l, "table", t->name);
	logline_str(&l, "why", why);
	logline_end(&l);
}

/* Out of its table, and called off; what it gathered is left. */
static void
question_free(struct remote_question *q, struct asks *asks)
{
	struct table_remote *t = q->table;

	if (asks != NULL)
		ask_end(asks, q->req);
	TAILQ_REMOVE(&t->asked, q, entry);
	t->octets -= q->rows.len;
	free(q);
}

/* Forgotten first: whoever hears of it may ask another. */
static void
finish(struct remote_question *q, enum table_answer answer)
{
	struct table_remote *t = q->table;
	struct memo_entry *e = q->memo;
	struct buf rows = q->rows;
	const char *value = NULL;

	question_free(q, t->world.asks(t->world.arg));
	if (answer == TABLE_YES && buf_append(&rows, "", 1) == -1)
		answer = TABLE_TROUBLE;
	else if (answer == TABLE_YES)
		value = (const char *)buf_head(&rows);
	memo_answer(e, answer, value, t->world.now_ms(t->world.arg));
	buf_free(&rows);
}

static void
finish_trouble(struct remote_question *q, const char *why)
{
	log_trouble(q->table, why);
	finish(q, TABLE_TROUBLE);
}

/* -- asking -- */

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct remote_question *q = owner;

	(void)req;
	q->req = 0;
	finish_trouble(q, why == ASK_TIMEOUT ? "no answer in time" : "its program ended");
}

/* "SERVICE KEY", as one string for the memo. */
static int
memo_key_make(char *dst, size_t size, enum table_service service, const char *key)
{
	return str_format(dst, size, "%u %s", (unsigned int)service, key);
}

static int
send_question(struct remote_question *q, struct channel *ch, const char *memo_key_text)
{
	struct table_remote *t = q->table;
	struct asks *asks = t->world.asks(t->world.arg);
	char *key;
	struct msg_table_ask m = {
	    .table = t->name, .service = (uint8_t)strtoul(memo_key_text, &key, 10)};

	m.key = key + 1;
	q->req = ask_begin(
	    asks, ch, t->world.now_ms(t->world.arg) + TABLE_REMOTE_DEADLINE_MS, on_failed, q);
	if ((m.req = q->req) == 0)
		return -1;
	if (channel_send(ch, MSG_table_ask, &m) == 0)
		return 0;
	ask_end(asks, q->req);
	return -1;
}

static int
ask(void *arg, struct memo_entry *e)
{
	struct table_remote *t = arg;
	struct channel *ch = t->world.peer(t->world.arg, t->instance);
	struct remote_question *q;

	if (ch == NULL || channel_pending_bytes(ch) > CHANNEL_HIGH) {
		log_trouble(t, ch == NULL ? "its program is down" : "its program is too slow");
		return -1;
	}
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return -1;
	q->table = t;
	q->memo = e;
	buf_init(&q->rows, TABLE_VALUE_MAX + 1);
	if (send_question(q, ch, memo_key(e)) == -1) {
		free(q);
		log_trouble(t, "it can't be asked");
		return -1;
	}
	TAILQ_INSERT_TAIL(&t->asked, q, entry);
	return 0;
}

static enum table_answer
find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	struct table_remote *t = table;
	char text[IPC_ADDRESS_MAX + 8];

	if (strlen(key) > IPC_ADDRESS_MAX ||
	    memo_key_make(text, sizeof(text), service, key) == -1) {
		log_trouble(t, "a key is too long");
		return TABLE_TROUBLE;
	}
	return memo_find(t->memo, text, t->world.now_ms(t->world.arg), w, value);
}

/* -- answers -- */

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return true;
	return false;
}

/* NULL, or why not. */
static const char *
append_row(struct remote_question *q, const char *value)
{
	size_t len = strlen(value), more = q->nrows > 0 ? len + strlen(SEPARATOR) : len;

	if (q->nrows == TABLE_REMOTE_ROWS_MAX)
		return "too many rows";
	if (has_control(value))
		return "a control character in a value";
	if (q->rows.len + more > TABLE_VALUE_MAX)
		return "too long a value";
	if (q->table->octets + more > ARRIVING_OCTETS_MAX)
		return "too much at once";
	if ((q->nrows > 0 && buf_append_str(&q->rows, SEPARATOR) == -1) ||
	    buf_append(&q->rows, value, len) == -1)
		return "out of memory";
	q->table->octets += more;
	q->nrows++;
	return NULL;
}

void
table_remote_on_row(struct asks *asks, struct channel *ch, const struct msg_table_row *m)
{
	struct remote_question *q = ask_owner(asks, ch, m->req);
	const char *why;

	if (q != NULL && (why = append_row(q, m->value)) != NULL)
		finish_trouble(q, why);
}

void
table_remote_on_end(struct asks *asks, struct channel *ch, const struct msg_table_end *m)
{
	struct remote_question *q = ask_owner(asks, ch, m->req);

	if (q == NULL)
		return;
	if (m->outcome == IPC_OK && q->nrows > 0)
		finish(q, TABLE_YES);
	else if (m->outcome == IPC_GONE && q->nrows == 0)
		finish(q, TABLE_NO);
	else
		finish_trouble(q, m->text[0] != '\0' ? m->text : "not an answer");
}

/* -- life -- */

/* The memo goes first, and with it each question that it waits for. */
static void
cancel(void *arg, struct memo_entry *e)
{
	struct table_remote *t = arg;
	struct remote_question *q;
	struct buf rows;

	TAILQ_FOREACH (q, &t->asked, entry)
		if (q->memo == e)
			break;
	bug_on(q == NULL);
	rows = q->rows;
	question_free(q, t->world.asks(t->world.arg));
	buf_free(&rows);
}

struct table_remote *
table_remote_create(const struct remote_world *world, const char *name)
{
	struct memo_plan plan = {.entries_max = REMEMBERED_MAX,
	    .octets_max = REMEMBERED_OCTETS_MAX,
	    .asked_max = TABLE_REMOTE_ASKED_MAX,
	    .ask = ask,
	    .cancel = cancel};
	struct table_remote *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->world = *world;
	TAILQ_INIT(&t->asked);
	str_cut(t->name, sizeof(t->name), name);
	plan.arg = t;
	if ((t->memo = memo_create(&plan)) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void
table_remote_configure(struct table_remote *t, uint32_t instance, int64_t cache_ms)
{
	t->instance = instance;
	memo_set_times(t->memo, cache_ms, cache_ms);
}

/* -- as a back end -- */

static struct asks *
asks_of_service(void *arg)
{
	struct service *const *service = arg;

	return *service == NULL ? NULL : service_asks(*service);
}

static struct channel *
peer_of_service(void *arg, uint32_t instance)
{
	struct service *const *service = arg;

	return service_peer(*service, ROLE_TABLE, instance);
}

static int64_t
now_of_service(void *arg)
{
	struct service *const *service = arg;

	return service_now_ms(*service);
}

static void *
create(const struct backend_env *env, const char *name)
{
	const struct remote_world world = {.asks = asks_of_service,
	    .peer = peer_of_service,
	    .now_ms = now_of_service,
	    .arg = (void *)(uintptr_t)env->service};

	return table_remote_create(&world, name);
}

static void
configure(void *table, const struct conf *conf)
{
	struct table_remote *t = table;
	const struct conf_table *ct = conf_table_find(conf, t->name);
	enum table_program program = TABLE_PROGRAM__MAX;

	if (ct != NULL)
		program = table_program_of(ct->kind);
	bug_on(program == TABLE_PROGRAM__MAX);
	table_remote_configure(t, program, conf->values.table_cache_s * 1000);
}

static void
drop(void *table)
{
	struct table_remote *t = table;

	memo_drop_all(t->memo);
}

static void
tick(void *table, int64_t now_ms)
{
	struct table_remote *t = table;

	memo_tick(t->memo, now_ms);
}

static void
free_table(void *table)
{
	struct table_remote *t = table;

	memo_free(t->memo);
	free(t);
}

const struct backend_ops table_remote_ops = {
    .create = create,
    .free = free_table,
    .configure = configure,
    .find = find,
    .drop = drop,
    .tick = tick,
    .is_dear = true,
};

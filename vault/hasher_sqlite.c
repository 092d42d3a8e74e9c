/* SPDX-License-Identifier: ISC */
/*
 * SQLite tables of smtpd-hasher, one question at a time.
 *
 * Invariant: a question has one answer, soon, whatever the query and the database
 * say (lib/sqlite/source.h), and leaves no lock behind.  Nothing is fatal.
 */
#include "vault/hasher_sqlite.h"

#include <sys/epoll.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sqlite/reader.h"
#include "lib/sqlite/source.h"

#define TABLES_MAX  256
#define QUESTION_MS 1500	 /* for one question, waiting for a writer included */
#define HEAP_MAX    (32LL << 20) /* octets of all of SQLite */
#define CONF_SUFFIX "#conf"

struct table { /* owned by the list in struct hasher_sqlite */
	TAILQ_ENTRY(table) entry;
	struct source *source;
};

TAILQ_HEAD(tables, table);

struct hasher_sqlite {
	struct tables tables;
	size_t ntables;
	int idle_fd; /* an epoll descriptor that watches nothing: waiting on it is sleeping */
};

static enum ipc_outcome
outcome_of(enum source_answer answer)
{
	if (answer == SOURCE_FOUND)
		return IPC_OK;
	return answer == SOURCE_NONE ? IPC_GONE : IPC_RETRY;
}

/* -- all tables -- */

static struct table *
table_find(struct hasher_sqlite *h, const char *name, size_t len)
{
	struct table *t;

	TAILQ_FOREACH (t, &h->tables, entry)
		if (strlen(source_name(t->source)) == len &&
		    memcmp(source_name(t->source), name, len) == 0)
			return t;
	return NULL;
}

static struct table *
table_add(struct hasher_sqlite *h, const char *name, size_t len)
{
	const struct source_plan plan = {.question_ms = QUESTION_MS, .idle_fd = h->idle_fd};
	char copy[IPC_WORD_MAX + 1];
	struct table *t;

	if (len >= sizeof(copy) || h->ntables >= TABLES_MAX || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	memcpy(copy, name, len);
	copy[len] = '\0';
	if ((t->source = source_create(copy, &plan)) == NULL) {
		free(t);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&h->tables, t, entry);
	h->ntables++;
	return t;
}

static void
table_free(struct hasher_sqlite *h, struct table *t)
{
	TAILQ_REMOVE(&h->tables, t, entry);
	h->ntables--;
	source_free(t->source);
	free(t);
}

struct hasher_sqlite *
hasher_sqlite_create(void)
{
	struct hasher_sqlite *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	TAILQ_INIT(&h->tables);
	if ((h->idle_fd = epoll_create1(EPOLL_CLOEXEC)) == -1) {
		free(h);
		return NULL;
	}
	if (reader_install(HEAP_MAX) == -1) {
		(void)close(h->idle_fd);
		free(h);
		return NULL;
	}
	return h;
}

void
hasher_sqlite_free(struct hasher_sqlite *h)
{
	struct table *t;

	if (h == NULL)
		return;
	while ((t = TAILQ_FIRST(&h->tables)) != NULL)
		table_free(h, t);
	(void)close(h->idle_fd);
	free(h);
}

void
hasher_sqlite_file(struct hasher_sqlite *h, const char *name, int fd)
{
	size_t len = strcspn(name, "#");
	bool is_conf = strcmp(name + len, CONF_SUFFIX) == 0;
	struct table *t = table_find(h, name, len);

	if ((name[len] != '\0' && !is_conf) ||
	    (t == NULL && (t = table_add(h, name, len)) == NULL)) {
		(void)close(fd);
		return;
	}
	if (is_conf)
		source_tell(t->source, fd);
	else
		source_open(t->source, fd);
}

void
hasher_sqlite_configure(struct hasher_sqlite *h, const struct conf *conf)
{
	const struct conf_table *ct;
	struct table *t, *next;

	for (t = TAILQ_FIRST(&h->tables); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		ct = conf_table_find(conf, source_name(t->source));
		if (ct == NULL || ct->kind != CONF_TABLE_SQLITE)
			table_free(h, t);
	}
}

/* -- questions -- */

struct taking {
	struct source *source;
	const char *key;
	char *value;
	enum source_answer answer;
};

/* Of several rows the first counts. */
static bool
take_value(void *arg, const char *text, size_t len)
{
	struct taking *t = arg;

	if (len > IPC_SECRET_MAX)
		t->answer = source_refuse(t->source, t->key, "a value is too long");
	else if (len > 0) {
		memcpy(t->value, text, len + 1);
		t->answer = SOURCE_FOUND;
	}
	return false;
}

enum ipc_outcome
hasher_sqlite_find(
    struct hasher_sqlite *h, const struct msg_find *question, char value[IPC_SECRET_MAX + 1])
{
	const struct table *t = table_find(h, question->table, strlen(question->table));
	enum table_service service = (enum table_service)question->service;
	struct taking taking = {.key = question->key, .value = value, .answer = SOURCE_NONE};
	enum source_answer answer;

	value[0] = '\0';
	if (t == NULL || (service != SERVICE_AUTH && service != SERVICE_CREDENTIALS))
		return IPC_RETRY;
	taking.source = t->source;
	answer = source_ask(t->source, service, question->key, take_value, &taking);
	return outcome_of(answer == SOURCE_FOUND ? taking.answer : answer);
}

enum ipc_outcome
hasher_sqlite_scram(struct hasher_sqlite *h, const char *table)
{
	const struct table *t = table_find(h, table, strlen(table));

	if (t == NULL)
		return IPC_RETRY;
	return outcome_of(source_has_text(t->source, SERVICE_AUTH, "SCRAM-SHA-256$"));
}

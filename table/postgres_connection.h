/* SPDX-License-Identifier: ISC */
#ifndef TABLE_POSTGRES_CONNECTION_H
#define TABLE_POSTGRES_CONNECTION_H

#include <sys/queue.h>

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf/postgres.h"
#include "table/backend.h"

struct event;

/*
 * One connection to a server, and the questions under way on it.  Nothing here waits.
 * What it has to say, it says by its callbacks, which must not free it.
 */
#define PG_CONNECT_MS  5000
#define PG_QUERY_MS    5000		    /* the server ends a query that takes longer */
#define PG_PATIENCE_MS (PG_QUERY_MS + 2000) /* for a server that does not even do that */
#define PG_HEARD_MAX   4096 /* times that something comes, before an answer is whole, or unasked */
#define PG_WHY_MAX     160

struct pg_job { /* owned by its table's line, or its connection */
	TAILQ_ENTRY(pg_job) entry;
	struct pg_connection *on;	   /* NULL: it waits for one */
	struct question *q;		   /* NULL: forgotten, or none at all */
	enum table_service service, query; /* what is asked for, and whose query that is */
	int64_t sent_ms;
	bool is_settings; /* the connection's own, first of all: no load */
	bool prepares;	  /* its statement is made on the way */
	bool has_row;
	bool is_answered; /* all its rows have come */
	enum ipc_outcome outcome;
	char why[PG_WHY_MAX];
};
TAILQ_HEAD(pg_jobs, pg_job);

enum pg_state { PG_DOWN, PG_CONNECTING, PG_READY };

struct pg_connection {
	struct event_base *base;
	const struct postgres *conf;
	/* A connection is there, or what was there is gone and why; what was asked was answered. */
	void (*on_up)(void *arg);
	void (*on_down)(void *arg, bool was_ready, const char *why);
	void (*on_free)(void *arg); /* an answer came: there may be room for another question */
	/* A query failed; it will be asked again with the next question. */
	void (*on_error)(void *arg, enum table_service service, const char *why);
	void *arg;

	enum pg_state state;
	PGconn *pg;
	struct event *event;
	short watched;
	struct pg_jobs jobs; /* in the order they were sent */
	size_t njobs;	     /* but for settings */
	unsigned int
	    statements[SERVICE__MAX]; /* the number in the statement's name; 0: not prepared */
	unsigned int last_statement;
	unsigned int heard; /* how often something came, since the last answer was whole */
	int64_t changed_ms, used_ms;
};

void pg_connection_open(struct pg_connection *c, int64_t now_ms); /* state is PG_DOWN */
void pg_connection_send(struct pg_connection *c, struct pg_job *j, int64_t now_ms); /* takes j */
void pg_connection_tick(struct pg_connection *c, int64_t now_ms); /* what takes too long, ends */
void pg_connection_close(struct pg_connection *c); /* without a word; questions were forgotten */

#endif

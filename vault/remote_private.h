/* SPDX-License-Identifier: ISC */
#ifndef VAULT_REMOTE_PRIVATE_H
#define VAULT_REMOTE_PRIVATE_H

#include <sys/queue.h>

#include "lib/ipc/messages.h"
#include "vault/remote.h"
#include "vault/remote_lines.h"

struct event;

/*
 * remote.c           questions: asked, sent, answered, late
 * remote_tables.c    tables, from smtpd.conf; the parent's answers
 * remote_link.c      one connection: octets to lines and back
 * remote_protocol.c  what Dovecot and helpers mean by them
 * remote_lines.c     the lines themselves
 *
 * Reading and writing happens in events alone, so a question can't end while
 * it is being asked.
 */
#define REMOTE_LINKS_MAX      4 /* connections to one helper; Dovecot needs one */
#define REMOTE_BACKOFF_MS     1000
#define REMOTE_BACKOFF_MAX_MS 30000

struct remote_question { /* owned by the list that it is in */
	TAILQ_ENTRY(remote_question) entry;
	struct remote_table *table;
	struct remote_link *link; /* NULL: it waits for one */
	enum remote_secret kind;
	char network[IPC_WORD_MAX + 1];
	uint32_t id;
	struct buf line; /* kept until the answer: a helper may have to be asked again */
	bool repeated;	 /* something more was said for it; not a third time */
	int64_t deadline_ms;
	remote_done done; /* NULL: nobody wants to know any more */
	void *owner;
};

TAILQ_HEAD(remote_questions, remote_question);

enum remote_state { REMOTE_DOWN, REMOTE_ASKED, REMOTE_UP };

struct remote_link { /* a place for a connection; its table's */
	struct remote_table *table;
	enum remote_state state;
	uint32_t req; /* REMOTE_ASKED: of the parent */
	int fd;	      /* REMOTE_UP; else -1 */
	struct event *readable, *writable;
	struct buf in, out;
	bool ready;			   /* questions may be sent */
	int64_t greet_ms;		   /* until when it must be */
	unsigned int greetings;		   /* lines of its greeting so far */
	unsigned int offers;		   /* of Dovecot: a bit for each enum remote_secret */
	uint64_t answers;		   /* since it is up */
	int64_t heard_ms;		   /* when it last said anything */
	struct remote_questions questions; /* sent */
	size_t nquestions;
};

struct remote_protocol {
	enum conf_table_kind table;
	unsigned int kinds;    /* of secrets that it knows, a bit each */
	size_t links, at_once; /* connections; questions on each */
	size_t line_max;
	bool greets; /* there is a greeting before questions may be sent */
	int (*greet)(struct buf *out);
	int (*write)(struct buf *out, uint32_t id, const struct remote_request *request);
	/* NULL, or what is wrong with that line.  May end questions. */
	const char *(*take)(struct remote_link *l, const char *line, size_t len);
};

struct remote_table { /* owned by the list in struct remotes */
	TAILQ_ENTRY(remote_table) entry;
	struct remotes *remotes;
	const struct remote_protocol *protocol;
	char name[IPC_WORD_MAX + 1];
	char *path; /* NULL: the parent alone knows */
	struct remote_link links[REMOTE_LINKS_MAX];
	struct remote_questions waiting;
	size_t nquestions; /* on links, too */
	uint32_t last_id;
	unsigned int failures; /* one after another */
	int64_t retry_ms;      /* no new connection before */
	unsigned int missed;   /* kinds of secrets that it does not offer, which was logged */
};

TAILQ_HEAD(remote_tables, remote_table);

struct remotes {
	struct event_base *base;
	struct asks *asks;
	struct channel *parent;
	struct remote_tables tables;
	int64_t now_ms; /* of the last tick or question */
};

/* remote.c */
struct remote_table *table_find(struct remotes *r, const char *name); /* NULL: none */
void questions_end(struct remote_questions *list);
void question_end(struct remote_question *q, enum ipc_auth result, const char *login);
void table_work(struct remote_table *t); /* moves on what waits; ends nothing */
/* A connection is gone.  why: it failed, which is logged; NULL: it was closed in peace. */
void table_lost_link(struct remote_table *t, struct remote_link *l, const char *why);
/* Dovecot has said what it offers: what it does not is answered. */
void table_greeted(struct remote_table *t, struct remote_link *l);

/* remote_link.c */
void link_init(struct remote_link *l, struct remote_table *t);
int link_ask(struct remote_link *l) WARN_UNUSED; /* the parent, for a connection */
void link_up(struct remote_link *l, int fd);	 /* takes fd */
void link_down(struct remote_link *l);		 /* leaves its questions as they are */
void link_lose(struct remote_link *l, const char *why);
/* -1: there is no room now. */
int link_write(struct remote_link *l, const void *data, size_t len) WARN_UNUSED;
struct remote_question *link_question(struct remote_link *l, uint32_t id); /* NULL: none */

/* remote_protocol.c */
const struct remote_protocol *protocol_of(enum conf_table_kind kind); /* NULL: none */

#endif

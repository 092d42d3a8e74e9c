/* SPDX-License-Identifier: ISC */
#ifndef TABLE_QUESTION_H
#define TABLE_QUESTION_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"
#include "table/backend.h"

/*
 * Questions under way, as the frame sees them.  One ends by question_end(), or, when
 * its time is over or who asked is gone, by questions_forget_...(), and its back end is
 * told to forget it; whichever comes first.
 */
#define QUESTION_MS	   6000 /* for an answer; who asks waits a little longer */
#define QUESTION_SHORT	   4096 /* octets of an answer that may take more of the shared room */
#define QUESTION_ROWS_MAX  10000
#define QUESTION_BYTES_MAX (1U << 20) /* of all rows */
#define QUESTIONS_MAX	   8192

struct table { /* owned by the list in dispatch.c */
	TAILQ_ENTRY(table) entry;
	char name[CONF_NAME_MAX + 1];
	char *text; /* its small file, as it was opened with; NULL: no good one came */
	size_t len;
	struct backend_table *backend; /* NULL: see why */
	char why[BACKEND_WHY_MAX];
	bool is_wanted; /* by the configuration at hand */
};

struct question { /* owned by struct questions */
	TAILQ_ENTRY(question) entry;
	struct questions *all;
	struct table *table;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	enum table_service service;
	size_t nrows, nbytes;
	void *note; /* the back end's */
	char key[IPC_ADDRESS_MAX + 1];
};

struct questions {
	TAILQ_HEAD(, question) list; /* by deadline */
	size_t n;
};

void questions_init(struct questions *qs);
/* Asks its back end, or answers RETRY; may be over when it returns. */
void question_ask(struct questions *qs, struct table *t, struct channel *ch,
    const struct msg_table_ask *m, int64_t now_ms);
/* An answer to what is no question of ours. */
void question_refuse(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *why);
/* NULL: of any table, any channel; told_why NULL: the channel is gone, nothing is said. */
void questions_drop(
    struct questions *qs, const struct table *t, const struct channel *ch, const char *told_why);
void questions_tick(struct questions *qs, int64_t now_ms);

#endif

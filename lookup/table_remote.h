/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_TABLE_REMOTE_H
#define LOOKUP_TABLE_REMOTE_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/ask.h"
#include "lib/ipc/message.h"
#include "lookup/backend.h"

/*
 * A table that another program knows: smtpd-table-NAME, which is asked by
 * table_ask and answers by rows and an end.  Answers are remembered for a moment
 * (memo.h), one question is asked once however many want to know.
 *
 * Rows are joined by ", ".  What that program says is not believed: more than
 * TABLE_REMOTE_ROWS_MAX rows or TABLE_VALUE_MAX octets, and a control
 * character in a value, are TROUBLE; so are its absence, its death and its silence.
 */
#define TABLE_REMOTE_ROWS_MAX	 10000
#define TABLE_REMOTE_DEADLINE_MS 8000 /* that program gives up sooner */
#define TABLE_REMOTE_ASKED_MAX	 4096 /* questions under way, of one table */

/* What a remote table needs of the program it is in: a service, or a test. */
struct remote_world {
	struct asks *(*asks)(void *arg); /* NULL: they are gone, and every question with them */
	struct channel *(*peer)(void *arg, uint32_t instance); /* NULL: it is down */
	int64_t (*now_ms)(void *arg);
	void *arg;
};

struct table_remote; /* what table_remote_ops makes, asks and frees */

struct table_remote *table_remote_create(
    const struct remote_world *world, const char *name) WARN_UNUSED; /* NULL: ENOMEM */
/* instance: which process, see lib/conf/table_program.h; cache_ms: for how long answers are good. */
void table_remote_configure(struct table_remote *t, uint32_t instance, int64_t cache_ms);

/* Handlers of the program's: of whichever table the question was. */
void table_remote_on_row(struct asks *asks, struct channel *ch, const struct msg_table_row *m);
void table_remote_on_end(struct asks *asks, struct channel *ch, const struct msg_table_end *m);

#endif

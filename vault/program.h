/* SPDX-License-Identifier: ISC */
#ifndef VAULT_PROGRAM_H
#define VAULT_PROGRAM_H

#include "lib/base/bug.h"
#include "lib/conf/service.h"
#include "lib/ipc/channel.h"

struct vault;

/*
 * Tables of passwords that another program knows: smtpd-table-NAME, a process of ours
 * that asks a database.  Its first row counts.
 */
struct program_question;

/* OK and what stands there, GONE or RETRY; value is wiped afterwards.  The question is over. */
typedef void (*program_done)(void *owner, enum ipc_outcome outcome, const char *value);

struct program_key {
	const char *table;
	enum table_service service; /* SERVICE_AUTH or SERVICE_CREDENTIALS */
	const char *key;
};

/* NULL: it can't be asked now.  done is not called from within. */
struct program_question *program_ask(
    struct vault *v, const struct program_key *key, program_done done, void *owner) WARN_UNUSED;
void program_cancel(struct program_question *q); /* done is not called any more; NULL is fine */

/* Handlers. */
void program_on_row(struct vault *v, struct channel *ch, const struct msg_table_row *m);
void program_on_end(struct vault *v, struct channel *ch, const struct msg_table_end *m);

#endif

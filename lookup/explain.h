/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPLAIN_H
#define LOOKUP_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/*
 * smtpctl explain: what would become of a recipient, step by step.  The decision is made
 * by the functions that live traffic asks, with observers; it counts nothing, and
 * changes nothing but what is remembered of tables and the DNS.
 */
struct explains;

struct explains *explains_create(struct lookup *l) WARN_UNUSED;
void explains_free(struct explains *xs); /* NULL is fine */
/* Answers with explain_row, as many as there are steps, and one explain_end; or with one done. */
void explain_begin(struct explains *xs, struct channel *ch, const struct msg_explain *m);
/*
 * The configuration, the tables or the resolver are other ones now, or will be in a
 * moment: what is under way asks for nothing more in this turn, and begins anew in the next.
 */
void explains_restart(struct explains *xs);
void explains_unlink(struct explains *xs, const struct channel *ch); /* the asker is gone */
void explains_tick(struct explains *xs, int64_t now_ms);	     /* ends what took too long */
size_t explains_count(const struct explains *xs);

#endif

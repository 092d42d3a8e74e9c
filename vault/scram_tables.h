/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SCRAM_TABLES_H
#define VAULT_SCRAM_TABLES_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct credentials;
struct vault;

/*
 * Which tables have SCRAM keys: session processes are told, so that they know
 * what to offer.  A database is asked now and then.
 */
struct scram_tables;

#define SCRAM_TABLES_EVERY_MS (60 * INT64_C(1000))

struct scram_tables *scram_tables_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void scram_tables_free(struct scram_tables *s, struct vault *v);
void scram_tables_link(struct vault *v, struct channel *ch); /* a session process is there */
void scram_tables_changed(struct vault *v); /* another configuration, or a hasher at last */
/* What was learned of a table; of one that no hasher reads, nothing else is known. */
void scram_tables_tell(const struct vault *v, const struct credentials *c);
void scram_tables_tick(struct vault *v, int64_t now_ms);

#endif

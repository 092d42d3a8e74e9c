/* SPDX-License-Identifier: ISC */
#ifndef VAULT_PASSWORDS_H
#define VAULT_PASSWORDS_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/message.h"
#include "vault/credentials.h"

/*
 * All tables of passwords and tokens, by name, and the accounts of the system
 * as one more.  A reload is fed piece by piece, then takes the place of what was
 * there in one step.
 */
#define PASSWORDS_TABLES_MAX 1024

struct passwords;

struct passwords *passwords_create(void) WARN_UNUSED; /* NULL: ENOMEM, or no random numbers */
void passwords_free(struct passwords *p);	      /* wipes; NULL is fine */

/* A piece of IPC_DATA_TABLE, for the configuration to come.  -1: ENOBUFS, ENOMEM. */
int passwords_feed(struct passwords *p, const struct msg_file_data *piece) WARN_UNUSED;
/*
 * Takes the secret tables of conf, and for those that are files what was fed
 * since the last time; what was before is wiped.  conf must live until the
 * next call.  -1: ENOMEM.
 */
int passwords_configure(struct passwords *p, const struct conf *conf) WARN_UNUSED;

/* Tables live until the next configuration.  NULL: no such table. */
struct credentials *passwords_find(struct passwords *p, const char *table);
struct credentials *passwords_system(struct passwords *p);
struct credentials *passwords_each(struct passwords *p, size_t n); /* the n-th; NULL: no more */

/* SCRAM keys of a login that does not exist: always the same, and never a password's. */
void passwords_fake(const struct passwords *p, const struct credentials *c, const char *login,
    struct scram_keys *out);

#endif

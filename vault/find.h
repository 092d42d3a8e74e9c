/* SPDX-License-Identifier: ISC */
#ifndef VAULT_FIND_H
#define VAULT_FIND_H

#include <stdint.h>

#include "lib/ipc/channel.h"

struct vault;

/*
 * smtpctl lookup in a table of secrets: which kind of secret there is under a key.  The
 * secret itself goes nowhere.
 */
struct secret_finds;

struct secret_finds *secret_finds_create(struct vault *v) WARN_UNUSED; /* NULL: ENOMEM */
void secret_finds_free(struct secret_finds *fs);		       /* NULL is fine */
/* Answers with find_row, if there is something, and one find_end. */
void
secret_find_begin(struct secret_finds *fs, struct channel *ch, const struct msg_find_secret *m);
void secret_finds_unlink(struct secret_finds *fs, const struct channel *ch); /* the asker is gone */
void secret_finds_tick(struct secret_finds *fs, int64_t now_ms); /* ends what took too long */

/* "yescrypt hash, SCRAM-SHA-256 keys with 4096 iterations"; what a table keeps under key.  Pure. */
#define SECRET_KIND_SIZE 256
void secret_kind(const char *key, const char *value, char dst[SECRET_KIND_SIZE]);

#endif

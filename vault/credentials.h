/* SPDX-License-Identifier: ISC */
#ifndef VAULT_CREDENTIALS_H
#define VAULT_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/secret/stored.h"
#include "vault/kinds.h"

/*
 * One table of passwords and tokens: what this process has of it, or where to
 * ask for the rest.  Three kinds of entries may stand in it:
 *
 *   login             what stored.h says
 *   cert:SHA256:<hex> the login of who shows this certificate
 *   sha256:<hex>      the login of who has this token, see token.h
 *
 * A table of an action's "auth" has other entries: the label of a relay, and what it is
 * logged in with.
 *
 * Keys are found whatever their case.  Of two entries with one key the first
 * counts.  What can't be used is logged and left out.
 */
#define CREDENTIALS_TEXT_MAX	(64U << 20) /* octets of a table's file */
#define CREDENTIALS_ENTRIES_MAX (1U << 20)

struct credentials;

enum credentials_where {
	CREDENTIALS_HERE,    /* inline, or a file */
	CREDENTIALS_SQLITE,  /* a hasher has it */
	CREDENTIALS_PROGRAM, /* a program of tables has it, see program.h */
	CREDENTIALS_REMOTE,  /* see remote.h */
	CREDENTIALS_SYSTEM   /* the parent reads it */
};
enum credentials_answer { CREDENTIALS_NO, CREDENTIALS_YES, CREDENTIALS_TROUBLE };

struct credentials *credentials_create(const char *name, enum credentials_where where) WARN_UNUSED;
void credentials_free(struct credentials *c); /* wipes; NULL is fine */
/* The contents, once: pairs that must outlive it, or the text of a file, which is taken over. -1: ENOMEM. */
int credentials_read_pairs(struct credentials *c, const struct conf_table *t) WARN_UNUSED;
int credentials_read_text(struct credentials *c, struct buf *text) WARN_UNUSED;
/* Its keys are labels of relays, its values "user:password" (relay_credential.h); before it is read. */
void credentials_set_relays(struct credentials *c);
bool credentials_is_relays(const struct credentials *c);
/* Its file could not be read: every question ends in TROUBLE. */
void credentials_set_trouble(struct credentials *c);

const char *credentials_name(const struct credentials *c);
enum credentials_where credentials_where(const struct credentials *c);
/* CREDENTIALS_HERE: what stands under a key; *found is the key as it is spelled there. */
enum credentials_answer credentials_value(
    const struct credentials *c, const char *key, const char **found, const char **value);

/* One more login is known to have this: what stands elsewhere is known by what was seen of it. */
void credentials_learn(struct credentials *c, const struct stored *s);
/* All that was seen of one that it takes the place of. */
void credentials_inherit(struct credentials *c, const struct credentials *old);
/* What a login that does not exist is checked with.  NULL: random numbers failed. */
const char *credentials_dummy(struct credentials *c);
struct scram_kind
credentials_scram_kind(const struct credentials *c); /* its SCRAM keys are like this */
/* Whether any login has SCRAM keys; of what stands elsewhere, as far as it is known. */
bool credentials_has_scram(const struct credentials *c);
void credentials_set_scram(struct credentials *c, bool scram);

#endif

/* SPDX-License-Identifier: ISC */
/*
 * The usual cost of a table's logins.
 *
 * Invariant: a dummy stays the same as long as its kind is known, and takes as
 * long to check as the hash that was first seen of it.  Nothing is fatal.
 */
#include "vault/kinds.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/str.h"

void
kinds_check_of(const struct stored *s, char dst[STORED_HASH_SIZE])
{
	_Static_assert(SCRAM_TEXT_SIZE <= STORED_HASH_SIZE, "SCRAM keys fit");
	if (s->hash[0] != '\0')
		memcpy(dst, s->hash, strlen(s->hash) + 1);
	else
		scram_keys_format(&s->scram, dst);
}

static void
kind_name(const struct stored *s, char dst[48])
{
	if (s->hash[0] != '\0')
		(void)snprintf(dst, 48, "%.*s", (int)stored_hash_kind(s->hash), s->hash);
	else
		(void)snprintf(dst, 48, "SCRAM %u %zu", s->scram.iterations, s->scram.salt_len);
}

/* As dear as what it is like. */
static int
make_dummy(const struct stored *s, char dst[STORED_HASH_SIZE])
{
	uint8_t secret[SCRAM_KEY_SIZE];
	struct scram_keys keys;

	if (s == NULL || s->hash[0] != '\0')
		return stored_hash_fake(s == NULL ? NULL : s->hash, dst);
	if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		return -1;
	scram_keys_fake(secret, "", s->scram.iterations, s->scram.salt_len, &keys);
	scram_keys_format(&keys, dst);
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

static void
count_check(struct kinds *k, const struct stored *s)
{
	struct kind *kind;
	char name[48];
	size_t i;

	kind_name(s, name);
	for (i = 0; i < k->nchecks; i++)
		if (strcmp(k->checks[i].name, name) == 0) {
			k->checks[i].logins++;
			return;
		}
	if (k->nchecks == KINDS_MAX)
		return;
	kind = &k->checks[k->nchecks];
	if (make_dummy(s, kind->dummy) == -1)
		return;
	memcpy(kind->name, name, sizeof(name));
	kind->logins = 1;
	k->nchecks++;
}

static void
count_scram(struct kinds *k, const struct scram_keys *keys)
{
	size_t i;

	for (i = 0; i < k->nscrams; i++)
		if (k->scrams[i].iterations == keys->iterations &&
		    k->scrams[i].salt_len == keys->salt_len) {
			k->scrams[i].logins++;
			return;
		}
	if (k->nscrams < KINDS_MAX)
		k->scrams[k->nscrams++] = (struct scram_kind){keys->iterations, keys->salt_len, 1};
}

void
kinds_count(struct kinds *k, const struct stored *s)
{
	count_check(k, s);
	if (s->has_scram)
		count_scram(k, &s->scram);
}

/* Of a table that has none yet it is the kind to prefer, made once. */
const char *
kinds_dummy(struct kinds *k)
{
	const struct kind *usual = &k->checks[0];
	size_t i;

	for (i = 1; i < k->nchecks; i++)
		if (k->checks[i].logins > usual->logins)
			usual = &k->checks[i];
	if (k->nchecks == 0 && k->checks[0].dummy[0] == '\0' &&
	    make_dummy(NULL, k->checks[0].dummy) == -1)
		return NULL;
	return usual->dummy;
}

struct scram_kind
kinds_scram(const struct kinds *k)
{
	struct scram_kind usual = {SCRAM_ITERATIONS, SCRAM_SALT_SIZE, 0};
	size_t i;

	for (i = 0; i < k->nscrams; i++)
		if (k->scrams[i].logins > usual.logins)
			usual = k->scrams[i];
	return usual;
}

/* SPDX-License-Identifier: ISC */
/*
 * Which keys are looked for in a table that knows no patterns, most exact first.
 *
 * Invariant: a key that leaves here is in lower case, not empty, and stands for its
 * subject alone: no local part, however quoted, makes a key of another kind.
 * Nothing is fatal.
 */
#include "lookup/table_keys.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/host.h"

void
table_keys_word(struct table_keys *k, const char *word)
{
	k->kind = TABLE_SUBJECT_WORD;
	k->tried = 0;
	k->rest = word;
}

void
table_keys_domain(struct table_keys *k, const char *domain)
{
	k->kind = TABLE_SUBJECT_DOMAIN;
	k->tried = 0;
	k->rest = domain;
}

void
table_keys_network(struct table_keys *k, const struct addr *a, bool prefixes)
{
	k->kind = TABLE_SUBJECT_NETWORK;
	k->tried = 0;
	k->addr = a;
	k->prefixes = prefixes;
}

void
table_keys_mailbox(struct table_keys *k, const struct address *a)
{
	k->kind = TABLE_SUBJECT_MAILBOX;
	k->tried = 0;
	k->address = a;
	k->rest = a->domain;
}

static const char *
key_set(struct table_keys *k, const char *before, const char *text)
{
	if (str_format(k->key, sizeof(k->key), "%s%s", before, text) == -1 || k->key[0] == '\0')
		return NULL;
	str_lower(k->key);
	return k->key;
}

/* The domains above, each with its dot; none of an address literal. */
static const char *
next_parent(struct table_keys *k, const char *before)
{
	if (k->rest[0] == '[')
		return NULL;
	if (k->rest[0] == '.')
		k->rest++;
	k->rest += strcspn(k->rest, ".");
	return k->rest[0] == '\0' ? NULL : key_set(k, before, k->rest);
}

static const char *
next_word(struct table_keys *k)
{
	return k->tried == 0 ? key_set(k, "", k->rest) : NULL;
}

static const char *
next_domain(struct table_keys *k)
{
	return k->tried == 0 ? key_set(k, "", k->rest) : next_parent(k, "");
}

/* The address, then each prefix of it, the longest first. */
static const char *
next_network(struct table_keys *k)
{
	uint8_t octets[HOST_OCTETS_MAX];
	unsigned int all = (unsigned int)host_octets(k->addr, octets) * 8;
	unsigned int bits = all + 1 - (unsigned int)k->tried;
	const struct host_prefix prefix = {bits, bits};
	char network[HOST_NETWORK_SIZE];

	if (k->tried == 0) {
		host_network(k->addr, &(const struct host_prefix){32, 128}, network);
		return key_set(k, "", network);
	}
	if (!k->prefixes || all == 0 || k->tried > all + 1)
		return NULL;
	host_network(k->addr, &prefix, network);
	network[strcspn(network, "/")] = '\0'; /* it is left out where the whole address counts */
	(void)snprintf(k->key, sizeof(k->key), "%s/%u", network, bits);
	return k->key;
}

/* The key of everybody, once, after all others. */
static const char *
last_mailbox(struct table_keys *k)
{
	if (k->rest == NULL)
		return NULL;
	k->rest = NULL;
	return key_set(k, "", "@");
}

static const char *
next_mailbox(struct table_keys *k)
{
	const struct address *a = k->address;
	char whole[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
	const char *key;

	if (a->local[0] == '\0')
		return k->tried == 0 ? key_set(k, "", "<>") : last_mailbox(k);
	switch (k->tried) {
	case 0:
		if (str_format(whole, sizeof(whole), "%s@%s", a->local, a->domain) == -1)
			return NULL;
		return key_set(k, "", whole);
	case 1:
		return key_set(k, "@", a->domain);
	case 2:
		if (strpbrk(a->local, "@<>") == NULL)
			return key_set(k, "", a->local);
		k->tried++;
		/* FALLTHROUGH */
	default:
		if (k->rest != NULL && (key = next_parent(k, "@")) != NULL)
			return key;
		return last_mailbox(k);
	}
}

const char *
table_keys_next(struct table_keys *k)
{
	static const char *(*const next[])(struct table_keys *) = {
	    [TABLE_SUBJECT_WORD] = next_word,
	    [TABLE_SUBJECT_DOMAIN] = next_domain,
	    [TABLE_SUBJECT_NETWORK] = next_network,
	    [TABLE_SUBJECT_MAILBOX] = next_mailbox,
	};
	const char *key = next[k->kind](k);

	k->tried++;
	return key;
}

/* SPDX-License-Identifier: ISC */
/*
 * From MX records to the hosts to try.
 *
 * Invariant: every name that comes out is a valid host name, never our own.
 * Nothing is fatal.
 */
#include "lookup/mx.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"

struct candidate {
	const struct dns_record *record;
	uint32_t rank; /* among equals */
};

struct candidates { /* best first */
	size_t n;
	struct candidate list[DNS_RECORDS_MAX];
};

/* xorshift32: this need not be unpredictable, only spread the load. */
static uint32_t
rank_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static bool
is_better(const struct candidate *a, const struct candidate *b)
{
	if (a->record->preference != b->record->preference)
		return a->record->preference < b->record->preference;
	return a->rank < b->rank;
}

static void
candidate_insert(struct candidates *c, const struct candidate *new)
{
	size_t i = c->n++;

	for (; i > 0 && is_better(new, &c->list[i - 1]); i--)
		c->list[i] = c->list[i - 1];
	c->list[i] = *new;
}

static bool
is_self(const struct mx_question *q, const char *name)
{
	return str_equal_nocase(name, q->self) || str_equal_nocase(name, q->backup);
}

/* Orders the usable records.  Returns the preference we have in them, or above all when none. */
static unsigned int
candidates_collect(
    struct candidates *c, const struct mx_question *q, const struct dns_records *records)
{
	uint32_t state = q->seed == 0 ? 1 : q->seed;
	unsigned int own = UINT16_MAX + 1U;
	size_t i;

	for (i = 0; i < records->n; i++) {
		const struct dns_record *r = &records->list[i];
		struct candidate new = {r, rank_next(&state)};

		if (!address_domain_valid(r->name, false))
			continue;
		if (is_self(q, r->name) && r->preference < own)
			own = r->preference;
		candidate_insert(c, &new);
	}
	return own;
}

static void
add_host(struct mx_list *list, const char *name, uint16_t preference)
{
	struct mx_host *h = &list->hosts[list->n];

	if (list->n < MX_HOSTS_MAX && str_copy(h->name, sizeof(h->name), name) == 0) {
		h->preference = preference;
		list->n++;
	}
}

static enum mx_result
choose_among(const struct mx_question *q, const struct dns_records *records, struct mx_list *out)
{
	struct candidates c = {.n = 0};
	unsigned int own;
	size_t i;

	if (records->n == 1 && records->unusable == 0 && records->list[0].name[0] == '\0')
		return MX_NULL;
	own = candidates_collect(&c, q, records);
	for (i = 0; i < c.n && c.list[i].record->preference < own; i++)
		add_host(out, c.list[i].record->name, c.list[i].record->preference);
	if (out->n > 0)
		return MX_HOSTS;
	return own <= UINT16_MAX ? MX_LOOP : MX_UNUSABLE;
}

enum mx_result
mx_choose(const struct mx_question *q, enum dns_result result, const struct dns_records *records,
    struct mx_list *out)
{
	out->n = 0;
	switch (result) {
	case DNS_FOUND:
		return choose_among(q, records, out);
	case DNS_NO_DATA:
		if (is_self(q, q->domain))
			return MX_LOOP;
		add_host(out, q->domain, 0);
		return out->n > 0 ? MX_HOSTS : MX_UNUSABLE;
	case DNS_NO_NAME:
		return MX_NO_NAME;
	case DNS_BOGUS:
		return MX_BOGUS;
	case DNS_TROUBLE:
		break;
	}
	return MX_TROUBLE;
}

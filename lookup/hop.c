/* SPDX-License-Identifier: ISC */
/*
 * One host of a route: first its addresses, of both families at once; then,
 * where DNSSEC vouches for those, its TLSA records: at the name that its CNAMEs
 * lead to, or else at its own (RFC 7672 2.2.2).
 *
 * Invariants: TLSA records that can't be had, or are forged, leave the host
 * without an address: it is never mailed with less than its owner may have asked
 * for.  At most one of the two steps is under way.  Nothing is fatal.
 */
#include "lookup/hop.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/ipc/messages.h"

static const struct family_row {
	enum dns_type type;
	int family;
} rows[HOP__FAMILIES] = {
    [HOP_IPV6] = {DNS_AAAA, AF_INET6},
    [HOP_IPV4] = {DNS_A, AF_INET},
};

/* -- the families -- */

bool
hop_uses(enum conf_family setting, int family)
{
	switch (setting) {
	case CONF_FAMILY_IPV6:
		return family == AF_INET6;
	case CONF_FAMILY_IPV4:
		return family == AF_INET;
	case CONF_FAMILY_PREFER_IPV6:
	case CONF_FAMILY_PREFER_IPV4:
	case CONF_FAMILY_ANY:
		break;
	}
	return true;
}

static enum hop_family
first_family(const struct hop_plan *plan)
{
	if (plan->family == CONF_FAMILY_ANY)
		return plan->either ? HOP_IPV4 : HOP_IPV6;
	return plan->family == CONF_FAMILY_PREFER_IPV4 ? HOP_IPV4 : HOP_IPV6;
}

const uint8_t *
hop_address(const struct hop *h, size_t i, int *family)
{
	enum hop_family first = first_family(h->plan), which;
	enum hop_family second = first == HOP_IPV4 ? HOP_IPV6 : HOP_IPV4;
	size_t na = h->halves[first].n, nb = h->halves[second].n, fewer = na < nb ? na : nb;

	if (i >= na + nb)
		return NULL;
	if (h->plan->family != CONF_FAMILY_ANY) {
		which = i < na ? first : second;
		i -= i < na ? 0 : na;
	} else if (i < 2 * fewer) { /* in turn, as long as there are both */
		which = i % 2 == 0 ? first : second;
		i /= 2;
	} else {
		which = na > nb ? first : second;
		i -= fewer;
	}
	*family = rows[which].family;
	return h->halves[which].addresses[i];
}

/* -- the end -- */

bool
hop_is_settled(const struct hop *h)
{
	return h->query == NULL && h->halves[HOP_IPV6].query == NULL &&
	       h->halves[HOP_IPV4].query == NULL;
}

static void
stop_asking(struct hop *h)
{
	size_t i;

	dns_cancel(h->query);
	h->query = NULL;
	for (i = 0; i < HOP__FAMILIES; i++) {
		dns_cancel(h->halves[i].query);
		h->halves[i].query = NULL;
	}
}

void
hop_stop(struct hop *h)
{
	stop_asking(h);
	free(h->tlsa);
	h->tlsa = NULL;
}

/* Nothing, if result is an answer. */
static void
note_trouble(struct hop *h, enum dns_result result)
{
	enum hop_trouble trouble = result == DNS_BOGUS	   ? HOP_BOGUS
				   : result == DNS_TROUBLE ? HOP_NO_ANSWER
							   : HOP_FINE;

	if (trouble > h->trouble)
		h->trouble = trouble;
}

static void
leave_out(struct hop *h)
{
	h->halves[HOP_IPV6].n = h->halves[HOP_IPV4].n = 0;
}

/* What DANE says of it can't be known. */
static void
lose_tlsa(struct hop *h, enum dns_result result)
{
	note_trouble(h, result);
	leave_out(h);
}

void
hop_give_up(struct hop *h)
{
	if (hop_is_settled(h))
		return;
	note_trouble(h, DNS_TROUBLE);
	if (h->plan->tlsa)
		leave_out(h);
	stop_asking(h);
}

/* -- TLSA -- */

static void
keep_record(struct hop_tlsa_set *set, const struct dns_record *r, size_t *used)
{
	struct hop_tlsa *t = &set->list[set->n++];

	*t = (struct hop_tlsa){r->usage, r->selector, r->matching, set->octets + *used, r->size};
	if (r->size > 0)
		memcpy(t->data, r->data, r->size);
	*used += r->size;
}

/*
 * A record that no asker could make sense of still says that there is TLS: it
 * counts as one that is not usable (RFC 7672 2.2).  Usage 255 is nobody's (RFC 7218).
 */
static int
keep_records(struct hop *h, const char *base, const struct dns_records *records)
{
	static const struct dns_record unusable = {.usage = 255};
	struct hop_tlsa_set *set;
	size_t i, used = 0;

	if ((set = malloc(sizeof(*set) + records->ndata)) == NULL)
		return -1;
	set->n = 0;
	str_cut(set->base, sizeof(set->base), base);
	for (i = 0; i < records->n && set->n < HOP_TLSA_MAX; i++)
		keep_record(set,
		    records->list[i].size <= IPC_TLSA_MAX ? &records->list[i] : &unusable, &used);
	if (set->n == 0)
		keep_record(set, &unusable, &used);
	h->tlsa = set;
	return 0;
}

static void ask_own_tlsa(struct hop *h);

static void
on_tlsa(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct hop *h = arg;
	const char *base = h->at_canonical ? h->canonical : h->name;

	h->query = NULL;
	if (result == DNS_TROUBLE || result == DNS_BOGUS)
		lose_tlsa(h, result);
	else if (result != DNS_FOUND || !records->secure)
		ask_own_tlsa(h);
	else if (keep_records(h, base, records) == -1)
		lose_tlsa(h, DNS_TROUBLE);
	if (hop_is_settled(h))
		h->done(h->arg);
}

static void
ask_tlsa(struct hop *h, const char *base)
{
	char name[DNS_NAME_MAX - 1]; /* 255 octets on the wire are 253 in text */
	const struct dns_question q = {name, DNS_TLSA, DNS_FOR_ROUTES};

	/* What is too long to be a name has no records. */
	if (str_format(name, sizeof(name), "_%u._tcp.%s", h->plan->port, base) == -1)
		return;
	h->query = dns_ask(h->plan->dns, &q, on_tlsa, h);
	if (h->query == NULL)
		lose_tlsa(h, DNS_TROUBLE);
}

/* Once it is known that they are not where its CNAMEs lead to. */
static void
ask_own_tlsa(struct hop *h)
{
	if (!h->at_canonical)
		return;
	h->at_canonical = false;
	ask_tlsa(h, h->name);
}

static void
on_cname(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct hop *h = arg;

	h->query = NULL;
	if (result == DNS_TROUBLE || result == DNS_BOGUS)
		lose_tlsa(h, result);
	else if (records->secure)
		ask_tlsa(h, h->name);
	if (hop_is_settled(h))
		h->done(h->arg);
}

/* Whether DNSSEC vouches for the addresses. */
static bool
is_secure(const struct hop *h)
{
	size_t i;

	for (i = 0; i < HOP__FAMILIES; i++)
		if (h->halves[i].n > 0 && !h->halves[i].secure)
			return false;
	return true;
}

/*
 * A host without DNSSEC has no DANE.  But where a secure name leads to an
 * insecure one, its owner may have said something at the first.
 */
static void
ask_dane(struct hop *h)
{
	const struct dns_question q = {h->name, DNS_CNAME, DNS_FOR_ROUTES};

	if (is_secure(h)) {
		h->at_canonical = h->alias && h->canonical[0] != '\0';
		ask_tlsa(h, h->at_canonical ? h->canonical : h->name);
	} else if (h->alias) {
		h->query = dns_ask(h->plan->dns, &q, on_cname, h);
		if (h->query == NULL)
			lose_tlsa(h, DNS_TROUBLE);
	}
}

/* -- addresses -- */

bool
hop_is_address(int family, const uint8_t *address)
{
	static const uint8_t zeroes[16], mapped[12] = {[10] = 0xff, 0xff};

	if (family == AF_INET)
		return address[0] != 0 && address[0] < 224;
	return memcmp(address, zeroes, 16) != 0 && memcmp(address, mapped, 12) != 0 &&
	       address[0] != 0xff && !(address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

static void
keep_addresses(struct hop_half *half, const struct dns_records *records)
{
	int family = rows[half - half->hop->halves].family;
	size_t i;

	for (i = 0; i < records->n && half->n < HOP_ADDRESSES_MAX; i++)
		if (hop_is_address(family, records->list[i].address))
			memcpy(half->addresses[half->n++], records->list[i].address, 16);
	half->secure = records->secure;
	if (records->alias && half->n > 0) {
		half->hop->alias = true;
		memcpy(half->hop->canonical, records->canonical, sizeof(half->hop->canonical));
	}
}

static void
on_addresses(void *arg, enum dns_result result, const struct dns_records *records)
{
	struct hop_half *half = arg;
	struct hop *h = half->hop;

	half->query = NULL;
	note_trouble(h, result);
	if (result == DNS_FOUND)
		keep_addresses(half, records);
	if (!hop_is_settled(h))
		return;
	if (h->plan->tlsa && h->halves[HOP_IPV6].n + h->halves[HOP_IPV4].n > 0)
		ask_dane(h);
	if (hop_is_settled(h))
		h->done(h->arg);
}

bool
hop_is_local(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t n = strlen(name);

	return str_equal_nocase(name, "localhost") ||
	       (n >= sizeof(suffix) && str_equal_nocase(name + n - (sizeof(suffix) - 1), suffix));
}

/* RFC 6761 6.3: these names are never asked about. */
static void
know_localhost(struct hop *h, enum hop_family f)
{
	static const uint8_t loopback[16] = {INADDR_LOOPBACK >> 24, 0, 0, 1};

	memcpy(h->halves[f].addresses[0], f == HOP_IPV4 ? loopback : in6addr_loopback.s6_addr,
	    sizeof(loopback));
	h->halves[f].n = 1;
}

void
hop_start(struct hop *h)
{
	bool local = hop_is_local(h->name);
	struct dns_question q = {.name = h->name, .use = DNS_FOR_ROUTES};
	struct hop_half *half;
	size_t i;

	for (i = 0; i < HOP__FAMILIES; i++) {
		half = &h->halves[i];
		half->hop = h;
		q.type = rows[i].type;
		if (!hop_uses(h->plan->family, rows[i].family))
			continue;
		if (local)
			know_localhost(h, (enum hop_family)i);
		else if ((half->query = dns_ask(h->plan->dns, &q, on_addresses, half)) == NULL)
			note_trouble(h, DNS_TROUBLE);
	}
}

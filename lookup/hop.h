/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_HOP_H
#define LOOKUP_HOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lookup/dns.h"

/* One host of a route: its addresses, and its TLSA records if DANE counts. */
#define HOP_ADDRESSES_MAX 8  /* of one family */
#define HOP_TLSA_MAX	  16 /* records */

struct hop_plan { /* for all hosts of a route, which has it */
	struct dns *dns;
	enum conf_family family;
	bool either; /* a random bit: which family is first where it is all the same */
	bool tlsa;
	uint16_t port;
};

enum hop_family { HOP_IPV6, HOP_IPV4, HOP__FAMILIES };

enum hop_trouble { /* the worse, the later */
	HOP_FINE,
	HOP_NO_ANSWER, /* some of it could not be found out */
	HOP_BOGUS      /* DNSSEC says that some of it is forged */
};

struct hop_tlsa {
	uint8_t usage, selector, matching;
	uint8_t *data; /* within the set */
	size_t size;
};

struct hop_tlsa_set { /* one allocation */
	char base[DNS_NAME_MAX + 1];
	size_t n;
	struct hop_tlsa list[HOP_TLSA_MAX];
	uint8_t octets[];
};

struct hop { /* part of its route; starts as zeroes but for plan, name, done and arg */
	const struct hop_plan *plan;
	const char *name;
	void (*done)(void *arg); /* it is settled; never from within hop_start() */
	void *arg;

	struct hop_half {
		struct hop *hop;
		struct dns_query *query; /* NULL: answered, or not asked */
		bool secure;
		size_t n;
		uint8_t addresses[HOP_ADDRESSES_MAX][16];
	} halves[HOP__FAMILIES];
	enum hop_trouble trouble;
	bool alias;			  /* its name is a CNAME */
	char canonical[DNS_NAME_MAX + 1]; /* what that leads to; "": it is not known */
	struct dns_query *query;	  /* for a CNAME or TLSA */
	bool at_canonical;		  /* the TLSA records of canonical are asked for */
	struct hop_tlsa_set *tlsa;	  /* NULL: none that count */
};

void hop_start(struct hop *h);
void hop_stop(struct hop *h); /* gives all back; done will not be called */
bool hop_is_settled(const struct hop *h);
/* What is not answered yet will not be: it is settled with what it has. */
void hop_give_up(struct hop *h);

/* The addresses in the order to try them, NULL after the last; family is AF_INET or AF_INET6. */
const uint8_t *hop_address(const struct hop *h, size_t i, int *family);

/*
 * Pure: whether a host can have that address (AF_...).  Not one for all or for many, nor one
 * that the kernel takes for this host itself, nor IPv4 in IPv6 (it would get round the
 * setting of the family), nor one that means nothing without an interface.
 */
bool hop_is_address(int family, const uint8_t *address);
/* Pure: whether addresses of this family (AF_...) are used at all. */
bool hop_uses(enum conf_family setting, int family);
/* Pure: localhost, or a name below it (RFC 6761 6.3). */
bool hop_is_local(const char *name);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_DNS_WIRE_H
#define LOOKUP_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/* A DNS answer as it comes (RFC 1035 4.1), taken apart. */
enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

#define DNS_RECORDS_MAX 64	   /* of one answer; what is above is ignored */
#define DNS_NAME_MAX	255	   /* octets of a name as text */
#define DNS_DATA_MAX	(16 << 10) /* octets that the TXT or TLSA records of one answer may have */

struct dns_record {
	uint16_t preference; /* of an MX */
	/* of a CNAME, MX or PTR: letters, digits, hyphens, underscores; "" is the root */
	char name[DNS_NAME_MAX + 1];
	uint8_t address[16];		   /* of an A (4 octets) or AAAA */
	uint8_t usage, selector, matching; /* of a TLSA (RFC 6698 2.1) */
	/*
	 * Of a TLSA the association data; of a TXT its strings, joined.  Any octets at
	 * all: who shows or sends them escapes them.  Within the struct dns_records.
	 */
	const uint8_t *data;
	size_t size;
};

struct dns_records {
	unsigned int rcode; /* RFC 1035 4.1.1 */
	bool secure;	    /* DNSSEC vouches for all of it; dns_parse() leaves it false */
	bool alias;	    /* the name asked about is a CNAME */
	bool referral; /* no answer: "ask those" (RFC 1034 4.3.1), of whom a resolver would know */
	/* The name that the CNAMEs lead to, the one asked about if there are none; "": no host's name. */
	char canonical[DNS_NAME_MAX + 1];
	size_t n;
	size_t unusable; /* records of the type that were left out: malformed, too long, or a
				name that could not be written anywhere without harm */
	struct dns_record list[DNS_RECORDS_MAX];
	size_t ndata;
	uint8_t data[DNS_DATA_MAX];
};

/*
 * The records of one type in the answer section, of the name that was asked about or
 * the one that its CNAMEs lead to, and the answer's code.  -1 with EPROTO: malformed.
 */
int dns_parse(
    const uint8_t *packet, size_t len, enum dns_type type, struct dns_records *out) WARN_UNUSED;

#endif

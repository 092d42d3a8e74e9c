/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_DNS_WIRE_H
#define LOOKUP_DNS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/* A DNS answer as it comes (RFC 1035 4.1), taken apart. */
enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28 };

#define DNS_RECORDS_MAX 64  /* of one answer; what is above is ignored */
#define DNS_NAME_MAX	255 /* octets of a name as text */

struct dns_record {
	uint16_t preference; /* of an MX */
	/* of an MX or PTR: letters, digits, hyphens, underscores; "" is the root */
	char name[DNS_NAME_MAX + 1];
	uint8_t address[16]; /* of an A (4 octets) or AAAA */
};

struct dns_records {
	unsigned int rcode; /* RFC 1035 4.1.1 */
	size_t n;
	size_t unusable; /* records of the type that were left out: malformed, or a name
				that could not be written anywhere without harm */
	struct dns_record list[DNS_RECORDS_MAX];
};

/* The records of one type in the answer section, and the answer's code.  -1 with EPROTO: malformed. */
int dns_parse(
    const uint8_t *packet, size_t len, enum dns_type type, struct dns_records *out) WARN_UNUSED;

#endif

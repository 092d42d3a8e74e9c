/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_ADDRESS_H
#define LIB_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

#define ADDRESS_MAX	   512 /* octets of a whole address, NUL excluded */
#define ADDRESS_LOCAL_MAX  64  /* RFC 5321 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX 255 /* RFC 5321 4.5.3.1.2 */

/*
 * A mailbox, taken apart.  The local part is what it means, without the quotes
 * and backslashes it was written with, its case kept; an empty one is the null
 * path and has no domain either.  The domain is in lower case (ASCII letters
 * only), an address literal with its brackets; it is empty in the null path and
 * for the bare <postmaster> alone.
 */
struct address {
	char local[ADDRESS_LOCAL_MAX + 1];
	char domain[ADDRESS_DOMAIN_MAX + 1];
	bool literal; /* the domain is an address literal */
	bool utf8;    /* octets above 127 somewhere: sending it on takes SMTPUTF8 */
};

enum address_result {
	ADDRESS_OK,
	ADDRESS_BAD,
	ADDRESS_LOCAL_TOO_LONG,
	ADDRESS_DOMAIN_TOO_LONG,
	ADDRESS_UTF8, /* octets above 127, and no ADDRESS_UTF8_OK */
};

enum address_flag {
	ADDRESS_NULL_OK = 1 << 0,
	ADDRESS_BARE_POSTMASTER_OK = 1 << 1, /* RFC 5321 4.1.1.3 */
	ADDRESS_UTF8_OK = 1 << 2,	     /* RFC 6531 3.3 */
};

/*
 * The "<...>" of MAIL and RCPT at *p; a source route in it is checked and
 * dropped (RFC 5321 4.1.1.3, 3.6.1, appendix C).  On ADDRESS_OK *p is past the
 * '>', otherwise unmoved and *out holds nothing.  flags: enum address_flag.
 */
enum address_result
address_parse_path(const char **p, unsigned flags, struct address *out) WARN_UNUSED;
/* The same for a bare local@domain that is the whole of s; "" is the null path. */
enum address_result address_parse(const char *s, unsigned flags, struct address *out) WARN_UNUSED;

/* The address as text, its local part quoted if it has to be.  -1 with ENAMETOOLONG. */
int address_format(const struct address *a, char *dst, size_t size) WARN_UNUSED;

/*
 * How many octets of a local part come before its tag (RFC 5233 5): all of them when
 * there is none.  A tag begins with the first octet of delimiters, a set of
 * them, that isn't the local part's first octet.  "none" and NULL are the empty
 * set, the setting "smtp sub-addr-delim" is taken as it is.
 */
size_t address_untagged(const char *local, const char *delimiters);
/*
 * The address as mailboxes are told apart by: its local part without a tag and in
 * lower case (ASCII letters only; RFC 5321 2.4 leaves it to the host that
 * delivers).  delimiters NULL: the tag is part of the name.
 */
void address_canonical(struct address *a, const char *delimiters);

/* Letters-digits-hyphen labels of 1 to 63 octets, 255 in all, no dot at the end. */
bool address_domain_valid(const char *domain, bool utf8);
/* What a client may call itself: a domain (underscores tolerated) or an address literal. */
bool address_helo_valid(const char *s);

enum address_family { ADDRESS_IPV4 = 4, ADDRESS_IPV6 = 6 };

struct address_literal {
	enum address_family family;
	uint8_t bytes[16]; /* network order; the first four of an IPv4 address */
};

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
bool address_literal_parse(const char *domain, struct address_literal *out);

/*
 * How many octets the character at s takes, in well-formed UTF-8 (no overlong
 * form, no surrogate, no control or line separator): 1 to 4, or 0 if it is none.
 */
size_t address_utf8_len(const char *s);

#endif

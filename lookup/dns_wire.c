/* SPDX-License-Identifier: ISC */
/*
 * Reads DNS answers.  libunbound has checked and scrubbed them; they are
 * read as if it had not.
 *
 * Invariant: no octet is read outside the packet, no name is followed for
 * more steps than it may have octets, and a name that comes out as text holds
 * nothing but what a host name may.  Nothing is fatal.
 */
#include "lookup/dns_wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"

#define HEADER_SIZE  12
#define CLASS_IN     1
#define TYPE_NS	     2
#define TYPE_SOA     6
#define POINTER	     0xc0 /* the two high bits of a label's length (RFC 1035 4.1.4) */
#define POINTERS_MAX 126

struct cursor {
	const uint8_t *packet;
	size_t len, at;
};

/* A name of any octets, as labels each behind its length, in lower case. */
struct wire_name {
	size_t len;
	uint8_t octets[DNS_NAME_MAX];
};

static bool
take_u8(struct cursor *c, uint8_t *out)
{
	if (c->len - c->at < 1)
		return false;
	*out = c->packet[c->at++];
	return true;
}

static bool
take_u16(struct cursor *c, uint16_t *out)
{
	if (c->len - c->at < 2)
		return false;
	*out = (uint16_t)(c->packet[c->at] << 8 | c->packet[c->at + 1]);
	c->at += 2;
	return true;
}

static bool
skip(struct cursor *c, size_t n)
{
	if (c->len - c->at < n)
		return false;
	c->at += n;
	return true;
}

/* -- names -- */

/* A label with its length; false when the name gets too long. */
static bool
append_label(struct wire_name *name, const uint8_t *label, size_t n)
{
	size_t i;

	if (name->len + n > sizeof(name->octets))
		return false;
	name->octets[name->len++] = label[0];
	for (i = 1; i < n; i++)
		name->octets[name->len++] = char_lower(label[i]);
	return true;
}

/* Follows a pointer that at stands on; only the first moves whoever reads on behind the name. */
static bool
follow(struct cursor *at, struct cursor *behind, unsigned int *jumps)
{
	uint16_t target;

	if (!take_u16(at, &target) || ++*jumps > POINTERS_MAX)
		return false;
	if (*jumps == 1)
		behind->at = at->at;
	at->at = target & 0x3fffU;
	return at->at < at->len;
}

/* Reads a name at c, which moves behind it. */
static bool
take_name(struct cursor *c, struct wire_name *name)
{
	struct cursor at = *c;
	unsigned int jumps = 0;
	size_t n;

	name->len = 0;
	do {
		while (at.at < at.len && (at.packet[at.at] & POINTER) == POINTER)
			if (!follow(&at, c, &jumps))
				return false;
		if (at.at >= at.len || (at.packet[at.at] & POINTER) != 0)
			return false;
		n = at.packet[at.at];
		if (!skip(&at, n + 1) || !append_label(name, at.packet + at.at - n - 1, n + 1))
			return false;
	} while (n > 0);
	if (jumps == 0)
		c->at = at.at;
	return true;
}

/* false, and "": an octet in it is none of a host's name. */
static bool
name_text(const struct wire_name *name, char text[DNS_NAME_MAX + 1])
{
	size_t at = 0, have = 0, n;

	for (; (n = name->octets[at++]) > 0;) {
		if (have > 0)
			text[have++] = '.';
		for (; n > 0; n--) {
			uint8_t c = name->octets[at++];

			if (!char_is_alnum(c) && c != '-' && c != '_') {
				text[0] = '\0';
				return false;
			}
			text[have++] = (char)c;
		}
	}
	text[have] = '\0';
	return true;
}

static bool
is_same_name(const struct wire_name *a, const struct wire_name *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

/* -- data, each up to the record's end, which is c->len -- */

static bool
take_host(struct cursor *c, struct dns_record *r)
{
	struct wire_name name;

	return take_name(c, &name) && name_text(&name, r->name);
}

static bool
take_cname(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	(void)out;
	return take_host(c, r);
}

static bool
take_mx(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	(void)out;
	return take_u16(c, &r->preference) && take_host(c, r);
}

static bool
take_address(struct cursor *c, struct dns_record *r, size_t size)
{
	if (c->len - c->at != size)
		return false;
	memcpy(r->address, c->packet + c->at, size);
	return true;
}

static bool
take_a(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	(void)out;
	return take_address(c, r, 4);
}

static bool
take_aaaa(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	(void)out;
	return take_address(c, r, 16);
}

/* Appends n octets to the record that is being read, the last of out. */
static bool
take_octets(struct cursor *c, struct dns_records *out, struct dns_record *r, size_t n)
{
	if (c->len - c->at < n || sizeof(out->data) - out->ndata < r->size + n)
		return false;
	memcpy(out->data + out->ndata + r->size, c->packet + c->at, n);
	c->at += n;
	r->size += n;
	return true;
}

static bool
take_tlsa(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	r->data = out->data + out->ndata;
	return take_u8(c, &r->usage) && take_u8(c, &r->selector) && take_u8(c, &r->matching) &&
	       take_octets(c, out, r, c->len - c->at);
}

/* One string or more, the length of each before it (RFC 1035 3.3.14). */
static bool
take_txt(struct cursor *c, struct dns_records *out, struct dns_record *r)
{
	uint8_t n;

	r->data = out->data + out->ndata;
	do {
		if (!take_u8(c, &n) || !take_octets(c, out, r, n))
			return false;
	} while (c->at < c->len);
	return true;
}

static const struct reader {
	enum dns_type type;
	bool (*take)(struct cursor *c, struct dns_records *out, struct dns_record *r);
} readers[] = {
    {DNS_A, take_a},
    {DNS_CNAME, take_cname},
    {DNS_PTR, take_cname},
    {DNS_MX, take_mx},
    {DNS_TXT, take_txt},
    {DNS_AAAA, take_aaaa},
    {DNS_TLSA, take_tlsa},
};

static bool
take_data(struct cursor *c, enum dns_type type, struct dns_records *out)
{
	struct dns_record *r = &out->list[out->n];
	size_t i;

	*r = (struct dns_record){0};
	for (i = 0; i < NITEMS(readers); i++)
		if (readers[i].type == type)
			return readers[i].take(c, out, r);
	return false;
}

/* -- the answer -- */

static void
add_record(struct cursor *c, enum dns_type type, struct dns_records *out)
{
	if (out->n == DNS_RECORDS_MAX)
		return;
	if (!take_data(c, type, out)) {
		out->unusable++;
		return;
	}
	out->ndata += out->list[out->n].size;
	out->n++;
}

/* at: the name whose records count; a CNAME of it takes its place. */
static bool
take_record(struct cursor *c, enum dns_type want, struct wire_name *at, struct dns_records *out)
{
	struct wire_name owner;
	uint16_t type, class, size;
	struct cursor data;

	if (!take_name(c, &owner) || !take_u16(c, &type) || !take_u16(c, &class) || !skip(c, 4) ||
	    !take_u16(c, &size))
		return false;
	data = *c;
	if (!skip(c, size))
		return false;
	if (class != CLASS_IN || !is_same_name(&owner, at))
		return true;
	/* A pointer may lead back, but nothing leads past the record. */
	data.len = c->at;
	if (type == want) {
		add_record(&data, want, out);
	} else if (type == DNS_CNAME) {
		out->alias = true;
		return take_name(&data, at);
	}
	return true;
}

/*
 * A referral: no answer, and name servers without the SOA that goes with "no such
 * record" (RFC 2308 2.2).  What can't be read proves nothing.
 */
static bool
is_referral(struct cursor *c, unsigned int n)
{
	uint16_t type, size;
	bool has_ns = false;
	struct wire_name owner;

	for (; n > 0; n--) {
		if (!take_name(c, &owner) || !take_u16(c, &type) || !skip(c, 6) ||
		    !take_u16(c, &size) || !skip(c, size) || type == TYPE_SOA)
			return false;
		has_ns = has_ns || type == TYPE_NS;
	}
	return has_ns;
}

static bool
take_question(struct cursor *c, struct wire_name *name)
{
	return take_name(c, name) && skip(c, 4);
}

int
dns_parse(const uint8_t *packet, size_t len, enum dns_type type, struct dns_records *out)
{
	struct cursor c = {packet, len, 4};
	uint16_t nquestions, nanswers, nauthority;
	struct wire_name at;

	out->rcode = 0;
	out->secure = out->alias = out->referral = false;
	out->canonical[0] = '\0';
	out->n = out->unusable = out->ndata = 0;
	errno = EPROTO;
	if (len < HEADER_SIZE || !take_u16(&c, &nquestions) || !take_u16(&c, &nanswers) ||
	    !take_u16(&c, &nauthority))
		return -1;
	out->rcode = packet[3] & 0xfU;
	c.at = HEADER_SIZE;
	if (nquestions != 1 || !take_question(&c, &at))
		return -1;
	out->referral = nanswers == 0;
	for (; nanswers > 0; nanswers--)
		if (!take_record(&c, type, &at, out))
			return -1;
	out->referral = out->referral && is_referral(&c, nauthority);
	(void)name_text(&at, out->canonical);
	return 0;
}

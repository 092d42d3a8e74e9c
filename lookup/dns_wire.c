/* SPDX-License-Identifier: ISC */
/*
 * Reads DNS answers.  libunbound has checked and scrubbed them; they are
 * read as if it had not.
 *
 * Invariant: no octet is read outside the packet, no name is followed for
 * more steps than it may have octets, and a name that comes out holds
 * nothing but what a host name may.  Nothing is fatal.
 */
#include "lookup/dns_wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"

#define HEADER_SIZE  12
#define CLASS_IN     1
#define POINTER	     0xc0 /* the two high bits of a label's length (RFC 1035 4.1.4) */
#define POINTERS_MAX 126

struct cursor {
	const uint8_t *packet;
	size_t len, at;
};

enum name_result { NAME_OK, NAME_ODD, NAME_BROKEN };

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

/* Appends a label; false when an octet is none of a host name's, or it is too long. */
static bool
append_label(char *name, size_t *have, const uint8_t *label, size_t n)
{
	size_t i;

	if (*have + n + 1 > DNS_NAME_MAX)
		return false;
	if (*have > 0)
		name[(*have)++] = '.';
	for (i = 0; i < n; i++) {
		if (!char_is_alnum(label[i]) && label[i] != '-' && label[i] != '_')
			return false;
		name[(*have)++] = (char)char_lower(label[i]);
	}
	name[*have] = '\0';
	return true;
}

/* Reads a name at c, which moves behind it.  NAME_ODD: well-formed, but name is of no use. */
static enum name_result
take_name(struct cursor *c, char name[DNS_NAME_MAX + 1])
{
	struct cursor at = *c;
	size_t have = 0;
	unsigned int jumps = 0;
	bool plain = true;

	name[0] = '\0';
	for (;;) {
		uint8_t n;
		uint16_t target;

		if (at.len - at.at < 1)
			return NAME_BROKEN;
		n = at.packet[at.at];
		if ((n & POINTER) == POINTER) {
			if (!take_u16(&at, &target) || ++jumps > POINTERS_MAX)
				return NAME_BROKEN;
			if (jumps == 1)
				c->at = at.at;
			at.at = target & 0x3fffU;
			if (at.at >= at.len)
				return NAME_BROKEN;
			continue;
		}
		if ((n & POINTER) != 0 || !skip(&at, (size_t)n + 1))
			return NAME_BROKEN;
		if (n == 0)
			break;
		plain = plain && append_label(name, &have, at.packet + at.at - n, n);
	}
	if (jumps == 0)
		c->at = at.at;
	return plain ? NAME_OK : NAME_ODD;
}

/* The data of one record of the wanted type, which ends at c->len. */
static bool
take_data(struct cursor *c, enum dns_type type, struct dns_record *r)
{
	size_t size = type == DNS_A ? 4 : 16, end = c->at;

	*r = (struct dns_record){0};
	if (type == DNS_MX)
		return take_u16(c, &r->preference) && take_name(c, r->name) == NAME_OK;
	if (type == DNS_PTR)
		return take_name(c, r->name) == NAME_OK;
	if (!skip(c, size) || c->at != c->len)
		return false;
	memcpy(r->address, c->packet + end, size);
	return true;
}

static bool
take_record(struct cursor *c, enum dns_type want, struct dns_records *out)
{
	char owner[DNS_NAME_MAX + 1];
	uint16_t type, class, size;
	struct cursor data;

	if (take_name(c, owner) == NAME_BROKEN || !take_u16(c, &type) || !take_u16(c, &class) ||
	    !skip(c, 4) || !take_u16(c, &size))
		return false;
	data = *c;
	if (!skip(c, size))
		return false;
	if (type != want || class != CLASS_IN || out->n == DNS_RECORDS_MAX)
		return true;
	/* A pointer may lead back, but nothing leads past the record. */
	data.len = c->at;
	if (take_data(&data, want, &out->list[out->n]))
		out->n++;
	else
		out->unusable++;
	return true;
}

int
dns_parse(const uint8_t *packet, size_t len, enum dns_type type, struct dns_records *out)
{
	struct cursor c = {packet, len, 4};
	uint16_t nquestions, nanswers;
	char name[DNS_NAME_MAX + 1];

	out->rcode = 0;
	out->n = out->unusable = 0;
	errno = EPROTO;
	if (len < HEADER_SIZE || !take_u16(&c, &nquestions) || !take_u16(&c, &nanswers))
		return -1;
	out->rcode = packet[3] & 0xfU;
	c.at = HEADER_SIZE;
	for (; nquestions > 0; nquestions--)
		if (take_name(&c, name) == NAME_BROKEN || !skip(&c, 4))
			return -1;
	for (; nanswers > 0; nanswers--)
		if (!take_record(&c, type, out))
			return -1;
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * The header scanner: one octet at a time through a small machine, since a
 * header is short beside its body, and once it is done nothing is read.
 *
 * Invariant: the results depend on the octets alone, not on how they were cut
 * into chunks; memory is the struct.  Nothing is fatal.
 */
#include "lib/mail/header.h"

#include <string.h>

#include "lib/base/str.h"

enum state {
	IN_LINE_START, /* the line's first octet tells: folded, new field, or the end */
	IN_NAME,
	IN_NAME_SPACE, /* "Received :", as RFC 5322 4.5 once allowed */
	IN_VALUE,
	IN_END_CR, /* a CR where a line begins */
};

enum field {
	FIELD_OTHER,
	FIELD_DATE,
	FIELD_MESSAGE_ID,
	FIELD_FROM,
	FIELD_RECEIVED,
	FIELD_DELIVERED_TO
};

/* How far the value of a Delivered-To is the address looked for. */
enum match { MATCH_BEFORE, MATCH_WITHIN, MATCH_AFTER, MATCH_NO };

static const struct {
	const char *name;
	enum field field;
} field_names[] = {
    {"date", FIELD_DATE},
    {"message-id", FIELD_MESSAGE_ID},
    {"from", FIELD_FROM},
    {"received", FIELD_RECEIVED},
    {"delivered-to", FIELD_DELIVERED_TO},
};

void
header_scan_init(struct header_scan *s, const char *address)
{
	memset(s, 0, sizeof(*s));
	s->address = address;
	s->state = IN_LINE_START;
	s->first = true;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The field before has ended: count it. */
static void
field_end(struct header_scan *s)
{
	bool whole = s->match == MATCH_AFTER ||
		     (s->match == MATCH_WITHIN && s->address[s->at] == '\0');

	if (s->field == FIELD_DELIVERED_TO && whole)
		s->delivered_to++;
	s->field = FIELD_OTHER;
}

/* The header has ended; size octets of it were fields. */
static void
scan_end(struct header_scan *s, uint64_t size)
{
	field_end(s);
	s->size = size;
	s->done = true;
}

static enum field
field_lookup(const struct header_scan *s)
{
	size_t i;

	for (i = 0; i < NITEMS(field_names); i++)
		if (strlen(field_names[i].name) == s->name_len &&
		    memcmp(field_names[i].name, s->name, s->name_len) == 0)
			return field_names[i].field;
	return FIELD_OTHER;
}

/* At the colon. */
static void
field_begin(struct header_scan *s)
{
	s->field = (uint8_t)field_lookup(s);
	s->state = IN_VALUE;
	s->at = 0;
	s->match = s->address != NULL && s->address[0] != '\0' ? MATCH_BEFORE : MATCH_NO;
	s->has_date |= s->field == FIELD_DATE;
	s->has_message_id |= s->field == FIELD_MESSAGE_ID;
	s->has_from |= s->field == FIELD_FROM;
	if (s->field == FIELD_RECEIVED)
		s->received++;
}

static void
match_octet(struct header_scan *s, uint8_t c)
{
	bool blank = is_blank(c) || c == '\r' || c == '\n';

	if (s->match == MATCH_NO || (blank && s->match != MATCH_WITHIN))
		return;
	if (s->match == MATCH_AFTER) {
		s->match = MATCH_NO;
		return;
	}
	s->match = MATCH_WITHIN;
	if (s->address[s->at] == '\0')
		s->match = blank ? MATCH_AFTER : MATCH_NO;
	else if (char_lower((unsigned char)s->address[s->at]) == char_lower(c))
		s->at++;
	else
		s->match = MATCH_NO;
}

static void
in_value(struct header_scan *s, uint8_t c)
{
	if (s->field == FIELD_DELIVERED_TO)
		match_octet(s, c);
	if (c == '\n')
		s->state = IN_LINE_START;
}

static void
in_name(struct header_scan *s, uint8_t c, uint64_t line_start)
{
	if (c == ':') {
		field_begin(s);
	} else if (is_blank(c)) {
		s->state = IN_NAME_SPACE;
	} else if (s->state == IN_NAME_SPACE || c <= ' ' || c >= 0x7f) {
		scan_end(s, line_start); /* no field: the body begins here */
	} else if (s->name_len < sizeof(s->name)) {
		/* A name that fills the array is longer than any looked for. */
		s->name[s->name_len++] = (char)char_lower(c);
	}
}

static void
in_line_start(struct header_scan *s, uint8_t c)
{
	s->size = s->seen;
	if (is_blank(c) && !s->first) {
		s->state = IN_VALUE;
		match_octet(s, c);
	} else if (c == '\n') {
		s->empty_line = true;
		scan_end(s, s->seen);
	} else if (c == '\r') {
		s->state = IN_END_CR;
	} else if (c <= ' ' || c >= 0x7f || c == ':') {
		scan_end(s, s->seen);
	} else {
		field_end(s);
		s->name_len = 0;
		s->state = IN_NAME;
		in_name(s, c, s->seen);
	}
	s->first = false;
}

static void
scan_octet(struct header_scan *s, uint8_t c)
{
	switch ((enum state)s->state) {
	case IN_LINE_START:
		in_line_start(s, c);
		break;
	case IN_NAME:
	case IN_NAME_SPACE:
		in_name(s, c, s->size);
		break;
	case IN_VALUE:
		in_value(s, c);
		break;
	case IN_END_CR:
		s->empty_line = c == '\n';
		scan_end(s, s->size);
		break;
	}
	s->seen++;
}

void
header_scan_feed(struct header_scan *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len && !s->done; i++)
		scan_octet(s, p[i]);
}

void
header_scan_end(struct header_scan *s)
{
	if (s->done)
		return;
	/* A last line that never came to its colon is no field. */
	if (s->state == IN_NAME || s->state == IN_NAME_SPACE || s->state == IN_END_CR)
		scan_end(s, s->size);
	else
		scan_end(s, s->seen);
}

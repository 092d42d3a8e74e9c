/* SPDX-License-Identifier: ISC */
/*
 * What a submission server changes in a message: one octet at a time through a
 * small machine while the header lasts, the body in one piece.  It agrees with
 * header.c on what a field is and where the header ends.
 *
 * Invariant: what comes out depends on the octets alone, not on how they were
 * cut; of a Bcc field nothing comes out, of all else everything.  Nothing is fatal.
 */
#include "lib/mail/submission.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"

enum state {
	AT_FIRST_LINE, /* where nothing can be folded */
	AT_LINE,       /* after a line that stayed */
	AT_LINE_GONE,  /* after one that went: a folded one goes too */
	IN_HELD,       /* in a name that may be Bcc, or in spaces after it; held back */
	IN_NAME,
	IN_NAME_SPACE, /* "To :", as RFC 5322 4.5 once allowed */
	IN_VALUE,
	IN_VALUE_GONE,
	IN_BODY,
};

struct output {
	uint8_t *data;
	size_t len;
};

static void
put(struct output *o, const void *data, size_t n)
{
	memcpy(o->data + o->len, data, n);
	o->len += n;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

void
bcc_strip_init(struct bcc_strip *s)
{
	*s = (struct bcc_strip){.state = AT_FIRST_LINE};
}

/* Whether what is held begins a name looked for, or is all of one and spaces after it. */
static bool
held_matches(const struct bcc_strip *s, bool whole)
{
	static const char *const names[] = {"bcc", "resent-bcc"};
	size_t i, len, n;

	for (i = 0; i < NITEMS(names); i++) {
		len = strlen(names[i]);
		for (n = 0; n < s->nheld && n < len; n++)
			if (char_lower(s->held[n]) != (unsigned char)names[i][n])
				break;
		while (n >= len && n < s->nheld && is_blank(s->held[n]))
			n++;
		if (n == s->nheld && (!whole || n >= len))
			return true;
	}
	return false;
}

static void
held_put(struct bcc_strip *s, struct output *o)
{
	put(o, s->held, s->nheld);
	s->nheld = 0;
}

/* In a name that stays: whatever can't be in one shows that the body has begun. */
static void
in_name(struct bcc_strip *s, uint8_t c, struct output *o)
{
	put(o, &c, 1);
	if (c == ':')
		s->state = IN_VALUE;
	else if (is_blank(c))
		s->state = IN_NAME_SPACE;
	else if (s->state == IN_NAME_SPACE || c <= ' ' || c >= 0x7f)
		s->state = IN_BODY;
}

static void
in_held(struct bcc_strip *s, uint8_t c, struct output *o)
{
	bool blank;

	if (c == ':' && held_matches(s, true)) {
		s->found = true;
		s->nheld = 0;
		s->state = IN_VALUE_GONE;
		return;
	}
	if (s->nheld < BCC_HELD_MAX) {
		s->held[s->nheld++] = c;
		if (held_matches(s, false))
			return;
		s->nheld--;
	}
	blank = s->nheld > 0 && is_blank(s->held[s->nheld - 1]);
	s->state = blank ? IN_NAME_SPACE : IN_NAME;
	held_put(s, o);
	in_name(s, c, o);
}

static void
at_line(struct bcc_strip *s, uint8_t c, struct output *o)
{
	if (is_blank(c) && s->state == AT_LINE_GONE) {
		s->state = IN_VALUE_GONE;
	} else if (is_blank(c) && s->state == AT_LINE) {
		s->state = IN_VALUE;
		put(o, &c, 1);
	} else if (c <= ' ' || c >= 0x7f || c == ':') {
		s->state = IN_BODY; /* the empty line, or none of a header */
		put(o, &c, 1);
	} else {
		s->state = IN_HELD;
		in_held(s, c, o);
	}
}

static void
in_value(struct bcc_strip *s, uint8_t c, struct output *o)
{
	bool gone = s->state == IN_VALUE_GONE;

	if (!gone)
		put(o, &c, 1);
	if (c == '\n')
		s->state = gone ? AT_LINE_GONE : AT_LINE;
}

static void
strip_octet(struct bcc_strip *s, uint8_t c, struct output *o)
{
	switch ((enum state)s->state) {
	case AT_FIRST_LINE:
	case AT_LINE:
	case AT_LINE_GONE:
		at_line(s, c, o);
		break;
	case IN_HELD:
		in_held(s, c, o);
		break;
	case IN_NAME:
	case IN_NAME_SPACE:
		in_name(s, c, o);
		break;
	case IN_VALUE:
	case IN_VALUE_GONE:
		in_value(s, c, o);
		break;
	case IN_BODY:
		put(o, &c, 1);
		break;
	}
}

void
bcc_strip_feed(struct bcc_strip *s, const uint8_t *in, size_t n, uint8_t *out, size_t *nout)
{
	struct output o = {.data = out};
	size_t i;

	for (i = 0; i < n && s->state != IN_BODY; i++)
		strip_octet(s, in[i], &o);
	if (i < n)
		put(&o, in + i, n - i);
	*nout = o.len;
}

void
bcc_strip_end(struct bcc_strip *s, uint8_t *out, size_t *nout)
{
	struct output o = {.data = out};

	held_put(s, &o);
	*nout = o.len;
}

int
submission_date(time_t when, struct buf *out)
{
	char date[DATE_SIZE];

	if (date_format(date, sizeof(date), when) == -1)
		return -1;
	return buf_printf(out, "Date: %s\r\n", date);
}

int
submission_message_id(time_t when, const char *id, const char *host, struct buf *out)
{
	return buf_printf(out, "Message-ID: <%lld.%s@%s>\r\n", (long long)when, id,
	    address_domain_valid(host, false) ? host : "localhost");
}

/* SPDX-License-Identifier: ISC */
/*
 * What another server answers us: the most hostile text this server reads,
 * since it is shown to admins and sent on to senders.
 *
 * Invariant: text and enhanced hold printable ASCII only, whatever came; the
 * memory is the struct, however long the reply.  Nothing is fatal.
 */
#include "lib/mail/reply.h"

#include <string.h>

#include "lib/base/str.h"

#define JOINT	 " / "
#define CUT	 "..."
#define ROOM_MIN 16 /* less isn't worth another line */

void
reply_reset(struct reply *r)
{
	memset(r, 0, sizeof(*r));
}

static size_t
count_digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && char_is_digit((unsigned char)s[n]))
		n++;
	return n;
}

/* class "." subject "." detail, the last two of one to three digits (RFC 3463 2). */
size_t
reply_enhanced(const char *s, size_t len, int code, char dst[REPLY_ENHANCED_SIZE])
{
	size_t at = 1, part, digits;

	dst[0] = '\0';
	if (len == 0 || s[0] != '0' + code / 100 || strchr("245", s[0]) == NULL)
		return 0;
	for (part = 0; part < 2; part++) {
		if (at >= len || s[at] != '.')
			return 0;
		at++;
		digits = count_digits(s + at, len - at);
		if (digits == 0 || digits > 3)
			return 0;
		at += digits;
	}
	if (at < len && s[at] != ' ')
		return 0;
	memcpy(dst, s, at);
	dst[at] = '\0';
	return at;
}

/* The code of "250", "250 text" or "250-text"; 0 for anything else. */
static int
line_code(const char *line, size_t len)
{
	int code;

	if (count_digits(line, len < 3 ? len : 3) != 3)
		return 0;
	if (len > 3 && line[3] != ' ' && line[3] != '-')
		return 0;
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	return code >= 200 && code <= 599 ? code : 0;
}

/* Adds text if there is room; a cut one ends in "...". */
static void
keep_text(struct reply *r, const char *text, size_t len)
{
	size_t at = strlen(r->text);

	if (len == 0 ||
	    (at >= sizeof(CUT) - 1 && strcmp(r->text + at - (sizeof(CUT) - 1), CUT) == 0))
		return;
	if (at == 0) {
		str_escape(r->text, sizeof(r->text), text, len);
	} else if (sizeof(r->text) - at < ROOM_MIN) {
		memcpy(r->text + at, CUT, sizeof(CUT)); /* str_escape() left room for it */
	} else {
		memcpy(r->text + at, JOINT, sizeof(JOINT) - 1);
		at += sizeof(JOINT) - 1;
		str_escape(r->text + at, sizeof(r->text) - at, text, len);
	}
}

/* The text of one line; the code that each line repeats is kept once, in enhanced. */
static void
take_text(struct reply *r, const char *text, size_t len)
{
	char enhanced[REPLY_ENHANCED_SIZE];
	size_t n = reply_enhanced(text, len, r->code, enhanced);

	if (n > 0 && r->lines == 1)
		memcpy(r->enhanced, enhanced, sizeof(enhanced));
	if (n > 0 && strcmp(enhanced, r->enhanced) == 0) {
		text += n;
		len -= n;
	}
	for (; len > 0 && *text == ' '; text++)
		len--;
	for (; len > 0 && text[len - 1] == ' ';)
		len--;
	keep_text(r, text, len);
}

static enum reply_result
reply_break(struct reply *r)
{
	r->done = true;
	return REPLY_BROKEN;
}

enum reply_result
reply_feed_line(struct reply *r, const char *line, size_t len)
{
	int code = line_code(line, len);

	if (r->done || code == 0 || (r->lines > 0 && code != r->code))
		return reply_break(r);
	if (r->lines == REPLY_LINES_MAX || len > REPLY_OCTETS_MAX - r->octets)
		return reply_break(r);
	r->code = code;
	r->lines++;
	r->octets += len;
	if (len > 4)
		take_text(r, line + 4, len - 4);
	if (len > 3 && line[3] == '-')
		return REPLY_MORE;
	r->done = true;
	return REPLY_DONE;
}

/* RFC 5321 4.1.1.1, ehlo-keyword: letters, digits and, not first, hyphens. */
static size_t
keyword_len(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && (char_is_alnum((unsigned char)s[n]) || (n > 0 && s[n] == '-')))
		n++;
	return n < len && s[n] != ' ' ? 0 : n;
}

bool
reply_line_keyword(const char *line, size_t len, struct reply_keyword *out)
{
	size_t n, i;

	memset(out, 0, sizeof(*out));
	if (len < 5 || line_code(line, len) == 0)
		return false;
	line += 4;
	len -= 4;
	n = keyword_len(line, len);
	if (n == 0 || n >= sizeof(out->word))
		return false;
	for (i = 0; i < n; i++)
		out->word[i] = (char)(char_is_alpha((unsigned char)line[i]) ? line[i] & ~0x20
									    : line[i]);
	while (n < len && line[n] == ' ')
		n++;
	if (len - n >= sizeof(out->args))
		return false;
	for (i = n; i < len; i++)
		if (line[i] < 0x20 || line[i] >= 0x7f)
			return false;
	memcpy(out->args, line + n, len - n);
	return true;
}

/* SPDX-License-Identifier: ISC */
/*
 * The parameters of a redirection.
 *
 * Invariant: code and state are printable ASCII (RFC 6749 A.5, A.11), and each was
 * there once at most (3.1); whatever is not so is no redirection.
 */
#include "control/smtpctl_redirect.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"

static int
hex_value(char c)
{
	const char *at = c == '\0' ? NULL
				   : strchr("0123456789abcdef", char_lower((unsigned char)c));

	return at == NULL ? -1 : (int)(at - "0123456789abcdef");
}

static bool
is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* application/x-www-form-urlencoded, of one value.  -1: not so, too long, or not printable. */
static int
decode(const char *text, size_t len, char *dst, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		char c = text[i] == '+' ? ' ' : text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(text[i + 2]) : -1;

			if (high == -1 || low == -1)
				return -1;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (!is_printable(c) || n + 1 >= size)
			return -1;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return 0;
}

struct parameter {
	const char *name;
	char *dst;
	size_t size;
	bool may_be_cut; /* for people: what of it can't be shown is left out */
	bool given;
};

/* -1: twice, or what can't be. */
static int
take_parameter(struct parameter *list, size_t n, const char *text, size_t len)
{
	const char *eq = memchr(text, '=', len);
	size_t i, name_len = eq == NULL ? len : (size_t)(eq - text);

	for (i = 0; i < n; i++) {
		struct parameter *p = &list[i];

		if (strlen(p->name) != name_len || memcmp(p->name, text, name_len) != 0)
			continue;
		if (p->given || eq == NULL)
			return -1;
		p->given = true;
		if (decode(eq + 1, len - name_len - 1, p->dst, p->size) == 0)
			return 0;
		p->dst[0] = '\0';
		return p->may_be_cut ? 0 : -1;
	}
	return 0;
}

static enum redirect_kind
of_query(const char *text, size_t len, struct redirect *out)
{
	char said[IPC_NAME_MAX + 1] = "", word[IPC_WORD_MAX + 1] = "";
	struct parameter list[] = {
	    {"code", out->code, sizeof(out->code), false, false},
	    {"state", out->state, sizeof(out->state), false, false},
	    {"error", word, sizeof(word), false, false},
	    {"error_description", said, sizeof(said), true, false},
	};
	const char *end = text + len;

	while (text < end) {
		const char *stop = memchr(text, '&', (size_t)(end - text));

		if (stop == NULL)
			stop = end;
		if (take_parameter(list, NITEMS(list), text, (size_t)(stop - text)) == -1)
			return REDIRECT_NONE;
		text = stop == end ? end : stop + 1;
	}
	if (word[0] != '\0') {
		str_cut(out->error, sizeof(out->error), word);
		if (said[0] != '\0')
			(void)snprintf(out->error, sizeof(out->error), "%s: %.180s", word, said);
		return REDIRECT_ERROR;
	}
	return out->code[0] == '\0' ? REDIRECT_NONE : REDIRECT_CODE;
}

enum redirect_kind
redirect_of_url(const char *text, size_t len, struct redirect *out)
{
	const char *query = memchr(text, '?', len), *fragment;

	memset(out, 0, sizeof(*out));
	if (query != NULL) {
		len -= (size_t)(query + 1 - text);
		text = query + 1;
	}
	if ((fragment = memchr(text, '#', len)) != NULL)
		len = (size_t)(fragment - text);
	return of_query(text, len, out);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum redirect_kind
redirect_of_paste(const char *text, size_t len, struct redirect *out)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	for (; len > 0 && is_space(*text); text++, len--)
		;
	for (; len > 0 && is_space(text[len - 1]); len--)
		;
	if (memchr(text, '?', len) != NULL || memmem(text, len, "code=", 5) != NULL ||
	    memmem(text, len, "://", 3) != NULL)
		return redirect_of_url(text, len, out);
	if (len == 0 || len >= sizeof(out->code))
		return REDIRECT_NONE;
	for (i = 0; i < len; i++)
		if (!is_printable(text[i]) || text[i] == ' ')
			return REDIRECT_NONE;
	memcpy(out->code, text, len);
	return REDIRECT_CODE;
}

enum redirect_kind
redirect_of_request(const char *head, size_t len, struct redirect *out)
{
	static const char get[] = "GET ", version[] = " HTTP/1.";
	const char *line_end = memchr(head, '\n', len), *target_end;
	size_t get_len = sizeof(get) - 1;

	memset(out, 0, sizeof(*out));
	if (line_end == NULL || (size_t)(line_end - head) < get_len ||
	    memcmp(head, get, get_len) != 0)
		return REDIRECT_NONE;
	head += get_len;
	target_end = memmem(head, (size_t)(line_end - head), version, sizeof(version) - 1);
	if (target_end == NULL || memchr(head, ' ', (size_t)(target_end - head)) != NULL ||
	    memchr(head, '?', (size_t)(target_end - head)) == NULL)
		return REDIRECT_NONE;
	return redirect_of_url(head, (size_t)(target_end - head), out);
}

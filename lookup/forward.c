/* SPDX-License-Identifier: ISC */
/*
 * Targets, one by one, and what is kept of a .forward file.
 *
 * Invariant: whatever the text, a target is at most TARGET_MAX octets, and each
 * call moves on.  Nothing is fatal.
 */
#include "lookup/forward.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"

/* "|command with \"quotes\"" is quoted as a whole, "a b"@example.org is not. */
static bool
is_quoted(const char *s, size_t len)
{
	size_t i;

	if (len < 2 || s[0] != '"')
		return false;
	for (i = 1; i < len && s[i] != '"'; i++)
		if (s[i] == '\\' && i + 1 < len)
			i++;
	return i == len - 1;
}

/* -1: it does not fit, and dst has its start. */
static int
unquote(const char *s, size_t len, char dst[TARGET_MAX + 1])
{
	bool quoted = is_quoted(s, len);
	size_t i = quoted ? 1 : 0, end = quoted ? len - 1 : len, n = 0;

	for (; i < end && n < TARGET_MAX; i++) {
		if (quoted && s[i] == '\\' && i + 1 < end && strchr("\\\"", s[i + 1]) != NULL)
			i++;
		dst[n++] = s[i];
	}
	dst[n] = '\0';
	return i == end ? 0 : -1;
}

enum target_result
target_next(const char **p, char dst[TARGET_MAX + 1])
{
	struct table_item item;

	while (table_item_next(p, &item)) {
		if (unquote(item.at, item.len, dst) == -1)
			return TARGET_TOO_LONG;
		if (*dst != '\0')
			return TARGET_ONE;
	}
	dst[0] = '\0';
	return TARGET_END;
}

/* -- values -- */

static const char *const words[] = {
    [FORWARD_USER] = "user\n", [FORWARD_ROOT] = "root\n", [FORWARD_UNSAFE] = "unsafe\n"};

bool
forward_parse(const char *value, struct forward *out)
{
	size_t i, n;

	for (i = 0; i < NITEMS(words); i++) {
		n = strlen(words[i]);
		if (strncmp(value, words[i], n) != 0)
			continue;
		*out = (struct forward){.kind = (enum forward_kind)i, .text = value + n};
		return true;
	}
	return false;
}

char *
forward_format(enum forward_kind kind, const char *text, size_t len)
{
	static const char nul[] = ".forward holds a NUL octet";
	size_t n;
	char *value;

	if (memchr(text, '\0', len) != NULL) {
		kind = FORWARD_UNSAFE;
		text = nul;
		len = sizeof(nul) - 1;
	}
	n = strlen(words[kind]);
	if ((value = malloc(n + len + 1)) == NULL)
		return NULL;
	memcpy(value, words[kind], n);
	memcpy(value + n, text, len);
	value[n + len] = '\0';
	if (kind != FORWARD_UNSAFE)
		table_include_to_value(value + n, len);
	return value;
}

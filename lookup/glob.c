/* SPDX-License-Identifier: ISC */
/*
 * The patterns of tables.
 *
 * Invariant: whatever the pattern, a question costs at most its length times that
 * of what is asked for.  Nothing is fatal.
 */
#include "lookup/glob.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/str.h"

static bool
is_same(char a, char b, bool ignore_case)
{
	return a == b ||
	       (ignore_case && char_lower((unsigned char)a) == char_lower((unsigned char)b));
}

/* A run that fails is tried again further on, from the last '*' alone. */
bool
glob_matches(const char *pattern, const char *s, bool ignore_case)
{
	const char *star = NULL, *resume = NULL;

	while (*s != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = s;
		} else if (is_same(*pattern, *s, ignore_case)) {
			pattern++;
			s++;
		} else if (star != NULL) {
			pattern = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool
glob_matches_domain(const char *pattern, const char *domain)
{
	size_t n = strlen(pattern), len = strlen(domain);

	if (pattern[0] == '.')
		return len > n && str_equal_nocase(domain + len - n, pattern);
	return glob_matches(pattern, domain, true);
}

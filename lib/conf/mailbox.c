/* SPDX-License-Identifier: ISC */
/*
 * Where a mailbox lies: the fixed part of its path and the part that depends
 * on the recipient.
 *
 * Invariant: base holds no '%', rest is a relative path without ".", ".." or
 * an empty component; so what is expanded into rest stays below base as long
 * as the expansion adds no '/', which pattern_expand() sees to.
 */
#include "lib/conf/mailbox.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

#define HOME	      "~/"
#define HOME_LONG     "%{user.directory}/"
#define DEFAULT_BELOW "Maildir"
#define PATH_MAX_LEN  1024

bool
mailbox_path_valid(const char *path)
{
	size_t n;

	for (;;) {
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.') || (n == 2 && memcmp(path, "..", 2) == 0))
			return false;
		if (path[n] == '\0')
			return true;
		path += n + 1;
	}
}

/* rest is path without the slashes at its end; those of "~/mail/" mean nothing. */
static int
set_rest(char *rest, size_t size, const char *path)
{
	size_t len;

	if (str_copy(rest, size, path) == -1)
		return -1;
	for (len = strlen(rest); len > 0 && rest[len - 1] == '/'; len--)
		rest[len - 1] = '\0';
	if (mailbox_path_valid(rest) && strstr(rest, "%{user.directory") == NULL)
		return 0;
	errno = EINVAL;
	return -1;
}

static int
set_base(char *base, size_t size, const char *path, size_t len)
{
	if (len >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(base, path, len);
	base[len] = '\0';
	if (len == 1 || mailbox_path_valid(base + 1))
		return 0;
	errno = EINVAL;
	return -1;
}

/* The slash that ends the fixed part: the last one before any '%', trailing ones apart. */
static size_t
find_split(const char *path)
{
	size_t end = strcspn(path, "%");

	if (path[end] == '\0')
		while (end > 1 && path[end - 1] == '/')
			end--;
	while (end > 0 && path[end - 1] != '/')
		end--;
	return end - 1;
}

static int
split_absolute(const char *pattern, char *base, size_t base_size, char *rest, size_t rest_size)
{
	size_t at = find_split(pattern);

	if (set_base(base, base_size, pattern, at == 0 ? 1 : at) == -1)
		return -1;
	return set_rest(rest, rest_size, pattern + at + 1);
}

int
mailbox_split(const char *pattern, char *base, size_t base_size, char *rest, size_t rest_size)
{
	const char *below;

	if (pattern == NULL)
		below = DEFAULT_BELOW;
	else if (strncmp(pattern, HOME, strlen(HOME)) == 0)
		below = pattern + strlen(HOME);
	else if (strncmp(pattern, HOME_LONG, strlen(HOME_LONG)) == 0)
		below = pattern + strlen(HOME_LONG);
	else if (pattern[0] == '/')
		return split_absolute(pattern, base, base_size, rest, rest_size);
	else
		below = pattern;
	if (str_copy(base, base_size, "~") == -1)
		return -1;
	return set_rest(rest, rest_size, below);
}

/* The pattern is made absolute for the expansion, so that no home directory comes into it. */
int
mailbox_path(const char *pattern, const struct pattern_values *v, char *dst, size_t size)
{
	char base[PATH_MAX_LEN + 1], rest[PATH_MAX_LEN + 2] = "/", path[PATH_MAX_LEN + 2];

	if (mailbox_split(pattern, base, sizeof(base), rest + 1, sizeof(rest) - 1) == -1 ||
	    pattern_expand(rest, v, path, sizeof(path)) == -1)
		return -1;
	if (mailbox_path_valid(path + 1))
		return str_copy(dst, size, path + 1);
	errno = EINVAL;
	return -1;
}

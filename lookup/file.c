/* SPDX-License-Identifier: ISC */
/*
 * Files that arrive as descriptors: the sandbox opens none.
 *
 * Invariant: at most max octets are held, and a file that shrinks or grows
 * while it is read does no harm.  Nothing is fatal.
 */
#include "lookup/file.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static ssize_t
read_all(int fd, char *dst, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have < size) {
		n = read(fd, dst + have, size - have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

char *
file_read(int fd, size_t max, size_t *len)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) == -1 || lseek(fd, 0, SEEK_SET) == -1)
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return NULL;
	}
	if (st.st_size < 0 || (uint64_t)st.st_size > max) {
		errno = EFBIG;
		return NULL;
	}
	if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	if ((n = read_all(fd, text, (size_t)st.st_size)) == -1) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*len = (size_t)n;
	return text;
}

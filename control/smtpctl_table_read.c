/* SPDX-License-Identifier: ISC */
/*
 * table dump, table query: what an indexed file holds.  No server is asked.
 *
 * A file that is damaged, or no index, ends in a complaint and a status.
 */
#include "control/smtpctl_table.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/smtpctl_text.h"
#include "lib/conf/table_index.h"

struct opened {
	const char *path;
	int fd;
	struct table_index index;
};

static int
read_at(void *arg, uint64_t offset, void *dst, size_t n)
{
	const struct opened *o = arg;
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = pread(o->fd, (char *)dst + have, n - have, (off_t)(offset + have));
		if (got == -1 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EPROTO;
		if (got <= 0)
			return -1;
		have += (size_t)got;
	}
	return 0;
}

static int
complain_of_index(const struct opened *o)
{
	text_complain("%s: %s", o->path,
	    errno == EPROTO ? "damaged, or not made by 'smtpctl table build'" : strerror(errno));
	return EXIT_REFUSED;
}

static int
index_open(struct opened *o, const char *path)
{
	struct stat st;

	*o = (struct opened){.path = path, .index = {.read_at = read_at, .arg = o}};
	if ((o->fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return complain_of_index(o);
	if (fstat(o->fd, &st) == 0) {
		o->index.size = (uint64_t)st.st_size;
		if (table_index_open(&o->index) == 0)
			return EXIT_OK;
	}
	(void)complain_of_index(o);
	(void)close(o->fd);
	return EXIT_REFUSED;
}

/* To a terminal only what can't steer it, elsewhere as it stands. */
static void
print_octets(const struct ctl *ctl, const char *octets, size_t len)
{
	if (ctl->terminal)
		text_print(ctl->out, octets, len, false);
	else
		(void)fwrite(octets, 1, len, ctl->out);
}

/* So that it is read as a key again. */
static void
print_key(const struct ctl *ctl, const char *key, size_t len)
{
	bool quotes = key[0] == '#' || memchr(key, ' ', len) != NULL ||
		      memchr(key, '\t', len) != NULL || memchr(key, ':', len) != NULL;

	if (quotes)
		(void)fputc('"', ctl->out);
	print_octets(ctl, key, len);
	if (quotes)
		(void)fputc('"', ctl->out);
}

/* NULL: the complaint was made. */
static char *
record_read(struct opened *o, uint64_t at, size_t len)
{
	char *octets = malloc(len + 1);

	if (octets == NULL || read_at(o, at, octets, len) == -1) {
		(void)complain_of_index(o);
		free(octets);
		return NULL;
	}
	octets[len] = '\0';
	return octets;
}

static int
print_record(const struct ctl *ctl, struct opened *o, const struct table_record *r)
{
	char *key = record_read(o, r->key_at, r->key_len), *value = NULL;
	int status = EXIT_REFUSED;

	if (key != NULL && (value = record_read(o, r->value_at, r->value_len)) != NULL) {
		print_key(ctl, key, r->key_len);
		if (r->value_len > 0) {
			(void)fputs(": ", ctl->out);
			print_octets(ctl, value, r->value_len);
		}
		(void)fputc('\n', ctl->out);
		status = EXIT_OK;
	}
	free(key);
	free(value);
	return status;
}

int
table_dump_run(struct ctl *ctl)
{
	struct table_record r;
	struct opened o;
	uint64_t at = 0;
	int status, found;

	if ((status = index_open(&o, ctl->words[ctl->nused])) != EXIT_OK)
		return status;
	while (status == EXIT_OK && (found = table_index_next(&o.index, &at, &r)) != 0) {
		if (found == -1)
			status = complain_of_index(&o);
		else if (r.key_len > 0)
			status = print_record(ctl, &o, &r);
	}
	(void)close(o.fd);
	return status;
}

static int
query(const struct ctl *ctl, struct opened *o, const char *word)
{
	char key[TABLE_KEY_MAX + 1];
	struct table_record r;
	char *value;
	int found = 0;

	if (word[0] != '\0' && table_key(word, key) == 0 &&
	    (found = table_index_find(&o->index, key, &r)) == -1)
		return complain_of_index(o);
	if (found == 0) {
		text_complain("%s: no such key", o->path);
		return EXIT_REFUSED;
	}
	if ((value = record_read(o, r.value_at, r.value_len)) == NULL)
		return EXIT_REFUSED;
	print_octets(ctl, value, r.value_len);
	(void)fputc('\n', ctl->out);
	free(value);
	return EXIT_OK;
}

int
table_query_run(struct ctl *ctl)
{
	struct opened o;
	int status;

	if ((status = index_open(&o, ctl->words[ctl->nused])) != EXIT_OK)
		return status;
	status = query(ctl, &o, ctl->words[ctl->nused + 1]);
	(void)close(o.fd);
	return status;
}

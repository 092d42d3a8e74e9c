/* SPDX-License-Identifier: ISC */
/*
 * table build: an indexed file from the text of a table.  No server is asked.
 *
 * Invariant: what stands under the name of an index is whole at any time: a new one
 * is written beside it, to disk, and takes its name then.  Keys are written as lookup
 * asks for them: in lower case, networks as host_network() has them.
 */
#include "control/smtpctl_table.h"

#include <sys/stat.h>

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/smtpctl_text.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lib/conf/table_index.h"
#include "lib/net/host.h"

#define SOURCE_MAX    (1U << 30) /* octets of a text */
#define COMPLAINT_MAX 20	 /* lines skipped that are named one by one */

struct build {
	const char *source, *dest;
	struct stat st; /* of source */
	char *text;
	size_t len;
	char fresh[PATH_MAX]; /* what is written, until it takes the name dest; "": nothing yet */
	int fd;		      /* of it, or -1 */
	struct cdb_make cdb;
	struct map *seen; /* by key: the number of the line */
	uint64_t entries, skipped, repeated;
};

/* -- keys -- */

/* "192.0.2.7/24" as "192.0.2.0/24".  -1: it is no network. */
static int
key_network(const char *key, char dst[HOST_NETWORK_SIZE])
{
	const char *slash = strchr(key, '/');
	uint8_t octets[HOST_OCTETS_MAX];
	char host[ADDR_TEXT_MAX];
	struct host_prefix prefix;
	struct addr a;
	uint64_t bits;

	if (str_copy(host, sizeof(host), key) == -1)
		return -1;
	if (slash != NULL)
		host[slash - key] = '\0';
	if (addr_parse(host, 0, &a) == -1)
		return -1;
	bits = host_octets(&a, octets) * 8;
	if (slash != NULL && str_u64(slash + 1, 0, bits, &bits) == -1)
		return -1;
	prefix = (struct host_prefix){(unsigned int)bits, (unsigned int)bits};
	host_network(&a, &prefix, dst);
	return 0;
}

int
table_key(const char *key, char dst[TABLE_KEY_MAX + 1])
{
	char network[HOST_NETWORK_SIZE];

	if (str_copy(dst, TABLE_KEY_MAX + 1, key_network(key, network) == 0 ? network : key) == -1)
		return -1;
	str_lower(dst);
	return 0;
}

/* -- build: reading -- */

static int
fail(const char *path, const char *why)
{
	text_complain("%s: %s", path, why);
	return -1;
}

static int
read_whole(int fd, char *dst, size_t len)
{
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		if ((n = read(fd, dst + have, len - have)) == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0) { /* somebody writes to it */
			errno = EAGAIN;
			return -1;
		}
		have += (size_t)n;
	}
	return 0;
}

static int
read_source(struct build *b)
{
	int fd = open(b->source, O_RDONLY | O_CLOEXEC), status = -1;

	if (fd == -1)
		return fail(b->source, strerror(errno));
	if (fstat(fd, &b->st) == -1)
		(void)fail(b->source, strerror(errno));
	else if (!S_ISREG(b->st.st_mode))
		(void)fail(b->source, "not a regular file");
	else if (b->st.st_size > SOURCE_MAX)
		(void)fail(b->source, "larger than 1 GiB");
	else {
		b->len = (size_t)b->st.st_size;
		if ((b->text = malloc(b->len + 1)) != NULL)
			status = read_whole(fd, b->text, b->len);
		if (status == -1)
			(void)fail(b->source, strerror(errno));
	}
	(void)close(fd);
	return status;
}

/* -- build: writing -- */

static void
complain_of_line(struct build *b, size_t line, const char *why)
{
	if (b->skipped++ < COMPLAINT_MAX)
		text_complain("%s:%zu: %s; skipped", b->source, line, why);
}

static bool
has_include(const char *value)
{
	struct table_item item;
	size_t len;

	while (table_item_next(&value, &item))
		if (table_item_include(&item, &len) != NULL)
			return true;
	return false;
}

/* NULL, or why an index can't have the entry. */
static const char *
entry_refused(const struct table_entry *e)
{
	if (strchr(e->key, '*') != NULL)
		return "an index has no patterns with '*'; \".example.org\" is all names below";
	if (e->value == NULL)
		return NULL;
	if (strlen(e->value) > TABLE_INDEX_VALUE_MAX)
		return "value longer than 1 MiB";
	return has_include(e->value) ? "an index has no :include:" : NULL;
}

static int
add_entry(struct build *b, const struct table_entry *e)
{
	const char *value = e->value == NULL ? "" : e->value, *why = entry_refused(e);
	char key[TABLE_KEY_MAX + 1];

	if (why == NULL && table_key(e->key, key) == -1)
		why = "key too long";
	if (why != NULL) {
		complain_of_line(b, e->line, why);
		return 0;
	}
	if (map_get(b->seen, key) != NULL) {
		b->repeated++;
		return 0;
	}
	if (map_set(b->seen, key, b) == -1)
		return fail(b->source, strerror(errno));
	if (cdb_make_add(
		&b->cdb, key, (unsigned int)strlen(key), value, (unsigned int)strlen(value)) == -1)
		return fail(b->fresh, errno == ENOMEM ? "larger than 4 GiB" : strerror(errno));
	b->entries++;
	return 0;
}

static int
add_entries(struct build *b)
{
	struct table_entries entries;
	struct table_entry e;

	table_entries_init(&entries, b->text, b->len, TABLE_ENTRY_NAMES);
	while (table_entries_next(&entries, &e)) {
		if (e.why != NULL)
			complain_of_line(b, e.line, e.why);
		else if (add_entry(b, &e) == -1)
			return -1;
	}
	return 0;
}

/* Under the empty key: what this is, and how many entries it has. */
static int
add_magic(struct build *b)
{
	char text[sizeof(TABLE_INDEX_MAGIC) + 24];

	(void)snprintf(
	    text, sizeof(text), TABLE_INDEX_MAGIC "%llu", (unsigned long long)b->entries);
	return cdb_make_add(&b->cdb, "", 0, text, (unsigned int)strlen(text));
}

/* Who may read the text may read the index, and nobody else. */
static int
copy_rights(const struct build *b)
{
	mode_t mode = b->st.st_mode & 0666;

	if (fchown(b->fd, b->st.st_uid, b->st.st_gid) == -1)
		mode &= 0600;
	return fchmod(b->fd, mode);
}

static int
write_index(struct build *b)
{
	if (cdb_make_start(&b->cdb, b->fd) == -1)
		return fail(b->fresh, strerror(errno));
	if (add_entries(b) == -1) {
		(void)cdb_make_finish(&b->cdb); /* gives back its memory */
		return -1;
	}
	if (add_magic(b) == -1 || cdb_make_finish(&b->cdb) == -1 || copy_rights(b) == -1 ||
	    fsync(b->fd) == -1)
		return fail(b->fresh, strerror(errno));
	return 0;
}

static int
begin_file(struct build *b)
{
	char path[PATH_MAX];

	if (str_format(path, sizeof(path), "%s.XXXXXX", b->dest) == -1)
		return fail(b->dest, strerror(errno));
	if ((b->fd = mkostemp(path, O_CLOEXEC)) == -1)
		return fail(b->dest, strerror(errno));
	memcpy(b->fresh, path, sizeof(path));
	return 0;
}

static int
sync_directory(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	int fd, status;

	str_cut(folder, sizeof(folder), path);
	if ((slash = strrchr(folder, '/')) == NULL)
		str_cut(folder, sizeof(folder), ".");
	else
		slash[slash == folder] = '\0';
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	status = fsync(fd);
	(void)close(fd);
	return status;
}

static int
end_file(struct build *b)
{
	if (rename(b->fresh, b->dest) == -1)
		return fail(b->dest, strerror(errno));
	b->fresh[0] = '\0';
	return sync_directory(b->dest) == -1 ? fail(b->dest, strerror(errno)) : 0;
}

static void
report(const struct build *b, const struct ctl *ctl)
{
	if (b->skipped > 0)
		text_complain("%s: %llu lines skipped", b->source, (unsigned long long)b->skipped);
	if (ctl->quiet)
		return;
	(void)fprintf(ctl->out, "%s: %llu entries", b->dest, (unsigned long long)b->entries);
	if (b->repeated > 0)
		(void)fprintf(ctl->out, ", %llu left out whose key was there before",
		    (unsigned long long)b->repeated);
	(void)fputc('\n', ctl->out);
}

int
table_build_run(struct ctl *ctl)
{
	const char *const *words = ctl->words + ctl->nused;
	struct build b = {.source = words[0], .dest = words[1], .fd = -1};
	char beside[PATH_MAX];
	int status = EXIT_REFUSED;

	if (b.dest == NULL) {
		if (str_format(beside, sizeof(beside), "%s.cdb", b.source) == -1) {
			(void)fail(b.source, strerror(errno));
			return EXIT_USAGE;
		}
		b.dest = beside;
	}
	if ((b.seen = map_create(SIZE_MAX)) == NULL)
		(void)fail(b.source, strerror(errno));
	else if (read_source(&b) == 0 && begin_file(&b) == 0 && write_index(&b) == 0 &&
		 end_file(&b) == 0) {
		report(&b, ctl);
		status = b.skipped > 0 ? EXIT_REFUSED : EXIT_OK;
	}
	if (b.fresh[0] != '\0')
		(void)unlink(b.fresh);
	if (b.fd != -1)
		(void)close(b.fd);
	map_free(b.seen, NULL);
	free(b.text);
	return status;
}

/* SPDX-License-Identifier: ISC */
/*
 * Indexed tables: questions to a file by its descriptor.
 *
 * Invariant: the descriptor is that of a file whose first part was read and
 * found good, or there is none.  What else is in it is believed of
 * no question.  Nothing is fatal.
 */
#include "lookup/table_cdb.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/conf/table_index.h"

#define LOGGED_MAX 10	       /* troubles with one file that are logged */
#define VALUE_KEEP (16U << 10) /* octets of room for a value that are kept */

_Static_assert(TABLE_INDEX_VALUE_MAX <= TABLE_VALUE_MAX, "what a table may hold, it may answer");

struct table_cdb { /* owned by its struct tables */
	char *name;
	int fd; /* -1: it did not arrive */
	struct table_index index;
	char *value; /* the one that was found last */
	size_t room;
	unsigned int troubles;
};

static void *
table_cdb_create(const struct backend_env *env, const char *name)
{
	struct table_cdb *t;

	(void)env;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->fd = -1;
	if ((t->name = strdup(name)) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static void
table_cdb_free(void *table)
{
	struct table_cdb *t = table;

	if (t->fd != -1)
		(void)close(t->fd);
	free(t->value);
	free(t->name);
	free(t);
}

/* -- the file -- */

static int
read_at(void *arg, uint64_t offset, void *dst, size_t n)
{
	const int *fd = arg;
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = pread(*fd, (char *)dst + have, n - have, (off_t)(offset + have));
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -1;
		if (got == 0) { /* it was longer when it was opened */
			errno = EPROTO;
			return -1;
		}
		have += (size_t)got;
	}
	return 0;
}

static void
log_trouble(const struct table_cdb *t, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "table-trouble");
	logline_str(&l, "table", t->name);
	logline_str(&l, "why", why);
	logline_end(&l);
}

static int
index_open(struct table_index *x, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size < 0) {
		errno = EINVAL;
		return -1;
	}
	x->read_at = read_at;
	x->arg = &fd;
	x->size = (uint64_t)st.st_size;
	return table_index_open(x);
}

static int
table_cdb_load(void *table, const char *part, int fd)
{
	struct table_cdb *t = table;
	struct table_index fresh = {0};

	(void)part;
	if (index_open(&fresh, fd) == -1) {
		int error = errno;

		if (error == EPROTO)
			log_trouble(t, "damaged, or not made by smtpctl table build");
		(void)close(fd);
		errno = error;
		return -1;
	}
	if (t->fd != -1)
		(void)close(t->fd);
	t->fd = fd;
	t->index = fresh;
	t->index.arg = &t->fd;
	t->troubles = 0;
	return 0;
}

/* -- questions -- */

static enum table_answer
trouble(struct table_cdb *t)
{
	if (t->troubles++ < LOGGED_MAX)
		log_trouble(t, errno == EPROTO ? "damaged index" : strerror(errno));
	return TABLE_TROUBLE;
}

/* Room for so many octets and a NUL. */
static int
value_reserve(struct table_cdb *t, size_t len)
{
	size_t room = len < VALUE_KEEP ? VALUE_KEEP : len + 1;
	char *value;

	if (room == t->room)
		return 0;
	if ((value = malloc(room)) == NULL)
		return -1;
	free(t->value);
	t->value = value;
	t->room = room;
	return 0;
}

static enum table_answer
table_cdb_find(void *table, enum table_service service, const char *key, struct memo_waiter *w,
    const char **value)
{
	struct table_cdb *t = table;
	struct table_record r;
	int found;

	(void)service;
	(void)w;
	if (t->fd == -1)
		return TABLE_TROUBLE;
	if ((found = table_index_find(&t->index, key, &r)) == -1)
		return trouble(t);
	if (found == 0)
		return TABLE_NO;
	if (value_reserve(t, r.value_len) == -1 ||
	    read_at(&t->fd, r.value_at, t->value, r.value_len) == -1)
		return trouble(t);
	if (memchr(t->value, '\0', r.value_len) != NULL) {
		errno = EPROTO;
		return trouble(t);
	}
	t->value[r.value_len] = '\0';
	*value = t->value;
	return TABLE_YES;
}

const struct backend_ops table_cdb_ops = {
    .create = table_cdb_create,
    .free = table_cdb_free,
    .load = table_cdb_load,
    .find = table_cdb_find,
    .knows_prefixes = true,
};

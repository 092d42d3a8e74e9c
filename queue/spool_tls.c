/* SPDX-License-Identifier: ISC */
/*
 * How well mail to a domain was protected at best, as far as that is remembered.
 *
 * Invariant: a row leaves here only with a level that there is and a name
 * within its bound; what is damaged counts as never seen.  Nothing is fatal.
 */
#include <errno.h>
#include <string.h>

#include "queue/spool_private.h"

#define PRUNED_AT_ONCE 64 /* as Q_TLS_PRUNE says */

static int
level_get(struct spool *s, enum statement q, int column, enum ipc_tls_level *level)
{
	int64_t value = sqlite3_column_int64(s->stmt[q], column);

	if (value < 0 || value >= IPC_TLS_LEVEL__MAX)
		return -1;
	*level = (enum ipc_tls_level)value;
	return 0;
}

int
spool_tls_get(struct spool *s, const char *domain, struct spool_tls *out)
{
	enum statement q = Q_TLS_GET;
	int got, rc;

	bug_on(s->visiting != 0);
	if (s->db == NULL) {
		errno = EIO;
		return -1;
	}
	spool_bind_text(s, q, 1, domain, SPOOL_NAME_MAX);
	if ((got = spool_step(s, q)) != 1) {
		errno = got == 0 ? ENOENT : EIO;
		return -1;
	}
	*out = (struct spool_tls){.domain = domain,
	    .since_s = sqlite3_column_int64(s->stmt[q], 1),
	    .seen_s = sqlite3_column_int64(s->stmt[q], 2)};
	rc = level_get(s, q, 0, &out->level);
	spool_end(s, q);
	if (rc == -1)
		errno = ENOENT;
	return rc;
}

static void
change_end(struct spool *s, int error, spool_done done, void *arg)
{
	spool_group_add(s, &(struct change){.done = done, .arg = arg, .error = error});
}

static int
row_write(struct spool *s, enum statement q, const struct spool_tls *t)
{
	spool_bind_text(s, q, 1, t->domain, SPOOL_NAME_MAX);
	spool_bind_int(s, q, 2, (int64_t)t->level);
	spool_bind_int(s, q, 3, t->since_s);
	spool_bind_int(s, q, 4, t->seen_s);
	return spool_run(s, q);
}

/* One more domain, unless there are too many: anybody can have mail sent to names of his own. */
static int
row_add(struct spool *s, const struct spool_tls *t)
{
	if (!s->tls_counted && spool_ask(s, Q_TLS_COUNT, &s->tls_domains, 1) == -1)
		return -1;
	s->tls_counted = true;
	if (s->tls_domains >= SPOOL_TLS_MAX) {
		errno = ENOSPC;
		return -1;
	}
	s->tls_domains++;
	return row_write(s, Q_TLS_ADD, t);
}

static int
row_set(struct spool *s, const struct spool_tls *t)
{
	if (spool_tx(s) == -1 || row_write(s, Q_TLS_SET, t) == -1)
		return -1;
	return spool_changed(s) > 0 ? 0 : row_add(s, t);
}

void
spool_tls_set(struct spool *s, const struct spool_tls *t, spool_done done, void *arg)
{
	bug_on(s->visiting != 0);
	change_end(s, row_set(s, t) == -1 ? errno : 0, done, arg);
}

/* False: a row that is not legal. */
static bool
row_get(struct spool *s, struct spool_tls *t)
{
	sqlite3_stmt *st = s->stmt[Q_TLS_LIST];
	size_t len;

	t->domain = (const char *)sqlite3_column_text(st, 0);
	len = (size_t)sqlite3_column_bytes(st, 0);
	t->since_s = sqlite3_column_int64(st, 2);
	t->seen_s = sqlite3_column_int64(st, 3);
	return t->domain != NULL && len <= SPOOL_NAME_MAX && strlen(t->domain) == len &&
	       level_get(s, Q_TLS_LIST, 1, &t->level) == 0;
}

int
spool_tls_list(struct spool *s, const char *after, size_t limit, int64_t seen_after_s,
    spool_tls_visit visit, void *arg)
{
	enum statement q = Q_TLS_LIST;
	struct spool_tls t;
	int got;

	bug_on(s->visiting != 0);
	if (s->db == NULL) {
		errno = EIO;
		return -1;
	}
	spool_bind_text(s, q, 1, after, SPOOL_NAME_MAX);
	spool_bind_int(s, q, 2, limit > INT32_MAX ? INT32_MAX : (int64_t)limit);
	spool_bind_int(s, q, 3, seen_after_s);
	while ((got = spool_step(s, q)) == 1)
		if (row_get(s, &t)) {
			s->visiting++;
			visit(arg, &t);
			s->visiting--;
		}
	return got;
}

void
spool_tls_forget(struct spool *s, const char *domain, spool_done done, void *arg)
{
	enum statement q = domain[0] == '\0' ? Q_TLS_FORGET_ALL : Q_TLS_FORGET;
	int error = 0;

	bug_on(s->visiting != 0);
	s->tls_counted = false;
	if (spool_tx(s) == -1)
		error = errno;
	else {
		if (q == Q_TLS_FORGET)
			spool_bind_text(s, q, 1, domain, SPOOL_NAME_MAX);
		if (spool_run(s, q) == -1)
			error = errno;
		else if (q == Q_TLS_FORGET && spool_changed(s) == 0)
			error = ENOENT;
	}
	change_end(s, error, done, arg);
}

bool
spool_tls_prune(struct spool *s, int64_t seen_s)
{
	uint64_t any;

	bug_on(s->visiting != 0);
	s->tls_counted = false;
	if (s->db == NULL)
		return false;
	spool_bind_int(s, Q_TLS_OLD, 1, seen_s);
	spool_bind_int(s, Q_TLS_PRUNE, 1, seen_s);
	if (spool_ask(s, Q_TLS_OLD, &any, 1) == -1 || spool_tx(s) == -1)
		return false; /* there is none, and no reason to write */
	return spool_run(s, Q_TLS_PRUNE) == 0 && spool_changed(s) == PRUNED_AT_ONCE;
}

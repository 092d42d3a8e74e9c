/* SPDX-License-Identifier: ISC */
/*
 * The store: the database handle's life, the open group, its end.
 *
 * Invariant: a handle that ever answered an I/O error to a change commits
 * nothing more.  It is closed without touching its log; a fresh one must move
 * the log into the database and take away what its group left there, in this
 * order, before the next commit.  A group is durable as a whole or answers
 * one errno as a whole.  Fatal: no memory to remember a change that was made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "queue/spool_private.h"

#define RETRY_MAX_S	  60
#define CHECKPOINT_BYTES  (16 << 20)
#define PAGE_BYTES	  4096
#define CHECKPOINT_FRAMES (CHECKPOINT_BYTES / PAGE_BYTES)
#define REBUILD_EVERY_S	  3600 /* of an index, at most */
#define ID_SKIP		  4096 /* ids given out but in no commit are skipped at a start */

/* Room for one more of size at *array, or the end of this role. */
static void
array_grow(void **array, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap == 0 ? 64 : *cap * 2;
	void *p;

	if (n < *cap)
		return;
	if ((p = reallocarray(*array, want, size)) == NULL)
		fatal("out of memory for %zu changes of the spool", want);
	*array = p;
	*cap = want;
}

/* The open group can't be committed: it is undone now and told at spool_commit(). */
static void
group_doom(struct spool *s, int error)
{
	if (s->doomed == 0)
		s->doomed = error;
	if (!s->in_tx)
		return;
	s->in_tx = false;
	if (sqlite3_get_autocommit(s->db) == 0) {
		(void)sqlite3_step(s->stmt[Q_ROLLBACK]);
		(void)sqlite3_reset(s->stmt[Q_ROLLBACK]);
		if (sqlite3_get_autocommit(s->db) == 0)
			s->suspect = true;
	}
	s->totals.messages = s->totals_before.messages;
	s->totals.recipients = s->totals_before.recipients;
	spool_incoming_doom(s, error);
}

int
spool_sql_failed(struct spool *s, int rc)
{
	bool lost = s->in_tx && sqlite3_get_autocommit(s->db) != 0;
	int error = spool_schema_errno(rc);

	switch (rc & 0xff) {
	case SQLITE_FULL:
		group_doom(s, error);
		break;
	case SQLITE_CORRUPT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		error = EILSEQ;
		if (lost)
			group_doom(s, EIO);
		break;
	case SQLITE_IOERR:
		/* A page that can't be read is its row's affair, unless the group went with it. */
		if ((rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR_SHORT_READ) && !lost)
			error = EILSEQ;
		else
			s->suspect = true;
		if (s->suspect)
			group_doom(s, EIO);
		break;
	case SQLITE_NOMEM:
	case SQLITE_CONSTRAINT:
		if (lost)
			group_doom(s, error);
		break;
	default:
		s->suspect = true;
		group_doom(s, error);
		break;
	}
	if (error == EIO)
		log_warn("event=spool-error code=%d reason=\"%s\"", rc, sqlite3_errstr(rc));
	errno = error;
	return -1;
}

int
spool_tx(struct spool *s)
{
	if (s->doomed != 0 || s->db == NULL) {
		errno = s->doomed != 0 ? s->doomed : EIO;
		return -1;
	}
	if (s->in_tx)
		return 0;
	s->totals_before = s->totals;
	if (spool_run(s, Q_BEGIN) == -1)
		return -1;
	s->in_tx = true;
	s->group++;
	return 0;
}

void
spool_group_add(struct spool *s, const struct change *c)
{
	array_grow((void **)&s->changes, s->nchanges, &s->changes_cap, sizeof(*s->changes));
	s->changes[s->nchanges] = *c;
	if (c->error == EILSEQ)
		s->changes[s->nchanges].error = EIO;
	s->nchanges++;
}

int
spool_hide(struct spool *s, uint64_t id)
{
	if (map_set_u64(s->hidden, id, s) == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

void
spool_condemn(struct spool *s, uint64_t id, bool unless_message)
{
	array_grow((void **)&s->condemned, s->ncondemned, &s->condemned_cap, sizeof(*s->condemned));
	s->condemned[s->ncondemned++] = (struct condemned){
	    .id = id, .unless_message = unless_message};
}

static int
totals_save(struct spool *s)
{
	spool_bind_int(s, Q_META_SET, 1, (int64_t)(s->totals.next_id + ID_SKIP));
	spool_bind_int(s, Q_META_SET, 2, (int64_t)s->totals.messages);
	spool_bind_int(s, Q_META_SET, 3, (int64_t)s->totals.recipients);
	return spool_run(s, Q_META_SET);
}

static uint64_t
mono_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What must go with this commit goes; then the one fsync. */
static int
group_try(struct spool *s)
{
	if (spool_erase_condemned(s) == -1 || spool_erase_some_garbage(s) == -1 ||
	    totals_save(s) == -1 || spool_run(s, Q_COMMIT) == -1)
		return -1;
	s->in_tx = false;
	s->ncondemned = 0;
	return 0;
}

int
spool_group_commit(struct spool *s)
{
	uint64_t start = mono_us();

	if (s->doomed != 0) {
		errno = s->doomed;
		return -1;
	}
	if (!s->in_tx && s->ncondemned == 0)
		return 0;
	if (spool_tx(s) == -1)
		return -1;
	if (group_try(s) == -1) {
		group_doom(s, errno == EILSEQ ? EIO : errno);
		errno = s->doomed;
		return -1;
	}
	s->open_bytes = 0;
	s->stats.commits++;
	s->stats.commit_us += mono_us() - start;
	return 0;
}

void
spool_log_shorten(struct spool *s)
{
	int rc;

	if (s->db == NULL || s->in_tx || s->wal_frames == 0)
		return;
	rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	s->checkpoint_at = s->wal_frames + CHECKPOINT_FRAMES;
	if (rc == SQLITE_OK) {
		/* The next commit starts the log over; until it does, there is nothing to move. */
		s->wal_frames = 0;
		s->checkpoint_at = CHECKPOINT_FRAMES;
	} else if ((rc & 0xff) != SQLITE_FULL && (rc & 0xff) != SQLITE_NOMEM) {
		(void)spool_sql_failed(s, rc);
		s->suspect = true;
	}
}

void
spool_doubt(struct spool *s, enum spool_index which)
{
	s->index_doubt |= 1U << which;
}

/* In vain when it is the table that is damaged, and it reads all of it: not at every turn. */
static void
index_rebuild(struct spool *s, enum spool_index which, int64_t now_s)
{
	int64_t not_before = s->rebuild_s[which];
	int rc;

	if (now_s < not_before && now_s >= not_before - REBUILD_EVERY_S)
		return;
	s->rebuild_s[which] = now_s + REBUILD_EVERY_S;
	if ((rc = spool_schema_rebuild(s->db, which)) == SQLITE_OK)
		s->stats.repaired++;
	if ((rc & 0xff) == SQLITE_IOERR || sqlite3_get_autocommit(s->db) == 0)
		s->suspect = true;
}

void
spool_rebuild_doubtful(struct spool *s, int64_t now_s)
{
	unsigned int doubt = s->index_doubt, i;

	s->index_doubt = 0;
	for (i = 0; i < SPOOL_INDICES && s->db != NULL && !s->suspect; i++)
		if ((doubt & 1U << i) != 0)
			index_rebuild(s, i, now_s);
}

static int
log_grew(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct spool *s = arg;

	(void)db;
	(void)name;
	s->wal_frames = frames;
	return SQLITE_OK;
}

void
spool_down(struct spool *s)
{
	spool_finalize_all(s);
	(void)sqlite3_close(s->db);
	s->db = NULL;
	s->in_tx = s->suspect = false;
	s->open_bytes = 0;
	s->wal_frames = 0;
}

/* A fresh handle: its totals, then the end of what was half-done through the old one. */
static int
store_load(struct spool *s)
{
	uint64_t meta[3];

	(void)sqlite3_wal_hook(s->db, log_grew, s);
	if (spool_prepare_all(s) == -1 || spool_ask(s, Q_META_GET, meta, NITEMS(meta)) == -1)
		return -1;
	if (meta[0] > s->totals.next_id)
		s->totals.next_id = meta[0];
	s->totals.messages = meta[1];
	s->totals.recipients = meta[2];
	s->garbage = true;
	s->checkpoint_at = CHECKPOINT_FRAMES;
	return spool_group_commit(s);
}

int
spool_up(struct spool *s, int64_t now_s)
{
	int error, wait_s;

	s->now_s = now_s;
	if (s->db != NULL)
		return 0;
	if (s->tries > 0 && now_s < s->retry_s && now_s >= s->retry_s - RETRY_MAX_S) {
		errno = EIO;
		return -1;
	}
	if (spool_schema_open(s->path, s->dirfd, s->options.cache_bytes, &s->db) == 0 &&
	    store_load(s) == 0) {
		s->tries = 0;
		return 0;
	}
	error = errno;
	spool_down(s);
	s->doomed = 0;
	wait_s = s->tries < 6 ? 1 << s->tries : RETRY_MAX_S;
	s->tries++;
	s->retry_s = now_s + wait_s;
	log_warn("event=spool-down error=\"%s\" retry_s=%d", strerror(error), wait_s);
	errno = error;
	return -1;
}

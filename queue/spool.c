/* SPDX-License-Identifier: ISC */
/*
 * The spool's front door: opening, closing, and the end of a group.
 *
 * Invariant: every done is called exactly once, by spool_commit() or
 * spool_close(), after the fate of its group is known: 0 only behind an fsync
 * that succeeded.  Nothing here is fatal.
 */
#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "queue/spool_private.h"

#define CACHE_BYTES	(512U << 10)
#define HIDDEN_MAX	(1U << 20)
#define BLOCKED_MAX	4096
#define INCOMING_MAX	65536
#define OPEN_BYTES_MAX	(4U << 20) /* of chunks that wait for somebody else's commit */
#define IDLE_FRAMES	256	   /* a log shorter than this is left alone */
#define IDLE_FREE_PAGES 4096	   /* free pages that are kept for the next burst */

static void
spool_free(struct spool *s)
{
	if (s->db != NULL)
		spool_down(s);
	if (s->dirfd != -1)
		(void)close(s->dirfd);
	map_free(s->incoming, spool_incoming_free);
	map_free(s->hidden, NULL);
	map_free(s->blocked, NULL);
	free(s->changes);
	free(s->condemned);
	free(s->directory);
	free(s->path);
	free(s);
}

/* Messages that were being received when the last process ended are garbage. */
static int
incoming_forget(struct spool *s)
{
	uint64_t damaged = 0;

	if (spool_tx(s) == -1 || spool_run(s, Q_INCOMING_FORGET) == -1 ||
	    spool_run(s, Q_INCOMING_CLEAR) == -1 || spool_group_commit(s) == -1)
		return -1;
	if (spool_ask(s, Q_DAMAGED_COUNT, &damaged, 1) == -1)
		return -1;
	s->stats.quarantined = damaged;
	return 0;
}

/* SQLite would make it readable to all. */
static int
file_make(const struct spool *s)
{
	int fd = openat(
	    s->dirfd, "spool.db", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);

	return fd == -1 ? -1 : close(fd);
}

static struct spool *
spool_create(const struct spool_options *options)
{
	struct spool *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->dirfd = -1;
	s->options = *options;
	if (s->options.cache_bytes == 0)
		s->options.cache_bytes = CACHE_BYTES;
	s->directory = strdup(options->directory);
	s->incoming = map_create(INCOMING_MAX);
	s->hidden = map_create(HIDDEN_MAX);
	s->blocked = map_create(BLOCKED_MAX);
	if (s->directory == NULL || s->incoming == NULL || s->hidden == NULL ||
	    s->blocked == NULL || asprintf(&s->path, "%s/spool.db", options->directory) == -1) {
		s->path = NULL;
		spool_free(s);
		errno = ENOMEM;
		return NULL;
	}
	s->options.directory = s->directory;
	return s;
}

void
spool_prepare(void)
{
	char one;

	/* Reads the system's random device, which is out of sight later. */
	sqlite3_randomness(sizeof(one), &one);
}

struct spool *
spool_open(const struct spool_options *options, int64_t now_s)
{
	struct spool *s;
	int saved;

	/* One thread, and nobody reads SQLite's statistics.  Refused once it runs: no matter. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if ((s = spool_create(options)) == NULL)
		return NULL;
	s->dirfd = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd != -1 && file_make(s) == 0 && spool_up(s, now_s) == 0 &&
	    incoming_forget(s) == 0)
		return s;
	saved = errno;
	spool_free(s);
	errno = saved;
	return NULL;
}

/* What a failed group leaves to be taken away: its new messages, body and all. */
static void
changes_condemn(struct spool *s, const struct change *changes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (changes[i].error == 0 && changes[i].kind >= CHANGE_NEW)
			spool_condemn(s, changes[i].id, changes[i].kind == CHANGE_REPORT);
}

static void
changes_settle(struct spool *s, const struct change *changes, size_t n, int error)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (changes[i].kind != CHANGE_PLAIN)
			(void)map_remove_u64(s->hidden, changes[i].id);
	for (i = 0; i < n; i++) {
		if (error == 0 && changes[i].error == 0)
			s->stats.changes++;
		if (changes[i].done != NULL)
			changes[i].done(changes[i].arg, error != 0 ? error : changes[i].error);
	}
}

/*
 * Nothing waits for the group's end, so that the handle can be worked on
 * between groups, and no change's fate is forgotten.
 */
static bool
group_is_closed(const struct spool *s)
{
	return s->nchanges == 0 && !s->in_tx && s->doomed == 0;
}

/* An I/O error: this handle commits nothing more; a fresh one takes over. */
static void
store_replace(struct spool *s, int64_t now_s)
{
	bug_on(!group_is_closed(s));
	log_warn("event=spool-reopen group=%llu", (unsigned long long)s->group);
	spool_down(s);
	s->stats.reopened++;
	if (spool_up(s, now_s) == 0)
		log_info("event=spool-reopened");
}

/* Moves the log into the database when it is due. */
static void
log_shorten(struct spool *s, int64_t now_s)
{
	bug_on(!group_is_closed(s));
	spool_log_shorten(s);
	s->doomed = 0; /* nobody's group */
	if (s->suspect)
		store_replace(s, now_s);
}

void
spool_commit(struct spool *s, int64_t now_s)
{
	struct change *changes;
	size_t n;
	int error = 0;

	bug_on(s->visiting != 0);
	if (spool_up(s, now_s) == 0 && spool_group_commit(s) == -1)
		error = errno;
	/* A done may start the next group. */
	changes = s->changes;
	n = s->nchanges;
	s->changes = NULL;
	s->nchanges = s->changes_cap = 0;
	s->room_known = false;
	if (n > s->stats.largest_group)
		s->stats.largest_group = n;
	if (error != 0) {
		s->doomed = 0;
		changes_condemn(s, changes, n);
	}
	spool_rebuild_doubtful(s, now_s);
	if (s->suspect)
		store_replace(s, now_s);
	/* The log is shortened after the answers, unless a done opens a group at once. */
	if (s->wal_frames >= 2 * s->checkpoint_at)
		log_shorten(s, now_s);
	changes_settle(s, changes, n, error);
	free(changes);
	if (group_is_closed(s) && !s->suspect && s->wal_frames >= s->checkpoint_at)
		log_shorten(s, now_s);
}

bool
spool_needs_commit(const struct spool *s)
{
	return s->nchanges > 0 || s->doomed != 0 || s->suspect || s->index_doubt != 0 ||
	       s->open_bytes > OPEN_BYTES_MAX;
}

/* Gives free pages back to the file system, some at a time; true while there are too many. */
static bool
idle_shrink(struct spool *s)
{
	uint64_t free_pages = 0, pages = 0, left = 0;

	if (spool_ask(s, Q_FREE_PAGES, &free_pages, 1) == -1 ||
	    spool_ask(s, Q_ALL_PAGES, &pages, 1) == -1)
		return false;
	if (free_pages < IDLE_FREE_PAGES || free_pages < pages / 4)
		return false;
	return spool_tx(s) == 0 && spool_run(s, Q_VACUUM_SOME) == 0 &&
	       spool_ask(s, Q_FREE_PAGES, &left, 1) == 0 && spool_group_commit(s) == 0 &&
	       left < free_pages;
}

bool
spool_idle(struct spool *s)
{
	bug_on(s->visiting != 0);
	if (s->db == NULL || s->doomed != 0 || s->suspect || s->nchanges > 0)
		return false;
	if (s->garbage || s->ncondemned > 0) {
		if (spool_tx(s) == -1 || spool_erase_some_garbage(s) == -1)
			return false;
		if (s->open_bytes < OPEN_BYTES_MAX && s->garbage)
			return true;
		return spool_group_commit(s) == 0;
	}
	if (s->in_tx)
		return false;
	if (s->wal_frames >= IDLE_FRAMES) {
		log_shorten(s, s->now_s);
		return true;
	}
	return idle_shrink(s);
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	spool_commit(s, s->now_s);
	if (s->db != NULL && !s->suspect)
		(void)sqlite3_wal_checkpoint_v2(
		    s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	spool_free(s);
}

void
spool_stats(const struct spool *s, struct spool_stats *out)
{
	*out = s->stats;
	out->messages = s->totals.messages;
	out->recipients = s->totals.recipients;
}

/* SPDX-License-Identifier: ISC */
/*
 * Files that are named within files of tables, for lookup, which can open none.
 *
 * A list may be in the hands of who keeps it, not of the administrator, and be
 * a link to anything: it is opened by a hand with the rights of lookup's
 * account, and so is nothing that the account could not read by itself.  It is read there
 * too: lookup gets a copy in memory, so that no file system can make it wait.
 *
 * Invariant: what this process itself does with the text of a table is look for one
 * word in it.  Nothing is fatal: a list that can't be opened is logged, and
 * mail for it waits.
 */
#include "smtpd/include.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "smtpd/accounts.h"
#include "smtpd/hand.h"
#include "smtpd/smtpd.h"

#define WORD	     ":include:"
#define ENDS	     " \t\r\n,\"" /* of a path */
#define INCLUDES_MAX 256	  /* of one table */
#define TEXT_MAX     (64U << 20)
#define LIST_MAX     (4U << 20)
#define PIECE	     65536
#define OPEN_MS	     30000 /* for all of a table's */
#define KEPT_FD	     4	   /* where a hand has what it was given */

struct told {	      /* by the hand, of each file */
	int error;    /* 0: a descriptor comes along */
	char why[64]; /* in place of the errno's; "": none */
	char path[IPC_PATH_MAX + 1];
};

struct include { /* one table's; owned by itself until the hand is done */
	struct asker lookup;
	char table[IPC_WORD_MAX + 1];
	int fd;		     /* of the table, until it begins */
	struct event *again; /* no hand is free: it waits for one */
	struct hand *hand;
};

/* -- in the hand -- */

struct scan {
	int sock;
	size_t n;
	char paths[INCLUDES_MAX][IPC_PATH_MAX + 1]; /* those that were seen: loops end */
};

static bool
is_seen(const struct scan *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->paths[i], path) == 0)
			return true;
	return false;
}

static void
note_path(struct scan *s, const char *at, const char *end)
{
	size_t len = 0;
	char *path;

	while (at + len < end && at[len] != '\0' && strchr(ENDS, at[len]) == NULL)
		len++;
	if (s->n == INCLUDES_MAX || len == 0 || len > IPC_PATH_MAX)
		return;
	path = s->paths[s->n];
	memcpy(path, at, len);
	path[len] = '\0';
	if (!is_seen(s, path))
		s->n++;
}

static void
scan_text(struct scan *s, const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	while (s->n < INCLUDES_MAX &&
	       (at = memmem(at, (size_t)(end - at), WORD, sizeof(WORD) - 1)) != NULL) {
		at += sizeof(WORD) - 1;
		note_path(s, at, end);
	}
}

/* Its offset is shared with who gets it: read elsewhere. */
static char *
read_text(int fd, size_t *len)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) == -1 || st.st_size > (off_t)TEXT_MAX ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)n)
		if ((n = pread(fd, text + *len, (size_t)st.st_size - *len, (off_t)*len)) <= 0)
			break;
	return text;
}

static void
scan_file(struct scan *s, int fd)
{
	size_t len;
	char *text;

	if ((text = read_text(fd, &len)) == NULL)
		return;
	scan_text(s, text, len);
	free(text);
}

static int
open_list(const char *path, struct told *t)
{
	struct stat st;
	int fd, copy;

	if (path[0] != '/') {
		t->error = EINVAL;
		str_cut(t->why, sizeof(t->why), "not an absolute path");
		return -1;
	}
	if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) == -1 ||
	    fstat(fd, &st) == -1) {
		t->error = errno;
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		t->error = EINVAL;
		str_cut(t->why, sizeof(t->why), "not a plain file");
		copy = -1;
	} else if ((copy = hand_copy(fd, LIST_MAX)) == -1)
		t->error = errno;
	(void)close(fd);
	return copy;
}

static void
open_lists(int sock, void *arg)
{
	static struct scan s;
	struct told t;
	size_t i;
	int fd;

	(void)arg;
	s.sock = sock;
	scan_file(&s, KEPT_FD);
	for (i = 0; i < s.n; i++) {
		memset(&t, 0, sizeof(t));
		memcpy(t.path, s.paths[i], sizeof(t.path));
		if ((fd = open_list(t.path, &t)) != -1)
			scan_file(&s, fd);
		if (hand_tell(sock, &t, sizeof(t), fd) == -1)
			return;
		if (fd != -1)
			(void)close(fd);
	}
}

/* -- in the parent -- */

static void
log_unopened(const struct include *x, const char *path, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "include-not-read");
	logline_str(&l, "table", x->table);
	logline_str(&l, "path", path);
	logline_str(&l, "error", why);
	logline_end(&l);
}

static void
include_end(struct include *x)
{
	hand_free(x->hand);
	if (x->again != NULL)
		event_free(x->again);
	if (x->fd != -1)
		(void)close(x->fd);
	free(x);
}

static void
on_told(void *arg, const void *data, size_t len, int fd)
{
	struct include *x = arg;
	struct child *lookup = asker_alive(&x->lookup);
	struct msg_include m = {.table = x->table};
	struct told t;

	if (data == NULL || len != sizeof(t) || lookup == NULL) {
		if (fd != -1)
			(void)close(fd);
		include_end(x);
		return;
	}
	memcpy(&t, data, sizeof(t));
	t.path[sizeof(t.path) - 1] = t.why[sizeof(t.why) - 1] = '\0';
	m.path = t.path;
	if (fd != -1)
		(void)channel_send_fd(lookup->ch, MSG_include, &m, fd);
	else
		log_unopened(x, t.path, t.why[0] != '\0' ? t.why : strerror(t.error));
}

static bool
has_word(int fd)
{
	char piece[PIECE + sizeof(WORD)];
	size_t kept = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, piece + kept, PIECE, at)) > 0) {
		if (memmem(piece, kept + (size_t)n, WORD, sizeof(WORD) - 1) != NULL)
			return true;
		at += n;
		/* The word may lie across two pieces. */
		n += (ssize_t)kept;
		kept = (size_t)n < sizeof(WORD) - 2 ? (size_t)n : sizeof(WORD) - 2;
		memmove(piece, piece + n - (ssize_t)kept, kept);
	}
	return false;
}

/* It is tried again while there is no hand: of many tables each may have its lists. */
static int
begin(struct include *x, const struct child *lookup)
{
	static const struct timeval soon = {0, 100000};
	struct hand_job job = {.uid = lookup->uid,
	    .gid = lookup->gid,
	    .work = open_lists,
	    .heard = on_told,
	    .arg = x,
	    .files_only = true,
	    .keep_fd = x->fd,
	    .copy_max = LIST_MAX};

	if ((x->hand = hand_start(lookup->smtpd, &job)) == NULL)
		return errno == EAGAIN ? event_add(x->again, &soon) : -1;
	hand_set_deadline(x->hand, OPEN_MS);
	(void)close(x->fd);
	x->fd = -1;
	return 0;
}

static void
begin_or_end(struct include *x)
{
	const struct child *lookup = asker_alive(&x->lookup);

	if (lookup != NULL && begin(x, lookup) == 0)
		return;
	if (lookup != NULL)
		log_warn(
		    "event=includes-not-read table=%s error=\"%s\"", x->table, strerror(errno));
	include_end(x);
}

static void
on_again(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	begin_or_end(arg);
}

void
include_open(struct child *lookup, const char *table, int fd)
{
	struct include *x;

	if (!has_word(fd))
		return;
	if ((x = calloc(1, sizeof(*x))) == NULL) {
		log_warn("event=includes-not-read table=%s error=\"out of memory\"", table);
		return;
	}
	x->lookup = asker_of(lookup, 0);
	str_cut(x->table, sizeof(x->table), table);
	x->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	x->again = event_new(lookup->smtpd->base, -1, 0, on_again, x);
	if (x->fd != -1 && x->again != NULL) {
		begin_or_end(x);
		return;
	}
	log_warn("event=includes-not-read table=%s error=\"%s\"", table, strerror(errno));
	include_end(x);
}

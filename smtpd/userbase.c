/* SPDX-License-Identifier: ISC */
/*
 * The accounts of a userbase that stands in smtpd.conf or in a file.
 *
 * Invariant: what is remembered of a file is what stands in it, as far as its times
 * and size can tell.  Memory is bounded by a few files.  Nothing is fatal.
 */
#include "smtpd/userbase.h"

#include <sys/queue.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/conf.h"
#include "lib/conf/table_entry.h"
#include "smtpd/accounts.h"
#include "smtpd/smtpd.h"

#define FILES_KEPT 8
#define TEXT_MAX   (64U << 20)
#define NAMES_MAX  (4U << 20)
#define SETTLED_S  2 /* a file that is younger may change again within one tick of its clock */

struct userbase { /* one file; owned by the list, the one asked last is first */
	TAILQ_ENTRY(userbase) entry;
	char path[PATH_MAX];
	struct stat st;
	bool settled;
	struct buf text;     /* taken apart in place */
	struct map *by_name; /* of values in it, in small letters; nobody: there is none */
};

struct userbases {
	TAILQ_HEAD(userbase_files, userbase) files;
	size_t n;
};

static char nobody[] = ""; /* a key without a value stands for it, here as in lookup */

int
userbase_parse(const char *value, struct account *out)
{
	char text[PATH_MAX];
	char *gid, *home;
	uint64_t u, g;

	if (str_copy(text, sizeof(text), value) == -1 || (gid = strchr(text, ':')) == NULL ||
	    (home = strchr(gid + 1, ':')) == NULL)
		return -1;
	*gid++ = '\0';
	*home++ = '\0';
	if (str_u64(text, 0, UINT32_MAX - 1, &u) == -1 || str_u64(gid, 0, UINT32_MAX - 1, &g) == -1)
		return -1;
	out->uid = (uid_t)u;
	out->gid = (gid_t)g;
	return str_copy(out->home, sizeof(out->home), home);
}

static enum ipc_outcome
judge_value(const char *value, struct account *out)
{
	if (value == NULL || value == nobody)
		return IPC_GONE;
	return userbase_parse(value, out) == 0 ? IPC_OK : IPC_RETRY;
}

/* -- a file -- */

static void
file_free(struct userbases *u, struct userbase *f)
{
	TAILQ_REMOVE(&u->files, f, entry);
	u->n--;
	map_free(f->by_name, NULL);
	buf_free(&f->text);
	free(f);
}

static void
fold_case(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)char_lower((unsigned char)*s);
}

/* Of two entries with one key the first counts. */
static int
note_entry(struct userbase *f, const struct table_entry *e)
{
	char key[IPC_WORD_MAX + 1];

	if (e->why != NULL || str_copy(key, sizeof(key), e->key) == -1)
		return 0; /* nobody can ask for it */
	fold_case(key);
	if (map_get(f->by_name, key) != NULL)
		return 0;
	return map_set(f->by_name, key, e->value == NULL ? nobody : (void *)(uintptr_t)e->value);
}

static int
file_read(struct userbase *f)
{
	struct table_entries entries;
	struct table_entry e;

	buf_init(&f->text, TEXT_MAX);
	if ((f->by_name = map_create(NAMES_MAX)) == NULL ||
	    files_read(NULL, f->path, &f->text) == -1 || buf_append(&f->text, "", 1) == -1)
		return -1;
	table_entries_init(
	    &entries, (char *)f->text.data + f->text.head, f->text.len - 1, TABLE_ENTRY_NAMES);
	while (table_entries_next(&entries, &e))
		if (note_entry(f, &e) == -1)
			return -1;
	f->settled = time_wall_s() - f->st.st_mtim.tv_sec > SETTLED_S &&
		     time_wall_s() - f->st.st_ctim.tv_sec > SETTLED_S;
	return 0;
}

static bool
is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
is_same_file(const struct userbase *f, const struct stat *st)
{
	return f->settled && f->st.st_dev == st->st_dev && f->st.st_ino == st->st_ino &&
	       f->st.st_size == st->st_size && is_same_time(&f->st.st_mtim, &st->st_mtim) &&
	       is_same_time(&f->st.st_ctim, &st->st_ctim);
}

static struct userbase *
file_create(struct userbases *u, const char *path, const struct stat *st)
{
	struct userbase *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	TAILQ_INSERT_HEAD(&u->files, f, entry);
	u->n++;
	f->st = *st;
	if (str_copy(f->path, sizeof(f->path), path) == 0 && file_read(f) == 0)
		return f;
	file_free(u, f);
	return NULL;
}

/* What was read of it, now or before; NULL: it can't be. */
static struct userbase *
file_get(struct userbases *u, const char *path)
{
	struct userbase *f;
	struct stat st;

	TAILQ_FOREACH (f, &u->files, entry)
		if (strcmp(f->path, path) == 0)
			break;
	if (stat(path, &st) == -1)
		return NULL;
	if (f != NULL && is_same_file(f, &st)) {
		TAILQ_REMOVE(&u->files, f, entry);
		TAILQ_INSERT_HEAD(&u->files, f, entry);
		return f;
	}
	if (f != NULL)
		file_free(u, f);
	else if (u->n >= FILES_KEPT)
		file_free(u, TAILQ_LAST(&u->files, userbase_files));
	return file_create(u, path, &st);
}

static enum ipc_outcome
find_in_file(struct userbases *u, const char *path, const char *name, struct account *out)
{
	const struct userbase *f = file_get(u, path);
	char key[IPC_WORD_MAX + 1];

	if (f == NULL || str_copy(key, sizeof(key), name) == -1)
		return IPC_RETRY;
	fold_case(key);
	return judge_value(map_get(f->by_name, key), out);
}

/* -- in smtpd.conf itself -- */

static enum ipc_outcome
find_in_place(const struct conf_table *t, const char *name, struct account *out)
{
	size_t i;

	for (i = 0; i < t->npairs; i++)
		if (str_equal_nocase(t->pairs[i].key, name))
			return judge_value(t->pairs[i].value, out);
	return IPC_GONE;
}

enum ipc_outcome
userbase_find(
    struct userbases *u, const struct conf_table *t, const char *name, struct account *out)
{
	if (t->kind == CONF_TABLE_FILE)
		return find_in_file(u, t->path, name, out);
	return find_in_place(t, name, out);
}

struct userbases *
userbases_create(void)
{
	struct userbases *u = calloc(1, sizeof(*u));

	if (u != NULL)
		TAILQ_INIT(&u->files);
	return u;
}

void
userbases_free(struct userbases *u)
{
	struct userbase *f;

	if (u == NULL)
		return;
	while ((f = TAILQ_FIRST(&u->files)) != NULL)
		file_free(u, f);
	free(u);
}

/* SPDX-License-Identifier: ISC */
/*
 * Files on their way.
 *
 * Invariant: a file that did not come whole is not there.
 */
#include "vault/staged.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

struct staged_file { /* owned by the list */
	TAILQ_ENTRY(staged_file) entry;
	enum ipc_data kind;
	char name[IPC_NAME_MAX + 1];
	bool whole, broken;
	struct buf text;
};

struct staged_files {
	TAILQ_HEAD(, staged_file) list;
	size_t n;
};

struct staged_files *
staged_create(void)
{
	struct staged_files *f = calloc(1, sizeof(*f));

	if (f != NULL)
		TAILQ_INIT(&f->list);
	return f;
}

static void
drop(struct staged_files *f, struct staged_file *s)
{
	TAILQ_REMOVE(&f->list, s, entry);
	f->n--;
	buf_free(&s->text);
	free(s);
}

void
staged_drop(struct staged_files *f)
{
	struct staged_file *s;

	while ((s = TAILQ_FIRST(&f->list)) != NULL)
		drop(f, s);
}

void
staged_free(struct staged_files *f)
{
	if (f != NULL)
		staged_drop(f);
	free(f);
}

static struct staged_file *
find(const struct staged_files *f, enum ipc_data kind, const char *name)
{
	struct staged_file *s;

	TAILQ_FOREACH (s, &f->list, entry)
		if (s->kind == kind && strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct staged_file *
add(struct staged_files *f, enum ipc_data kind, const char *name)
{
	struct staged_file *s;

	if (f->n == STAGED_FILES_MAX) {
		errno = ENOBUFS;
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->kind = kind;
	str_cut(s->name, sizeof(s->name), name);
	buf_init(&s->text, STAGED_FILE_MAX);
	TAILQ_INSERT_TAIL(&f->list, s, entry);
	f->n++;
	return s;
}

int
staged_feed(struct staged_files *f, const struct msg_file_data *piece)
{
	struct staged_file *s = find(f, (enum ipc_data)piece->kind, piece->name);

	if (s != NULL && s->whole) {
		drop(f, s);
		s = NULL;
	}
	if (s == NULL && (s = add(f, (enum ipc_data)piece->kind, piece->name)) == NULL)
		return -1;
	s->whole = piece->last;
	if (s->broken || buf_append(&s->text, piece->data.data, piece->data.len) == 0)
		return 0;
	s->broken = true;
	buf_free(&s->text);
	return -1;
}

bool
staged_find(const struct staged_files *f, enum ipc_data kind, const char *name, struct span *out)
{
	const struct staged_file *s = find(f, kind, name);

	if (s == NULL || !s->whole || s->broken || s->text.len == 0)
		return false;
	*out = (struct span){buf_head(&s->text), s->text.len};
	return true;
}

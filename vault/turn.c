/* SPDX-License-Identifier: ISC */
/*
 * Lines of those who wait.
 *
 * Invariants: a line has at least one who waits, and stands in the list of
 * lines; the line that was served last is at its end.  Nothing is fatal.
 */
#include "vault/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"

struct turn_line { /* owned by struct turns */
	TAILQ_ENTRY(turn_line) entry;
	TAILQ_HEAD(, turn) waiting;
	size_t n;
	char client[];
};

struct turns {
	struct map *by_client;
	TAILQ_HEAD(, turn_line) lines;
	size_t n;
};

struct turns *
turns_create(void)
{
	struct turns *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	TAILQ_INIT(&t->lines);
	if ((t->by_client = map_create(TURNS_MAX)) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void
turns_free(struct turns *t)
{
	if (t == NULL)
		return;
	bug_on(t->n > 0);
	map_free(t->by_client, NULL);
	free(t);
}

static struct turn_line *
line_add(struct turns *t, const char *client)
{
	size_t len = strlen(client);
	struct turn_line *line;

	if ((line = calloc(1, sizeof(*line) + len + 1)) == NULL)
		return NULL;
	memcpy(line->client, client, len + 1);
	if (map_set(t->by_client, client, line) == -1) {
		free(line);
		return NULL;
	}
	TAILQ_INIT(&line->waiting);
	TAILQ_INSERT_TAIL(&t->lines, line, entry);
	return line;
}

int
turn_wait(struct turns *t, struct turn *w, const char *client)
{
	struct turn_line *line = map_get(t->by_client, client);

	bug_on(w->line != NULL);
	if (t->n >= TURNS_MAX || (line != NULL && line->n >= TURNS_MAX_EACH)) {
		errno = EAGAIN;
		return -1;
	}
	if (line == NULL && (line = line_add(t, client)) == NULL)
		return -1;
	TAILQ_INSERT_TAIL(&line->waiting, w, entry);
	w->line = line;
	line->n++;
	t->n++;
	return 0;
}

void
turn_leave(struct turns *t, struct turn *w)
{
	struct turn_line *line = w->line;

	if (line == NULL)
		return;
	TAILQ_REMOVE(&line->waiting, w, entry);
	w->line = NULL;
	t->n--;
	if (--line->n > 0)
		return;
	(void)map_remove(t->by_client, line->client);
	TAILQ_REMOVE(&t->lines, line, entry);
	free(line);
}

struct turn *
turns_next(struct turns *t)
{
	struct turn_line *line = TAILQ_FIRST(&t->lines);
	struct turn *w;

	if (line == NULL)
		return NULL;
	TAILQ_REMOVE(&t->lines, line, entry);
	TAILQ_INSERT_TAIL(&t->lines, line, entry);
	w = TAILQ_FIRST(&line->waiting);
	turn_leave(t, w);
	return w;
}

size_t
turns_count(const struct turns *t)
{
	return t->n;
}

/* SPDX-License-Identifier: ISC */
/*
 * Who waits for a list that a table includes.
 *
 * Invariant: a question stands here exactly while its memo has it under way, and ends
 * with the list, or with the time that its table says the list has.  Nothing is fatal.
 */
#include "lookup/includes.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define ASKED_MAX 1024 /* lists that somebody waits for */

struct awaited { /* owned by the list until it is answered */
	TAILQ_ENTRY(awaited) entry;
	struct memo_entry *asked;
};

struct includes {
	struct memo *memo;
	TAILQ_HEAD(, awaited) awaited;
};

static int
on_ask(void *arg, struct memo_entry *e)
{
	struct includes *w = arg;
	struct awaited *a;

	if ((a = malloc(sizeof(*a))) == NULL)
		return -1;
	a->asked = e;
	TAILQ_INSERT_TAIL(&w->awaited, a, entry);
	return 0;
}

struct includes *
includes_create(void)
{
	/* Nothing is remembered: where a list is there, nobody asks here. */
	struct memo_plan plan = {.asked_max = ASKED_MAX, .ask = on_ask};
	struct includes *w;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	TAILQ_INIT(&w->awaited);
	plan.arg = w;
	if ((w->memo = memo_create(&plan)) != NULL)
		return w;
	free(w);
	return NULL;
}

void
includes_free(struct includes *w)
{
	struct awaited *a;

	if (w == NULL)
		return;
	memo_free(w->memo);
	while ((a = TAILQ_FIRST(&w->awaited)) != NULL) {
		TAILQ_REMOVE(&w->awaited, a, entry);
		free(a);
	}
	free(w);
}

struct memo *
includes_memo(struct includes *w)
{
	return w->memo;
}

int
includes_key(char *key, size_t size, const char *table, const char *path)
{
	return str_format(key, size, "%s\n%s", table, path);
}

static void
answer(struct includes *w, struct awaited *a, enum table_answer what)
{
	struct memo_entry *asked = a->asked;

	TAILQ_REMOVE(&w->awaited, a, entry);
	free(a);
	memo_answer(asked, what, NULL, 0);
}

void
includes_came(struct includes *w, const char *table, const char *path)
{
	char key[MEMO_KEY_MAX + 1];
	struct awaited *a;

	if (includes_key(key, sizeof(key), table, path) == -1)
		return;
	TAILQ_FOREACH (a, &w->awaited, entry)
		if (strcmp(memo_key(a->asked), key) == 0) {
			answer(w, a, TABLE_YES);
			return;
		}
}

void
includes_review(
    struct includes *w, bool (*is_due)(const void *arg, const char *table), const void *arg)
{
	char table[MEMO_KEY_MAX + 1];
	struct awaited *a, *next;

	for (a = TAILQ_FIRST(&w->awaited); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		str_cut(table, sizeof(table), memo_key(a->asked));
		table[strcspn(table, "\n")] = '\0';
		if (!is_due(arg, table))
			answer(w, a, TABLE_TROUBLE);
	}
}

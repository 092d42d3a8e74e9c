/* SPDX-License-Identifier: ISC */
/*
 * The steps of a decision as a list of rows with depths.
 *
 * Invariant: the rows of a step's parts are those behind it that are deeper.  No
 * memory for a row is as good as no room for it.  Nothing is fatal.
 */
#include "lookup/explain_tree.h"

#include <stdlib.h>
#include <string.h>

/* Rows that decide find room where others do not. */
#define ROWS_SPARE 16

enum field { FIELD_KIND, FIELD_SUBJECT, FIELD_RESULT, FIELD_TEXT, FIELD__MAX };

static const size_t field_max[FIELD__MAX] = {
    [FIELD_KIND] = IPC_WORD_MAX,
    [FIELD_SUBJECT] = IPC_TEXT_MAX,
    [FIELD_RESULT] = IPC_WORD_MAX,
    [FIELD_TEXT] = IPC_TEXT_MAX,
};

struct row {
	unsigned int depth, line;
	bool decides;
	size_t octets;
	char *texts; /* FIELD__MAX strings, one behind the other */
};

struct explain_tree {
	struct row rows[EXPLAIN_ROWS_MAX + ROWS_SPARE];
	size_t n, octets, dropped;
	unsigned int depth;
};

struct explain_tree *
explain_tree_create(void)
{
	return calloc(1, sizeof(struct explain_tree));
}

void
explain_tree_free(struct explain_tree *t)
{
	if (t == NULL)
		return;
	explain_cut(t, 0);
	free(t);
}

static void
drop_last(struct explain_tree *t)
{
	struct row *r = &t->rows[--t->n];

	t->octets -= r->octets;
	free(r->texts);
}

/* What is cut ends in three dots. */
static size_t
put_text(char *dst, const char *text, size_t max)
{
	size_t len = text == NULL ? 0 : strlen(text);

	if (len > max) {
		memcpy(dst, text, max - 3);
		memcpy(dst + max - 3, "...", 3);
		len = max;
	} else if (len > 0) {
		memcpy(dst, text, len);
	}
	dst[len] = '\0';
	return len + 1;
}

/* -1: there is no room for it. */
static int
row_make(const struct explain_tree *t, const struct explain_step *s, struct row *out)
{
	const char *texts[FIELD__MAX] = {s->kind, s->subject, s->result, s->text};
	char block[2 * IPC_TEXT_MAX + 2 * IPC_WORD_MAX + FIELD__MAX];
	size_t i, len = 0, limit = EXPLAIN_ROWS_MAX + (s->decides ? ROWS_SPARE : 0);

	for (i = 0; i < FIELD__MAX; i++)
		len += put_text(block + len, texts[i], field_max[i]);
	if (t->n >= limit || (!s->decides && t->octets + len > EXPLAIN_OCTETS_MAX))
		return -1;
	*out = (struct row){
	    .depth = t->depth, .line = s->line, .decides = s->decides, .octets = len};
	if ((out->texts = malloc(len)) == NULL)
		return -1;
	memcpy(out->texts, block, len);
	return 0;
}

void
explain_wrap(struct explain_tree *t, size_t mark, const struct explain_step *s)
{
	struct row row;
	size_t i;

	/* A step is worth more than the last of its parts. */
	if (t->n >= EXPLAIN_ROWS_MAX && t->n > mark && !s->decides) {
		drop_last(t);
		t->dropped++;
	}
	if (row_make(t, s, &row) == -1) {
		t->dropped++;
		return;
	}
	memmove(&t->rows[mark + 1], &t->rows[mark], (t->n - mark) * sizeof(t->rows[0]));
	t->rows[mark] = row;
	t->n++;
	t->octets += row.octets;
	for (i = mark + 1; i < t->n; i++)
		t->rows[i].depth++;
}

void
explain_add(struct explain_tree *t, const struct explain_step *s)
{
	explain_wrap(t, t->n, s);
}

void
explain_in(struct explain_tree *t)
{
	t->depth++;
}

void
explain_out(struct explain_tree *t)
{
	bug_on(t->depth == 0);
	t->depth--;
}

size_t
explain_mark(const struct explain_tree *t)
{
	return t->n;
}

void
explain_cut(struct explain_tree *t, size_t mark)
{
	/* Where there was no room, there was none behind the mark alone. */
	if (t->n > mark)
		t->dropped = 0;
	while (t->n > mark)
		drop_last(t);
}

void
explain_mark_decides(struct explain_tree *t, size_t mark)
{
	if (mark < t->n)
		t->rows[mark].decides = true;
}

size_t
explain_count(const struct explain_tree *t)
{
	return t->n;
}

void
explain_get(const struct explain_tree *t, size_t i, struct explain_shown *out)
{
	const struct row *r = &t->rows[i];
	const char *texts[FIELD__MAX], *p = r->texts;
	size_t field;

	for (field = 0; field < FIELD__MAX; field++) {
		texts[field] = p;
		p += strlen(p) + 1;
	}
	out->depth = r->depth;
	out->step = (struct explain_step){.kind = texts[FIELD_KIND],
	    .subject = texts[FIELD_SUBJECT],
	    .result = texts[FIELD_RESULT],
	    .text = texts[FIELD_TEXT],
	    .line = r->line,
	    .decides = r->decides};
}

size_t
explain_dropped(const struct explain_tree *t)
{
	return t->dropped;
}

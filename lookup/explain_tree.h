/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPLAIN_TREE_H
#define LOOKUP_EXPLAIN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * The steps of a decision in the order they are shown: a step before its parts,
 * which are one deeper.  Often a step is known only when its parts are; then it is put
 * before them afterwards.
 *
 * Bounded: of what is too much only the number is kept, but a step that decides
 * is always there.  Pure.
 */
#define EXPLAIN_ROWS_MAX   5000
#define EXPLAIN_OCTETS_MAX (1U << 20) /* of all texts together */

struct explain_tree;

struct explain_step {	     /* NULL is as good as "" */
	const char *kind;    /* "rule": what the reader may take for granted, or look up */
	const char *subject; /* "<users>" */
	const char *result;  /* "yes" */
	const char *text;    /* for people */
	unsigned int line;   /* of smtpd.conf; 0: none */
	bool decides;
};

struct explain_tree *explain_tree_create(void) WARN_UNUSED; /* NULL: ENOMEM */
void explain_tree_free(struct explain_tree *t);		    /* NULL is fine */

/* Texts are copied, and cut to what explain_row takes. */
void explain_add(struct explain_tree *t, const struct explain_step *s);
/* What is added from now on is a part of the step before, or no more. */
void explain_in(struct explain_tree *t);
void explain_out(struct explain_tree *t);

/* Where the next step will be. */
size_t explain_mark(const struct explain_tree *t);
/* Forgets all from there on: it is found out anew. */
void explain_cut(struct explain_tree *t, size_t mark);
/* Goes before all from the mark on, which become its parts. */
void explain_wrap(struct explain_tree *t, size_t mark, const struct explain_step *s);
void explain_mark_decides(struct explain_tree *t, size_t mark); /* the step there, if any */

struct explain_shown {
	unsigned int depth; /* more than one deeper than the step before where that had no room */
	struct explain_step step;
};
size_t explain_count(const struct explain_tree *t);
void explain_get(const struct explain_tree *t, size_t i, struct explain_shown *out);
size_t explain_dropped(const struct explain_tree *t); /* steps there was no room for */

#endif

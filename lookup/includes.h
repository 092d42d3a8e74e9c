/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_INCLUDES_H
#define LOOKUP_INCLUDES_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lookup/memo.h"

/*
 * Who waits for a list that a table includes, between the table's text and the list's:
 * the parent sends the two one after the other.  Without this, mail that a restart or a
 * reload finds on its way would be put off for a whole retry time.
 */
struct includes;

struct includes *includes_create(void) WARN_UNUSED; /* NULL: ENOMEM */
/* NULL is fine; who waits is told TROUBLE. */
void includes_free(struct includes *w);
/* Asked by includes_key(): YES says that the list came, and nothing of what is in it. */
struct memo *includes_memo(struct includes *w);
/* -1: too long for anybody to wait for it. */
int includes_key(char *key, size_t size, const char *table, const char *path) WARN_UNUSED;

void includes_came(struct includes *w, const char *table, const char *path);
/* Whoever waits for a list of a table that is_due() says false of is told TROUBLE. */
void includes_review(
    struct includes *w, bool (*is_due)(const void *arg, const char *table), const void *arg);

#endif

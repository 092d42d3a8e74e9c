/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FIND_H
#define LOOKUP_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"
#include "lookup/inquiry.h"

struct lookup;

/* smtpctl lookup: what a table says, asked as live mail asks it. */
struct finds;

struct finds *finds_create(struct lookup *l) WARN_UNUSED;
void finds_free(struct finds *fs); /* NULL is fine */
/* Answers with find_row, as many as the value needs, and one find_end. */
void find_begin(struct finds *fs, struct channel *ch, const struct msg_find_in *m);
void finds_unlink(struct finds *fs, const struct channel *ch); /* the asker is gone */
void finds_tick(struct finds *fs, int64_t now_ms);	       /* ends what took too long */
size_t finds_count(const struct finds *fs);

/* The question itself; pure but for what the inquiry does. */
struct find_question {
	const char *table, *key;
	enum table_service service;
};

/*
 * Services without values take their subject apart as rules do ("a.b.c", ".b.c"...);
 * any other has one key, as it stands.  *value is "" where presence is all.
 * -1: EINVAL, the key is none of that service.
 */
int find_evaluate(struct inquiry *q, const struct find_question *question,
    enum table_answer *answer, const char **value) WARN_UNUSED;

#endif

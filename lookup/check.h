/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_CHECK_H
#define LOOKUP_CHECK_H

#include <stddef.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The question of session at RCPT: may this recipient be accepted? */
struct check_list;

struct check_list *checks_create(void) WARN_UNUSED;
void checks_free(struct check_list *list); /* NULL is fine */
/* Answers with rcpt_verdict, perhaps before it returns. */
void check_begin(struct lookup *l, struct channel *ch, const struct msg_rcpt_check *m);
void checks_unlink(struct check_list *list, const struct channel *ch); /* the asker is gone */
size_t checks_count(const struct check_list *list);

#endif

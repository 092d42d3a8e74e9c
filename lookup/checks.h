/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_CHECKS_H
#define LOOKUP_CHECKS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The questions of session at RCPT, and those of them that wait for an answer. */
struct checks;

struct checks *checks_create(struct lookup *l) WARN_UNUSED;
void checks_free(struct checks *cs); /* NULL is fine */
/* Answers with rcpt_verdict, perhaps before it returns. */
void check_begin(struct checks *cs, struct channel *ch, const struct msg_rcpt_check *m);
void checks_unlink(struct checks *cs, const struct channel *ch); /* the asker is gone */
void checks_tick(struct checks *cs, int64_t now_ms);		 /* ends what took too long */
size_t checks_count(const struct checks *cs);

#endif

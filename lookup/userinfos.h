/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_USERINFOS_H
#define LOOKUP_USERINFOS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"

struct lookup;

/* The parent's questions where an account of a userbase is, and those of them that wait for an answer. */
struct userinfos;

struct userinfos *userinfos_create(struct lookup *l) WARN_UNUSED;
void userinfos_free(struct userinfos *us); /* NULL is fine */
/* Answers with userinfo, perhaps before it returns. */
void userinfo_begin(struct userinfos *us, struct channel *ch, const struct msg_userinfo_get *m);
void userinfos_unlink(struct userinfos *us, const struct channel *ch); /* the asker is gone */
void userinfos_tick(struct userinfos *us, int64_t now_ms);	       /* ends what took too long */

#endif

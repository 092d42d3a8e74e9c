/* SPDX-License-Identifier: ISC */
#ifndef VAULT_WORK_H
#define VAULT_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/channel.h"
#include "vault/turn.h"

struct service;

/*
 * What hashers do for this process.  Whoever wants one waits for it, has it
 * alone, asks it one thing after another, and lets go of it.  A hasher that is still
 * busy when its holder lets go is free as soon as it has answered.
 */
struct work;
struct work_slot;
struct job;

#define WORK_DEADLINE_MS 15000 /* of one question */

typedef void (*job_ready)(struct job *j); /* a hasher is there */
/* OK, FAIL, GONE or RETRY, with what was found; value is gone, and to be wiped, afterwards. */
typedef void (*job_done)(struct job *j, enum ipc_outcome outcome, const char *value);

struct job { /* a member of what wants work done; zeroed: it wants none */
	struct turn turn;
	struct work_slot *slot; /* the hasher that it has */
	job_ready ready;
	job_done done;
	void *owner;
};

struct work *work_create(struct service **service) WARN_UNUSED;
void work_free(struct work *w); /* all jobs have let go; NULL is fine */

void work_link(struct work *w, struct channel *ch);
void work_unlink(struct work *w, struct channel *ch);
/* Once a turn of the loop: gives hashers that are free to those whose turn it is. */
void work_run(struct work *w);
void work_answer(
    struct work *w, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *value);

/* ready and owner are set.  -1: EAGAIN (too many wait), ENOMEM. */
int work_wait(struct work *w, struct job *j, const char *client) WARN_UNUSED;
/* One question of the hasher that the job has.  -1: it has none any more, or can't ask. */
int work_hash(struct work *w, struct job *j, const char *stored, struct span password,
    job_done done) WARN_UNUSED;
int work_find(
    struct work *w, struct job *j, const struct msg_find *question, job_done done) WARN_UNUSED;
void work_let_go(struct work *w, struct job *j); /* at any time; done is not called any more */

size_t work_waiting(const struct work *w);
size_t work_hashers(const struct work *w);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_POOL_H
#define VAULT_POOL_H

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
struct pool;
struct pool_slot;
struct job;

#define POOL_DEADLINE_MS 15000 /* of one question */

typedef void (*job_ready)(struct job *j); /* a hasher is there */
/* OK, FAIL, GONE or RETRY, with what was found; value is gone, and to be wiped, afterwards. */
typedef void (*job_done)(struct job *j, enum ipc_outcome outcome, const char *value);

struct job { /* a member of what wants work done; zeroed: it wants none */
	struct turn turn;
	struct pool_slot *slot; /* the hasher that it has */
	job_ready ready;
	job_done done;
	void *owner;
	struct span data; /* what pool_derive() brought, until done() returns */
};

struct pool *pool_create(struct service **service) WARN_UNUSED;
void pool_free(struct pool *p); /* all jobs have let go; NULL is fine */

void pool_link(struct pool *p, struct channel *ch);
void pool_unlink(struct pool *p, struct channel *ch);
/* Once a turn of the loop: gives hashers that are free to those whose turn it is. */
void pool_run(struct pool *p);
void pool_answer(
    struct pool *p, struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *value);

void pool_answer_data(
    struct pool *p, struct channel *ch, uint32_t req, enum ipc_outcome outcome, struct span data);

/* ready and owner are set.  -1: EAGAIN (too many wait), ENOMEM. */
int pool_wait(struct pool *p, struct job *j, const char *client) WARN_UNUSED;
/* One question of the hasher that the job has.  -1: it has none any more, or can't ask. */
int pool_hash(struct pool *p, struct job *j, const char *stored, struct span password,
    job_done done) WARN_UNUSED;
int pool_find(
    struct pool *p, struct job *j, const struct msg_find *question, job_done done) WARN_UNUSED;
/* Brings a struct scram_client_keys. */
int pool_derive(
    struct pool *p, struct job *j, const struct msg_derive *question, job_done done) WARN_UNUSED;
void pool_let_go(struct pool *p, struct job *j); /* at any time; done is not called any more */

size_t pool_waiting(const struct pool *p);
size_t pool_hashers(const struct pool *p);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_ACCOUNTS_H
#define SMTPD_ACCOUNTS_H

#include <sys/queue.h>
#include <sys/types.h>

#include <limits.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "smtpd/smtpd.h"

struct role_row;

struct account {
	uid_t uid;
	gid_t gid;
	char home[PATH_MAX];
};

int
account_of_role(const struct smtpd *d, const struct role_row *row, struct account *out) WARN_UNUSED;
/* At start and for smtpd -n, when waiting hurts nobody: IPC_OK, IPC_GONE (no such account), IPC_RETRY. */
enum ipc_outcome account_find_now(const char *name, struct account *out);

/*
 * A question that may take its time: the host's accounts are known by programs
 * that are asked over networks, and those of a userbase may stand in a table that is.
 * Part of a context of its asker, and ends once: done, perhaps before account_ask() returns.
 */
struct account_question {
	TAILQ_ENTRY(account_question) entry;
	struct smtpd *smtpd;
	char name[IPC_WORD_MAX + 1];
	char userbase[IPC_WORD_MAX + 1]; /* a table's name; "": the host's accounts */
	uint32_t req;			 /* that lookup knows it by; 0: it was not asked */
	int64_t deadline_ms;
	/* out is nothing but with IPC_OK. */
	void (*done)(
	    struct account_question *q, enum ipc_outcome outcome, const struct account *out);
};
TAILQ_HEAD(account_questions, account_question);

struct accounts;

struct accounts *accounts_create(struct smtpd *d) WARN_UNUSED; /* NULL: ENOMEM */
void accounts_free(struct accounts *a); /* whoever waits hears RETRY; NULL is fine */
/* smtpd, name and userbase, done are set. */
void account_ask(struct account_question *q);
/* Lookup's word on a userbase, and its death. */
void accounts_on_userinfo(struct accounts *a, uint32_t req, const struct msg_userinfo *m);
void accounts_lookup_lost(struct accounts *a);

struct asker asker_of(const struct child *c, uint32_t req);
struct child *asker_alive(const struct asker *a); /* NULL: gone */

#endif

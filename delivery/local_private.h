/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LOCAL_PRIVATE_H
#define DELIVERY_LOCAL_PRIVATE_H

#include "delivery/body.h"
#include "delivery/local.h"
#include "lib/mail/header.h"

/* Agents and their letters, for local.c and letter.c alone. */
#define LOCAL_KEY_SIZE (2 * IPC_WORD_MAX + IPC_PATH_MAX + 3)

enum letter_state { LETTER_WAITING, LETTER_STREAMING, LETTER_WHOLE, LETTER_ENDED };

struct letter { /* owned by its agent, then by local.ended */
	TAILQ_ENTRY(letter) entry;
	struct agent *agent;
	struct job *job;
	size_t rcpt;
	enum letter_state state;
	uint32_t req;
	struct body body;
	struct header_scan scan;
};

enum agent_state { AGENT_QUEUED, AGENT_STARTING, AGENT_READY, AGENT_DEAD };

struct agent { /* owned by local: in agents and by_key, then in dead */
	enum asker asker;
	TAILQ_ENTRY(agent) entry;
	struct delivery *delivery;
	enum agent_state state;
	char key[LOCAL_KEY_SIZE];
	char action[IPC_WORD_MAX + 1], user[IPC_WORD_MAX + 1], path[IPC_PATH_MAX + 1];
	struct channel *ch;
	uint32_t req;	  /* while the parent is asked for it */
	uint32_t started; /* the question that it was the answer to; 0: there is none */
	struct letters waiting, sent;
	size_t nsent, nserved;
	int64_t idle_since_ms;
	int64_t since_ms;    /* it was asked for something, or answered */
	bool stalled;	     /* that was long ago */
	bool high, was_high; /* its channel has enough to send; and at the last turn */
};

/* -- letter.c -- */
/* The path below the directory that the parent opens.  -1: the address has no mailbox (EINVAL), or too long a path. */
int letter_path(const struct conf_action *action, const struct job *j, size_t rcpt, char *dst,
    size_t size) WARN_UNUSED;
/* Puts a letter at the end of a's waiting ones; -1: ENOMEM. */
int letter_create(struct agent *a, struct job *j, size_t rcpt) WARN_UNUSED;
void letter_send(struct letter *l); /* a waiting one; a is ready */
/* An end: the letter goes to local.ended, and its job hears the verdict. */
void letter_verdict(struct letter *l, const struct verdict *v);

/* -- local.c -- */
void agent_fail(struct agent *a, enum cause cause);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_JOB_H
#define DELIVERY_JOB_H

#include "delivery/delivery.h"
#include "delivery/verdict.h"

/*
 * What the queue wants done: a message for some recipients of one action and
 * destination.  Each recipient gets exactly one verdict; with the last one
 * the job is over, and freed at the loop's top once no relay reads of it.
 */

struct job_rcpt {
	uint64_t key;
	char *address, *user;
	char *original;	       /* as the client named it: another one when the mail is forwarded */
	char *orcpt;	       /* ORCPT (RFC 3461 4.2), "" when not given */
	unsigned int notify;   /* enum ipc_notify; 0: not given */
	struct letter *letter; /* the delivery under way, of a local action */
	bool judged;
};

struct job { /* owned by the delivery, in one of its lists; when judged, by its relay */
	TAILQ_ENTRY(job) entry;
	struct delivery *delivery;
	uint32_t req;
	uint64_t id, size_bytes;
	uint32_t nchunks;
	unsigned int flags;
	int priority;
	enum ipc_by by; /* with by_s and by_trace as the sender gave them (RFC 2852) */
	int64_t by_s;
	bool by_trace;
	enum ipc_tls_level tls_best; /* of dest: what is remembered */
	char *sender, *action, *dest, *envid, *ret;
	struct relay *relay; /* the delivery under way, of a relay action */
	struct job_rcpt *rcpts;
	size_t nrcpts, nhere, njudged; /* expected, come, judged */
};

/* Who gave a verdict. */
struct job_via {
	const char *remote; /* the host, "" for ourselves */
	const char *tls;    /* how well protected, for the log; "" in plain */
};

/* A job from its message; NULL: ENOMEM. */
struct job *job_create(struct delivery *d, const struct msg_job *m) WARN_UNUSED;
/* -1: ENOMEM.  The job is whole when nhere == nrcpts. */
int job_add_rcpt(struct job *j, const struct msg_job_rcpt *m) WARN_UNUSED;
void job_free(struct job *j);
/* Whole: hands it to the action's kind of delivery. */
void job_start(struct job *j);

/* via NULL: the verdict is our own. */
void job_verdict(struct job *j, size_t rcpt, const struct verdict *v, const struct job_via *via);
void job_verdict_all(
    struct job *j, const struct verdict *v, const struct job_via *via); /* of the rest */
bool job_is_judged(const struct job *j);
void job_relayed(struct job *j); /* its relay is over, and reads no more of it */
/* Everything under way is abandoned, without a verdict: there is nobody to hear it. */
void jobs_drop(struct delivery *d);
void jobs_turn(struct delivery *d); /* at the loop's top */

#endif

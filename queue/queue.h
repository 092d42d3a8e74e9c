/* SPDX-License-Identifier: ISC */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/map.h"
#include "lib/conf/conf.h"
#include "lib/service/service.h"
#include "queue/spool.h"

/*
 * smtpd-queue: what is owed to whom, and when.
 *
 *   main.c      the program, its turn: commit, then answer, then schedule
 *   dispatch.c  messages in, by whom
 *   receive.c   transactions of the session processes
 *   schedule.c  what is due: expansion and jobs
 *   job.c       jobs under way, their verdicts
 *   bounce.c    reports to senders
 *   admin.c     what control asks
 *   spool.h     the disk
 */
struct program;

/* -- receive.c: a message on its way in -- */
struct incoming;
void receive_begin(struct program *p, struct channel *ch, const struct msg_mail_begin *m);
void receive_rcpt(struct program *p, struct channel *ch, const struct msg_mail_rcpt *m);
void receive_chunk(struct program *p, struct channel *ch, const struct msg_mail_chunk *m);
void receive_commit(struct program *p, struct channel *ch, const struct msg_mail_commit *m);
void receive_abort(struct program *p, struct channel *ch, uint32_t req);
void receive_lost(struct program *p, struct channel *ch); /* a session process died */

/* -- schedule.c, job.c: recipients that are being worked on -- */
struct job;

struct work { /* one recipient; owned by the map p->working until its verdict is durable */
	TAILQ_ENTRY(work) entry; /* of its job, of p->ready or of p->unrecorded */
	struct program *program;
	struct job *job; /* NULL before it is handed out, and after its verdict */
	uint64_t key;
	uint32_t question; /* to lookup */
	uint32_t attempts;
	unsigned int notify;
	bool is_ready;			  /* in p->ready */
	bool is_delivered, is_unrecorded; /* the spool is yet to know; it failed to once */
	int64_t expires_s;
	char *address, *action, *user, *dest, *orcpt, *original;
	struct job_message *message;
	struct expansion *expansion;
};

struct job_message { /* what a job tells of its message; shared by its works, counted */
	unsigned int refs;
	uint64_t id, size_bytes;
	uint32_t nchunks;
	unsigned int flags;
	char *sender, *envid, *ret;
};

struct job { /* owned by the map p->jobs */
	uint32_t req;
	struct program *program;
	struct job_message *message;
	TAILQ_HEAD(, work) works;
	size_t nworks;
};

void schedule_run(struct program *p);
void schedule_tick(struct program *p);
void schedule_expanded_item(struct work *w, const struct msg_expand_item *m);
void schedule_expanded(struct work *w, const struct msg_expand_end *m);
void work_free(struct work *w); /* out of the map, and gone */
void work_deliver(struct work *w, enum ipc_outcome outcome, const struct spool_answer *why);

/* Gathers works of one turn into jobs and sends them. */
struct job *job_create(struct program *p, struct job_message *message);
void job_add(struct job *j, struct work *w);
void job_send(struct job *j, struct channel *delivery);
void job_verdict(struct program *p, struct channel *ch, const struct msg_verdict *m);
void job_chunk(struct program *p, struct channel *ch, const struct msg_chunk_get *m);
void jobs_lost(struct program *p); /* delivery died: its recipients are due again */

/* bounce.c */
void bounce_run(struct program *p);

/* admin.c */
void admin_list(struct program *p, struct channel *ch, const struct msg_list *m);
void admin_get(struct program *p, struct channel *ch, const struct msg_get *m);
void admin_read(struct program *p, struct channel *ch, const struct msg_read *m);
void admin_change(struct program *p, struct channel *ch, const struct msg_change *m);

/* dispatch.c */
extern const channel_handler queue_handlers[MSG__MAX];

struct program {
	struct service *service;
	const struct conf *conf;
	struct spool *spool;
	struct map *incoming;	       /* by session instance and request */
	struct map *working;	       /* struct work by key */
	struct map *jobs;	       /* struct job by req */
	struct map *handed;	       /* number of jobs by message: what delivery may read */
	TAILQ_HEAD(, work) ready;      /* expanded, to be handed out at the end of the turn */
	TAILQ_HEAD(, work) unrecorded; /* the spool failed to take their verdicts */
	uint32_t last_job;
	bool paused, more_due, reports_due;
	int64_t next_due_s; /* 0: nothing later */
	char hostname[256];
	uint64_t received, delivered, deferred, failed, reports;
};

const char *queue_hostname(const struct program *p);
enum ipc_outcome outcome_of_error(int error);

#endif

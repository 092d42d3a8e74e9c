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
 *   schedule.c  what is due becomes work, work becomes jobs
 *   work.c      a recipient while something is being done about it
 *   expand.c    aliases and virtual users, asked of lookup
 *   destination.c  shares the work between destinations
 *   job.c       jobs under way
 *   outcome.c   what became of a recipient, until the disk has it
 *   bounce.c    reports to senders
 *   tls_memory.c  how well the way to a domain was protected at best
 *   admin.c     what control asks
 *   spool.h     the disk
 */
struct program;

#define WORKING_MAX   32768 /* recipients in memory, those that wait for their destination included */
#define WORKING_LIMIT 4096 /* recipients under way at once, those aside */
#define ASKED_LIMIT   1024 /* of these: that lookup is asked about */
#define PULL_MAX      512  /* recipients taken from the spool in a turn */

/* -- receive.c: a message on its way in -- */
struct incoming;
void receive_begin(struct program *p, struct channel *ch, const struct msg_mail_begin *m);
void receive_rcpt(struct program *p, struct channel *ch, const struct msg_mail_rcpt *m);
void receive_chunk(struct program *p, struct channel *ch, const struct msg_mail_chunk *m);
void receive_commit(struct program *p, struct channel *ch, const struct msg_mail_commit *m);
void receive_abort(struct program *p, struct channel *ch, uint32_t req);
void receive_lost(struct program *p, struct channel *ch); /* a session process died */
bool peer_text_is_clean(const char *text);

/* -- work: recipients that something is being done about -- */
struct job;
struct destination;

enum work_stage {
	WORK_EXPANDING,	 /* lookup is asked */
	WORK_READY,	 /* in p->ready: to be handed out at the end of the turn */
	WORK_PARKED,	 /* its destination has enough under way */
	WORK_HANDED,	 /* in a job */
	WORK_RECORDING,	 /* its outcome is on its way to the disk */
	WORK_UNRECORDED, /* in p->unrecorded: the disk did not take it, and is asked again */
	WORK_STAGE__MAX
};

struct work { /* one recipient; owned by the map p->working until its outcome is durable */
	TAILQ_ENTRY(work) entry; /* of the list that its stage names */
	struct program *program;
	enum work_stage stage;
	struct job *job;		 /* WORK_HANDED */
	struct destination *destination; /* from WORK_PARKED on; once not parked, with its share */
	uint64_t key;
	uint32_t question; /* to lookup */
	uint32_t attempts;
	unsigned int notify;
	int64_t expires_s;
	char *address, *original, *action, *user, *dest, *orcpt;
	char *said; /* at the last attempt; only of a message by RETURN, NULL: nothing */
	struct job_message *message;
	struct expansion *expansion;
	struct outcome *outcome; /* kept until it is recorded; NULL: delivered, or none yet */
};
TAILQ_HEAD(works, work);

struct job_message { /* what a job tells of its message; shared by its works, counted */
	unsigned int refs;
	uint64_t id, size_bytes;
	uint32_t nchunks;
	unsigned int flags;
	int priority;
	enum ipc_by by; /* RETURN: not to be tried from by_s on (RFC 2852) */
	int64_t by_s;
	bool by_trace;
	char *sender, *envid, *ret;
};

struct job { /* owned by the map p->jobs */
	uint32_t req;
	struct program *program;
	struct job_message *message;
	struct works works;
	size_t nworks;
};

/* work.c */
struct job_message *job_message_copy(const struct spool_message *m);
void job_message_release(struct job_message *m);
struct work *work_create(struct program *p, struct job_message *m, const struct spool_rcpt *r);
void work_free(struct work *w); /* out of every list and map, and gone: still due in the spool */
void
work_stage(struct work *w, enum work_stage stage); /* out of the list it is in, into the new one */
bool work_is_late(const struct work *w, int64_t now_s); /* to be returned, not tried */

/* outcome.c: what became of a recipient, until the disk has it */
#define STATUS_LATE "5.4.7" /* RFC 3463 3.5: delivery time expired; 4.4.7 while it goes on */
void outcome_set(struct work *w, enum ipc_outcome outcome, const struct spool_answer *why);
void outcome_verdict(struct work *w, const struct msg_verdict *m); /* what delivery says */
void outcome_lost(struct work *w);				   /* whoever had it died */
void outcome_late(struct work *w); /* nobody is to try it any more */
void outcomes_retry(struct program *p);
void outcome_free(struct work *w);

/* expand.c */
void expand_ask(struct work *w);
void expand_item(struct work *w, const struct msg_expand_item *m);
void expand_end(struct work *w, const struct msg_expand_end *m);
void work_expansion_free(struct work *w);

/* schedule.c */
void schedule_run(struct program *p);
void schedule_hand_out(struct program *p); /* what is ready goes to delivery now */
/* A message by RETURN whose time has passed: who is not worked on fails.  How many do now. */
size_t schedule_late(struct program *p, uint64_t id);
/* Whatever was pulled of a message (0: of all) and not handed out yet goes back to the spool. */
void schedule_forget(struct program *p, uint64_t id);

/* destination.c: no destination may have all the work */
bool destination_join(struct work *w); /* false: it was parked, or sent back to the spool */
void destination_leave(struct work *w);

/* job.c */
struct job *job_create(struct program *p, struct job_message *message);
void job_add(struct job *j, struct work *w);
void job_send(struct job *j, struct channel *delivery);
void job_verdict(struct program *p, struct channel *ch, const struct msg_verdict *m);
void job_chunk(struct program *p, struct channel *ch, const struct msg_chunk_get *m);
void jobs_lost(struct program *p); /* delivery died */

/* bounce.c */
void bounce_run(struct program *p);

/* tls_memory.c */
enum ipc_tls_level tls_best(struct program *p, const char *domain);
void tls_saw(struct program *p, struct channel *ch, const struct msg_tls_seen *m);
void tls_prune(struct program *p);
void tls_list(struct program *p, struct channel *ch, const struct msg_tls_domains *m);

/* admin.c */
void admin_list(struct program *p, struct channel *ch, const struct msg_list *m);
void admin_get(struct program *p, struct channel *ch, const struct msg_get *m);
void admin_read(struct program *p, struct channel *ch, const struct msg_read *m);
void admin_change(struct program *p, struct channel *ch, const struct msg_change *m);
void admin_tls_forget(struct program *p, struct channel *ch, const struct msg_tls_forget *m);

/* dispatch.c */
extern const channel_handler queue_handlers[MSG__MAX];

struct program {
	struct service *service;
	const struct conf *conf;
	struct spool *spool;
	struct map *incoming;		/* by session instance and request */
	struct map *working;		/* struct work by key */
	struct map *jobs;		/* struct job by req */
	struct map *handed;		/* number of jobs by message: what delivery may read */
	struct works ready, unrecorded; /* see enum work_stage */
	struct map *destinations;	/* by action and name */
	size_t nstage[WORK_STAGE__MAX]; /* works in each */
	size_t nactive, naway;		/* with a share of their destination; of another server */
	uint32_t deaths;		/* of delivery, close to each other */
	int64_t death_ms;		/* the last one */
	int64_t look_ms;		/* when all that is due was looked at last */
	int64_t tls_prune_ms;		/* when what is long not seen is looked for next */
	uint32_t last_job;
	bool paused, more_due, reports_due;
	struct event *again; /* active: another turn now */
	/* schedule_late(); by way of this, bounce.c stands without the schedule. */
	size_t (*fail_late)(struct program *p, uint64_t id);
	int64_t next_due_s; /* 0: nothing later */
	char hostname[256];
	uint64_t received, delivered, deferred, failed, reports;
};

const char *queue_hostname(const struct program *p);
enum ipc_outcome outcome_of_error(int error);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * The spool: everything that Postern owes to anybody, on disk.
 * postern-spool(7) lists the states and transitions; the crash tests walk the same list.
 *
 * Asynchronous by contract.  A call that changes something joins the open
 * group and returns at once; its spool_done is called by a later
 * spool_commit(), with 0 only when the change is durable, else an errno:
 * ENOSPC (disk full; nothing lost, try later), EIO (the store had to be
 * reopened, or is down; the change did not happen), ENOENT (no such message or
 * recipient in such a state), EINVAL (an argument past its bound), E2BIG (past
 * SPOOL_RCPT_MAX; it stays so, trying again is in vain), ENOMEM.
 * No done is called from inside the call that took it.  A NULL done is allowed.
 * Reads see the open group and are answered before the call returns; a second
 * implementation may answer later.  Only the schedule does not: spool_due()
 * never shows a message whose finish, report or expansion isn't durable yet.
 * Pointers handed to a callback (visit, skip, not done) live until it returns,
 * and from inside it no function of this file may be called.
 */
struct spool;

/* Which of a message's recipients can be worked on is said by this alone. */
enum spool_state {
	SPOOL_EXPAND, /* accepted, its action's aliases not yet applied */
	SPOOL_READY,  /* a final destination: deliver when due */
	SPOOL_FAILED, /* failed for good; a report to the sender is owed */
	/* It went well, and the sender is owed a report of that (RFC 3461 5.2, NOTIFY=SUCCESS): */
	SPOOL_DELIVERED, /* into a mailbox */
	SPOOL_RELAYED,	 /* to a server that reports no success */
	SPOOL_EXPANDED,	 /* into others, which stand beside it */
	SPOOL_STATE__MAX
};

#define SPOOL_HELD_MESSAGE  0x01U /* message flag: paused by an admin */
#define SPOOL_8BITMIME	    0x02U /* BODY=8BITMIME was declared */
#define SPOOL_SMTPUTF8	    0x04U /* SMTPUTF8 was declared */
#define SPOOL_IS_REPORT	    0x08U /* a DSN of our own */
#define SPOOL_AUTHENTICATED 0x10U /* came from an authenticated client */
#define SPOOL_WARNED	    0x20U /* its delay warning was sent */
#define SPOOL_BINARYMIME    0x40U /* BODY=BINARYMIME was declared */
#define SPOOL_REQUIRETLS    0x80U /* REQUIRETLS was declared */

/*
 * Bounds, inclusive.  Those of lib/ipc/messages.h, so that whatever comes out
 * of the spool can be sent; a row beyond one is damaged.
 */
#define SPOOL_ID_MAX	   IPC_ID_MAX
#define SPOOL_ADDRESS_MAX  IPC_ADDRESS_MAX /* octets: sender, address, original, orcpt, client */
#define SPOOL_NAME_MAX	   IPC_NAME_MAX	   /* dest, remote */
#define SPOOL_WORD_MAX	   IPC_WORD_MAX	   /* action, user */
#define SPOOL_TEXT_MAX	   IPC_TEXT_MAX
#define SPOOL_STATUS_MAX   IPC_STATUS_MAX
#define SPOOL_CHUNK_MAX	   IPC_CHUNK_MAX
#define SPOOL_ENVID_MAX	   128
#define SPOOL_RET_MAX	   4
#define SPOOL_FLAGS_MAX	   IPC_FLAGS_MAX
#define SPOOL_NOTIFY_MAX   0xfU
#define SPOOL_NCHUNKS_MAX  0xffffffU
#define SPOOL_PRIORITY_MAX 9 /* the smallest is its negative */
/*
 * Recipients that one message may ever have had: expansions give new numbers
 * and none is used twice.  A message that spent them can't be expanded further.
 */
#define SPOOL_RCPT_MAX 100000

struct spool_message {
	uint64_t id;		 /* never used again */
	const char *sender;	 /* reverse-path without brackets; "" is the null sender */
	const char *envid, *ret; /* RFC 3461; "" when not given */
	const char *client;	 /* for people: who handed it in, "[192.0.2.1] helo.example" */
	unsigned int flags;
	int64_t received_s, expires_s;
	uint64_t size_bytes; /* of headers and body as stored */
	uint32_t nchunks;    /* chunk 0, the trace headers, included */
	int priority;	     /* RFC 6710: 0 is ordinary */
	int64_t release_s;   /* RFC 4865: not to be sent before; 0: at once */
	enum ipc_by by;	     /* RFC 2852: what its sender wants when by_s has passed */
	int64_t by_s;
	bool by_trace;
};

struct spool_rcpt {
	uint64_t key; /* names the recipient; key >> 20 is the message's id */
	enum spool_state state;
	const char *address;  /* where it goes now */
	const char *original; /* as the client gave it; DSNs speak of this one */
	const char *orcpt;    /* RFC 3461 ORCPT or "" */
	const char *action;   /* name of the action in smtpd.conf */
	const char *user;     /* local delivery: the account; else "" */
	const char *dest;     /* what the schedule groups by: domain, smarthost or account */
	unsigned int notify;  /* RFC 3461 NOTIFY bits, 0: not given */
	int64_t due_s;
	uint32_t attempts;
	const char *status; /* enhanced code of the last attempt, "" before it */
	const char *text;   /* the last answer, or our own words */
	const char *remote; /* the host that gave it, or "" */
};

#define SPOOL_KEY(id, n)       ((id) << 20 | (uint64_t)(n))
#define SPOOL_KEY_MESSAGE(key) ((key) >> 20)

struct spool_options {
	const char *directory;	/* must exist; the database is <directory>/spool.db */
	uint64_t reserve_bytes; /* free room to keep: below it spool_begin() says ENOSPC */
	size_t cache_bytes;	/* page cache ceiling, 0: 512 KiB */
};

struct spool_stats {
	uint64_t messages, recipients, commits, commit_us, changes, largest_group, reopened,
	    quarantined, repaired;
};

typedef void (*spool_done)(void *arg, int error);

/* Before the sandbox: seeds what could not be seeded inside. */
void spool_prepare(void);
/* Opens or creates, migrates older schemas, forgets half-received messages.  NULL with errno. */
struct spool *spool_open(const struct spool_options *options, int64_t now_s) WARN_UNUSED;
void spool_close(struct spool *s); /* commits first; pending dones are called */

/* Makes the open group durable (one fsync) and calls its dones.  Cheap when nothing is open. */
void spool_commit(struct spool *s, int64_t now_s);
/* True while some done waits for a commit; a group of only body chunks can wait for one. */
bool spool_needs_commit(const struct spool *s);
/* Between messages: erase, check point the log, free pages; bounded work, true while more is to do. */
bool spool_idle(struct spool *s);

/* -- receiving: begin, append 1..n in order, then finish or abandon -- */
/* A fresh id.  -1: ENOSPC (also when expect_bytes would not fit), EIO (store is down for now), ENOMEM. */
int spool_begin(struct spool *s, int64_t now_s, uint64_t expect_bytes, uint64_t *id) WARN_UNUSED;
/*
 * seq from 1.  -1: ENOSPC, EIO, ENOMEM, EINVAL (out of order, too long); the caller then
 * abandons.  Chunks read back are the same octets, but not always cut at the same places.
 */
int spool_append(struct spool *s, uint64_t id, uint32_t seq, struct span data) WARN_UNUSED;
/*
 * The message becomes durable and due.  trace is chunk 0.  m->id from spool_begin;
 * m->nchunks and m->size_bytes are counted here, not read.
 * rcpts[i].key is ignored: numbers are given in order.  After a non-zero done
 * the message is forgotten, body and all.  The times are kept, not obeyed: the
 * caller gives due_s and expires_s that fit them.  One exception: the message is
 * listed by spool_reports() from by_s on, whatever else is reported before: with by
 * NOTIFY and by_s after received_s until SPOOL_WARNED is set, with by RETURN until
 * the first spool_reported() from then on without more.
 */
void spool_finish(struct spool *s, const struct spool_message *m, struct span trace,
    const struct spool_rcpt *rcpts, size_t nrcpts, spool_done done, void *arg);
void spool_abandon(struct spool *s, uint64_t id);

/* -- the schedule -- */
/*
 * Visits recipients in state EXPAND or READY of messages that are not held,
 * due at or before now_s, oldest due first, at most limit; skip() says which
 * are being worked on already (they do not count).  visit gets both.
 */
typedef void (*spool_visit)(void *arg, const struct spool_message *m, const struct spool_rcpt *r);
typedef bool (*spool_skip)(void *arg, uint64_t key);
int spool_due(struct spool *s, int64_t now_s, size_t limit, spool_skip skip, spool_visit visit,
    void *arg) WARN_UNUSED;
/* The same of one message, due or not, as many as skip() lets through. */
int spool_scheduled(
    struct spool *s, uint64_t id, spool_skip skip, spool_visit visit, void *arg) WARN_UNUSED;
/* When the next recipient that is not due yet (after now_s) falls due; 0: none. */
int64_t spool_next_due(struct spool *s, int64_t now_s);

/* One chunk, seq below nchunks: visit_chunk is called once with its bytes, or not at all (-1, ENOENT or EIO). */
typedef void (*spool_chunk)(void *arg, struct span data);
int spool_read(
    struct spool *s, uint64_t id, uint32_t seq, spool_chunk visit_chunk, void *arg) WARN_UNUSED;

/*
 * EXPAND -> n rows in state READY or EXPAND (state, address, action, user, dest of each), due
 * now, or FAILED (address, status, text, remote), to be reported from now on.  The first keeps
 * the key; n 0: the row goes as if delivered.  E2BIG: the caller fails the recipient.
 * One of them, not the first, may be EXPANDED, to be reported too: the others' success is not
 * reported then (RFC 3461 5.2.7.3).
 */
void spool_expand(struct spool *s, uint64_t key, const struct spool_rcpt *into, size_t n,
    int64_t now_s, spool_done done, void *arg);

/* Delivered (or handed on): the row goes; the message with its last row. */
void spool_delivered(struct spool *s, uint64_t key, spool_done done, void *arg);
struct spool_answer { /* as in struct spool_rcpt */
	const char *status, *text, *remote;
};
/* Well, and to be reported from now_s on: state DELIVERED or RELAYED. */
void spool_succeeded(struct spool *s, uint64_t key, enum spool_state state, int64_t now_s,
    const struct spool_answer *why, spool_done done, void *arg);
/* Tried in vain: attempts+1, due at due_s. */
void spool_deferred(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg);
/* The same, but it was no attempt of its own. */
void spool_put_off(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg);
/* Not tried, for want of room; due at due_s. */
void spool_postponed(struct spool *s, uint64_t key, int64_t due_s, spool_done done, void *arg);
/* For good: state FAILED, and the message is listed by spool_reports() from due_s on. */
void spool_failed(struct spool *s, uint64_t key, int64_t due_s, const struct spool_answer *why,
    spool_done done, void *arg);

/* -- reports -- */
/* Ids of messages whose report is due, on failures or on being late; oldest first, at most limit. */
typedef void (*spool_id)(void *arg, uint64_t id);
int
spool_reports(struct spool *s, int64_t now_s, size_t limit, spool_id visit, void *arg) WARN_UNUSED;
/* Not before due_s: what is in the way now shall not be in the way of other reports. */
void spool_report_later(struct spool *s, uint64_t id, int64_t due_s, spool_done done, void *arg);
/* The report on message id replaces those of its recipients that it settles, FAILED or well, in one step. */
struct spool_report {
	uint64_t id;
	const uint64_t *settled; /* keys: told of, or not to be told of */
	size_t nsettled;
	bool more;   /* others are left: the next report is due at once */
	bool warned; /* it says that the message is late: SPOOL_WARNED from now on */
	const struct spool_message *message; /* id from spool_begin(), body appended; NULL: none */
	struct span trace;
	const struct spool_rcpt *to; /* its one recipient */
};
void spool_reported(struct spool *s, const struct spool_report *r, spool_done done, void *arg);
void spool_set_flags(
    struct spool *s, uint64_t id, unsigned int set, unsigned int clear, spool_done done, void *arg);

/* -- the admin's view -- */
/* Messages with id > after, in order, at most limit, each followed by all its recipients up to
 * rcpt_limit: visit is called with r NULL for the message itself, then once a recipient. */
int spool_list(struct spool *s, uint64_t after, size_t limit, size_t rcpt_limit, spool_visit visit,
    void *arg) WARN_UNUSED;
/* One message the same way; -1 ENOENT. */
int spool_get(
    struct spool *s, uint64_t id, size_t rcpt_limit, spool_visit visit, void *arg) WARN_UNUSED;
/* done's ENOENT tells that there was no such message; id 0: all of them. */
void spool_remove(struct spool *s, uint64_t id, spool_done done, void *arg);
/* Every recipient in the schedule falls due now; id 0: of all messages, but none before release_s. */
void spool_schedule(struct spool *s, uint64_t id, int64_t now_s, spool_done done, void *arg);

/* -- how well mail to a domain was protected at best -- */
struct spool_tls {
	const char *domain; /* in small letters */
	enum ipc_tls_level level;
	int64_t since_s, seen_s; /* the first time and, about, the last */
};
/* -1: ENOENT; EIO.  out's domain is the caller's. */
int spool_tls_get(struct spool *s, const char *domain, struct spool_tls *out) WARN_UNUSED;
#define SPOOL_TLS_MAX 100000 /* domains; done's ENOSPC: one more */
void spool_tls_set(struct spool *s, const struct spool_tls *t, spool_done done, void *arg);
/* Those after a name, in order, that were seen after a time. */
typedef void (*spool_tls_visit)(void *arg, const struct spool_tls *t);
int spool_tls_list(struct spool *s, const char *after, size_t limit, int64_t seen_after_s,
    spool_tls_visit visit, void *arg) WARN_UNUSED;
/* done's ENOENT: it is not remembered; domain "": all of them. */
void spool_tls_forget(struct spool *s, const char *domain, spool_done done, void *arg);
/* A few of those not seen after a time are forgotten; true: there may be more of them. */
bool spool_tls_prune(struct spool *s, int64_t seen_s);

void spool_stats(const struct spool *s, struct spool_stats *out);

#endif

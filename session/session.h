/* SPDX-License-Identifier: ISC */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/conf/conf.h"
#include "lib/mail/header.h"
#include "lib/net/addr.h"
#include "lib/net/io.h"
#include "lib/service/service.h"
#include "session/body.h"
#include "session/parse.h"
#include "session/reply.h"
#include "session/states.h"

/*
 * smtpd-session: SMTP with strangers.
 *
 *   main.c      the program and its context
 *   listener.c  accepts clients; limits
 *   session.c   one client from greeting to goodbye
 *   states.c    the legal states and transitions
 *   command.c   the command table, and the commands without a transaction
 *   mail.c      MAIL, RCPT, RSET: the envelope
 *   data.c      DATA: the body on its way to the queue
 *   dispatch.c  answers of lookup and queue
 *   reply.c     every reply, in one table
 *   parse.c     one command line;  body.c  the end of data
 */
struct program;

struct policy { /* what smtpd.conf said of a port when it was opened; outlives a reload, counted */
	unsigned int refs;
	char *tag, *hostname; /* "" when there is none */
	bool smtps, auth_required;
};

struct recipient {     /* owned by its transaction */
	char *address; /* canonical */
	char *action;
	char *orcpt;
	unsigned int notify;
};

struct transaction { /* from MAIL to its end; owned by its session */
	struct mail_args mail;
	char sender[IPC_ADDRESS_MAX + 1]; /* canonical, "" for the null path */
	struct recipient *rcpts;
	size_t nrcpts, nrefused;
	struct rcpt_args pending; /* the one that lookup is asked about */
	/* from the first good recipient on */
	enum { BEGUN_NOT, BEGUN_ASKED, BEGUN_ANSWERED } begun;
	enum ipc_outcome outcome; /* of the answer */
	uint32_t req;		  /* names it to the queue */
	bool taken;		  /* the queue has it, and must be told when it is given up */
	uint64_t id;
	struct body body;
	struct header_scan headers;
	struct buf chunk;
	uint32_t seq;
	enum reply verdict; /* what the end of data will be answered with; REPLY_NONE: accept */
};

struct session { /* owned by the list of its program */
	TAILQ_ENTRY(session) entry;
	struct program *program;
	struct io *io;
	struct policy *policy;
	struct addr peer;
	bool local, extended; /* extended: EHLO rather than HELO */
	bool eof;	      /* the client will say nothing more */
	bool buried;	      /* in p->buried: freed at the end of the turn */
	enum state state;
	char *helo;
	struct transaction *tx; /* NULL outside of one */
	uint32_t question;	/* to lookup; 0: none */
	unsigned int errors, too_long;
};

TAILQ_HEAD(sessions, session);

struct listening_socket {
	TAILQ_ENTRY(listening_socket) entry;
	struct program *program;
	struct event *event;
	struct policy *policy;
	int fd;
};

struct program {
	struct service *service;
	const struct conf *conf;
	struct sessions sessions, buried;
	struct map *clients;  /* connections by address */
	uint64_t descriptors; /* this process may have open */
	size_t nsessions;
	TAILQ_HEAD(, listening_socket) sockets;
	struct event *accept_again; /* after the descriptors ran out */
	char hostname[256];
	bool paused, queue_pressed;
	uint64_t accepted, connections, refused, rejected_recipients, bytes;
};

/* listener.c */
void listener_add(struct program *p, uint32_t index, int fd);
void listener_clear(struct program *p);
void listener_client_left(struct program *p, const struct addr *peer);
struct policy *policy_hold(struct policy *policy);
void policy_release(struct policy *policy);
void listener_pause(struct program *p, bool paused);

/* session.c */
void session_create(struct program *p, struct policy *policy, int fd, const struct addr *peer);
/* It is over: what queue and lookup were asked is taken back, the rest is freed by sessions_reap(). */
void session_bury(struct session *s);
void sessions_reap(struct program *p); /* from the loop's top alone */
void session_reply(struct session *s, enum reply r);
void session_reply_text(struct session *s, int code, const char *status, const char *text);
void session_say(struct session *s, const char *line); /* a line of a reply, CRLF added */
void session_quit(struct session *s, enum reply r);    /* says it, and closes when it is sent */
void session_enter(struct session *s, enum state to);
void session_continue(struct session *s); /* an answer came: on with the input */
const char *program_hostname(const struct program *p);

/* command.c */
void command_run(struct session *s, const char *line, size_t len);

/* mail.c */
void cmd_mail(struct session *s, const struct command *c);
void cmd_rcpt(struct session *s, const struct command *c);
void cmd_rset(struct session *s, const struct command *c);
void mail_rcpt_answer(struct session *s, const struct msg_rcpt_verdict *m);
void transaction_free(struct session *s); /* also tells the queue, where it has to know */

/* data.c */
void cmd_data(struct session *s, const struct command *c);
void data_announce(struct session *s);
void data_forget(struct session *s);
void data_take_back(struct session *s); /* the queue need not answer any more */
void data_ready(struct session *s, enum ipc_outcome outcome, uint64_t id);
void data_input(struct session *s);
void data_done(struct session *s, enum ipc_outcome outcome);

/* dispatch.c */
extern const channel_handler session_handlers[MSG__MAX];
void on_queue_lost(void *owner, uint32_t req, enum ask_failure why);
void on_lookup_lost(void *owner, uint32_t req, enum ask_failure why);

#endif

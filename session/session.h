/* SPDX-License-Identifier: ISC */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/buf.h"
#include "lib/conf/conf.h"
#include "lib/mail/header.h"
#include "lib/mail/submission.h"
#include "lib/net/addr.h"
#include "lib/net/io.h"
#include "lib/service/service.h"
#include "session/body.h"
#include "session/pace.h"
#include "session/parse.h"
#include "session/reply.h"
#include "session/states.h"

/*
 * smtpd-session: SMTP and LMTP with strangers.
 *
 *   main.c      the program and its context
 *   listener.c  accepts clients; what smtpd.conf says of a port
 *   session.c   one client from first to last; its input
 *   door.c      before the greeting: PROXY header, lookup's word, early talkers
 *   tls.c       STARTTLS, and TLS from the first octet
 *   certs.c     certificates, and TLS contexts made of them
 *   auth.c      AUTH: the client's and the vault's words, passed on
 *   states.c    the legal states and transitions
 *   command.c   the command table, and the commands without a transaction
 *   hello.c     HELO, EHLO, LHLO: the extensions
 *   xclient.c   XCLIENT
 *   mail.c      MAIL, RCPT, RSET: the envelope
 *   gate.c      what the filters say
 *   announce.c  the queue is told that a message begins
 *   data.c      DATA and BDAT
 *   pace.c      whether they come fast enough
 *   stream.c    the octets of a body on their way to the queue
 *   commit.c    its end: trace header, commit, the answer
 *   dispatch.c  answers of lookup, queue and vault
 *   talk.c      replies, their delays, goodbye
 *   reply.c     every reply, in one table
 *   parse.c     one command line; parse_mail.c the parameters; parse_xclient.c; xtext.c
 *   proxy.c     a PROXY header;  body.c  the end of data
 */
struct program;
struct tls_server;

struct policy { /* what smtpd.conf said of a port when it was opened; outlives a reload, counted */
	unsigned int refs;
	char *tag, *hostname, *filter, *proxy, *xclient; /* "" when there is none */
	struct tls_server *tls;				 /* NULL: none, or it can't be had */
	bool tls_offered, tls_required, smtps;
	bool auth_offered, auth_required, auth_system, insecure_auth;
	char *passwords, *tokens, *senders; /* tables, "" when there is none */
	char *pki;			    /* the only certificate's; "": one of several */
	bool lmtp, submission, mask_src, no_dsn, received_auth, proxy_v2;
	bool gates[CONF_PHASE__MAX]; /* the phases that its filter acts at */
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
	bool asked;		  /* lookup has heard of it */
	bool junk, bypass;	  /* the filters said so */
	struct rcpt_args pending; /* the one that lookup is asked about */
	/* from the first good recipient on */
	enum { BEGUN_NOT, BEGUN_ASKED, BEGUN_ANSWERED } begun;
	enum ipc_outcome outcome; /* of the answer */
	uint32_t req;		  /* names it to the queue */
	bool taken;		  /* the queue has it, and must be told when it is given up */
	uint64_t id;
	struct body body;
	struct header_scan headers;
	struct bcc_strip strip;
	struct buf chunk;
	uint32_t seq;
	bool streaming;	      /* the queue gets its octets */
	bool ended;	      /* all octets of the body were read */
	bool chunked, last;   /* by BDAT; its last chunk is on its way */
	uint64_t chunk_bytes; /* of the chunk that is on its way */
	uint64_t chunk_left;
	uint64_t octets;    /* read so far */
	enum reply verdict; /* what the end of data will be answered with; REPLY_NONE: accept */
};

struct session { /* owned by the list of its program */
	TAILQ_ENTRY(session) entry;
	struct program *program;
	struct io *io;
	struct policy *policy;
	struct addr peer;
	bool local, extended;	     /* extended: EHLO or LHLO rather than HELO */
	bool eof;		     /* the client will say nothing more */
	bool buried;		     /* in p->buried: freed at the end of the turn */
	bool entered;		     /* lookup counts the visit, and must be told of its end */
	bool admitted;		     /* lookup said that it may stay */
	bool spoken_for;	     /* the peer is not who is connected: PROXY, XCLIENT */
	bool may_xclient, named;     /* named: XCLIENT told the name */
	bool junk, bypass;	     /* the filters said so */
	bool door_junk, door_bypass; /* when it came */
	uint8_t rdns;		     /* enum ipc_rdns */
	uint8_t phase;		     /* enum conf_phase that the filters are asked about */
	enum state state, back;	     /* back: where a delay or a filter's refusal leads */
	char *helo;		     /* NULL: none */
	char *auth;		     /* the login; NULL: none */
	bool owns_sender;	     /* it may send as what it owns, and nothing else */
	void *connection;	     /* for tls_library_exporter(); NULL: none */
	char *pki;		     /* whose key signed the TLS handshake; NULL: nobody knows */
	unsigned int auth_failures;
	bool auth_lost;		/* the vault went away while the client was to say more */
	char *name;		/* what DNS calls the client; NULL: nothing */
	char *held;		/* a line that waits to be said, */
	size_t held_times;	/* so many times */
	bool parting;		/* that is the last line */
	struct event *timer;	/* until then, or for a handshake to end; NULL: nothing waits */
	struct transaction *tx; /* NULL outside of one */
	uint32_t question;	/* to lookup or vault; 0: none */
	uint64_t swallow;	/* octets of a refused chunk still to come */
	struct pace pace;	/* of the octets of a body */
	int64_t heard_ms;	/* when a command was last heard whole */
	unsigned int errors, too_long, nmails;
};

TAILQ_HEAD(sessions, session);

struct listening_socket {
	TAILQ_ENTRY(listening_socket) entry;
	struct program *program;
	struct event *event;
	struct policy *policy;
	int fd;
};

#define LEFT_MAX 64

struct program {
	struct service *service;
	const struct conf *conf;
	struct sessions sessions, buried;
	uint64_t descriptors; /* this process may have open */
	size_t nsessions;
	TAILQ_HEAD(, listening_socket) sockets;
	struct event *accept_again; /* after the descriptors ran out */
	uint32_t left[LEFT_MAX];    /* visits that are over, of which lookup has not been told */
	size_t nleft;
	struct event *tell_left;
	struct certs *certs;
	char hostname[256];
	bool paused, queue_pressed;
	uint64_t handshakes, resumed, handshakes_failed, logins, logins_refused;
	uint64_t accepted, connections, refused, early, rejected_recipients, bytes;
};

/* listener.c */
void listener_add(struct program *p, uint32_t index, int fd);
void listener_clear(struct program *p);
struct policy *policy_hold(struct policy *policy);
void policy_release(struct policy *policy);
void listener_pause(struct program *p, bool paused);

/* session.c */
void session_create(struct program *p, struct policy *policy, int fd, const struct addr *peer);
/* It is over: what queue and lookup were asked is taken back, the rest is freed by sessions_reap(). */
void session_bury(struct session *s);
void sessions_reap(struct program *p); /* from the loop's top alone */
void session_enter(struct session *s, enum state to);
void session_continue(struct session *s); /* an answer came: on with the input */
void session_take_back(struct session *s);
const char *session_hostname(const struct session *s); /* as this port calls itself */
const char *program_hostname(const struct program *p);
bool session_is_local(const struct session *s);

/* talk.c */
void session_reply(struct session *s, enum reply r);
/* status "": none (RFC 2034 4).  A refusal may wait: what the client says next is read after it. */
void session_reply_text(struct session *s, int code, const char *status, const char *text);
void session_say(struct session *s, const char *line); /* a line of a reply, CRLF added */
/* The same later: it is kept until session_say_held(). -1: out of memory. */
int session_hold(struct session *s, const char *line, size_t times) WARN_UNUSED;
void session_say_held(struct session *s);
#define SESSION_LINE_MAX 512 /* RFC 5321 4.5.3.1.5 */
void session_format(char line[SESSION_LINE_MAX], int code, const char *status, const char *text);
void session_quit(struct session *s, enum reply r); /* says it, and closes when it is sent */
void session_quit_text(struct session *s, int code, const char *status, const char *text);
/* Nothing is said or read for a while; then line is said, or (NULL) the door goes on. */
void session_delay(struct session *s, const char *line, int64_t ms);

/* door.c */
#define DOOR_PROXY_TIMEOUT_MS 10000 /* for a balancer's whole header */
void door_open(struct session *s);
void door_ask(struct session *s); /* may this client stay */
void door_answer(struct session *s, const struct msg_client_verdict *m);
void door_greet(struct session *s);
void door_wait_over(struct session *s);
void door_proxy_input(struct session *s);
void door_leave(struct session *s);
void door_announce_again(struct program *p); /* to a lookup that knows nobody */

/* certs.c */
struct certs *certs_create(void) WARN_UNUSED;
/* A piece of a file; those of one reload come before its configuration. */
void certs_take(struct certs *c, const struct msg_file_data *m);
void certs_whole(struct certs *c); /* a configuration is to be used: all its files have come */
void certs_table_state(struct certs *c, const char *table, bool scram);
bool certs_table_has_scram(const struct certs *c, const char *table);
/*
 * The TLS context of a listener, held for the caller; the last one that could be made of the same
 * words where none can be made now.  NULL: none, and the log says why.
 */
struct tls_server *
certs_context(struct certs *c, const struct conf *conf, const struct conf_listener *l) WARN_UNUSED;

/* tls.c */
void cmd_starttls(struct session *s, const struct command *c);
bool tls_is_offered(const struct session *s);
void tls_begin(struct session *s); /* TLS from the first octet */
void tls_drained(struct session *s);
void tls_step(struct session *s);
void tls_ready(struct session *s);
void tls_failed(struct session *s);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS. */
#define TLS_TEXT_MAX 128
void tls_text(const struct session *s, char dst[TLS_TEXT_MAX]);
/* Of a client's verified certificate: "SHA256:<hex>" and its e-mail addresses; "" without. */
void tls_identity(const struct session *s, char *fingerprint, size_t fingerprint_size,
    char *addresses, size_t addresses_size);

/* auth.c */
#define AUTH_LINE_MAX 12288 /* RFC 4954 4 */
void cmd_auth(struct session *s, const struct command *c);
bool auth_is_offered(const struct session *s);
void auth_mechanisms(const struct session *s, char *dst, size_t size); /* each after a space */
void auth_line(struct session *s, const char *line, size_t len);
void auth_line_too_long(struct session *s);
void auth_challenge(struct session *s, struct span data);
void auth_verdict(struct session *s, enum ipc_auth result, const char *login);
void auth_take_back(struct session *s); /* the vault need not answer any more */

/* command.c */
/* Whether the line that has begun may be as long as one of AUTH. */
bool command_may_be_auth(const struct buf *in);
void command_run(struct session *s, const char *line, size_t len);
enum reply command_out_of_order(const struct session *s, enum verb verb);

/* hello.c */
void cmd_helo(struct session *s, const struct command *c);
void cmd_ehlo(struct session *s, const struct command *c);
void cmd_lhlo(struct session *s, const struct command *c);
void hello_passed(struct session *s, const char *value);
void hello_refused(struct session *s);
/* The client may ask for what only authenticated submitters get. */
bool hello_serves_submitters(const struct session *s);

/* xclient.c */
void cmd_xclient(struct session *s, const struct command *c);

/* mail.c */
void cmd_mail(struct session *s, const struct command *c);
void cmd_rcpt(struct session *s, const struct command *c);
void cmd_rset(struct session *s, const struct command *c);
void mail_passed(struct session *s, const char *value);
void mail_rcpt_passed(struct session *s, const char *value);
/* Counts a recipient that is not taken, and logs why. */
void mail_rcpt_refused(struct session *s, const struct msg_rcpt_verdict *m);
void mail_rcpt_answer(struct session *s, const struct msg_rcpt_verdict *m);
void transaction_free(struct session *s); /* also tells the queue, where it has to know */

/* gate.c */
/* Where the filter of the port acts at the phase, lookup is asked; else it is passed at once. */
void gate_ask(struct session *s, enum conf_phase phase);
void gate_answer(struct session *s, const struct msg_filter_verdict *m);
void gate_lost(struct session *s, const char *why); /* for the log */

/* announce.c */
void announce(struct session *s);
void announce_answer(struct session *s, enum ipc_outcome outcome, uint64_t id);
void announce_forget(struct session *s);
void announce_take_back(struct session *s); /* the queue need not answer any more */
int announce_recipients(struct session *s) WARN_UNUSED;
struct channel *queue_of(const struct session *s);

/* data.c */
/* More octets than anybody sends in good faith: who offers them is not listened to any longer. */
bool data_is_endless(const struct session *s, uint64_t octets);
void cmd_data(struct session *s, const struct command *c);
void cmd_bdat(struct session *s, const struct command *c);
void data_passed(struct session *s, const char *value);
void data_begin(struct session *s); /* the queue answered */
void data_give_up(struct session *s, enum reply r);
void data_give_up_text(struct session *s, int code, const char *status, const char *text);
void data_swallow_input(struct session *s);
/* Octets of a chunk are read, then this is answered, in the state that it leads to. */
void data_swallow(struct session *s, uint64_t octets, enum state to, enum reply r);
enum reply data_reply_of(enum ipc_outcome outcome); /* why the queue will not have it */

/* stream.c */
void stream_start(struct session *s);
void stream_chunk(struct session *s);		     /* the next one */
void stream_refuse(struct session *s, enum reply r); /* from here on it is only read to its end */
void stream_input(struct session *s);
void stream_flush(struct session *s); /* what is left of it, to the queue */

/* commit.c */
void commit_ask(struct session *s); /* the body is whole */
void commit_passed(struct session *s, const char *value);
void commit_answer(struct session *s, enum ipc_outcome outcome);
/* The answer to a body: one to a client of SMTP, one a recipient in LMTP (RFC 2033 4.2). */
void commit_reply(struct session *s, int code, const char *status, const char *text);

/* dispatch.c */
extern const channel_handler session_handlers[MSG__MAX];
void on_queue_lost(void *owner, uint32_t req, enum ask_failure why);
void on_lookup_lost(void *owner, uint32_t req, enum ask_failure why);

#endif

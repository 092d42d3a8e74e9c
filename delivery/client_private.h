/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CLIENT_PRIVATE_H
#define DELIVERY_CLIENT_PRIVATE_H

#include "delivery/client.h"
#include "delivery/stuff.h"

/*
 * The inside of a struct client, for client.c (socket, clock, lines),
 * client_states.c (greeting to EHLO, the table), client_auth.c,
 * client_command.c (MAIL and RCPT as lines), client_transaction.c and
 * client_body.c.
 */
struct event;
struct io;

/* What is awaited.  The table of states is in client_states.c. */
enum client_state {
	CLIENT_START, /* nothing: TLS comes first, from the loop */
	CLIENT_HANDSHAKE,
	CLIENT_GREETING,
	CLIENT_EHLO, /* or LHLO */
	CLIENT_HELO,
	CLIENT_STARTTLS,
	CLIENT_CREDENTIAL, /* the owner's next step */
	CLIENT_AUTH,
	CLIENT_IDLE, /* the owner's next message */
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DATA,
	CLIENT_BODY,	/* the owner's body; replies to chunks may come */
	CLIENT_DOT,	/* the replies to the message's end */
	CLIENT_RSET,	/* who was told all that was to be told waits for it */
	CLIENT_SETTLED, /* nothing: judged without a word, which is told from the loop */
	CLIENT_QUIT,
	CLIENT_OVER,
	CLIENT_STATE__MAX
};

enum client_feature {
	FEATURE_PIPELINING = 1 << 0,
	FEATURE_SIZE = 1 << 1,
	FEATURE_8BITMIME = 1 << 2,
	FEATURE_SMTPUTF8 = 1 << 3,
	FEATURE_STARTTLS = 1 << 4,
	FEATURE_CHUNKING = 1 << 5,
	FEATURE_BINARYMIME = 1 << 6,
	FEATURE_REQUIRETLS = 1 << 7,
	FEATURE_DELIVERBY = 1 << 8,
	FEATURE_MT_PRIORITY = 1 << 9,
	FEATURE_DSN = 1 << 10,
	FEATURE_AUTH = 1 << 11,
};

enum rcpt_state { RCPT_OPEN, RCPT_ACCEPTED, RCPT_DONE };

enum body_form {
	BODY_LINES,	/* DATA, and a dot at the end */
	BODY_CHUNKS,	/* BDAT by BDAT, as they come: RFC 3030, with PIPELINING */
	BODY_ONE_CHUNK, /* as long as was said: without PIPELINING */
};

struct client {
	struct client_options options;
	char helo[IPC_NAME_MAX +
		  1]; /* of the options; a configuration may be gone before a slow server */
	struct io *io;
	struct event *timer;   /* of the state */
	struct event *message; /* of the message as a whole */
	enum client_state state;
	struct reply reply;
	struct verdict why;
	bool secure;	   /* TLS is up, and good enough */
	bool starting_tls; /* the server said yes to STARTTLS */
	bool passed_over;  /* QUIT is said, then another host is tried */

	/* what the server said to EHLO */
	unsigned int features;
	uint64_t size_limit; /* 0: none told */
	size_t rcpt_limit, mail_limit;
	uint64_t by_min_s; /* the shortest BY that it takes; 0: none told */
	char mechanisms[IPC_NAME_MAX + 1];

	/* what was said last of AUTH, in base64; due: it had no room in its command (RFC 4954 4) */
	struct buf response;
	bool response_due;

	/* the message under way; mail is NULL when there is none */
	const struct client_mail *mail;
	bool sending;		  /* we are in client_send() */
	size_t nmails;		  /* done on this connection */
	size_t ntransactions;	  /* begun on it */
	enum rcpt_state *rcpts;	  /* of the mail, one each */
	size_t *batch;		  /* of the transaction: indices into rcpts */
	size_t nrooms, nverdicts; /* nrooms: how many rcpts and batch have room for */

	/*
	 * The transaction's commands are counted: 0 is MAIL, 1.. are RCPT, the last is DATA,
	 * but for chunks; sent and answered say how far each side is (RFC 2920).
	 */
	size_t nbatch, sent, answered, accepted;
	bool refused; /* MAIL was: what else was sent is only waited for */

	/* the body */
	enum body_form form;
	struct stuff stuff;
	struct buf held;     /* the chunk that is not said yet: it may be the last */
	uint64_t left_bytes; /* of the one chunk */
	size_t chunks_due;   /* replies to chunks that are not the last */
	size_t ends_due;     /* replies to the message's end: LMTP has one a recipient */
	bool corked;	     /* what is written is gathered first */
	bool full;	     /* the owner was told that there is no room */
	bool body_refused;   /* the rest of the replies is only waited for */
};

/* What a reply of a class means in a state. */
typedef void (*client_reaction)(struct client *c);

struct client_row {
	const char *name;  /* the command, for people */
	int64_t timeout_s; /* RFC 5321 4.5.3.2 where it has one; 0: the owner's business */
	client_reaction on_class[6]; /* by the reply's first digit; NULL: out of place */
	enum client_end lost;	     /* when the connection is lost here */
};
extern const struct client_row client_rows[CLIENT_STATE__MAX];

/* -- client.c -- */
void client_enter(struct client *c, enum client_state state);
/* The clock of a message as a whole. */
void client_message_begins(struct client *c);
void client_message_ends(struct client *c);
/* Sends one command when no answer is due, and enters the state that awaits its. */
void client_say(struct client *c, enum client_state state, const char *line);
/* False, and the connection given up, when the other side talks out of turn. */
bool client_may_talk(struct client *c);
void client_write(struct client *c, const void *data, size_t len);
void client_write_str(struct client *c, const char *text);
void client_cork(struct client *c);
void client_uncork(struct client *c);
void client_fail(struct client *c, enum cause cause, const char *detail);
/* With c->why told: how may become what the state of things makes of it. */
void client_give_up(struct client *c, enum client_end how);
/* QUIT, and the next host may do what this one does not; with c->why told. */
void client_pass_over(struct client *c);
/* Calls on_timer() from the loop, for what is not to happen within the owner's call. */
void client_soon(struct client *c, enum client_state state);
void client_start_tls(struct client *c);

/* -- client_states.c -- */
void client_learn(struct client *c, const char *line, size_t len); /* a line of EHLO's answer */
void client_say_hello(struct client *c);
void client_ready(struct client *c);	       /* logged in, or it need not be */
bool client_keeps_tls(const struct client *c); /* verified here, and REQUIRETLS announced */

/* -- client_auth.c -- */
void client_auth_begin(struct client *c);
/* A line of AUTH's answer.  True: it was a challenge, and is dealt with. */
bool client_auth_line(struct client *c, const char *line, size_t len) WARN_UNUSED;
void client_on_auth_ok(struct client *c);
void client_on_auth_refused(struct client *c);

/* -- client_command.c -- */
void client_send_mail(struct client *c);
void client_send_rcpt(struct client *c, size_t rcpt);
int64_t client_by_left(const struct client *c); /* seconds until by_s, as many as can be said */

/* -- client_transaction.c -- */
void client_verdict(struct client *c, size_t rcpt, const struct verdict *v);
void client_verdict_all(struct client *c, const struct verdict *v); /* all still open */
void client_verdict_accepted(struct client *c); /* of the transaction, by the reply at hand */
void client_verdict_next(struct client *c); /* of those, the first that has none (RFC 2033 4.2) */
void client_transaction_over(struct client *c, bool reset); /* reset: the server must forget it */
void client_settle(struct client *c);			    /* all have their verdicts */
void client_on_mail_ok(struct client *c);
void client_on_mail_refused(struct client *c);
void client_on_rcpt_ok(struct client *c);
void client_on_rcpt_refused(struct client *c);
void client_on_data_ok(struct client *c);
void client_on_data_refused(struct client *c);
void client_on_rset(struct client *c);

/* -- client_body.c -- */
void client_body_choose(struct client *c); /* its form */
void client_body_begin(struct client *c);
void client_body_none(struct client *c); /* an end at once, for nobody */
void client_body_room(struct client *c); /* all is sent */
void client_on_chunk_ok(struct client *c);
void client_on_body_refused(struct client *c);
void client_on_dot(struct client *c);

#endif

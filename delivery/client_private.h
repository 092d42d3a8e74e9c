/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CLIENT_PRIVATE_H
#define DELIVERY_CLIENT_PRIVATE_H

#include "delivery/client.h"
#include "delivery/stuff.h"

/* The inside of a struct client, for client.c, client_states.c and client_transaction.c. */
struct event;
struct io;

/* What is awaited.  The table of states is in client_states.c. */
enum client_state {
	CLIENT_CONNECTING,
	CLIENT_HANDSHAKE,
	CLIENT_GREETING,
	CLIENT_EHLO,
	CLIENT_HELO,
	CLIENT_STARTTLS,
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DATA,
	CLIENT_BODY, /* nothing: we are talking */
	CLIENT_DOT,  /* the end of the message, or of its one chunk */
	CLIENT_RSET,
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
};

enum rcpt_state { RCPT_OPEN, RCPT_ACCEPTED, RCPT_DONE };

struct client {
	const struct client_options *options;
	const struct client_mail *mail;
	struct io *io;
	struct event *timer;
	enum client_state state;
	struct reply reply;
	struct verdict why;
	bool secure;
	bool passed_over; /* QUIT is said, then another host is tried */

	/* what the server said to EHLO */
	unsigned int features;
	uint64_t size_limit; /* 0: none told */
	size_t rcpt_limit;
	uint64_t by_min_s; /* the shortest BY that it takes; 0: none told */

	/*
	 * The transaction: recipients first up to but not including end.  Its
	 * commands are counted: 0 is MAIL, 1.. are RCPT, the last is DATA or BDAT; sent
	 * and answered say how far each side is (RFC 2920).
	 */
	size_t first, end, sent, answered, accepted, nverdicts;
	bool refused; /* MAIL was: what else was sent is only waited for */
	enum rcpt_state *rcpts;
	struct stuff stuff;
	bool full; /* the owner was told that there is no room */
};

/* What a reply of a class means in a state. */
typedef void (*client_reaction)(struct client *c);

struct client_row {
	const char *name;	     /* the command, for people */
	int64_t timeout_s;	     /* RFC 5321 4.5.3.2 where it has one */
	client_reaction on_class[6]; /* by the reply's first digit; NULL: out of place */
	enum client_end lost;	     /* when the connection is lost here */
};
extern const struct client_row client_rows[CLIENT_STATE__MAX];

/* -- client.c -- */
void client_enter(struct client *c, enum client_state state);
/* Sends one command when no answer is due, and enters the state that awaits its. */
void client_say(struct client *c, enum client_state state, const char *line);
/* False, and the connection given up, when the other side talks out of turn. */
bool client_may_talk(struct client *c);
void client_write(struct client *c, const char *text);
void client_fail(struct client *c, enum cause cause, const char *detail);
/* This host won't do: CLIENT_NEXT_HOST or RELAY_TLS_BROKEN, or open recipients get why. */
void client_give_up(struct client *c, enum client_end how);
void client_verdict(struct client *c, size_t rcpt, const struct verdict *v);
void client_verdict_all(struct client *c, const struct verdict *v); /* all still open */
void client_quit(struct client *c);
void client_start_tls(struct client *c);
void client_body_begin(struct client *c);
bool client_insists_on_tls(const struct client *c); /* REQUIRETLS, and not a report */
bool client_keeps_tls(const struct client *c);	    /* verified here, and REQUIRETLS announced */

/* -- client_states.c -- */
void client_learn(struct client *c, const char *line, size_t len); /* a line of EHLO's answer */
void client_say_ehlo(struct client *c);
void client_begin(struct client *c); /* a transaction, or why there can be none */

/* -- client_transaction.c -- */
void client_mail_begin(struct client *c);
int64_t client_by_left(const struct client *c); /* seconds until by_s, as many as can be said */
void client_on_mail_ok(struct client *c);
void client_on_mail_refused(struct client *c);
void client_on_rcpt_ok(struct client *c);
void client_on_rcpt_refused(struct client *c);
void client_on_data_ok(struct client *c);
void client_on_data_refused(struct client *c);
void client_on_body_refused(struct client *c);
void client_on_dot(struct client *c);
void client_on_rset(struct client *c);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CLIENT_H
#define DELIVERY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/verdict.h"
#include "lib/base/buf.h"
#include "lib/mail/relay_url.h"
#include "lib/net/tls_client.h"

struct event_base;

/*
 * One connection to one SMTP (RFC 5321) or LMTP (RFC 2033) server, and one
 * message after the other over it.
 *
 *   client_create()  greeting, EHLO, TLS, AUTH; then on_ready()
 *   client_send()    a message: its verdicts, its body, then on_done()
 *   client_quit()    says QUIT; then on_over()
 *
 * A client is freed from the loop's top, not inside its own callbacks; after
 * on_over() nothing else is called, and nothing more may be sent.  Callbacks may come
 * from within these functions, but for client_create(), and on_done() from within
 * client_send().  Options are copied, what they point to is borrowed until the end.
 */
struct client;

/* What DSN has for a recipient (RFC 3461 4): on the wire where the server knows DSN. */
struct client_dsn {
	unsigned int notify; /* enum ipc_notify, 0: not given */
	const char *orcpt;   /* "rfc822;..." in xtext, or "" */
};

/* A message.  Everything is borrowed until on_done() or on_over(). */
struct client_mail {
	const char *sender;	      /* reverse-path without brackets, "" allowed */
	const char *const *rcpts;     /* valid addresses: they go on the wire as they are */
	const struct client_dsn *dsn; /* of each, or NULL */
	size_t nrcpts;
	const char *envid, *ret; /* "" when not given */
	uint64_t size_bytes;	 /* exact: a chunk is as long as was said */
	bool is_8bit;		 /* BODY=8BITMIME */
	bool is_binary;		 /* BODY=BINARYMIME: by BDAT alone */
	bool is_utf8;		 /* SMTPUTF8: an address or a header needs it */
	bool is_utf8_by_rcpts;	 /* recipients alone need it: the others can do without */
	/*
	 * REQUIRETLS: only over verified TLS, to who will keep to it; said on where that is
	 * so.  The null sender's mail goes out all the same (RFC 8689 5).
	 */
	bool requires_tls;
	int priority; /* RFC 6710; 0 is ordinary, and not said */
	/* RFC 2852: RETURN only to who promises to keep to it, and has the time that he needs. */
	enum ipc_by by;
	int64_t by_s; /* seconds since 1970 */
	bool by_trace;
};

enum client_end {
	CLIENT_CLOSED,	   /* we said QUIT, or it was idle: nothing was under way */
	CLIENT_UNUSABLE,   /* before on_ready(): another host may do; client_why() tells */
	CLIENT_TLS_BROKEN, /* as that, in the handshake: in plain it might do */
	/* Kept too long: nothing of the message under way was judged, another connection is to send it. */
	CLIENT_STALE,
	CLIENT_LOST /* in a message; who of it had no verdict before has one now */
};

struct client_callbacks {
	/* Greeted, and all that comes before a message is done: client_send(). */
	void (*on_ready)(void *arg);
	/*
	 * TLS is up: is it good enough?  Not (false, with *why set) ends it as UNUSABLE.
	 * Called for every handshake, before anything is said under it.
	 */
	bool (*on_tls)(void *arg, struct tls *tls, struct verdict *why);
	/* Only with options->auth.  The server's mechanisms; client_auth() is to follow. */
	void (*on_auth)(void *arg, const char *mechanisms);
	void (*on_auth_challenge)(void *arg, struct span data); /* client_auth() is to follow */
	/* How it ended: OK (go on by itself), FAIL (refused, 5yz), RETRY (4yz): UNUSABLE follows. */
	void (*on_auth_result)(void *arg, enum ipc_outcome outcome, const char *text);

	/* Of client_send().  After the last one the mail's strings are not used any more. */
	void (*on_verdict)(void *arg, size_t rcpt, const struct verdict *v);
	/* The server waits for the body, from its start: client_body(), then client_body_end(). */
	void (*on_body)(void *arg);
	/* More (true), or less (false), than enough is buffered: false says to pause. */
	void (*on_room)(void *arg, bool room);
	/* The body under way is of no more use. */
	void (*on_body_stop)(void *arg);
	void (*on_done)(void *arg); /* all have their verdicts: another message, or client_quit() */
	void (*on_over)(void *arg, enum client_end how);
	int64_t (*on_clock)(void *arg); /* seconds since 1970; asked only for mail with a by */
};

struct client_options {
	const struct client_callbacks *callbacks;
	void *arg;	  /* the owner, given to every callback */
	const char *helo; /* our name; copied */
	bool lmtp;	  /* LHLO, and a reply a recipient behind the message */
	enum relay_tls tls;
	const struct tls_want *want;   /* whom TLS is to be with */
	struct tls_client *tls_client; /* NULL: no TLS at all */
	/* A credential is to be shown: AUTH, or it is UNUSABLE.  Never before on_tls() said yes. */
	bool auth;
	bool needs_requiretls, needs_deliverby; /* UNUSABLE without */
	bool chunking;				/* BDAT where it is offered */
	int64_t timeout_scale; /* per mille of the time-outs of RFC 5321 4.5.3.2; 0: 1000 */
};

/* Takes fd, a connected socket, over.  NULL: ENOMEM, and fd stays the caller's. */
struct client *
client_create(struct event_base *base, int fd, const struct client_options *options) WARN_UNUSED;
void client_free(struct client *c); /* NULL is fine; the connection is cut */

/* After on_ready() or on_done(), for one message at a time. */
void client_send(struct client *c, const struct client_mail *mail);
/* Idle: how many more the server takes (RFC 9422 MAILMAX); SIZE_MAX: it did not say. */
size_t client_mails_left(const struct client *c);
/* Idle: QUIT.  Before on_ready(), or in a message: cut off as it is.  on_over() with CLOSED follows. */
void client_quit(struct client *c);

/*
 * The next step of the exchange: mechanism with the first alone, data NULL for none.
 * What was said is wiped as soon as it is answered: until then it is known, lest the
 * answer repeat it.
 */
void client_auth(struct client *c, const char *mechanism, const struct span *data);
/* UNUSABLE, also after on_ready() and before a message; after a refusal it only says better why. */
void client_auth_stop(struct client *c, const struct verdict *why);

void client_body(struct client *c, struct span data);
void client_body_end(struct client *c);
/* There is no more of it: the connection is cut before its end, nothing was delivered. */
void client_body_break(struct client *c, enum cause why);
/* After on_over(): why not CLOSED. */
const struct verdict *client_why(const struct client *c);
bool client_wants_tls(const struct client *c); /* it is agreed on, and not up */
/* The server announced DSN: what it was told of that is reported by it, or further on. */
bool client_has_dsn(const struct client *c);

#endif

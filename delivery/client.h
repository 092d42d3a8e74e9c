/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CLIENT_H
#define DELIVERY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/verdict.h"
#include "lib/base/buf.h"
#include "lib/mail/relay_url.h"

struct event_base;
struct tls_client;

/*
 * One SMTP connection to one host, and one message over it (RFC 5321).
 *
 * The owner is called back for each recipient's verdict, for the body, and
 * when it is all over.  A client is freed from the loop's top, not inside
 * its own callbacks; after on_over() nothing else is called.
 */
struct client;

/* Everything is borrowed until client_free(). */
struct client_mail {
	const char *sender;	  /* reverse-path without brackets, "" allowed */
	const char *const *rcpts; /* valid addresses: they go on the wire as they are */
	size_t nrcpts;
	uint64_t size_bytes;
	bool is_8bit, is_utf8; /* BODY=8BITMIME, SMTPUTF8 */
	bool is_binary;	       /* BODY=BINARYMIME: sent by BDAT as it is, size_bytes is exact */
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
	CLIENT_DONE,	  /* every recipient had its verdict */
	CLIENT_NEXT_HOST, /* none had: this host is of no use now, client_why() tells */
	RELAY_TLS_BROKEN  /* as that; in plain it might do */
};

struct client_callbacks {
	/* After the last one QUIT may still be said: the mail's strings are not used any more. */
	void (*on_verdict)(void *arg, size_t rcpt, const struct verdict *v);
	/* The server waits for the body, from its start: client_body(), then client_body_end(). */
	void (*on_body)(void *arg);
	/* More (false), or less (true), than enough is buffered. */
	void (*on_room)(void *arg, bool room);
	/* The body under way is of no more use. */
	void (*on_body_stop)(void *arg);
	void (*on_over)(void *arg, enum client_end how);
	int64_t (*on_clock)(void *arg); /* seconds since 1970; asked only for mail with a by */
};

struct client_options {
	const struct client_callbacks *callbacks;
	void *arg;	  /* the owner, given to every callback */
	const char *helo; /* our name */
	const char *host; /* the other side's, for TLS */
	enum relay_tls tls;
	bool tls_verify;
	struct tls_client *tls_client; /* NULL: no TLS at all */
	int64_t timeout_scale;	       /* per mille of the time-outs of RFC 5321 4.5.3.2; 0: 1000 */
};

/* Takes fd, a socket that is connecting, over.  NULL: ENOMEM, and fd stays the caller's. */
struct client *client_create(struct event_base *base, int fd, const struct client_options *options,
    const struct client_mail *mail) WARN_UNUSED;
void client_free(struct client *c); /* NULL is fine; the connection is cut */

void client_body(struct client *c, struct span data);
void client_body_end(struct client *c);
/* There is no more of it: the connection is cut before its end, nothing was delivered. */
void client_body_break(struct client *c, enum cause why);
/* After on_over(): why not DONE. */
const struct verdict *client_why(const struct client *c);

#endif

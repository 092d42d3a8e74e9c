/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_DSN_H
#define LIB_MAIL_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

/*
 * A delivery status notification: multipart/report (RFC 6522) of a plain
 * explanation, message/delivery-status (RFC 3464) and the original's header.
 *
 * Any string may be "" or NULL: what depends on it is left out.  Whatever a
 * remote server or a client had a say in is made printable before it is
 * written: it can add neither a line, nor a field, nor a part.
 */
enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED };
enum dsn_action {
	DSN_ACTION_FAILED,
	DSN_ACTION_DELAYED,
	DSN_ACTION_DELIVERED,
	DSN_ACTION_RELAYED,
	DSN_ACTION_EXPANDED,
};

#define DSN_HEADERS_MAX 65536 /* octets of the original's header that are returned */

struct dsn_recipient {
	const char *original; /* the address the sender gave */
	const char *final;    /* the address delivery was tried for */
	const char *orcpt;    /* "rfc822;address", decoded, of RCPT ORCPT= */
	enum dsn_action action;
	const char *status;	/* "5.1.1"; anything else becomes "x.0.0" of the action's class */
	const char *diagnostic; /* what the other side said, "550 5.1.1 no such user" */
	const char *remote_mta; /* host name; "": the verdict is our own */
	int64_t last_attempt_s; /* 0: never */
	int64_t will_retry_until_s; /* of a delayed one; 0: not told */
};

struct dsn {
	enum dsn_kind kind;
	const char *reporting_mta; /* our host name */
	const char *sender;	   /* whom to tell; never "" */
	const char *from_mailer;   /* "MAILER-DAEMON@host" */
	const char *envid;	   /* decoded, of MAIL ENVID= */
	const char *boundary;	   /* letters and digits, unguessable; makes the Message-ID too */
	int64_t arrival_s, now_s;
	int64_t deliver_by_s; /* the sender's time for it (RFC 2852); 0: none */
	const struct dsn_recipient *recipients;
	size_t nrecipients;
	struct span headers; /* the original's header; cut at DSN_HEADERS_MAX */
};

/* Appends the whole message, header first, lines ending in CRLF.  -1: ENOBUFS, ENOMEM. */
int dsn_format(const struct dsn *d, struct buf *out) WARN_UNUSED;
/* The message holds octets above 127: it must be sent as 8BITMIME. */
bool dsn_is_8bit(const struct dsn *d);

#endif

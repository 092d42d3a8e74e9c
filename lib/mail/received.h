/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_RECEIVED_H
#define LIB_MAIL_RECEIVED_H

#include <stdbool.h>
#include <time.h>

#include "lib/base/buf.h"

/*
 * One hop.  Any string may be "": its clause is left out; auth may be NULL too, no other.
 * Where the client is to be hidden, helo and client_addr are both "": then there is no
 * "from", which RFC 5321 4.4 asks for but RFC 5322 3.6.7 does not.
 */
struct received {
	const char *helo;	 /* as the client called itself */
	const char *client_name; /* what DNS calls it; "": unknown */
	const char *client_addr; /* "192.0.2.1" or "2001:db8::1"; "": not by network */
	const char *by_host;
	const char *protocol;	 /* "ESMTP", "ESMTPSA", "LMTP"... (RFC 3848) */
	const char *tls_comment; /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	const char *auth;	 /* as whom the client authenticated, if it is to be told */
	const char *id;
	const char *for_addr; /* "" unless there is exactly one recipient */
	bool smtputf8;	      /* for_addr may show octets above 127 */
	time_t when;
};

/*
 * Appends the trace field of RFC 5321 4.4, CRLF at its end, folded below 78
 * columns where a word allows it.  No field can add a line, a clause or a
 * comment: octets that don't belong in one are written '?', a for_addr that is
 * no address is left out, and a field longer than 255 octets is cut.
 * -1: ENOBUFS, ENOMEM, EOVERFLOW; out may then hold a part.
 */
int received_format(const struct received *r, struct buf *out) WARN_UNUSED;

enum received_with {
	RECEIVED_EXTENDED = 1 << 0, /* EHLO; LHLO always is */
	RECEIVED_TLS = 1 << 1,
	RECEIVED_AUTH = 1 << 2,
	RECEIVED_LMTP = 1 << 3,
	RECEIVED_UTF8 = 1 << 4, /* MAIL said SMTPUTF8 */
};

/*
 * The protocol of a hop, by RFC 3848 and RFC 6531 4.3: "ESMTPSA", "UTF8LMTP"...  After HELO
 * it is "SMTP" whatever else there was: the registry has no name for more.
 */
const char *received_protocol(unsigned flags);

#endif

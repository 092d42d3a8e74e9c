/* SPDX-License-Identifier: ISC */
#ifndef SESSION_BODY_H
#define SESSION_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The octets of a message as they come from the client, by DATA or BDAT.
 *
 * By DATA, CRLF.CRLF ends it and nothing else does (RFC 5321 4.1.1.4), and
 * leading dots are un-stuffed (4.5.2).  A fault does not end it: reading goes on
 * to the real end, so that what follows is never taken for commands.
 * By BDAT, the caller knows the end; only faults are looked for.
 *
 * With BODY_ACCEPT_BARE_LF a bare LF comes out as CRLF and is no fault.  It
 * begins no line for all that: a dot after it is text, not un-stuffed, so
 * that LF.LF, LF.CRLF and CRLF.LF end nothing then either.
 */
enum body_fault {
	BODY_BARE_CR = 1 << 0,
	BODY_BARE_LF = 1 << 1,
	BODY_NUL = 1 << 2,
	BODY_LINE_TOO_LONG = 1 << 3,
	BODY_TOO_BIG = 1 << 4,
};

enum body_accept {
	BODY_ACCEPT_CHUNKS = 1 << 0,  /* BDAT: dots mean nothing, no end mark */
	BODY_ACCEPT_BINARY = 1 << 1,  /* with it, BODY=BINARYMIME: any octet, any line */
	BODY_ACCEPT_BARE_LF = 1 << 2, /* not with BINARY, which changes nothing */
};

/* The octets that n of input may come out as. */
#define BODY_OUT_MAX(n, accept) ((n) * ((BODY_ACCEPT_BARE_LF & (accept)) != 0 ? 2 : 1) + 4)

#define BODY_LINE_MAX		65536 /* the default max_line */

struct body {
	/* results */
	bool done;	 /* the end mark was seen */
	unsigned faults; /* enum body_fault */
	uint64_t bytes;	 /* of the message so far as it comes out, the end mark not counted */

	/* the machine's own */
	size_t max_line;    /* octets, CRLF included, before un-stuffing; 0: no limit */
	uint64_t max_bytes; /* 0: no limit */
	size_t line;	    /* octets of the line so far */
	unsigned accept;
	uint8_t state;
};

/* accept: enum body_accept, 0 for DATA. */
void body_init(struct body *b, size_t max_line, uint64_t max_bytes, unsigned accept);
/*
 * Takes up to n octets and returns how many it took: all, or up to the end mark's last.
 * What belongs to the message goes to out, which has room for BODY_OUT_MAX(n, accept);
 * *nout says how much.  From the first fault on *nout is 0.
 */
size_t body_feed(struct body *b, const uint8_t *in, size_t n, uint8_t *out, size_t *nout);
/*
 * After the last chunk of BDAT, and no other, since a chunk may end between CR and
 * LF: a CR left over at the end is a fault too.
 */
void body_end_chunks(struct body *b);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_REPLY_H
#define LIB_MAIL_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"

#define REPLY_ENHANCED_SIZE 12
#define REPLY_TEXT_SIZE	    1024
#define REPLY_LINES_MAX	    128	  /* a reply of more lines is broken */
#define REPLY_OCTETS_MAX    65536 /* and one of more octets, CRLFs not counted */

/* A server's answer, gathered line by line (RFC 5321 4.2). */
struct reply {
	int code;			    /* 200 to 599 */
	char enhanced[REPLY_ENHANCED_SIZE]; /* "5.1.1" (RFC 2034), or "" */
	char text[REPLY_TEXT_SIZE]; /* the lines joined by " / ", printable, cut with "..." */
	unsigned lines;
	size_t octets;
	bool done;
};

enum reply_result { REPLY_MORE, REPLY_DONE, REPLY_BROKEN };

void reply_reset(struct reply *r);
/*
 * One line without its CRLF.  After REPLY_DONE the next line begins a new
 * reply only if reply_reset() came between; without it, and after
 * REPLY_BROKEN, every line is REPLY_BROKEN: the connection is of no more use.
 */
enum reply_result reply_feed_line(struct reply *r, const char *line, size_t len) WARN_UNUSED;

/* One line of an EHLO answer: "250-SIZE 1000" is "SIZE" and "1000". */
struct reply_keyword {
	char word[32];	/* upper case */
	char args[256]; /* as sent; printable ASCII */
};
/* False when the line names no keyword, or one too long for this struct. */
bool reply_line_keyword(const char *line, size_t len, struct reply_keyword *out);

/*
 * An enhanced status code (RFC 3463) at the head of s: how many octets it takes,
 * 0 if there is none or its class isn't that of the reply code.
 */
size_t reply_enhanced(const char *s, size_t len, int code, char dst[REPLY_ENHANCED_SIZE]);

#endif

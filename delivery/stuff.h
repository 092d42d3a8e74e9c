/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_STUFF_H
#define DELIVERY_STUFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A message on its way into DATA (RFC 5321 4.5.2): a dot at the start of a
 * line is doubled, wherever the pieces are cut.  The spool holds no bare CR or
 * LF; one that is there all the same leaves as CRLF, for another server might
 * take it for the end of a line, and what follows for a command.
 */
enum stuff_at { STUFF_START, STUFF_MIDDLE, STUFF_CR };

struct stuff { /* all zero: the start of a message */
	enum stuff_at at;
	bool
	    keeps_dots; /* for a chunk (RFC 3030 2), which has no dots to double and none at its end */
};

#define STUFF_ROOM(n)  (2 * (n) + 2) /* what n octets may become at most */
#define STUFF_END_ROOM 5
size_t stuff_feed(struct stuff *s, const uint8_t *in, size_t n, uint8_t *out);
/* The end of the last line if it has none, and the final dot (not with keeps_dots). */
size_t stuff_end(struct stuff *s, uint8_t out[STUFF_END_ROOM]);

#endif

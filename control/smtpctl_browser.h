/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_BROWSER_H
#define CONTROL_SMTPCTL_BROWSER_H

#include <stdbool.h>
#include <stdint.h>

#include "control/smtpctl_redirect.h"
#include "lib/base/bug.h"

/*
 * The end of a redirection on this host (RFC 8252 7.3): a port of the loopback
 * interface, where one browser comes back, and a terminal, where what it was sent
 * back with may be pasted.
 */
#define BROWSER_VISITORS_MAX 8	  /* connections at once: browsers open some in advance */
#define BROWSER_HEAD_MAX     8192 /* octets of a request */
#define BROWSER_LINE_MAX     4096 /* octets of a pasted line */
#define BROWSER_VISIT_MS     10000

struct visitor {
	int fd; /* -1: nobody */
	int64_t until_ms;
	size_t len;
	char head[BROWSER_HEAD_MAX];
};

struct browser {
	int listeners[2]; /* of 127.0.0.1 and of ::1; -1: none */
	bool deaf;	  /* nobody is accepted there */
	int input;	  /* where something may be pasted; -1: nowhere */
	uint16_t port;
	struct visitor visitors[BROWSER_VISITORS_MAX];
	size_t line_len;
	char line[BROWSER_LINE_MAX];
};

enum browser_end {
	BROWSER_CODE,	 /* got has it */
	BROWSER_REFUSED, /* got says why */
	BROWSER_LATE,	 /* nobody came */
	BROWSER_NOBODY,	 /* nobody can: the terminal is at its end, and no port is open */
	BROWSER_FAILED	 /* errno */
};

/*
 * Takes a port (0: any); both: of ::1, too, for it is to be called "localhost".
 * deaf: it is only taken, and a browser that comes is refused.  -1 with errno.
 */
int browser_open(struct browser *b, uint16_t port, bool both, bool deaf) WARN_UNUSED;
void browser_close(struct browser *b);
/* Until somebody comes back with this state, or pastes a code. */
enum browser_end
browser_wait(struct browser *b, const char *state, int64_t until_ms, struct redirect *got);

#endif

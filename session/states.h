/* SPDX-License-Identifier: ISC */
#ifndef SESSION_STATES_H
#define SESSION_STATES_H

#include <stdbool.h>

/* Where a client is.  Bits, so that a command can name all states it may come in. */
enum state {
	STATE_PROXY = 0x0001,	 /* nothing said yet: a balancer is to say whom it speaks for */
	STATE_ENTERING = 0x0002, /* nothing said yet: lookup is asked whether the client may stay */
	STATE_NEW = 0x0004,	 /* greeted, no HELO, EHLO or LHLO yet */
	STATE_IDLE = 0x0008,	 /* said hello, no transaction */
	STATE_MAIL = 0x0010,	 /* MAIL accepted */
	STATE_RCPT = 0x0020,	 /* and at least one RCPT */
	STATE_CHUNKS = 0x0040,	 /* and at least one chunk, not the last (RFC 3030) */
	STATE_DELAYED = 0x0080,	 /* a refusal waits to be said */
	STATE_FILTERING = 0x0100,  /* lookup is asked what the filters say */
	STATE_ASKING = 0x0200,	   /* lookup is asked about a RCPT */
	STATE_BEGINNING = 0x0400,  /* the queue is asked to take the body */
	STATE_DATA = 0x0800,	   /* 354 said, the body is on its way */
	STATE_CHUNK = 0x1000,	   /* the octets of a BDAT are on their way */
	STATE_SWALLOW = 0x2000,	   /* those of one that was refused */
	STATE_COMMITTING = 0x4000, /* the body is whole, the queue makes it durable */
	STATE_CLOSING = 0x8000,	   /* the last reply is on its way out */
	STATE_HANDSHAKE = 0x10000, /* TLS is being set up */
	STATE_CHECKING = 0x20000,  /* the vault is asked about an AUTH */
	STATE_CHALLENGED = 0x40000 /* and the client to say more: the next line is no command */
};
/* A command line is read in these; and in these nothing is, for somebody else has the word. */
#define STATE_ANY_COMMAND (STATE_NEW | STATE_IDLE | STATE_MAIL | STATE_RCPT | STATE_CHUNKS)
#define STATE_WAITING                                                                        \
	(STATE_ENTERING | STATE_DELAYED | STATE_FILTERING | STATE_ASKING | STATE_BEGINNING | \
	    STATE_COMMITTING | STATE_HANDSHAKE | STATE_CHECKING | STATE_CLOSING)

bool state_may_follow(enum state from, enum state to);
const char *state_name(enum state s);

#endif

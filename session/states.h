/* SPDX-License-Identifier: ISC */
#ifndef SESSION_STATES_H
#define SESSION_STATES_H

#include <stdbool.h>

/* Where a client is.  Bits, so that a command can name all states it may come in. */
enum state {
	STATE_NEW = 0x001,	  /* greeted, no HELO or EHLO yet */
	STATE_IDLE = 0x002,	  /* said hello, no transaction */
	STATE_MAIL = 0x004,	  /* MAIL accepted */
	STATE_RCPT = 0x008,	  /* and at least one RCPT */
	STATE_ASKING = 0x010,	  /* lookup is asked about a RCPT */
	STATE_BEGINNING = 0x020,  /* the queue is asked to take the body */
	STATE_DATA = 0x040,	  /* 354 said, the body is on its way */
	STATE_COMMITTING = 0x080, /* the body is whole, the queue makes it durable */
	STATE_CLOSING = 0x100	  /* the last reply is on its way out */
};
#define STATE_ANY_COMMAND (STATE_NEW | STATE_IDLE | STATE_MAIL | STATE_RCPT)
#define STATE_WAITING	  (STATE_ASKING | STATE_BEGINNING | STATE_COMMITTING | STATE_CLOSING)

bool state_may_follow(enum state from, enum state to);
const char *state_name(enum state s);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CARRIER_H
#define DELIVERY_CARRIER_H

#include "delivery/lane_private.h"

/*
 * A carrier: one connection on behalf of a lane, from the question where to go to
 * the last message.  It takes one relay after the other and tells its lane how it went.
 *
 *   finding    a route, hosts, one address after the other, until a server greets it
 *   paced      has a server; a limit says when the next message may go
 *   idle       has a server, and there is no mail; for a while
 *   busy       has a relay
 *   leaving    has said QUIT
 *
 * What happens inside callbacks is only noted; carriers_turn() deals with it.
 */
enum carrier_state {
	CARRIER_FINDING,
	CARRIER_PACED,
	CARRIER_IDLE,
	CARRIER_BUSY,
	CARRIER_LEAVING,
	CARRIER__MAX
};

int carrier_start(struct lane *l) WARN_UNUSED; /* -1: ENOMEM */
void carriers_feed(struct lane *l);	       /* there may be mail for the idle ones */
void carriers_wear(struct lane *l); /* what they were made for has changed: no more mail by them */
void carrier_retire(struct carrier *c); /* an idle one: its place is needed */
void carrier_cut(struct carrier *c);	/* its relay is abandoned: so is the connection */
void carrier_free(struct carrier *c);
void carriers_turn(struct delivery *d); /* at the loop's top */

/* Answers to its questions. */
void carrier_auth_step(struct carrier *c, const struct msg_relay_auth_step *m);
void carrier_auth_end(struct carrier *c, const struct msg_relay_auth_end *m);
void carrier_lmtp_socket(struct carrier *c, int fd); /* takes fd */
void carrier_lmtp_refused(struct carrier *c, const char *text);

/* Of the relay that it carries. */
void carrier_body(struct carrier *c, struct span data);
void carrier_body_end(struct carrier *c);
void carrier_body_break(struct carrier *c, enum cause why);

#endif

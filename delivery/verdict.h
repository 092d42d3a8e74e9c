/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_VERDICT_H
#define DELIVERY_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ipc/messages.h"
#include "lib/mail/reply.h"

/* What became of one recipient, in the form the queue wants it. */
struct verdict {
	enum ipc_outcome outcome; /* IPC_OK, IPC_RETRY or IPC_FAIL */
	char status[IPC_STATUS_MAX + 1];
	char text[IPC_TEXT_MAX + 1]; /* printable ASCII */
	/* RETRY: not before so many seconds have passed, as the other side said; 0: it did not. */
	int64_t again_s;
	bool untried; /* RETRY: no attempt of its own was made */
	bool relayed; /* OK: to a server that does not report success (RFC 3461 5.2.2) */
};

/* What can happen on our side: a row each in verdict.c. */
enum cause {
	CAUSE_NO_MEMORY,
	CAUSE_BUSY,
	CAUSE_STOPPING,
	CAUSE_BODY_LOST,
	CAUSE_BODY_DAMAGED,
	CAUSE_RENEWED,
	CAUSE_NO_ACTION,
	CAUSE_ACTION_UNSUPPORTED,
	CAUSE_BAD_RELAY,
	CAUSE_BAD_SENDER,
	CAUSE_BAD_RECIPIENT,
	CAUSE_NO_SRS,
	CAUSE_NO_RESOLVER,
	CAUSE_NO_HOST,
	CAUSE_NO_SERVER,
	CAUSE_NO_SOURCE,
	CAUSE_NO_SOCKET,
	CAUSE_UNREACHABLE,
	CAUSE_PROXY,
	CAUSE_DEST_DEAD,
	CAUSE_LIMITED,
	CAUSE_STALE,
	CAUSE_CONNECTION_LOST,
	CAUSE_REMOTE_TIMEOUT,
	CAUSE_GARBAGE,
	CAUSE_TLS_NOT_OFFERED,
	CAUSE_TLS_FAILED,
	CAUSE_TLS_WANTED,
	CAUSE_TLS_INJECTION,
	CAUSE_TLS_UNVERIFIED,
	CAUSE_TLS_WEAKER,
	CAUSE_DANE,
	CAUSE_DANE_IMPOSSIBLE,
	CAUSE_AUTH_NOT_OFFERED,
	CAUSE_AUTH_UNSAFE,
	CAUSE_AUTH_REFUSED,
	CAUSE_AUTH_TROUBLE,
	CAUSE_NO_VAULT,
	CAUSE_NO_CREDENTIAL,
	CAUSE_TOO_BIG,
	CAUSE_NO_8BITMIME,
	CAUSE_NO_BINARYMIME,
	CAUSE_NO_SMTPUTF8,
	CAUSE_NO_DELIVERBY,
	CAUSE_TOO_LATE,
	CAUSE_NO_REQUIRETLS,
	CAUSE_UNPROVEN_ROUTE,
	CAUSE_NO_SAFE_TLS,
	CAUSE_NO_AGENT,
	CAUSE_AGENT_LOST,
	CAUSE_AGENT_TIMEOUT,
	CAUSE_BAD_MAILBOX,
	CAUSE_LOOP,
	CAUSE_OUR_OWN_MX,
	CAUSE__MAX
};

/* Which command another server's reply answers. */
enum verdict_stage {
	STAGE_CONNECT,
	STAGE_AUTH, /* a login that is refused is a defect of ours: the mail can wait for it */
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA, /* DATA itself, and the dot at the end of it */
	STAGE__MAX
};

/* All of these set all of *v.  detail: what more is known, in any octets; "" or NULL for nothing. */
void verdict_of(struct verdict *v, enum cause cause, const char *detail);
/* A reply of class 2, 4 or 5 (RFC 5321 4.2.1); its own enhanced code goes before the table's.
 * A RETRY has the again_s that the text asks for. */
void verdict_of_reply(struct verdict *v, enum verdict_stage stage, const struct reply *r);
/* An outcome that a peer process gave.  The status must fit it, or is replaced. */
void verdict_set(struct verdict *v, enum ipc_outcome outcome, const char *status, const char *text);
const char *verdict_event(const struct verdict *v); /* "delivered", "deferred", "failed" */

#endif

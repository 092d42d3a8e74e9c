/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SOCKET_H
#define CONTROL_SOCKET_H

#include "control/control.h"

/*
 * The admin socket and who is connected to it.
 *
 * At most ADMINS_MAX at once.  Above that, who has been quiet for longest and
 * waits for nothing makes room, so that connections that are only held open
 * can't keep anybody out.  Whoever sends no whole request for ADMIN_IDLE_MS
 * is closed: every request is complete in itself, so smtpctl(8) just connects again.
 */
#define ADMINS_MAX	 64
#define ADMIN_IDLE_MS	 60000
#define ADMIN_STALLED_MS 30000	    /* does not read its answer: may have to make room */
#define ADMIN_OUT_MAX	 (4U << 20) /* octets of answers it may leave unread */

void socket_init(struct control *c);
/* Takes over a listening, non-blocking socket; replaces the one before. */
void socket_listen(struct control *c, int fd);
void socket_close(struct control *c); /* everybody is closed; for the end of the program */

void socket_on_turn(struct control *c); /* sends what gathered, frees who is gone */
void socket_on_tick(struct control *c); /* closes idle admins */

/* Sends an answer.  An admin that does not read is cut off: a->ch may be NULL afterwards. */
void admin_send(struct admin *a, enum message_type type, const void *msg);
/* Ends the request under way with an outcome and a few words. */
void admin_done(struct admin *a, enum ipc_outcome outcome, const char *text);
void admin_close(struct admin *a);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LOCAL_H
#define DELIVERY_LOCAL_H

#include "delivery/job.h"

/*
 * Mail for mailboxes on this host.  Per account and mailbox one agent at a
 * time, which takes a run of messages and is let go when there are no more.
 */
int local_init(struct delivery *d) WARN_UNUSED; /* -1: ENOMEM */

void local_start(struct job *j, const struct conf_action *action);
void local_abandon(struct letter *l);		   /* its job goes away; no verdict */
void local_agent_started(struct agent *a, int fd); /* takes fd */
void local_agent_refused(struct agent *a, const struct msg_agent_refused *m);
void local_turn(struct delivery *d); /* at the loop's top */
void local_tick(struct delivery *d); /* once a second */

#endif

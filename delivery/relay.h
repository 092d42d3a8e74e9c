/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_H
#define DELIVERY_RELAY_H

#include "delivery/job.h"

/*
 * Mail for other hosts: one job, sent to the first host that takes it.
 * A relay outlives its job for as long as QUIT takes.
 */
void relay_start(struct job *j, const struct conf_action *action);
/* What became of the sender, when relay_start() had the vault asked. */
void relay_srs_answer(struct relay *r, const struct msg_srs_answer *m);
void relay_forget_job(struct relay *r); /* the job has all its verdicts */
void relay_abandon(struct relay *r);	/* it won't have them: cut the connection */
void relays_turn(struct delivery *d);	/* at the loop's top */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_RELAY_H
#define DELIVERY_RELAY_H

#include "delivery/job.h"

/*
 * Mail for other hosts: one job, from its order to the lane that takes it on.
 * A relay outlives its job's verdicts for as long as a connection reads of it.
 */
void relay_start(struct job *j, const struct conf_action *action); /* RELAY or LMTP */
/* Answers to its questions. */
void relay_srs_answer(struct relay *r, const struct msg_srs_answer *m);
void relay_plan_url(struct relay *r, const struct msg_relay_url *m);
void relay_plan_source(struct relay *r, const struct msg_relay_source *m);
void relay_plan_end(struct relay *r, const struct msg_relay_end *m);
void relay_abandon(struct relay *r);  /* its job is gone: cut the connection */
void relays_turn(struct delivery *d); /* at the loop's top */

#endif

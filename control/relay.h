/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_RELAY_H
#define CONTROL_RELAY_H

#include "control/control.h"

/*
 * An admin's request, passed on to the process whose business it is, and the
 * answers on their way back.  A request that can't be carried out ends with
 * `done` whatever its own answer would have been: DENIED, RETRY when the
 * process is down or does not answer in time, or what lookup says of a question
 * that can't be explained.
 */
void relay_question(struct admin *a, enum message_type question, const union message *msg);
/* An answer of a process; ignored when nobody waits for it (any more). */
void relay_answer(
    struct control *c, struct channel *from, enum message_type answer, const union message *msg);
void relay_cancel(struct admin *a); /* forgets the request under way, if any */

#endif

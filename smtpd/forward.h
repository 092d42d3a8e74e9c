/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_FORWARD_H
#define SMTPD_FORWARD_H

#include "lib/ipc/messages.h"

struct child;
struct msg_forward_get;

/* Lookup's question for a .forward file: answered with forward_file or forward_none, always. */
void forward_answer(struct child *lookup, const struct msg_forward_get *m);

#endif

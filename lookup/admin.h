/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ADMIN_H
#define LOOKUP_ADMIN_H

#include "lib/ipc/channel.h"

struct lookup;

/* smtpctl's view of the clients; control has checked who asks. */
void admin_clients(struct lookup *l, struct channel *ch, const struct msg_clients *m);
void admin_clients_clear(struct lookup *l, struct channel *ch, const struct msg_clients_clear *m);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_ADMIN_H
#define VAULT_ADMIN_H

#include "lib/ipc/channel.h"

struct vault;

/* The questions of smtpctl: certificates, and who failed to log in. */
void admin_certificates(struct vault *v, struct channel *ch, uint32_t req);
void admin_logins(struct vault *v, struct channel *ch, const struct msg_logins *m);
void admin_logins_clear(struct vault *v, struct channel *ch, const struct msg_logins_clear *m);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_RELAY_CREDENTIAL_H
#define VAULT_RELAY_CREDENTIAL_H

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * What a table keeps under the label of a relay: "user:password".  A user has no colon;
 * a password may have any.  Pure.
 */
struct relay_credential {
	char user[IPC_ADDRESS_MAX + 1];
	struct span password; /* in the value itself */
};

/* NULL, and *out is filled; else what is wrong, which never quotes the value. */
const char *relay_credential_parse(const char *value, struct relay_credential *out) WARN_UNUSED;

#endif

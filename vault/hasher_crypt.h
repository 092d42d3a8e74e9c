/* SPDX-License-Identifier: ISC */
#ifndef VAULT_HASHER_CRYPT_H
#define VAULT_HASHER_CRYPT_H

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/message.h"
#include "lib/secret/scram_client.h"

/*
 * One password against one hash: what takes time, and is not done where
 * others wait.  Every copy of the password is wiped before this returns.
 */

/* Outside the sandbox: whatever libraries do only once.  -1: an algorithm is missing. */
int hasher_crypt_prepare(void) WARN_UNUSED;
/* IPC_OK, IPC_FAIL, or IPC_RETRY: a hash that we don't take, or no memory. */
enum ipc_outcome hasher_crypt_check(const char *stored, struct span password) WARN_UNUSED;
/* As a client of SCRAM.  IPC_OK, or IPC_RETRY: out of bounds, or no memory. */
enum ipc_outcome
hasher_crypt_derive(const struct msg_derive *m, struct scram_client_keys *out) WARN_UNUSED;

#endif

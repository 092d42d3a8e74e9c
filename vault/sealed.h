/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SEALED_H
#define VAULT_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * What this process keeps on disk without a file of its own: the parent writes it, who
 * can't read it.  AES-256-GCM (NIST SP 800-38D); the name is bound to the contents, so
 * that one file does not stand for another.  Pure but for random numbers.
 *
 * On disk: "PSEAL1\n" and a NUL, 12 octets of nonce, the sealed octets, 16 octets of tag.
 */
#define SEALED_KEY_MIN	 32 /* octets of the key's file, at least */
#define SEALED_PLAIN_MAX (IPC_SEALED_MAX - 36)

struct sealer { /* explicit_bzero() it when it is of no more use */
	bool has_key;
	uint8_t key[32];
};

/* The key's file, as it was read.  -1: EINVAL (too short), ENOMEM; there is no key then. */
int sealer_set_key(struct sealer *s, struct span file) WARN_UNUSED;
/* -1: ENOKEY, EMSGSIZE, ENOMEM. */
int sealer_seal(
    const struct sealer *s, const char *name, struct span plain, struct buf *out) WARN_UNUSED;
/* -1: ENOKEY, ENOMEM, or EBADMSG: not sealed by this key under this name; *plain is as before. */
int sealer_open(
    const struct sealer *s, const char *name, struct span sealed, struct buf *plain) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_KEY_KEY_ID_H
#define LIB_KEY_KEY_ID_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * What the vault is told in `sign` as the key: the name of the pki, and which
 * of the keys that ever had that name, by the first octets of the SHA-256 of its public
 * key (SubjectPublicKeyInfo, RFC 5280 4.1, in DER): "mx.example.org#0123456789abcdef".
 * So nothing is signed with another key while a certificate is being renewed.
 */
#define KEY_ID_DIGITS 16
#define KEY_ID_SIZE   (IPC_NAME_MAX + 1)

/* -1: ENAMETOOLONG when `sign` can't carry it, EIO when the digest fails. */
int key_id(char dst[KEY_ID_SIZE], const char *name, const uint8_t *spki, size_t len) WARN_UNUSED;

#endif

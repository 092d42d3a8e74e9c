/* SPDX-License-Identifier: ISC */
#ifndef VAULT_TEMPLATE_H
#define VAULT_TEMPLATE_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/ipc/messages.h"

/*
 * What the vault is willing to sign: texts that a TLS server signs in a
 * handshake, with the schemes that go with them, and nothing else.  Pure.
 */
enum template_key { TEMPLATE_RSA, TEMPLATE_P256, TEMPLATE_P384, TEMPLATE_P521, TEMPLATE_KEY__MAX };

/*
 * NULL: the text may be signed with such a key, scheme and digest.  Else why
 * not, in few words, for the log; they tell nothing of the text's octets.
 *
 * TLS 1.3 (RFC 8446 4.4.3): 64 spaces, "TLS 1.3, server CertificateVerify", a
 * NUL, a transcript hash of 32 or 48 octets; RSA-PSS, or ECDSA with the digest
 * that goes with the curve.
 * TLS 1.2 (RFC 8422 5.4): two randoms of 32 octets, then named curve (3), one
 * of P-256, P-384, P-521, X25519, X448, and a public key of that curve's length.
 */
const char *template_refuses(
    enum template_key key, enum ipc_scheme scheme, enum ipc_digest digest, struct span text);

/*
 * Is it no text but a digest of one, to be signed as it is?  Only ever true
 * when built against LibreSSL, whose libtls shows no more (lib/key/keyclient_libressl.c).
 */
bool template_is_digest(enum template_key key, enum ipc_digest digest, struct span text);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LIB_KEY_KEYCLIENT_H
#define LIB_KEY_KEYCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"

struct tls_config;

/*
 * A TLS server without its private keys: libtls is given a stand-in, made of
 * the certificate's public key, and whatever it signs with that is asked of
 * the vault, over a channel of its own, while the caller waits.
 *
 * There is one of it in a process, because there is one set of algorithms in
 * libcrypto.  Nothing that the vault says or fails to say is fatal: the
 * signature fails then, and with it one handshake.
 */

#define KEYCLIENT_DEADLINE_MS 3000 /* for one signature, from asking to the answer */
#define KEYCLIENT_REST_MS     1000 /* after one that was missed nobody is asked */
#define KEYCLIENT_STANDIN_MAX 4096 /* octets of a stand-in */

/*
 * Before the sandbox: loads and warms up all that signing and handshakes need
 * of the crypto library, so that no file is looked for later.  Once is enough.
 * -1 with errno.
 */
int keyclient_init(void) WARN_UNUSED;

/*
 * Takes over the blocking socket to the vault, whose time limits (SO_RCVTIMEO,
 * SO_SNDTIMEO) its maker has set; an old one is closed.  -1: there is none now.
 */
void keyclient_set_channel(int fd);
bool keyclient_is_broken(void); /* it was closed because it can't be used: another, please */

/*
 * Appends to out the stand-in, in PEM, for the private key that belongs to the
 * first certificate in cert (PEM).  -1: EINVAL (no certificate in it, or a name that
 * the vault can't have), ENOTSUP (neither RSA nor ECDSA on P-256, P-384 or P-521),
 * ENOMEM, ENOBUFS.
 */
int keyclient_key(const char *name, const uint8_t *cert, size_t len, struct buf *out) WARN_UNUSED;

/* To be called on each server configuration that has such stand-ins.  -1 with errno. */
int keyclient_configure(struct tls_config *config) WARN_UNUSED;

/* Name of the pki that signed last, since keyclient_forget(); NULL: none did. */
const char *keyclient_last(void);
void keyclient_forget(void);

#endif

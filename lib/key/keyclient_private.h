/* SPDX-License-Identifier: ISC */
#ifndef LIB_KEY_KEYCLIENT_PRIVATE_H
#define LIB_KEY_KEYCLIENT_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "lib/key/key_id.h"

/*
 * Between keyclient.c, which asks the vault, and the file that fits it to a
 * TLS library: keyclient_openssl.c (libretls, built and tested) or
 * keyclient_libressl.c (LibreSSL's libtls).  The library's own headers tell which one it is.
 */
struct keyclient_question {
	const char *name; /* of the pki, for keyclient_last() */
	const char *id;	  /* key_id() */
	enum ipc_scheme scheme;
	enum ipc_digest digest;
	struct span text;
};

/* Asks and waits.  -1: no signature; what happened is logged. */
int keyclient_ask(
    const struct keyclient_question *q, uint8_t *sig, size_t size, size_t *len) WARN_UNUSED;

/* Makes a server and drops it.  -1: ENOTSUP. */
int keyclient_warm_up(void) WARN_UNUSED;

#endif

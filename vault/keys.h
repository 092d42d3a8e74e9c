/* SPDX-License-Identifier: ISC */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/message.h"
#include "vault/certificate.h"

/*
 * The certificates and private keys of all pkis, by name.  Signs what
 * template.h lets through, with the key that was asked for, never another.
 *
 * A reload is fed piece by piece beside what is in use, then takes its place
 * in one step.  A key that was replaced goes on to sign for KEYS_LINGER_S, because
 * the session processes don't all change at the same moment; then it is wiped.
 */
struct keys;

#define KEYS_LINGER_S 60

struct keys_counters {
	uint64_t signatures;
	uint64_t refused; /* not a text of TLS, no such key */
	uint64_t failed;  /* the crypto library would not */
};

struct keys *keys_create(void) WARN_UNUSED; /* NULL: ENOMEM, ENOSYS (an algorithm is missing) */
void keys_free(struct keys *k);		    /* wipes; NULL is fine */

/*
 * A piece of IPC_DATA_CERT, _KEY or _OCSP; what follows a last one of the same
 * name and kind replaces it.  -1: EINVAL (another kind), EMSGSIZE, ENOBUFS (too many), ENOMEM.
 */
int keys_feed(struct keys *k, const struct msg_file_data *piece) WARN_UNUSED;
/* All that was fed since the last commit takes the place of what was; problems are logged. */
void keys_commit(struct keys *k, int64_t now_s);
void keys_forget(struct keys *k, const char *name); /* a pki that smtpd.conf has no more */
void keys_tick(struct keys *k, int64_t now_s);	    /* once a second or so */

/*
 * Signs.  -1: refused (EPERM), no such key (ENOENT) or failed (EIO), counted and
 * logged; the answer is then IPC_FAIL.
 */
int keys_sign(
    struct keys *k, const struct msg_sign *m, uint8_t sig[IPC_SIGN_MAX], size_t *len) WARN_UNUSED;

/* tls-server-end-point of a pki's certificate (RFC 5929).  -1: ENOENT, ENOTSUP. */
int keys_binding(const struct keys *k, const char *name, uint8_t hash[CERTIFICATE_BINDING_MAX],
    size_t *len) WARN_UNUSED;

const struct keys_counters *keys_counters(const struct keys *k);

/* The pkis in use, in the order they were fed.  What is pointed to lives until the next commit. */
struct keys_entry {
	const char *name;
	const struct certificate *certificate;
	uint64_t signatures;
};
size_t keys_count(const struct keys *k);
struct keys_entry keys_entry(const struct keys *k, size_t i);
/* Its problems in one line, "; " between; what has changed since by time is told too. */
void keys_warnings(const struct keys *k, size_t i, int64_t now_s, char dst[IPC_TEXT_MAX]);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef VAULT_CERTIFICATE_H
#define VAULT_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "vault/template.h"

struct evp_pkey_st;
struct x509_st;

/*
 * One pki: certificate chain, key and OCSP response, parsed, looked at and
 * told.  A problem is an error when TLS can't work with it, else a warning.
 * Nothing of the private key is ever in a text.
 */
#define CERTIFICATE_PROBLEMS_MAX 16
#define CERTIFICATE_SOON_S	 (14 * 86400) /* expires soon: is warned of */

struct certificate_problem {
	bool is_error;
	char text[IPC_NAME_MAX];
};

struct certificate {
	struct x509_st *leaf;	 /* the server's own certificate; NULL: there is none */
	struct evp_pkey_st *key; /* its private key; NULL: none that can be used */
	bool is_usable;		 /* the leaf's type of key is one that TLS and the vault can use */
	enum template_key kind;	 /* with is_usable */
	char subject[IPC_NAME_MAX], issuer[IPC_NAME_MAX];
	char names[IPC_TEXT_MAX];    /* of subjectAltName, spaces between */
	char key_type[IPC_WORD_MAX]; /* "RSA 2048", "ECDSA P-256" */
	char fingerprint[80];	     /* "SHA256:" and 64 hexadecimal digits, of the certificate */
	int64_t not_before_s, not_after_s;
	int64_t chain_not_after_s; /* the first of the others' in the file; INT64_MAX: none */
	int64_t ocsp_not_after_s;  /* INT64_MAX: none, or it never ends */
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	size_t nproblems;
};

struct certificate_files {     /* as they were read; len 0: there is none, or it can't be read */
	struct span cert, key; /* PEM */
	struct span ocsp;      /* DER (RFC 6960) */
};

/* Fills c, which certificate_close() empties again, whatever the files hold. */
void certificate_open(struct certificate *c, const struct certificate_files *f);
void certificate_close(struct certificate *c); /* wipes the key */

/* All problems, with those that come with time (expired...), for which now_s is. */
size_t certificate_problems(const struct certificate *c, int64_t now_s,
    struct certificate_problem out[CERTIFICATE_PROBLEMS_MAX]) WARN_UNUSED;

/* One more that is always there; past the last place it is left out. */
void
certificate_problem(struct certificate *c, bool is_error, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Hash for the channel binding tls-server-end-point (RFC 5929 4.1): of the
 * certificate, by the hash of its signature, SHA-256 in place of MD5 and SHA-1.
 */
#define CERTIFICATE_BINDING_MAX 64
int certificate_binding(
    const struct certificate *c, uint8_t hash[CERTIFICATE_BINDING_MAX], size_t *len) WARN_UNUSED;

#endif

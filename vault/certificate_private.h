/* SPDX-License-Identifier: ISC */
#ifndef VAULT_CERTIFICATE_PRIVATE_H
#define VAULT_CERTIFICATE_PRIVATE_H

#include <openssl/x509.h>

#include "vault/certificate.h"

/* Between certificate.c and the files that look at parts of it. */

struct certificate_key {      /* a row for each type of key that TLS and the vault can use */
	int algorithm, curve; /* NIDs */
	enum template_key kind;
	const char *told;
};

/* That of the public key in x.  NULL: of another type. */
const struct certificate_key *certificate_public_key(X509 *x);
const char *certificate_algorithm(X509 *x);   /* of the public key: "ED25519" */
int64_t certificate_time(const ASN1_TIME *t); /* seconds since the epoch; 0: not a time */
/* certificate_text.c: fills the texts of c from its leaf. */
void certificate_tell(struct certificate *c);
/* certificate_ocsp.c: is this a response for c's leaf, and what does it say? */
void certificate_check_ocsp(struct certificate *c, struct span der);

#endif

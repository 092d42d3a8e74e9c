/* SPDX-License-Identifier: ISC */
#ifndef LIB_KEY_KEYCLIENT_STANDIN_H
#define LIB_KEY_KEYCLIENT_STANDIN_H

#include <openssl/ossl_typ.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/key/key_id.h"

/*
 * What stands for a private key where there is none: PEM of type STANDIN_LABEL,
 * that is an octet with the length of the pki's name, the name, and the
 * certificate's SubjectPublicKeyInfo in DER.
 */
#define STANDIN_LABEL "POSTERN KEY"

struct standin {
	char name[KEY_ID_SIZE]; /* of the pki */
	char id[KEY_ID_SIZE];
	EVP_PKEY *public; /* the default provider's */
	bool is_rsa;
	int bits, security_bits, size;
	char group[32]; /* of an EC key */
};

/* What is between the lines of PEM.  NULL: not of ours, or ENOMEM. */
struct standin *standin_parse(const uint8_t *data, size_t len) WARN_UNUSED;
void standin_free(struct standin *s); /* NULL is fine */

#endif

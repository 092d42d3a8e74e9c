/* SPDX-License-Identifier: ISC */
/*
 * The oracle of texts: whatever it lets through has the one form of its
 * protocol, checked here in another way, and fits the key.
 *
 * Input: kind of key, scheme, digest, then the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vault/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
looks_like_13(const uint8_t *text, size_t len)
{
	static const char prefix[] = "                                "
				     "                                "
				     "TLS 1.3, server CertificateVerify";

	return (len == sizeof(prefix) + 32 || len == sizeof(prefix) + 48) &&
	       memcmp(text, prefix, sizeof(prefix)) == 0;
}

static int
looks_like_12(const uint8_t *text, size_t len)
{
	return len >= 100 && len <= 201 && text[64] == 3 && text[65] == 0 && text[66] >= 23 &&
	       text[66] <= 30 && text[67] == len - 68;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum template_key key;
	enum ipc_scheme scheme;
	enum ipc_digest digest;
	uint8_t *text;

	if (size < 3 || (text = malloc(size)) == NULL)
		return 0;
	key = data[0] % TEMPLATE_KEY__MAX;
	scheme = data[1] % (IPC_SIGN__MAX + 1);
	digest = data[2] % (IPC_DIGEST__MAX + 1);
	size -= 3;
	memcpy(text, data + 3, size);
	if (template_refuses(key, scheme, digest, (struct span){text, size}) == NULL) {
		if (looks_like_12(text, size) == looks_like_13(text, size))
			abort();
		if ((key == TEMPLATE_RSA) == (scheme == IPC_SIGN_ECDSA))
			abort();
		if (looks_like_13(text, size) && scheme == IPC_SIGN_RSA_PKCS1)
			abort();
	}
	free(text);
	return 0;
}

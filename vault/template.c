/* SPDX-License-Identifier: ISC */
/*
 * The texts of TLS that a server signs, octet by octet.
 *
 * Invariant: no text is both of TLS 1.2 and of TLS 1.3, and none is anything
 * that is signed elsewhere: both forms have a fixed length but for the digest and
 * the public key, and fixed octets between what the other side may choose.
 * Nothing here is fatal.
 */
#include "vault/template.h"

#include <openssl/opensslv.h>
#include <string.h>

#include "lib/base/bug.h"

/* RFC 8446 4.4.3; the string's own NUL is the separator. */
#define TLS13_SPACES 64
static const char tls13_context[] = "TLS 1.3, server CertificateVerify";

static bool
is_tls13(struct span text)
{
	size_t fixed = TLS13_SPACES + sizeof(tls13_context), i;

	if (text.len != fixed + 32 && text.len != fixed + 48)
		return false;
	for (i = 0; i < TLS13_SPACES; i++)
		if (text.data[i] != ' ')
			return false;
	return memcmp(text.data + TLS13_SPACES, tls13_context, sizeof(tls13_context)) == 0;
}

/* RFC 8422 5.4: curve_type, namedcurve, length of the public key, public key. */
#define TLS12_RANDOMS	  64
#define TLS12_NAMED_CURVE 3
#define TLS12_HEADER	  4
#define POINT_PLAIN	  4 /* an uncompressed point, the one form that is left (5.1.2) */

static const struct curve {
	uint8_t id;  /* RFC 8422 5.1.1 */
	uint8_t len; /* octets of its public key */
	bool is_point;
} curves[] = {
    {23, 65, true},  /* P-256 */
    {24, 97, true},  /* P-384 */
    {25, 133, true}, /* P-521 */
    {29, 32, false}, /* X25519 */
    {30, 56, false}, /* X448 */
};

static bool
is_tls12(struct span text)
{
	const uint8_t *params = text.data + TLS12_RANDOMS;
	const struct curve *c;

	if (text.len <= TLS12_RANDOMS + TLS12_HEADER || params[0] != TLS12_NAMED_CURVE ||
	    params[1] != 0)
		return false;
	for (c = curves; c < curves + NITEMS(curves); c++)
		if (c->id == params[2])
			return params[3] == c->len &&
			       text.len == (size_t)TLS12_RANDOMS + TLS12_HEADER + c->len &&
			       (!c->is_point || params[TLS12_HEADER] == POINT_PLAIN);
	return false;
}

/* The digest that TLS 1.3 binds to a curve (RFC 8446 4.2.3). */
static const enum ipc_digest curve_digest[TEMPLATE_KEY__MAX] = {
    [TEMPLATE_P256] = IPC_SHA256,
    [TEMPLATE_P384] = IPC_SHA384,
    [TEMPLATE_P521] = IPC_SHA512,
};

bool
template_is_digest(enum template_key key, enum ipc_digest digest, struct span text)
{
#ifdef LIBRESSL_VERSION_NUMBER
	static const size_t sizes[] = {[IPC_SHA256] = 32, [IPC_SHA384] = 48, [IPC_SHA512] = 64};

	return key != TEMPLATE_RSA && text.len == sizes[digest];
#else
	(void)key;
	(void)digest;
	(void)text;
	return false;
#endif
}

const char *
template_refuses(
    enum template_key key, enum ipc_scheme scheme, enum ipc_digest digest, struct span text)
{
	if ((unsigned int)scheme >= IPC_SIGN__MAX || (unsigned int)digest >= IPC_DIGEST__MAX)
		return "unknown scheme";
	if ((key == TEMPLATE_RSA) != (scheme != IPC_SIGN_ECDSA))
		return "scheme of another kind of key";
	if (is_tls12(text) || template_is_digest(key, digest, text))
		return NULL;
	if (!is_tls13(text))
		return "not a text of a TLS server";
	if (scheme == IPC_SIGN_RSA_PKCS1)
		return "PKCS #1 in TLS 1.3";
	if (key != TEMPLATE_RSA && digest != curve_digest[key])
		return "digest of another curve";
	return NULL;
}

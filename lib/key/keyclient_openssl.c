/* SPDX-License-Identifier: ISC */
/*
 * Keys that are elsewhere, as an OpenSSL 3 provider inside the program: a
 * decoder for stand-ins, key management for "EC" and "RSA" that knows the public half, and one
 * signature algorithm that sends whole texts to the vault.  What it asks of
 * OpenSSL is documented in provider-decoder(7), provider-keymgmt(7) and
 * provider-signature(7).
 *
 * Invariants: there is no private half in here, and what asks for one to be
 * exported is refused, so that no other provider ever tries to sign with such a
 * key; all other keys and certificates are the default provider's.
 */
#include "lib/key/keyclient.h"

#include <openssl/opensslv.h>

#ifndef LIBRESSL_VERSION_NUMBER

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/base/str.h"
#include "lib/key/keyclient_private.h"
#include "lib/key/keyclient_standin.h"

#define PROVIDER  "postern"
#define ALGORITHM "POSTERN-VAULT" /* of signatures; no other provider has it */

/* What OpenSSL's core lets a decoder read with. */
static OSSL_FUNC_BIO_read_ex_fn *core_read;

/* Loaded for as long as the process lives. */
static OSSL_PROVIDER *provider_default, *provider_ours;

int
keyclient_configure(struct tls_config *config)
{
	(void)config; /* a stand-in says all */
	return 0;
}

/* -- decoder: PEM to a stand-in -- */

static void *
decoder_new(void *provider)
{
	return provider;
}

static void
decoder_free(void *ctx)
{
	(void)ctx;
}

static bool
is_standin(const uint8_t *text, size_t len)
{
	static const char begin[] = "-----BEGIN " STANDIN_LABEL "-----";

	return memmem(text, len, begin, sizeof(begin) - 1) != NULL;
}

static struct standin *
read_standin(OSSL_CORE_BIO *in)
{
	uint8_t text[2 * KEYCLIENT_STANDIN_MAX];
	size_t len = 0, n = 0;
	struct standin *s = NULL;
	char *label = NULL, *header = NULL;
	uint8_t *data = NULL;
	long data_len;
	BIO *bio;

	while (len < sizeof(text) && core_read(in, text + len, sizeof(text) - len, &n) == 1)
		len += n;
	/* Other decoders are asked for the same input, a private key's perhaps. */
	if (!is_standin(text, len))
		goto out;
	if ((bio = BIO_new_mem_buf(text, (int)len)) == NULL)
		goto out;
	if (PEM_read_bio(bio, &label, &header, &data, &data_len) == 1 &&
	    strcmp(label, STANDIN_LABEL) == 0)
		s = standin_parse(data, (size_t)data_len);
	OPENSSL_free(label);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
out:
	OPENSSL_cleanse(text, sizeof(text));
	return s;
}

/* 1 without a call of found: not for this decoder, let others look. */
static int
decode(OSSL_CORE_BIO *in, bool rsa, OSSL_CALLBACK *found, void *arg)
{
	static char type_rsa[] = "RSA", type_ec[] = "EC";
	char *name = rsa ? type_rsa : type_ec;
	int type = OSSL_OBJECT_PKEY, rc = 1;
	struct standin *s = read_standin(in);
	OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
	    OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, strlen(name)),
	    OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &s, sizeof(s)), OSSL_PARAM_END};

	if (s != NULL && s->is_rsa == rsa)
		rc = found(params, arg); /* keymgmt_load() takes s, and leaves NULL */
	standin_free(s);
	return rc;
}

static int
decode_ec(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *found, void *arg,
    OSSL_PASSPHRASE_CALLBACK *passphrase, void *passphrase_arg)
{
	(void)ctx;
	(void)selection;
	(void)passphrase;
	(void)passphrase_arg;
	return decode(in, false, found, arg);
}

static int
decode_rsa(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *found, void *arg,
    OSSL_PASSPHRASE_CALLBACK *passphrase, void *passphrase_arg)
{
	(void)ctx;
	(void)selection;
	(void)passphrase;
	(void)passphrase_arg;
	return decode(in, true, found, arg);
}

/* -- key management -- */

static void *
keymgmt_load(const void *reference, size_t size)
{
	struct standin **from = (struct standin **)(uintptr_t)reference, *s;

	if (size != sizeof(s))
		return NULL;
	s = *from;
	*from = NULL;
	return s;
}

static void
keymgmt_free(void *key)
{
	standin_free(key);
}

static int
keymgmt_has(const void *key, int selection)
{
	(void)selection; /* both halves: the other one is the vault's */
	return key != NULL;
}

static const OSSL_PARAM *
keymgmt_gettable(void *provider)
{
	static const OSSL_PARAM gettable[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), OSSL_PARAM_END};

	(void)provider;
	return gettable;
}

static int
keymgmt_get(void *key, OSSL_PARAM params[])
{
	const struct standin *s = key;
	OSSL_PARAM *p;

	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS)) != NULL &&
	    !OSSL_PARAM_set_int(p, s->bits))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS)) != NULL &&
	    !OSSL_PARAM_set_int(p, s->security_bits))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE)) != NULL &&
	    !OSSL_PARAM_set_int(p, s->size))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST)) != NULL &&
	    !OSSL_PARAM_set_utf8_string(p, "SHA256"))
		return 0;
	if ((p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME)) != NULL && !s->is_rsa &&
	    !OSSL_PARAM_set_utf8_string(p, s->group))
		return 0;
	return 1;
}

static const OSSL_PARAM *
keymgmt_export_types(int selection)
{
	static const OSSL_PARAM types[] = {
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	(void)selection;
	return types;
}

/* For the comparison with the certificate's key.  A private half is not to be had. */
static int
keymgmt_export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
	const struct standin *s = key;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	return EVP_PKEY_export(s->public, EVP_PKEY_PUBLIC_KEY, take, arg);
}

static const char *
keymgmt_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? ALGORITHM : NULL;
}

/* -- signatures -- */

struct signing {
	const struct standin *key; /* the caller holds it */
	enum ipc_scheme scheme;
	enum ipc_digest digest;
};

static const struct digest {
	const char *name;
	enum ipc_digest digest;
} digests[] = {
    {"SHA256", IPC_SHA256},
    {"SHA2-256", IPC_SHA256},
    {"SHA384", IPC_SHA384},
    {"SHA2-384", IPC_SHA384},
    {"SHA512", IPC_SHA512},
    {"SHA2-512", IPC_SHA512},
};

static void *
signature_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return calloc(1, sizeof(struct signing));
}

static void
signature_free(void *ctx)
{
	free(ctx);
}

/* A number or a word; what is neither of the two is refused. */
static bool
param_is(const OSSL_PARAM *p, int number, const char *word)
{
	int n;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return strcmp(p->data, word) == 0;
	return OSSL_PARAM_get_int(p, &n) == 1 && n == number;
}

static int
signature_set(void *ctx, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	const OSSL_PARAM *p;

	if (params == NULL)
		return 1;
	if ((p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)) != NULL) {
		if (s->key == NULL || !s->key->is_rsa)
			return 0;
		if (param_is(p, RSA_PKCS1_PSS_PADDING, OSSL_PKEY_RSA_PAD_MODE_PSS))
			s->scheme = IPC_SIGN_RSA_PSS;
		else if (param_is(p, RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15))
			s->scheme = IPC_SIGN_RSA_PKCS1;
		else
			return 0;
	}
	/* TLS knows no other (RFC 8446 4.2.3), nor does the vault. */
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return p == NULL || param_is(p, RSA_PSS_SALTLEN_DIGEST, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST);
}

static const OSSL_PARAM *
signature_settable(void *ctx, void *provider)
{
	static const OSSL_PARAM settable[] = {
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END};

	(void)ctx;
	(void)provider;
	return settable;
}

static int
signature_start(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	size_t i;

	if (key != NULL)
		s->key = key;
	if (s->key == NULL || digest == NULL)
		return 0;
	s->scheme = s->key->is_rsa ? IPC_SIGN_RSA_PKCS1 : IPC_SIGN_ECDSA;
	for (i = 0; i < NITEMS(digests); i++)
		if (str_equal_nocase(digest, digests[i].name)) {
			s->digest = digests[i].digest;
			return signature_set(ctx, params);
		}
	return 0;
}

/* Without sig: how long it may get. */
static int
signature_make(
    void *ctx, unsigned char *sig, size_t *len, size_t size, const unsigned char *text, size_t n)
{
	const struct signing *s = ctx;
	struct keyclient_question q;

	if (s->key == NULL)
		return 0;
	if (sig == NULL) {
		*len = (size_t)s->key->size;
		return 1;
	}
	q = (struct keyclient_question){s->key->name, s->key->id, s->scheme, s->digest, {text, n}};
	return keyclient_ask(&q, sig, size, len) == 0;
}

/* -- the provider -- */

#define FUNCTION(name, f)                             \
	{                                             \
		OSSL_FUNC_##name, (void (*)(void))(f) \
	}

static const OSSL_DISPATCH decoder_ec[] = {FUNCTION(DECODER_NEWCTX, decoder_new),
    FUNCTION(DECODER_FREECTX, decoder_free), FUNCTION(DECODER_DECODE, decode_ec), {0, NULL}};

static const OSSL_DISPATCH decoder_rsa[] = {FUNCTION(DECODER_NEWCTX, decoder_new),
    FUNCTION(DECODER_FREECTX, decoder_free), FUNCTION(DECODER_DECODE, decode_rsa), {0, NULL}};

static const OSSL_DISPATCH keymgmt[] = {FUNCTION(KEYMGMT_LOAD, keymgmt_load),
    FUNCTION(KEYMGMT_FREE, keymgmt_free), FUNCTION(KEYMGMT_HAS, keymgmt_has),
    FUNCTION(KEYMGMT_GETTABLE_PARAMS, keymgmt_gettable), FUNCTION(KEYMGMT_GET_PARAMS, keymgmt_get),
    FUNCTION(KEYMGMT_EXPORT_TYPES, keymgmt_export_types), FUNCTION(KEYMGMT_EXPORT, keymgmt_export),
    FUNCTION(KEYMGMT_QUERY_OPERATION_NAME, keymgmt_operation), {0, NULL}};

static const OSSL_DISPATCH signature[] = {FUNCTION(SIGNATURE_NEWCTX, signature_new),
    FUNCTION(SIGNATURE_FREECTX, signature_free),
    FUNCTION(SIGNATURE_DIGEST_SIGN_INIT, signature_start),
    FUNCTION(SIGNATURE_DIGEST_SIGN, signature_make),
    FUNCTION(SIGNATURE_SET_CTX_PARAMS, signature_set),
    FUNCTION(SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable), {0, NULL}};

static const OSSL_ALGORITHM decoders[] = {
    {"EC", "provider=" PROVIDER ",input=pem", decoder_ec, NULL},
    {"RSA", "provider=" PROVIDER ",input=pem", decoder_rsa, NULL}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM keymgmts[] = {{"EC", "provider=" PROVIDER, keymgmt, NULL},
    {"RSA", "provider=" PROVIDER, keymgmt, NULL}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM signatures[] = {
    {ALGORITHM, "provider=" PROVIDER, signature, NULL}, {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_DECODER:
		return decoders;
	case OSSL_OP_KEYMGMT:
		return keymgmts;
	case OSSL_OP_SIGNATURE:
		return signatures;
	default:
		return NULL;
	}
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
    void **provider)
{
	static const OSSL_DISPATCH functions[] = {
	    FUNCTION(PROVIDER_QUERY_OPERATION, provider_query), {0, NULL}};

	for (; in->function_id != 0; in++)
		if (in->function_id == OSSL_FUNC_BIO_READ_EX)
			core_read = OSSL_FUNC_BIO_read_ex(in);
	if (core_read == NULL)
		return 0;
	*out = functions;
	*provider = (void *)(uintptr_t)handle; /* not NULL is all that is asked of it */
	return 1;
}

/* -- before the sandbox -- */

/* Everybody else's keys must go on to be the default provider's. */
static bool
is_default(const char *type)
{
	EVP_KEYMGMT *km = EVP_KEYMGMT_fetch(NULL, type, NULL);
	bool is;

	is = km != NULL &&
	     strcmp(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(km)), "default") == 0;
	EVP_KEYMGMT_free(km);
	return is;
}

static int
load_providers(void)
{
	/* What is loaded by name takes the place of what is loaded when nothing is. */
	if ((provider_default = OSSL_PROVIDER_load(NULL, "default")) == NULL ||
	    OSSL_PROVIDER_add_builtin(NULL, PROVIDER, provider_init) != 1 ||
	    (provider_ours = OSSL_PROVIDER_load(NULL, PROVIDER)) == NULL || !is_default("EC") ||
	    !is_default("RSA")) {
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}

int
keyclient_init(void)
{
	if (provider_default != NULL && provider_ours != NULL)
		return 0;
	if (tls_init() == -1 || load_providers() == -1)
		return -1;
	return keyclient_warm_up();
}

#endif

/* SPDX-License-Identifier: ISC */
/* What the vault signs, and the many things next to it that it does not. */
#include "vault/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/bug.h"

#define CONTEXT_13 "TLS 1.3, server CertificateVerify"

struct text {
	uint8_t data[512];
	size_t len;
};

static struct text
tls13(const char *context, size_t hash_len)
{
	struct text t;

	memset(t.data, 0xa5, sizeof(t.data));
	memset(t.data, ' ', 64);
	memcpy(t.data + 64, context, strlen(context) + 1);
	t.len = 64 + strlen(context) + 1 + hash_len;
	return t;
}

static struct text
tls12(uint8_t curve, uint8_t len, uint8_t first)
{
	struct text t;

	memset(t.data, 0xa5, sizeof(t.data));
	t.data[64] = 3;
	t.data[65] = 0;
	t.data[66] = curve;
	t.data[67] = len;
	t.data[68] = first;
	t.len = (size_t)64 + 4 + len;
	return t;
}

static const char *
ask(enum template_key key, enum ipc_scheme scheme, enum ipc_digest digest, const struct text *t)
{
	/* Exactly as much as there is, so that a sanitizer sees what is read past it. */
	uint8_t *copy = test_malloc(t->len + (t->len == 0));
	const char *why;

	memcpy(copy, t->data, t->len);
	why = template_refuses(key, scheme, digest, (struct span){copy, t->len});
	test_free(copy);
	return why;
}

#define EC  IPC_SIGN_ECDSA
#define PSS IPC_SIGN_RSA_PSS
#define P1  IPC_SIGN_RSA_PKCS1

static void
test_schemes(void **state)
{
	static const struct {
		enum template_key key;
		enum ipc_scheme scheme;
		enum ipc_digest digest;
		bool in_12, in_13;
	} rows[] = {
	    {TEMPLATE_P256, EC, IPC_SHA256, true, true},
	    {TEMPLATE_P256, EC, IPC_SHA384, true, false},
	    {TEMPLATE_P256, EC, IPC_SHA512, true, false},
	    {TEMPLATE_P384, EC, IPC_SHA256, true, false},
	    {TEMPLATE_P384, EC, IPC_SHA384, true, true},
	    {TEMPLATE_P384, EC, IPC_SHA512, true, false},
	    {TEMPLATE_P521, EC, IPC_SHA256, true, false},
	    {TEMPLATE_P521, EC, IPC_SHA384, true, false},
	    {TEMPLATE_P521, EC, IPC_SHA512, true, true},
	    {TEMPLATE_P256, PSS, IPC_SHA256, false, false},
	    {TEMPLATE_P256, P1, IPC_SHA256, false, false},
	    {TEMPLATE_RSA, EC, IPC_SHA256, false, false},
	    {TEMPLATE_RSA, PSS, IPC_SHA256, true, true},
	    {TEMPLATE_RSA, PSS, IPC_SHA384, true, true},
	    {TEMPLATE_RSA, PSS, IPC_SHA512, true, true},
	    {TEMPLATE_RSA, P1, IPC_SHA256, true, false},
	    {TEMPLATE_RSA, P1, IPC_SHA384, true, false},
	    {TEMPLATE_RSA, P1, IPC_SHA512, true, false},
	    {TEMPLATE_RSA, IPC_SIGN__MAX, IPC_SHA256, false, false},
	    {TEMPLATE_P256, EC, IPC_DIGEST__MAX, false, false},
	};
	const struct text t12 = tls12(29, 32, 0x00), t13 = tls13(CONTEXT_13, 32);
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		assert_int_equal(
		    ask(rows[i].key, rows[i].scheme, rows[i].digest, &t12) == NULL, rows[i].in_12);
		assert_int_equal(
		    ask(rows[i].key, rows[i].scheme, rows[i].digest, &t13) == NULL, rows[i].in_13);
	}
}

static bool
is_signed(const struct text *t)
{
	bool ec = ask(TEMPLATE_P256, EC, IPC_SHA256, t) == NULL;

	assert_int_equal(ec, ask(TEMPLATE_RSA, PSS, IPC_SHA256, t) == NULL);
	return ec;
}

static void
test_curves(void **state)
{
	static const struct {
		uint8_t curve, len, first;
		bool is_signed;
	} rows[] = {
	    {23, 65, 4, true},
	    {24, 97, 4, true},
	    {25, 133, 4, true},
	    {29, 32, 0, true},
	    {29, 32, 4, true},
	    {30, 56, 0, true},
	    {23, 33, 2, false}, /* compressed */
	    {23, 65, 2, false},
	    {23, 64, 4, false},
	    {23, 66, 4, false},
	    {24, 65, 4, false},
	    {29, 31, 0, false},
	    {29, 33, 0, false},
	    {29, 0, 0, false},
	    {22, 65, 4, false}, /* secp256k1 */
	    {26, 65, 4, false}, /* brainpool */
	    {0, 65, 4, false},
	    {255, 65, 4, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct text t = tls12(rows[i].curve, rows[i].len, rows[i].first);

		assert_int_equal(is_signed(&t), rows[i].is_signed);
		t.data[65] = 1; /* the curve's high octet */
		assert_false(is_signed(&t));
		t.data[65] = 0;
		t.data[64] = 1; /* explicit_prime */
		assert_false(is_signed(&t));
	}
}

/* Any octet that the text fixes, changed; any length but its own. */
static void
test_neighbours(void **state)
{
	static const size_t hashes[] = {32, 48};
	size_t i, n, fixed = 64 + sizeof(CONTEXT_13);
	struct text t;

	(void)state;
	for (i = 0; i < NITEMS(hashes); i++) {
		t = tls13(CONTEXT_13, hashes[i]);
		assert_true(is_signed(&t));
		for (n = 0; n < t.len; n++) {
			t.data[n] ^= 1;
			assert_int_equal(is_signed(&t), n >= fixed);
			t.data[n] ^= 1;
		}
	}
	for (n = 0; n < 300; n++) {
		t = tls13(CONTEXT_13, 32);
		t.len = n;
		assert_int_equal(is_signed(&t), n == fixed + 32 || n == fixed + 48);
		t = tls12(23, 65, 4);
		t.len = n;
		assert_int_equal(is_signed(&t), n == 64 + 4 + 65);
	}
	t = tls12(23, 65, 4);
	for (n = 0; n < t.len; n++) {
		t.data[n] ^= 1;
		assert_int_equal(is_signed(&t), n < 64 || n > 68);
		t.data[n] ^= 1;
	}
}

/* What could be of use to somebody who has the session process. */
static void
test_other_texts(void **state)
{
	static const char *const contexts[] = {"TLS 1.3, client CertificateVerify",
	    "TLS 1.3, Server CertificateVerify", "TLS 1.3, server CertificateVerifx",
	    "TLS 1.3, server delegated credentials", "TLS 1.2, server CertificateVerify"};
	static const uint8_t certificate[] = {0x30, 0x82, 0x01, 0x3b, 0xa0, 0x03, 0x02, 0x01, 0x02};
	struct text t;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(contexts); i++) {
		t = tls13(contexts[i], 32);
		assert_false(is_signed(&t));
	}
	/* A certificate to be, of any length. */
	for (i = sizeof(certificate); i < sizeof(t.data); i++) {
		memset(t.data, 0xa5, sizeof(t.data));
		memcpy(t.data, certificate, sizeof(certificate));
		t.len = i;
		assert_false(is_signed(&t));
	}
	/* DHE parameters of TLS 1.2: p, g, public key, each with two octets of length. */
	t = tls12(0, 65, 4);
	t.data[64] = 0;
	t.data[65] = 32;
	assert_false(is_signed(&t));
	/* Digests as they are. */
	for (i = 0; i <= 64; i += 16) {
		t.len = i;
		assert_false(is_signed(&t));
		assert_false(
		    template_is_digest(TEMPLATE_P256, IPC_SHA256, (struct span){t.data, t.len}));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schemes),
	    cmocka_unit_test(test_curves),
	    cmocka_unit_test(test_neighbours),
	    cmocka_unit_test(test_other_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

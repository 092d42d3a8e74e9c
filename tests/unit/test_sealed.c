/* SPDX-License-Identifier: ISC */
/*
 * What the vault keeps on disk: only what was sealed by this key, under this name, comes out
 * again.  And files on their way, and the assertions of service accounts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/bug.h"
#include "vault/json_doc.h"
#include "vault/jwt.h"
#include "vault/sealed.h"
#include "vault/staged.h"

static const uint8_t key_file[SEALED_KEY_MIN] = {1, 2, 3};
#define PLAIN "{\"refresh_token\":\"secret\"}"

static struct span
text_of(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static struct sealer
sealer(uint8_t first)
{
	uint8_t file[SEALED_KEY_MIN];
	struct sealer s;

	memcpy(file, key_file, sizeof(file));
	file[0] = first;
	assert_int_equal(sealer_set_key(&s, (struct span){file, sizeof(file)}), 0);
	return s;
}

static void
seal(const struct sealer *s, const char *name, struct buf *out)
{
	buf_init(out, IPC_SEALED_MAX);
	assert_int_equal(sealer_seal(s, name, text_of(PLAIN), out), 0);
}

static int
open_with(const struct sealer *s, const char *name, struct span sealed)
{
	struct buf plain;
	int rc;

	buf_init(&plain, IPC_SEALED_MAX);
	errno = 0;
	rc = sealer_open(s, name, sealed, &plain);
	if (rc == 0) {
		assert_int_equal(plain.len, strlen(PLAIN));
		assert_memory_equal(buf_head(&plain), PLAIN, plain.len);
	} else {
		assert_int_equal(plain.len, 0);
	}
	buf_free(&plain);
	return rc;
}

static void
test_sealed(void **state)
{
	struct sealer s = sealer(1), other = sealer(2), none = {0};
	struct buf box, again;
	struct span b;

	(void)state;
	seal(&s, "work", &box);
	seal(&s, "work", &again);
	b = (struct span){buf_head(&box), box.len};
	assert_int_equal(box.len, strlen(PLAIN) + 36);
	assert_int_not_equal(memcmp(b.data, buf_head(&again), b.len), 0);
	assert_null(memmem(b.data, b.len, "secret", 6));
	assert_int_equal(open_with(&s, "work", b), 0);
	assert_int_equal(open_with(&s, "home", b), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(open_with(&other, "work", b), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(open_with(&none, "work", b), -1);
	assert_int_equal(errno, ENOKEY);
	assert_int_equal(sealer_seal(&none, "work", b, &again), -1);
	assert_int_equal(errno, ENOKEY);
	buf_free(&box);
	buf_free(&again);
}

/* Each octet, and each length. */
static void
test_damage(void **state)
{
	struct sealer s = sealer(1);
	struct buf box;
	size_t i;

	(void)state;
	seal(&s, "work", &box);
	for (i = 0; i < box.len; i++) {
		assert_int_equal(open_with(&s, "work", (struct span){buf_head(&box), i}), -1);
		box.data[box.head + i] ^= 1;
		assert_int_equal(open_with(&s, "work", (struct span){buf_head(&box), box.len}), -1);
		box.data[box.head + i] ^= 1;
	}
	assert_int_equal(open_with(&s, "work", (struct span){buf_head(&box), box.len}), 0);
	buf_free(&box);
}

static void
test_lengths(void **state)
{
	static uint8_t big[SEALED_PLAIN_MAX + 1];
	struct sealer s = sealer(1);
	struct buf box, plain;

	(void)state;
	buf_init(&box, IPC_SEALED_MAX);
	buf_init(&plain, IPC_SEALED_MAX);
	assert_int_equal(sealer_seal(&s, "n", (struct span){big, sizeof(big)}, &box), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(sealer_seal(&s, "n", (struct span){big, sizeof(big) - 1}, &box), 0);
	assert_int_equal(box.len, IPC_SEALED_MAX);
	assert_int_equal(sealer_open(&s, "n", (struct span){buf_head(&box), box.len}, &plain), 0);
	assert_int_equal(plain.len, SEALED_PLAIN_MAX);
	buf_free(&plain);
	buf_free(&box);
	buf_init(&box, IPC_SEALED_MAX);
	assert_int_equal(sealer_seal(&s, "n", (struct span){NULL, 0}, &box), 0);
	assert_int_equal(sealer_open(&s, "n", (struct span){buf_head(&box), box.len}, &plain), 0);
	assert_int_equal(plain.len, 0);
	buf_free(&box);
	buf_free(&plain);
	assert_int_equal(sealer_set_key(&s, (struct span){key_file, SEALED_KEY_MIN - 1}), -1);
	assert_false(s.has_key);
}

/* -- files on their way -- */

static int
feed(struct staged_files *f, const char *name, const char *data, bool last)
{
	const struct msg_file_data m = {
	    .kind = IPC_DATA_SEALED, .name = name, .last = last, .data = text_of(data)};

	return staged_feed(f, &m);
}

static void
test_staged(void **state)
{
	struct staged_files *f = staged_create();
	struct span s;
	size_t i;

	(void)state;
	assert_non_null(f);
	assert_int_equal(feed(f, "a", "one", false), 0);
	assert_false(staged_find(f, IPC_DATA_SEALED, "a", &s));
	assert_int_equal(feed(f, "b", "", true), 0);
	assert_int_equal(feed(f, "a", "two", true), 0);
	assert_true(staged_find(f, IPC_DATA_SEALED, "a", &s));
	assert_int_equal(s.len, 6);
	assert_memory_equal(s.data, "onetwo", 6);
	assert_false(staged_find(f, IPC_DATA_SEALED, "b", &s));
	assert_false(staged_find(f, IPC_DATA_OAUTH_KEY, "a", &s));
	assert_int_equal(feed(f, "a", "new", true), 0);
	assert_true(staged_find(f, IPC_DATA_SEALED, "a", &s));
	assert_int_equal(s.len, 3);
	/* Too long: it is as good as not there. */
	for (i = 0; i <= STAGED_FILE_MAX / 1000; i++) {
		char piece[1001] = "";

		memset(piece, 'x', 1000);
		(void)feed(f, "long", piece, false);
	}
	assert_int_equal(feed(f, "long", "", true), 0);
	assert_false(staged_find(f, IPC_DATA_SEALED, "long", &s));
	staged_drop(f);
	assert_false(staged_find(f, IPC_DATA_SEALED, "a", &s));
	staged_free(f);
}

/* -- assertions -- */

static void
make_pem(EVP_PKEY *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &data);
	buf_init(out, 1 << 16);
	assert_int_equal(buf_append(out, data, (size_t)n), 0);
	BIO_free(bio);
}

static struct evp_pkey_st *
read_key(EVP_PKEY *key)
{
	struct evp_pkey_st *read;
	struct buf pem;

	make_pem(key, &pem);
	read = jwt_key_read((struct span){buf_head(&pem), pem.len});
	buf_free(&pem);
	return read;
}

/* base64url without padding. */
static size_t
decode(const char *text, size_t len, uint8_t *dst, size_t size)
{
	char copy[4096];
	size_t i, n;

	assert_in_range(len, 1, sizeof(copy) - 4);
	for (i = 0; i < len; i++)
		copy[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
	while (i % 4 != 0)
		copy[i++] = '=';
	assert_int_equal(base64_decode(copy, i, dst, size, &n), 0);
	return n;
}

static struct json_t *
part(const char *text, size_t len)
{
	uint8_t json[4096];
	struct json_t *j = json_doc_read(json, decode(text, len, json, sizeof(json)));

	assert_non_null(j);
	return j;
}

static void
assert_signed(EVP_PKEY *key, const char *token)
{
	const char *dot = strrchr(token, '.');
	uint8_t signature[1024];
	size_t n = decode(dot + 1, strlen(dot + 1), signature, sizeof(signature));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(
	    EVP_DigestVerify(ctx, signature, n, (const uint8_t *)token, (size_t)(dot - token)), 1);
	EVP_MD_CTX_free(ctx);
}

static void
test_jwt(void **state)
{
	const struct jwt_claims claims = {.issuer = "svc@p.example",
	    .subject = "ann@a.example",
	    .audience = "https://oauth2.example/token",
	    .scope = "https://mail.example/",
	    .key_id = "84E05C1D98BCE3A5421D225B140B36E86A3D5534",
	    .now_s = 1800000000};
	EVP_PKEY *key = EVP_RSA_gen(2048);
	struct evp_pkey_st *own = read_key(key);
	struct json_t *j;
	struct buf out;
	const char *token, *dot;

	(void)state;
	assert_non_null(own);
	buf_init(&out, JWT_MAX);
	assert_int_equal(jwt_make(own, &claims, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	token = (const char *)buf_head(&out);
	dot = strchr(token, '.');
	j = part(token, (size_t)(dot - token));
	assert_string_equal(json_doc_text(j, "alg"), "RS256");
	assert_string_equal(json_doc_text(j, "kid"), claims.key_id);
	assert_string_equal(json_doc_text(j, "x5t"), "hOBcHZi846VCHSJbFAs26Go9VTQ");
	json_doc_free(j);
	j = part(dot + 1, strcspn(dot + 1, "."));
	assert_string_equal(json_doc_text(j, "iss"), "svc@p.example");
	assert_string_equal(json_doc_text(j, "sub"), "ann@a.example");
	assert_string_equal(json_doc_text(j, "aud"), "https://oauth2.example/token");
	assert_string_equal(json_doc_text(j, "scope"), "https://mail.example/");
	assert_int_equal(json_doc_number(j, "iat", 0, INT64_MAX, 0), 1799999990);
	assert_int_equal(json_doc_number(j, "exp", 0, INT64_MAX, 0), 1800000300);
	assert_int_equal(strlen(json_doc_text(j, "jti")), 24);
	json_doc_free(j);
	assert_signed(key, token);
	buf_free(&out);
	jwt_key_free(own);
	EVP_PKEY_free(key);
}

static void
test_keys(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024), *ec = EVP_EC_gen("P-256");

	(void)state;
	assert_null(read_key(weak));
	assert_null(read_key(ec));
	assert_null(jwt_key_read(text_of("")));
	assert_null(jwt_key_read(text_of("-----BEGIN PRIVATE KEY-----\nAAAA\n")));
	EVP_PKEY_free(weak);
	EVP_PKEY_free(ec);
}

static int
prepare(void **state)
{
	(void)state;
	return json_doc_prepare();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_staged),
	    cmocka_unit_test(test_jwt),
	    cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}

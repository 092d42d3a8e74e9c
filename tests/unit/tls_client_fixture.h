/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TLS_CLIENT_FIXTURE_H
#define TESTS_UNIT_TLS_CLIENT_FIXTURE_H

/*
 * Certificates of every kind, made when the tests start, and handshakes of a
 * tls_client with a server in the same process that shows one of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <tls.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "lib/net/io.h"
#include "lib/net/tls_client.h"

#define ROUNDS_MAX 100
#define DAY	   86400L

enum kind {
	GOOD,
	WILD,	   /* *.peer.test */
	SPLIT,	   /* m*.peer.test: a wildcard within a label */
	ADDRESS,   /* 192.0.2.1 */
	OLD_STYLE, /* a common name alone */
	NO_SERVER, /* for clients */
	EXPIRED,
	FUTURE,
	WEAK, /* RSA with 1024 bits */
	SELF, /* by itself */
	STRANGER,
	UNDER,	/* by an authority's authority */
	FORGED, /* with the authority's name, and a signature that is not its own */
	CUT,	/* a name that a NUL seems to end */
	NOISY,	/* a name of which nothing may get into a log as it is */
	CA,
	CA_UNDER,
	CA_STRANGER,
	KINDS
};

static const struct {
	const char *name, *san, *use;
	enum kind signer;
	long from_s, to_s;
	bool ca;
	unsigned int rsa_bits; /* 0: P-256 */
} kinds[KINDS] = {
    [GOOD] = {"peer.test", "DNS:peer.test", "serverAuth", CA, -DAY, DAY, false, 0},
    [WILD] = {"wild", "DNS:*.peer.test", "serverAuth", CA, -DAY, DAY, false, 0},
    [SPLIT] = {"split", "DNS:m*.peer.test", "serverAuth", CA, -DAY, DAY, false, 0},
    [ADDRESS] = {"address", "IP:192.0.2.1", "serverAuth", CA, -DAY, DAY, false, 0},
    [OLD_STYLE] = {"peer.test", NULL, NULL, CA, -DAY, DAY, false, 0},
    [NO_SERVER] = {"peer.test", "DNS:peer.test", "clientAuth", CA, -DAY, DAY, false, 0},
    [EXPIRED] = {"peer.test", "DNS:peer.test", "serverAuth", CA, -2 * DAY, -DAY, false, 0},
    [FUTURE] = {"peer.test", "DNS:peer.test", "serverAuth", CA, DAY, 2 * DAY, false, 0},
    [WEAK] = {"peer.test", "DNS:peer.test", "serverAuth", CA, -DAY, DAY, false, 1024},
    [SELF] = {"peer.test", "DNS:peer.test", "serverAuth", SELF, -DAY, DAY, false, 0},
    [STRANGER] = {"peer.test", "DNS:peer.test", "serverAuth", CA_STRANGER, -DAY, DAY, false, 0},
    [UNDER] = {"peer.test", "DNS:peer.test", "serverAuth", CA_UNDER, -DAY, DAY, false, 0},
    [FORGED] = {"peer.test", "DNS:peer.test", "serverAuth", CA, -DAY, DAY, false, 0},
    [CUT] = {"cut", NULL, "serverAuth", CA, -DAY, DAY, false, 0},
    [NOISY] = {"noisy", NULL, "serverAuth", CA, -DAY, DAY, false, 0},
    [CA] = {"authority", NULL, NULL, CA, -DAY, DAY, true, 0},
    [CA_UNDER] = {"authority under it", NULL, NULL, CA, -DAY, DAY, true, 0},
    [CA_STRANGER] = {"stranger", NULL, NULL, CA_STRANGER, -DAY, DAY, true, 0},
};

static struct {
	EVP_PKEY *key;
	X509 *cert;
} made[KINDS];

/* -- certificates -- */

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	assert_non_null(e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value));
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* A name of any octets, which no text form has. */
static void
add_raw_name(X509 *cert, const char *octets, int len)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	assert_int_equal(ASN1_STRING_set(text, octets, len), 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	assert_true(sk_GENERAL_NAME_push(names, name) > 0);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static void
set_name(X509 *cert, const char *name)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
			     (const unsigned char *)name, -1, -1, 0),
	    1);
}

static void
make(enum kind k)
{
	enum kind by = kinds[k].signer;
	X509 *cert = X509_new();

	assert_non_null(cert);
	made[k].cert = cert;
	made[k].key = kinds[k].rsa_bits > 0 ? EVP_RSA_gen(kinds[k].rsa_bits) : EVP_EC_gen("P-256");
	assert_non_null(made[k].key);
	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)k + 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), kinds[k].from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), kinds[k].to_s));
	set_name(cert, kinds[k].name);
	assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(made[by].cert)), 1);
	assert_int_equal(X509_set_pubkey(cert, made[k].key), 1);
	add_extension(cert, made[by].cert, NID_subject_alt_name, kinds[k].san);
	add_extension(cert, made[by].cert, NID_ext_key_usage, kinds[k].use);
	if (k == CUT)
		add_raw_name(cert, "peer.test\0.evil.example", 23);
	if (k == NOISY)
		add_raw_name(cert, "a\r\nevent=x\x1b[31m\xff\"", 17);
	if (kinds[k].ca)
		add_extension(cert, made[by].cert, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(cert, made[k == FORGED ? CA_STRANGER : by].key, EVP_sha256()) > 0);
}

static int
make_all(void **state)
{
	enum kind k;

	(void)state;
	for (k = CA; k < KINDS; k++)
		make(k);
	for (k = 0; k < CA; k++)
		make(k);
	return 0;
}

static int
free_all(void **state)
{
	enum kind k;

	(void)state;
	for (k = 0; k < KINDS; k++) {
		X509_free(made[k].cert);
		EVP_PKEY_free(made[k].key);
	}
	return 0;
}

/* A certificate in PEM; good until the next call. */
static const char *
pem_of(enum kind k)
{
	static char text[4096];
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(PEM_write_bio_X509(bio, made[k].cert), 1);
	assert_true((n = BIO_read(bio, text, sizeof(text) - 1)) > 0);
	text[n] = '\0';
	BIO_free(bio);
	return text;
}

/* -- one handshake -- */

static long
    allocations_fail_from; /* counted down to the one that fails; for who replaces malloc(3) */

#define CHAIN_MAX 4
struct scene {
	enum kind shown;	    /* by the server */
	enum kind chain[CHAIN_MAX]; /* and what it sends with it */
	size_t nchain;
	bool
	    small_group; /* the server knows TLS 1.2 and Diffie-Hellman with 1024 bits, no better */
	long fails_at;	 /* this allocation of OpenSSL's from the connection on fails; 0: none */
	struct tls_want want;
};

struct result {
	int rc; /* 0: both sides are through; -1: the client gave up; -2: it waits for ever */
	struct tls_judgement judged;
	char error[160];
	char sni[256]; /* that the client indicated */
};

static void
on_end(void *arg, struct io *io, enum io_end why)
{
	(void)arg;
	(void)io;
	(void)why;
}

static const struct io_callbacks callbacks = {.on_end = on_end};

static int
on_sni(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct result *r = arg;

	(void)alert;
	(void)snprintf(r->sni, sizeof(r->sni), "%s", name != NULL ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
server_create(const struct scene *s, struct result *r)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	size_t i;

	assert_non_null(server);
	SSL_CTX_set_security_level(server, 0);
	assert_int_equal(SSL_CTX_use_certificate(server, made[s->shown].cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, made[s->shown].key), 1);
	for (i = 0; i < s->nchain; i++)
		assert_int_equal(SSL_CTX_add1_chain_cert(server, made[s->chain[i]].cert), 1);
	if (s->small_group) {
		(void)SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
		(void)SSL_CTX_set_dh_auto(server, 2);
		assert_int_equal(SSL_CTX_set_cipher_list(server, "DHE"), 1);
	}
	(void)SSL_CTX_set_mode(server, SSL_MODE_NO_AUTO_CHAIN);
	(void)SSL_CTX_set_tlsext_servername_callback(server, on_sni);
	(void)SSL_CTX_set_tlsext_servername_arg(server, r);
	return server;
}

static int
handshake(struct tls *client, SSL *server)
{
	int round, c = TLS_WANT_POLLIN, s = 0;

	for (round = 0; round < ROUNDS_MAX; round++) {
		if (c == TLS_WANT_POLLIN || c == TLS_WANT_POLLOUT)
			c = tls_handshake(client);
		if (c == -1)
			return -1;
		if (s != 1)
			s = SSL_accept(server);
		if (c == 0 && s == 1)
			return 0;
	}
	return -2;
}

/* client: made for io, or NULL. */
static void
play_connected(struct result *r, struct tls *client, SSL *accepted)
{
	r->rc = client != NULL ? handshake(client, accepted) : -1;
	if (r->rc == 0)
		tls_client_judge(client, &r->judged);
	if (client != NULL)
		assert_ptr_equal(tls_client_error(client, r->error, sizeof(r->error)), r->error);
}

static struct result
play(struct tls_client *t, const struct scene *s)
{
	struct event_base *base = event_base_new();
	struct result r = {0};
	SSL_CTX *server = server_create(s, &r);
	SSL *accepted = SSL_new(server);
	struct tls *client;
	struct io *io;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(SSL_set_fd(accepted, pair[1]), 1);
	assert_non_null(io = io_create(base, pair[0], &callbacks, NULL));
	allocations_fail_from = s->fails_at;
	client = tls_client_connect(t, io, &s->want);
	assert_true(client != NULL || s->fails_at > 0);
	play_connected(&r, client, accepted);
	allocations_fail_from = 0;
	assert_true(r.rc != -2 || s->fails_at > 0);
	tls_free(client);
	SSL_free(accepted);
	SSL_CTX_free(server);
	io_free(io);
	event_base_free(base);
	(void)close(pair[1]);
	return r;
}

static struct tls_client *
client_create(void)
{
	struct tls_client *t = tls_client_create();
	const char *pem = pem_of(CA);

	assert_non_null(t);
	assert_int_equal(tls_client_set_ca(t, pem, strlen(pem)), 0);
	return t;
}

#endif

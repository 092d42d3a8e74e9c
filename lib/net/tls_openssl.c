/* SPDX-License-Identifier: ISC */
/*
 * What libretls does not do with OpenSSL, seen to by OpenSSL's own hooks: an
 * index of application data is told of each SSL_CTX and SSL that is made.
 *
 * - Record buffers are given back when a connection is idle.
 * - What was deciphered is overwritten when it has been read: it may be a password.
 * - Sessions are resumed by tickets alone: a cache would hold their secrets.
 * - SHA-256 comes first in TLS 1.3: a handshake costs less, and is no weaker.
 * - Tickets: the callback of libretls answers as LibreSSL wants it, which to
 *   OpenSSL means that there is none.  The newer callback goes before it.
 *
 * Their keys are static, for the callback is given nothing else that all contexts
 * share.  Invariant: the newest key seals; that and the one before it open.
 */
#include "lib/net/tls_library.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <string.h>
#include <tls.h>

#define KEYS 2

struct ticket_key {
	uint8_t name[16]; /* what a ticket says that it was sealed with */
	uint8_t aes[SHA256_DIGEST_LENGTH], mac[SHA256_DIGEST_LENGTH];
};

#define CIPHERSUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

static SSL *newest; /* of the connections */
static EVP_CIPHER *cipher_of_tickets;
static struct ticket_key keys[KEYS]; /* the newest first */
static size_t nkeys;

/* -- session tickets -- */

static void
derive(const uint8_t key[TLS_TICKET_KEY], uint8_t purpose, uint8_t out[SHA256_DIGEST_LENGTH])
{
	uint8_t text[TLS_TICKET_KEY + 1];

	memcpy(text, key, TLS_TICKET_KEY);
	text[TLS_TICKET_KEY] = purpose;
	(void)SHA256(text, sizeof(text), out);
	explicit_bzero(text, sizeof(text));
}

void
tls_library_ticket_key(uint32_t revision, const uint8_t key[TLS_TICKET_KEY])
{
	uint8_t name[SHA256_DIGEST_LENGTH];

	(void)revision;
	derive(key, 'n', name);
	if (nkeys > 0 && memcmp(keys[0].name, name, sizeof(keys[0].name)) == 0)
		return;
	keys[1] = keys[0];
	nkeys = nkeys < KEYS ? nkeys + 1 : KEYS;
	memcpy(keys[0].name, name, sizeof(keys[0].name));
	derive(key, 'a', keys[0].aes);
	derive(key, 'm', keys[0].mac);
}

static int
start_mac(const struct ticket_key *key, EVP_MAC_CTX *mac)
{
	OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
				   (void *)(uintptr_t)key->mac, sizeof(key->mac)),
	    OSSL_PARAM_construct_utf8_string(
		OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
	    OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, params);
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 trouble, 0 no ticket, 1 done, 2 done and to be renewed. */
static int
seal(uint8_t name[16], uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (nkeys == 0)
		return 0;
	memcpy(name, keys[0].name, sizeof(keys[0].name));
	if (RAND_bytes(iv, 16) != 1 ||
	    EVP_EncryptInit_ex(cipher, cipher_of_tickets, NULL, keys[0].aes, iv) != 1 ||
	    start_mac(&keys[0], mac) != 1)
		return -1;
	return 1;
}

static int
open_sealed(const uint8_t name[16], const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	size_t i;

	for (i = 0; i < nkeys; i++) {
		if (memcmp(name, keys[i].name, sizeof(keys[i].name)) != 0)
			continue;
		if (EVP_DecryptInit_ex(cipher, cipher_of_tickets, NULL, keys[i].aes, iv) != 1 ||
		    start_mac(&keys[i], mac) != 1)
			return -1;
		return i == 0 ? 1 : 2;
	}
	return 0; /* too old, or not ours: a whole handshake, then */
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int sealing)
{
	int rc;

	if (sealing)
		return seal(name, iv, cipher, mac);
	rc = open_sealed(name, iv, cipher, mac);
	/* A ticket of TLS 1.3 is for one use (RFC 8446 C.4): the client is given another. */
	return rc == 1 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : rc;
}

/* -- what each context and each connection is told -- */

static void
on_context(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	SSL_CTX *ctx = parent;

	(void)data;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES);
	(void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

/* One ticket is enough for a client that comes back: mail has no use for several at once. */
static void
on_connection(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)data;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	newest = parent;
	(void)SSL_set_num_tickets(
	    parent, (SSL_get_options(parent) & SSL_OP_NO_TICKET) != 0 ? 0 : 1);
}

int
tls_library_init(void)
{
	cipher_of_tickets = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (cipher_of_tickets != NULL &&
	    SSL_CTX_get_ex_new_index(0, NULL, on_context, NULL, NULL) != -1 &&
	    SSL_get_ex_new_index(0, NULL, on_connection, NULL, NULL) != -1)
		return 0;
	errno = ENOMEM;
	return -1;
}

void *
tls_library_connection(void)
{
	SSL *ssl = newest;

	newest = NULL;
	return ssl;
}

/* Before TLS 1.3 there are two ways to say that there is no context, and two results. */
int
tls_library_exporter(void *connection, uint8_t out[TLS_EXPORTER_SIZE])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (connection == NULL || SSL_version(connection) < TLS1_3_VERSION ||
	    SSL_export_keying_material(connection, out, TLS_EXPORTER_SIZE, label, sizeof(label) - 1,
		(const uint8_t *)"", 0, 1) != 1)
		return -1;
	return 0;
}

int
tls_library_configure(struct tls_config *config)
{
	(void)config;
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * TLS with clients, by libtls.
 *
 * Invariants: a context is complete, or it is not used; a reload makes new
 * ones, and connections keep what they have.
 */
#include "lib/net/tls_server.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/key/keyclient.h"
#include "lib/net/io.h"
#include "lib/net/tls_library.h"

#define LIFETIME_MIN_S 4 /* libtls takes no less */
/* Of TLS 1.2: forward secrecy always; CBC at the end, for senders who would else come in plain. */
#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!AESCCM:!aNULL"

struct tls_server {
	unsigned int refs;
	struct tls_config *config;
	struct tls *tls; /* NULL until ready */
	size_t nkeypairs;
	const char *error; /* static, or the configuration's own */
};

int
tls_server_init(void)
{
	return tls_init() == -1 ? -1 : tls_library_init();
}

/* -- making one -- */

struct tls_server *
tls_server_create(void)
{
	struct tls_server *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->refs = 1;
	t->error = "";
	if ((t->config = tls_config_new()) != NULL)
		return t;
	free(t);
	errno = ENOMEM;
	return NULL;
}

struct tls_server *
tls_server_hold(struct tls_server *t)
{
	if (t != NULL)
		t->refs++;
	return t;
}

void
tls_server_release(struct tls_server *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	tls_free(t->tls);
	tls_config_free(t->config);
	free(t);
}

static int
failed(struct tls_server *t, const char *why)
{
	t->error = why != NULL ? why : "no reason is known";
	errno = EINVAL;
	return -1;
}

static int
config_failed(struct tls_server *t)
{
	return failed(t, tls_config_error(t->config));
}

int
tls_server_add(struct tls_server *t, struct span cert, struct span key, struct span ocsp)
{
	struct tls_config *c = t->config;
	const uint8_t *staple = ocsp.len > 0 ? ocsp.data : NULL;
	int rc;

	rc = t->nkeypairs == 0 ? tls_config_set_keypair_ocsp_mem(
				     c, cert.data, cert.len, key.data, key.len, staple, ocsp.len)
			       : tls_config_add_keypair_ocsp_mem(
				     c, cert.data, cert.len, key.data, key.len, staple, ocsp.len);
	if (rc == -1)
		return config_failed(t);
	t->nkeypairs++;
	return 0;
}

static int
set_protocols(struct tls_config *c, const char *text)
{
	uint32_t protocols = TLS_PROTOCOLS_DEFAULT;

	if (text != NULL && tls_config_parse_protocols(&protocols, text) == -1)
		return -1;
	protocols &= TLS_PROTOCOLS_DEFAULT; /* whatever was said: nothing older than 1.2 */
	return tls_config_set_protocols(c, protocols);
}

/* RFC 5246 7.4.1.2, RFC 8446 4.6.1: who may come in by resumption is who could come in there. */
static int
set_resumption(struct tls_config *c, const struct tls_server_options *o)
{
	uint8_t words[2 * SHA256_DIGEST_LENGTH], id[SHA256_DIGEST_LENGTH];
	const char *context = o->context == NULL ? "" : o->context;

	if (o->ticket_lifetime_s == 0)
		return 0;
	/* Other authorities, other clients: what the old ones let in does not come back. */
	(void)SHA256((const uint8_t *)context, strlen(context), words);
	(void)SHA256(o->ca.data, o->ca.len, words + SHA256_DIGEST_LENGTH);
	(void)SHA256(words, sizeof(words), id);
	if (tls_config_set_session_id(c, id, sizeof(id)) == -1)
		return -1;
	return tls_config_set_session_lifetime(
	    c, o->ticket_lifetime_s < LIFETIME_MIN_S ? LIFETIME_MIN_S : o->ticket_lifetime_s);
}

static int
set_clients(struct tls_config *c, const struct tls_server_options *o)
{
	if (o->ca.len == 0)
		return 0;
	if (tls_config_set_ca_mem(c, o->ca.data, o->ca.len) == -1)
		return -1;
	if (o->verify)
		tls_config_verify_client(c);
	else
		tls_config_verify_client_optional(c);
	return 0;
}

int
tls_server_ready(struct tls_server *t, const struct tls_server_options *o)
{
	struct tls_config *c = t->config;

	if (t->nkeypairs == 0)
		return failed(t, "there is no certificate");
	if (set_protocols(c, o->protocols) == -1 ||
	    tls_config_set_ciphers(c, o->ciphers != NULL ? o->ciphers : CIPHERS_DEFAULT) == -1 ||
	    (o->curves != NULL && tls_config_set_ecdhecurves(c, o->curves) == -1) ||
	    set_resumption(c, o) == -1 || set_clients(c, o) == -1)
		return config_failed(t);
	tls_config_prefer_ciphers_server(c);
	if (keyclient_configure(c) == -1 || tls_library_configure(c) == -1 ||
	    (t->tls = tls_server()) == NULL)
		return failed(t, "out of memory");
	if (tls_configure(t->tls, c) == -1)
		return failed(t, tls_error(t->tls));
	return 0;
}

const char *
tls_server_error(const struct tls_server *t)
{
	return t->error;
}

struct tls *
tls_server_accept(struct tls_server *t, struct io *io)
{
	struct tls *tls = NULL;

	if (tls_accept_cbs(t->tls, &tls, io_tls_read, io_tls_write, io) == 0)
		return tls;
	errno = ENOMEM;
	return NULL;
}

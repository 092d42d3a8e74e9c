/* SPDX-License-Identifier: ISC */
/*
 * TLS towards other servers: what they may speak, whose word is taken for who
 * they are, and which TLSA records can be used.  How a certificate is judged
 * is told to the library beneath libtls (tls_client_private.h).
 *
 * Invariants: what was asked to be verified is never connected unverified;
 * authorities are parsed once, not once a connection.
 */
#include "lib/net/tls_client.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/base/str.h"
#include "lib/net/tls_client_private.h"

enum { SELECTOR_CERT, SELECTOR_SPKI, SELECTORS };
enum { MATCHING_FULL, MATCHING_SHA256, MATCHING_SHA512 };

struct authority {
	struct authority *next;
	char *name;
	struct tls_trust *trust;
};

struct tls_client {
	struct tls_config *config;
	struct tls_trust *trust; /* NULL: no certificates to verify by */
	struct authority *authorities;
};

static ssize_t
read_nothing(struct tls *tls, void *buf, size_t len, void *arg)
{
	(void)tls;
	(void)buf;
	(void)len;
	(void)arg;
	return -1;
}

static ssize_t
write_nothing(struct tls *tls, const void *buf, size_t len, void *arg)
{
	(void)tls;
	(void)buf;
	(void)len;
	(void)arg;
	return -1;
}

/*
 * Makes a connection to nobody ready and throws it away: only then is every
 * part of a configuration looked at, and OpenSSL reads its files.
 */
static int
try_config(struct tls_config *config)
{
	struct tls *tls;
	int rc;

	if ((tls = tls_client()) == NULL)
		return -1;
	rc = tls_configure(tls, config);
	if (rc == 0)
		rc = tls_connect_cbs(tls, read_nothing, write_nothing, NULL, "localhost");
	tls_free(tls);
	return rc;
}

/*
 * "compat": the servers of strangers are older than one would wish; TLS 1.2 is the floor.
 * libtls itself is to verify nothing: it knows one name, and no TLSA records.
 */
static struct tls_config *
create_config(void)
{
	struct tls_config *config;

	if ((config = tls_config_new()) == NULL)
		return NULL;
	tls_config_insecure_noverifycert(config);
	tls_config_insecure_noverifyname(config);
	if (tls_config_set_ciphers(config, "compat") == 0 && try_config(config) == 0)
		return config;
	tls_config_free(config);
	return NULL;
}

struct tls_client *
tls_client_create(void)
{
	struct tls_client *t;

	if (tls_init() == -1 || tls_client_start() == -1 || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	if ((t->config = create_config()) != NULL)
		return t;
	free(t);
	return NULL;
}

/* -- authorities -- */

static int
replace_trust(struct tls_trust **trust, const void *ca, size_t len)
{
	struct tls_trust *fresh;

	if ((fresh = tls_trust_parse(ca, len)) == NULL)
		return -1;
	tls_trust_free(*trust);
	*trust = fresh;
	return 0;
}

static void
free_authority(struct authority *a)
{
	tls_trust_free(a->trust);
	free(a->name);
	free(a);
}

static struct authority *
find_authority(const struct tls_client *t, const char *name)
{
	struct authority *a;

	for (a = t->authorities; a != NULL; a = a->next)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

int
tls_client_set_ca(struct tls_client *t, const void *ca, size_t len)
{
	return replace_trust(&t->trust, ca, len);
}

int
tls_client_add_ca(struct tls_client *t, const char *name, const void *ca, size_t len)
{
	struct authority *a = find_authority(t, name);

	if (a != NULL)
		return replace_trust(&a->trust, ca, len);
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return -1;
	if ((a->name = strdup(name)) == NULL || replace_trust(&a->trust, ca, len) == -1) {
		free_authority(a);
		return -1;
	}
	a->next = t->authorities;
	t->authorities = a;
	return 0;
}

bool
tls_client_can_verify(const struct tls_client *t)
{
	return t->trust != NULL;
}

void
tls_client_free(struct tls_client *t)
{
	struct authority *a;

	if (t == NULL)
		return;
	while ((a = t->authorities) != NULL) {
		t->authorities = a->next;
		free_authority(a);
	}
	tls_trust_free(t->trust);
	tls_config_free(t->config);
	free(t);
}

/* -- connections -- */

static const struct tls_trust *
trust_for(const struct tls_client *t, const struct tls_want *want)
{
	const struct authority *a;

	if (want->ca == NULL)
		return t->trust;
	a = find_authority(t, want->ca);
	return a != NULL ? a->trust : NULL;
}

struct tls *
tls_client_connect(struct tls_client *t, struct io *io, const struct tls_want *want)
{
	const struct tls_trust *trust = trust_for(t, want);
	bool by_names = want->check == TLS_CHECK_NAMES;

	if ((by_names && (trust == NULL || want->nnames == 0)) || want->nnames > TLS_NAMES_MAX) {
		errno = trust == NULL ? ENOENT : EINVAL;
		return NULL;
	}
	return tls_client_open(t->config, io, want, trust);
}

/* -- TLSA records -- */

/* Data that is no certificate, or no key, is that of a malformed record (RFC 6698 4.1). */
static bool
is_der(const struct tls_record *r)
{
	const uint8_t *p = r->data;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	bool ok;

	if (r->size == 0 || r->size > LONG_MAX)
		return false;
	if (r->selector == SELECTOR_CERT)
		ok = (cert = d2i_X509(NULL, &p, (long)r->size)) != NULL &&
		     X509_get0_pubkey(cert) != NULL;
	else
		ok = (key = d2i_PUBKEY(NULL, &p, (long)r->size)) != NULL;
	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok && p == r->data + r->size;
}

bool
tls_record_is_usable(const struct tls_record *r)
{
	if ((r->usage != TLSA_DANE_TA && r->usage != TLSA_DANE_EE) || r->selector >= SELECTORS)
		return false;
	if (!tls_client_has_dane())
		return false;
	switch (r->matching) {
	case MATCHING_FULL:
		return is_der(r);
	case MATCHING_SHA256:
		return r->size == SHA256_DIGEST_LENGTH;
	case MATCHING_SHA512:
		return r->size == SHA512_DIGEST_LENGTH;
	default:
		return false;
	}
}

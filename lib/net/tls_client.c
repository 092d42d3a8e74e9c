/* SPDX-License-Identifier: ISC */
/*
 * TLS towards other servers: one configuration that verifies, and one that
 * only encrypts, for those of whom nothing is known (RFC 7435).
 *
 * Invariant: what was asked to be verified is never connected unverified.
 */
#include "lib/net/tls_client.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <tls.h>

struct tls_client {
	struct tls_config *verifying; /* NULL: no usable bundle */
	struct tls_config *encrypting;
};

/* Builds a context and throws it away: errors show, and OpenSSL reads its files now. */
static int
try_config(struct tls_config *config)
{
	struct tls *tls;
	int rc;

	if ((tls = tls_client()) == NULL)
		return -1;
	rc = tls_configure(tls, config);
	tls_free(tls);
	return rc;
}

/* "compat": the servers of strangers are older than one would wish; TLS 1.2 is the floor. */
static struct tls_config *
create_encrypting(void)
{
	struct tls_config *config;

	if ((config = tls_config_new()) == NULL)
		return NULL;
	tls_config_insecure_noverifycert(config);
	tls_config_insecure_noverifyname(config);
	tls_config_insecure_noverifytime(config);
	if (tls_config_set_ciphers(config, "compat") == 0 && try_config(config) == 0)
		return config;
	tls_config_free(config);
	return NULL;
}

static struct tls_config *
create_verifying(const void *ca, size_t len)
{
	struct tls_config *config;

	if ((config = tls_config_new()) == NULL)
		return NULL;
	if (tls_config_set_ca_mem(config, ca, len) == 0 && try_config(config) == 0)
		return config;
	tls_config_free(config);
	return NULL;
}

struct tls_client *
tls_client_create(const void *ca, size_t len, int *ca_error)
{
	struct tls_client *t;

	*ca_error = 0;
	if (tls_init() == -1 || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	if ((t->encrypting = create_encrypting()) == NULL) {
		free(t);
		return NULL;
	}
	if (len > 0 && (t->verifying = create_verifying(ca, len)) == NULL)
		*ca_error = -1;
	return t;
}

void
tls_client_free(struct tls_client *t)
{
	if (t == NULL)
		return;
	tls_config_free(t->verifying);
	tls_config_free(t->encrypting);
	free(t);
}

bool
tls_client_can_verify(const struct tls_client *t)
{
	return t->verifying != NULL;
}

struct tls *
tls_client_connect(struct tls_client *t, int fd, const char *host, bool verify)
{
	struct tls_config *config = verify ? t->verifying : t->encrypting;
	struct tls *tls;

	if (config == NULL) {
		errno = ENOENT;
		return NULL;
	}
	if ((tls = tls_client()) == NULL)
		return NULL;
	if (tls_configure(tls, config) == 0 && tls_connect_socket(tls, fd, host) == 0)
		return tls;
	tls_free(tls);
	errno = EPROTO;
	return NULL;
}

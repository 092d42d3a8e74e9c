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

#include "lib/net/io.h"

struct tls_client {
	struct tls_config *verifying; /* NULL: no certificates to verify by */
	struct tls_config *encrypting;
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
tls_client_create(void)
{
	struct tls_client *t;

	if (tls_init() == -1 || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	if ((t->encrypting = create_encrypting()) != NULL)
		return t;
	free(t);
	return NULL;
}

/* A context that uses the old configuration keeps it alive. */
int
tls_client_set_ca(struct tls_client *t, const void *ca, size_t len)
{
	struct tls_config *config;

	if (len == 0 || (config = create_verifying(ca, len)) == NULL) {
		errno = EINVAL;
		return -1;
	}
	tls_config_free(t->verifying);
	t->verifying = config;
	return 0;
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
tls_client_connect(struct tls_client *t, struct io *io, const char *host, bool verify)
{
	struct tls_config *config = verify ? t->verifying : t->encrypting;
	struct tls *tls;

	if (config == NULL) {
		errno = ENOENT;
		return NULL;
	}
	if ((tls = tls_client()) == NULL)
		return NULL;
	if (tls_configure(tls, config) == 0 &&
	    tls_connect_cbs(tls, io_tls_read, io_tls_write, io, host) == 0)
		return tls;
	tls_free(tls);
	errno = EPROTO;
	return NULL;
}

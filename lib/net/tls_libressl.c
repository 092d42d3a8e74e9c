/* SPDX-License-Identifier: ISC */
/*
 * What LibreSSL's own libtls has to be told: the keys of session tickets, by
 * each configuration.  Written to tls_config_set_session_id(3); never built here.
 *
 * Invariant: as in tls_openssl.c, the newest key seals, and the one before it opens.
 * A configuration has the keys that there were when it was made: a key that comes
 * later is used by those of the next reload.
 */
#include <errno.h>
#include <string.h>
#include <tls.h>

#include "lib/net/tls_library.h"

#define KEYS 2

static struct ticket_key {
	uint32_t revision;
	uint8_t key[TLS_TICKET_KEY];
} keys[KEYS]; /* the oldest first */
static size_t nkeys;

int
tls_library_init(void)
{
	return 0;
}

void
tls_library_ticket_key(uint32_t revision, const uint8_t key[TLS_TICKET_KEY])
{
	if (nkeys == KEYS)
		keys[0] = keys[--nkeys];
	keys[nkeys].revision = revision;
	memcpy(keys[nkeys++].key, key, TLS_TICKET_KEY);
}

void *
tls_library_connection(void)
{
	return NULL;
}

int
tls_library_exporter(void *connection, uint8_t out[TLS_EXPORTER_SIZE])
{
	(void)connection;
	(void)out;
	return -1;
}

int
tls_library_configure(struct tls_config *config)
{
	size_t i;

	for (i = 0; i < nkeys; i++)
		if (tls_config_add_ticket_key(
			config, keys[i].revision, keys[i].key, TLS_TICKET_KEY) == -1) {
			errno = EINVAL;
			return -1;
		}
	return 0;
}

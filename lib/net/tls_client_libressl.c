/* SPDX-License-Identifier: ISC */
/*
 * Whom TLS is with, as far as LibreSSL's own libtls can tell: a name of the
 * host, by the authorities, where that is demanded.  It has no TLSA records, so
 * that none is usable, and where nothing is demanded nothing is judged.  Never
 * built here.
 *
 * libtls does not say what a connection was to be: that is noted by its address.  Who is
 * freed leaves its note behind, and the next connection at that address takes it over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/base/str.h"
#include "lib/net/io.h"
#include "lib/net/tls_client.h"
#include "lib/net/tls_client_private.h"

struct tls_trust {
	struct tls_config *config; /* of libtls: it counts who uses it */
};

struct note {
	struct note *next;
	const struct tls *tls;
	bool by_names;
};

static struct note *notes; /* as many as there ever were connections at once */

int
tls_client_start(void)
{
	return 0;
}

struct tls_trust *
tls_trust_parse(const void *pem, size_t len)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));
	struct tls *tls = tls_client();

	if (trust != NULL && tls != NULL && len > 0 && (trust->config = tls_config_new()) != NULL &&
	    tls_config_set_ca_mem(trust->config, pem, len) == 0 &&
	    tls_config_set_ciphers(trust->config, "compat") == 0 &&
	    tls_configure(tls, trust->config) == 0) {
		tls_free(tls);
		return trust;
	}
	tls_free(tls);
	tls_trust_free(trust);
	errno = EINVAL;
	return NULL;
}

void
tls_trust_free(struct tls_trust *trust)
{
	if (trust == NULL)
		return;
	tls_config_free(trust->config);
	free(trust);
}

static struct note *
find_note(const struct tls *tls)
{
	struct note *n;

	for (n = notes; n != NULL && n->tls != tls; n = n->next)
		;
	return n;
}

static int
note(const struct tls *tls, bool by_names)
{
	struct note *n = find_note(tls);

	if (n == NULL) {
		if ((n = calloc(1, sizeof(*n))) == NULL)
			return -1;
		n->tls = tls;
		n->next = notes;
		notes = n;
	}
	n->by_names = by_names;
	return 0;
}

struct tls *
tls_client_open(const struct tls_config *config, struct io *io, const struct tls_want *want,
    const struct tls_trust *trust)
{
	bool by_names = want->check == TLS_CHECK_NAMES;
	struct tls_config *c = by_names ? trust->config : (struct tls_config *)(uintptr_t)config;
	struct tls *tls;

	if (want->check == TLS_CHECK_RECORDS) {
		errno = ENOTSUP;
		return NULL;
	}
	if ((tls = tls_client()) == NULL)
		return NULL;
	if (note(tls, by_names) == 0 && tls_configure(tls, c) == 0 &&
	    tls_connect_cbs(
		tls, io_tls_read, io_tls_write, io, by_names ? want->names[0] : want->host) == 0)
		return tls;
	tls_free(tls);
	errno = EPROTO;
	return NULL;
}

bool
tls_client_is_up(struct tls *tls)
{
	const char *cipher = tls_conn_cipher(tls);

	return tls_peer_cert_provided(tls) == 1 && cipher != NULL && strcmp(cipher, "(NONE)") != 0;
}

static void
copy(char *dst, size_t size, const char *src)
{
	str_escape(dst, size, src != NULL ? src : "", src != NULL ? strlen(src) : 0);
}

void
tls_client_judge(struct tls *tls, struct tls_judgement *out)
{
	const struct note *n = find_note(tls);

	*out = (struct tls_judgement){0};
	out->by_names = n != NULL && n->by_names;
	copy(out->protocol, sizeof(out->protocol), tls_conn_version(tls));
	copy(out->cipher, sizeof(out->cipher), tls_conn_cipher(tls));
	copy(out->fingerprint, sizeof(out->fingerprint), tls_peer_cert_hash(tls));
	if (!out->by_names)
		str_cut(out->why, sizeof(out->why), "not asked for");
}

const char *
tls_client_error(struct tls *tls, char *dst, size_t size)
{
	const char *text = tls_error(tls);

	if (text == NULL)
		text = "the other side hung up";
	str_escape(dst, size, text, strlen(text));
	return dst;
}

bool
tls_client_has_dane(void)
{
	return false;
}

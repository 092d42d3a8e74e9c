/* SPDX-License-Identifier: ISC */
/*
 * TLS with a client: STARTTLS, and TLS from the first octet.
 *
 * Invariants: what a client said before TLS is forgotten (RFC 3207 4.2), and
 * what it said too early ends the connection (CVE-2011-0411); there is no way
 * back to plain.  A handshake has a time of its own, however it trickles.
 */
#include <ctype.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/key/keyclient.h"
#include "lib/net/tls_library.h"
#include "lib/net/tls_server.h"
#include "session/session.h"

#define HANDSHAKE_TIMEOUT_MS 30000
#define PEER_NAMES_MAX	     16 /* addresses of one certificate that are looked at */

bool
tls_is_offered(const struct session *s)
{
	return s->policy->tls_offered && !s->policy->smtps && io_tls(s->io) == NULL;
}

/* -- the handshake -- */

static void
on_late(evutil_socket_t sock, short what, void *arg)
{
	struct session *s = arg;

	(void)sock;
	(void)what;
	s->program->handshakes_failed++;
	session_bury(s);
}

static int
expect_end(struct session *s)
{
	const struct timeval tv = {HANDSHAKE_TIMEOUT_MS / 1000, 0};

	s->timer = event_new(service_base(s->program->service), -1, 0, on_late, s);
	return s->timer == NULL || event_add(s->timer, &tv) == -1 ? -1 : 0;
}

static void
handshake(struct session *s, bool with_input)
{
	struct tls *tls = tls_server_accept(s->policy->tls, s->io);

	if (tls == NULL) {
		session_bury(s);
		return;
	}
	s->connection = tls_library_connection();
	if (with_input)
		io_start_tls_with_input(s->io, tls);
	else if (io_start_tls(s->io, tls)) {
		/* CVE-2011-0411: it spoke on where it had to wait. */
		s->program->early++;
		session_bury(s);
	}
}

void
tls_begin(struct session *s)
{
	if (s->policy->tls == NULL) {
		session_bury(s); /* the log has said why; to it a word in plain would be noise */
		return;
	}
	session_enter(s, STATE_HANDSHAKE);
	if (expect_end(s) == -1)
		session_bury(s);
	else
		handshake(s, true);
}

/* The key that signed is known in the moment that it did so, for handshakes interleave. */
void
tls_step(struct session *s)
{
	const char *key = keyclient_last();

	if (key != NULL) {
		free(s->pki);
		s->pki = strdup(key);
	}
	keyclient_forget();
}

static void
log_handshake(const struct session *s, const char *event, const char *why)
{
	char client[ADDR_TEXT_MAX], text[TLS_TEXT_MAX];
	struct logline l;

	addr_format(&s->peer, client);
	/* What came of one that succeeded is told with the message. */
	logline_start(&l, why == NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, event);
	logline_str(&l, "client", client);
	if (why != NULL)
		logline_str(&l, "why", why);
	else {
		tls_text(s, text);
		logline_str(&l, "tls", text);
		logline_str(&l, "resumed", tls_conn_session_resumed(io_tls(s->io)) ? "yes" : "no");
	}
	logline_end(&l);
}

/* RFC 3207 4.2: nothing that it said before counts. */
static void
forget_hello(struct session *s)
{
	free(s->helo);
	s->helo = NULL;
	free(s->auth);
	s->auth = NULL;
	s->extended = s->owns_sender = false;
	s->junk = s->door_junk;
	s->bypass = s->door_bypass;
}

void
tls_ready(struct session *s)
{
	if (s->buried)
		return;
	event_free(s->timer);
	s->timer = NULL;
	s->program->handshakes++;
	s->program->resumed += tls_conn_session_resumed(io_tls(s->io)) ? 1 : 0;
	log_handshake(s, "tls", NULL);
	if (s->policy->smtps) {
		door_greet(s);
		return;
	}
	forget_hello(s);
	session_enter(s, STATE_NEW);
	s->heard_ms = service_now_ms(s->program->service);
}

void
tls_failed(struct session *s)
{
	const char *why = tls_error(io_tls(s->io));

	if (s->state != STATE_HANDSHAKE)
		return;
	s->program->handshakes_failed++;
	log_handshake(s, "tls-failed", why == NULL ? "the client left" : why);
}

/* -- STARTTLS: some clients say it before EHLO, which RFC 3207 4 does not forbid -- */

void
cmd_starttls(struct session *s, const struct command *c)
{
	(void)c;
	if (io_tls(s->io) != NULL)
		session_reply(s, REPLY_TLS_ALREADY);
	else if (!s->policy->tls_offered)
		session_reply(s, REPLY_NOT_IMPLEMENTED);
	else if (s->policy->tls == NULL)
		session_reply(s, REPLY_TLS_TROUBLE);
	else {
		session_enter(s, STATE_HANDSHAKE);
		session_reply(s, REPLY_START_TLS);
		/* The time begins now: who does not read the reply has not much of it either. */
		if (!s->buried && expect_end(s) == -1)
			session_bury(s);
	}
}

/* The last octet in plain is out. */
void
tls_drained(struct session *s)
{
	if (!s->buried)
		handshake(s, false);
}

/* -- what it says of itself -- */

void
tls_text(const struct session *s, char dst[TLS_TEXT_MAX])
{
	struct tls *tls = io_tls(s->io);
	const char *version, *cipher;

	dst[0] = '\0';
	if (tls == NULL || (version = tls_conn_version(tls)) == NULL ||
	    (cipher = tls_conn_cipher(tls)) == NULL)
		return;
	(void)snprintf(dst, TLS_TEXT_MAX, "%s %s", version, cipher);
}

static bool
is_plain_address(const ASN1_STRING *name)
{
	const unsigned char *p = ASN1_STRING_get0_data(name);
	int i, n = ASN1_STRING_length(name);

	for (i = 0; i < n; i++)
		if (!isgraph(p[i]) || p[i] > '~')
			return false;
	return n > 0 && n <= IPC_ADDRESS_MAX && memchr(p, '@', (size_t)n) != NULL;
}

/* RFC 5280 4.2.1.6: rfc822Name. */
static void
add_addresses(const GENERAL_NAMES *names, char *dst, size_t size)
{
	size_t len;
	int i, taken = 0;

	for (i = 0; i < sk_GENERAL_NAME_num(names) && taken < PEER_NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_EMAIL || !is_plain_address(name->d.rfc822Name))
			continue;
		len = strlen(dst);
		if (len + (size_t)ASN1_STRING_length(name->d.rfc822Name) + 2 > size)
			return;
		(void)snprintf(dst + len, size - len, "%s%.*s", len == 0 ? "" : " ",
		    ASN1_STRING_length(name->d.rfc822Name),
		    (const char *)ASN1_STRING_get0_data(name->d.rfc822Name));
		taken++;
	}
}

void
tls_identity(const struct session *s, char *fingerprint, size_t fingerprint_size, char *addresses,
    size_t addresses_size)
{
	struct tls *tls = io_tls(s->io);
	GENERAL_NAMES *names = NULL;
	const uint8_t *pem;
	const char *hash;
	X509 *cert = NULL;
	BIO *bio = NULL;
	size_t len;

	fingerprint[0] = addresses[0] = '\0';
	if (tls == NULL || !tls_peer_cert_provided(tls) ||
	    (hash = tls_peer_cert_hash(tls)) == NULL ||
	    (pem = tls_peer_cert_chain_pem(tls, &len)) == NULL || len > INT32_MAX)
		return;
	str_cut(fingerprint, fingerprint_size, hash);
	if ((bio = BIO_new_mem_buf(pem, (int)len)) != NULL &&
	    (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL &&
	    (names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL)) != NULL)
		add_addresses(names, addresses, addresses_size);
	GENERAL_NAMES_free(names);
	X509_free(cert);
	BIO_free(bio);
}

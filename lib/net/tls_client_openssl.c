/* SPDX-License-Identifier: ISC */
/*
 * Whom TLS is with, by OpenSSL's own words: authorities that all connections
 * share, several names, TLSA records (RFC 6698, RFC 7671), and a judgement also
 * where nothing is demanded (RFC 7435).
 *
 * The SSL beneath a struct tls is known by an index of application data, which is told
 * of each SSL that is made.  What is noted of a connection lives as long as its SSL.
 *
 * Invariant: only a chain that was verified to its end without one error is
 * taken for verified; where that is demanded, any error ends the handshake.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"
#include "lib/net/io.h"
#include "lib/net/tls_client.h"
#include "lib/net/tls_client_private.h"

#define DEPTH_MAX	  10 /* certificates between a server's and an authority's */
#define STRONG		  2  /* SSL_CTX_set_security_level(3): as strong as RSA with 2048 bits */
#define ANY		  0  /* or whatever there is */
#define CIPHERSUITES	  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CERTIFICATE_NAMES 3 /* that a log line tells */

/* What is noted of a connection.  Owned by its SSL, and in the list until that is freed. */
struct peer {
	struct peer *next, **link;
	struct tls *tls;
	SSL *ssl;
	enum tls_check check;
	bool anchored;	/* there is something to verify by */
	bool verified;	/* to the end */
	int error;	/* the first that was found, of X509_V_ERR_* */
	char name[256]; /* that was expected; the first of them */
	char why[160];	/* error in words */
};

struct tls_trust {
	X509_STORE *store;
};

static int peer_index = -1; /* OpenSSL gives out numbers for all that is in a process */
static SSL *newest;
static struct peer *peers; /* for libtls does not hand out its SSL */

/* -- what OpenSSL tells of an SSL's life -- */

static void
on_connection(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)data;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	newest = parent;
}

static void
on_connection_free(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct peer *p = data;

	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	if (p == NULL)
		return;
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	free(p);
}

int
tls_client_start(void)
{
	if (peer_index == -1)
		peer_index = SSL_get_ex_new_index(0, NULL, on_connection, NULL, on_connection_free);
	if (peer_index != -1)
		return 0;
	errno = ENOMEM;
	return -1;
}

static struct peer *
find_peer(const struct tls *tls)
{
	struct peer *p;

	for (p = peers; p != NULL && p->tls != tls; p = p->next)
		;
	return p;
}

static struct peer *
create_peer(SSL *ssl, struct tls *tls, const struct tls_want *want)
{
	struct peer *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->tls = tls;
	p->ssl = ssl;
	p->check = want->check;
	str_cut(p->name, sizeof(p->name), want->nnames > 0 ? want->names[0] : "");
	p->link = &peers;
	p->next = peers;
	if (SSL_set_ex_data(ssl, peer_index, p) != 1) {
		free(p);
		return NULL;
	}
	if (peers != NULL)
		peers->link = &p->next;
	peers = p;
	return p;
}

/* -- authorities -- */

static int
add_certificates(X509_STORE *store, BIO *pem)
{
	STACK_OF(X509_INFO) * all;
	int i, n = 0;

	if ((all = PEM_X509_INFO_read_bio(pem, NULL, NULL, NULL)) == NULL)
		return 0;
	for (i = 0; i < sk_X509_INFO_num(all); i++) {
		X509 *cert = sk_X509_INFO_value(all, i)->x509;

		if (cert != NULL && X509_STORE_add_cert(store, cert) == 1)
			n++;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	return n;
}

struct tls_trust *
tls_trust_parse(const void *pem, size_t len)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));
	BIO *bio = NULL;
	int n = 0;

	if (len > 0 && len <= INT_MAX && trust != NULL)
		bio = BIO_new_mem_buf(pem, (int)len);
	if (bio != NULL && (trust->store = X509_STORE_new()) != NULL)
		n = add_certificates(trust->store, bio);
	BIO_free(bio);
	ERR_clear_error();
	if (n > 0)
		return trust;
	tls_trust_free(trust);
	errno = EINVAL;
	return NULL;
}

void
tls_trust_free(struct tls_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	free(trust);
}

/* -- what a certificate is found to be -- */

static int
append_name(char *dst, size_t size, const ASN1_STRING *name)
{
	char text[64];

	str_escape(text, sizeof(text), (const char *)ASN1_STRING_get0_data(name),
	    (size_t)ASN1_STRING_length(name));
	if (dst[0] != '\0' && str_append(dst, size, ", ") == -1)
		return -1;
	return str_append(dst, size, text);
}

static void
common_name(X509 *cert, char *dst, size_t size)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0 || append_name(dst, size,
			  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))) == -1)
		str_cut(dst, size, "nobody");
}

/* Some names that a certificate is for, as people want them: of hosts, or else its common name. */
static void
certificate_names(X509 *cert, char *dst, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int i, n = 0;

	dst[0] = '\0';
	for (i = 0; i < sk_GENERAL_NAME_num(names) && n < CERTIFICATE_NAMES; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS && append_name(dst, size, name->d.dNSName) == 0)
			n++;
	}
	GENERAL_NAMES_free(names);
	if (n == 0)
		common_name(cert, dst, size);
}

/* Errors that have better words than OpenSSL's; it is the certificate that they are about. */
static const struct {
	int error;
	const char *words;
} errors[] = {
    {X509_V_ERR_DANE_NO_MATCH, "no TLSA record or fingerprint matches the certificate"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is self-signed"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
	"the certificate is by an authority that is not trusted"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate is by an authority that is not known"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
	"the certificate is by an authority that is not known"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
	"the certificate is by an authority that is not known"},
};

static const char *
words_for(const struct peer *p)
{
	size_t i;

	for (i = 0; i < NITEMS(errors); i++)
		if (errors[i].error == p->error)
			return p->anchored
				   ? errors[i].words
				   : "there are no authorities to verify the certificate by";
	return X509_verify_cert_error_string(p->error);
}

static void
explain(struct peer *p, X509 *cert)
{
	char names[80], text[512];

	if (p->error != X509_V_ERR_HOSTNAME_MISMATCH &&
	    p->error != X509_V_ERR_IP_ADDRESS_MISMATCH) {
		str_cut(p->why, sizeof(p->why), words_for(p));
		return;
	}
	names[0] = '\0';
	if (cert != NULL)
		certificate_names(cert, names, sizeof(names));
	(void)snprintf(text, sizeof(text), "the certificate is for %s, not %s", names, p->name);
	str_escape(p->why, sizeof(p->why), text, strlen(text));
}

/* Of a certificate that the domain's own record names (usage 3), the names don't count. */
static bool
is_by_name(SSL *ssl, const struct peer *p)
{
	uint8_t usage = TLSA_DANE_EE;

	if (p->check != TLS_CHECK_RECORDS)
		return p->name[0] != '\0';
	return SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) < 0 || usage != TLSA_DANE_EE;
}

/*
 * OpenSSL copies the names for each verification, and when there is no memory
 * for that it goes on without: any certificate would be good then.
 */
static bool
was_name_checked(X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	char *address;

	if (X509_VERIFY_PARAM_get0_peername(param) != NULL)
		return true;
	address = X509_VERIFY_PARAM_get1_ip_asc(param);
	OPENSSL_free(address);
	return address != NULL;
}

/* SSL_set_verify(3): 0 ends the handshake. */
static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct peer *p = ssl != NULL ? SSL_get_ex_data(ssl, peer_index) : NULL;
	bool last = X509_STORE_CTX_get_error_depth(ctx) == 0;

	if (p == NULL)
		return 0;
	if (ok && last && p->error == X509_V_OK && is_by_name(ssl, p) && !was_name_checked(ctx)) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
		ok = 0;
	}
	if (ok && last)
		p->verified = true;
	if (!ok && p->error == X509_V_OK) {
		p->error = X509_STORE_CTX_get_error(ctx);
		explain(p, X509_STORE_CTX_get0_cert(ctx));
	}
	return p->check == TLS_CHECK_LATER ? 1 : ok;
}

/* -- whom it is to be with -- */

static int
set_names(SSL *ssl, const struct tls_want *want)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct addr address;
	size_t i;

	if (want->nnames > 0 && addr_parse(want->names[0], 0, &address) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(param, want->names[0]) == 1 ? 0 : -1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 0; i < want->nnames; i++)
		if (SSL_add1_host(ssl, want->names[i]) != 1)
			return -1;
	return 0;
}

/* What OpenSSL can't use is passed over (RFC 6698 4.1), but one at least there must be. */
static int
set_records(SSL *ssl, const struct tls_want *want)
{
	size_t i, n = 0;

	/* The name that is indicated stands already, and those that count are set next. */
	if (SSL_CTX_dane_enable(SSL_get_SSL_CTX(ssl)) != 1 || SSL_dane_enable(ssl, NULL) != 1)
		return -1;
	/* With usage 3 the record says it all, whatever name and time are in the certificate. */
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7672 3.1.1 */
	for (i = 0; i < want->nrecords; i++) {
		const struct tls_record *r = &want->records[i];

		if (tls_record_is_usable(r) && SSL_dane_tlsa_add(ssl, r->usage, r->selector,
						   r->matching, r->data, r->size) == 1)
			n++;
	}
	return n > 0 ? 0 : -1;
}

/*
 * Who would talk in plain otherwise is not turned away for a weak key, but a
 * weak certificate proves nothing: its own level is the last word's.
 */
static int
set_strength(SSL *ssl, const struct tls_want *want)
{
	SSL_set_security_level(ssl, want->check == TLS_CHECK_LATER ? ANY : STRONG);
	X509_VERIFY_PARAM_set_auth_level(SSL_get0_param(ssl), STRONG);
	SSL_set_verify_depth(ssl, DEPTH_MAX);
	/* SHA-256 comes first: a handshake costs less, and is no weaker.  Nothing is resumed. */
	(void)SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	(void)SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	return SSL_set_ciphersuites(ssl, CIPHERSUITES) == 1 ? 0 : -1;
}

static int
prepare(SSL *ssl, struct tls *tls, const struct tls_want *want, const struct tls_trust *trust)
{
	bool by_records = want->check == TLS_CHECK_RECORDS;
	struct peer *p;

	if (ssl == NULL || (p = create_peer(ssl, tls, want)) == NULL)
		return -1;
	p->anchored = trust != NULL || by_records;
	/* libtls has a context for each client, and in it a callback that takes anybody. */
	SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(ssl), NULL, NULL);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
	if (set_strength(ssl, want) == -1 || (by_records && set_records(ssl, want) == -1) ||
	    set_names(ssl, want) == -1)
		return -1;
	if (trust != NULL && !by_records)
		return SSL_set1_verify_cert_store(ssl, trust->store) == 1 ? 0 : -1;
	return 0;
}

struct tls *
tls_client_open(const struct tls_config *config, struct io *io, const struct tls_want *want,
    const struct tls_trust *trust)
{
	struct tls *tls;
	int rc;

	if ((tls = tls_client()) == NULL)
		return NULL;
	newest = NULL;
	rc = tls_configure(tls, (struct tls_config *)(uintptr_t)config);
	if (rc == 0)
		rc = tls_connect_cbs(tls, io_tls_read, io_tls_write, io, want->host);
	if (rc == 0)
		rc = prepare(newest, tls, want, trust);
	newest = NULL;
	ERR_clear_error();
	if (rc == 0)
		return tls;
	tls_free(tls);
	errno = EPROTO;
	return NULL;
}

/* -- what came of it -- */

bool
tls_client_is_up(struct tls *tls)
{
	const struct peer *p = find_peer(tls);

	return p != NULL && SSL_is_init_finished(p->ssl) == 1;
}

static void
copy(char *dst, size_t size, const char *src)
{
	str_escape(dst, size, src != NULL ? src : "", src != NULL ? strlen(src) : 0);
}

void
tls_client_judge(struct tls *tls, struct tls_judgement *out)
{
	const struct peer *p = find_peer(tls);
	bool good = p != NULL && p->verified && p->error == X509_V_OK &&
		    SSL_get_verify_result(p->ssl) == X509_V_OK;

	*out = (struct tls_judgement){0};
	out->by_records = good && p->check == TLS_CHECK_RECORDS;
	out->by_names = good && p->check != TLS_CHECK_RECORDS && p->name[0] != '\0';
	copy(out->protocol, sizeof(out->protocol), tls_conn_version(tls));
	copy(out->cipher, sizeof(out->cipher), tls_conn_cipher(tls));
	copy(out->fingerprint, sizeof(out->fingerprint), tls_peer_cert_hash(tls));
	if (!out->by_records && !out->by_names)
		str_cut(out->why, sizeof(out->why),
		    p != NULL && p->why[0] != '\0' ? p->why : "not verified");
}

/* "handshake failed: error:0A000086:SSL routines::certificate verify failed": the end of it is for people. */
const char *
tls_client_error(struct tls *tls, char *dst, size_t size)
{
	const struct peer *p = find_peer(tls);
	const char *text = tls_error(tls), *end;

	if (p != NULL && p->error != X509_V_OK && p->check != TLS_CHECK_LATER) {
		str_cut(dst, size, p->why);
		return dst;
	}
	if (text == NULL)
		text = "the other side hung up";
	if ((end = strstr(text, "::")) != NULL)
		text = end + 2;
	str_escape(dst, size, text, strlen(text));
	return dst;
}

bool
tls_client_has_dane(void)
{
	return true;
}

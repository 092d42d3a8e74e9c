/* SPDX-License-Identifier: ISC */
/*
 * What a certificate says, in words for people and logs.
 *
 * Invariant: printable ASCII, whatever the certificate holds; a name that does
 * not fit is left out.  Nothing here is fatal.
 */
#include <arpa/inet.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "vault/certificate_private.h"

static void
print_name(char *dst, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0 &&
	    (len = BIO_get_mem_data(bio, &text)) > 0)
		str_escape(dst, size, text, (size_t)len);
	BIO_free(bio);
}

/* Spaces stand between names, so none may be in one. */
static void
add_name(struct certificate *c, const char *text, size_t len)
{
	size_t used = strlen(c->names), room = sizeof(c->names) - used;
	char word[IPC_NAME_MAX];

	str_escape(word, sizeof(word), text, len);
	if (word[0] == '\0' || strchr(word, ' ') != NULL || 1 + strlen(word) >= room)
		return;
	(void)snprintf(c->names + used, room, "%s%s", used == 0 ? "" : " ", word);
}

static void
add_address(struct certificate *c, const ASN1_OCTET_STRING *ip)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(ip);

	if (len != 4 && len != 16)
		return;
	if (inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text,
		sizeof(text)) != NULL)
		add_name(c, text, strlen(text));
}

static void
tell_names(struct certificate *c)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(all, i);

		if (n->type == GEN_DNS || n->type == GEN_EMAIL)
			add_name(c, (const char *)ASN1_STRING_get0_data(n->d.ia5),
			    (size_t)ASN1_STRING_length(n->d.ia5));
		else if (n->type == GEN_IPADD)
			add_address(c, n->d.iPAddress);
	}
	if (c->names[0] == '\0') /* RFC 9525 6.3: the subject is not looked at */
		certificate_problem(c, false, "names no host: clients that verify will refuse it");
	GENERAL_NAMES_free(all);
}

static void
tell_fingerprint(struct certificate *c)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int len, i;
	char *hex;

	if (X509_digest(c->leaf, EVP_sha256(), hash, &len) != 1 ||
	    str_copy(c->fingerprint, sizeof(c->fingerprint), "SHA256:") == -1)
		return;
	hex = c->fingerprint + strlen(c->fingerprint);
	for (i = 0; i < len; i++) {
		hex[2 * i] = digits[hash[i] >> 4];
		hex[2 * i + 1] = digits[hash[i] & 0xf];
	}
	hex[2 * len] = '\0';
}

static void
tell_key_type(struct certificate *c)
{
	const struct certificate_key *key = certificate_public_key(c->leaf);

	if (key != NULL && key->kind == TEMPLATE_RSA)
		(void)snprintf(c->key_type, sizeof(c->key_type), "%s %d", key->told,
		    EVP_PKEY_bits(X509_get0_pubkey(c->leaf)));
	else if (key != NULL)
		str_cut(c->key_type, sizeof(c->key_type), key->told);
	else
		str_cut(c->key_type, sizeof(c->key_type), certificate_algorithm(c->leaf));
}

void
certificate_tell(struct certificate *c)
{
	print_name(c->subject, sizeof(c->subject), X509_get_subject_name(c->leaf));
	print_name(c->issuer, sizeof(c->issuer), X509_get_issuer_name(c->leaf));
	tell_names(c);
	tell_key_type(c);
	tell_fingerprint(c);
	c->not_before_s = certificate_time(X509_get0_notBefore(c->leaf));
	c->not_after_s = certificate_time(X509_get0_notAfter(c->leaf));
}

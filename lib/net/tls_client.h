/* SPDX-License-Identifier: ISC */
#ifndef LIB_NET_TLS_CLIENT_H
#define LIB_NET_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

struct io;
struct tls;

/*
 * The client side of TLS 1.2 and later.  Everything that OpenSSL looks up in
 * files must be read before the sandbox: make one while files can be opened.
 */
struct tls_client;

/* A TLSA record (RFC 6698 2.1), or a pin in its form: usage 3. */
struct tls_record {
	uint8_t usage, selector, matching;
	const uint8_t *data;
	size_t size;
};

enum tls_check {
	TLS_CHECK_LATER, /* the handshake succeeds with anybody; tls_client_judge() tells with whom */
	TLS_CHECK_NAMES, /* or it fails: a certificate by a trusted authority for one of the names */
	TLS_CHECK_RECORDS /* or it fails: what one of the records says (RFC 7671) */
};

/* Whom TLS is to be with.  All is borrowed until tls_client_connect() returns. */
struct tls_want {
	enum tls_check check;
	const char *host;	  /* of SNI; an address has none (RFC 6066 3) */
	const char *const *names; /* any of them will do; with RECORDS those of usage 2 */
	size_t nnames;		  /* at most TLS_NAMES_MAX */
	const struct tls_record *records;
	size_t nrecords;
	const char *ca; /* authorities by a name of tls_client_add_ca(); NULL: the trusted ones */
};
#define TLS_NAMES_MAX 8

struct tls_client *tls_client_create(void) WARN_UNUSED; /* NULL: ENOMEM, or no TLS at all */
void tls_client_free(struct tls_client *t);
/* Certificates in PEM, parsed once.  -1: they don't parse, and those from before stay. */
int tls_client_set_ca(struct tls_client *t, const void *ca, size_t len) WARN_UNUSED;
int
tls_client_add_ca(struct tls_client *t, const char *name, const void *ca, size_t len) WARN_UNUSED;
bool tls_client_can_verify(const struct tls_client *t); /* false until tls_client_set_ca() */
/* For io_start_tls().  NULL: what is asked for is not possible (no authorities, ENOENT), or ENOMEM. */
struct tls *
tls_client_connect(struct tls_client *t, struct io *io, const struct tls_want *want) WARN_UNUSED;

/*
 * Once the handshake succeeded: whether it really did.  To libtls a close_notify in the
 * middle of it is no error, and so a success.
 */
bool tls_client_is_up(struct tls *tls);
/* With whom it is, once it is up. */
struct tls_judgement {
	bool by_names;	      /* a trusted authority, one of the names */
	bool by_records;      /* one of the records */
	char protocol[16];    /* "TLSv1.3" */
	char cipher[64];      /* "TLS_AES_128_GCM_SHA256" */
	char why[160];	      /* why it is neither; printable */
	char fingerprint[80]; /* "SHA256:<hex>" of the certificate */
};
void tls_client_judge(struct tls *tls, struct tls_judgement *out);
/* A handshake that failed: in words, printable; never NULL. */
const char *tls_client_error(struct tls *tls, char *dst, size_t size);
/* Can DANE be had with the library beneath libtls at all? */
bool tls_client_has_dane(void);
/* Pure: whether a record of this kind is one that we can use (RFC 7672 3.1; usages 2 and 3, SHA-256, SHA-512, full). */
bool tls_record_is_usable(const struct tls_record *r);

#endif

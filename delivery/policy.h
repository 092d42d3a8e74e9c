/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_POLICY_H
#define DELIVERY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "delivery/verdict.h"
#include "lib/ipc/messages.h"
#include "lib/mail/relay_url.h"
#include "lib/net/tls_client.h"

/*
 * Which TLS a host is to be talked to with, and whether what came of it will
 * do.  Pure.
 *
 * What is demanded can come from the action (tls, fingerprint, smtp+tls://),
 * from a credential, from the message (REQUIRETLS, RFC 8689), from DANE (RFC
 * 7672) and from what is remembered of the domain; the strictest counts.
 */
enum policy_level {
	POLICY_NEVER,	    /* smtp+notls:// */
	POLICY_OPPORTUNIST, /* TLS if it can be had, plain if not (RFC 7435) */
	POLICY_ENCRYPT,	    /* TLS, with whoever is there */
	POLICY_VERIFY,	    /* a certificate by a trusted authority for the host's name */
	POLICY_DANE,	    /* as the TLSA records say */
	POLICY_PINNED,	    /* as the action's fingerprints say */
	POLICY__MAX
};

#define POLICY_RECORDS_MAX 32 /* of one host */

struct policy_facts { /* all borrowed */
	/* of the action and its URL */
	enum relay_tls url;
	bool required, no_verify; /* "tls", "no-verify" */
	bool credential;
	const char *ca;
	const struct tls_record *pins;
	size_t npins;
	/* of the message */
	bool requires_tls;
	/* of the host */
	const char *domain;	 /* "" for a host of the configuration */
	const char *host, *base; /* the MX host, and where its TLSA records were found */
	bool
	    host_secure; /* DNSSEC vouches for it that it is the domain's; no matter without a domain */
	const struct tls_record *records; /* secure ones alone */
	size_t nrecords;
	/* of the domain */
	enum ipc_tls_level best; /* remembered */
	bool enforce;		 /* and less than that won't do */
};

struct policy {
	enum policy_level level;
	enum relay_tls tls; /* for the client */
	struct tls_want want;
	bool plain_after_failure; /* a handshake that fails is followed by a connection in plain */
	enum ipc_tls_level floor; /* what is less won't do */
	const char *why; /* of the level, a word or two for logs: "tls", "dane", "requiretls" */
	/* want points here */
	const char *names[TLS_NAMES_MAX];
	struct tls_record usable[POLICY_RECORDS_MAX];
};

/*
 * -1: there can be no connection, and why: REQUIRETLS to a host that nothing proves,
 * fingerprints without a library for them.  What is made points into itself: it stays where it is.
 */
int
policy_make(struct policy *p, const struct policy_facts *facts, struct verdict *why) WARN_UNUSED;
/* Pins out of an action's text; data is decoded into room.  -1: EINVAL. */
#define POLICY_PINS_MAX 16
int policy_pins(const char *text, struct tls_record pins[POLICY_PINS_MAX],
    uint8_t room[POLICY_PINS_MAX][32], size_t *n) WARN_UNUSED;

/* What came of a handshake (NULL: there was none): how well it is protected, and (false) why that won't do. */
bool policy_accepts(const struct policy *p, const struct tls_judgement *j,
    enum ipc_tls_level *level, struct verdict *why);
const char *policy_level_name(enum policy_level level); /* "opportunistic", "dane"... */
const char *
policy_tls_name(enum ipc_tls_level level); /* "plain", "encrypted", "verified", "dane" */

#endif

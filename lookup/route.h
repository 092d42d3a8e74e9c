/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_ROUTE_H
#define LOOKUP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct dns;
struct lookup;

/*
 * Which hosts take mail for a name: MX (RFC 5321 5.1), addresses, and what DANE
 * has to say of each host (RFC 7672).  Asked by delivery, by fetch (which wants
 * addresses alone) and by smtpctl explain.
 */
struct routes;

struct routes *routes_create(struct lookup *l) WARN_UNUSED;
void routes_free(struct routes *rs); /* NULL is fine; what is under way ends without a word */

struct route_question {
	const char *name;
	bool mx;	    /* a domain; else a host or an address of the configuration */
	bool tlsa;	    /* DANE counts */
	uint16_t port;	    /* of the TLSA records */
	const char *backup; /* the name that we are a backup MX by; "": none but our own */
	uint32_t req;	    /* given back to the callbacks */
};

/* Everything that callbacks are shown is gone afterwards. */
struct route_tlsa {		 /* a secure record; whether it is of use is the asker's to say */
	const char *host, *base; /* base: the name it was found at, behind CNAMEs or not */
	uint8_t usage, selector, matching;
	const uint8_t *data;
	size_t size; /* at most IPC_TLSA_MAX */
};

struct route_host {
	const char *host, *address;
	uint16_t preference;
	bool secure; /* DNSSEC vouches for it that the domain's mail goes to this host */
};

struct route_pass { /* a host that mail will not be sent to */
	const char *host;
	uint16_t preference;
	const char *why;
};

struct route_end {
	uint8_t outcome;	   /* OK: there was at least one host.  RETRY, FAIL */
	const char *status, *text; /* "" with OK */
};

/* None of them may call a function of this header. */
struct route_events {
	/* Those of a host come before its addresses. */
	void (*tlsa)(void *arg, uint32_t req, const struct route_tlsa *t);
	void (*host)(void *arg, uint32_t req, const struct route_host *h); /* best first */
	void (*pass)(void *arg, uint32_t req, const struct route_pass *p); /* NULL: not told */
	void (*end)(void *arg, uint32_t req, const struct route_end *e);   /* once, the last */
};

/*
 * No callback is called before this returns; it ends by itself within a minute
 * or so.  -1: EBUSY (too many under way), ENOMEM.
 */
int route_ask(struct routes *rs, const struct route_question *q, const struct route_events *events,
    void *arg) WARN_UNUSED;
void routes_forget(struct routes *rs, const void *arg); /* all of this arg, without a word */

/* Delivery's question, or fetch's: answers with route_tlsa, route_host and one route_end. */
void route_begin(struct routes *rs, struct channel *ch, const struct msg_route *m);
void routes_unlink(struct routes *rs, const struct channel *ch); /* the asker is gone */

void routes_tick(struct routes *rs, int64_t now_ms); /* ends what took too long */
/* All start anew, with their deadlines as they were: the resolver is being replaced. */
void routes_ask_again(struct routes *rs, struct dns *dns);
size_t routes_count(const struct routes *rs);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_DNS_H
#define LOOKUP_DNS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lookup/dns_wire.h"
#include "lookup/resolv.h"

struct event_base;

/* Questions to the DNS, validated by libunbound within this process. */
struct dns;
struct dns_query;

enum dns_result {
	DNS_FOUND,   /* at least one record of the type, usable or not */
	DNS_NO_DATA, /* the name is there, without such a record */
	DNS_NO_NAME, /* NXDOMAIN */
	DNS_TROUBLE, /* no answer, or a server's failure */
	DNS_BOGUS    /* DNSSEC says that it is forged: never as good as no answer */
};

/*
 * records is not NULL but with TROUBLE and BOGUS, and gone afterwards;
 * records->secure is DNSSEC's word for it, also where nothing was found.
 */
typedef void (*dns_done)(void *arg, enum dns_result result, const struct dns_records *records);

struct dns_counters {
	uint64_t asked, found, absent, trouble, bogus;
	uint64_t under_way; /* those that nobody waits for any more included */
};

/* Each may have half of what is under way at once: neither stands in the other's way. */
enum dns_use { DNS_FOR_CLIENTS, DNS_FOR_ROUTES, DNS__USES };

struct dns_question {
	const char *name; /* a valid domain; underscores are fine */
	enum dns_type type;
	enum dns_use use;
};

/* What a resolver is made from; nothing of it is kept. */
struct dns_plan {
	const char *anchors; /* in zone file format, one a line; NULL or none: no validation */
	const struct resolv_servers *forward; /* resolvers to ask; none: the root and so on down */
	const struct resolv_servers *root;    /* then: its servers; none: the Internet's */
};

/* Opens no file, then or later.  NULL: it was logged why. */
struct dns *dns_create(struct event_base *base, const struct dns_plan *plan) WARN_UNUSED;
/* Queries under way end without their callback: their owners must forget them first. */
void dns_free(struct dns *d); /* NULL is fine */
/* libunbound has one log for all of its contexts, and the one that is freed takes it along. */
void dns_take_log(struct dns *d);

/*
 * Asks for one type of records of a name.  Equal questions under way are asked once, answers
 * kept for as long as their TTL says.  done is never called before this returns; the
 * query is gone when it is called.  NULL: ENOMEM, EBUSY (too many under way).
 */
struct dns_query *
dns_ask(struct dns *d, const struct dns_question *q, dns_done done, void *arg) WARN_UNUSED;
/*
 * done will not be called, and the query is the caller's no more; but it counts until
 * libunbound is through with it: who asks and goes away costs what the patient cost.
 */
void dns_cancel(struct dns_query *q); /* NULL is fine */
/* Gives up what nobody waits for and libunbound never answers. */
void dns_tick(struct dns *d, int64_t now_ms);

const struct dns_counters *dns_counters(const struct dns *d);

#endif

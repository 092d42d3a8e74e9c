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
	DNS_TROUBLE  /* no answer, a server's failure, or DNSSEC says it is forged */
};

/* records is not NULL with DNS_FOUND, and gone afterwards. */
typedef void (*dns_done)(void *arg, enum dns_result result, const struct dns_records *records);

struct dns_counters {
	uint64_t asked, found, absent, trouble, bogus;
	uint64_t under_way;
};

/*
 * anchors: trust anchors in zone file format, one a line; NULL or none: no
 * validation.  servers: where to forward questions.  Opens no file, then or
 * later.  NULL: it was logged why.
 */
struct dns *dns_create(
    struct event_base *base, const char *anchors, const struct resolv_servers *servers) WARN_UNUSED;
/* Queries under way end without their callback: their owners must forget them first. */
void dns_free(struct dns *d); /* NULL is fine */

/*
 * Asks for one type of records of a name, which must be a valid domain.  done
 * is never called before this returns; the query is gone when it is called.
 * NULL: ENOMEM, EBUSY (too many under way).
 */
struct dns_query *
dns_ask(struct dns *d, const char *name, enum dns_type type, dns_done done, void *arg) WARN_UNUSED;
void dns_cancel(struct dns_query *q); /* NULL is fine; done will not be called */

const struct dns_counters *dns_counters(const struct dns *d);

#endif

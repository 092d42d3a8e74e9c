/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_MX_H
#define LOOKUP_MX_H

#include <stddef.h>
#include <stdint.h>

#include "lookup/dns.h"

/* Mail exchangers in the order to try them (RFC 5321 5.1).  Pure. */
#define MX_HOSTS_MAX 16

struct mx_host {
	char name[DNS_NAME_MAX + 1];
	uint16_t preference;
};

struct mx_list {
	size_t n;
	struct mx_host hosts[MX_HOSTS_MAX];
};

enum mx_result {
	MX_HOSTS,    /* the list has at least one */
	MX_NULL,     /* RFC 7505: takes no mail at all */
	MX_LOOP,     /* we are the best of them ourselves */
	MX_NO_NAME,  /* there is no such domain */
	MX_UNUSABLE, /* none of the records names a host */
	MX_TROUBLE,
	MX_BOGUS
};

struct mx_question {
	const char *domain;
	const char *self;   /* our own host name */
	const char *backup; /* another one, which MX records may have instead; "": none */
	uint32_t seed;	    /* a random number: the order among equals */
};

/*
 * What the answer to the MX question comes to; result and records as from
 * dns_done.  Hosts as good as ourselves, or worse, are left out: they would
 * send it back.  A domain without an MX is its own.
 */
enum mx_result mx_choose(const struct mx_question *q, enum dns_result result,
    const struct dns_records *records, struct mx_list *out);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery/delivery.h"
#include "delivery/verdict.h"
#include "lib/ipc/message.h"
#include "lib/net/addr.h"
#include "lib/net/tls_client.h"
#include "lib/service/service.h"

#define ROUTE_HOSTS_MAX	  32 /* addresses tried for one message */
#define ROUTE_RECORDS_MAX 64 /* TLSA records of all of them */

struct route_host { /* one address of it */
	char name[IPC_NAME_MAX + 1];
	struct addr addr;
	uint16_t preference;
	bool secure; /* DNSSEC vouches for it that the domain named it */
};

struct route_record { /* what DANE says of a host */
	char host[IPC_NAME_MAX + 1];
	char base[IPC_NAME_MAX +
		  1];		/* where it was found: the end of the host's CNAMEs, or the host */
	struct tls_record tlsa; /* its data follow */
	uint8_t data[];
};

/* Once.  why NULL: hosts are there, best first; else what to tell the recipients. */
typedef void (*route_done)(void *arg, const struct verdict *why);

struct route_question {
	const char *name; /* a domain (mx) or a host; an address needs no question */
	bool mx, tlsa;
	uint16_t port;
	const char *backup; /* the MX that we are: only better ones; "" none */
};

struct route { /* part of its owner; all zero: not started */
	enum asker asker;
	struct service *service;
	uint32_t req; /* of the question to lookup */
	uint16_t port;
	struct route_host *hosts;
	size_t nhosts;
	struct route_record **records;
	size_t nrecords;
	bool incomplete; /* a record was lost: its host can't be judged by DANE */
	route_done done;
	void *arg;
};

void
route_start(struct route *r, const struct route_question *q); /* done may be called from within */
void route_stop(struct route *r);			      /* gives all back; fine at any time */
/* What DANE says of a host: up to max records; *base where they were found. */
size_t route_records(
    const struct route *r, const char *host, struct tls_record *dst, size_t max, const char **base);

/* Lookup's answers to r's question. */
void route_add(struct route *r, const struct msg_route_host *m);
void route_add_tlsa(struct route *r, const struct msg_route_tlsa *m);
void route_end(struct route *r, const struct msg_route_end *m);

#endif

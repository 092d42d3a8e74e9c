/* SPDX-License-Identifier: ISC */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/service/service.h"

struct request;
struct transfers;

#define FETCH_REQUESTS_MAX 64	      /* under way at once; one more is told to come back */
#define FETCH_CA_MAX	   (4U << 20) /* octets of all trusted certificates */
#define FETCH_ROUTE_MS	   20000      /* for the addresses of a host */
#define FETCH_CONNECT_MS   15000      /* for TCP and TLS */
#define FETCH_TRANSFER_MS  40000 /* for all but the addresses: an answer comes within a minute */

/* All that the program has; made in main.c. */
struct fetcher {
	struct service *service;
	const struct conf *conf;
	struct buf ca;		     /* who is trusted, as PEM; empty: nobody can be asked */
	struct transfers *transfers; /* NULL before prepare() */
	TAILQ_HEAD(, request) requests;
	size_t nrequests;
	int64_t drain_deadline_ms;
};

extern const struct service_program fetch_program;

void fetcher_init(struct fetcher *f);
void fetcher_free(struct fetcher *f); /* the service is gone */

#endif

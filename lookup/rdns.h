/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RDNS_H
#define LOOKUP_RDNS_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "lib/net/addr.h"
#include "lookup/dns.h"

/* The name that the DNS gives a client, and whether that name leads back to it. */
struct rdns;

/* name is "" unless the result is IPC_RDNS_NAMED or IPC_RDNS_CONFIRMED, and gone afterwards. */
typedef void (*rdns_done)(void *arg, enum ipc_rdns result, const char *name);

/*
 * done is never called before this returns; the question is gone when it is
 * called.  It ends by itself only as libunbound's questions do: who asks has a
 * deadline.  NULL: EINVAL (a Unix socket), ENOMEM, EBUSY.
 */
struct rdns *
rdns_ask(struct dns *dns, const struct addr *client, rdns_done done, void *arg) WARN_UNUSED;
void rdns_cancel(struct rdns *r); /* NULL is fine; done will not be called */

/* Pure: the names of PTR records that a host may have, in the order they came. */
#define RDNS_NAMES_MAX 8 /* tried of one address */

struct rdns_names {
	size_t n;
	char list[RDNS_NAMES_MAX][DNS_NAME_MAX + 1];
};

void rdns_choose(const struct dns_records *records, struct rdns_names *out);

#endif

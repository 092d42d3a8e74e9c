/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_NETWORKS_H
#define LOOKUP_NETWORKS_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/net/addr.h"

/*
 * A set of networks and addresses, "192.0.2.0/24", "2001:db8::1".  A question
 * is a binary search, however many there are; an IPv4 address takes eight octets
 * of memory, one of IPv6 thirty-two.
 */
struct networks;

struct networks *networks_create(void) WARN_UNUSED;
void networks_free(struct networks *n); /* NULL is fine */
/* Before networks_seal() alone.  -1: EINVAL (it is none), ENOMEM. */
int networks_add(struct networks *n, const char *text) WARN_UNUSED;
void networks_seal(struct networks *n); /* no more are added; questions may be asked */
bool networks_have(const struct networks *n, const struct addr *a);

#endif

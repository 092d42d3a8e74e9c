/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RESOLVER_H
#define LOOKUP_RESOLVER_H

#include <stdbool.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/messages.h"
#include "lookup/dns.h"

/* What the resolver is made from: settings, and files that the parent opened. */
struct resolver {		       /* starts as zeroes */
	char *anchors, *resolv_conf;   /* the files' text; NULL: none came */
	char *anchor, *forward, *root; /* the settings, as they stand; NULL: not set */
	bool stale;		       /* something has changed since it was made */
	bool validates;		       /* it was made with trust anchors */
};

int resolver_configure(struct resolver *r, const struct conf_values *v) WARN_UNUSED; /* -1 ENOMEM */
/* A file of kind ANCHOR or RESOLV.  Leaves fd open.  -1 with errno: what there was stays. */
int resolver_load(struct resolver *r, enum ipc_file kind, int fd) WARN_UNUSED;
/*
 * Whether there is a newer one to be made.  Not while it would have no trust anchor and the one
 * there is has: the file that smtpd.conf names now is still to come, or can't be read.
 */
bool resolver_is_stale(const struct resolver *r);
/* NULL: it was logged why. */
struct dns *resolver_make(struct resolver *r, struct event_base *base) WARN_UNUSED;
void resolver_free(struct resolver *r);

#endif

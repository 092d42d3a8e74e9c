/* SPDX-License-Identifier: ISC */
#ifndef VAULT_TICKETS_H
#define VAULT_TICKETS_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct vault;

/*
 * The keys that session tickets of TLS are sealed with, the same for all
 * session processes, so that each can open what another gave.  A key is made
 * anew every half of a ticket's life, and the one before it is still good.
 */
struct tickets;

struct tickets *tickets_create(void) WARN_UNUSED;	/* NULL: ENOMEM */
void tickets_free(struct tickets *t);			/* wipes; NULL is fine */
void tickets_link(struct vault *v, struct channel *ch); /* a session process is there */
/* Once a second, and when the configuration has changed: a new key if it is time. */
void tickets_tick(struct vault *v, int64_t now_s);

#endif

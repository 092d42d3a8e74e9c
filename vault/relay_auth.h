/* SPDX-License-Identifier: ISC */
#ifndef VAULT_RELAY_AUTH_H
#define VAULT_RELAY_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/ipc/channel.h"

struct vault;

/*
 * Logins of ours at the servers of relays, each from relay_auth to its end.  Delivery
 * speaks; what is said comes from here, one message at a time, so that it has a
 * password or token for no longer than it takes to write it.
 *
 * A label is good for the servers alone that smtpd.conf names it for.  No mail fails by
 * a login: the worst there is, is RETRY.
 */
#define RELAY_AUTHS_MAX	     1024
#define RELAY_AUTH_FIND_MS   90000 /* until the credential is there: a token may have to be renewed */
#define RELAY_AUTH_SERVER_MS 330000 /* for the server's answer; delivery gives up sooner */

struct relay_auths;

struct relay_auths *relay_auths_create(struct vault *v) WARN_UNUSED; /* NULL: ENOMEM */
void relay_auths_free(struct relay_auths *as); /* the service is gone; wipes; NULL is fine */
void relay_auths_tick(struct relay_auths *as);
void relay_auths_unlink(struct relay_auths *as, const struct channel *ch);
size_t relay_auths_count(const struct relay_auths *as);

/* Handlers; ctx is the struct vault. */
void relay_auth_on_begin(void *ctx, struct channel *ch, const union message *msg, int fd);
void relay_auth_on_challenge(void *ctx, struct channel *ch, const union message *msg, int fd);
void relay_auth_on_derived(void *ctx, struct channel *ch, const union message *msg, int fd);
void relay_auth_on_result(void *ctx, struct channel *ch, const union message *msg, int fd);

#endif

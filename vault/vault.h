/* SPDX-License-Identifier: ISC */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/service/service.h"

struct backoff;
struct exchanges;
struct keys;
struct oauths;
struct passwords;
struct pool;
struct remotes;
struct scram_tables;
struct secret_finds;
struct relay_auths;
struct sign_links;
struct tickets;

struct vault_counters {
	uint64_t auth_ok, auth_refused, auth_malformed, auth_blocked, auth_trouble;
};

/* All that the program has; made in main.c. */
struct vault {
	struct service *service;
	const struct conf *conf; /* the service's; replaced on reload */
	struct keys *keys;	 /* private keys and their certificates */
	struct sign_links *signs;
	struct tickets *tickets;
	struct passwords *passwords;	   /* tables of passwords and tokens */
	struct remotes *remotes;	   /* tables that are other programs */
	struct scram_tables *scram_tables; /* which of them have SCRAM keys */
	struct pool *pool;		   /* what hashers do for us */
	struct backoff *backoff;	   /* who guesses */
	struct exchanges *exchanges;	   /* AUTHs under way */
	struct relay_auths *relay_auths;   /* logins of ours at other servers */
	struct oauths *oauths;		   /* towards other servers */
	struct secret_finds *finds;	   /* of admins, under way */
	unsigned int nclients;		   /* links to those who can't do without us */
	int64_t drain_deadline_ms;
	struct vault_counters counters;
};

extern const struct service_program vault_program;

/* Everything but the service: once, before service_main().  -1: ENOMEM. */
int vault_init(struct vault *v) WARN_UNUSED;
void vault_free(struct vault *v);

#endif

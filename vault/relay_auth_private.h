/* SPDX-License-Identifier: ISC */
#ifndef VAULT_RELAY_AUTH_PRIVATE_H
#define VAULT_RELAY_AUTH_PRIVATE_H

#include <sys/queue.h>

#include "vault/oauth.h"
#include "vault/pool.h"
#include "vault/relay_auth.h"
#include "vault/sasl_client.h"
#include "vault/vault.h"

struct program_question;

enum relay_auth_state {
	RELAY_AUTH_WORKS, /* it is our turn */
	RELAY_AUTH_SERVER /* it is the server's */
};

struct relay_auth { /* owned by struct relay_auths */
	TAILQ_ENTRY(relay_auth) entry;
	struct vault *vault;
	struct channel *ch;
	uint32_t req;
	enum relay_auth_state state;
	int64_t deadline_ms;

	char action[IPC_WORD_MAX + 1], label[IPC_WORD_MAX + 1];
	char host[IPC_NAME_MAX + 1];
	uint16_t port;
	const char *mechanism;
	struct sasl_client *sasl; /* NULL: the credential is not there yet */

	/* what is under way */
	char table[IPC_WORD_MAX + 1]; /* of credentials; "": the label is an oauth's */
	struct oauth_wait wait;
	struct job job;
	struct program_question *program;
};

/* -- relay_auth.c -- */
/* There it is; is_token: a token of OAuth. */
void relay_auth_credential(struct relay_auth *a, const struct sasl_client_login *login);
/* It ends, and mail waits; with_alarm: somebody has to look at it. */
struct relay_auth_fault {
	const char *status, *text;
	uint32_t again_s;
	bool with_alarm;
};
void relay_auth_fail(struct relay_auth *a, const struct relay_auth_fault *f);

/* -- relay_auth_find.c -- */
/* Why this label is not for this server; NULL: it is. */
const char *relay_auth_misplaced(const struct conf *conf, const struct msg_relay_auth *m);
/* Looks for the credential; relay_auth_credential() or relay_auth_fail() follows. */
void relay_auth_find(struct relay_auth *a);

#endif

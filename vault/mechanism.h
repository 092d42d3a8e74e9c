/* SPDX-License-Identifier: ISC */
#ifndef VAULT_MECHANISM_H
#define VAULT_MECHANISM_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/ipc/channel.h"
#include "lib/net/host.h"
#include "vault/credentials.h"
#include "vault/pool.h"
#include "vault/vault.h"

/*
 * The inside of an exchange, for the mechanisms.
 *
 * A mechanism is told each message of the client by step(), and answers it in
 * one of three ways, at once or later: exchange_challenge(), exchange_end(), or
 * by looking something up and going on when it is there.  After any of these the
 * exchange may be gone: the caller returns.
 */
struct exchange;
struct program_question;
struct remote_question;
struct scram_state;

struct mechanism {
	const char *name;
	/* Whether it works with what this client shows and what its listener has. */
	bool (*fits)(const struct exchange *x);
	void (*step)(struct exchange *x, const uint8_t *data, size_t len);
	/* What the first challenge says when the client said nothing with AUTH. */
	const char *prompt;
	/* Said, and answered by anything, before a client is refused; NULL: nothing. */
	const char *refusal;
};

enum exchange_state {
	EXCHANGE_WORKS,	     /* it is our turn */
	EXCHANGE_CHALLENGES, /* it is the client's */
	EXCHANGE_REFUSES     /* the client is refused, and told why */
};

typedef void (*value_done)(
    struct exchange *x, enum credentials_answer answer, const char *found, const char *value);

struct exchange { /* owned by struct exchanges */
	TAILQ_ENTRY(exchange) by_age, by_link;
	struct vault *vault;
	struct channel *ch; /* the session's */
	uint32_t req;
	const struct mechanism *mechanism;
	enum exchange_state state;
	unsigned int nsteps; /* how far the mechanism is, in its own count */
	int64_t began_ms, said_ms;

	/* who asks, and whom to ask */
	char client[IPC_WORD_MAX + 1];	 /* its address */
	char network[HOST_NETWORK_SIZE]; /* and what stands for it */
	bool system;
	char passwords[IPC_WORD_MAX + 1], tokens[IPC_WORD_MAX + 1], binding[IPC_WORD_MAX + 1];
	uint8_t exporter[IPC_EXPORTER_SIZE];
	bool has_exporter;
	char fingerprint[80 + 1], identities[IPC_TEXT_MAX + 1];

	/* what was found out */
	char login[IPC_ADDRESS_MAX + 1]; /* whom the client wants to be, then is */
	bool known;			 /* such a login exists */
	uint8_t *secret;		 /* password or token */
	size_t secret_len;
	char *hash; /* that it is compared with, as soon as there is a hasher */
	struct scram_state *scram;

	/* what is under way */
	struct job job;
	uint32_t ask; /* of the parent */
	struct program_question *program;
	struct remote_question *remote;
	value_done on_value;
	char key[IPC_ADDRESS_MAX + 1]; /* that is looked up */
	char table[IPC_WORD_MAX + 1];  /* of the key */
};

/* -- exchange.c -- */
void exchange_challenge(struct exchange *x, const void *data, size_t len);
/* The end; why is for the log, a word or two. */
void exchange_end(struct exchange *x, enum ipc_auth result, const char *why);
/* Ends it as BLOCKED, and says so, when client or login has failed too often. */
bool exchange_is_blocked(struct exchange *x);
int exchange_set_secret(struct exchange *x, struct span secret) WARN_UNUSED; /* -1: ENOMEM */
/* The table of passwords; NULL: it is gone. */
struct credentials *exchange_passwords(const struct exchange *x);

/* -- value.c -- */
/* What a table has under a key, for tables that are not REMOTE. */
void value_find(struct exchange *x, struct credentials *c, const char *key, value_done done);
void value_shadow_answer(struct exchange *x, enum ipc_outcome outcome, const char *stored);

/* -- password.c -- */
bool password_fits(const struct exchange *x); /* are there passwords at all? */
/* Is secret the password of login?  Ends the exchange. */
void password_check(struct exchange *x);

/* -- the mechanisms -- */
extern const struct mechanism sasl_plain, sasl_login, sasl_scram, sasl_scram_plus, sasl_external,
    sasl_oauthbearer, sasl_xoauth2;
void scram_state_free(struct scram_state *s); /* NULL is fine */

#endif

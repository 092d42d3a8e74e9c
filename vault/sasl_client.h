/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SASL_CLIENT_H
#define VAULT_SASL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "lib/secret/scram_client.h"

/*
 * One login of ours at another server, by SASL (RFC 4422): what to say, one message at
 * a time.  Pure but for the nonce of SCRAM.
 *
 *   sasl_client_create()  ->  sasl_client_next(NULL), what it says is said
 *   sasl_client_next(what the server answered) ...
 *   sasl_client_end(the server says that we are in)
 */
struct sasl_client;

struct sasl_client_login {
	const char *login;  /* 1 to IPC_ADDRESS_MAX octets, no control characters */
	struct span secret; /* password or token */
	bool is_token;
	const char *host; /* the server's, for OAUTHBEARER */
	uint16_t port;
};

enum sasl_client_move {
	SASL_CLIENT_SAY,    /* sasl_client_said() is to be said */
	SASL_CLIENT_DERIVE, /* the keys of sasl_client_scram() are wanted: sasl_client_keys() */
	SASL_CLIENT_STOP    /* sasl_client_why(); nothing more is said */
};

/* The best mechanism of those that a server offers, blanks between; NULL: none that we know. */
const char *sasl_client_choose(const char *offered, bool is_token);

/* The secret is copied.  NULL: ENOMEM, EINVAL (no such mechanism, or not such a login or secret). */
struct sasl_client *
sasl_client_create(const char *mechanism, const struct sasl_client_login *login) WARN_UNUSED;
void sasl_client_free(struct sasl_client *c); /* wipes; NULL is fine */

const char *sasl_client_mechanism(const struct sasl_client *c);
/* challenge NULL: it begins. */
enum sasl_client_move sasl_client_next(struct sasl_client *c, const struct span *challenge);
/* After DERIVE; rc -1: they could not be had. */
enum sasl_client_move sasl_client_keys(struct sasl_client *c, const struct scram_client_keys *k);
const struct scram_client *sasl_client_scram(const struct sasl_client *c);
struct span sasl_client_secret(const struct sasl_client *c);
/* What is to be said, until the next call; false: nothing comes with AUTH itself. */
bool sasl_client_said(const struct sasl_client *c, struct span *data);
/* The server takes us for logged in: has it proved who it is, where the mechanism wants that? */
bool sasl_client_end(const struct sasl_client *c);
/* A word or two for the log; "" when nothing is wrong.  No secret, and escaped. */
const char *sasl_client_why(const struct sasl_client *c);

#endif

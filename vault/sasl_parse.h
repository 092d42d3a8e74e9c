/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SASL_PARSE_H
#define VAULT_SASL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * The messages of SASL mechanisms, pure; SCRAM's are in lib/secret/scram.h.  A
 * name is 1 to IPC_ADDRESS_MAX octets without control characters.  -1 with
 * EINVAL: not such a message; nothing of it is left in *out then.
 */
struct sasl_message {
	char login[IPC_ADDRESS_MAX + 1];   /* "": the client named none (EXTERNAL, OAUTHBEARER) */
	char authzid[IPC_ADDRESS_MAX + 1]; /* whom it wants to act for; "": itself */
	struct span secret;		   /* password or token, in the message itself */
};

/* [authzid] NUL login NUL password (RFC 4616). */
int sasl_plain_parse(const uint8_t *data, size_t len, struct sasl_message *out) WARN_UNUSED;
/* The answers to "Username:" and "Password:" of LOGIN. */
int sasl_login_name(const uint8_t *data, size_t len, char out[IPC_ADDRESS_MAX + 1]) WARN_UNUSED;
int sasl_login_password(const uint8_t *data, size_t len) WARN_UNUSED;
/* An authzid, or nothing (RFC 4422 A). */
int sasl_external_parse(const uint8_t *data, size_t len, struct sasl_message *out) WARN_UNUSED;
/* "n,a=<login>,^Aauth=Bearer <token>^A^A" (RFC 7628 3.1), other keys in between. */
int sasl_oauthbearer_parse(const uint8_t *data, size_t len, struct sasl_message *out) WARN_UNUSED;
/* "user=<login>^Aauth=Bearer <token>^A^A", as Google and Microsoft have it. */
int sasl_xoauth2_parse(const uint8_t *data, size_t len, struct sasl_message *out) WARN_UNUSED;

/* May the client, being this login, act for this authzid? */
bool sasl_may_act(const char *login, const char *authzid);
/* Fit to be a login, or an answer's: 1 to IPC_ADDRESS_MAX octets, no control characters. */
bool sasl_is_name(const uint8_t *data, size_t len);

#endif

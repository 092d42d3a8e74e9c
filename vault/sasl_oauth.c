/* SPDX-License-Identifier: ISC */
/*
 * OAUTHBEARER (RFC 7628) and XOAUTH2: a bearer token, which a table knows by
 * its hash, or another program.
 *
 * Invariant: a token is wiped when its hash is known, and never logged.  The
 * client may name a login; if it does, the token must be that login's.
 */
#include <string.h>

#include "lib/base/str.h"
#include "lib/secret/token.h"
#include "vault/mechanism.h"
#include "vault/passwords.h"
#include "vault/remote.h"
#include "vault/sasl_parse.h"

static bool
fits(const struct exchange *x)
{
	return x->tokens[0] != '\0';
}

static bool
is_bearer(const struct exchange *x)
{
	return x->mechanism == &sasl_oauthbearer;
}

/* The token is good, and somebody's: is that who the client said? */
static void
end_as(struct exchange *x, const char *login)
{
	bool same = x->login[0] == '\0' || str_equal_nocase(x->login, login);

	if (same)
		str_cut(x->login, sizeof(x->login), login);
	exchange_end(x, same ? IPC_AUTH_OK : IPC_AUTH_REFUSED, "token of another login");
}

/* -- a table -- */

static void
on_value(struct exchange *x, enum credentials_answer answer, const char *found, const char *value)
{
	struct token_grant grant;

	(void)found;
	if (answer == CREDENTIALS_TROUBLE)
		exchange_end(x, IPC_AUTH_TROUBLE, "table");
	else if (answer == CREDENTIALS_NO)
		exchange_end(x, IPC_AUTH_REFUSED, "unknown token");
	else if (token_grant_parse(value, &grant) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "token's entry in table");
	else if (grant.expires_s <= service_now_s(x->vault->service))
		exchange_end(x, IPC_AUTH_REFUSED, "expired token");
	else
		end_as(x, grant.login);
}

/* -- a program that knows -- */

static void
on_remote(void *owner, enum ipc_auth result, const char *login)
{
	struct exchange *x = owner;

	x->remote = NULL;
	if (result == IPC_AUTH_OK)
		end_as(x, login);
	else
		exchange_end(x, result, result == IPC_AUTH_REFUSED ? "token" : "back end");
}

static void
ask_remote(struct exchange *x, struct span token)
{
	struct vault *v = x->vault;
	const struct remote_request request = {.table = x->tokens,
	    .client = x->client,
	    .network = x->network,
	    .kind = is_bearer(x) ? REMOTE_OAUTHBEARER : REMOTE_XOAUTH2,
	    .login = x->login,
	    .secret = token};

	x->remote = remote_ask(v->remotes, &request, service_now_ms(v->service), on_remote, x);
	if (x->remote == NULL)
		exchange_end(x, IPC_AUTH_TROUBLE, "back end");
}

static void
step(struct exchange *x, const uint8_t *data, size_t len)
{
	struct credentials *c = passwords_find(x->vault->passwords, x->tokens);
	char key[TOKEN_KEY_SIZE];
	struct sasl_message m;
	int rc;

	rc = is_bearer(x) ? sasl_oauthbearer_parse(data, len, &m)
			  : sasl_xoauth2_parse(data, len, &m);
	if (rc == -1) {
		exchange_end(x, IPC_AUTH_MALFORMED, "message");
		return;
	}
	str_cut(x->login, sizeof(x->login), m.login);
	if (exchange_is_blocked(x))
		return;
	if (c != NULL && credentials_where(c) == CREDENTIALS_REMOTE) {
		ask_remote(x, m.secret);
		return;
	}
	token_key(m.secret.data, m.secret.len, key);
	value_find(x, c, key, on_value);
	explicit_bzero(key, sizeof(key));
}

/* RFC 7628 3.2.2: the client answers this with a ^A. */
const struct mechanism sasl_oauthbearer = {.name = "OAUTHBEARER",
    .fits = fits,
    .step = step,
    .prompt = "",
    .refusal = "{\"status\":\"invalid_token\",\"schemes\":\"bearer\"}"};
const struct mechanism sasl_xoauth2 = {.name = "XOAUTH2",
    .fits = fits,
    .step = step,
    .prompt = "",
    .refusal = "{\"status\":\"401\",\"schemes\":\"bearer\"}"};

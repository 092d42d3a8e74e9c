/* SPDX-License-Identifier: ISC */
/*
 * EXTERNAL (RFC 4422 A): the client is who its certificate says, which the
 * session process has verified.  The table of passwords says who that is: the
 * login under "cert:<fingerprint>", else the first address in the certificate
 * that is a login there.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "vault/mechanism.h"
#include "vault/sasl_parse.h"

#define KEYS_MAX 17 /* the fingerprint, and addresses of a certificate */

static bool
fits(const struct exchange *x)
{
	const struct credentials *c = exchange_passwords(x);

	return x->fingerprint[0] != '\0' && c != NULL &&
	       (credentials_where(c) == CREDENTIALS_HERE ||
		   credentials_where(c) == CREDENTIALS_SQLITE ||
		   credentials_where(c) == CREDENTIALS_PROGRAM);
}

/* The n-th key to look for, "" for one that is none.  false: there are no more. */
static bool
key_at(const struct exchange *x, unsigned int n, char dst[IPC_ADDRESS_MAX + 1])
{
	const char *at = x->identities;
	size_t len = 0;

	dst[0] = '\0';
	if (n == 0) {
		(void)snprintf(dst, IPC_ADDRESS_MAX + 1, "cert:%s", x->fingerprint);
		return true;
	}
	while (n-- > 0) {
		at += len;
		at += strspn(at, " ");
		len = strcspn(at, " ");
	}
	if (len == 0)
		return false;
	/* Nothing but an address: tables have other keys, too. */
	if (len <= IPC_ADDRESS_MAX && memchr(at, '@', len) != NULL &&
	    memchr(at, ':', len) == NULL) {
		memcpy(dst, at, len);
		dst[len] = '\0';
	}
	return true;
}

/* What the client wants to be was kept as its secret. */
static void
end_as(struct exchange *x, const char *login)
{
	char authzid[IPC_ADDRESS_MAX + 1] = "";

	if (x->secret_len > 0)
		memcpy(authzid, x->secret, x->secret_len);
	str_cut(x->login, sizeof(x->login), login);
	exchange_end(
	    x, sasl_may_act(x->login, authzid) ? IPC_AUTH_OK : IPC_AUTH_REFUSED, "authzid");
}

/* Under the fingerprint the login is the value, else it is the key itself. */
static void
on_value(struct exchange *x, enum credentials_answer answer, const char *found, const char *value)
{
	struct credentials *c = exchange_passwords(x);
	char key[IPC_ADDRESS_MAX + 1];

	/* As long as the answers are here, so that nothing is called from within itself. */
	while (answer == CREDENTIALS_NO && ++x->nsteps < KEYS_MAX && key_at(x, x->nsteps, key)) {
		if (key[0] == '\0')
			continue;
		if (c == NULL || credentials_where(c) != CREDENTIALS_HERE) {
			value_find(x, c, key, on_value);
			return;
		}
		answer = credentials_value(c, key, &found, &value);
	}
	if (answer == CREDENTIALS_TROUBLE)
		exchange_end(x, IPC_AUTH_TROUBLE, "table");
	else if (answer == CREDENTIALS_NO)
		exchange_end(x, IPC_AUTH_REFUSED, "unknown certificate");
	else if (value[0] == '\0' || value[0] == '!' || value[0] == '*')
		exchange_end(x, IPC_AUTH_REFUSED, "locked"); /* by whatever it comes in */
	else
		end_as(x, x->nsteps == 0 ? value : found);
}

static void
step(struct exchange *x, const uint8_t *data, size_t len)
{
	struct sasl_message m;
	char key[IPC_ADDRESS_MAX + 1];

	if (sasl_external_parse(data, len, &m) == -1)
		exchange_end(x, IPC_AUTH_MALFORMED, "message");
	else if (len > 0 && exchange_set_secret(x, (struct span){data, len}) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "memory");
	else if (!exchange_is_blocked(x) && key_at(x, 0, key))
		value_find(x, exchange_passwords(x), key, on_value);
}

const struct mechanism sasl_external = {
    .name = "EXTERNAL", .fits = fits, .step = step, .prompt = ""};

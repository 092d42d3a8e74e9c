/* SPDX-License-Identifier: ISC */
/*
 * LOGIN, which no standard describes and many clients speak: the answer to
 * "Username:", or what came with AUTH, then the answer to "Password:".
 */
#include "vault/mechanism.h"
#include "vault/sasl_parse.h"

static void
step(struct exchange *x, const uint8_t *data, size_t len)
{
	static const char prompt[] = "Password:";

	if (x->nsteps++ == 0) {
		if (sasl_login_name(data, len, x->login) == -1)
			exchange_end(x, IPC_AUTH_MALFORMED, "login");
		else
			exchange_challenge(x, prompt, sizeof(prompt) - 1);
	} else if (sasl_login_password(data, len) == -1)
		exchange_end(x, IPC_AUTH_MALFORMED, "password");
	else if (exchange_set_secret(x, (struct span){data, len}) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "memory");
	else
		password_check(x);
}

const struct mechanism sasl_login = {
    .name = "LOGIN", .fits = password_fits, .step = step, .prompt = "Username:"};

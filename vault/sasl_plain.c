/* SPDX-License-Identifier: ISC */
/* PLAIN (RFC 4616): everything in one message. */
#include "lib/base/str.h"
#include "vault/mechanism.h"
#include "vault/sasl_parse.h"

static void
step(struct exchange *x, const uint8_t *data, size_t len)
{
	struct sasl_message m;

	if (sasl_plain_parse(data, len, &m) == -1) {
		exchange_end(x, IPC_AUTH_MALFORMED, "message");
		return;
	}
	str_cut(x->login, sizeof(x->login), m.login);
	if (exchange_set_secret(x, m.secret) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "memory");
	else if (!sasl_may_act(m.login, m.authzid))
		exchange_end(x, IPC_AUTH_REFUSED, "authzid");
	else
		password_check(x);
}

const struct mechanism sasl_plain = {
    .name = "PLAIN", .fits = password_fits, .step = step, .prompt = ""};

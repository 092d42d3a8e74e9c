/* SPDX-License-Identifier: ISC */
/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), with the channel
 * binding tls-server-end-point (RFC 5929 4).
 *
 * Invariant: a login without SCRAM keys is told from one that has them neither
 * by what is said nor by when: it gets a salt that is always the same for it,
 * and its proof is looked at like any other.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"
#include "lib/secret/scram.h"
#include "vault/keys.h"
#include "vault/mechanism.h"
#include "vault/passwords.h"
#include "vault/sasl_parse.h"

struct scram_state {		  /* owned by its exchange */
	struct scram_first first; /* its spans point into message */
	struct scram_keys keys;
	char server_first[SCRAM_SERVER_FIRST_SIZE];
	char server_final[SCRAM_SERVER_FINAL_SIZE];
	uint8_t message[]; /* client-first-message */
};

enum { STEP_FIRST, STEP_FINAL }; /* and the word that there is no more to say */

void
scram_state_free(struct scram_state *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static bool
is_plus(const struct exchange *x)
{
	return x->mechanism == &sasl_scram_plus;
}

static bool
fits(const struct exchange *x)
{
	const struct credentials *c = exchange_passwords(x);

	return !x->system && c != NULL && credentials_has_scram(c);
}

static bool
can_bind(const struct exchange *x)
{
	return x->binding[0] != '\0' || x->has_exporter;
}

static bool
fits_plus(const struct exchange *x)
{
	return can_bind(x) && fits(x);
}

/* -- client-first-message -- */

static struct scram_state *
state_create(const uint8_t *message, size_t len)
{
	struct scram_state *s;

	if ((s = malloc(sizeof(*s) + len)) == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	memcpy(s->message, message, len);
	if (scram_first_parse(s->message, len, &s->first) == 0)
		return s;
	free(s);
	return NULL;
}

static bool
is_called(struct span name, const char *what)
{
	return name.len == strlen(what) && memcmp(name.data, what, name.len) == 0;
}

static bool
is_exporter(struct span name)
{
	return is_called(name, "tls-exporter"); /* RFC 9266 4 */
}

/* Is it a type of binding that this connection has? */
static bool
is_bindable(const struct exchange *x, struct span name)
{
	if (is_exporter(name))
		return x->has_exporter;
	return is_called(name, "tls-server-end-point") && x->binding[0] != '\0'; /* RFC 5929 4 */
}

/*
 * Ends the exchange, and says so, when what it says of bindings can't be: "y" is
 * from a client that was not told of PLUS, and it was told (RFC 5802 6).
 */
static bool
is_misbound(struct exchange *x)
{
	const struct scram_first *first = &x->scram->first;

	if (is_plus(x) != (first->flag == SCRAM_WITH_BINDING) ||
	    (is_plus(x) && !is_bindable(x, first->binding)))
		exchange_end(x, IPC_AUTH_MALFORMED, "channel binding");
	else if (first->flag == SCRAM_NOT_OFFERED && can_bind(x))
		exchange_end(x, IPC_AUTH_REFUSED, "offer of channel binding was lost");
	else
		return false;
	return true;
}

/* The keys of the login, or some like them. */
static void
set_keys(struct exchange *x, struct credentials *c, const char *value)
{
	struct stored stored;
	const char *why;

	passwords_fake(x->vault->passwords, c, x->login, &x->scram->keys);
	x->known = stored_parse(value, &stored, &why) == 0 && stored.has_scram;
	if (x->known)
		x->scram->keys = stored.scram;
	if (x->known && credentials_where(c) != CREDENTIALS_HERE)
		credentials_learn(c, &stored);
	explicit_bzero(&stored, sizeof(stored));
}

static int
make_nonce(char dst[SCRAM_NONCE_SIZE + 1])
{
	uint8_t octets[BASE64_MAX(SCRAM_NONCE_SIZE)];

	_Static_assert(BASE64_SIZE(sizeof(octets)) == SCRAM_NONCE_SIZE + 1, "a nonce fits");
	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return -1;
	(void)base64_encode(octets, sizeof(octets), dst);
	return 0;
}

static void
on_value(struct exchange *x, enum credentials_answer answer, const char *found, const char *value)
{
	struct credentials *c = exchange_passwords(x);
	struct scram_state *s = x->scram;
	char nonce[SCRAM_NONCE_SIZE + 1];

	if (c == NULL || answer == CREDENTIALS_TROUBLE || make_nonce(nonce) == -1) {
		exchange_end(x, IPC_AUTH_TROUBLE, "table");
		return;
	}
	set_keys(x, c, value);
	if (x->known)
		str_cut(x->login, sizeof(x->login), found);
	scram_server_first(&s->first, nonce, &s->keys, s->server_first);
	exchange_challenge(x, s->server_first, strlen(s->server_first));
}

static void
step_first(struct exchange *x, const uint8_t *data, size_t len)
{
	const struct scram_first *first;

	if ((x->scram = state_create(data, len)) == NULL) {
		exchange_end(x, IPC_AUTH_MALFORMED, "first message");
		return;
	}
	first = &x->scram->first;
	if (!sasl_is_name((const uint8_t *)first->login, strlen(first->login))) {
		exchange_end(x, IPC_AUTH_MALFORMED, "login");
		return;
	}
	str_cut(x->login, sizeof(x->login), first->login);
	if (is_misbound(x) || exchange_is_blocked(x))
		return;
	if (!sasl_may_act(first->login, first->authzid))
		exchange_end(x, IPC_AUTH_REFUSED, "authzid");
	else
		value_find(x, exchange_passwords(x), first->login, on_value);
}

/* -- client-final-message -- */

static void
step_final(struct exchange *x, const uint8_t *data, size_t len)
{
	struct scram_state *s = x->scram;
	struct scram_final final;
	uint8_t hash[CERTIFICATE_BINDING_MAX];
	struct scram_exchange said = {
	    .first = &s->first, .server_first = s->server_first, .final = &final};
	bool proved;

	if (scram_final_parse(data, len, &final) == -1) {
		exchange_end(x, IPC_AUTH_MALFORMED, "final message");
		return;
	}
	if (is_plus(x) && is_exporter(s->first.binding))
		said.binding = (struct span){x->exporter, sizeof(x->exporter)};
	else if (is_plus(x)) {
		said.binding.data = hash;
		if (keys_binding(x->vault->keys, x->binding, hash, &said.binding.len) == -1) {
			exchange_end(x, IPC_AUTH_TROUBLE, "certificate");
			return;
		}
	}
	if (exchange_is_blocked(x))
		return;
	proved = scram_verify(&said, &s->keys, s->server_final);
	if (!scram_final_fits(&said))
		exchange_end(x, IPC_AUTH_REFUSED, "nonce or channel binding");
	else if (!proved || !x->known)
		exchange_end(x, IPC_AUTH_REFUSED, x->known ? "password" : "unknown login");
	else
		exchange_challenge(x, s->server_final, strlen(s->server_final));
}

static void
step(struct exchange *x, const uint8_t *data, size_t len)
{
	unsigned int n = x->nsteps++;

	if (n == STEP_FIRST)
		step_first(x, data, len);
	else if (n == STEP_FINAL)
		step_final(x, data, len);
	else if (len != 0) /* the client has nothing to add to the server's proof */
		exchange_end(x, IPC_AUTH_MALFORMED, "more than was asked for");
	else
		exchange_end(x, IPC_AUTH_OK, "");
}

const struct mechanism sasl_scram = {
    .name = "SCRAM-SHA-256", .fits = fits, .step = step, .prompt = ""};
const struct mechanism sasl_scram_plus = {
    .name = "SCRAM-SHA-256-PLUS", .fits = fits_plus, .step = step, .prompt = ""};

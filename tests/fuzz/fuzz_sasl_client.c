/* SPDX-License-Identifier: ISC */
/*
 * A server's side of SASL against our clients: the first octet picks the mechanism, then
 * challenges follow, each with its length in two octets.  A client says a bounded number of
 * things, a password by mechanisms of passwords alone, and is never let in by a server of SCRAM
 * that does not know the password.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vault/relay_credential.h"
#include "vault/sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOVES_MAX 4

static const char *const mechanisms[] = {
    "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"};
#define NMECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			abort();
	if (strstr(text, "Gehe1m") != NULL)
		abort();
}

/* A client's keys that no server has: what a fuzzer finds out must not look like proof. */
static enum sasl_client_move
give_keys(struct sasl_client *c)
{
	static const struct scram_client_keys keys = {{1}, {2}};
	const struct scram_client *s = sasl_client_scram(c);

	if (s->iterations < SCRAM_ITERATIONS_MIN || s->iterations > SCRAM_ITERATIONS_MAX ||
	    s->salt_len == 0 || s->salt_len > sizeof(s->salt))
		abort();
	return sasl_client_keys(c, &keys);
}

/* An octet string of its own, so that nothing behind it can be read. */
static enum sasl_client_move
move(struct sasl_client *c, const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len + 1);
	struct span challenge = {exact, len};
	enum sasl_client_move m;

	if (exact == NULL)
		abort();
	memcpy(exact, data, len);
	if (len == 0)
		challenge.data = data;
	m = sasl_client_next(c, &challenge);
	free(exact);
	return m == SASL_CLIENT_DERIVE ? give_keys(c) : m;
}

/* "@@" in a challenge is our nonce: without it nobody would get far. */
static size_t
insert_nonce(const struct sasl_client *c, const uint8_t *data, size_t len, uint8_t dst[4096])
{
	const char *nonce = sasl_client_scram(c)->nonce;
	size_t n = 0, i;

	for (i = 0; i < len && n + SCRAM_NONCE_SIZE < 4096; i++) {
		if (i + 1 < len && data[i] == '@' && data[i + 1] == '@') {
			memcpy(dst + n, nonce, strlen(nonce));
			n += strlen(nonce);
			i++;
		} else {
			dst[n++] = data[i];
		}
	}
	return n;
}

static void
converse(struct sasl_client *c, const uint8_t *data, size_t size)
{
	uint8_t said[4096];
	unsigned int moves = 0;
	size_t len;

	if (sasl_client_next(c, NULL) != SASL_CLIENT_SAY)
		abort();
	while (size >= 2) {
		len = (size_t)(data[0] << 8 | data[1]);
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (move(c, said, insert_nonce(c, data, len, said)) == SASL_CLIENT_STOP)
			break;
		if (++moves > MOVES_MAX)
			abort();
		data += len;
		size -= len;
	}
	check_text(sasl_client_why(c));
	if (strcmp(sasl_client_mechanism(c), "SCRAM-SHA-256") == 0 && sasl_client_end(c))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_client_login login = {.login = "ann,=@a.example",
	    .secret = {(const uint8_t *)"Gehe1m", 6},
	    .host = "mail.example.org",
	    .port = 587};
	struct sasl_client *c;
	const char *name;

	if (size == 0)
		return 0;
	name = mechanisms[data[0] % NMECHANISMS];
	login.is_token = strstr(name, "OAUTH") != NULL || strcmp(name, "XOAUTH2") == 0;
	if ((c = sasl_client_create(name, &login)) == NULL)
		abort();
	converse(c, data + 1, size - 1);
	sasl_client_free(c);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * SCRAM and what a table keeps; the first octet says what it is.  Spans lie
 * within the message, keys are the same as text and back, and nobody proves
 * anything by chance.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret/scram.h"
#include "lib/secret/stored.h"
#include "lib/secret/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_span(struct span s, const uint8_t *data, size_t size)
{
	uintptr_t at = (uintptr_t)s.data, start = (uintptr_t)data;

	if (s.len > 0 && (at < start || at - start > size || s.len > size - (at - start)))
		abort();
}

static const char first_text[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";

static void
try_final(const uint8_t *data, size_t size)
{
	char server_first[SCRAM_SERVER_FIRST_SIZE], server_final[SCRAM_SERVER_FINAL_SIZE];
	const uint8_t secret[SCRAM_KEY_SIZE] = {0};
	struct scram_first first;
	struct scram_final final;
	struct scram_exchange x = {&first, server_first, &final, {NULL, 0}};
	struct scram_keys keys;

	if (scram_final_parse(data, size, &final) == -1)
		return;
	check_span(final.nonce, data, size);
	check_span(final.without_proof, data, size);
	if (final.binding_len > sizeof(final.binding) || final.without_proof.len + 3 > size)
		abort();
	if (scram_first_parse((const uint8_t *)first_text, sizeof(first_text) - 1, &first) == -1)
		abort();
	scram_keys_fake(secret, "user", SCRAM_ITERATIONS, SCRAM_SALT_SIZE, &keys);
	scram_server_first(&first, "0123456789abcdefghijklmn", &keys, server_first);
	/* Nobody has proved to know a key that is made up. */
	if (scram_final_fits(&x) && scram_verify(&x, &keys, server_final))
		abort();
	if (scram_verify(&x, &keys, server_final))
		abort();
}

static void
try_first(const uint8_t *data, size_t size)
{
	char server_first[SCRAM_SERVER_FIRST_SIZE];
	const uint8_t secret[SCRAM_KEY_SIZE] = {0};
	struct scram_first first;
	struct scram_keys keys;

	if (scram_first_parse(data, size, &first) == -1)
		return;
	check_span(first.binding, data, size);
	check_span(first.header, data, size);
	check_span(first.bare, data, size);
	check_span(first.nonce, data, size);
	if (first.header.len + first.bare.len != size || first.login[0] == '\0' ||
	    (first.binding.len > 0) != (first.flag == SCRAM_WITH_BINDING))
		abort();
	scram_keys_fake(secret, first.login, SCRAM_ITERATIONS_MAX, SCRAM_SALT_MAX, &keys);
	scram_server_first(&first, "0123456789abcdefghijklmn", &keys, server_first);
	if (strlen(server_first) < first.nonce.len + SCRAM_NONCE_SIZE)
		abort();
}

static void
try_keys(const char *text, size_t size)
{
	char again[SCRAM_TEXT_SIZE];
	struct scram_keys a, b;

	if (scram_keys_parse(text, size, &a) == -1)
		return;
	scram_keys_format(&a, again);
	if (scram_keys_parse(again, strlen(again), &b) == -1 || memcmp(&a, &b, sizeof(a)) != 0)
		abort();
}

static void
try_value(const char *value)
{
	char fake[STORED_HASH_SIZE];
	struct stored s;
	const char *why;

	if (stored_parse(value, &s, &why) == -1) {
		if (why == NULL || s.hash[0] != '\0' || s.has_scram)
			abort();
		return;
	}
	if (s.hash[0] == '\0')
		return;
	if (stored_hash_fault(s.hash) != NULL || stored_hash_kind(s.hash) >= strlen(s.hash) ||
	    stored_hash_fake(s.hash, fake) == -1 || strlen(fake) != strlen(s.hash) ||
	    stored_hash_fault(fake) != NULL)
		abort();
}

static void
try_grant(const char *value)
{
	struct token_grant g;

	if (token_grant_parse(value, &g) == 0 && (g.login[0] == '\0' || g.expires_s < -86400))
		abort();
}

enum { FIRST, FINAL, KEYS, VALUE, GRANT, WHAT__MAX };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int what = size == 0 ? 0 : data[0] % WHAT__MAX;
	bool string = what == VALUE || what == GRANT;
	uint8_t *exact;

	if (size == 0 || (exact = malloc(size + string)) == NULL)
		return 0;
	/* Nothing behind it but the NUL of a string. */
	memcpy(exact + 1, data + 1, --size);
	if (string)
		exact[1 + size] = '\0';
	if (what == FIRST)
		try_first(exact + 1, size);
	else if (what == FINAL)
		try_final(exact + 1, size);
	else if (what == KEYS)
		try_keys((const char *)exact + 1, size);
	else if (what == VALUE)
		try_value((const char *)exact + 1);
	else
		try_grant((const char *)exact + 1);
	free(exact);
	return 0;
}

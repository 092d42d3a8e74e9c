/* SPDX-License-Identifier: ISC */
/*
 * What authorization servers answer, and what is kept on disk; the first octet says which.
 * Whatever they say, an answer is of one kind and has what that kind needs; its texts can be
 * shown; and nothing opens that was not sealed here.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vault/json_doc.h"
#include "vault/oauth_answer.h"
#include "vault/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_plain(const char *text, int blanks)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < (blanks ? 0x20 : 0x21) || (unsigned char)*text > 0x7e)
			abort();
}

static void
check_tokens(const struct oauth_answer *a)
{
	if (a->access_token[0] == '\0' || a->expires_s < 1 || a->device_code[0] != '\0')
		abort();
	check_plain(a->access_token, 0);
	check_plain(a->refresh_token, 0);
	check_plain(a->scope, 1);
}

static void
check_device(const struct oauth_answer *a)
{
	if (a->device_code[0] == '\0' || a->user_code[0] == '\0' || a->interval_s < 1 ||
	    a->expires_s < 1 || strncasecmp(a->url, "https://", 8) != 0)
		abort();
	check_plain(a->device_code, 0);
	check_plain(a->user_code, 0);
	check_plain(a->url, 0);
}

static void
try_answer(unsigned int status, const uint8_t *data, size_t size)
{
	static struct oauth_answer a;

	oauth_answer_read(status, (struct span){data, size}, &a);
	check_plain(a.text, 1);
	if (a.said == OAUTH_SAID_TOKENS)
		check_tokens(&a);
	else if (a.said == OAUTH_SAID_DEVICE)
		check_device(&a);
	else if (a.text[0] == '\0' || a.access_token[0] != '\0' || a.refresh_token[0] != '\0')
		abort();
}

static void
try_sealed(const uint8_t *data, size_t size)
{
	static const uint8_t file[SEALED_KEY_MIN] = {7};
	struct sealer s;
	struct buf plain;

	buf_init(&plain, IPC_SEALED_MAX + 1);
	if (sealer_set_key(&s, (struct span){file, sizeof(file)}) == -1)
		abort();
	if (sealer_open(&s, "work", (struct span){data, size}, &plain) == 0 || plain.len != 0)
		abort();
	buf_free(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int statuses[] = {200, 400, 401, 429, 503, 0};
	static int prepared;
	uint8_t *exact;

	if (!prepared && json_doc_prepare() == -1)
		abort();
	prepared = 1;
	if (size == 0 || (exact = malloc(size)) == NULL)
		return 0;
	memcpy(exact, data + 1, size - 1); /* nothing behind it that could be read in vain */
	if (data[0] % 7 == 6)
		try_sealed(exact, size - 1);
	else
		try_answer(statuses[data[0] % 7], exact, size - 1);
	free(exact);
	return 0;
}

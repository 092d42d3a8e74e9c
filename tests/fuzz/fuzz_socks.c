/* SPDX-License-Identifier: ISC */
/* A hostile SOCKS5 proxy: it is done or broken within the longest answer, and says so once. */
#include <stdint.h>
#include <stdlib.h>

#include "delivery/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS_MAX (2 + 262)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum socks_result result;
	struct socks s = {0};
	struct addr to;
	size_t i;

	if (addr_parse("2001:db8::1", 25, &to) == -1 || socks_feed(&s, &to, NULL) != SOCKS_SAY)
		abort();
	for (i = 0; i < size; i++) {
		result = socks_feed(&s, &to, &data[i]);
		if (i >= TURNS_MAX || (result == SOCKS_SAY && s.nout > sizeof(s.out)) ||
		    (result == SOCKS_BROKEN && s.why == NULL))
			abort();
		if (result == SOCKS_DONE || result == SOCKS_BROKEN)
			break;
	}
	return 0;
}

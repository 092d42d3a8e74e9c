/* SPDX-License-Identifier: ISC */
/*
 * The PROXY header: the answer for all the input and for every part of it that
 * begins where it does must agree, and no octet past a part is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_result
parse(const uint8_t *data, size_t size, bool v2_only, struct proxy_header *h)
{
	uint8_t *exact = malloc(size == 0 ? 1 : size);
	enum proxy_result r;

	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	r = proxy_parse(exact, size, v2_only, h);
	free(exact);
	return r;
}

static void
check_ok(const struct proxy_header *h, size_t size)
{
	char text[ADDR_TEXT_MAX];

	if (h->len == 0 || h->len > size || h->len > PROXY_HEADER_MAX)
		abort();
	if (h->own)
		return;
	if (h->source.ss.ss_family != AF_INET && h->source.ss.ss_family != AF_INET6)
		abort();
	addr_format(&h->source, text);
	if (strchr(text, '%') != NULL)
		abort();
}

static void
try_parts(const uint8_t *data, size_t size, bool v2_only)
{
	struct proxy_header whole, part;
	enum proxy_result r = parse(data, size, v2_only, &whole), p;
	size_t n;

	if (r == PROXY_OK)
		check_ok(&whole, size);
	for (n = 0; n < size; n++) {
		p = parse(data, n, v2_only, &part);
		if (p != PROXY_MORE && p != r)
			abort();
		if (r == PROXY_OK && (p == PROXY_OK) != (n >= whole.len))
			abort();
		if (p == PROXY_OK && memcmp(&part, &whole, sizeof(whole)) != 0)
			abort();
	}
	if (r == PROXY_MORE && size >= PROXY_HEADER_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 512)
		size = 512;
	try_parts(data, size, false);
	try_parts(data, size, true);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/* Base64: what decodes encodes to the same text, whatever room there is; what does not leaves nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy without an octet to spare, so that one too many is seen. */
static void *
exact(const uint8_t *data, size_t size)
{
	void *copy = malloc(size == 0 ? 1 : size);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

static int
decode(const uint8_t *data, size_t size, size_t room, size_t *n)
{
	char *text = exact(data, size), *again;
	uint8_t *octets = calloc(1, room == 0 ? 1 : room);
	size_t i;
	int rc;

	if (octets == NULL || (again = malloc(BASE64_SIZE(room))) == NULL)
		abort();
	rc = base64_decode(text, size, octets, room, n);
	if (rc == 0) {
		if (*n > room || *n > BASE64_MAX(size) ||
		    base64_encode(octets, *n, again) != size || memcmp(again, text, size) != 0)
			abort();
	} else {
		for (i = 0; i < room; i++)
			if (octets[i] != 0 || *n != 0)
				abort();
	}
	free(again);
	free(octets);
	free(text);
	return rc;
}

static void
encode(const uint8_t *data, size_t size)
{
	char *text = malloc(BASE64_SIZE(size));
	uint8_t *octets = malloc(size == 0 ? 1 : size);
	size_t len, n;

	if (text == NULL || octets == NULL)
		abort();
	len = base64_encode(data, size, text);
	if (len + 1 != BASE64_SIZE(size) || text[len] != '\0' ||
	    base64_decode(text, len, octets, size, &n) == -1 || n != size ||
	    (size > 0 && memcmp(octets, data, size) != 0))
		abort();
	free(octets);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n, less;

	encode(data, size);
	if (decode(data, size, BASE64_MAX(size), &n) == -1)
		return 0;
	if (decode(data, size, n, &less) == -1)
		abort();
	if (n > 0 && decode(data, size, n - 1, &less) == 0)
		abort();
	return 0;
}

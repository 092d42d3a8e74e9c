/* SPDX-License-Identifier: ISC */
/* The prose of a reply: a time within bounds, whatever it says, and no octet behind its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	int64_t seconds;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	seconds = again_seconds(text);
	if (seconds < 0 || seconds > AGAIN_MAX_S)
		abort();
	free(text);
	return 0;
}

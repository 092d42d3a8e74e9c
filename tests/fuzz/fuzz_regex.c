/* SPDX-License-Identifier: ISC */
/* Regular expressions, and after a NUL what they are held against: what is taken costs little. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lookup/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, '\0', size);
	size_t n = nul == NULL ? size : (size_t)(nul - data), rest = size - n;
	char *text = malloc(size + 2);
	const char *why = NULL;
	struct regex *r;
	int i;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	text[size + 1] = '\0';
	if ((r = regex_create(text, &why)) == NULL) {
		if (why == NULL)
			abort();
	} else {
		for (i = 0; i < 3; i++)
			if (regex_matches(r, text + n + (rest > 0)) == TABLE_PENDING)
				abort();
	}
	regex_free(r);
	free(text);
	return 0;
}

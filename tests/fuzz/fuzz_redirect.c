/* SPDX-License-Identifier: ISC */
/* What comes to the port of "smtpctl oauth login", and what is pasted: whatever is taken is printable ASCII. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/smtpctl_redirect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be_printable(const char *s, size_t size)
{
	const char *end = memchr(s, '\0', size);

	if (end == NULL)
		abort();
	for (; s < end; s++)
		if (*s < ' ' || *s > '~')
			abort();
}

static void
look(enum redirect_kind kind, const struct redirect *got)
{
	must_be_printable(got->state, sizeof(got->state));
	must_be_printable(got->error, sizeof(got->error));
	must_be_printable(got->code, sizeof(got->code));
	if (kind == REDIRECT_CODE && got->code[0] == '\0')
		abort();
	if ((kind == REDIRECT_ERROR) != (got->error[0] != '\0'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size == 0 ? 1 : size);
	struct redirect got;

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	look(redirect_of_url(text, size, &got), &got);
	look(redirect_of_paste(text, size, &got), &got);
	look(redirect_of_request(text, size, &got), &got);
	free(text);
	return 0;
}

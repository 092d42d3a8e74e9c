/* SPDX-License-Identifier: ISC */
/* Addresses: what parses is written and parses to the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_round_trip(const struct address *a)
{
	unsigned flags = ADDRESS_NULL_OK | ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	char text[ADDRESS_MAX + 1];
	struct address again;

	if (address_format(a, text, sizeof(text)) == -1 || strpbrk(text, "\r\n") != NULL)
		abort();
	if (address_parse(text, flags, &again) != ADDRESS_OK)
		abort();
	if (strcmp(a->local, again.local) != 0 || strcmp(a->domain, again.domain) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a;
	struct address_literal literal;
	const char *p;
	char *s;

	if (size == 0 || (s = malloc(size)) == NULL)
		return 0;
	memcpy(s, data + 1, size - 1);
	s[size - 1] = '\0';
	p = s;
	if (address_parse_path(&p, data[0], &a) == ADDRESS_OK)
		check_round_trip(&a);
	if (address_parse(s, data[0], &a) == ADDRESS_OK)
		check_round_trip(&a);
	(void)address_helo_valid(s);
	(void)address_domain_valid(s, true);
	(void)address_literal_parse(s, &literal);
	free(s);
	return 0;
}

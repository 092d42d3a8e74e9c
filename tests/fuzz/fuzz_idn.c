/* SPDX-License-Identifier: ISC */
/* Any octets as a domain, a key and a pattern: what comes out is a name, and the same name from then on. */
#include <stdint.h>
#include <string.h>

#include "lib/mail/idn.h"
#include "lookup/domains.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name with A-labels is its own, and so is that with U-labels. */
static void
check_names(const char *text)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1], unicode[ADDRESS_DOMAIN_MAX + 1];
	char again[ADDRESS_DOMAIN_MAX + 1];
	const char *c;

	if (idn_to_ascii(text, ascii) == -1)
		return;
	for (c = ascii; *c != '\0'; c++)
		bug_on(((unsigned char)*c & 0x80) != 0);
	bug_on(idn_to_ascii(ascii, again) == -1 || strcmp(ascii, again) != 0);
	bug_on(!domain_equal(text, ascii));
	if (idn_to_unicode(text, unicode) == -1)
		return;
	bug_on(!address_domain_valid(unicode, true) || !domain_equal(unicode, ascii));
	bug_on(idn_to_unicode(unicode, again) == -1 || strcmp(unicode, again) != 0);
}

static void
check_key(const char *text)
{
	char key[TABLE_KEY_MAX + 1], again[TABLE_KEY_MAX + 1];
	struct domain_forms f;
	size_t i;

	domain_forms_make(&f, text);
	for (i = 0; i < f.n; i++)
		bug_on(!domain_equal(text, f.list[i]));
	if (strchr(text, '*') == NULL && text[0] != '.')
		bug_on(!domain_matches(text, text));
	if (domain_key_to_ascii(text, key) == 0)
		bug_on(domain_key_to_ascii(key, again) == 0 && strchr(key, '*') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2048], address[ADDRESS_MAX + 1];

	if (size >= sizeof(text) || memchr(data, '\0', size) != NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_names(text);
	check_key(text);
	if (idn_address_to_ascii(text, address) == 0) {
		struct address a;

		bug_on(address[0] != '\0' &&
		       address_parse(address, ADDRESS_BARE_POSTMASTER_OK, &a) != ADDRESS_OK);
	}
	return 0;
}

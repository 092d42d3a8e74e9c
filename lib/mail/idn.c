/* SPDX-License-Identifier: ISC */
/*
 * Names of domains in the two ways that they are written.
 *
 * Invariant: what was not ASCII comes out as a valid host name of A-labels or not at
 * all, whatever the mapping made of it; ASCII never reaches the library, so that
 * mail for such domains depends on no table of characters.  Nothing is fatal.
 */
#include "lib/mail/idn.h"

#include <errno.h>
#include <idn2.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"

#define FLAGS (IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES)

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s & 0x80) != 0)
			return false;
	return true;
}

static bool
has_alabel(const char *domain)
{
	const char *label;

	for (label = domain; label != NULL; label = strchr(label, '.')) {
		label += *label == '.';
		if (str_starts_nocase(label, "xn--"))
			return true;
	}
	return false;
}

/* Takes over what the library made; rc is what it said.  -1: EINVAL, ENOMEM. */
static int
take(int rc, char *made, char dst[ADDRESS_DOMAIN_MAX + 1])
{
	dst[0] = '\0';
	if (rc == IDN2_OK && str_copy(dst, ADDRESS_DOMAIN_MAX + 1, made) == -1)
		rc = IDN2_TOO_BIG_DOMAIN;
	if (rc == IDN2_OK) {
		idn2_free(made);
		return 0;
	}
	if (made != NULL)
		idn2_free(made);
	errno = rc == IDN2_MALLOC ? ENOMEM : EINVAL;
	return -1;
}

int
idn_to_ascii(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1])
{
	char *made = NULL;
	int rc;

	if (is_ascii(domain)) {
		if (str_copy(dst, ADDRESS_DOMAIN_MAX + 1, domain) == -1) {
			errno = EINVAL;
			return -1;
		}
		if (domain[0] != '[')
			str_lower(dst);
		return 0;
	}
	dst[0] = '\0';
	if (!address_domain_valid(domain, true)) {
		errno = EINVAL;
		return -1;
	}
	rc = idn2_to_ascii_8z(domain, &made, FLAGS);
	if (take(rc, made, dst) == -1)
		return -1;
	str_lower(dst);
	/* The mapping makes ASCII of much that only looks like it: signs that have no place in a name too. */
	if (address_domain_valid(dst, false))
		return 0;
	dst[0] = '\0';
	errno = EINVAL;
	return -1;
}

int
idn_to_unicode(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1])
{
	char ascii[ADDRESS_DOMAIN_MAX + 1], again[ADDRESS_DOMAIN_MAX + 1];
	char *made = NULL;
	int rc;

	dst[0] = '\0';
	if (idn_to_ascii(domain, ascii) == -1)
		return -1;
	if (!has_alabel(ascii)) {
		errno = EINVAL;
		return -1;
	}
	rc = idn2_to_unicode_8z8z(ascii, &made, 0);
	if (take(rc, made, dst) == -1)
		return -1;
	/* A-labels can be made up that stand for what no name may have in it, or for another name. */
	if (!is_ascii(dst) && idn_to_ascii(dst, again) == 0 && strcmp(ascii, again) == 0)
		return 0;
	dst[0] = '\0';
	errno = EINVAL;
	return -1;
}

int
idn_address_to_ascii(const char *address, char dst[ADDRESS_MAX + 1])
{
	unsigned int flags = ADDRESS_NULL_OK | ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	char domain[ADDRESS_DOMAIN_MAX + 1];
	struct address a;

	dst[0] = '\0';
	if (address_parse(address, flags, &a) != ADDRESS_OK || !is_ascii(a.local)) {
		errno = EINVAL;
		return -1;
	}
	if (idn_to_ascii(a.domain, domain) == -1)
		return -1;
	memcpy(a.domain, domain, sizeof(a.domain));
	if (address_format(&a, dst, ADDRESS_MAX + 1) == 0)
		return 0;
	dst[0] = '\0';
	errno = EINVAL;
	return -1;
}

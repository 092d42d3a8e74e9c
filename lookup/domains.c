/* SPDX-License-Identifier: ISC */
/*
 * The two ways to write a domain, for whatever is compared with what others wrote.
 *
 * Invariant: what makes no name of the DNS is only ever equal to itself.  Nothing is
 * fatal.
 */
#include "lookup/domains.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/idn.h"
#include "lookup/glob.h"

static bool
has_8bit(const char *s)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s & 0x80) != 0)
			return true;
	return false;
}

bool
domain_has_forms(const char *text)
{
	if (has_8bit(text))
		return true;
	for (; *text != '\0'; text++)
		if ((*text == 'x' || *text == 'X') && str_starts_nocase(text, "xn--"))
			return true;
	return false;
}

void
domain_forms_make(struct domain_forms *f, const char *domain)
{
	f->n = 1;
	f->list[0] = domain;
	if (!domain_has_forms(domain) || idn_to_ascii(domain, f->text[0]) == -1)
		return;
	f->list[0] = f->text[0];
	if (idn_to_unicode(domain, f->text[1]) == 0)
		f->list[f->n++] = f->text[1];
}

void
domain_canonical(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1])
{
	if (idn_to_ascii(domain, dst) == -1)
		str_cut(dst, ADDRESS_DOMAIN_MAX + 1, domain);
}

bool
domain_equal(const char *a, const char *b)
{
	char one[ADDRESS_DOMAIN_MAX + 1], other[ADDRESS_DOMAIN_MAX + 1];

	if (str_equal_nocase(a, b))
		return true;
	return (has_8bit(a) || has_8bit(b)) && idn_to_ascii(a, one) == 0 &&
	       idn_to_ascii(b, other) == 0 && strcmp(one, other) == 0;
}

bool
domain_matches(const char *pattern, const char *domain)
{
	char ascii[TABLE_KEY_MAX + 1];
	struct domain_forms f;
	size_t i;

	domain_forms_make(&f, domain);
	for (i = 0; i < f.n; i++)
		if (glob_matches_domain(pattern, f.list[i]))
			return true;
	return domain_key_to_ascii(pattern, ascii) == 0 && glob_matches_domain(ascii, f.list[0]);
}

/* -- keys of tables -- */

/* One label of a key, n octets, to the end of dst. */
static int
label_to_ascii(const char *label, size_t n, char *dst, size_t size)
{
	char from[ADDRESS_DOMAIN_MAX + 1], to[ADDRESS_DOMAIN_MAX + 1];

	if (n >= sizeof(from))
		return -1;
	memcpy(from, label, n);
	from[n] = '\0';
	if (!has_8bit(from) || strchr(from, '*') != NULL)
		return str_append(dst, size, from);
	return idn_to_ascii(from, to) == -1 ? -1 : str_append(dst, size, to);
}

int
domain_key_to_ascii(const char *key, char dst[TABLE_KEY_MAX + 1])
{
	const char *at = strrchr(key, '@');
	const char *label = at == NULL ? key : at + 1;
	size_t head = (size_t)(label - key), n;

	if (!has_8bit(label) || head > TABLE_KEY_MAX)
		return -1;
	memcpy(dst, key, head);
	dst[head] = '\0';
	for (;; label += n + 1) {
		n = strcspn(label, ".");
		if (label_to_ascii(label, n, dst, TABLE_KEY_MAX + 1) == -1)
			return -1;
		if (label[n] == '\0')
			return 0;
		if (str_append(dst, TABLE_KEY_MAX + 1, ".") == -1)
			return -1;
	}
}

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_DOMAINS_H
#define LOOKUP_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/table_entry.h"
#include "lib/mail/address.h"

/*
 * Domains that can be written in two ways (lib/mail/idn.h): whichever a client, a
 * table or a rule has, it is the same one.  Pure.
 */

/* How a table may have it, in the order to ask: with A-labels, then with U-labels. */
struct domain_forms {
	size_t n;
	const char *list[2]; /* in text, or the domain itself where no such name can be */
	char text[2][ADDRESS_DOMAIN_MAX + 1];
};

/* The domain must live as long as f. */
void domain_forms_make(struct domain_forms *f, const char *domain);
/* Is there any octet in it that makes it worth asking for both? */
bool domain_has_forms(const char *text);

/* As what is known of it is kept: with A-labels, in lower case; as it is where there can be none. */
void domain_canonical(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1]);
bool domain_equal(const char *a, const char *b);
/* See glob_matches_domain(). */
bool domain_matches(const char *pattern, const char *domain);

/*
 * The key of a table with A-labels for what stands behind its "@", or for all of it:
 * "info@bücher.example", "*.bücher.example".  Labels with a "*" stay.  -1: it is the same, or
 * no such name can be.
 */
int domain_key_to_ascii(const char *key, char dst[TABLE_KEY_MAX + 1]) WARN_UNUSED;

#endif

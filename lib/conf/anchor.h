/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_ANCHOR_H
#define LIB_CONF_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bug.h"

/*
 * A DNSSEC trust anchor in smtpd.conf: the absolute path of a file, or one DS record as
 * in a zone file (RFC 4034 section 5.3), which has blanks and begins with no slash:
 *
 *	DOMAIN [TTL] [IN] DS KEY-TAG ALGORITHM DIGEST-TYPE DIGEST
 *
 * Taken are the algorithms and digests that RFC 8624 has validators know: with
 * others the resolver would hold the whole domain for unsigned, and say nothing.
 */
bool anchor_is_record(const char *s);
/* -1: it is neither, and why says what is wrong with it. */
int anchor_check(const char *s, char *why, size_t size) WARN_UNUSED;
bool check_anchor(const char *s);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SESSION_XTEXT_H
#define SESSION_XTEXT_H

#include <stdbool.h>

#include "lib/base/bug.h"

/*
 * Decodes xtext (RFC 3461 4) into dst, which has room for all of src; utf8 lets raw
 * UTF-8 through (RFC 6533 3).  -1, with dst of no use: not xtext, or what it says is
 * not printable; so no octet that begins a line or ends a string comes out.
 */
int xtext_decode(char *dst, const char *src, bool utf8) WARN_UNUSED;

#endif

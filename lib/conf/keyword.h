/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_KEYWORD_H
#define LIB_CONF_KEYWORD_H

#include <stdbool.h>

/*
 * Whether a bare word is a keyword of the OpenSMTPD family, which has to be
 * quoted to be a name.  This server's own words are not reserved, so that a
 * file of the family never has to be changed because of them.
 */
bool keyword_is_reserved(const char *word);
/*
 * Why this release refuses something that the grammar has, or NULL when it
 * does not.  what names statement and word: "filter", "action mbox".
 */
const char *keyword_unsupported(const char *what);

#endif

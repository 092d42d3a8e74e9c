/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_GLOB_H
#define LOOKUP_GLOB_H

#include <stdbool.h>

/* The patterns of tables: '*' is any run of octets, also an empty one. */
bool glob_matches(const char *pattern, const char *s, bool ignore_case);
/* Whatever its case; a pattern that starts with a dot is for all names below it. */
bool glob_matches_domain(const char *pattern, const char *domain);

#endif

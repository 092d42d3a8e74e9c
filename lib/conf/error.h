/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_ERROR_H
#define LIB_CONF_ERROR_H

#include <stddef.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

struct source { /* one file as it was read; owned by the lexer until the parse ends */
	char *name;
	char *text;
	size_t len;
};

struct place {
	const struct source *source; /* NULL: no file in particular */
	size_t line_at;		     /* offset of the line in the source */
	unsigned int line, column;   /* from 1 */
	unsigned int order;	     /* tokens read before, in all files */
};

/* Adds a fault, kept in reading order. */
void
error_add(struct conf_errors *e, const struct place *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "TEXT", with ", did you mean 'WORD'?" when one of the words is near. */
void error_add_near(struct conf_errors *e, const struct place *at, const char *what,
    const char *given, const char *const *words);

#endif

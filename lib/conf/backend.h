/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_BACKEND_H
#define LIB_CONF_BACKEND_H

#include <stdbool.h>

#include "lib/conf/conf.h"

/* Where a table is that is not written in smtpd.conf: "table NAME WORD:PATH", a row each. */
struct backend {
	const char *word;
	enum conf_table_kind kind;
	bool (*check)(const char *); /* of the path */
	const char *what;	     /* that has to be */
	const char *use; /* the only options that it is for; NULL: not only those of listeners */
};

/* Of a text that begins with its word and a colon; NULL: of none. */
const struct backend *backend_of_text(const char *text);
/* NULL: a table that is written in place, or elsewhere. */
const struct backend *backend_of_kind(enum conf_table_kind kind);

#endif

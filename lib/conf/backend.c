/* SPDX-License-Identifier: ISC */
/*
 * The back ends of tables, for the parser and the dump.
 */
#include "lib/conf/backend.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/conf/check.h"

#define A_PATH	 "an absolute path"
#define A_SOCKET "a path that a socket can have"

static const struct backend backends[] = {
    {"file", CONF_TABLE_FILE, check_path, A_PATH, NULL},
    {"cdb", CONF_TABLE_CDB, check_path, A_PATH, NULL},
    {"sqlite", CONF_TABLE_SQLITE, check_path, A_PATH, NULL},
    {"postgres", CONF_TABLE_POSTGRES, check_path, A_PATH, NULL},
    {"dovecot", CONF_TABLE_DOVECOT, check_socket_path, A_SOCKET, "'auth' and 'tokens'"},
    {"helper", CONF_TABLE_HELPER, check_socket_path, A_SOCKET, "'tokens'"},
};

const struct backend *
backend_of_text(const char *text)
{
	size_t i, len;

	for (i = 0; i < NITEMS(backends); i++) {
		len = strlen(backends[i].word);
		if (strncmp(backends[i].word, text, len) == 0 && text[len] == ':')
			return &backends[i];
	}
	return NULL;
}

const struct backend *
backend_of_kind(enum conf_table_kind kind)
{
	size_t i;

	for (i = 0; i < NITEMS(backends); i++) {
		if (backends[i].kind == kind)
			return &backends[i];
	}
	return NULL;
}

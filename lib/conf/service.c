/* SPDX-License-Identifier: ISC */
/*
 * The services of tables, by number and by name.
 */
#include "lib/conf/service.h"

#include <stddef.h>
#include <string.h>

static const struct row {
	const char *word, *key;
	bool has_value;
} rows[SERVICE__MAX] = {
#define TABLE_SERVICE_ROW(id, word, key, value) [SERVICE_##id] = {word, key, value},
    TABLE_SERVICES(TABLE_SERVICE_ROW)
#undef TABLE_SERVICE_ROW
};

const char *
service_word(enum table_service s)
{
	return rows[s].word;
}

const char *
service_key(enum table_service s)
{
	return rows[s].key;
}

bool
service_has_value(enum table_service s)
{
	return rows[s].has_value;
}

int
service_of_word(const char *word, enum table_service *out)
{
	size_t i;

	for (i = 0; i < NITEMS(rows); i++) {
		if (strcmp(rows[i].word, word) == 0) {
			*out = (enum table_service)i;
			return 0;
		}
	}
	return -1;
}

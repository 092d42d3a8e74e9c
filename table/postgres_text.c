/* SPDX-License-Identifier: ISC */
/*
 * Keys, rows and errors of PostgreSQL, as text.
 */
#include "table/postgres_text.h"

#include <stdint.h>
#include <string.h>

/* -- keys -- */

/* How many octets follow the first one, and the least code point that needs so many. */
static int
utf8_length(unsigned char c, uint32_t *bits, uint32_t *least)
{
	static const struct {
		unsigned char mask, value;
		uint32_t least;
	} kinds[] = {
	    {0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	size_t i;

	for (i = 0; i < NITEMS(kinds); i++)
		if ((c & kinds[i].mask) == kinds[i].value) {
			*bits = c & (unsigned char)~kinds[i].mask;
			*least = kinds[i].least;
			return (int)i;
		}
	return -1;
}

bool
pg_is_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t code, least;
	int more;

	while (*p != '\0') {
		if ((more = utf8_length(*p++, &code, &least)) == -1)
			return false;
		for (; more > 0; more--, p++) {
			if ((*p & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*p & 0x3f);
		}
		if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
	}
	return true;
}

/* -- rows -- */

bool
pg_takes_one_row(enum table_service service)
{
	return !service_has_value(service) || service == SERVICE_USERINFO ||
	       service == SERVICE_AUTH || service == SERVICE_CREDENTIALS;
}

static bool
all_null(const struct pg_column *columns, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (columns[i].value != NULL)
			return false;
	return true;
}

enum pg_row
pg_row_value(enum table_service service, const struct pg_column *columns, size_t n,
    char dst[IPC_VALUE_MAX + 1], size_t *len)
{
	bool is_secret = service == SERVICE_AUTH || service == SERVICE_CREDENTIALS;
	size_t i;

	*len = 0;
	dst[0] = '\0';
	if (is_secret && n > 1) { /* as in the family: the login, and what is kept for it */
		columns++;
		n = 1;
	}
	if (n > 0 && all_null(columns, n))
		return PG_ROW_EMPTY;
	if (!service_has_value(service))
		return PG_ROW_TAKEN;
	for (i = 0; i < n; i++) {
		size_t need = columns[i].len + (i > 0);

		if (need > IPC_VALUE_MAX - *len)
			return PG_ROW_TOO_LONG;
		if (i > 0)
			dst[(*len)++] = ':';
		if (columns[i].value == NULL)
			continue;
		memcpy(dst + *len, columns[i].value, columns[i].len);
		*len += columns[i].len;
	}
	dst[*len] = '\0';
	return *len == 0 ? PG_ROW_EMPTY : PG_ROW_TAKEN;
}

/* -- errors (PostgreSQL, appendix A) -- */

enum ipc_outcome
pg_error_outcome(const char *sqlstate)
{
	/* The data base's own encoding has no such character. */
	if (strcmp(sqlstate, "22021") == 0 || strcmp(sqlstate, "22P05") == 0)
		return IPC_GONE;
	return IPC_RETRY;
}

bool
pg_error_is_stale(const char *sqlstate)
{
	return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0;
}

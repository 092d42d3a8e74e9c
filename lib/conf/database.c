/* SPDX-License-Identifier: ISC */
/*
 * The small configuration of a SQLite table: a line, a word, its value.
 *
 * Invariant: whatever the text, *out holds either every value, checked, or
 * nothing.  Whether the query is good SQL is for SQLite to say.
 */
#include "lib/conf/database.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define BLANKS " \t"

struct reader {
	struct database *out;
	struct database_error *error;
	unsigned int line;
};

static int refuse(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int
refuse(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->error->text, sizeof(r->error->text), fmt, ap);
	va_end(ap);
	r->error->line = r->line;
	errno = EINVAL;
	return -1;
}

static int
check_dbpath(struct reader *r, const char *value)
{
	if (value[0] != '/')
		return refuse(r, "dbpath must be an absolute path");
	if (strlen(value) > CONF_STRING_MAX)
		return refuse(r, "dbpath is longer than %d octets", CONF_STRING_MAX);
	return 0;
}

/* Parameters outside of '...' and "..."; SQLite counts again, this is for an error with a line. */
static size_t
count_parameters(const char *sql)
{
	size_t n = 0;
	char quote = '\0';

	for (; *sql != '\0'; sql++) {
		if (quote != '\0')
			quote = *sql == quote ? '\0' : quote;
		else if (*sql == '\'' || *sql == '"' || *sql == '`')
			quote = *sql;
		else if (*sql == '?')
			n++;
	}
	return n;
}

static int
check_query(struct reader *r, const char *value)
{
	if (strlen(value) > DATABASE_QUERY_MAX)
		return refuse(r, "the query is longer than %d octets", DATABASE_QUERY_MAX);
	if (!str_starts_nocase(value, "select") || char_is_alnum((unsigned char)value[6]))
		return refuse(r, "the query must be a SELECT");
	if (count_parameters(value) != 1)
		return refuse(r, "the query must have one '?', for the login");
	return 0;
}

static const struct word {
	const char *name;
	size_t member; /* of struct database */
	int (*check)(struct reader *r, const char *value);
} words[] = {
    {"dbpath", offsetof(struct database, dbpath), check_dbpath},
    {"query_credentials", offsetof(struct database, query_credentials), check_query},
};

/* What else the family's file may say, for other uses of a table than as credentials. */
static const char *const unused[] = {"query_alias", "query_domain", "query_netaddr",
    "query_userinfo", "query_source", "query_mailaddr", "query_mailaddrmap", "query_addrname",
    "fetch_source", "fetch_source_expire", "fetch_source_refresh"};

static char **
value_of(struct database *db, const struct word *w)
{
	return (char **)(void *)((char *)db + w->member);
}

static const struct word *
word_find(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(words); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}

static bool
word_is_unused(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(unused); i++)
		if (strcmp(unused[i], name) == 0)
			return true;
	return false;
}

static int
refuse_unknown(struct reader *r, const char *name)
{
	const char *names[NITEMS(words) + 1];
	const char *near;
	char shown[64];
	size_t i;

	for (i = 0; i < NITEMS(words); i++)
		names[i] = words[i].name;
	names[NITEMS(words)] = NULL;
	near = str_nearest(name, names);
	str_escape(shown, sizeof(shown), name, strlen(name));
	if (near != NULL)
		return refuse(r, "unknown word '%s', did you mean '%s'?", shown, near);
	return refuse(r, "unknown word '%s'", shown);
}

/* One line, its blanks at both ends gone. */
static int
read_line(struct reader *r, char *line)
{
	const struct word *w;
	char *value = line + strcspn(line, BLANKS);
	char **place;

	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, BLANKS);
	if (word_is_unused(line))
		return 0;
	if ((w = word_find(line)) == NULL)
		return refuse_unknown(r, line);
	if (*value == '\0')
		return refuse(r, "'%s' needs a value", w->name);
	place = value_of(r->out, w);
	if (*place != NULL)
		return refuse(r, "'%s' is there twice", w->name);
	if (w->check(r, value) == -1)
		return -1;
	return (*place = strdup(value)) == NULL ? -1 : 0;
}

static bool
has_control(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' && s[i] != '\t')
			return true;
	return false;
}

static int
read_lines(struct reader *r, char *text, size_t len)
{
	char *at = text, *end = text + len, *stop;

	for (; at < end; at = stop + 1) {
		char *last;

		r->line++;
		if ((stop = memchr(at, '\n', (size_t)(end - at))) == NULL)
			stop = end;
		last = stop;
		if (last > at && last[-1] == '\r')
			last--;
		if (has_control(at, (size_t)(last - at)))
			return refuse(r, "control character");
		while (last > at && strchr(BLANKS, last[-1]) != NULL)
			last--;
		*last = '\0';
		at += strspn(at, BLANKS);
		if (*at != '\0' && *at != '#' && read_line(r, at) == -1)
			return -1;
	}
	return 0;
}

static int
check_whole(struct reader *r)
{
	size_t i;

	r->line = 0;
	for (i = 0; i < NITEMS(words); i++)
		if (*value_of(r->out, &words[i]) == NULL)
			return refuse(r, "no '%s'", words[i].name);
	return 0;
}

int
database_parse(const char *text, size_t len, struct database *out, struct database_error *error)
{
	struct reader r = {.out = out, .error = error};
	char *copy;
	int ok;

	*out = (struct database){NULL, NULL};
	*error = (struct database_error){.text = "out of memory"};
	if (len > DATABASE_TEXT_MAX)
		return refuse(&r, "longer than %d octets", DATABASE_TEXT_MAX);
	if ((copy = malloc(len + 1)) == NULL)
		return -1;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	ok = read_lines(&r, copy, len) == 0 && check_whole(&r) == 0 ? 0 : -1;
	free(copy);
	if (ok == -1)
		database_free(out);
	return ok;
}

void
database_free(struct database *db)
{
	size_t i;

	for (i = 0; i < NITEMS(words); i++) {
		free(*value_of(db, &words[i]));
		*value_of(db, &words[i]) = NULL;
	}
}

/* SPDX-License-Identifier: ISC */
/*
 * The small configuration of a table in a data base: a line, a word, its value.
 *
 * Invariant: whatever the text, *out holds either every value, checked, or
 * nothing.  Whether a query is good SQL is for the data base to say.
 */
#include "lib/conf/database.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define BLANKS	     " \t"
#define QUERY_PREFIX "query_"

struct reader {
	const struct kind *kind;
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

/* -- where the data base is -- */

static int
check_dbpath(struct reader *r, const char *value)
{
	if (value[0] != '/')
		return refuse(r, "dbpath must be an absolute path");
	if (strlen(value) > CONF_STRING_MAX)
		return refuse(r, "dbpath is longer than %d octets", CONF_STRING_MAX);
	return 0;
}

static int
check_conninfo(struct reader *r, const char *value)
{
	if (strlen(value) > CONF_STRING_MAX)
		return refuse(r, "conninfo is longer than %d octets", CONF_STRING_MAX);
	return 0;
}

static const struct kind {
	const char *place; /* the word for where it is */
	int (*check)(struct reader *r, const char *value);
	char mark; /* what a parameter begins with */
	bool bare; /* it may have no number */
	const char *parameter;
} kinds[] = {
    [DATABASE_SQLITE] = {"dbpath", check_dbpath, '?', true, "'?'"},
    [DATABASE_POSTGRES] = {"conninfo", check_conninfo, '$', false, "'$1'"},
};

/* -- queries -- */

struct parameters {
	size_t bare, first, others; /* "?", "?1", "?2" and so on */
};

/* Outside of '...' and "..."; the data base counts again, this is for an error with a line. */
static void
count_parameters(const struct kind *k, const char *sql, struct parameters *n)
{
	char quote = '\0';

	for (; *sql != '\0'; sql++) {
		size_t digits = *sql == k->mark ? strspn(sql + 1, "0123456789") : 0;

		if (quote != '\0')
			quote = *sql == quote ? '\0' : quote;
		else if (*sql == '\'' || *sql == '"' || *sql == '`')
			quote = *sql;
		else if (*sql == k->mark && digits == 0)
			n->bare += k->bare;
		else if (digits == 1 && sql[1] == '1')
			n->first++;
		else if (digits > 0)
			n->others++;
	}
}

static int
check_query(struct reader *r, const char *value)
{
	struct parameters n = {0, 0, 0};

	if (strlen(value) > DATABASE_QUERY_MAX)
		return refuse(r, "the query is longer than %d octets", DATABASE_QUERY_MAX);
	if (!str_starts_nocase(value, "select") || char_is_alnum((unsigned char)value[6]))
		return refuse(r, "the query must be a SELECT");
	count_parameters(r->kind, value, &n);
	if (n.others > 0 || n.bare > 1 || (n.bare == 1) == (n.first > 0))
		return refuse(r, "the query must have one %s, for the key", r->kind->parameter);
	return 0;
}

/* Which stands in for which, where that has no query. */
static const struct {
	enum table_service service, other;
} fallbacks[] = {
    {SERVICE_VIRTUAL, SERVICE_ALIAS},
    {SERVICE_AUTH, SERVICE_CREDENTIALS},
    {SERVICE_SENDERS, SERVICE_MAILADDRMAP},
};

enum table_service
database_service(const struct database *db, enum table_service service)
{
	size_t i;

	if (db->queries[service] != NULL)
		return service;
	for (i = 0; i < NITEMS(fallbacks); i++)
		if (fallbacks[i].service == service && db->queries[fallbacks[i].other] != NULL)
			return fallbacks[i].other;
	return SERVICE__MAX;
}

/* -- lines -- */

/* What else the family's file may say; it means nothing here. */
static const char *const unused[] = {
    "query_addrname", "fetch_source", "fetch_source_expire", "fetch_source_refresh"};

static bool
word_is_unused(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(unused); i++)
		if (strcmp(unused[i], name) == 0)
			return true;
	return false;
}

/* Where the value of a word goes, and who checks it; NULL: no such word. */
static char **
place_of(
    const struct reader *r, const char *name, int (**check)(struct reader *r, const char *value))
{
	size_t len = strlen(QUERY_PREFIX);
	enum table_service s;

	*check = check_query;
	if (strncmp(name, QUERY_PREFIX, len) == 0 && service_of_word(name + len, &s) == 0)
		return &r->out->queries[s];
	*check = r->kind->check;
	return strcmp(name, r->kind->place) == 0 ? &r->out->place : NULL;
}

#define WORD_MAX 32

static int
refuse_unknown(struct reader *r, const char *name)
{
	char words[SERVICE__MAX][WORD_MAX], shown[64];
	const char *names[SERVICE__MAX + 2];
	const char *near;
	size_t i;

	for (i = 0; i < SERVICE__MAX; i++) {
		(void)snprintf(words[i], sizeof(words[i]), QUERY_PREFIX "%s",
		    service_word((enum table_service)i));
		names[i] = words[i];
	}
	names[i++] = r->kind->place;
	names[i] = NULL;
	near = str_nearest(name, names);
	/* "password=..." on a line of its own is not for everybody's eyes. */
	str_escape(shown, sizeof(shown), name, strcspn(name, "="));
	if (near != NULL)
		return refuse(r, "unknown word '%s', did you mean '%s'?", shown, near);
	return refuse(r, "unknown word '%s'", shown);
}

/* One line, its blanks at both ends gone. */
static int
read_line(struct reader *r, char *line)
{
	char *value = line + strcspn(line, BLANKS);
	int (*check)(struct reader * r, const char *value);
	char **place;

	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, BLANKS);
	if (word_is_unused(line))
		return 0;
	if ((place = place_of(r, line, &check)) == NULL)
		return refuse_unknown(r, line);
	if (*value == '\0')
		return refuse(r, "'%s' needs a value", line);
	if (*place != NULL)
		return refuse(r, "'%s' is there twice", line);
	if (check(r, value) == -1)
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
	if (r->out->place == NULL)
		return refuse(r, "no '%s'", r->kind->place);
	for (i = 0; i < SERVICE__MAX; i++)
		if (r->out->queries[i] != NULL)
			return 0;
	return refuse(r, "no query, as '" QUERY_PREFIX "%s' is", service_word(SERVICE_ALIAS));
}

int
database_parse(enum database_kind kind, const char *text, size_t len, struct database *out,
    struct database_error *error)
{
	struct reader r = {.kind = &kinds[kind], .out = out, .error = error};
	char *copy;
	int ok;

	*out = (struct database){.place = NULL};
	*error = (struct database_error){.text = "out of memory"};
	if (len > DATABASE_TEXT_MAX)
		return refuse(&r, "longer than %d octets", DATABASE_TEXT_MAX);
	if ((copy = malloc(len + 1)) == NULL)
		return -1;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	ok = read_lines(&r, copy, len) == 0 && check_whole(&r) == 0 ? 0 : -1;
	explicit_bzero(copy, len);
	free(copy);
	if (ok == -1)
		database_free(out);
	return ok;
}

static void
forget(char **value)
{
	if (*value != NULL)
		explicit_bzero(*value, strlen(*value));
	free(*value);
	*value = NULL;
}

void
database_free(struct database *db)
{
	size_t i;

	forget(&db->place);
	for (i = 0; i < SERVICE__MAX; i++)
		forget(&db->queries[i]);
}

enum database_file
database_file_of(const uint8_t *head, size_t len)
{
	static const char magic[16] = "SQLite format 3";

	if (len == 0)
		return DATABASE_FILE_GOOD;
	if (len < DATABASE_FILE_HEAD || memcmp(head, magic, sizeof(magic)) != 0)
		return DATABASE_FILE_OTHER;
	/* The version that writers and readers need: 1 a rollback journal, 2 WAL. */
	return head[18] == 2 || head[19] == 2 ? DATABASE_FILE_WAL : DATABASE_FILE_GOOD;
}

/* SPDX-License-Identifier: ISC */
/*
 * The small configuration of a PostgreSQL table.
 *
 * Invariant: whatever the text, *out holds values that were checked, or
 * nothing.  What libpq knows besides is refused by name, lest somebody
 * believes that it is in force.
 */
#include "lib/conf/postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

#define BLANKS	     " \t"
#define DEFAULT_PORT 5432

struct reader {
	struct postgres *out;
	struct database_error *error;
	const char *at; /* of the conninfo */
};

static int refuse(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int
refuse(struct reader *r, const char *fmt, ...)
{
	char why[sizeof(r->error->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	(void)snprintf(r->error->text, sizeof(r->error->text), "conninfo: %.140s", why);
	r->error->line = 0;
	errno = EINVAL;
	return -1;
}

/* -- values -- */

static bool
check_hostaddr(struct postgres *p, const char *value)
{
	uint8_t address[16];

	(void)p;
	return inet_pton(AF_INET, value, address) == 1 || inet_pton(AF_INET6, value, address) == 1;
}

static bool
check_port(struct postgres *p, const char *value)
{
	uint64_t port;

	if (str_u64(value, 1, UINT16_MAX, &port) == -1)
		return false;
	p->port_number = (uint16_t)port;
	return true;
}

static bool
is_one_of(const char *value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static bool
check_sslmode(struct postgres *p, const char *value)
{
	static const char *const words[] = {"disable", "allow", "prefer", "require", NULL};

	(void)p;
	return is_one_of(value, words);
}

static bool
check_channel_binding(struct postgres *p, const char *value)
{
	static const char *const words[] = {"disable", "prefer", "require", NULL};

	(void)p;
	return is_one_of(value, words);
}

static bool
check_any(struct postgres *p, const char *value)
{
	(void)p;
	return value[0] != '\0';
}

#define check_dbname	       check_any
#define check_user	       check_any
#define check_password	       check_any
#define check_application_name check_any
#define check_options	       check_any

static const struct word {
	const char *name;
	size_t member; /* of struct postgres */
	const char *what;
	bool (*check)(struct postgres *p, const char *value);
} words[] = {
#define POSTGRES_WORD(word, what) {#word, offsetof(struct postgres, word), what, check_##word},
    POSTGRES_WORDS(POSTGRES_WORD)
#undef POSTGRES_WORD
};

static char **
value_of(struct postgres *p, const struct word *w)
{
	return (char **)(void *)((char *)p + w->member);
}

/* What libpq would take, and why it is of no use here. */
static const struct {
	const char *name, *why;
} others[] = {
    {"passfile", "this process can open no file: write the password here"},
    {"service", "this process can open no file: write what it says here"},
    {"sslrootcert", "this process can open no file; channel_binding=require proves the server"},
    {"sslcert", "this process can open no file: use a password"},
    {"sslkey", "this process can open no file: use a password"},
    {"sslcrl", "this process can open no file"},
    {"connect_timeout", "it is always 5 seconds"},
    {"gssencmode", "there is no GSSAPI here"},
    {"krbsrvname", "there is no GSSAPI here"},
    {"client_encoding", "it is always UTF8"},
};

static int
refuse_unknown(struct reader *r, const char *name)
{
	const char *names[NITEMS(words) + 1], *near;
	char shown[64];
	size_t i;

	for (i = 0; i < NITEMS(others); i++)
		if (strcmp(others[i].name, name) == 0)
			return refuse(r, "'%s' is not for us: %s", name, others[i].why);
	for (i = 0; i < NITEMS(words); i++)
		names[i] = words[i].name;
	names[NITEMS(words)] = NULL;
	/* It may be the rest of a password that wants quotes. */
	if (r->out->password != NULL)
		return refuse(
		    r, "unknown word after 'password'; a value with blanks stands in quotes");
	str_escape(shown, sizeof(shown), name, strlen(name));
	if ((near = str_nearest(name, names)) != NULL)
		return refuse(r, "unknown word '%s', did you mean '%s'?", shown, near);
	return refuse(r, "unknown word '%s'", shown);
}

/* A host by its number is the same as hostaddr. */
static int
refuse_host(struct reader *r, const char *value)
{
	char shown[64];

	str_escape(shown, sizeof(shown), value, strlen(value));
	if (value[0] == '/' || value[0] == '@' || value[0] == '\0')
		return refuse(
		    r, "a Unix socket can't be reached from here: say hostaddr=127.0.0.1");
	return refuse(
	    r, "no name is looked up here: say hostaddr=ADDRESS instead of host=%s", shown);
}

static int
take(struct reader *r, const char *name, const char *value)
{
	bool is_host = strcmp(name, "host") == 0;
	const struct word *w = NULL;
	char **place;
	size_t i;

	for (i = 0; i < NITEMS(words) && w == NULL; i++)
		if (strcmp(words[i].name, is_host ? "hostaddr" : name) == 0)
			w = &words[i];
	if (w == NULL)
		return refuse_unknown(r, name);
	place = value_of(r->out, w);
	if (*place != NULL)
		return refuse(r, "'%s' is there twice", w->name);
	if (!w->check(r->out, value)) {
		if (is_host)
			return refuse_host(r, value);
		return refuse(r, "'%s' must be %s", w->name, w->what == NULL ? "given" : w->what);
	}
	return (*place = strdup(value)) == NULL ? -1 : 0;
}

/* -- pairs -- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
skip_blanks(struct reader *r)
{
	r->at += strspn(r->at, BLANKS);
}

static int
read_name(struct reader *r, char *dst, size_t size)
{
	size_t len = strcspn(r->at, "=" BLANKS);

	if (len == 0 || len >= size)
		return refuse(r, "pairs of the form word=value are wanted");
	memcpy(dst, r->at, len);
	dst[len] = '\0';
	r->at += len;
	skip_blanks(r);
	if (*r->at != '=')
		return refuse(r, "no '=' after a word");
	r->at++;
	skip_blanks(r);
	return 0;
}

static int
read_value(struct reader *r, char dst[POSTGRES_VALUE_MAX + 1])
{
	bool quoted = *r->at == '\'';
	size_t n = 0;

	for (r->at += quoted; *r->at != '\0'; r->at++) {
		if (quoted ? *r->at == '\'' : is_blank(*r->at))
			break;
		if (*r->at == '\\' && *++r->at == '\0')
			break;
		if (n == POSTGRES_VALUE_MAX)
			return refuse(r, "a value is longer than %d octets", POSTGRES_VALUE_MAX);
		dst[n++] = *r->at;
	}
	dst[n] = '\0';
	if (quoted && *r->at != '\'')
		return refuse(r, "a value has no closing quote");
	r->at += quoted;
	return 0;
}

static int
read_pairs(struct reader *r)
{
	char name[64], value[POSTGRES_VALUE_MAX + 1];
	int rc = 0;

	if (strstr(r->at, "://") != NULL && strcspn(r->at, "=") > strcspn(r->at, ":"))
		return refuse(r, "word=value pairs are wanted, not a URI");
	for (skip_blanks(r); rc == 0 && *r->at != '\0'; skip_blanks(r)) {
		rc = read_name(r, name, sizeof(name));
		if (rc == 0)
			rc = read_value(r, value);
		if (rc == 0)
			rc = take(r, name, value);
	}
	explicit_bzero(value, sizeof(value));
	if (rc == 0 && r->out->hostaddr == NULL)
		return refuse(r, "no 'hostaddr'");
	if (rc == 0 && r->out->user == NULL)
		return refuse(r, "no 'user'");
	return rc;
}

/* -- all of it -- */

int
postgres_parse(const char *text, size_t len, struct postgres *out, struct database_error *error)
{
	struct reader r = {.out = out, .error = error};
	int keep;

	*out = (struct postgres){.port_number = DEFAULT_PORT};
	if (database_parse(DATABASE_POSTGRES, text, len, &out->db, error) == -1)
		return -1;
	r.at = out->db.place;
	if (read_pairs(&r) == 0)
		return 0;
	keep = errno;
	postgres_free(out);
	errno = keep;
	return -1;
}

void
postgres_free(struct postgres *p)
{
	size_t i;

	for (i = 0; i < NITEMS(words); i++) {
		char **place = value_of(p, &words[i]);

		if (*place != NULL)
			explicit_bzero(*place, strlen(*place));
		free(*place);
		*place = NULL;
	}
	database_free(&p->db);
}

/* SPDX-License-Identifier: ISC */
/*
 * All tables of passwords and tokens.
 *
 * Invariant: a table whose file did not arrive whole is known to be in trouble;
 * it is never taken for one without the login that is asked for.
 */
#include "vault/passwords.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/str.h"
#include "lib/conf/service.h"

#define SERVICES_LOGIN (1U << SERVICE_AUTH | 1U << SERVICE_CREDENTIALS)

struct staged { /* a file on its way; owned by struct passwords */
	char name[CONF_NAME_MAX + 1];
	bool whole;
	bool broken; /* what is there of it is not the table */
	struct buf text;
};

struct passwords {
	struct credentials *system;
	struct credentials **tables;
	size_t ntables;
	struct staged *staged[PASSWORDS_TABLES_MAX];
	size_t nstaged;
	uint8_t secret[SCRAM_KEY_SIZE]; /* of the salts of logins that do not exist */
};

/* -- files on their way -- */

static struct staged *
staged_find(struct passwords *p, const char *name, size_t *at)
{
	for (*at = 0; *at < p->nstaged; ++*at)
		if (strcmp(p->staged[*at]->name, name) == 0)
			return p->staged[*at];
	return NULL;
}

static void
staged_drop(struct passwords *p, size_t at)
{
	buf_free(&p->staged[at]->text);
	free(p->staged[at]);
	p->staged[at] = p->staged[--p->nstaged];
}

static struct staged *
staged_add(struct passwords *p, const char *name)
{
	struct staged *s;

	if (p->nstaged == PASSWORDS_TABLES_MAX || strlen(name) > CONF_NAME_MAX) {
		errno = ENOBUFS;
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	str_cut(s->name, sizeof(s->name), name);
	buf_init(&s->text, CREDENTIALS_TEXT_MAX);
	return p->staged[p->nstaged++] = s;
}

int
passwords_feed(struct passwords *p, const struct msg_file_data *piece)
{
	struct staged *s;
	size_t at;

	s = staged_find(p, piece->name, &at);
	if (s != NULL && s->whole) { /* anew */
		staged_drop(p, at);
		s = NULL;
	}
	if (s == NULL && (s = staged_add(p, piece->name)) == NULL)
		return -1;
	s->whole = piece->last;
	if (piece->last && piece->data.len == 0) { /* it can't be read, or not to its end */
		s->broken = true;
		buf_free(&s->text);
		return 0;
	}
	if (s->broken || buf_append(&s->text, piece->data.data, piece->data.len) == 0)
		return 0;
	s->broken = true;
	buf_free(&s->text);
	return -1;
}

/* A file without an octet is one that could not be read. */
static int
read_staged(struct passwords *p, struct credentials *c)
{
	size_t at;
	struct staged *s = staged_find(p, credentials_name(c), &at);

	if (s != NULL && s->whole && !s->broken && s->text.len > 0)
		return credentials_read_text(c, &s->text);
	credentials_set_trouble(c);
	return 0;
}

/* -- all of them -- */

struct passwords *
passwords_create(void)
{
	struct passwords *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->system = credentials_create("system", CREDENTIALS_SYSTEM);
	if (p->system != NULL &&
	    getrandom(p->secret, sizeof(p->secret), 0) == (ssize_t)sizeof(p->secret))
		return p;
	passwords_free(p);
	return NULL;
}

static void
tables_free(struct credentials **tables, size_t n)
{
	while (n > 0)
		credentials_free(tables[--n]);
	free(tables);
}

void
passwords_free(struct passwords *p)
{
	if (p == NULL)
		return;
	tables_free(p->tables, p->ntables);
	while (p->nstaged > 0)
		staged_drop(p, p->nstaged - 1);
	credentials_free(p->system);
	explicit_bzero(p, sizeof(*p));
	free(p);
}

/* Is it asked for what we log in with elsewhere, and for nothing else? */
static bool
is_relays(const struct conf *conf, const char *table)
{
	return (conf_table_services(conf, table) & SERVICES_LOGIN) == 1U << SERVICE_CREDENTIALS;
}

static struct credentials *
table_read(struct passwords *p, const struct conf *conf, const struct conf_table *t)
{
	static const enum credentials_where where[] = {
	    [CONF_TABLE_LIST] = CREDENTIALS_HERE,
	    [CONF_TABLE_MAP] = CREDENTIALS_HERE,
	    [CONF_TABLE_FILE] = CREDENTIALS_HERE,
	    [CONF_TABLE_SQLITE] = CREDENTIALS_SQLITE,
	    [CONF_TABLE_POSTGRES] = CREDENTIALS_PROGRAM,
	    [CONF_TABLE_DOVECOT] = CREDENTIALS_REMOTE,
	    [CONF_TABLE_HELPER] = CREDENTIALS_REMOTE,
	};
	struct credentials *c, *old = passwords_find(p, t->name);
	int rc = 0;

	if ((c = credentials_create(t->name, where[t->kind])) == NULL)
		return NULL;
	if (is_relays(conf, t->name))
		credentials_set_relays(c);
	if (t->kind == CONF_TABLE_FILE)
		rc = read_staged(p, c);
	else if (where[t->kind] == CREDENTIALS_HERE)
		rc = credentials_read_pairs(c, t);
	else if (old != NULL && credentials_where(old) == where[t->kind])
		credentials_inherit(c, old);
	if (rc == 0)
		return c;
	credentials_free(c);
	return NULL;
}

int
passwords_configure(struct passwords *p, const struct conf *conf)
{
	struct credentials **tables;
	size_t n = 0, i;

	if ((tables = calloc(conf->ntables + 1, sizeof(struct credentials *))) == NULL)
		return -1;
	for (i = 0; i < conf->ntables; i++) {
		const struct conf_table *t = &conf->tables[i];

		if (t->kind == CONF_TABLE_ELSEWHERE || !conf_table_is_secret(conf, t->name))
			continue;
		if ((tables[n] = table_read(p, conf, t)) == NULL) {
			tables_free(tables, n);
			return -1;
		}
		n++;
	}
	tables_free(p->tables, p->ntables);
	p->tables = tables;
	p->ntables = n;
	while (p->nstaged > 0)
		staged_drop(p, p->nstaged - 1);
	return 0;
}

/* -- questions -- */

struct credentials *
passwords_find(struct passwords *p, const char *table)
{
	size_t i;

	for (i = 0; i < p->ntables; i++)
		if (strcmp(credentials_name(p->tables[i]), table) == 0)
			return p->tables[i];
	return NULL;
}

struct credentials *
passwords_system(struct passwords *p)
{
	return p->system;
}

struct credentials *
passwords_each(struct passwords *p, size_t n)
{
	return n < p->ntables ? p->tables[n] : NULL;
}

void
passwords_fake(const struct passwords *p, const struct credentials *c, const char *login,
    struct scram_keys *out)
{
	struct scram_kind usual = credentials_scram_kind(c);
	char name[IPC_ADDRESS_MAX + 1];

	/* A login is the same in any case, and so is its salt. */
	str_cut(name, sizeof(name), login);
	str_lower(name);
	scram_keys_fake(p->secret, name, usual.iterations, usual.salt_len, out);
}

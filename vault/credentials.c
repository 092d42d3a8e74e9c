/* SPDX-License-Identifier: ISC */
/*
 * One table of passwords and tokens.
 *
 * Invariants: entries point into the configuration, or into a file's text that
 * the table owns and wipes; what goes beyond the bounds is left out with a log
 * line, never a reason to stop.
 */
#include "vault/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lib/ipc/messages.h"
#include "vault/relay_credential.h"

#define LOGGED_MAX 10 /* bad entries of a table that are logged one by one */

struct entry {
	const char *key, *value;
};

struct credentials {
	char name[CONF_NAME_MAX + 1];
	enum credentials_where where;
	bool trouble;
	bool relays;	 /* what we log in with elsewhere */
	bool scram;	 /* elsewhere: it is known to have SCRAM keys */
	struct buf text; /* of a file */
	struct entry *entries;
	size_t nentries, room, skipped;
	struct map *by_key;
	struct kinds kinds;
};

struct credentials *
credentials_create(const char *name, enum credentials_where where)
{
	struct credentials *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	str_cut(c->name, sizeof(c->name), name);
	c->where = where;
	buf_init(&c->text, 0);
	if ((c->by_key = map_create(CREDENTIALS_ENTRIES_MAX)) == NULL) {
		credentials_free(c);
		return NULL;
	}
	return c;
}

void
credentials_free(struct credentials *c)
{
	if (c == NULL)
		return;
	buf_free(&c->text);
	map_free(c->by_key, NULL);
	free(c->entries);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

/* -- reading it -- */

/* line 0: of an inline table. */
static void
log_skipped(struct credentials *c, const char *key, size_t line, const char *why)
{
	struct logline l;

	if (c->skipped++ >= LOGGED_MAX)
		return;
	logline_start(&l, LOG_LEVEL_WARN, "credential-skipped");
	logline_str(&l, "table", c->name);
	if (line > 0)
		logline_u64(&l, "line", line);
	if (key != NULL)
		logline_str(&l, "login", key);
	logline_str(&l, "why", why);
	logline_end(&l);
}

static void
log_skipped_all(const struct credentials *c)
{
	if (c->skipped > LOGGED_MAX)
		log_warn("event=credentials-skipped table=%s count=%zu", c->name, c->skipped);
}

/* Keys of certificates and tokens have colons in them, and logins for values. */
static bool
has_login(const char *key)
{
	return str_starts_nocase(key, "sha256:") || str_starts_nocase(key, "cert:");
}

/* A password that can't be used leaves a login that is as good as unknown. */
static void
look_at_value(struct credentials *c, const struct entry *e, size_t line)
{
	struct relay_credential relay;
	struct stored s;
	const char *why;

	if (c->relays) {
		if ((why = relay_credential_parse(e->value, &relay)) != NULL)
			log_skipped(c, e->key, line, why);
		return;
	}
	if (has_login(e->key))
		return;
	if (stored_parse(e->value, &s, &why) == 0)
		kinds_count(&c->kinds, &s);
	else
		log_skipped(c, e->key, line, why);
	explicit_bzero(&s, sizeof(s));
}

static int
entry_add(struct credentials *c, const struct entry *new, size_t line)
{
	char name[IPC_ADDRESS_MAX + 1];
	struct entry *e;

	if (new->key[0] == '\0' || strlen(new->key) > IPC_ADDRESS_MAX ||
	    strlen(new->value) > STORED_VALUE_MAX) {
		log_skipped(c, NULL, line, new->key[0] == '\0' ? "no login" : "too long");
		return 0;
	}
	str_cut(name, sizeof(name), new->key);
	str_lower(name);
	if (map_get(c->by_key, name) != NULL)
		return 0;
	if (c->nentries == c->room || c->nentries == CREDENTIALS_ENTRIES_MAX) {
		log_skipped(c, new->key, line, "too many entries");
		return 0;
	}
	e = &c->entries[c->nentries];
	*e = *new;
	if (map_set(c->by_key, name, e) == -1)
		return -1;
	c->nentries++;
	look_at_value(c, e, line);
	return 0;
}

static size_t
count_lines(const struct buf *text)
{
	const uint8_t *at = buf_head(text), *end = at + text->len;
	size_t n = 1;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		n++;
	}
	return n;
}

static int
read_entries(struct credentials *c)
{
	struct table_entries entries;
	struct table_entry line;

	table_entries_init(
	    &entries, (char *)c->text.data + c->text.head, c->text.len - 1, TABLE_ENTRY_LOGINS);
	while (table_entries_next(&entries, &line)) {
		struct entry e = {line.key, line.value == NULL ? "" : line.value};

		if (line.why != NULL)
			log_skipped(c, NULL, line.line, line.why);
		else if (entry_add(c, &e, line.line) == -1)
			return -1;
	}
	return 0;
}

int
credentials_read_text(struct credentials *c, struct buf *text)
{
	c->text = *text;
	buf_init(text, 0);
	c->room = count_lines(&c->text);
	if (c->room > CREDENTIALS_ENTRIES_MAX)
		c->room = CREDENTIALS_ENTRIES_MAX; /* the others are empty, or too many */
	if ((c->entries = calloc(c->room, sizeof(*c->entries))) == NULL)
		return -1;
	/* An octet of our own, so that the last line can be ended. */
	c->text.max++;
	if (buf_append(&c->text, "", 1) == -1 || read_entries(c) == -1)
		return -1;
	log_skipped_all(c);
	return 0;
}

int
credentials_read_pairs(struct credentials *c, const struct conf_table *t)
{
	size_t i;

	c->room = t->npairs;
	if (t->npairs > 0 && (c->entries = calloc(t->npairs, sizeof(*c->entries))) == NULL)
		return -1;
	for (i = 0; i < t->npairs; i++) {
		const struct conf_pair *pair = &t->pairs[i];
		struct entry e = {pair->key, pair->value == NULL ? "" : pair->value};

		if (entry_add(c, &e, 0) == -1)
			return -1;
	}
	log_skipped_all(c);
	return 0;
}

void
credentials_set_relays(struct credentials *c)
{
	c->relays = true;
}

bool
credentials_is_relays(const struct credentials *c)
{
	return c->relays;
}

void
credentials_set_trouble(struct credentials *c)
{
	c->trouble = true;
}

/* -- questions -- */

const char *
credentials_name(const struct credentials *c)
{
	return c->name;
}

enum credentials_where
credentials_where(const struct credentials *c)
{
	return c->where;
}

enum credentials_answer
credentials_value(
    const struct credentials *c, const char *key, const char **found, const char **value)
{
	char name[IPC_ADDRESS_MAX + 1];
	const struct entry *e;

	if (c->trouble)
		return CREDENTIALS_TROUBLE;
	str_cut(name, sizeof(name), key);
	str_lower(name);
	if ((e = map_get(c->by_key, name)) == NULL)
		return CREDENTIALS_NO;
	*found = e->key;
	*value = e->value;
	return CREDENTIALS_YES;
}

void
credentials_learn(struct credentials *c, const struct stored *s)
{
	kinds_count(&c->kinds, s);
}

void
credentials_inherit(struct credentials *c, const struct credentials *old)
{
	c->kinds = old->kinds;
	c->scram = old->scram;
}

const char *
credentials_dummy(struct credentials *c)
{
	return kinds_dummy(&c->kinds);
}

struct scram_kind
credentials_scram_kind(const struct credentials *c)
{
	return kinds_scram(&c->kinds);
}

bool
credentials_has_scram(const struct credentials *c)
{
	return c->scram || c->kinds.nscrams > 0;
}

void
credentials_set_scram(struct credentials *c, bool scram)
{
	c->scram = scram;
}

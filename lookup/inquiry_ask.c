/* SPDX-License-Identifier: ISC */
/*
 * What can be asked in an inquiry, and whom: tables by all the keys that a subject
 * has (and, in memory, by patterns), accounts, .forward files, SRS.
 *
 * Invariant: of a table that is not there, whatever its kind, nothing is said but TROUBLE;
 * what is said of a domain does not depend on how it is written (lookup/domains.h).
 * Nothing is fatal.
 */
#include "lookup/inquiry.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/conf.h"
#include "lookup/domains.h"
#include "lookup/includes.h"
#include "lookup/inquiry_private.h"
#include "lookup/table_keys.h"
#include "lookup/table_memory.h"

/* -- tables: values -- */

static enum table_answer
find_in_backend(struct inquiry *q, const struct whom *whom, const char *key, const char **value)
{
	char low[TABLE_KEY_MAX + 1];

	if (*key == '\0' || str_copy(low, sizeof(low), key) == -1)
		return TABLE_NO;
	str_lower(low);
	return inquiry_ask(q, whom, low, value);
}

static enum table_answer
value_of(struct inquiry *q, const struct whom *whom, const char *key, const char **value)
{
	struct inquiry_event e = {
	    .source = whom->source, .service = whom->service, .key = key, .answer = TABLE_TROUBLE};
	const struct table_ref *t = whom->table;
	const char *found = "";

	if (t->memory != NULL)
		e.answer = table_value(t->memory, key, &found);
	else if (t->backend != NULL)
		e.answer = find_in_backend(q, whom, key, &found);
	if (e.answer == TABLE_YES && found[0] == '\0')
		e.answer = TABLE_NO;
	if (e.answer == TABLE_YES)
		*value = e.value = found;
	return inquiry_tell(q, &e);
}

/* Where the domain of a key begins; NULL: it has none. */
static const char *
domain_of_key(enum table_service service, const char *key)
{
	const char *at = strrchr(key, '@');

	if (at != NULL)
		return at + 1;
	return service == SERVICE_RELAYHOST || service == SERVICE_SOURCE ? key : NULL;
}

enum table_answer
inquiry_value(struct inquiry *q, const char *table, enum table_service service, const char *key,
    const char **value)
{
	const char *domain = domain_of_key(service, key);
	enum table_answer answer = TABLE_NO;
	char form[TABLE_KEY_MAX + 1];
	struct domain_forms f;
	struct table_ref t;
	const struct whom whom = {.source = table, .service = service, .table = &t};
	size_t i;

	tables_find(inquiry_sources(q)->tables, table, &t);
	if (domain == NULL || !domain_has_forms(domain))
		return value_of(q, &whom, key, value);
	domain_forms_make(&f, domain);
	for (i = 0; i < f.n && answer == TABLE_NO; i++)
		if (str_format(form, sizeof(form), "%.*s%s", (int)(domain - key), key, f.list[i]) ==
		    0)
			answer = value_of(q, &whom, form, value);
	return answer;
}

/* -- tables: presence -- */

/* A kind of subject: how a table in memory is asked, patterns and all, and which keys it has elsewhere. */
struct subject {
	enum table_service service;
	enum table_answer (*in_memory)(struct table *t, const void *what);
	void (*keys)(struct table_keys *k, const void *what, bool prefixes);
};

static enum table_answer
word_in_memory(struct table *t, const void *what)
{
	return table_has_word(t, what);
}

static void
word_keys(struct table_keys *k, const void *what, bool prefixes)
{
	(void)prefixes;
	table_keys_word(k, what);
}

static enum table_answer
domain_in_memory(struct table *t, const void *what)
{
	return table_has_domain(t, what);
}

static void
domain_keys(struct table_keys *k, const void *what, bool prefixes)
{
	(void)prefixes;
	table_keys_domain(k, what);
}

static enum table_answer
network_in_memory(struct table *t, const void *what)
{
	const struct addr *a = what;

	return a->ss.ss_family == AF_UNIX ? table_has_word(t, "unix") : table_has_network(t, a);
}

static void
network_keys(struct table_keys *k, const void *what, bool prefixes)
{
	table_keys_network(k, what, prefixes);
}

static enum table_answer
mailbox_in_memory(struct table *t, const void *what)
{
	return table_has_mailbox(t, what);
}

static void
mailbox_keys(struct table_keys *k, const void *what, bool prefixes)
{
	(void)prefixes;
	table_keys_mailbox(k, what);
}

static const struct subject word_subject = {SERVICE_STRING, word_in_memory, word_keys};
static const struct subject domain_subject = {SERVICE_DOMAIN, domain_in_memory, domain_keys};
static const struct subject network_subject = {SERVICE_NETADDR, network_in_memory, network_keys};
static const struct subject mailbox_subject = {SERVICE_MAILADDR, mailbox_in_memory, mailbox_keys};

/* The first key that is there decides, and so does the first that can't be said. */
static enum table_answer
has_any_key(struct inquiry *q, const struct whom *whom, const struct subject *s, const void *what)
{
	enum table_answer answer = TABLE_NO;
	const char *key, *value;
	struct table_keys keys;

	s->keys(&keys, what, whom->table->ops->knows_prefixes);
	while (answer == TABLE_NO && (key = table_keys_next(&keys)) != NULL)
		answer = inquiry_ask(q, whom, key, &value);
	return answer;
}

static void
tell_subject(struct inquiry *q, const struct whom *whom, const struct subject *s, const void *what,
    enum table_answer answer)
{
	struct inquiry_event e = {
	    .source = whom->source, .service = whom->service, .answer = answer};
	struct table_keys keys;

	s->keys(&keys, what, false);
	if ((e.key = table_keys_next(&keys)) == NULL)
		e.key = "";
	(void)inquiry_tell(q, &e);
}

static enum table_answer
has(struct inquiry *q, const char *table, const struct subject *s, const void *what)
{
	enum table_answer answer = TABLE_TROUBLE;
	struct table_ref t;
	const struct whom whom = {.source = table, .service = s->service, .table = &t};

	tables_find(inquiry_sources(q)->tables, table, &t);
	if (t.memory != NULL)
		answer = s->in_memory(t.memory, what);
	else if (t.backend != NULL)
		answer = has_any_key(q, &whom, s, what);
	if (answer == TABLE_TROUBLE || inquiry_is_observed(q))
		tell_subject(q, &whom, s, what, answer);
	return answer;
}

enum table_answer
inquiry_has_word(struct inquiry *q, const char *table, const char *word)
{
	return has(q, table, &word_subject, word);
}

enum table_answer
inquiry_has_domain(struct inquiry *q, const char *table, const char *domain)
{
	enum table_answer answer = TABLE_NO;
	struct domain_forms f;
	size_t i;

	domain_forms_make(&f, domain);
	for (i = 0; i < f.n && answer == TABLE_NO; i++)
		answer = has(q, table, &domain_subject, f.list[i]);
	return answer;
}

enum table_answer
inquiry_has_network(struct inquiry *q, const char *table, const struct addr *a)
{
	return has(q, table, &network_subject, a);
}

enum table_answer
inquiry_has_mailbox(struct inquiry *q, const char *table, const struct address *a)
{
	enum table_answer answer = TABLE_NO;
	struct address form = *a;
	struct domain_forms f;
	size_t i;

	domain_forms_make(&f, a->domain);
	for (i = 0; i < f.n && answer == TABLE_NO; i++)
		if (str_copy(form.domain, sizeof(form.domain), f.list[i]) == 0)
			answer = has(q, table, &mailbox_subject, &form);
	return answer;
}

enum table_answer
inquiry_has_regex(struct inquiry *q, const char *table, const char *text)
{
	struct inquiry_event e = {
	    .source = table, .service = SERVICE_STRING, .key = text, .answer = TABLE_TROUBLE};
	struct table_ref t;

	tables_find(inquiry_sources(q)->tables, table, &t);
	if (t.memory != NULL)
		e.answer = table_has_regex(t.memory, text);
	return inquiry_tell(q, &e);
}

/* -- tables: lists -- */

enum table_answer
inquiry_is_list(struct inquiry *q, const char *table)
{
	struct table_ref t;

	tables_find(inquiry_sources(q)->tables, table, &t);
	if (t.memory != NULL)
		return table_is_list(t.memory) ? TABLE_YES : TABLE_NO;
	return t.backend != NULL ? TABLE_NO : TABLE_TROUBLE;
}

const char *
inquiry_list_item(struct inquiry *q, const char *table, size_t i)
{
	struct table_ref t;

	tables_find(inquiry_sources(q)->tables, table, &t);
	return t.memory == NULL ? NULL : table_key_at(t.memory, i);
}

/* -- other sources -- */

static enum table_answer
ask_memo(struct inquiry *q, struct memo *m, const char *source, const char *key, const char **value)
{
	const struct whom whom = {.source = source, .service = SERVICE__MAX, .memo = m};
	struct inquiry_event e = {
	    .source = source, .service = SERVICE__MAX, .key = key, .answer = TABLE_TROUBLE};
	const char *found = NULL;

	if (m != NULL)
		e.answer = inquiry_ask(q, &whom, key, &found);
	if (e.answer == TABLE_YES)
		*value = e.value = found;
	return inquiry_tell(q, &e);
}

enum table_answer
inquiry_account(struct inquiry *q, const char *name)
{
	const char *value;

	return ask_memo(q, inquiry_sources(q)->accounts, "accounts", name, &value);
}

enum table_answer
inquiry_forward(struct inquiry *q, const char *user, const char *userbase, const char **value)
{
	char key[2 * (CONF_NAME_MAX + 1)];

	if (str_format(
		key, sizeof(key), "%s%s%s", user, userbase[0] == '\0' ? "" : "\n", userbase) == -1)
		return TABLE_TROUBLE;
	return ask_memo(q, inquiry_sources(q)->forwards, "forward", key, value);
}

enum table_answer
inquiry_srs_reverse(struct inquiry *q, const char *address, const char **value)
{
	char key[ADDRESS_MAX + 2];

	if (str_format(key, sizeof(key), "-%s", address) == -1)
		return TABLE_NO;
	return ask_memo(q, inquiry_sources(q)->srs, "srs", key, value);
}

/* YES: it came, but was taken away again. */
static enum table_answer
wait_for_include(struct inquiry *q, const char *table, const char *path)
{
	struct memo *m = tables_includes(inquiry_sources(q)->tables);
	const struct whom whom = {.source = "include", .service = SERVICE__MAX, .memo = m};
	char key[MEMO_KEY_MAX + 1];
	const char *value;

	if (includes_key(key, sizeof(key), table, path) == -1 ||
	    inquiry_ask(q, &whom, key, &value) != TABLE_PENDING)
		return TABLE_TROUBLE;
	return TABLE_PENDING;
}

enum table_answer
inquiry_include(struct inquiry *q, const char *table, const char *path, const char **text)
{
	struct inquiry_event e = {.source = table, .service = SERVICE_ALIAS, .key = path};

	e.answer = tables_include(inquiry_sources(q)->tables, table, path, text);
	if (e.answer == TABLE_PENDING)
		e.answer = wait_for_include(q, table, path);
	return inquiry_tell(q, &e);
}

/* SPDX-License-Identifier: ISC */
/*
 * Looking into a table in memory by domain, mailbox, network and regular expression.
 *
 * Invariant: networks and expressions are compiled once, at the first question, and those
 * that can't be are logged.  Nothing is fatal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/glob.h"
#include "lookup/networks.h"
#include "lookup/regex.h"
#include "lookup/table_memory_private.h"

#define LOGGED_MAX 10 /* keys of no use that are logged one by one */

/* -- by pattern -- */

/* Is the prefix and one of ".b.c", ".c" of "a.b.c" a key? */
static bool
has_parent(const struct table *t, const char *prefix, const char *name)
{
	char key[TABLE_KEY_MAX + 1];
	const char *dot;

	if (!t->has_parents)
		return false;
	for (dot = name; (dot = strchr(dot, '.')) != NULL; dot++)
		if (dot > name && str_format(key, sizeof(key), "%s%s", prefix, dot) == 0 &&
		    table_has_key(t, key))
			return true;
	return false;
}

enum table_answer
table_has_domain(const struct table *t, const char *domain)
{
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (table_has_key(t, domain) || has_parent(t, "", domain) || has_parent(t, "*", domain))
		return TABLE_YES;
	for (i = 0; i < t->npatterns; i++)
		if (glob_matches_domain(table_pattern(t, i), domain))
			return TABLE_YES;
	return TABLE_NO;
}

static bool
mailbox_matches(const char *pattern, const struct address *a)
{
	const char *at = strrchr(pattern, '@');
	char local[TABLE_KEY_MAX + 1];
	size_t n;

	if (at == NULL)
		return glob_matches(pattern, a->local, true);
	n = (size_t)(at - pattern);
	memcpy(local, pattern, n);
	local[n] = '\0';
	return (n == 0 || glob_matches(local, a->local, true)) &&
	       glob_matches_domain(at + 1, a->domain);
}

/* A local part as a key of its own.  A quoted one must not pass for a whole address, or for "<>". */
static bool
has_user(const struct table *t, const char *local)
{
	return strpbrk(local, "@<>") == NULL &&
	       (table_has_key(t, local) || has_parent(t, "*", local));
}

enum table_answer
table_has_mailbox(const struct table *t, const struct address *a)
{
	char whole[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
	size_t i;

	if (t == NULL)
		return TABLE_TROUBLE;
	if (table_has_key(t, "@"))
		return TABLE_YES;
	if (a->local[0] == '\0')
		return table_has_key(t, "<>") ? TABLE_YES : TABLE_NO;
	if (str_format(whole, sizeof(whole), "%s@%s", a->local, a->domain) == -1)
		return TABLE_NO;
	if (table_has_key(t, whole) || table_has_key(t, strrchr(whole, '@')) ||
	    has_user(t, a->local) || has_parent(t, "@", a->domain))
		return TABLE_YES;
	for (i = 0; i < t->npatterns; i++)
		if (mailbox_matches(table_pattern(t, i), a))
			return TABLE_YES;
	return TABLE_NO;
}

/* -- keys that say nothing -- */

static void
log_refused(const struct table *t, const char *event, const char *key, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, event);
	logline_str(&l, "table", t->name);
	logline_str(&l, "key", key);
	logline_str(&l, "why", why);
	logline_end(&l);
}

/* -- by network -- */

static struct networks *
compile_networks(const struct table *t)
{
	struct networks *networks;
	size_t i, refused = 0;

	if ((networks = networks_create()) == NULL)
		return NULL;
	for (i = 0; i < t->n; i++) {
		if (networks_add(networks, t->entries[i].key) == 0 ||
		    strcmp(t->entries[i].key, "unix") == 0)
			continue;
		if (errno != EINVAL) {
			networks_free(networks);
			return NULL;
		}
		if (refused++ < LOGGED_MAX)
			log_refused(t, "network-refused", t->entries[i].key, "not a network");
	}
	networks_seal(networks);
	return networks;
}

enum table_answer
table_has_network(struct table *t, const struct addr *a)
{
	if (t == NULL)
		return TABLE_TROUBLE;
	if (t->networks == NULL && (t->networks = compile_networks(t)) == NULL)
		return TABLE_TROUBLE;
	return networks_have(t->networks, a) ? TABLE_YES : TABLE_NO;
}

/* -- by regular expression -- */

/* All of a table are tried for one question: what counts is the states of all. */
static struct regex *
take_regex(const struct table *t, const char *text, size_t *states, const char **why)
{
	struct regex *r = NULL;

	*why = "too many in one table";
	if (t->nregexes == TABLE_REGEXES_MAX || (r = regex_create(text, why)) == NULL)
		return NULL;
	if (regex_size(r) <= TABLE_STATES_MAX - *states) {
		*states += regex_size(r);
		return r;
	}
	*why = "too many states in one table";
	regex_free(r);
	return NULL;
}

static int
compile_regexes(struct table *t)
{
	size_t i, states = 0;
	const char *why;
	struct regex *r;

	if ((t->regexes = calloc(TABLE_REGEXES_MAX, sizeof(struct regex *))) == NULL)
		return -1;
	for (i = 0; i < t->n; i++) {
		r = take_regex(t, t->entries[i].key, &states, &why);
		if (r != NULL)
			t->regexes[t->nregexes++] = r;
		else if (t->refused++ < LOGGED_MAX)
			log_refused(t, "regex-refused", t->entries[i].key, why);
	}
	if (t->refused > LOGGED_MAX)
		log_warn("event=regexes-refused table=%s count=%zu", t->name, t->refused);
	return 0;
}

enum table_answer
table_has_regex(struct table *t, const char *text)
{
	enum table_answer answer;
	size_t i;

	if (t == NULL || (t->regexes == NULL && compile_regexes(t) == -1))
		return TABLE_TROUBLE;
	for (i = 0; i < t->nregexes; i++)
		if ((answer = regex_matches(t->regexes[i], text)) != TABLE_NO)
			return answer;
	/* Nobody knows what the others would have said: a rule must not be passed over by them. */
	return t->refused > 0 ? TABLE_TROUBLE : TABLE_NO;
}

/* SPDX-License-Identifier: ISC */
/*
 * A configuration as smtpd.conf text, whole or a role's part.
 *
 * Invariant: the text parses to the same values, names of nameless tables
 * included, so that all roles mean the same table by a name.  The contents of
 * a table of passwords or tokens go to the vault alone; a role that has the
 * name of a table and not its contents gets "table NAME elsewhere".  Where a
 * private key lies is told to those who read it, parent and vault.  A secret
 * that stands in the configuration itself is in the vault's part and no other,
 * the whole for people included, where what a table of secrets has is "...".
 */
#include "lib/conf/dump.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/backend.h"
#include "lib/conf/check_url.h"
#include "lib/conf/conf.h"
#include "lib/conf/filter.h"
#include "lib/conf/limit_words.h"
#include "lib/conf/match.h"
#include "lib/conf/option.h"
#include "lib/conf/settings.h"

#define HIDDEN "..."

/* Lookup can tell then what a listener's sessions may do. */
#define ROLES_LISTENER (CONF_FOR_PARENT | CONF_FOR_SESSION | CONF_FOR_VAULT | CONF_FOR_LOOKUP)
#define ROLES_PKI      (CONF_FOR_PARENT | CONF_FOR_SESSION | CONF_FOR_VAULT)
#define ROLES_KEY      (CONF_FOR_PARENT | CONF_FOR_VAULT)
#define ROLES_CA       (CONF_FOR_PARENT | CONF_FOR_SESSION)
/* Whose listeners lack what another role does for them. */
#define ROLES_LISTENER_PART CONF_FOR_LOOKUP
/* That are told that there is a table, even when nothing they know of names it. */
#define ROLES_TABLE_NAME CONF_FOR_LOOKUP
#define ROLES_ACTION	 (CONF_FOR_PARENT | CONF_FOR_QUEUE | CONF_FOR_LOOKUP | CONF_FOR_DELIVERY)
/* The vault is told of those that may ask it for credentials. */
#define ROLES_RELAY (ROLES_ACTION | CONF_FOR_VAULT)
#define ROLES_LIMIT (CONF_FOR_PARENT | CONF_FOR_DELIVERY)
/* Whose labels are known, of what is to be known of each see oauth_options. */
#define ROLES_OAUTH \
	(CONF_FOR_PARENT | CONF_FOR_VAULT | CONF_FOR_FETCH | CONF_FOR_LOOKUP | CONF_FOR_DELIVERY)
/* Lookup has to tell which addresses share a mailbox. */
#define ROLES_TARGET (CONF_FOR_PARENT | CONF_FOR_LOOKUP | CONF_FOR_DELIVERY)
#define ROLES_RULE   (CONF_FOR_PARENT | CONF_FOR_LOOKUP)
/* A session has to know at which phases lookup is to be asked. */
#define ROLES_FILTER (CONF_FOR_PARENT | CONF_FOR_SESSION | CONF_FOR_LOOKUP)

int
dump_string(const char *s, struct buf *out)
{
	char before = '\0';

	if (buf_append_str(out, "\"") == -1)
		return -1;
	for (; *s != '\0'; s++) {
		/* The lexer takes a backslash for itself unless one of these follows. */
		bool escape = *s == '"' || (before == '\\' && (*s == ' ' || *s == '\t'));

		if ((escape && buf_append_str(out, "\\") == -1) || buf_append(out, s, 1) == -1)
			return -1;
		before = *s;
	}
	return buf_append_str(out, "\"");
}

int
dump_table_name(const char *name, struct buf *out)
{
	if (buf_append_str(out, "<") == -1 || dump_string(name, out) == -1)
		return -1;
	return buf_append_str(out, ">");
}

static int
dump_value(const struct setting *s, const char *value, unsigned int roles, struct buf *out)
{
	if (s->type == SETTING_TABLE)
		return dump_table_name(value, out);
	if (s->type == SETTING_SECRET && (roles != CONF_FOR_VAULT || *value == '\0'))
		return buf_append_str(out, "elsewhere");
	return setting_is_string(s) ? dump_string(value, out) : buf_append_str(out, value);
}

static int
dump_settings(const struct conf *c, unsigned int roles, struct buf *out)
{
	char text[SETTING_TEXT_MAX];
	size_t i;

	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];
		const char *value = setting_text(&c->values, s, text);

		if ((s->roles & roles) == 0 || value == NULL)
			continue;
		if (buf_printf(out, "%s%s%s ", s->group, *s->name == '\0' ? "" : " ", s->name) ==
		    -1)
			return -1;
		if (dump_value(s, value, roles, out) == -1 || buf_append_str(out, "\n") == -1)
			return -1;
	}
	return 0;
}

static bool
rules_name(const struct conf *c, const char *table)
{
	size_t i, j;

	for (i = 0; i < c->nrules; i++) {
		for (j = 0; j < c->rules[i].ntests; j++) {
			const struct conf_test *t = &c->rules[i].tests[j];

			if (t->arg != NULL && strcmp(t->arg, table) == 0)
				return true;
		}
	}
	return false;
}

static bool
filters_name(const struct conf *c, const char *table)
{
	size_t i, j;

	for (i = 0; i < c->nfilters; i++) {
		for (j = 0; j < c->filters[i].ntests; j++) {
			const char *used = c->filters[i].tests[j].table;

			if (used != NULL && strcmp(used, table) == 0)
				return true;
		}
	}
	return false;
}

static bool
settings_name(const struct conf *c, unsigned int roles, const char *table)
{
	char text[SETTING_TEXT_MAX];
	size_t i;

	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];
		const char *used = setting_text(&c->values, s, text);

		if (s->type == SETTING_TABLE && (s->roles & roles) != 0 && used != NULL &&
		    strcmp(used, table) == 0)
			return true;
	}
	return false;
}

/* Whether any of these roles gets the action: the vault those with credentials alone. */
static bool
has_action(unsigned int roles, const struct conf_action *a)
{
	char label[CONF_NAME_MAX + 1];

	if ((roles & ROLES_ACTION) != 0)
		return true;
	return (roles & ROLES_RELAY) != 0 &&
	       (a->auth != NULL || (a->host != NULL && relay_url_label(a->host, label)));
}

/* Whether what these roles get refers to the table, pki or ca. */
static bool
is_named(const struct conf *c, unsigned int roles, enum option_named what, const char *name)
{
	size_t i;

	for (i = 0; (roles & ROLES_LISTENER) != 0 && i < c->nlisteners; i++) {
		if (option_names(&listener_options, &c->listeners[i], roles, what, name))
			return true;
	}
	for (i = 0; i < c->nactions; i++) {
		if (has_action(roles, &c->actions[i]) &&
		    option_names(&action_options, &c->actions[i], roles, what, name))
			return true;
	}
	if (what != OPTION_NAMED_TABLE)
		return false;
	return ((roles & ROLES_RULE) != 0 && rules_name(c, name)) ||
	       ((roles & ROLES_FILTER) != 0 && filters_name(c, name)) ||
	       settings_name(c, roles, name);
}

static int
dump_pairs(const struct conf_table *t, bool hidden, struct buf *out)
{
	size_t i;

	if (buf_append_str(out, " {\n") == -1)
		return -1;
	for (i = 0; i < t->npairs; i++) {
		const struct conf_pair *pair = &t->pairs[i];

		if (buf_append_str(out, "\t") == -1 || dump_string(pair->key, out) == -1)
			return -1;
		if (pair->value != NULL &&
		    (buf_append_str(out, " = ") == -1 ||
			dump_string(hidden ? HIDDEN : pair->value, out) == -1))
			return -1;
		if (buf_append_str(out, "\n") == -1)
			return -1;
	}
	return buf_append_str(out, "}");
}

/* A path that begins with '/' is a file's. */
static int
dump_path(const struct conf_table *t, struct buf *out)
{
	char text[CONF_STRING_MAX + 1];

	if (t->kind == CONF_TABLE_FILE)
		return dump_string(t->path, out);
	if (str_format(text, sizeof(text), "%s:%s", backend_of_kind(t->kind)->word, t->path) == -1)
		return -1;
	return dump_string(text, out);
}

static int
dump_table(const struct conf_table *t, bool contents, bool hidden, struct buf *out)
{
	int r;

	if (buf_append_str(out, "table ") == -1 || dump_string(t->name, out) == -1)
		return -1;
	if (!contents || t->kind == CONF_TABLE_ELSEWHERE)
		r = buf_append_str(out, " elsewhere");
	else if (t->path != NULL)
		r = buf_append_str(out, " ") == -1 ? -1 : dump_path(t, out);
	else
		r = dump_pairs(t, hidden, out);
	return r == -1 ? -1 : buf_append_str(out, "\n");
}

static int
dump_tables(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; i < c->ntables; i++) {
		const struct conf_table *t = &c->tables[i];
		bool contents = (roles & conf_table_roles(c, t)) != 0;
		bool hidden = roles != CONF_FOR_VAULT && conf_table_is_secret(c, t->name);

		if ((contents || (roles & ROLES_TABLE_NAME) != 0 ||
			is_named(c, roles, OPTION_NAMED_TABLE, t->name)) &&
		    dump_table(t, contents, hidden, out) == -1)
			return -1;
	}
	return 0;
}

/* " WORD PATH", when there is one. */
static int
dump_file(const char *word, const char *path, struct buf *out)
{
	if (path == NULL)
		return 0;
	return buf_printf(out, " %s ", word) == -1 ? -1 : dump_string(path, out);
}

static int
dump_pki(const struct conf_pki *pki, bool key, struct buf *out)
{
	if (buf_append_str(out, "pki ") == -1 || dump_string(pki->name, out) == -1 ||
	    dump_file("cert", pki->cert, out) == -1 || dump_file("ocsp", pki->ocsp, out) == -1)
		return -1;
	if (!key || pki->key == NULL)
		return buf_append_str(out, " key elsewhere\n");
	return dump_file("key", pki->key, out) == -1 ? -1 : buf_append_str(out, "\n");
}

static int
dump_pkis(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; i < c->npkis; i++) {
		const struct conf_pki *pki = &c->pkis[i];

		if (((roles & ROLES_PKI) != 0 || is_named(c, roles, OPTION_NAMED_PKI, pki->name)) &&
		    dump_pki(pki, (roles & ROLES_KEY) != 0, out) == -1)
			return -1;
	}
	return 0;
}

static int
dump_cas(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; i < c->ncas; i++) {
		const struct conf_ca *ca = &c->cas[i];

		if ((roles & ROLES_CA) == 0 && !is_named(c, roles, OPTION_NAMED_CA, ca->name))
			continue;
		if (buf_append_str(out, "ca ") == -1 || dump_string(ca->name, out) == -1 ||
		    dump_file("cert", ca->cert, out) == -1 || buf_append_str(out, "\n") == -1)
			return -1;
	}
	return 0;
}

static int
dump_filters(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; (roles & ROLES_FILTER) != 0 && i < c->nfilters; i++)
		if (dump_filter(&c->filters[i], out) == -1)
			return -1;
	return 0;
}

static int
dump_listeners(const struct conf *c, unsigned int roles, struct buf *out)
{
	const char *part = (roles & ~ROLES_LISTENER_PART) == 0 ? "elsewhere " : "";
	size_t i;

	for (i = 0; (roles & ROLES_LISTENER) != 0 && i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (buf_printf(out, "listen %son ", part) == -1)
			return -1;
		if ((l->socket ? buf_append_str(out, "socket") : dump_string(l->host, out)) == -1 ||
		    option_dump(&listener_options, l, listener_option_kind(l), roles, out) == -1 ||
		    buf_append_str(out, "\n") == -1)
			return -1;
	}
	return 0;
}

/* A role that does not deliver gets "" where the grammar wants a target. */
static int
dump_target(const struct conf_action *a, unsigned int roles, struct buf *out)
{
	bool wanted = a->kind == CONF_ACTION_MDA || a->kind == CONF_ACTION_LMTP;
	const char *target = (roles & ROLES_TARGET) != 0 ? a->target : NULL;

	if (target == NULL && !wanted)
		return 0;
	if (buf_append_str(out, " ") == -1)
		return -1;
	return dump_string(target == NULL ? "" : target, out);
}

static int
dump_actions(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		const struct conf_action *a = &c->actions[i];

		if (!has_action(roles, a))
			continue;
		if (buf_append_str(out, "action ") == -1 || dump_string(a->name, out) == -1 ||
		    buf_printf(out, " %s", dump_action_kind(a)) == -1)
			return -1;
		if (dump_target(a, roles, out) == -1 ||
		    option_dump(&action_options, a, action_option_kind(a), roles, out) == -1 ||
		    buf_append_str(out, "\n") == -1)
			return -1;
	}
	return 0;
}

static int
dump_test(const struct conf_test *t, struct buf *out)
{
	const struct match_word *row = match_word_of(t->kind);

	if (buf_printf(out, " %s%s%s%s%s", t->negated ? "!" : "", row->group,
		*row->group == '\0' ? "" : " ", row->word, t->regex ? " regex" : "") == -1)
		return -1;
	if (t->arg == NULL)
		return 0;
	if (buf_append_str(out, " ") == -1)
		return -1;
	return dump_table_name(t->arg, out);
}

static int
dump_rules(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i, j;

	for (i = 0; (roles & ROLES_RULE) != 0 && i < c->nrules; i++) {
		const struct conf_rule *rule = &c->rules[i];

		if (buf_append_str(out, "match") == -1)
			return -1;
		for (j = 0; j < rule->ntests; j++) {
			if (dump_test(&rule->tests[j], out) == -1)
				return -1;
		}
		if (rule->action == NULL) {
			if (buf_append_str(out, " reject") == -1)
				return -1;
		} else if (buf_append_str(out, " action ") == -1 ||
			   dump_string(rule->action, out) == -1) {
			return -1;
		}
		if (buf_printf(out, " line %u\n", rule->line) == -1)
			return -1;
	}
	return 0;
}

static int
dump_limits(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; (roles & ROLES_LIMIT) != 0 && i < c->nlimits; i++)
		if (limit_dump(&c->limits[i], out) == -1)
			return -1;
	return 0;
}

static int
dump_oauths(const struct conf *c, unsigned int roles, struct buf *out)
{
	size_t i;

	for (i = 0; (roles & ROLES_OAUTH) != 0 && i < c->noauths; i++)
		if (oauth_dump(&c->oauths[i], roles, out) == -1)
			return -1;
	return 0;
}

int
conf_dump(const struct conf *c, unsigned int roles, struct buf *out)
{
	static int (*const parts[])(const struct conf *, unsigned int, struct buf *) = {
	    dump_settings, dump_limits, dump_tables, dump_pkis, dump_cas, dump_oauths, dump_filters,
	    dump_listeners, dump_actions, dump_rules};
	size_t i;

	for (i = 0; i < NITEMS(parts); i++) {
		if (parts[i](c, roles, out) == -1)
			return -1;
	}
	return 0;
}

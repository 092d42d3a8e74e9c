/* SPDX-License-Identifier: ISC */
/*
 * What can be said only when everything was read: names that are used and not
 * defined, keys without certificates, settings that contradict each other.
 *
 * Invariant: after this, and without a fault, every name in the configuration
 * can be looked up.
 */
#include "lib/conf/parse.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = PARSE_TABLES_MAX };

static const char *const kind_names[] = {
    [REFERENCE_LIST] = "undefined table",
    [REFERENCE_MAPPING] = "undefined table",
    [REFERENCE_ANY] = "undefined table",
    [REFERENCE_ACTION] = "undefined action",
    [REFERENCE_PKI] = "undefined pki",
    [REFERENCE_FILTER] = "undefined filter",
};

void
parse_undefined(struct parser *p, const struct reference *r, const char *what)
{
	const struct conf *c = p->conf;
	const char **words = calloc(NAMES_MAX + 1, sizeof(*words));
	size_t i, n = 0;

	if (words == NULL) {
		p->failed = true;
		return;
	}
	for (i = 0; r->kind == REFERENCE_ACTION && i < c->nactions; i++) {
		if (c->actions[i].name != NULL)
			words[n++] = c->actions[i].name;
	}
	for (i = 0; r->kind == REFERENCE_PKI && i < c->npkis; i++)
		words[n++] = c->pkis[i].name;
	for (i = 0; r->kind == REFERENCE_FILTER && i < c->nfilters; i++) {
		if (c->filters[i].name != NULL)
			words[n++] = c->filters[i].name;
	}
	for (i = 0; r->kind <= REFERENCE_ANY && i < c->ntables; i++)
		words[n++] = c->tables[i].name;
	error_add_near(p->errors, &r->at, what, r->name, words);
	free(words);
}

static void
check_table(struct parser *p, const struct reference *r)
{
	const struct conf_table *t = conf_table_find(p->conf, r->name);

	if (t == NULL)
		parse_undefined(p, r, kind_names[r->kind]);
	else if (t->npairs == 0)
		return; /* a file, or a table that had a fault */
	else if (r->kind == REFERENCE_LIST && t->kind == CONF_TABLE_MAP)
		error_add(p->errors, &r->at, "a list of values is needed here, not of pairs");
	else if (r->kind == REFERENCE_MAPPING && t->kind == CONF_TABLE_LIST)
		error_add(p->errors, &r->at, "pairs of key and value are needed here");
}

static bool
is_defined(const struct conf *c, const struct reference *r)
{
	if (r->kind == REFERENCE_ACTION)
		return conf_action_find(c, r->name) != NULL;
	if (r->kind == REFERENCE_PKI)
		return conf_pki_find(c, r->name) != NULL;
	return conf_filter_find(c, r->name) != NULL;
}

static void
check_references(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->nrefs; i++) {
		const struct reference *r = &p->refs[i];

		if (r->kind <= REFERENCE_ANY)
			check_table(p, r);
		else if (!is_defined(p->conf, r))
			parse_undefined(p, r, kind_names[r->kind]);
	}
}

static void
check_pkis(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->conf->npkis; i++) {
		const struct conf_pki *pki = &p->conf->pkis[i];

		/* Neither: its statement had a fault, and this would only be the echo. */
		if (p->failed && pki->cert == NULL && pki->key == NULL)
			continue;
		if (pki->cert == NULL || pki->key == NULL)
			error_add(p->errors, &p->pki_at[i], "pki '%.64s' has no %s", pki->name,
			    pki->cert == NULL ? "cert" : "key");
	}
}

/* The later of two settings that were given, to complain about. */
static const struct place *
later(const struct parser *p, enum setting_id a, enum setting_id b)
{
	return p->setting_at[a].order > p->setting_at[b].order ? &p->setting_at[a]
							       : &p->setting_at[b];
}

static void
check_settings(struct parser *p)
{
	const struct conf_values *v = &p->conf->values;

	if (v->retry_min_s > v->retry_max_s)
		error_add(p->errors, later(p, SETTING_retry_min_s, SETTING_retry_max_s),
		    "'queue retry-min' is longer than 'queue retry-max'");
}

void
parse_finish(struct parser *p)
{
	check_references(p);
	check_pkis(p);
	check_settings(p);
}

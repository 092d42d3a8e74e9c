/* SPDX-License-Identifier: ISC */
/*
 * What can be said only when everything was read: names that are used and not
 * defined, keys without certificates, settings that contradict each other.
 *
 * Invariant: after this, and without a fault, every name in the configuration
 * can be looked up, every listener with TLS has a certificate, and a table of
 * passwords or tokens is used for nothing but these.
 */
#include "lib/conf/parse.h"

#include <stdlib.h>
#include <string.h>

#include "lib/conf/backend.h"
#include "lib/conf/network_text.h"
#include "lib/conf/regex_text.h"

enum { NAMES_MAX = PARSE_TABLES_MAX };

#define KIND(name) (1U << CONF_TABLE_##name)
#define TEXT	   (KIND(LIST) | KIND(MAP) | KIND(FILE) | KIND(ELSEWHERE))
#define QUERIED	   (KIND(SQLITE) | KIND(POSTGRES))
#define ANY	   (TEXT | QUERIED | KIND(CDB))

/* What a name may stand for, by how it is used. */
static const struct {
	const char *undefined;
	unsigned int tables; /* bit per kind of table */
	enum { PAIRS_NO, PAIRS_YES, PAIRS_MAYBE } pairs;
	const char *what; /* that tables of another kind are not for */
	bool secret;
} uses[] = {
    [REFERENCE_LIST] = {"undefined table", ANY, PAIRS_NO, "this", false},
    [REFERENCE_MAPPING] = {"undefined table", ANY, PAIRS_YES, "this", false},
    [REFERENCE_NETWORKS] = {"undefined table", ANY, PAIRS_NO, "this", false},
    [REFERENCE_ANY] = {"undefined table", ANY, PAIRS_MAYBE, "this", false},
    [REFERENCE_SOURCES] = {"undefined table", ANY, PAIRS_MAYBE, "this", false},
    [REFERENCE_LIST_REGEX] = {"undefined table", TEXT, PAIRS_NO, "'regex'", false},
    [REFERENCE_ANY_REGEX] = {"undefined table", TEXT, PAIRS_MAYBE, "'regex'", false},
    [REFERENCE_PASSWORDS] = {"undefined table", TEXT | QUERIED | KIND(DOVECOT), PAIRS_YES,
	"passwords", true},
    [REFERENCE_TOKENS] = {"undefined table", TEXT | KIND(DOVECOT) | KIND(HELPER), PAIRS_YES,
	"tokens", true},
    [REFERENCE_CREDENTIALS] = {"undefined table", TEXT | QUERIED, PAIRS_YES, "credentials", true},
    [REFERENCE_URLS] = {"undefined table", ANY, PAIRS_MAYBE, "this", false},
    [REFERENCE_URL_MAP] = {"undefined table", ANY, PAIRS_YES, "this", false},
    [REFERENCE_HELOS] = {"undefined table", ANY, PAIRS_YES, "this", false},
    [REFERENCE_ACTION] = {.undefined = "undefined action"},
    [REFERENCE_PKI] = {.undefined = "undefined pki"},
    [REFERENCE_CA] = {.undefined = "undefined ca"},
    [REFERENCE_FILTER] = {.undefined = "undefined filter"},
    [REFERENCE_OAUTH] = {.undefined = "a label in 'host' needs 'auth', or an 'oauth': there is no"},
};

static bool
is_table(const struct reference *r)
{
	return r->kind < REFERENCE_ACTION;
}

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
	for (i = 0; r->kind == REFERENCE_CA && i < c->ncas; i++)
		words[n++] = c->cas[i].name;
	for (i = 0; r->kind == REFERENCE_FILTER && i < c->nfilters; i++) {
		if (c->filters[i].name != NULL)
			words[n++] = c->filters[i].name;
	}
	for (i = 0; r->kind == REFERENCE_OAUTH && i < c->noauths; i++) {
		if (c->oauths[i].name != NULL)
			words[n++] = c->oauths[i].name;
	}
	for (i = 0; is_table(r) && i < c->ntables; i++)
		words[n++] = c->tables[i].name;
	error_add_near(p->errors, &r->at, what, r->name, words);
	free(words);
}

static void
refuse_kind(struct parser *p, const struct reference *r, enum conf_table_kind kind)
{
	const struct backend *b = backend_of_kind(kind);
	const char *what = uses[r->kind].what;

	if (b->use != NULL)
		error_add(p->errors, &r->at, "a %s table is for %s of a listener, not for %s",
		    b->word, b->use, what);
	else
		error_add(p->errors, &r->at, "a %s table is not for %s", b->word, what);
}

/* Those of a file are looked at by who reads it. */
static void
check_regexes(struct parser *p, const struct reference *r, const struct conf_table *t)
{
	const char *why;
	size_t i;

	for (i = 0; i < t->npairs; i++)
		if ((why = regex_fault(t->pairs[i].key)) != NULL)
			error_add(p->errors, &r->at, "'%.64s': %s", t->pairs[i].key, why);
}

static void
check_networks(struct parser *p, const struct reference *r, const struct conf_table *t)
{
	struct network n;
	size_t i;

	for (i = 0; i < t->npairs; i++)
		if (network_parse(t->pairs[i].key, &n) == -1 &&
		    strcmp(t->pairs[i].key, "unix") != 0)
			error_add(p->errors, &r->at, "'%.64s' is not an address or a network",
			    t->pairs[i].key);
}

static void
check_table(struct parser *p, const struct reference *r)
{
	const struct conf_table *t = conf_table_find(p->conf, r->name);

	if (t == NULL)
		parse_undefined(p, r, uses[r->kind].undefined);
	else if ((uses[r->kind].tables & 1U << t->kind) == 0)
		refuse_kind(p, r, t->kind);
	else if (!uses[r->kind].secret && conf_table_is_secret(p->conf, r->name))
		error_add(p->errors, &r->at,
		    "'%.64s' has passwords or tokens, and can't be used for anything else",
		    r->name);
	else if (t->npairs == 0)
		return; /* not written in place, or a table that had a fault */
	else if (uses[r->kind].pairs == PAIRS_NO && t->kind == CONF_TABLE_MAP)
		error_add(p->errors, &r->at, "a list of values is needed here, not of pairs");
	else if (uses[r->kind].pairs == PAIRS_YES && t->kind == CONF_TABLE_LIST)
		error_add(p->errors, &r->at, "pairs of key and value are needed here");
	else if (r->kind == REFERENCE_LIST_REGEX || r->kind == REFERENCE_ANY_REGEX)
		check_regexes(p, r, t);
	else if (r->kind == REFERENCE_NETWORKS)
		check_networks(p, r, t);
	else
		parse_check_relay_table(p, r, t);
}

static bool
is_defined(const struct conf *c, const struct reference *r)
{
	if (r->kind == REFERENCE_ACTION)
		return conf_action_find(c, r->name) != NULL;
	if (r->kind == REFERENCE_PKI)
		return conf_pki_find(c, r->name) != NULL;
	if (r->kind == REFERENCE_CA)
		return conf_ca_find(c, r->name) != NULL;
	if (r->kind == REFERENCE_OAUTH)
		return conf_oauth_find(c, r->name) != NULL;
	return conf_filter_find(c, r->name) != NULL;
}

static void
check_references(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->nrefs; i++) {
		const struct reference *r = &p->refs[i];

		if (is_table(r))
			check_table(p, r);
		else if (!is_defined(p->conf, r))
			parse_undefined(p, r, uses[r->kind].undefined);
	}
}

static void
check_pkis(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->conf->npkis; i++) {
		const struct conf_pki *pki = &p->conf->pkis[i];
		const struct pki_note *note = &p->pki_notes[i];

		if (note->faulty)
			continue; /* this would only be the echo */
		if (pki->cert == NULL || (pki->key == NULL && !note->key_elsewhere))
			error_add(p->errors, &note->at, "pki '%.64s' has no %s", pki->name,
			    pki->cert == NULL ? "cert" : "key");
	}
}

/* A listener that names no certificate has all of them. */
static void
listener_take_all(struct parser *p, struct conf_listener *l, const struct place *at)
{
	const struct conf *c = p->conf;

	if (c->npkis == 0 && !p->pki_seen)
		error_add(p->errors, at, "TLS needs a certificate, and there is no 'pki'");
	if (c->npkis == 0 || (l->pkis = calloc(c->npkis, sizeof(*l->pkis))) == NULL)
		goto failed;
	for (; l->npkis < c->npkis; l->npkis++) {
		if ((l->pkis[l->npkis] = strdup(c->pkis[l->npkis].name)) == NULL)
			goto failed;
	}
	return;
failed:
	p->failed = true;
}

static void
complete_listeners(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->conf->nlisteners; i++) {
		struct conf_listener *l = &p->conf->listeners[i];

		if (l->tls != CONF_TLS_NONE && l->npkis == 0 && p->listener_at[i].source != NULL)
			listener_take_all(p, l, &p->listener_at[i]);
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
	if (v->srs_key == NULL && p->srs_at.source != NULL)
		error_add(p->errors, &p->srs_at, "'srs' needs an 'srs key'");
	if (v->srs_key == NULL && v->srs_key_old != NULL)
		error_add(p->errors, &p->setting_at[SETTING_srs_key_old],
		    "'srs key backup' needs an 'srs key'");
}

void
parse_finish(struct parser *p)
{
	check_references(p);
	parse_check_relays(p);
	check_pkis(p);
	complete_listeners(p);
	check_settings(p);
}

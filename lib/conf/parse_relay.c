/* SPDX-License-Identifier: ISC */
/*
 * Tables of relays, where they are written in the configuration: the servers,
 * addresses and names in them.
 *
 * Invariant: as of a host that is named in its action: a credential never goes
 * where TLS is forbidden or nobody is verified, and its label is one that somebody knows.
 * Those of other tables are looked at by who reads these.
 */
#include "lib/conf/parse.h"

#include <string.h>

#include "lib/conf/check.h"
#include "lib/conf/check_url.h"

struct form { /* of an entry; NULL: any text */
	bool (*key)(const char *);
	bool (*value)(const char *);
	const char *key_what, *value_what;
};

#define URL_TEXT  "a host such as smtp://mx.example.org:25"
#define URLS_TEXT "hosts such as smtp://mx.example.org:25, by commas"
#define IPS_TEXT  "addresses, by commas"

/* Of a list the keys are the values. */
static const struct form lists[] = {
    [REFERENCE_SOURCES] = {check_ip, NULL, "an address", NULL},
    [REFERENCE_URLS] = {check_relay_url, NULL, URL_TEXT, NULL},
};
static const struct form mappings[] = {
    [REFERENCE_SOURCES] = {NULL, check_ips, NULL, IPS_TEXT},
    [REFERENCE_URLS] = {NULL, check_relay_urls, NULL, URLS_TEXT},
    [REFERENCE_URL_MAP] = {NULL, check_relay_urls, NULL, URLS_TEXT},
    [REFERENCE_HELOS] = {check_ip, check_hostname, "an address", "a host name"},
};

static void
check_text(struct parser *p, const struct reference *r, const char *text,
    bool (*check)(const char *), const char *what)
{
	if (check != NULL && !check(text))
		error_add(p->errors, &r->at, "'%.64s' is not %s", text, what);
}

void
parse_check_relay_table(struct parser *p, const struct reference *r, const struct conf_table *t)
{
	const struct form *forms = t->kind == CONF_TABLE_LIST ? lists : mappings, *form;
	size_t n = t->kind == CONF_TABLE_LIST ? NITEMS(lists) : NITEMS(mappings), i;

	if ((size_t)r->kind >= n)
		return;
	form = &forms[r->kind];
	for (i = 0; i < t->npairs; i++) {
		check_text(p, r, t->pairs[i].key, form->key, form->key_what);
		if (t->pairs[i].value != NULL)
			check_text(p, r, t->pairs[i].value, form->value, form->value_what);
	}
}

/* -- what the action says, beside what the table does -- */

static void
check_url(struct parser *p, const struct conf_action *a, const struct reference *r, const char *url)
{
	struct reference oauth = {.kind = REFERENCE_OAUTH, .at = r->at};
	char label[CONF_NAME_MAX + 1];

	if (!check_relay_url(url))
		return; /* which was said */
	if (a->tls_required && relay_url_is_clear(url))
		error_add(p->errors, &r->at, "'tls' contradicts '%.64s'", url);
	if (!relay_url_label(url, label))
		return;
	oauth.name = label;
	if (relay_url_is_clear(url))
		error_add(p->errors, &r->at, "a label needs TLS: not '%.64s'", url);
	else if (a->tls_no_verify)
		error_add(p->errors, &r->at,
		    "a label in '%.64s' is for a server that was verified: not 'tls no-verify'",
		    url);
	else if (a->auth == NULL && conf_oauth_find(p->conf, label) == NULL)
		parse_undefined(
		    p, &oauth, "a label in a host's URL needs 'auth', or an 'oauth': there is no");
}

static void
check_urls(struct parser *p, const struct conf_action *a, const struct reference *r)
{
	const struct conf_table *t = conf_table_find(p->conf, r->name);
	char url[CONF_STRING_MAX + 1];
	const char *list;
	size_t i;

	for (i = 0; t != NULL && i < t->npairs; i++) {
		list = t->pairs[i].value == NULL ? t->pairs[i].key : t->pairs[i].value;
		while (text_next(&list, url))
			check_url(p, a, r, url);
	}
}

/* Where in its action a table was named: the reference that came next to it. */
static const struct reference *
reference_of(const struct parser *p, const struct conf_action *a, const char *table)
{
	const struct place *at = &p->action_at[a - p->conf->actions];
	size_t i;

	for (i = 0; i < p->nrefs; i++) {
		const struct reference *r = &p->refs[i];

		if ((r->kind == REFERENCE_URLS || r->kind == REFERENCE_URL_MAP) &&
		    r->at.order > at->order && strcmp(r->name, table) == 0)
			return r;
	}
	return NULL;
}

void
parse_check_relays(struct parser *p)
{
	const struct reference *r;
	size_t i;

	for (i = 0; i < p->conf->nactions; i++) {
		const struct conf_action *a = &p->conf->actions[i];
		const char *table = a->host_table != NULL ? a->host_table : a->domain_table;

		if (table != NULL && p->action_at[i].source != NULL &&
		    (r = reference_of(p, a, table)) != NULL)
			check_urls(p, a, r);
	}
}

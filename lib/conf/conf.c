/* SPDX-License-Identifier: ISC */
/*
 * A parsed configuration as an object: its end, and look-ups by name.
 *
 * Invariant: conf_free() also takes one that was given up half made, in which
 * any pointer may be NULL.
 */
#include "lib/conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "lib/conf/filter.h"
#include "lib/conf/settings.h"

static void
secret_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void
table_clear(struct conf_table *t)
{
	size_t i;

	for (i = 0; i < t->npairs; i++) {
		secret_free(t->pairs[i].key); /* a token, say, and a password */
		secret_free(t->pairs[i].value);
	}
	free(t->pairs);
	free(t->name);
	free(t->path);
}

static void
listener_clear(struct conf_listener *l)
{
	char *strings[] = {l->host, l->auth_table, l->tokens, l->ca, l->ciphers, l->protocols,
	    l->curves, l->tag, l->hostname, l->senders, l->filter, l->proxy, l->xclient, l->group};
	size_t i;

	for (i = 0; i < NITEMS(strings); i++)
		free(strings[i]);
	for (i = 0; i < l->npkis; i++)
		free(l->pkis[i]);
	free(l->pkis);
}

static void
pki_clear(struct conf_pki *p)
{
	free(p->name);
	free(p->cert);
	free(p->key);
	free(p->ocsp);
}

void
filter_clear(struct conf_filter *f)
{
	size_t i;

	for (i = 0; i < f->nmembers; i++)
		free(f->members[i]);
	for (i = 0; i < f->ntests; i++)
		free(f->tests[i].table);
	free(f->members);
	free(f->tests);
	free(f->name);
	free(f->text);
}

static void
action_clear(struct conf_action *a)
{
	char *strings[] = {a->name, a->target, a->alias, a->virtual, a->userbase, a->user,
	    a->wrapper, a->host, a->helo, a->helo_src, a->src, a->domain_table, a->mail_from,
	    a->auth, a->pki, a->ca, a->backup_name, a->host_table, a->fingerprint, a->proxy};
	size_t i;

	for (i = 0; i < NITEMS(strings); i++)
		free(strings[i]);
}

static void
oauth_clear(struct conf_oauth *o)
{
	char *strings[] = {o->name, o->user, o->tenant, o->client_id, o->scope, o->device_url,
	    o->auth_url, o->token_url, o->key, o->key_id, o->audience};
	size_t i;

	for (i = 0; i < NITEMS(strings); i++)
		free(strings[i]);
	secret_free(o->client_secret);
}

static void
rule_clear(struct conf_rule *r)
{
	size_t i;

	for (i = 0; i < r->ntests; i++)
		free(r->tests[i].arg);
	free(r->tests);
	free(r->action);
}

void
conf_free(struct conf *c)
{
	size_t i;

	if (c == NULL)
		return;
	settings_free(&c->values);
	for (i = 0; i < c->nlisteners; i++)
		listener_clear(&c->listeners[i]);
	for (i = 0; i < c->ntables; i++)
		table_clear(&c->tables[i]);
	for (i = 0; i < c->npkis; i++)
		pki_clear(&c->pkis[i]);
	for (i = 0; i < c->ncas; i++) {
		free(c->cas[i].name);
		free(c->cas[i].cert);
	}
	for (i = 0; i < c->nfilters; i++)
		filter_clear(&c->filters[i]);
	for (i = 0; i < c->nactions; i++)
		action_clear(&c->actions[i]);
	for (i = 0; i < c->nrules; i++)
		rule_clear(&c->rules[i]);
	for (i = 0; i < c->nlimits; i++)
		free(c->limits[i].name);
	for (i = 0; i < c->noauths; i++)
		oauth_clear(&c->oauths[i]);
	free(c->limits);
	free(c->oauths);
	free(c->listeners);
	free(c->tables);
	free(c->pkis);
	free(c->cas);
	free(c->filters);
	free(c->actions);
	free(c->rules);
	free(c);
}

static bool
is_named(const char *name, const char *wanted)
{
	return name != NULL && strcmp(name, wanted) == 0;
}

const struct conf_table *
conf_table_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->ntables; i++) {
		if (is_named(c->tables[i].name, name))
			return &c->tables[i];
	}
	return NULL;
}

const struct conf_action *
conf_action_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->nactions; i++) {
		if (is_named(c->actions[i].name, name))
			return &c->actions[i];
	}
	return NULL;
}

const struct conf_pki *
conf_pki_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->npkis; i++) {
		if (is_named(c->pkis[i].name, name))
			return &c->pkis[i];
	}
	return NULL;
}

const struct conf_ca *
conf_ca_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->ncas; i++) {
		if (is_named(c->cas[i].name, name))
			return &c->cas[i];
	}
	return NULL;
}

const struct conf_filter *
conf_filter_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->nfilters; i++) {
		if (is_named(c->filters[i].name, name))
			return &c->filters[i];
	}
	return NULL;
}

const struct conf_oauth *
conf_oauth_find(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->noauths; i++) {
		if (is_named(c->oauths[i].name, name))
			return &c->oauths[i];
	}
	return NULL;
}

bool
conf_filter_acts(const struct conf *c, const struct conf_filter *f, enum conf_phase phase)
{
	size_t i;

	if (!f->chain)
		return f->phase == phase;
	for (i = 0; i < f->nmembers; i++) {
		const struct conf_filter *member = conf_filter_find(c, f->members[i]);

		if (member != NULL && !member->chain && member->phase == phase)
			return true;
	}
	return false;
}

const char *
conf_phase_name(enum conf_phase phase)
{
	static const char *const names[] = {
	    [CONF_PHASE_CONNECT] = "connect",
	    [CONF_PHASE_HELO] = "helo",
	    [CONF_PHASE_EHLO] = "ehlo",
	    [CONF_PHASE_MAIL_FROM] = "mail-from",
	    [CONF_PHASE_RCPT_TO] = "rcpt-to",
	    [CONF_PHASE_DATA] = "data",
	    [CONF_PHASE_COMMIT] = "commit",
	};

	return names[phase];
}

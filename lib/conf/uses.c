/* SPDX-License-Identifier: ISC */
/*
 * What tables are used for, and so who may know what is in them.
 *
 * Invariant: a table of passwords, tokens or credentials is the vault's, and
 * of those who ask back ends for it; lookup never has what is in it.
 */
#include <stddef.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/filter.h"
#include "lib/conf/match.h"
#include "lib/conf/option.h"
#include "lib/conf/service.h"
#include "lib/conf/settings.h"

_Static_assert(SERVICE__MAX <= 32, "a set of services is an unsigned int");

#define SERVICES_SECRET (1U << SERVICE_AUTH | 1U << SERVICE_CREDENTIALS)

static unsigned int
rules_services(const struct conf *c, const char *name)
{
	unsigned int services = 0;
	size_t i, j;

	for (i = 0; i < c->nrules; i++) {
		for (j = 0; j < c->rules[i].ntests; j++) {
			const struct conf_test *t = &c->rules[i].tests[j];

			if (t->arg != NULL && strcmp(t->arg, name) == 0)
				services |= 1U << match_word_of(t->kind)->service;
		}
	}
	return services;
}

static unsigned int
filters_services(const struct conf *c, const char *name)
{
	unsigned int services = 0;
	size_t i, j;

	for (i = 0; i < c->nfilters; i++) {
		for (j = 0; j < c->filters[i].ntests; j++) {
			const struct conf_filter_test *t = &c->filters[i].tests[j];

			if (t->table != NULL && strcmp(t->table, name) == 0)
				services |= 1U << filter_words[t->kind].service;
		}
	}
	return services;
}

/* Settings that are tables are lists of networks. */
static unsigned int
settings_services(const struct conf *c, const char *name)
{
	char text[SETTING_TEXT_MAX];
	size_t i;

	for (i = 0; i < SETTING__MAX; i++) {
		const struct setting *s = &conf_settings[i];
		const char *value;

		if (s->type == SETTING_TABLE &&
		    (value = setting_text(&c->values, s, text)) != NULL && strcmp(value, name) == 0)
			return 1U << SERVICE_NETADDR;
	}
	return 0;
}

static unsigned int
objects_services(const struct conf *c, const char *name)
{
	unsigned int services = 0;
	size_t i;

	for (i = 0; i < c->nlisteners; i++)
		services |= option_services(&listener_options, &c->listeners[i], name);
	for (i = 0; i < c->nactions; i++)
		services |= option_services(&action_options, &c->actions[i], name);
	return services;
}

unsigned int
conf_table_services(const struct conf *c, const char *name)
{
	return objects_services(c, name) | rules_services(c, name) | filters_services(c, name) |
	       settings_services(c, name);
}

static bool
is_pattern(bool regex, const char *table, const char *name)
{
	return regex && table != NULL && strcmp(table, name) == 0;
}

bool
conf_table_has_patterns(const struct conf *c, const char *name)
{
	size_t i, j;

	for (i = 0; i < c->nrules; i++)
		for (j = 0; j < c->rules[i].ntests; j++)
			if (is_pattern(c->rules[i].tests[j].regex, c->rules[i].tests[j].arg, name))
				return true;
	for (i = 0; i < c->nfilters; i++)
		for (j = 0; j < c->filters[i].ntests; j++)
			if (is_pattern(
				c->filters[i].tests[j].regex, c->filters[i].tests[j].table, name))
				return true;
	return false;
}

bool
conf_table_is_secret(const struct conf *c, const char *name)
{
	return (objects_services(c, name) & SERVICES_SECRET) != 0;
}

unsigned int
conf_table_roles(const struct conf *c, const struct conf_table *t)
{
	bool secret = conf_table_is_secret(c, t->name);
	unsigned int owner = secret ? CONF_FOR_VAULT : CONF_FOR_LOOKUP;

	switch (t->kind) {
	case CONF_TABLE_SQLITE:
		/* The vault has hashers ask it; in their own part nothing says for what. */
		if (secret || conf_table_services(c, t->name) == 0)
			owner |= CONF_FOR_HASHER;
		break;
	case CONF_TABLE_POSTGRES:
		owner |= CONF_FOR_TABLE;
		break;
	case CONF_TABLE_DOVECOT:
	case CONF_TABLE_HELPER:
		owner = CONF_FOR_VAULT;
		break;
	default:
		break;
	}
	return CONF_FOR_PARENT | owner;
}

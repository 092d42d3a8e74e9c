/* SPDX-License-Identifier: ISC */
/*
 * Which "mta limit" counts for a connection: of those that are about it and
 * say something of what is asked, the narrowest, and of equal ones the last.
 *
 * Invariant: pure; a subject that is not known yet is matched by none that
 * names one.
 */
#include <string.h>

#include "delivery/limit_private.h"
#include "lib/base/str.h"

#define SESSION_MAILS	100
#define SESSION_IDLE_MS 10000

enum fit { FIT_NOT, FIT_ALL, FIT_PATTERN, FIT_EXACT };

static enum fit
fit_domain(const char *pattern, const char *domain)
{
	size_t np, nd;

	if (strncmp(pattern, "*.", 2) != 0)
		return str_equal_nocase(pattern, domain) ? FIT_EXACT : FIT_NOT;
	np = strlen(pattern + 1);
	nd = strlen(domain);
	return nd > np && str_equal_nocase(domain + nd - np, pattern + 1) ? FIT_PATTERN : FIT_NOT;
}

/* "*.mail.example.net" and "mx1.example.net" both are about who runs "example.net". */
static enum fit
fit_mx(const char *pattern, const char *provider)
{
	if (strncmp(pattern, "*.", 2) == 0)
		pattern += 2;
	return str_equal_nocase(limit_mx_provider(pattern), provider) ? FIT_EXACT : FIT_NOT;
}

static enum fit
fit_of(const struct conf_limit *l, const struct limit_subject *s)
{
	const char *key = s->keys[l->of];

	if (l->name == NULL)
		return FIT_ALL;
	if (key == NULL)
		return FIT_NOT;
	switch (l->of) {
	case CONF_SCOPE_DOMAIN:
		return fit_domain(l->name, key);
	case CONF_SCOPE_MX:
		return fit_mx(l->name, key);
	default:
		return str_equal_nocase(l->name, key) ? FIT_EXACT : FIT_NOT;
	}
}

static int64_t
connections_of(const struct conf_limit *l, enum conf_scope scope)
{
	return l->connections[scope];
}

static int64_t
delay_of(const struct conf_limit *l, enum conf_scope scope)
{
	return l->delay_ms[scope];
}

static int64_t
rate_of(const struct conf_limit *l, enum conf_scope scope)
{
	return l->rate[scope];
}

static int64_t
session_mails_of(const struct conf_limit *l, enum conf_scope scope)
{
	(void)scope;
	return l->session_mails;
}

static int64_t
session_delay_of(const struct conf_limit *l, enum conf_scope scope)
{
	(void)scope;
	return l->session_delay_ms;
}

static int64_t
session_idle_of(const struct conf_limit *l, enum conf_scope scope)
{
	(void)scope;
	return l->session_idle_ms;
}

typedef int64_t (*member)(const struct conf_limit *l, enum conf_scope scope);

static int64_t
find(const struct conf *conf, member get, enum conf_scope scope, const struct limit_subject *s)
{
	int64_t value, found = CONF_LIMIT_UNSET;
	enum fit fit, best = FIT_NOT;
	size_t i;

	for (i = 0; i < conf->nlimits; i++) {
		value = get(&conf->limits[i], scope);
		if (value == CONF_LIMIT_UNSET)
			continue;
		fit = fit_of(&conf->limits[i], s);
		if (fit == FIT_NOT || fit < best)
			continue;
		best = fit;
		found = value;
	}
	return found;
}

/* A smarthost is a destination as a domain is one. */
static bool
is_destination(enum conf_scope scope, const struct limit_subject *s)
{
	return scope == CONF_SCOPE_DOMAIN ||
	       (scope == CONF_SCOPE_RELAY && s->keys[CONF_SCOPE_DOMAIN] == NULL);
}

int64_t
limit_in_conf(const struct conf *conf, enum limit_kind kind, enum conf_scope scope,
    const struct limit_subject *s)
{
	static const member members[] = {
	    [LIMIT_CONNECTIONS] = connections_of, [LIMIT_DELAY] = delay_of, [LIMIT_RATE] = rate_of};
	int64_t value = find(conf, members[kind], scope, s);

	if (value != CONF_LIMIT_UNSET)
		return value;
	if (kind == LIMIT_CONNECTIONS && is_destination(scope, s))
		return (int64_t)conf->values.delivery_max_per_destination;
	return 0;
}

static int64_t
session_value(const struct conf *conf, member get, const struct limit_subject *s, int64_t fallback)
{
	int64_t value = find(conf, get, CONF_SCOPE_DOMAIN, s);

	return value != CONF_LIMIT_UNSET ? value : fallback;
}

struct limit_session
limit_session_of(const struct conf *conf, const struct limit_subject *s)
{
	return (struct limit_session){
	    .mails = (size_t)session_value(conf, session_mails_of, s, SESSION_MAILS),
	    .delay_ms = session_value(conf, session_delay_of, s, 0),
	    .idle_ms = session_value(conf, session_idle_of, s, SESSION_IDLE_MS),
	};
}

/* -- who runs a host -- */

static const char *
label_before(const char *host, const char *at)
{
	if (at == host)
		return host;
	for (at--; at > host && at[-1] != '.';)
		at--;
	return at;
}

/* "co.uk" and its like: names below them belong to different people. */
static bool
is_shared(const char *second)
{
	static const char *const words[] = {
	    "ac", "co", "com", "edu", "go", "gov", "gob", "ne", "net", "or", "org"};
	size_t i, n = strcspn(second, ".");

	if (strlen(second + n) != 3) /* ".uk" */
		return false;
	for (i = 0; i < NITEMS(words); i++)
		if (strlen(words[i]) == n && str_starts_nocase(second, words[i]))
			return true;
	return false;
}

const char *
limit_mx_provider(const char *host)
{
	const char *end = host + strlen(host), *top, *second;

	if (host[0] == '[' || strchr(host, ':') != NULL ||
	    host[strspn(host, "0123456789.")] == '\0')
		return host;
	top = label_before(host, end);
	second = label_before(host, top > host ? top - 1 : top);
	if (!is_shared(second) || second == host)
		return second;
	return label_before(host, second - 1);
}

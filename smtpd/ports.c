/* SPDX-License-Identifier: ISC */
/*
 * Which TCP ports a process may connect to: those that smtpd.conf, and what it
 * names, have to do with.
 *
 * Invariant: nothing but a port's number is taken from what is read here; who
 * uses the URL that it is from, judges the URL.
 */
#include "smtpd/smtpd.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check_url.h"
#include "lib/conf/postgres.h"
#include "lib/conf/table_entry.h"

#define HOSTS_TEXT_MAX (16U << 20) /* octets of a file of hosts to relay to */

enum { PORT_SMTP = 25, PORT_DNS = 53, PORT_HTTPS = 443, PORT_SMTPS = 465, PORT_SUBMISSION = 587 };

struct ports {
	uint16_t *list;
	size_t n, max;
};

static void
ports_add(struct ports *p, uint16_t port)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->list[i] == port)
			return;
	if (p->n < p->max)
		p->list[p->n++] = port;
}

/* Of "host:port", what comes before a slash; else the one that it has without. */
static void
ports_add_of(struct ports *p, const char *host, uint16_t fallback)
{
	char text[CONF_STRING_MAX + 1], *colon, *bracket;
	uint64_t port;

	if (str_format(text, sizeof(text), "%.*s", (int)strcspn(host, "/?"), host) == -1)
		return;
	colon = strrchr(text, ':');
	bracket = strrchr(text, ']');
	if (colon != NULL && (bracket == NULL || colon > bracket) &&
	    str_u64(colon + 1, 1, UINT16_MAX, &port) == 0)
		ports_add(p, (uint16_t)port);
	else if (fallback != 0)
		ports_add(p, fallback);
}

static const char *
after_scheme(const char *url)
{
	const char *mark = strstr(url, "://");

	return mark == NULL ? url : mark + 3;
}

/* -- of name servers -- */

/* Every "@port" of a list of them. */
static void
add_servers(struct ports *p, const char *list)
{
	const char *at;

	for (at = list; at != NULL && (at = strchr(at, '@')) != NULL; at++)
		ports_add(p, (uint16_t)strtoul(at + 1, NULL, 10));
}

/* 53 is that of all who name none, and of those whom the DNS itself names. */
static void
add_resolver(struct ports *p, const struct conf *conf)
{
	ports_add(p, PORT_DNS);
	add_servers(p, conf->values.resolver_forward);
	add_servers(p, conf->values.resolver_root);
}

/* -- of mail servers -- */

/* "smtp://label@host:2525, smtps://host" */
static void
add_urls(struct ports *p, const char *urls)
{
	char url[CONF_STRING_MAX + 1];

	while (text_next(&urls, url)) {
		uint16_t own = str_starts_nocase(url, "smtps:") ? PORT_SMTPS : PORT_SMTP;

		ports_add_of(p, after_scheme(url), str_starts_nocase(url, "lmtp") ? 0 : own);
	}
}

/* A file that can't be read has no hosts: whoever reads it for lookup says so. */
static void
add_file(struct ports *p, const char *path)
{
	struct table_entries entries;
	struct table_entry e;
	struct buf text;

	buf_init(&text, HOSTS_TEXT_MAX);
	if (files_read(NULL, path, &text) == 0 && buf_append(&text, "", 1) == 0) {
		table_entries_init(
		    &entries, (char *)text.data + text.head, text.len - 1, TABLE_ENTRY_NAMES);
		while (table_entries_next(&entries, &e))
			if (e.why == NULL)
				add_urls(p, e.value == NULL ? e.key : e.value);
	}
	buf_free(&text);
}

/* What is in a database nobody knows beforehand: the ports that such servers have. */
static void
add_table(struct ports *p, const struct conf *conf, const char *name)
{
	const struct conf_table *t = name == NULL ? NULL : conf_table_find(conf, name);
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < t->npairs; i++)
		add_urls(p, t->pairs[i].value == NULL ? t->pairs[i].key : t->pairs[i].value);
	if (t->kind == CONF_TABLE_FILE)
		add_file(p, t->path);
	if (t->npairs > 0)
		return;
	ports_add(p, PORT_SMTPS);
	ports_add(p, PORT_SUBMISSION);
}

static void
add_smtp(struct ports *p, const struct conf *conf)
{
	size_t i;

	ports_add(p, PORT_SMTP);
	for (i = 0; i < conf->nactions; i++) {
		const struct conf_action *a = &conf->actions[i];

		if (a->host != NULL)
			add_urls(p, a->host);
		if (a->proxy != NULL)
			ports_add_of(p, after_scheme(a->proxy), 0);
		if (a->kind == CONF_ACTION_LMTP && *a->target != '/')
			ports_add_of(p, a->target, 0);
		add_table(p, conf, a->host_table);
		add_table(p, conf, a->domain_table);
	}
}

/* -- of services that give tokens -- */

static void
add_oauth(struct ports *p, const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->noauths; i++) {
		const struct conf_oauth *o = &conf->oauths[i];

		if (o->device_url != NULL)
			ports_add_of(p, after_scheme(o->device_url), PORT_HTTPS);
		if (o->token_url != NULL)
			ports_add_of(p, after_scheme(o->token_url), PORT_HTTPS);
	}
}

/* -- of the servers that tables are in, as their small files say -- */

/* 0: it can't be read, and who is handed the file says why. */
static uint16_t
port_of_table(const char *path)
{
	char why[FILES_WHY_MAX];
	struct postgres p;
	uint16_t port;

	if (files_postgres(path, &p, why) == -1)
		return 0;
	port = p.port_number;
	postgres_free(&p);
	return port;
}

static void
add_tables(struct ports *p, const struct conf *conf)
{
	uint16_t port;
	size_t i;

	for (i = 0; i < conf->ntables; i++)
		if (conf->tables[i].kind == CONF_TABLE_POSTGRES &&
		    (port = port_of_table(conf->tables[i].path)) != 0)
			ports_add(p, port);
}

bool
ports_are_known(const struct smtpd *d)
{
	size_t i;

	for (i = 0; i < d->conf->ntables; i++)
		if (d->conf->tables[i].kind == CONF_TABLE_POSTGRES &&
		    port_of_table(d->conf->tables[i].path) == 0)
			return false;
	return true;
}

size_t
ports_find(const struct smtpd *d, enum role_ports which, uint16_t *ports, size_t max)
{
	static void (*const add[])(struct ports *, const struct conf *) = {
	    [PORTS_RESOLVER] = add_resolver,
	    [PORTS_SMTP] = add_smtp,
	    [PORTS_TABLES] = add_tables,
	    [PORTS_OAUTH] = add_oauth,
	};
	struct ports p = {.list = ports, .max = max};

	if (which != PORTS_NONE)
		add[which](&p, d->conf);
	return p.n;
}

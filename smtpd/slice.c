/* SPDX-License-Identifier: ISC */
/*
 * To each its part of smtpd.conf, and the way there: what is read for it, the text,
 * the word that it is whole, and then the files that the text names.  A table may be larger
 * than a channel holds, so that what does not fit waits until there is room.
 *
 * Invariant: the order.  A reload begins anew with those that it finds on the way.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/postgres.h"

static int
send_text(struct child *c, const struct buf *text)
{
	struct msg_conf_end end = {.generation = c->smtpd->generation};
	size_t at, n;

	for (at = 0; at < text->len; at += n) {
		struct msg_conf_text m;

		n = text->len - at < IPC_CHUNK_MAX ? text->len - at : IPC_CHUNK_MAX;
		m = (struct msg_conf_text){.text = {buf_head(text) + at, n}};
		if (channel_send(c->ch, MSG_conf_text, &m) == -1)
			return -1;
	}
	return channel_send(c->ch, MSG_conf_end, &end);
}

static int
send_conf(struct child *c)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, CONF_TEXT_MAX);
	if (conf_dump(c->smtpd->conf, c->row->conf, &text) == 0)
		rc = send_text(c, &text);
	buf_free(&text);
	return rc;
}

/* The next piece of a file, the next file, or what comes after the last. */
static int
send_more(struct child *c)
{
	struct feed *f = &c->feed;
	struct secret_file file;

	if (f->fd != -1)
		return secrets_go_on(c);
	if (secrets_next(c->smtpd->conf, c->row->role, &f->next, &file))
		return secrets_begin(c, &file);
	f->active = false;
	c->has_files = true;
	if (send_conf(c) == -1)
		return -1;
	if (!f->tables_only)
		files_send(c);
	return child_configured(c);
}

static int
send_what_fits(struct child *c)
{
	/* Above the mark the channel tells when it is below it again. */
	while (c->feed.active && channel_pending_bytes(c->ch) <= CHANNEL_HIGH)
		if (send_more(c) == -1) {
			slice_stop(c);
			return -1;
		}
	return 0;
}

static void
on_room(evutil_socket_t sock, short what, void *arg)
{
	struct child *c = arg;

	(void)sock;
	(void)what;
	if (c->ch == NULL || send_what_fits(c) == 0)
		return;
	log_warn("event=not-configured process=%s error=\"%s\"", child_name(c), strerror(errno));
	child_condemn(c);
}

/* From the loop's top: the channel is busy when it calls this. */
void
slice_on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct child *c = ctx;

	(void)ch;
	if (!high && c->feed.active)
		event_active(c->feed.more, EV_TIMEOUT, 0);
}

static int
feed_begin(struct child *c, bool tables_only)
{
	struct feed *f = &c->feed;

	slice_stop(c);
	if (f->more == NULL && (f->more = event_new(c->smtpd->base, -1, 0, on_room, c)) == NULL)
		return -1;
	f->next = 0;
	f->tables_only = tables_only;
	f->active = true;
	return 0;
}

int
slice_send(struct child *c)
{
	return feed_begin(c, false) == -1 ? -1 : send_what_fits(c);
}

int
slice_send_tables(struct child *c)
{
	return feed_begin(c, true) == -1 ? -1 : send_what_fits(c);
}

void
slice_stop(struct child *c)
{
	/* Its receiver must not take the next file's octets for more of this one. */
	if (c->feed.fd != -1)
		(void)secrets_give_up(c);
	c->feed.active = false;
}

/* -- ports -- */

static size_t
ports_add(uint16_t port, uint16_t *ports, size_t n, size_t max)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ports[i] == port)
			return n;
	if (n < max)
		ports[n++] = port;
	return n;
}

/* Every "@port" of a list of name servers. */
static size_t
ports_of_servers(const char *list, uint16_t *ports, size_t n, size_t max)
{
	const char *at;

	for (at = list; at != NULL && (at = strchr(at, '@')) != NULL; at++)
		n = ports_add((uint16_t)strtoul(at + 1, NULL, 10), ports, n, max);
	return n;
}

/* 53 is that of all who name none, and of those whom the DNS itself names. */
static size_t
ports_of_resolver(const struct conf_values *v, uint16_t *ports, size_t max)
{
	size_t n = ports_add(53, ports, 0, max);

	n = ports_of_servers(v->resolver_forward, ports, n, max);
	return ports_of_servers(v->resolver_root, ports, n, max);
}

/* "smtp://label@host:2525" has a port; without one the scheme's own. */
static size_t
ports_of_host(const char *host, uint16_t *ports, size_t n, size_t max)
{
	const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
	uint64_t port;

	if (colon != NULL && colon > bracket && str_u64(colon + 1, 1, 65535, &port) == 0)
		return ports_add((uint16_t)port, ports, n, max);
	n = ports_add(465, ports, n, max);
	n = ports_add(587, ports, n, max);
	return n;
}

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

/* Of the servers that tables are in, as their small files say. */
static size_t
ports_of_tables(const struct conf *conf, uint16_t *ports, size_t max)
{
	uint16_t port;
	size_t i, n = 0;

	for (i = 0; i < conf->ntables; i++)
		if (conf->tables[i].kind == CONF_TABLE_POSTGRES &&
		    (port = port_of_table(conf->tables[i].path)) != 0)
			n = ports_add(port, ports, n, max);
	return n;
}

bool
slice_ports_are_known(const struct smtpd *d)
{
	size_t i;

	for (i = 0; i < d->conf->ntables; i++)
		if (d->conf->tables[i].kind == CONF_TABLE_POSTGRES &&
		    port_of_table(d->conf->tables[i].path) == 0)
			return false;
	return true;
}

size_t
slice_ports(const struct smtpd *d, enum role_ports which, uint16_t *ports, size_t max)
{
	size_t i, n;

	if (which == PORTS_NONE)
		return 0;
	if (which == PORTS_TABLES)
		return ports_of_tables(d->conf, ports, max);
	if (which == PORTS_RESOLVER)
		return ports_of_resolver(&d->conf->values, ports, max);
	n = ports_add(25, ports, 0, max);
	for (i = 0; i < d->conf->nactions; i++)
		if (d->conf->actions[i].host != NULL)
			n = ports_of_host(d->conf->actions[i].host, ports, n, max);
	return n;
}

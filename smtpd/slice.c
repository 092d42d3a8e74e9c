/* SPDX-License-Identifier: ISC */
/*
 * To each its part: what of smtpd.conf a role gets, and which files it is
 * handed open, so that it needs no right to open any.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"

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

/* A file that can't be opened is logged and left out: who needs it answers 4xx. */
static void
send_file(struct child *c, enum ipc_file kind, const char *name, const char *path)
{
	struct msg_file m = {.kind = (uint8_t)kind, .name = name};
	struct logline l;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1) {
		(void)channel_send_fd(c->ch, MSG_file, &m, fd);
		return;
	}
	logline_start(
	    &l, kind == IPC_FILE_TABLE ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "file-not-read");
	logline_str(&l, "path", path);
	logline_str(&l, "for", child_name(c));
	logline_str(&l, "error", strerror(errno));
	logline_end(&l);
}

static bool
is_credential_table(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->nlisteners; i++)
		if (conf->listeners[i].auth_table != NULL &&
		    strcmp(conf->listeners[i].auth_table, name) == 0)
			return true;
	for (i = 0; i < conf->nactions; i++)
		if (conf->actions[i].auth != NULL && strcmp(conf->actions[i].auth, name) == 0)
			return true;
	return false;
}

static void
send_tables(struct child *c)
{
	const struct conf *conf = c->smtpd->conf;
	size_t i;

	for (i = 0; i < conf->ntables; i++)
		if (conf->tables[i].kind == CONF_TABLE_FILE &&
		    !is_credential_table(conf, conf->tables[i].name))
			send_file(c, IPC_FILE_TABLE, conf->tables[i].name, conf->tables[i].path);
}

static void
send_files(struct child *c)
{
	const struct conf_values *v = &c->smtpd->conf->values;

	if (c->row->role == ROLE_LOOKUP) {
		send_tables(c);
		if (v->trust_anchor != NULL)
			send_file(c, IPC_FILE_ANCHOR, "anchor", v->trust_anchor);
		if (v->resolver_forward == NULL && v->resolv_conf != NULL)
			send_file(c, IPC_FILE_RESOLV, "resolv.conf", v->resolv_conf);
	}
	if (c->row->role == ROLE_DELIVERY && v->ca_file != NULL)
		send_file(c, IPC_FILE_CA, "ca", v->ca_file);
}

int
slice_send(struct child *c)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, CONF_TEXT_MAX);
	if (conf_dump(c->smtpd->conf, c->row->conf, &text) == 0) {
		/* Files first: a configuration is complete when it is used. */
		send_files(c);
		rc = send_text(c, &text);
	}
	buf_free(&text);
	return rc;
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

/* Every "@port" of a list of forwarders, 53 for those that name none. */
static size_t
ports_of_forwarders(const char *list, uint16_t *ports, size_t max)
{
	size_t n = ports_add(53, ports, 0, max);
	const char *at;

	for (at = list; at != NULL && (at = strchr(at, '@')) != NULL; at++)
		n = ports_add((uint16_t)strtoul(at + 1, NULL, 10), ports, n, max);
	return n;
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

size_t
slice_ports(const struct smtpd *d, enum role_ports which, uint16_t *ports, size_t max)
{
	size_t i, n;

	if (which == PORTS_NONE)
		return 0;
	if (which == PORTS_RESOLVER)
		return ports_of_forwarders(d->conf->values.resolver_forward, ports, max);
	n = ports_add(25, ports, 0, max);
	for (i = 0; i < d->conf->nactions; i++)
		if (d->conf->actions[i].host != NULL)
			n = ports_of_host(d->conf->actions[i].host, ports, n, max);
	return n;
}

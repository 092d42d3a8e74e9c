/* SPDX-License-Identifier: ISC */
/*
 * Reading smtpd.conf, at start and on SIGHUP.
 *
 * Invariant: the configuration in use is always one that was checked whole; a
 * wrong file changes nothing but the log.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

#define LISTEN_TRIES 10

static void
print_errors(const struct conf_errors *errors)
{
	struct buf text;
	size_t i;

	for (i = 0; i < errors->n; i++) {
		buf_init(&text, 4096);
		conf_error_print(&errors->list[i], &text);
		/* On a terminal the caret helps; in a log, one line does. */
		if (isatty(STDERR_FILENO))
			(void)fprintf(stderr, "%.*s", (int)text.len, (const char *)buf_head(&text));
		else
			log_warn("%s:%u:%u: %s", errors->list[i].file, errors->list[i].line,
			    errors->list[i].column, errors->list[i].text);
		buf_free(&text);
	}
	if (errors->more > 0)
		log_warn("and %zu more errors", errors->more);
}

struct conf *
conf_load(const char *path)
{
	struct conf_errors errors;
	struct conf *conf = conf_parse(path, files_read, NULL, &errors);

	if (conf == NULL)
		print_errors(&errors);
	conf_errors_free(&errors);
	return conf;
}

static bool
has_port(const struct child *c, uint16_t port)
{
	size_t i;

	for (i = 0; i < c->rights.nconnect_ports; i++)
		if (c->rights.connect_ports[i] == port)
			return true;
	return false;
}

static bool
ports_changed(const struct child *c)
{
	uint16_t ports[ROLE_PORTS_MAX];
	size_t n = ports_find(c->smtpd, c->row->ports, ports, ROLE_PORTS_MAX), i;

	for (i = 0; i < n; i++)
		if (!has_port(c, ports[i]))
			return true;
	/* A small file that is wrong says nothing of its port: its table stays what it was. */
	if (c->row->ports == PORTS_TABLES && !ports_are_known(c->smtpd))
		return false;
	return n != c->rights.nconnect_ports;
}

bool
reload_ports(struct child *c)
{
	if (!ports_changed(c))
		return false;
	supervise_restart(c, "other ports to connect to");
	return true;
}

static void
reload_child(struct child *c)
{
	if (c->ch == NULL || c->draining || c->row->on_demand || !child_is_wanted(c))
		return;
	if (!reload_ports(c) && slice_send(c) == -1)
		log_warn(
		    "event=reload-failed process=%s error=\"%s\"", child_name(c), strerror(errno));
}

/* What is fixed for the life of the server stays as it was, and is said. */
static bool
needs_restart(const struct conf *old, const struct conf *fresh)
{
	return strcmp(old->values.spool, fresh->values.spool) != 0 ||
	       strcmp(old->values.socket, fresh->values.socket) != 0;
}

/*
 * An address that takes the place of another on the same port can be bound when
 * the session processes have let go of the old one: a moment later.
 */
static void listen_or_retry(struct smtpd *d);

static void
on_listen_again(evutil_socket_t sock, short what, void *arg)
{
	struct smtpd *d = arg;
	struct child *c;

	(void)sock;
	(void)what;
	if (d->draining)
		return;
	listen_or_retry(d);
	TAILQ_FOREACH (c, &d->children, entry)
		if (c->row->role == ROLE_SESSION && c->ch != NULL && c->locked)
			listen_send(d, c);
}

static void
listen_or_retry(struct smtpd *d)
{
	const struct timeval soon = {0, 200000};

	if (listen_open(d) == 0)
		return;
	if (d->listen_tries-- == 0) {
		log_warn("event=reload note=\"some ports could not be opened\"");
		return;
	}
	if (d->listen_again == NULL)
		d->listen_again = event_new(d->base, -1, 0, on_listen_again, d);
	if (d->listen_again != NULL)
		(void)event_add(d->listen_again, &soon);
}

/* Half a renewal must not end what works: the new certificate is there, its key is not yet. */
static void
judge_pkis(struct smtpd *d, const struct conf *fresh)
{
	size_t i;

	free(d->pki_is_bad);
	d->pki_is_bad = fresh->npkis == 0 ? NULL : calloc(fresh->npkis, sizeof(bool));
	if (d->pki_is_bad == NULL)
		return;
	for (i = 0; i < fresh->npkis; i++) {
		const struct conf_pki *p = &fresh->pkis[i];

		if (conf_pki_find(d->conf, p->name) == NULL || check_pki_is_good(d, p))
			continue;
		d->pki_is_bad[i] = true;
		log_warn("event=certificate-kept pki=\"%s\" note=\"the one of before\"", p->name);
	}
}

void
reload(struct smtpd *d)
{
	struct conf *fresh = conf_load(d->conf_path);
	struct child *c;

	if (fresh == NULL) {
		log_warn("event=reload-refused file=\"%s\" kept=\"the configuration in use\"",
		    d->conf_path);
		return;
	}
	if (needs_restart(d->conf, fresh)) {
		log_warn("event=reload-refused why=\"the spool directory and the admin socket "
			 "change with a restart only\"");
		conf_free(fresh);
		return;
	}
	TAILQ_FOREACH (c, &d->children, entry)
		slice_stop(c);
	judge_pkis(d, fresh);
	conf_free(d->conf);
	d->conf = fresh;
	d->generation++;
	d->listen_tries = LISTEN_TRIES;
	listen_or_retry(d);
	TAILQ_FOREACH (c, &d->children, entry)
		reload_child(c);
	if (children_start_optional(d) == -1)
		log_warn("event=reload note=\"an optional program is missing\"");
	log_info("event=reloaded generation=%u", d->generation);
}

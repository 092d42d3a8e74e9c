/* SPDX-License-Identifier: ISC */
/*
 * What smtpd-lookup is set up from: its part of smtpd.conf, and the files
 * that the parent opened for it.
 *
 * Invariant: once in the sandbox there is always a resolver; a new one
 * that fails to come up leaves the old one in place.  Fatal: no memory for a
 * configuration, no resolver at start.
 */
#include "lookup/setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/file.h"
#include "lookup/lookup.h"
#include "lookup/resolv.h"

#define ANCHORS_MAX	(64U << 10) /* octets of the file of trust anchors */
#define RESOLV_CONF_MAX (64U << 10) /* octets of resolv.conf */

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The system is asked for its name only before the sandbox, hence the first time. */
static void
set_hostname(struct lookup *l, const char *name)
{
	if (name != NULL) {
		if (str_copy(l->hostname, sizeof(l->hostname), name) == -1)
			fatal("event=hostname-too-long");
	} else if (l->conf == NULL) {
		if (gethostname(l->hostname, sizeof(l->hostname) - 1) == -1)
			fatal("event=no-hostname error=\"%s\"", strerror(errno));
	}
}

void
setup_configure(void *ctx, const struct conf *conf)
{
	struct lookup *l = ctx;
	const char *forward = conf->values.resolver_forward;

	if (tables_configure(l->tables, conf) == -1)
		fatal("event=tables-not-configured error=\"%s\"", strerror(errno));
	set_hostname(l, conf->values.hostname);
	if (!is_same(l->forward, forward)) {
		free(l->forward);
		l->forward = forward == NULL ? NULL : strdup(forward);
		if (forward != NULL && l->forward == NULL)
			fatal("event=no-memory");
		l->dns_stale = true;
	}
	l->conf = conf;
	l->policy = (struct policy){conf, l->tables, l->hostname};
	clients_configure(l->clients, &conf->values);
}

static int
replace_text(struct lookup *l, char **slot, int fd, size_t max)
{
	size_t len;
	char *text;

	if ((text = file_read(fd, max, &len)) == NULL)
		return -1;
	if (is_same(*slot, text)) {
		free(text);
		return 0;
	}
	free(*slot);
	*slot = text;
	l->dns_stale = true;
	return 0;
}

void
setup_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct lookup *l = ctx;
	struct logline line;
	int rc = 0;

	if (kind == IPC_FILE_TABLE)
		rc = tables_load(l->tables, name, fd);
	else if (kind == IPC_FILE_ANCHOR)
		rc = replace_text(l, &l->anchors, fd, ANCHORS_MAX);
	else if (kind == IPC_FILE_RESOLV)
		rc = replace_text(l, &l->resolv_conf, fd, RESOLV_CONF_MAX);
	if (rc == -1) {
		logline_start(&line, LOG_LEVEL_WARN, "file-not-loaded");
		logline_str(&line, "name", name);
		logline_str(&line, "error", strerror(errno));
		logline_end(&line);
	}
	(void)close(fd);
}

static struct dns *
make_dns(const struct lookup *l)
{
	struct resolv_servers servers = {.n = 0};

	if (l->forward != NULL)
		resolv_parse_list(l->forward, &servers);
	else if (l->resolv_conf != NULL)
		resolv_parse(l->resolv_conf, &servers);
	return dns_create(service_base(l->service), l->anchors, &servers);
}

void
setup_renew(struct lookup *l)
{
	struct dns *fresh;

	if (!l->dns_stale)
		return;
	l->dns_stale = false;
	fresh = make_dns(l);
	if (fresh == NULL) {
		log_warn("event=resolver-not-renewed");
		return;
	}
	routes_fail(l->routes);
	arrivals_fail(l->arrivals);
	dns_free(l->dns);
	l->dns = fresh;
	log_info("event=resolver-renewed");
}

int
setup_prepare(void *ctx)
{
	struct lookup *l = ctx;

	l->dns_stale = false;
	if (l->conf == NULL || (l->dns = make_dns(l)) == NULL) {
		errno = l->conf == NULL ? EINVAL : ENOTSUP;
		return -1;
	}
	return 0;
}

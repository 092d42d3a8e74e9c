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
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/expansions.h"
#include "lookup/explain.h"
#include "lookup/forwards.h"
#include "lookup/lookup.h"

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

	if (tables_configure(l->tables, conf) == -1)
		fatal("event=tables-not-configured error=\"%s\"", strerror(errno));
	set_hostname(l, conf->values.hostname);
	if (resolver_configure(&l->resolver, &conf->values) == -1)
		fatal("event=no-memory");
	l->conf = conf;
	l->rules_need_name = rules_need_name(conf);
	clients_configure(l->clients, &conf->values);
	forwards_configure(l->forwards, conf->values.table_cache_s * 1000);
	expansions_reload(l->expansions);
	explains_restart(l->explains);
}

static void
log_failed(const char *name)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, "file-not-loaded");
	logline_str(&l, "name", name);
	logline_str(&l, "error", strerror(errno));
	logline_end(&l);
}

void
setup_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct lookup *l = ctx;

	if (kind == IPC_FILE_TABLE) {
		explains_restart(l->explains);
		if (tables_load(l->tables, name, fd) == -1)
			log_failed(name);
		return;
	}
	if ((kind == IPC_FILE_ANCHOR || kind == IPC_FILE_RESOLV) &&
	    resolver_load(&l->resolver, kind, fd) == -1)
		log_failed(name);
	(void)close(fd);
}

void
setup_include(struct lookup *l, const struct msg_include *m, int fd)
{
	explains_restart(l->explains);
	if (tables_load_include(l->tables, m->table, m->path, fd) == -1)
		log_failed(m->path);
}

void
setup_renew(struct lookup *l)
{
	struct dns *fresh;

	if (!resolver_is_stale(&l->resolver))
		return;
	fresh = resolver_make(&l->resolver, service_base(l->service));
	if (fresh == NULL) {
		log_warn("event=resolver-not-renewed");
		return;
	}
	arrivals_fail(l->arrivals);
	explains_restart(l->explains); /* its routes are gone then */
	routes_ask_again(l->routes, fresh);
	dns_free(l->dns);
	dns_take_log(fresh);
	l->dns = fresh;
	log_info("event=resolver-renewed");
}

int
setup_prepare(void *ctx)
{
	struct lookup *l = ctx;

	if (l->conf == NULL) {
		errno = EINVAL;
		return -1;
	}
	if ((l->dns = resolver_make(&l->resolver, service_base(l->service))) == NULL) {
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}

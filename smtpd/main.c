/* SPDX-License-Identifier: ISC */
/*
 * smtpd: what an admin starts.  Reads smtpd.conf, opens ports, starts every
 * process in its role and looks after them.  The only code that runs as root,
 * and it never reads a byte from the network.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "smtpd/accounts.h"
#include "smtpd/hand.h"

#ifndef PATH_CONF
#define PATH_CONF "/etc/postern/smtpd.conf"
#endif
#ifndef PATH_LIBEXEC
#define PATH_LIBEXEC "/usr/local/libexec/postern"
#endif
#ifndef VERSION
#define VERSION "0.1"
#endif

static const char usage_text[] =
    "usage: smtpd [-dFhnVv] [-f file] [-L directory] [-U uid]\n"
    "  -d            stay in the foreground, log to stderr\n"
    "  -F            stay in the foreground, log to syslog\n"
    "  -f file       read this configuration (default " PATH_CONF ")\n"
    "  -L directory  where the programs of the roles are\n"
    "  -n            check the configuration and what it needs, then exit\n"
    "  -U uid        as root: numeric accounts from here on, instead of _postern-*\n"
    "  -V            print the version\n"
    "  -v            log more; with -n, print the effective configuration\n"
    "see smtpd(8)\n";

static void
log_to_syslog(void *arg, enum log_level level, const char *line)
{
	static const int priority[] = {
	    7 /* LOG_DEBUG */, 6 /* LOG_INFO */, 4 /* LOG_WARNING */, 2 /* LOG_CRIT */};

	(void)arg;
	syslog(priority[level], "%s", line);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct smtpd *d = arg;

	(void)what;
	switch (sig) {
	case SIGCHLD:
		supervise_reap(d);
		break;
	case SIGHUP:
		if (!d->draining)
			reload(d);
		break;
	case SIGINT:
	case SIGTERM:
		supervise_drain(d);
		break;
	default:
		break;
	}
}

static int
watch_signals(struct smtpd *d)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM};
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < NITEMS(signals); i++) {
		d->signals[i] = evsignal_new(d->base, signals[i], on_signal, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) == -1)
			return -1;
	}
	return 0;
}

/* A child's channel closed: it died, and SIGCHLD tells how; or it was cut off, and must die. */
static void
on_close(void *ctx, struct channel *ch)
{
	struct child *c = ctx;

	if (channel_is_rejected(ch))
		child_condemn(c);
	else
		supervise_expect_end(c); /* nobody may live on without our hand on it */
	slice_stop(c);
	c->ch = NULL;
	channel_free(ch);
}

static int
find_empty(struct smtpd *d)
{
	char socket[PATH_MAX];

	if (str_copy(socket, sizeof(socket), d->conf->values.socket) == -1)
		return -1;
	return str_format(d->empty, sizeof(d->empty), "%s/empty", dirname(socket));
}

static int
options(struct smtpd *d, int argc, char **argv, bool *check)
{
	uint64_t uid;
	int ch;

	while ((ch = getopt(argc, argv, "dFf:hL:nU:Vv")) != -1) {
		switch (ch) {
		case 'd':
			d->foreground = true;
			break;
		case 'F':
			d->foreground = d->to_syslog = true;
			break;
		case 'f':
			if (str_copy(d->conf_path, sizeof(d->conf_path), optarg) == -1)
				return -1;
			break;
		case 'L':
			if (realpath(optarg, d->libexec) == NULL)
				return -1;
			break;
		case 'n':
			*check = true;
			break;
		case 'U':
			if (str_u64(optarg, 1000, UINT32_MAX - 64, &uid) == -1)
				return -1;
			d->uid_base = (uid_t)uid;
			break;
		case 'V':
			(void)printf("postern %s\n", VERSION);
			exit(0);
		case 'v':
			d->verbose = true;
			break;
		case 'h':
			(void)fputs(usage_text, stdout);
			exit(0);
		default:
			errno = 0;
			return -1;
		}
	}
	errno = 0;
	return optind == argc ? 0 : -1;
}

static int
start(struct smtpd *d)
{
	d->rules = (struct channel_rules){.self = ROLE_PARENT,
	    .handlers = smtpd_handlers,
	    .on_close = on_close,
	    .on_pressure = slice_on_pressure};
	d->started_ms = time_mono_ms();
	d->generation = 1;
	if (!d->privileged)
		log_info("event=rootless note=\"same filters and Landlock rules, one account, no "
			 "chroot\"");
	if ((d->accounts = accounts_create(d)) == NULL || find_empty(d) == -1 ||
	    watch_signals(d) == -1 || listen_open_admin(d) == -1 || listen_open(d) == -1)
		return -1;
	if (privileges_keep(d->privileged) == -1) {
		log_warn("event=privileges error=\"%s\"", strerror(errno));
		return -1;
	}
	if (children_start(d) == -1) {
		d->exit_status = 1;
		supervise_drain(d);
	} else
		log_info("event=started version=%s pid=%d", VERSION, (int)getpid());
	return 0;
}

static void
stop(struct smtpd *d)
{
	struct child *c;
	size_t i;

	while ((c = TAILQ_FIRST(&d->children)) != NULL)
		child_free(c);
	accounts_free(d->accounts);
	hands_free(d);
	listen_close(d);
	free(d->listening);
	listen_close_admin(d);
	for (i = 0; i < NITEMS(d->signals); i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->drain_timer != NULL)
		event_free(d->drain_timer);
	if (d->listen_again != NULL)
		event_free(d->listen_again);
	conf_free(d->conf);
	free(d->pki_is_bad);
	seal_free(d);
	event_base_free(d->base);
	log_info("event=stopped");
}

int
main(int argc, char **argv)
{
	static struct smtpd d = {.conf_path = PATH_CONF, .libexec = PATH_LIBEXEC, .admin.fd = -1};
	bool check = false;

	log_set_name("smtpd");
	TAILQ_INIT(&d.children);
	TAILQ_INIT(&d.hands);
	if (options(&d, argc, argv, &check) == -1) {
		if (errno != 0)
			(void)fprintf(stderr, "smtpd: %s\n", strerror(errno));
		(void)fputs(usage_text, stderr);
		return 2;
	}
	d.privileged = geteuid() == 0;
	(void)umask(077);
	if ((d.conf = conf_load(d.conf_path)) == NULL)
		return 1;
	if (check)
		return check_all(&d);
	if (!d.foreground && daemon(0, 0) == -1)
		fatal("daemon: %s", strerror(errno));
	if (!d.foreground || d.to_syslog) {
		openlog("smtpd", LOG_PID | LOG_NDELAY, LOG_MAIL);
		log_set_sink(log_to_syslog, NULL);
	}
	log_set_verbose(d.verbose);
	if ((d.base = event_base_new()) == NULL)
		fatal("event base: %s", strerror(errno));
	if (start(&d) == -1)
		d.exit_status = 1;
	else if (!d.draining || !TAILQ_EMPTY(&d.children))
		(void)event_base_dispatch(d.base);
	stop(&d);
	return d.exit_status;
}

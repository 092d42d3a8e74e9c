/* SPDX-License-Identifier: ISC */
/*
 * Ports, Unix sockets and the admin socket: bound here, with root's right to
 * low ports, and handed to the processes that accept on them.
 *
 * A reload keeps all that is still wanted open without a gap.  Invariant: in
 * the way of a Unix socket nothing is removed but a socket that nobody listens
 * on, and no symbolic link is followed.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/net/addr.h"
#include "smtpd/listen_hosts.h"

#define LISTENING_MAX  256
#define BACKLOG	       1024
#define PREDECESSOR_MS 2000 /* after the start */

/* -- sockets -- */

static int
open_port(const struct addr *a)
{
	const int on = 1;
	int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	/* Accepted sockets inherit TCP_NODELAY: a session need not be able to set options. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    (a->ss.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    bind(fd, (const struct sockaddr *)&a->ss, a->len) == -1 || listen(fd, BACKLOG) == -1) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* A server that was killed leaves children, who need a moment to notice and let go of its sockets. */
static bool
may_wait(const struct smtpd *d)
{
	const struct timespec pause = {0, 20000000};

	return time_mono_ms() - d->started_ms < PREDECESSOR_MS && nanosleep(&pause, NULL) == 0;
}

static bool
is_path(const struct listening *l)
{
	return l->host[0] == '/';
}

static struct listening *
find_open(struct smtpd *d, const char *host, uint16_t port)
{
	size_t i;

	for (i = 0; i < d->nlistening; i++)
		if (!d->listening[i].wanted && d->listening[i].port == port &&
		    strcmp(d->listening[i].host, host) == 0)
			return &d->listening[i];
	return NULL;
}

/* -1 too when there is no room for one more. */
static int
open_port_in_time(const struct smtpd *d, const struct addr *a)
{
	int fd;

	if (d->nlistening == LISTENING_MAX) {
		errno = ENFILE;
		return -1;
	}
	while ((fd = open_port(a)) == -1 && errno == EADDRINUSE && may_wait(d))
		continue;
	return fd;
}

static void
log_listening(const struct listening *l)
{
	struct addr a = {.len = sizeof(a.ss)};
	struct logline line;

	logline_start(&line, LOG_LEVEL_INFO, "listening");
	if (is_path(l)) {
		logline_str(&line, "path", l->host);
	} else if (getsockname(l->fd, (struct sockaddr *)&a.ss, &a.len) == 0) {
		logline_str(&line, "address", l->host);
		logline_u64(&line, "port", addr_port(&a));
	}
	logline_u64(&line, "listener", l->index);
	logline_end(&line);
}

/* Takes the descriptor; there is room, which was asked for before it was opened. */
static struct listening *
add_open(struct smtpd *d, int fd, const char *host, uint32_t index)
{
	struct listening *l = &d->listening[d->nlistening++];

	*l = (struct listening){.fd = fd, .index = index};
	str_cut(l->host, sizeof(l->host), host);
	return l;
}

/*
 * Who does not read what it is sent keeps it in the kernel, also after we have hung up.
 * Accepted sockets inherit the bound on that (tcp(7)), which is that on silence.
 */
static void
bound_unread(const struct smtpd *d, const struct listening *l)
{
	int64_t ms = d->conf->values.smtp_timeout_s * 1000;
	unsigned int unread_ms = ms > INT_MAX ? INT_MAX : (unsigned int)ms;

	if (setsockopt(l->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unread_ms, sizeof(unread_ms)) == -1)
		log_warn(
		    "event=no-bound-on-unread address=%s error=\"%s\"", l->host, strerror(errno));
}

static int
want_port(struct smtpd *d, const struct addr *a, uint32_t index)
{
	char host[ADDR_TEXT_MAX];
	struct listening *l;
	int fd;

	addr_format(a, host);
	if ((l = find_open(d, host, addr_port(a))) == NULL) {
		if ((fd = open_port_in_time(d, a)) == -1) {
			log_warn("event=listen-failed address=%s port=%u error=\"%s\"", host,
			    addr_port(a), strerror(errno));
			return -1;
		}
		l = add_open(d, fd, host, index);
		l->port = addr_port(a);
		log_listening(l);
	}
	bound_unread(d, l);
	l->index = index;
	l->wanted = true;
	return 0;
}

/* -- Unix sockets -- */

/* Does nobody listen there, for certain?  Whoever can't be asked may. */
static bool
is_dead(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead = fd != -1 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == -1 &&
		    errno == ECONNREFUSED;

	if (fd != -1)
		(void)close(fd);
	return dead;
}

/* A dead server's socket may go; whatever else bears the name stays. */
static int
remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	if (!is_dead(sun)) {
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(sun->sun_path);
}

/* Nobody can connect before listen(), so that the group is never another than it should be. */
static int
bind_unix(int fd, const struct sockaddr_un *sun, mode_t mode, gid_t gid)
{
	mode_t old = umask(0777 & ~mode);
	int rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));

	(void)umask(old);
	if (rc == -1)
		return -1;
	if (lchown(sun->sun_path, (uid_t)-1, gid) == -1 || listen(fd, BACKLOG) == -1) {
		(void)unlink(sun->sun_path);
		return -1;
	}
	return 0;
}

/* gid -1: our own.  For paths that check_way() takes. */
static int
open_unix(const struct smtpd *d, const char *path, mode_t mode, gid_t gid)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, error;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), path) == -1)
		return -1;
	while (remove_stale(&sun) == -1)
		if (errno != EADDRINUSE || !may_wait(d))
			return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return -1;
	if (bind_unix(fd, &sun, mode, gid) == -1) {
		error = errno;
		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void
log_failed(const char *event, const char *path, const char *why)
{
	struct logline line;

	logline_start(&line, LOG_LEVEL_WARN, event);
	logline_str(&line, "path", path);
	logline_str(&line, "error", why);
	logline_end(&line);
}

/* Whether a socket could be made there; *gid: its group's, -1 for none. */
static int
check_path_of(const struct conf_listener *conf, gid_t *gid)
{
	char why[CHECK_WHY_MAX];
	const char *fault;

	*gid = (gid_t)-1;
	if (check_way(conf->host, why) == 0) {
		if (conf->group == NULL || (fault = check_group(conf->group, gid)) == NULL)
			return 0;
		(void)snprintf(why, sizeof(why), "group %s: %s", conf->group, fault);
	}
	log_failed("listen-failed", conf->host, why);
	return -1;
}

static void
remember_path(struct listening *l)
{
	struct stat st;

	if (lstat(l->host, &st) == -1)
		return;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
}

/* The name goes with the socket, unless it is another's by now. */
static void
remove_path(struct listening *l)
{
	struct stat st;

	if (is_path(l) && lstat(l->host, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		(void)unlink(l->host);
	l->host[0] = '\0';
}

static struct listening *
open_path(struct smtpd *d, const struct conf_listener *conf, gid_t gid, uint32_t index)
{
	mode_t mode = conf->group == NULL ? 0600 : 0660;
	struct listening *l;
	int fd = -1;

	errno = ENFILE;
	if (d->nlistening == LISTENING_MAX || (fd = open_unix(d, conf->host, mode, gid)) == -1) {
		log_failed("listen-failed", conf->host, strerror(errno));
		return NULL;
	}
	l = add_open(d, fd, conf->host, index);
	str_cut(l->group, sizeof(l->group), conf->group == NULL ? "" : conf->group);
	remember_path(l);
	log_listening(l);
	return l;
}

/* One that works goes when it is known that another can come; else it stays as it is. */
static int
want_path(struct smtpd *d, const struct conf_listener *conf, uint32_t index)
{
	const char *group = conf->group == NULL ? "" : conf->group;
	struct listening *l = find_open(d, conf->host, 0);
	gid_t gid;

	if ((l == NULL || strcmp(l->group, group) != 0) && check_path_of(conf, &gid) == 0) {
		if (l != NULL)
			remove_path(l);
		l = open_path(d, conf, gid, index);
	}
	if (l == NULL)
		return -1;
	l->index = index;
	l->wanted = true;
	return 0;
}

/* -- all of them -- */

static void
close_unwanted(struct smtpd *d)
{
	size_t i, kept = 0;

	for (i = 0; i < d->nlistening; i++)
		if (d->listening[i].wanted) {
			d->listening[kept++] = d->listening[i];
		} else {
			remove_path(&d->listening[i]);
			(void)close(d->listening[i].fd);
		}
	d->nlistening = kept;
}

static int
want_listener(struct smtpd *d, const struct conf_listener *conf, uint32_t index)
{
	struct hosts hosts;
	int failed = 0;
	size_t i;

	if (conf->unix_path)
		return want_path(d, conf, index);
	hosts_find(&hosts, conf);
	if (hosts.n == 0 && strcmp(conf->host, "socket") != 0) {
		log_warn("event=listen-failed host=%s error=\"no such address, interface "
			 "or name\"",
		    conf->host);
		failed = -1;
	}
	for (i = 0; i < hosts.n; i++)
		if (want_port(d, &hosts.list[i], index) == -1)
			failed = -1;
	return failed;
}

int
listen_open(struct smtpd *d)
{
	int failed = 0;
	size_t i;

	if (d->listening == NULL &&
	    (d->listening = calloc(LISTENING_MAX, sizeof(*d->listening))) == NULL)
		return -1;
	for (i = 0; i < d->nlistening; i++)
		d->listening[i].wanted = false;
	for (i = 0; i < d->conf->nlisteners; i++)
		if (want_listener(d, &d->conf->listeners[i], (uint32_t)i) == -1)
			failed = -1;
	close_unwanted(d);
	return failed;
}

/* -- the admin socket: 0660, the server's own and the control group's -- */

static gid_t
admin_group(const struct smtpd *d)
{
	const char *name = d->conf->values.admin_group;
	gid_t gid = (gid_t)-1;

	if (d->privileged && name != NULL && check_group(name, &gid) != NULL)
		log_warn("event=no-such-group group=%s use=\"smtpctl works for root alone\"", name);
	return gid;
}

int
listen_open_admin(struct smtpd *d)
{
	const char *path = d->conf->values.socket;
	char why[CHECK_WHY_MAX];

	/* It may lie in a directory of the admin's choice, as in a checkout of another's. */
	if (check_way(path, why) == -1)
		log_failed("admin-socket-unsafe", path, why);
	if ((d->admin.fd = open_unix(d, path, 0660, admin_group(d))) == -1) {
		log_failed("admin-socket-failed", path, strerror(errno));
		return -1;
	}
	str_cut(d->admin.host, sizeof(d->admin.host), path); /* it fits in a sockaddr */
	remember_path(&d->admin);
	return 0;
}

void
listen_close_admin(struct smtpd *d)
{
	if (d->admin.fd == -1)
		return;
	remove_path(&d->admin);
	(void)close(d->admin.fd);
	d->admin.fd = -1;
}

/* -- to the processes that accept -- */

static void
send_copy(struct child *c, int fd, uint32_t index)
{
	struct msg_listen m = {.index = index};
	int copy = dup(fd);

	if (copy == -1 || channel_send_fd(c->ch, MSG_listen, &m, copy) == -1)
		log_warn("event=listener-not-passed process=%s", child_name(c));
}

void
listen_send(struct smtpd *d, struct child *c)
{
	static const struct msg_listen_clear clear;
	size_t i;

	if (c->row->role == ROLE_CONTROL && d->admin.fd != -1)
		send_copy(c, d->admin.fd, 0);
	if (c->row->role != ROLE_SESSION)
		return;
	(void)channel_send(c->ch, MSG_listen_clear, &clear);
	for (i = 0; i < d->nlistening; i++)
		send_copy(c, d->listening[i].fd, d->listening[i].index);
}

void
listen_close(struct smtpd *d)
{
	size_t i;

	for (i = 0; i < d->nlistening; i++)
		d->listening[i].wanted = false;
	close_unwanted(d);
}

/* SPDX-License-Identifier: ISC */
/*
 * Starting a process in its role.
 *
 * A child is born with three descriptors of its own: nothing on 0 and 1,
 * stderr for what a sanitizer may have to say, and its channel to us on 3.
 * All else that it will ever have, it is sent: its part of the configuration,
 * the order to enter its role, then links (links.c) and listening sockets.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/table_program.h"
#include "smtpd/accounts.h"

#define CHILD_FD       3
#define LANDLOCK_FLOOR 0 /* any kernel; what is lost is shown */
#define HASHERS_MAX    4 /* unless smtpd.conf says how many */

const char *
child_name(const struct child *c)
{
	static char name[96];

	if (c->row->role == ROLE_AGENT)
		(void)snprintf(name, sizeof(name), "agent/%s", c->agent.user);
	else
		(void)snprintf(name, sizeof(name), "%s/%u", role_word(c->row->role), c->instance);
	return name;
}

struct child *
child_create(struct smtpd *d, const struct role_row *row, uint32_t instance)
{
	struct child *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->smtpd = d;
	c->row = row;
	c->instance = instance;
	c->listener_fd = c->feed.fd = c->agent.link_fd = -1;
	TAILQ_INSERT_TAIL(&d->children, c, entry);
	return c;
}

/* -- in the child, between fork and exec: async-signal-safe calls only -- */

static void
become_program(const char *path, const char *name, int fd, char *const environment[])
{
	char *argv[] = {(char *)(uintptr_t)name, NULL};
	sigset_t none;
	int null;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if ((null = open("/dev/null", O_RDWR)) == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1)
		_exit(126);
	if (dup2(fd, CHILD_FD) == -1)
		_exit(126);
	(void)syscall(SYS_close_range, (unsigned int)CHILD_FD + 1, ~0U, 0U);
	(void)setsid(); /* the terminal's signals are the parent's business */
	(void)execve(path, argv, environment);
	_exit(127);
}

static int
program_name(const struct child *c, char *dst, size_t size)
{
	const char *program = role_program(c->row->role);

	if (c->row->count != COUNT_TABLES)
		return str_copy(dst, size, program);
	return str_format(
	    dst, size, "%s-%s", program, table_program_word((enum table_program)c->instance));
}

static int
spawn(struct child *c, int *fd)
{
	struct smtpd *d = c->smtpd;
	const char *zone = getenv("TZ");
	char name[64], path[PATH_MAX], tz[PATH_MAX];
	char *environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL, NULL};
	int pair[2];

	if (program_name(c, name, sizeof(name)) == -1 ||
	    str_format(path, sizeof(path), "%s/%s", d->libexec, name) == -1)
		return -1;
	/* Dates in mail carry the zone of the host, however it was told to us. */
	if (zone != NULL && str_format(tz, sizeof(tz), "TZ=%s", zone) == 0)
		environment[2] = tz;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -1;
	switch (c->pid = fork()) {
	case -1:
		(void)close(pair[0]);
		(void)close(pair[1]);
		c->pid = 0;
		return -1;
	case 0:
		become_program(path, name, pair[1], environment);
	}
	(void)close(pair[1]);
	*fd = pair[0];
	return 0;
}

/* -- the role -- */

const char *
child_root(const struct child *c)
{
	switch (c->row->root) {
	case ROOT_SPOOL:
		return c->smtpd->conf->values.spool;
	case ROOT_MAILBOX:
		return c->agent.base;
	case ROOT_EMPTY:
		break;
	}
	return c->smtpd->empty;
}

static void
declare_rights(struct child *c)
{
	const struct role_row *row = c->row;

	c->rights = (struct role_rights){.name = role_word(row->role),
	    .rights = row->rights,
	    .privileged = c->smtpd->privileged,
	    .uid = c->uid,
	    .gid = c->gid,
	    .dir_fd = -1,
	    .limits = row->limits,
	    .landlock_floor = LANDLOCK_FLOOR};
	c->rights.nconnect_ports = ports_find(
	    c->smtpd, row->ports, c->rights.connect_ports, ROLE_PORTS_MAX);
}

static uint32_t
instances_of(const struct smtpd *d, const struct role_row *row)
{
	const struct conf_values *v = &d->conf->values;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t cores = online > 0 ? (uint64_t)online : 1, n = 1;

	switch (row->count) {
	case COUNT_ONE:
		break;
	case COUNT_SESSIONS:
		n = v->session_processes != 0 ? v->session_processes : cores;
		break;
	case COUNT_HASHERS:
		n = cores < HASHERS_MAX ? cores : HASHERS_MAX;
		n = v->auth_processes != 0 ? v->auth_processes : n;
		break;
	case COUNT_TABLES:
		n = TABLE_PROGRAM__MAX;
		break;
	}
	return n > IPC_INSTANCES_MAX ? IPC_INSTANCES_MAX : (uint32_t)n;
}

bool
child_is_wanted(const struct child *c)
{
	const struct conf *conf = c->smtpd->conf;

	if (c->row->role == ROLE_FETCH)
		return conf->noauths > 0;
	return c->row->count != COUNT_TABLES ||
	       table_program_is_used(conf, (enum table_program)c->instance);
}

static int
child_send_enter(struct child *c)
{
	uint8_t ports[2 * ROLE_PORTS_MAX];
	struct msg_enter m;
	size_t i;

	declare_rights(c);
	for (i = 0; i < c->rights.nconnect_ports; i++) {
		ports[2 * i] = (uint8_t)(c->rights.connect_ports[i] & 0xff);
		ports[2 * i + 1] = (uint8_t)(c->rights.connect_ports[i] >> 8);
	}
	m = (struct msg_enter){.role = (uint8_t)c->row->role,
	    .instance = c->instance,
	    .rights = c->rights.rights,
	    .privileged = c->rights.privileged,
	    .uid = c->uid,
	    .gid = c->gid,
	    .root = child_root(c),
	    .descriptors = c->rights.limits.descriptors,
	    .address_space = c->rights.limits.address_space_bytes,
	    .file_bytes = c->rights.limits.file_bytes,
	    .processes = c->rights.limits.processes,
	    .connect_ports = {ports, c->rights.nconnect_ports * 2},
	    .landlock_floor = LANDLOCK_FLOOR,
	    .verbose = c->smtpd->verbose,
	    .siblings = instances_of(c->smtpd, c->row)};
	return channel_send(c->ch, MSG_enter, &m);
}

/* A directory for roles without files: empty, and nobody's to write. */
static int
make_empty(const struct smtpd *d)
{
	struct stat st;

	if (mkdir(d->empty, 0555) == -1 && errno != EEXIST)
		return -1;
	if (lstat(d->empty, &st) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0222) != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int
make_spool(const struct child *c)
{
	const char *path = c->smtpd->conf->values.spool;
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		if (c->smtpd->privileged && lchown(path, c->uid, c->gid) == -1)
			return -1;
	} else if (errno != EEXIST)
		return -1;
	if (lstat(path, &st) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid != c->uid || (st.st_mode & 077) != 0) {
		log_warn(
		    "event=spool-directory path=\"%s\" error=\"must belong to uid %u, mode 0700\"",
		    path, (unsigned int)c->uid);
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int
prepare_root(const struct child *c)
{
	if (c->row->root == ROOT_EMPTY)
		return make_empty(c->smtpd);
	return c->row->root == ROOT_SPOOL ? make_spool(c) : 0;
}

/* -- from one to all -- */

static int
child_introduce(struct child *c)
{
	return child_send_enter(c) == -1 ? -1 : slice_send(c);
}

/* In this order: nothing from outside reaches a process before it has entered its role. */
static int
child_lock(struct child *c)
{
	static const struct msg_lock lock;

	if (channel_send(c->ch, MSG_lock, &lock) == -1)
		return -1;
	c->locked = true;
	supervise_expect_entry(c); /* from now on: what it was sent may have taken its time */
	links_make(c);
	listen_send(c->smtpd, c);
	dispatch_pause_state(c);
	return 0;
}

int
child_configured(struct child *c)
{
	if (!c->locked)
		return child_lock(c);
	if (c->row->role == ROLE_SESSION)
		listen_send(c->smtpd, c);
	return 0;
}

static int
child_spawn(struct child *c)
{
	struct smtpd *d = c->smtpd;
	int fd;

	if (spawn(c, &fd) == -1)
		return -1;
	c->started_ms = time_mono_ms();
	c->has_entered = c->locked = c->draining = c->has_files = c->condemned = false;
	if ((c->ch = channel_create(d->base, fd, c->row->role, c->instance, &d->rules)) == NULL) {
		(void)close(fd);
		return -1;
	}
	channel_set_context(c->ch, c);
	supervise_expect_entry(c);
	return 0;
}

int
child_start(struct child *c)
{
	struct account account;

	/* Once: who knows the names may be far, and a restart is not to wait for him. */
	if (c->uid == 0) {
		if (account_of_role(c->smtpd, c->row, &account) == -1)
			return -1;
		c->uid = account.uid;
		c->gid = account.gid;
	}
	if (prepare_root(c) == -1 || child_spawn(c) == -1)
		return -1;
	return child_introduce(c);
}

int
child_start_agent(struct child *c)
{
	if (child_spawn(c) == -1)
		return -1;
	if (child_send_enter(c) == 0)
		return 0;
	child_condemn(c);
	return 0;
}

void
child_condemn(struct child *c)
{
	if (c->pid <= 0)
		return;
	(void)kill(c->pid, SIGKILL);
	c->condemned = true;
}

void
child_free(struct child *c)
{
	TAILQ_REMOVE(&c->smtpd->children, c, entry);
	slice_stop(c);
	if (c->feed.more != NULL)
		event_free(c->feed.more);
	channel_free(c->ch);
	if (c->timer != NULL)
		event_free(c->timer);
	supervise_listen_for_violations(c, -1);
	if (c->agent.link_fd != -1)
		(void)close(c->agent.link_fd);
	free(c->agent.base);
	free(c);
}

static int
start_failed(const struct role_row *row)
{
	log_warn("event=start-failed role=%s error=\"%s\"", role_word(row->role), strerror(errno));
	return -1;
}

static struct child *
child_find(struct smtpd *d, const struct role_row *row, uint32_t instance)
{
	struct child *c;

	TAILQ_FOREACH (c, &d->children, entry)
		if (c->row == row && c->instance == instance)
			return c;
	return NULL;
}

/* What can't be had is no reason to do without the rest: it is tried again. */
static int
start_optional(struct smtpd *d, const struct role_row *row)
{
	struct child *c;
	uint32_t n;

	for (n = 0; n < instances_of(d, row); n++) {
		c = child_find(d, row, n);
		if (c == NULL && (c = child_create(d, row, n)) == NULL)
			return start_failed(row);
		if (!child_is_wanted(c))
			supervise_end(c, "nothing needs it");
		else if (c->pid == 0)
			supervise_start(c);
	}
	return 0;
}

int
children_start_optional(struct smtpd *d)
{
	size_t i;

	for (i = 0; i < role_nrows; i++)
		if (role_rows[i].optional && start_optional(d, &role_rows[i]) == -1)
			return -1;
	return 0;
}

int
children_start(struct smtpd *d)
{
	uint32_t n;
	size_t i;

	for (i = 0; i < role_nrows; i++) {
		if (role_rows[i].on_demand || role_rows[i].optional)
			continue;
		for (n = 0; n < instances_of(d, &role_rows[i]); n++) {
			struct child *c = child_create(d, &role_rows[i], n);

			if (c == NULL || child_start(c) == -1)
				return start_failed(&role_rows[i]);
		}
	}
	return children_start_optional(d);
}

/* SPDX-License-Identifier: ISC */
/*
 * The one way into a role: a list of steps, each of which only takes away.  A
 * step that fails ends the entry, and the caller the process; there is no
 * partly entered role.  The order matters: groups and root directory while
 * there is the privilege to change them, ids after, Landlock needs
 * no_new_privs, the proofs need the calls that seccomp takes away last.
 */
#include "lib/role/role.h"

#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/role/calls.h"
#include "lib/role/landlock.h"
#include "lib/role/prove.h"
#include "lib/role/seccomp.h"

#define FILES	     (RIGHT_SPOOL | RIGHT_MAILBOX)
#define SYSCALLS_MAX 128

struct entry {
	const struct role_rights *r;
	struct role_entered *out;
	int outside_fd; /* the real root directory, for the proof; closed before seccomp */
	int dir_fd;	/* where the role's files are, ours; -1: it has none */
	long offset[2]; /* of local time before the root directory changed */
};

static int
check_rights(struct entry *e)
{
	const struct role_rights *r = e->r;

	errno = EINVAL;
	if ((r->rights & (RIGHT_BASE | RIGHT_CORE)) == 0 || (r->rights & ~RIGHT_ALL) != 0 ||
	    r->nconnect_ports > ROLE_PORTS_MAX)
		return -1;
	if (r->privileged &&
	    (r->uid == 0 || r->gid == 0 || r->uid == (uid_t)-1 || r->gid == (gid_t)-1))
		return -1;
	if ((r->rights & FILES) != 0 && r->root == NULL && r->dir_fd == -1 && r->open_dir == NULL)
		return -1;
	if (r->landlock_floor > 0 && landlock_abi() < r->landlock_floor) {
		errno = ENOSYS;
		return -1;
	}
	return 0;
}

/* Winter and summer: both must stay what they were. */
static void
read_offsets(long offset[2])
{
	static const time_t when[2] = {1767225600, 1782864000};
	struct tm tm;
	size_t i;

	for (i = 0; i < NITEMS(when); i++)
		offset[i] = localtime_r(&when[i], &tm) != NULL ? tm.tm_gmtoff : 0;
}

/*
 * Without TZ the C library looks for /etc/localtime again and again, and falls
 * back to UTC where it is out of sight.  With TZ it reads the file once.
 */
static int
pin_time_zone(struct entry *e)
{
	if (setenv("TZ", ":/etc/localtime", 0) == -1)
		return -1;
	tzset();
	read_offsets(e->offset);
	return 0;
}

static int
check_time_zone(struct entry *e)
{
	long now[2];

	read_offsets(now);
	if (memcmp(now, e->offset, sizeof(now)) == 0)
		return 0;
	errno = ENOENT;
	return -1;
}

static int
seal_descriptors(struct entry *e)
{
	(void)e;
	return (int)syscall(SYS_close_range, 3U, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

static int
open_outside(struct entry *e)
{
	e->outside_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return e->outside_fd == -1 ? -1 : 0;
}

static int
drop_groups(struct entry *e)
{
	return e->r->privileged ? setgroups(0, NULL) : 0;
}

/* A root directory that others can write to is no wall. */
static int
check_root(const struct role_rights *r)
{
	struct stat st;

	if (stat(".", &st) == -1)
		return -1;
	if ((r->rights & FILES) == 0 && (st.st_uid != 0 || (st.st_mode & 022) != 0)) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* To somebody's mailbox with his rights: by no way that he could not go himself. */
static int
walk_as_account(const struct role_rights *r)
{
	if (!r->privileged || (r->rights & RIGHT_MAILBOX) == 0)
		return 0;
	(void)setfsgid(r->gid);
	(void)setfsuid(r->uid);
	/* They tell of no failure. */
	if (setfsuid((uid_t)-1) == (int)r->uid && setfsgid((gid_t)-1) == (int)r->gid)
		return 0;
	errno = EPERM;
	return -1;
}

static int
change_root(struct entry *e)
{
	const struct role_rights *r = e->r;

	if (r->root == NULL)
		return 0;
	if (walk_as_account(r) == -1 || chdir(r->root) == -1)
		return -1;
	if (!r->privileged)
		return 0;
	if (check_root(r) == -1 || chroot(".") == -1)
		return -1;
	return chdir("/");
}

static int
change_ids(struct entry *e)
{
	const struct role_rights *r = e->r;

	if (!r->privileged)
		return 0;
	if (setresgid(r->gid, r->gid, r->gid) == -1)
		return -1;
	return setresuid(r->uid, r->uid, r->uid);
}

/* The change of ids does it for a privileged start; a rootless one may hold some too. */
static int
drop_capabilities(struct entry *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	(void)e;
	memset(none, 0, sizeof(none));
	return (int)syscall(SYS_capset, &head, none);
}

static int
open_dir(struct entry *e)
{
	const struct role_rights *r = e->r;

	if ((r->rights & FILES) == 0)
		return 0;
	if (r->open_dir != NULL)
		return (e->dir_fd = r->open_dir(r->open_dir_arg)) == -1 ? -1 : 0;
	e->dir_fd = r->dir_fd != -1 ? fcntl(r->dir_fd, F_DUPFD_CLOEXEC, 3)
				    : open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return e->dir_fd == -1 ? -1 : 0;
}

/* Never above what there is: raising would need a privilege. */
static int
limit_set(unsigned int resource, uint64_t want)
{
	struct rlimit rl;

	if (getrlimit(resource, &rl) == -1)
		return -1;
	if (want < rl.rlim_max)
		rl.rlim_max = (rlim_t)want;
	rl.rlim_cur = rl.rlim_max;
	return setrlimit(resource, &rl);
}

static int
set_limits(struct entry *e)
{
	const struct role_limits *l = &e->r->limits;
	bool sanitized = call_rights(0) != 0; /* shadow memory takes terabytes */

	/* Log lines to a stderr that is a file must fail, not kill. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -1;
	if (l->address_space_bytes != 0 && !sanitized &&
	    limit_set(RLIMIT_AS, l->address_space_bytes) == -1)
		return -1;
	if (limit_set(RLIMIT_CORE, 0) == -1 || limit_set(RLIMIT_FSIZE, l->file_bytes) == -1 ||
	    limit_set(RLIMIT_NPROC, l->processes) == -1)
		return -1;
	return limit_set(RLIMIT_NOFILE, l->descriptors);
}

static int
forbid_gains(struct entry *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return e->r->privileged ? prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) : 0;
}

static int
enter_landlock(struct entry *e)
{
	e->out->landlock_abi = landlock_abi();
	return landlock_enter(e->r, e->out->landlock_abi, e->dir_fd, &e->out->lost);
}

static int
prove_walls(struct entry *e)
{
	if (prove_privileges(e->r, &e->out->privileges_gone) == -1)
		return -1;
	if (e->out->landlock_abi == 0)
		return 0;
	if (prove_landlock(e->r->name, e->outside_fd) == -1)
		return -1;
	e->out->landlock_denies = true;
	return 0;
}

static void
close_dirs(struct entry *e)
{
	if (e->outside_fd != -1)
		(void)close(e->outside_fd);
	if (e->dir_fd != -1)
		(void)close(e->dir_fd);
	e->outside_fd = e->dir_fd = -1;
}

static int
enter_seccomp(struct entry *e)
{
	const char *names[SYSCALLS_MAX];

	close_dirs(e);
	e->out->nsyscalls = (uint32_t)role_syscalls(
	    call_rights(e->r->rights), names, NITEMS(names));
	if (seccomp_enter(e->r->rights, &e->out->notify_fd) == -1)
		return -1;
	return prove_seccomp(e->r->name) == -1 ? -1 : prove_clock(e->r->name);
}

static const struct {
	const char *name;
	int (*run)(struct entry *);
} steps[] = {
    {"rights", check_rights},
    {"time zone", pin_time_zone},
    {"descriptors", seal_descriptors},
    {"real root", open_outside},
    {"groups", drop_groups},
    {"root directory", change_root},
    {"account", change_ids},
    {"capabilities", drop_capabilities},
    {"directory", open_dir},
    {"limits", set_limits},
    {"no new privileges", forbid_gains},
    {"Landlock", enter_landlock},
    {"proof", prove_walls},
    {"time zone kept", check_time_zone},
    {"seccomp", enter_seccomp},
};

int
role_enter(const struct role_rights *r, struct role_entered *out)
{
	struct entry e = {.r = r, .out = out, .outside_fd = -1, .dir_fd = -1};
	size_t i;
	int error;

	memset(out, 0, sizeof(*out));
	out->notify_fd = -1;
	out->lost = "";
	for (i = 0; i < NITEMS(steps); i++) {
		if (steps[i].run(&e) == 0)
			continue;
		error = errno;
		log_warn("role %s: %s: %s", r->name, steps[i].name, strerror(error));
		close_dirs(&e);
		errno = error;
		return -1;
	}
	return 0;
}

void
role_rights_text(unsigned int rights, char *dst, size_t size)
{
	static const struct {
		unsigned int right;
		const char *name;
	} names[] = {
	    {RIGHT_BASE, "base"},
	    {RIGHT_ACCEPT, "accept"},
	    {RIGHT_PASS_FD, "pass-fd"},
	    {RIGHT_DNS, "dns"},
	    {RIGHT_CONNECT, "connect"},
	    {RIGHT_CONNECT_UNIX, "connect-unix"},
	    {RIGHT_SPOOL, "spool"},
	    {RIGHT_MAILBOX, "mailbox"},
	    {RIGHT_READ_FD, "read-fd"},
	    {RIGHT_TLS, "tls"},
	    {RIGHT_CORE, "core"},
	    {RIGHT_READ_DB, "read-db"},
	};
	size_t i, len = 0;

	bug_on(size == 0);
	dst[0] = '\0';
	for (i = 0; i < NITEMS(names); i++) {
		int n;

		if ((rights & names[i].right) == 0)
			continue;
		n = snprintf(dst + len, size - len, "%s%s", len > 0 ? "," : "", names[i].name);
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

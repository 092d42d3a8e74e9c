/* SPDX-License-Identifier: ISC */
/*
 * The proofs at the end of role_enter(): each wall is pushed once.  A push
 * that succeeds means that this process is not what the table of roles says,
 * and it must not read a byte from outside: the caller exits.
 */
#include "lib/role/prove.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"

static int
stands_open(const char *name, const char *what)
{
	log_warn("role %s: %s is still possible", name, what);
	errno = EPERM;
	return -1;
}

/* Every way back to uid 0: each must be refused. */
static int
regain_root(void)
{
	return setuid(0) == -1 && seteuid(0) == -1 && setreuid(0, 0) == -1 &&
		       setresuid((uid_t)-1, (uid_t)-1, 0) == -1
		   ? -1
		   : 0;
}

static int
regain_root_group(void)
{
	return setgid(0) == -1 && setegid(0) == -1 && setregid(0, 0) == -1 &&
		       setresgid((gid_t)-1, (gid_t)-1, 0) == -1
		   ? -1
		   : 0;
}

static bool
ids_are_one(void)
{
	uid_t u[3];
	gid_t g[3];

	return getresuid(&u[0], &u[1], &u[2]) == 0 && u[0] == u[1] && u[1] == u[2] &&
	       getresgid(&g[0], &g[1], &g[2]) == 0 && g[0] == g[1] && g[1] == g[2];
}

static bool
capabilities_are_none(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	size_t i;

	if (syscall(SYS_capget, &head, data) == -1)
		return false;
	for (i = 0; i < NITEMS(data); i++)
		if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0)
			return false;
	return true;
}

int
prove_privileges(const struct role_rights *r, bool *gone)
{
	gid_t none = getgid();

	*gone = false;
	if (!capabilities_are_none())
		return stands_open(r->name, "use of a capability");
	if (setgroups(1, &none) == 0)
		return stands_open(r->name, "change of groups");
	if (chroot(".") == 0)
		return stands_open(r->name, "change of root directory");
	if (!ids_are_one())
		return stands_open(r->name, "return to a former account");
	if (r->privileged && (getuid() != r->uid || getgid() != r->gid || getgroups(0, NULL) != 0))
		return stands_open(r->name, "use of a former account or group");
	if (getuid() == 0) /* not privileged, yet called by uid 0: that much is left */
		return 0;
	if (regain_root() == 0)
		return stands_open(r->name, "return to root");
	if (getgid() != 0 && regain_root_group() == 0)
		return stands_open(r->name, "return to the root group");
	*gone = true;
	return 0;
}

int
prove_landlock(const char *name, int outside_fd)
{
	int fd = openat(outside_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 && errno == EACCES)
		return 0;
	if (fd == -1) {
		log_warn("role %s: Landlock can't be tried", name);
		return -1;
	}
	(void)close(fd);
	return stands_open(name, "reading outside its directory");
}

int
prove_seccomp(const char *name)
{
	/* Ours is a different error from the kernel's, which would be EBADF. */
	if (ioctl(-1, FIONREAD, NULL) == -1 && errno == ENOTTY)
		return 0;
	return stands_open(name, "a system call it has no right to");
}

int
prove_clock(const char *name)
{
	struct timespec ts;

	/* A role of RIGHT_CORE has its time from the vDSO or not at all: then it must not run. */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == 0 && clock_gettime(CLOCK_REALTIME, &ts) == 0)
		return 0;
	log_warn("role %s: this host's clock source (see /sys/devices/system/clocksource) can't be "
		 "read without a system call",
	    name);
	errno = ENOTSUP;
	return -1;
}

/* SPDX-License-Identifier: ISC */
/*
 * Reads what a filtered process was caught at.  There is no function to
 * answer: no forbidden call is ever let through (SECCOMP_USER_NOTIF_FLAG_CONTINUE
 * does not occur in this source), the only answer is SIGKILL.  The arguments
 * come from a hostile process and are only shown.
 */
#include "lib/role/watch.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/role/role.h"

/* Receiving waits when there is nothing, and on old kernels for ever: look first. */
static int
watch_ready(int notify_fd)
{
	struct pollfd pfd = {.fd = notify_fd, .events = POLLIN};

	if (poll(&pfd, 1, 0) == -1)
		return -1;
	if ((pfd.revents & POLLIN) != 0)
		return 0;
	errno = (pfd.revents & POLLHUP) != 0 ? EPIPE : pfd.revents != 0 ? EBADF : EAGAIN;
	return -1;
}

int
role_watch_receive(int notify_fd, struct role_violation *out)
{
	union {
		struct seccomp_notif notif;
		unsigned char room[512]; /* for the larger structure of a newer kernel */
	} u;
	struct seccomp_notif_sizes sizes;

	if (watch_ready(notify_fd) == -1)
		return -1;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == -1)
		return -1;
	if (sizes.seccomp_notif > sizeof(u)) {
		errno = EMSGSIZE;
		return -1;
	}
	memset(&u, 0, sizeof(u)); /* the kernel insists */
	if (ioctl(notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &u) == -1) {
		if (errno == ENOENT || errno == EINTR)
			errno = EAGAIN;
		return -1;
	}
	memset(out, 0, sizeof(*out));
	out->pid = (pid_t)u.notif.pid;
	out->nr = u.notif.data.nr;
	(void)snprintf(out->name, sizeof(out->name), "%s", role_syscall_name(out->nr));
	memcpy(out->args, u.notif.data.args, sizeof(out->args));
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * What a hand can't do any more.  It is no role: it was not executed, and the
 * parent's memory is mapped in it; so it has the fewest system calls of all.
 *
 * Invariant: rights only shrink.  A wall that can't be built ends the hand.
 */
#include "smtpd/hand_walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/role/calls.h"
#include "lib/role/landlock.h"

static const struct {
	const char *name, *why;
} calls[] = {
    {"openat", "a home, a list; to read, see the walls of Landlock"},
    {"openat2", "a file of it, whatever links there are"},
    {"fstat", "whose is it"},
    {"newfstatat", "the same, as newer libraries do it"},
    {"read", "it"},
    {"pread64", "a table, whose offset is another's too"},
    {"memfd_create", "the copy"},
    {"write", "into it"},
    {"fcntl", "seals on it"},
    {"sendmsg", "to the parent"},
    {"close", "what is done"},
    {"brk", "memory"},
    {"mmap", "memory"},
    {"munmap", "memory"},
    {"mremap", "memory"},
    {"restart_syscall", "after a stop"},
    {"exit_group", "the end"},
#ifdef ROLE_SANITIZED
    {"madvise", "shadow memory"},
    {"mprotect", "shadow memory"},
    {"futex", "reports"},
    {"getpid", "reports"},
    {"gettid", "reports"},
    {"sigaltstack", "reports"},
    {"rt_sigaction", "reports"},
    {"rt_sigprocmask", "reports"},
    {"sched_yield", "reports"},
#endif
};

/* Who is root finds files as root does; that is all that is left of it. */
static int
drop_capabilities(void)
{
	const uint32_t mask = geteuid() == 0 ? 1U << CAP_DAC_READ_SEARCH : 0;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) == -1)
		return -1;
	data[0].effective = data[0].permitted &= mask;
	data[1].effective = data[1].permitted = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return (int)syscall(SYS_capset, &head, data);
}

/* libseccomp's functions return -errno. */
static int
add_calls(scmp_filter_ctx ctx)
{
	size_t i;
	int nr, rc;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		nr = seccomp_syscall_resolve_name(calls[i].name);
		if (nr >= 0 && (rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0)) != 0)
			return rc;
	}
	return seccomp_load(ctx);
}

static int
filter_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc;

	if (ctx == NULL) {
		errno = ENOMEM;
		return -1;
	}
	rc = add_calls(ctx);
	seccomp_release(ctx);
	errno = -rc;
	return rc == 0 ? 0 : -1;
}

int
hand_walls(bool files_only)
{
	if (drop_capabilities() == -1)
		return -1;
	if (!files_only)
		return 0;
	return landlock_read_only(landlock_abi()) == -1 ? -1 : filter_calls();
}

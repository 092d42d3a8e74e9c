/* SPDX-License-Identifier: ISC */
/*
 * What the parent keeps of root: enough to give rights away, open ports and
 * stop its children; nothing to gain any right with.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	int cap;
	const char *why;
} kept[] = {
    {CAP_SETUID, "children and agents change account"},
    {CAP_SETGID, "and group"},
    {CAP_SETPCAP, "and give up the rest"},
    {CAP_SYS_CHROOT, "children see an empty root directory"},
    {CAP_NET_BIND_SERVICE, "port 25"},
    {CAP_CHOWN, "the spool directory belongs to the queue's account"},
    {CAP_DAC_READ_SEARCH, "tables and home directories that only their owner may read"},
    {CAP_DAC_OVERRIDE, "the admin socket and spool directory in directories of others"},
    {CAP_KILL, "children that run as other accounts"},
    {CAP_SYS_PTRACE, "/proc/PID of the children, for `smtpctl show sandbox`"},
};

static uint64_t
kept_mask(void)
{
	uint64_t mask = 0;
	size_t i;

	for (i = 0; i < NITEMS(kept); i++)
		mask |= UINT64_C(1) << kept[i].cap;
	return mask;
}

/* What passes through us to the vault must not lie in a file, nor be another's to read. */
static int
hide_memory(bool privileged)
{
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) == -1)
		return -1;
	return privileged ? prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) : 0;
}

/* What can't even be regained by a set-id program or a file's capabilities. */
static int
bound_capabilities(uint64_t mask)
{
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if ((mask & UINT64_C(1) << cap) == 0 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 && errno != EINVAL)
			return -1;
	return 0;
}

int
privileges_keep(bool privileged)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2], now[2];
	uint64_t mask = privileged ? kept_mask() : 0;

	if (hide_memory(privileged) == -1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(SYS_capget, &head, now) == -1)
		return -1;
	if (privileged && bound_capabilities(mask) == -1)
		return -1;
	memset(data, 0, sizeof(data));
	data[0].permitted = data[0].effective = (uint32_t)mask & now[0].permitted;
	data[1].permitted = data[1].effective = (uint32_t)(mask >> 32) & now[1].permitted;
	return (int)syscall(SYS_capset, &head, data);
}

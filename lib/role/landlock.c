/* SPDX-License-Identifier: ISC */
/*
 * Landlock, by its three system calls: the headers of the oldest system we
 * build on stop at version 3, so the constants and structures stand here.  All
 * that the running kernel can deny is denied, then the few rules of the role
 * are added: a right that is not in ruleset_for() does not exist.
 */
#include "lib/role/landlock.h"

#include <sys/syscall.h>

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define NR_CREATE_RULESET      444 /* the same number on every architecture */
#define NR_ADD_RULE	       445
#define NR_RESTRICT_SELF       446
#define CREATE_RULESET_VERSION (1U << 0)
#define RULE_PATH_BENEATH      1
#define RULE_NET_PORT	       2

#define FS_WRITE_FILE	       (1ULL << 1)
#define FS_READ_FILE	       (1ULL << 2)
#define FS_READ_DIR	       (1ULL << 3)
#define FS_REMOVE_FILE	       (1ULL << 5)
#define FS_MAKE_DIR	       (1ULL << 7)
#define FS_MAKE_REG	       (1ULL << 8)
#define FS_REFER	       (1ULL << 13)
#define FS_TRUNCATE	       (1ULL << 14)
#define NET_BIND_TCP	       (1ULL << 0)
#define NET_CONNECT_TCP	       (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX    (1ULL << 0)
#define SCOPE_SIGNAL	       (1ULL << 1)

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

struct net_port_attr {
	uint64_t allowed_access;
	uint64_t port;
};

/* What each version of the interface can deny, and what its absence costs. */
static const struct {
	int abi;
	struct ruleset_attr handled;
	size_t size; /* of the structure it knows */
	const char *lost;
} versions[] = {
    {6, {0xffff, NET_BIND_TCP | NET_CONNECT_TCP, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL}, 24, ""},
    {5, {0xffff, NET_BIND_TCP | NET_CONNECT_TCP, 0}, 16, "abstract-sockets,signals"},
    {4, {0x7fff, NET_BIND_TCP | NET_CONNECT_TCP, 0}, 16, "abstract-sockets,signals,device-ioctl"},
    {3, {0x7fff, 0, 0}, 8, "abstract-sockets,signals,device-ioctl,tcp-ports"},
    {2, {0x3fff, 0, 0}, 8, "abstract-sockets,signals,device-ioctl,tcp-ports,truncate"},
    {1, {0x1fff, 0, 0}, 8, "abstract-sockets,signals,device-ioctl,tcp-ports,truncate,refer"},
    {0, {0, 0, 0}, 0, "everything"},
};

int
landlock_abi(void)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

/* The rights below the role's directory. */
static uint64_t
dir_access(unsigned int rights)
{
	uint64_t access = 0;

	if ((rights & RIGHT_SPOOL) != 0)
		access |= FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_MAKE_REG |
			  FS_REMOVE_FILE | FS_TRUNCATE;
	/* It adds mail and has no business reading the mail that is there. */
	if ((rights & RIGHT_MAILBOX) != 0)
		access |= FS_WRITE_FILE | FS_READ_DIR | FS_MAKE_DIR | FS_MAKE_REG | FS_REMOVE_FILE |
			  FS_REFER | FS_TRUNCATE;
	return access;
}

static int
rule_add_dir(int ruleset, int dir_fd, uint64_t access)
{
	struct path_beneath_attr attr = {.allowed_access = access, .parent_fd = dir_fd};

	if (access == 0)
		return 0;
	return (int)syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &attr, 0);
}

static int
rule_add_port(int ruleset, uint64_t access, uint16_t port)
{
	struct net_port_attr attr = {.allowed_access = access, .port = port};

	if (access == 0)
		return 0;
	return (int)syscall(NR_ADD_RULE, ruleset, RULE_NET_PORT, &attr, 0);
}

static int
rules_add_ports(int ruleset, const struct role_rights *r, uint64_t handled_net)
{
	size_t i;

	if ((r->rights & (RIGHT_DNS | RIGHT_CONNECT)) == 0)
		return 0;
	for (i = 0; i < r->nconnect_ports; i++)
		if (rule_add_port(ruleset, handled_net & NET_CONNECT_TCP, r->connect_ports[i]) ==
		    -1)
			return -1;
	/* Port 0, the kernel's choice: a source address may be bound, no known port. */
	return rule_add_port(ruleset, handled_net & NET_BIND_TCP, 0);
}

static int
rules_add(int ruleset, const struct role_rights *r, int dir_fd, const struct ruleset_attr *handled)
{
	if (dir_fd != -1 &&
	    rule_add_dir(ruleset, dir_fd, dir_access(r->rights) & handled->handled_access_fs) == -1)
		return -1;
	return rules_add_ports(ruleset, r, handled->handled_access_net);
}

int
landlock_enter(const struct role_rights *r, int abi, int dir_fd, const char **lost)
{
	size_t v = 0;
	int ruleset, rc, error;

	while (versions[v].abi > abi)
		v++;
	*lost = versions[v].lost;
	if (versions[v].abi == 0)
		return 0;
	ruleset = (int)syscall(NR_CREATE_RULESET, &versions[v].handled, versions[v].size, 0);
	if (ruleset == -1)
		return -1;
	rc = rules_add(ruleset, r, dir_fd, &versions[v].handled);
	if (rc == 0)
		rc = (int)syscall(NR_RESTRICT_SELF, ruleset, 0);
	error = errno;
	(void)close(ruleset);
	errno = error;
	return rc;
}

int
landlock_read_only(int abi)
{
	struct ruleset_attr handled;
	int ruleset, rc, error;
	size_t v = 0;

	while (versions[v].abi > abi)
		v++;
	if (versions[v].abi == 0)
		return 0;
	handled = versions[v].handled;
	handled.handled_access_fs &= ~(FS_READ_FILE | FS_READ_DIR);
	ruleset = (int)syscall(NR_CREATE_RULESET, &handled, versions[v].size, 0);
	if (ruleset == -1)
		return -1;
	rc = (int)syscall(NR_RESTRICT_SELF, ruleset, 0);
	error = errno;
	(void)close(ruleset);
	errno = error;
	return rc;
}

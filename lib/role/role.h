/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_ROLE_H
#define LIB_ROLE_ROLE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Rights, and the one way into a role.  The rows themselves stand in
 * smtpd/roles.c; this library turns a row into what the kernel enforces.
 * Rights only shrink: role_enter() is called once in the life of a process.
 */
#define RIGHT_BASE	   0x0001U /* event loop, memory, clocks, exit; talk on open sockets */
#define RIGHT_ACCEPT	   0x0002U /* accept clients on sockets it was handed */
#define RIGHT_PASS_FD	   0x0004U /* send descriptors: declared only, no filter can see them */
#define RIGHT_DNS	   0x0008U /* UDP sockets, TCP connect to the resolver ports */
#define RIGHT_CONNECT	   0x0010U /* TCP connect to the listed ports */
#define RIGHT_CONNECT_UNIX 0x0020U /* connect to Unix sockets (LMTP) */
#define RIGHT_SPOOL	   0x0040U /* read, write, create, unlink and fsync below its root directory */
#define RIGHT_MAILBOX \
	0x0080U /* create, write, rename, unlink and fsync below one directory; read no mail */
#define RIGHT_READ_FD  0x0100U /* fstat, lseek and read of files it was handed */
#define RIGHT_TLS      0x0200U /* what TLS needs besides RIGHT_BASE */
#define RIGHT_CORE     0x0400U /* instead of RIGHT_BASE: the links, memory, an end; nothing else */
#define RIGHT_READ_DB  0x0800U /* besides RIGHT_READ_FD: pages of a SQLite file, and read locks */
#define RIGHT_ALL      0x0fffU

#define ROLE_PORTS_MAX 64

struct role_limits {
	uint64_t descriptors;	      /* RLIMIT_NOFILE */
	uint64_t address_space_bytes; /* RLIMIT_AS; 0: none (sanitizer builds) */
	uint64_t file_bytes;	      /* RLIMIT_FSIZE; 0: may not grow any file */
	uint64_t processes;	      /* RLIMIT_NPROC; 0: may not fork */
};

struct role_rights {
	const char *name;    /* for messages: "session" */
	unsigned int rights; /* RIGHT_* */
	bool privileged;     /* we are root: change account and root directory too */
	uid_t uid;	     /* with privileged only */
	gid_t gid;
	const char *root; /* directory to chroot to (privileged) or to chdir to; NULL: none */
	int dir_fd;	  /* RIGHT_SPOOL, RIGHT_MAILBOX: descriptor of the directory the
			     Landlock rule is for; -1: root itself.  Not closed here. */
	/*
	 * Instead of dir_fd: opens (and makes) that directory, called as the
	 * account and before Landlock; the descriptor is role_enter()'s to close.
	 */
	int (*open_dir)(void *arg);
	void *open_dir_arg;
	struct role_limits limits;
	uint16_t connect_ports[ROLE_PORTS_MAX]; /* TCP ports it may connect to */
	size_t nconnect_ports;
	int landlock_floor; /* refuse to start below this ABI; 0: any */
};

/* What role_enter() found the kernel to give, for `smtpctl show sandbox`. */
struct role_entered {
	int landlock_abi;     /* 0: the kernel has none */
	bool landlock_denies; /* checked after entering: a path outside is refused */
	bool privileges_gone; /* checked: setuid(0) and friends are refused; never so for uid 0 */
	uint32_t nsyscalls;   /* allowed by the filter */
	int notify_fd;	      /* seccomp listener, to be handed to the parent (watch.h) and
				 closed; -1: the filter kills by itself */
	const char *lost;     /* Landlock rights this kernel can't enforce, "" when none */
};

/*
 * Enters the role: time zone pinned, every descriptor above stderr made
 * close-on-exec, groups, root directory, account, capabilities, limits,
 * no_new_privs, not dumpable (privileged), Landlock; then proves that nothing
 * can be regained; seccomp last.  -1 with errno and a log line: the caller must
 * exit, for it may be half in.
 *
 * What has to be ready before: the event base, signals ignored rather than
 * handled (there is no way back from a handler), TLS and SQLite's random
 * numbers seeded, files opened, unless the role has a right to files.
 *
 * A privileged role's root directory must belong to root and be writable by
 * nobody else, unless the role has files in it.
 */
int role_enter(const struct role_rights *r, struct role_entered *out) WARN_UNUSED;

/* The names of the system calls that rights allow, sorted, at most max; returns how many. */
size_t role_syscalls(unsigned int rights, const char **names, size_t max);
/* "accept,tls" for a mask. */
void role_rights_text(unsigned int rights, char *dst, size_t size);
/* For the log line of a killed process; never NULL, good until the next call. */
const char *role_syscall_name(int nr);

#endif

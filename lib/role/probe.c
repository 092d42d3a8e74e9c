/* SPDX-License-Identifier: ISC */
/*
 * What an intruder would try, as a table.  Most acts are one raw system call; a
 * few need steps.  A row names the rights that allow the act and the errors it
 * may be refused with; an act without errors must be deadly.  Compiled into
 * test builds only.
 */
#include "lib/role/probe.h"

#include "lib/role/role.h"

#ifdef TEST_HOOKS
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bug.h"
#include "lib/role/probe_steps.h"

#define OUTSIDE "/etc/postern-probe" /* does not exist */
#define FILES	(RIGHT_SPOOL | RIGHT_MAILBOX)
#define INET	(RIGHT_DNS | RIGHT_CONNECT)

/* Numbers that the oldest headers lack; the same on every architecture. */
#define NR_PIDFD_GETFD		   438
#define NR_MOUNT_SETATTR	   442
#define NR_LANDLOCK_CREATE_RULESET 444
#define NR_MEMFD_SECRET		   447

struct probe {
	const char *name;
	unsigned int allowed_by;
	int errors[3];
	int (*run)(pid_t parent); /* steps, or ... */
	long nr;		  /* ... one system call */
	const void *args[6];
};

static char page[4096] __attribute__((aligned(4096)));
static const char *const true_argv[] = {"true", NULL};
static const char *const no_env[] = {NULL};
static const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
static const struct timespec epoch = {0, 0};
static const uint64_t zeros[32];
static const uint64_t landlock_files[3] = {1, 0, 0};

/* clang-format off */
#define N(n) ((const void *)(intptr_t)(n))
#define CALL(title, by, number, ...) { title, by, {0}, NULL, number, { __VA_ARGS__ } }
#define TRY(title, by, e1, e2, number, ...) \
	{ title, by, { e1, e2, 0 }, NULL, number, { __VA_ARGS__ } }
#define STEPS(title, by, e1, function) { title, by, { e1, 0, 0 }, function, 0, { NULL } }

static const struct probe probes[] = {
/* programs and processes */
CALL("execve", 0, SYS_execve, "/bin/true", true_argv, no_env),
CALL("execveat", 0, SYS_execveat, N(AT_FDCWD), "/bin/true", true_argv, no_env, N(0)),
STEPS("fork", 0, 0, probe_fork),
STEPS("vfork", 0, 0, probe_vfork),
STEPS("clone3", 0, 0, probe_clone3),
STEPS("kill parent", 0, 0, probe_kill_parent),
STEPS("tgkill parent", 0, 0, probe_tgkill_parent),
STEPS("abort parent", 0, 0, probe_abort_parent),
STEPS("queue signal to parent", 0, 0, probe_queue_signal),
STEPS("ptrace parent", 0, 0, probe_ptrace_parent),
STEPS("read parent's memory", 0, 0, probe_read_parent),
STEPS("write parent's memory", 0, 0, probe_write_parent),
STEPS("pidfd of parent", 0, 0, probe_pidfd_parent),
CALL("pidfd_getfd", 0, NR_PIDFD_GETFD, N(0), N(0), N(0)),
CALL("kcmp", 0, SYS_kcmp, N(1), N(1), N(0), N(0), N(0)),
CALL("setpriority", 0, SYS_setpriority, N(PRIO_PROCESS), N(0), N(19)),
CALL("sched_setaffinity", 0, SYS_sched_setaffinity, N(0), N(sizeof(page)), page),
CALL("setsid", 0, SYS_setsid, N(0)),


/* accounts and rights */
CALL("setuid", 0, SYS_setuid, N(0)),
CALL("setresuid", 0, SYS_setresuid, N(0), N(0), N(0)),
CALL("setgid", 0, SYS_setgid, N(0)),
CALL("setresgid", 0, SYS_setresgid, N(0), N(0), N(0)),
CALL("setgroups", 0, SYS_setgroups, N(1), zeros),
CALL("setfsuid", 0, SYS_setfsuid, N(0)),
CALL("capset", 0, SYS_capset, zeros, zeros),
CALL("prctl dumpable", 0, SYS_prctl, N(PR_SET_DUMPABLE), N(1), N(0), N(0), N(0)),
CALL("prctl keep capabilities", 0, SYS_prctl, N(PR_SET_KEEPCAPS), N(0), N(0), N(0), N(0)),
STEPS("prctl seccomp", 0, 0, probe_seccomp_again),
CALL("seccomp", 0, SYS_seccomp, N(2), N(0), zeros),
CALL("landlock", 0, NR_LANDLOCK_CREATE_RULESET, landlock_files, N(8), N(0)),
STEPS("prlimit up", 0, EPERM, probe_prlimit_up),
#ifdef SYS_setrlimit
CALL("setrlimit up", 0, SYS_setrlimit, N(RLIMIT_CORE), &unlimited),
#endif
CALL("personality", 0, SYS_personality, N(0x0400000)),
CALL("add_key", 0, SYS_add_key, "user", "probe", "x", N(1), N(-2)),
CALL("keyctl", 0, SYS_keyctl, N(0), N(-3), N(0)),
CALL("request_key", 0, SYS_request_key, "user", "probe", N(0), N(0)),

/* name spaces and the system */
CALL("unshare", 0, SYS_unshare, N(CLONE_NEWUSER)),
CALL("setns", 0, SYS_setns, N(0), N(0)),
CALL("mount", 0, SYS_mount, "none", OUTSIDE, "tmpfs", N(0), N(0)),
CALL("mount_setattr", 0, NR_MOUNT_SETATTR, N(-1), "", N(0), zeros, N(32)),
CALL("umount2", 0, SYS_umount2, OUTSIDE, N(0)),
CALL("pivot_root", 0, SYS_pivot_root, OUTSIDE, OUTSIDE),
CALL("chroot", 0, SYS_chroot, "."),
CALL("chdir", 0, SYS_chdir, "/"),
CALL("reboot", 0, SYS_reboot, N(0), N(0), N(0), N(0)),
CALL("kexec_load", 0, SYS_kexec_load, N(0), N(1 << 20), N(0), N(0)),
CALL("init_module", 0, SYS_init_module, page, N(0), ""),
CALL("delete_module", 0, SYS_delete_module, OUTSIDE, N(0)),
CALL("sethostname", 0, SYS_sethostname, page, N(-1)),
CALL("settimeofday", 0, SYS_settimeofday, N(0), N(1)),
CALL("clock_settime", 0, SYS_clock_settime, N(CLOCK_MONOTONIC), &epoch),
CALL("quotactl", 0, SYS_quotactl, N(-1), N(0), N(0), N(0)),
CALL("swapoff", 0, SYS_swapoff, OUTSIDE),
CALL("syslog", 0, SYS_syslog, N(10), N(0), N(0)),
CALL("acct", 0, SYS_acct, OUTSIDE),
CALL("bpf", 0, SYS_bpf, N(0), zeros, N(sizeof(zeros))),
CALL("perf_event_open", 0, SYS_perf_event_open, zeros, N(0), N(-1), N(-1), N(0)),
CALL("userfaultfd", 0, SYS_userfaultfd, N(1)),
CALL("io_uring_setup", 0, SYS_io_uring_setup, N(1), page),
#ifdef SYS_iopl
CALL("iopl", 0, SYS_iopl, N(3)),
CALL("modify_ldt", 0, SYS_modify_ldt, N(0), page, N(16)),
#endif
#ifdef __x86_64__
STEPS("32-bit system call", 0, 0, probe_int80),
CALL("x32 system call", 0, 0x40000000L | SYS_getpid, N(0)),
#endif
CALL("unknown system call", 0, 4095, N(0)),

/* memory */
CALL("mmap writable and executable", 0, SYS_mmap, N(0), N(4096),
    N(PROT_READ | PROT_WRITE | PROT_EXEC), N(MAP_PRIVATE | MAP_ANONYMOUS), N(-1), N(0)),
CALL("mmap executable", 0, SYS_mmap, N(0), N(4096), N(PROT_READ | PROT_EXEC),
    N(MAP_PRIVATE | MAP_ANONYMOUS), N(-1), N(0)),
STEPS("mmap of a file", 0, 0, probe_mmap_file),
STEPS("mprotect executable", 0, 0, probe_mprotect_exec),
CALL("pkey_mprotect", 0, SYS_pkey_mprotect, page, N(4096), N(PROT_READ), N(-1)),
STEPS("memfd and exec", 0, 0, probe_memfd_exec),
CALL("memfd_secret", 0, NR_MEMFD_SECRET, N(0)),
CALL("mlock", 0, SYS_mlock, page, N(0)),
CALL("shmget", 0, SYS_shmget, N(0x7057), N(4096), N(0600)),
CALL("semget", 0, SYS_semget, N(0x7057), N(1), N(0600)),
CALL("msgget", 0, SYS_msgget, N(0x7057), N(0600)),
CALL("mq_open", 0, SYS_mq_open, "postern-probe", N(O_RDONLY), N(0), N(0)),

/* sockets */
CALL("socket TCP", INET, SYS_socket, N(AF_INET), N(SOCK_STREAM), N(0)),
CALL("socket TCP over IPv6", INET, SYS_socket, N(AF_INET6), N(SOCK_STREAM), N(0)),
CALL("socket UDP", RIGHT_DNS, SYS_socket, N(AF_INET), N(SOCK_DGRAM), N(0)),
CALL("socket UDP over IPv6", RIGHT_DNS, SYS_socket, N(AF_INET6), N(SOCK_DGRAM), N(0)),
CALL("socket Unix stream", RIGHT_CONNECT_UNIX, SYS_socket, N(AF_UNIX), N(SOCK_STREAM), N(0)),
CALL("socket Unix datagram", 0, SYS_socket, N(AF_UNIX), N(SOCK_DGRAM), N(0)),
CALL("socketpair", 0, SYS_socketpair, N(AF_UNIX), N(SOCK_STREAM), N(0), page),
CALL("socket MPTCP", 0, SYS_socket, N(AF_INET), N(SOCK_STREAM), N(262)),
CALL("socket SCTP", 0, SYS_socket, N(AF_INET), N(SOCK_STREAM), N(132)),
CALL("socket ICMP", 0, SYS_socket, N(AF_INET), N(SOCK_DGRAM), N(IPPROTO_ICMP)),
CALL("socket raw", 0, SYS_socket, N(AF_INET), N(SOCK_RAW), N(IPPROTO_ICMP)),
CALL("socket packet", 0, SYS_socket, N(AF_PACKET), N(SOCK_RAW), N(0)),
CALL("socket netlink", 0, SYS_socket, N(AF_NETLINK), N(SOCK_RAW), N(0)),
CALL("socket vsock", 0, SYS_socket, N(AF_VSOCK), N(SOCK_STREAM), N(0)),
CALL("socket crypto", 0, SYS_socket, N(AF_ALG), N(SOCK_SEQPACKET), N(0)),
STEPS("send UDP", RIGHT_DNS, 0, probe_udp_send),
STEPS("connect to port 9", 0, EACCES, probe_tcp_connect),
STEPS("connect to port 9 by sendto", 0, 0, probe_fastopen_sendto),
STEPS("connect to port 9 by sendmsg", 0, EPIPE, probe_fastopen_sendmsg),
STEPS("bind port 2525", 0, EACCES, probe_tcp_bind),
STEPS("listen", 0, 0, probe_listen),
STEPS("send a descriptor", RIGHT_BASE | RIGHT_CORE, 0, probe_pass_descriptor),
CALL("attach a socket filter", 0, SYS_setsockopt, N(0), N(SOL_SOCKET), N(26), zeros, N(16)),
TRY("push a byte to the terminal", 0, ENOTTY, 0, SYS_ioctl, N(0), N(TIOCSTI), "x"),

/* files */
TRY("read /etc/passwd", 0, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), "/etc/passwd", N(O_RDONLY)),
TRY("list /", RIGHT_SPOOL | RIGHT_MAILBOX, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), "/",
    N(O_RDONLY | O_DIRECTORY)),
TRY("write own memory", 0, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), "/proc/self/mem", N(O_RDWR)),
TRY("create a file outside", 0, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), OUTSIDE,
    N(O_WRONLY | O_CREAT), N(0600)),
TRY("create a file here", FILES, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), "probe",
    N(O_WRONLY | O_CREAT), N(0600)),
TRY("open a device", 0, ENOENT, EACCES, SYS_openat, N(AT_FDCWD), "/dev/zero", N(O_RDWR)),
TRY("look at a path", FILES, ENOENT, 0, SYS_newfstatat, N(AT_FDCWD), "/", page, N(0)),
TRY("openat2", RIGHT_MAILBOX, ENOENT, EACCES, 437, N(AT_FDCWD), ".", zeros, N(24)),
TRY("unlink outside", 0, ENOENT, EACCES, SYS_unlinkat, N(AT_FDCWD), OUTSIDE, N(0)),
CALL("truncate", 0, SYS_truncate, OUTSIDE, N(0)),
CALL("mkdir", RIGHT_MAILBOX, SYS_mkdirat, N(AT_FDCWD), "probe.d", N(0700)),
CALL("symlink", 0, SYS_symlinkat, "x", N(AT_FDCWD), "probe.link"),
CALL("link", RIGHT_MAILBOX, SYS_linkat, N(AT_FDCWD), "probe", N(AT_FDCWD), "probe.ln", N(0)),
CALL("rename", RIGHT_MAILBOX, SYS_renameat, N(AT_FDCWD), "probe", N(AT_FDCWD), "probe"),
CALL("chmod", 0, SYS_fchmodat, N(AT_FDCWD), ".", N(0755)),
CALL("chown", 0, SYS_fchownat, N(AT_FDCWD), ".", N(-1), N(-1), N(0)),
CALL("fchmod", 0, SYS_fchmod, N(-1), N(0)),
CALL("mknod", 0, SYS_mknodat, N(AT_FDCWD), "probe.fifo", N(0010600), N(0)),
CALL("utimensat", 0, SYS_utimensat, N(AT_FDCWD), ".", N(0), N(0)),
CALL("setxattr", 0, SYS_setxattr, ".", "user.probe", "x", N(1), N(0)),
CALL("getdents64", RIGHT_MAILBOX, SYS_getdents64, N(0), page, N(sizeof(page))),
CALL("open_by_handle_at", 0, SYS_open_by_handle_at, N(AT_FDCWD), zeros, N(0)),
CALL("sendfile", 0, SYS_sendfile, N(0), N(0), N(0), N(1)),
CALL("splice", 0, SYS_splice, N(0), N(0), N(0), N(0), N(1), N(0)),
CALL("copy_file_range", 0, SYS_copy_file_range, N(0), N(0), N(0), N(0), N(1), N(0)),
CALL("dup", 0, SYS_dup, N(0)),
CALL("pipe2", 0, SYS_pipe2, page, N(0)),
CALL("inotify", 0, SYS_inotify_init1, N(0)),
CALL("fanotify", 0, SYS_fanotify_init, N(0), N(0)),
CALL("signalfd", 0, SYS_signalfd4, N(-1), zeros, N(8), N(0)),
CALL("eventfd", 0, SYS_eventfd2, N(0), N(0)),
CALL("epoll_create1", 0, SYS_epoll_create1, N(0)),
CALL("timerfd", 0, SYS_timerfd_create, N(CLOCK_MONOTONIC), N(0)),
CALL("timer_create", 0, SYS_timer_create, N(CLOCK_MONOTONIC), N(0), page),
};
/* clang-format on */

size_t
role_probe_count(void)
{
	return NITEMS(probes);
}

const char *
role_probe_name(size_t n)
{
	bug_on(n >= NITEMS(probes));
	return probes[n].name;
}

int
role_probe_run(size_t n, pid_t parent)
{
	const struct probe *p = &probes[n];

	bug_on(n >= NITEMS(probes));
	if (p->run != NULL)
		return p->run(parent);
	return syscall(p->nr, p->args[0], p->args[1], p->args[2], p->args[3], p->args[4],
		   p->args[5]) == -1
		   ? -1
		   : 0;
}

bool
role_probe_passes(size_t n, unsigned int rights, enum probe_outcome outcome, int error)
{
	const struct probe *p = &probes[n];
	size_t i;

	bug_on(n >= NITEMS(probes));
	if ((p->allowed_by & rights) != 0 || outcome == PROBE_DIED)
		return true;
	for (i = 0; outcome == PROBE_REFUSED && i < NITEMS(p->errors); i++)
		if (p->errors[i] != 0 && p->errors[i] == error)
			return true;
	return false;
}
#endif

/* SPDX-License-Identifier: ISC */
/*
 * The forbidden acts that take more than one system call.  Where the kernel
 * would refuse by itself, reaching it counts as done: it is the filter that is
 * on trial.  Compiled into test builds only.
 */
#include "lib/role/probe_steps.h"

#ifdef TEST_HOOKS
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Numbers that the oldest headers lack; the same on every architecture. */
#define NR_PIDFD_OPEN 434
#define NR_CLONE3     435

static char byte[8];
static unsigned char siginfo[256];
static char *const true_argv[] = {byte, NULL};

static int
child_ended(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

int
probe_fork(pid_t parent)
{
	(void)parent;
	return child_ended(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

int
probe_vfork(pid_t parent)
{
	(void)parent;
	return child_ended(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
}

int
probe_clone3(pid_t parent)
{
	uint64_t args[8] = {0};

	(void)parent;
	args[4] = SIGCHLD;
	return child_ended(syscall(NR_CLONE3, args, sizeof(args)));
}

int
probe_kill_parent(pid_t parent)
{
	return kill(parent, 0);
}

int
probe_tgkill_parent(pid_t parent)
{
	return (int)syscall(SYS_tgkill, parent, parent, 0);
}

/* The one signal and the one target that abort() needs: with another target it must fail. */
int
probe_abort_parent(pid_t parent)
{
	return (int)syscall(SYS_tgkill, parent, -1, SIGABRT) == 0 || errno == EINVAL ? 0 : -1;
}

int
probe_queue_signal(pid_t parent)
{
	return (int)syscall(SYS_rt_tgsigqueueinfo, parent, parent, 0, siginfo);
}

int
probe_ptrace_parent(pid_t parent)
{
	return ptrace(PTRACE_SEIZE, parent, NULL, NULL) == -1 && errno != EPERM ? -1 : 0;
}

int
probe_read_parent(pid_t parent)
{
	struct iovec here = {byte, 1}, there = {byte, 1};

	return process_vm_readv(parent, &here, 1, &there, 1, 0) == -1 && errno != EPERM ? -1 : 0;
}

int
probe_write_parent(pid_t parent)
{
	struct iovec here = {byte, 0}, there = {byte, 0};

	return (int)process_vm_writev(parent, &here, 1, &there, 1, 0);
}

int
probe_pidfd_parent(pid_t parent)
{
	return (int)syscall(NR_PIDFD_OPEN, parent, 0);
}

int
probe_udp_send(pid_t parent)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)parent;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1)
		return -1;
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&sin, sizeof(sin)) == 1 ? 0 : -1;
}

static int
tcp_at(uint16_t port, int (*act)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1)
		return -1;
	if (act(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		return errno == ECONNREFUSED || errno == EADDRINUSE ? 0 : -1; /* it got there */
	return 0;
}

static int
connect_as_given(int fd, const struct sockaddr *sa, socklen_t len)
{
	return connect(fd, sa, len);
}

static int
bind_as_given(int fd, const struct sockaddr *sa, socklen_t len)
{
	return bind(fd, sa, len);
}

/* Connects without connect(): Landlock does not see it on every kernel. */
static int
connect_by_sendto(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, sa, len);
}

static int
connect_by_sendmsg(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_storage ss = {0};
	struct iovec iov = {byte, 1};
	struct msghdr mh = {.msg_name = &ss, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&ss, sa, len);
	return (int)sendmsg(fd, &mh, MSG_FASTOPEN | MSG_NOSIGNAL);
}

int
probe_tcp_connect(pid_t parent)
{
	(void)parent;
	return tcp_at(9, connect_as_given);
}

int
probe_fastopen_sendto(pid_t parent)
{
	(void)parent;
	return tcp_at(9, connect_by_sendto);
}

int
probe_fastopen_sendmsg(pid_t parent)
{
	(void)parent;
	return tcp_at(9, connect_by_sendmsg);
}

int
probe_tcp_bind(pid_t parent)
{
	(void)parent;
	return tcp_at(2525, bind_as_given);
}

int
probe_listen(pid_t parent)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)parent;
	return fd == -1 ? -1 : listen(fd, 1);
}

int
probe_mprotect_exec(pid_t parent)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)parent;
	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

int
probe_memfd_exec(pid_t parent)
{
	int fd = (int)syscall(SYS_memfd_create, "probe", 0);

	(void)parent;
	if (fd == -1)
		return -1;
	(void)syscall(SYS_execveat, fd, "", true_argv, NULL, AT_EMPTY_PATH);
	return 0; /* the file exists, that is enough */
}

int
probe_mmap_file(pid_t parent)
{
	(void)parent;
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED && errno == EPERM ? -1
											      : 0;
}

int
probe_prlimit_up(pid_t parent)
{
	(void)parent;
	return (int)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE,
		   &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL) == -1
		   ? -1
		   : 0;
}

/* By design a filter can't see it: lib/ipc's table decides which messages carry descriptors. */
int
probe_pass_descriptor(pid_t parent)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {byte, 1};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int fd = 2;

	(void)parent;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(0, &mh, MSG_NOSIGNAL) == -1 && errno != ENOTSOCK ? -1 : 0;
}

int
probe_seccomp_again(pid_t parent)
{
	(void)parent;
	return prctl(PR_SET_SECCOMP, 2, NULL) == -1 && errno == EFAULT ? 0 : -1;
}

#ifdef __x86_64__
int
probe_int80(pid_t parent)
{
	long rc;

	(void)parent;
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return rc > 0 ? 0 : -1;
}
#endif
#endif

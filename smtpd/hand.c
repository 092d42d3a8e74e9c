/* SPDX-License-Identifier: ISC */
/*
 * Hands: short-lived processes of the parent.
 *
 * Invariant: a hand holds no descriptor but its socket, stderr and what it was
 * given; it has the rights of the account that it works for and no capability
 * (but root's to read), and can neither start a process nor write a file but that in memory which it hands over.  What it says is taken as coming from that account.
 * Nothing here is fatal.
 */
#include "smtpd/hand.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "smtpd/hand_walls.h"
#include "smtpd/smtpd.h"

#define SOCK_FD 3
#define KEPT_FD 4

struct hand { /* owned by who started it, then by the list of its struct smtpd until it is reaped */
	TAILQ_ENTRY(hand) entry;
	struct smtpd *smtpd;
	struct hand_job job;
	pid_t pid; /* 0: reaped */
	bool late; /* it did not answer in time */
	bool over; /* nobody owns it any more */
	int sock;
	struct event *readable, *timer;
};

/* -- the new process -- */

static void
forget_signals(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, sig == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
shed_descriptors(int sock, int keep_fd)
{
	int kept = -1, null;

	if ((null = open("/dev/null", O_RDWR)) == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1)
		return -1;
	/* Out of the way first: either may have the number that the other is to get. */
	if ((sock = fcntl(sock, F_DUPFD, KEPT_FD + 1)) == -1)
		return -1;
	if (keep_fd != -1 && (kept = fcntl(keep_fd, F_DUPFD, KEPT_FD + 1)) == -1)
		return -1;
	if (dup2(sock, SOCK_FD) == -1 || (kept != -1 && dup2(kept, KEPT_FD) == -1))
		return -1;
	return (int)syscall(
	    SYS_close_range, (unsigned int)(kept == -1 ? KEPT_FD : KEPT_FD + 1), ~0U, 0U);
}

static int
become(const struct smtpd *d, const struct hand_job *job, pid_t parent)
{
	static const struct rlimit none = {0, 0};
	const struct rlimit copy = {job->copy_max, job->copy_max};

	if (setrlimit(RLIMIT_FSIZE, &copy) == -1 || setrlimit(RLIMIT_CORE, &none) == -1)
		return -1;
	if (d->privileged &&
	    (setgroups(1, &job->gid) == -1 || setresgid(job->gid, job->gid, job->gid) == -1 ||
		setresuid(job->uid, job->uid, job->uid) == -1))
		return -1;
	/* Of no use to who would look into it, or take it over. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return -1;
	/* Another account forgets this, so it comes last; and it looks at what is to come only. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 || getppid() != parent)
		return -1;
	/* As an account that has processes already it may not add one. */
	return setrlimit(RLIMIT_NPROC, &none) == -1 ? -1 : hand_walls(job->files_only);
}

static _Noreturn void
hand_main(const struct smtpd *d, const struct hand_job *job, int sock, pid_t parent)
{
	forget_signals();
	if (shed_descriptors(sock, job->keep_fd) == -1 || become(d, job, parent) == -1)
		_exit(1);
	job->work(SOCK_FD, job->arg);
	_exit(0);
}

int
hand_tell(int sock, const void *data, size_t len, int fd)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

/* Not to be run, where the kernel knows of such files. */
static int
make_memory_file(void)
{
#ifdef MFD_NOEXEC_SEAL
	const unsigned int noexec = MFD_NOEXEC_SEAL;
#else
	const unsigned int noexec = 8;
#endif
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("copy", flags | noexec);

	return fd == -1 && errno == EINVAL ? memfd_create("copy", flags) : fd;
}

static int
write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n)
		if ((n = write(fd, data, len)) <= 0)
			return -1;
	return 0;
}

static int
copy_text(int from, int to, size_t copy_max)
{
	char piece[8192];
	ssize_t n;

	for (; (n = read(from, piece, sizeof(piece))) > 0; copy_max -= (size_t)n) {
		if ((size_t)n > copy_max) {
			errno = EFBIG;
			return -1;
		}
		if (write_all(to, piece, (size_t)n) == -1)
			return -1;
	}
	return (int)n;
}

int
hand_copy(int fd, size_t copy_max)
{
	int to = make_memory_file(), error;

	if (to == -1)
		return -1;
	if (copy_text(fd, to, copy_max) == 0 &&
	    fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return to;
	error = errno;
	(void)close(to);
	errno = error;
	return -1;
}

/* -- in the parent -- */

/* The first descriptor of a message; any others are closed. */
static int
take_fd(struct msghdr *m)
{
	struct cmsghdr *c;
	int fd = -1, more;
	size_t i, n;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&more, CMSG_DATA(c) + i * sizeof(int), sizeof(more));
			if (fd == -1)
				fd = more;
			else
				(void)close(more);
		}
	}
	return fd;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct hand *h = arg;
	uint8_t data[HAND_MESSAGE_MAX];
	struct iovec iov = {data, sizeof(data)};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	ssize_t n;

	(void)what;
	if ((n = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) > 0)
		h->job.heard(h->job.arg, data, (size_t)n, take_fd(&m));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		(void)event_del(h->readable);
		h->job.heard(h->job.arg, NULL, 0, -1);
	}
}

static void
on_deadline(evutil_socket_t sock, short what, void *arg)
{
	struct hand *h = arg;

	(void)sock;
	(void)what;
	log_warn("event=hand-killed pid=%d why=\"no answer in time\"", (int)h->pid);
	(void)event_del(h->readable);
	h->late = true;
	if (h->pid > 0)
		(void)kill(h->pid, SIGKILL);
	h->job.heard(h->job.arg, NULL, 0, -1);
}

/* -1 with errno: there are too many. */
static int
hands_room(const struct smtpd *d, uid_t uid)
{
	const struct hand *h;
	size_t n = 0, late = 0;

	TAILQ_FOREACH (h, &d->hands, entry) {
		n += !h->over;
		late += h->late && h->job.uid == uid;
	}
	errno = late >= HANDS_LATE_MAX ? EBUSY : EAGAIN;
	return n >= HANDS_MAX || late >= HANDS_LATE_MAX ? -1 : 0;
}

static int
hand_watch(struct hand *h)
{
	h->readable = event_new(h->smtpd->base, h->sock, EV_READ | EV_PERSIST, on_readable, h);
	h->timer = event_new(h->smtpd->base, -1, 0, on_deadline, h);
	if (h->readable == NULL || h->timer == NULL || event_add(h->readable, NULL) == -1)
		return -1;
	return 0;
}

struct hand *
hand_start(struct smtpd *d, const struct hand_job *job)
{
	int pair[2] = {-1, -1}, error;
	pid_t parent = getpid();
	struct hand *h;

	if (!d->privileged && job->uid != geteuid()) {
		errno = EPERM;
		return NULL;
	}
	if (hands_room(d, job->uid) == -1)
		return NULL;
	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	*h = (struct hand){.smtpd = d, .job = *job, .sock = -1};
	TAILQ_INSERT_TAIL(&d->hands, h, entry);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		goto fail;
	h->sock = pair[0];
	if (hand_watch(h) == -1)
		goto fail;
	switch (h->pid = fork()) {
	case -1:
		h->pid = 0;
		goto fail;
	case 0:
		hand_main(d, job, pair[1], parent);
	}
	(void)close(pair[1]);
	return h;
fail:
	error = errno;
	if (pair[1] != -1)
		(void)close(pair[1]);
	hand_free(h);
	errno = error;
	return NULL;
}

static void
hand_forget(struct hand *h)
{
	TAILQ_REMOVE(&h->smtpd->hands, h, entry);
	free(h);
}

void
hand_free(struct hand *h)
{
	if (h == NULL)
		return;
	if (h->pid > 0)
		(void)kill(h->pid, SIGKILL);
	if (h->readable != NULL)
		event_free(h->readable);
	if (h->timer != NULL)
		event_free(h->timer);
	h->readable = h->timer = NULL;
	if (h->sock != -1)
		(void)close(h->sock);
	h->sock = -1;
	h->over = true;
	if (h->pid == 0)
		hand_forget(h);
}

int
hand_say(struct hand *h, const void *data, size_t len)
{
	return send(h->sock, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}

void
hand_set_deadline(struct hand *h, int64_t ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (ms == 0)
		(void)event_del(h->timer);
	else
		(void)event_add(h->timer, &tv);
}

void
hands_reaped(struct smtpd *d, pid_t pid)
{
	struct hand *h;

	TAILQ_FOREACH (h, &d->hands, entry)
		if (h->pid == pid)
			break;
	if (h == NULL)
		return;
	h->pid = 0;
	if (h->over)
		hand_forget(h);
}

void
hands_free(struct smtpd *d)
{
	struct hand *h;

	while ((h = TAILQ_FIRST(&d->hands)) != NULL) {
		if (h->pid > 0)
			(void)kill(h->pid, SIGKILL);
		h->pid = 0; /* it is not waited for */
		hand_free(h);
	}
}

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_ROLE_CHILD_H
#define TESTS_UNIT_ROLE_CHILD_H

/*
 * A child that enters a role, does one job in it and tells how it ended; for
 * the tests of lib/role.  The parent half behaves as smtpd does: it holds the
 * listener, names the forbidden call and kills.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "lib/base/bug.h"
#include "lib/role/probe.h"
#include "lib/role/role.h"
#include "lib/role/watch.h"

#define TEST_UID    64301
#define NOBODY	    65534
#define DEADLINE_MS 60000

struct test_role {
	const char *name;
	unsigned int rights;
	size_t most; /* system calls allowed, by the project's figures; 0: none given */
};

static const struct test_role test_roles[] = {
    {"session", RIGHT_BASE | RIGHT_ACCEPT | RIGHT_TLS, 28},
    {"queue", RIGHT_BASE | RIGHT_SPOOL, 28},
    {"lookup", RIGHT_BASE | RIGHT_DNS | RIGHT_READ_FD | RIGHT_READ_DB, 30},
    {"control", RIGHT_BASE | RIGHT_ACCEPT, 24},
    {"delivery", RIGHT_BASE | RIGHT_CONNECT | RIGHT_CONNECT_UNIX | RIGHT_TLS | RIGHT_READ_FD, 45},
    {"agent", RIGHT_BASE | RIGHT_MAILBOX, 0},
    {"vault", RIGHT_CORE, 12},
    {"hasher", RIGHT_BASE | RIGHT_READ_FD | RIGHT_READ_DB, 28},
    {"table", RIGHT_BASE | RIGHT_CONNECT | RIGHT_READ_FD, 36},
    {"fetch", RIGHT_BASE | RIGHT_CONNECT | RIGHT_READ_FD, 36},
};

typedef int (*child_job)(void *arg); /* 0, or -1 with errno */

struct child_report {
	int rc;
	int error;
	struct role_entered entered;
};

/* Called in the child before it leaves root, when set. */
static void (*child_before)(void);

struct child {
	pid_t pid;
	int link;      /* its reports; end of file when it is gone */
	int notify_fd; /* -1: none */
	char dir[64];
};

struct child_end {
	bool entered;		    /* role_enter() succeeded */
	struct role_entered role;   /* what it said */
	enum probe_outcome outcome; /* of the job */
	int error;		    /* PROBE_REFUSED: errno; not entered: the same */
	int signal;		    /* PROBE_DIED */
	char call[40];		    /* the forbidden call that was caught, "" */
};

static inline void
child_send(int link, const struct child_report *report, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)report, sizeof(*report)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd != -1) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(link, &mh, MSG_NOSIGNAL) != (ssize_t)sizeof(*report))
		_exit(99);
}

/* False: the child is gone. */
static inline bool
child_receive(struct child *c, struct child_report *report)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {report, sizeof(*report)};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *m;

	if (recvmsg(c->link, &mh, 0) != (ssize_t)sizeof(*report))
		return false;
	if ((m = CMSG_FIRSTHDR(&mh)) != NULL && m->cmsg_type == SCM_RIGHTS)
		memcpy(&c->notify_fd, CMSG_DATA(m), sizeof(c->notify_fd));
	return true;
}

static inline void
child_main(const struct role_rights *r, child_job job, void *arg, int link)
{
	struct child_report report = {0, 0, {0}};

	report.rc = role_enter(r, &report.entered);
	report.error = errno;
	child_send(link, &report, report.rc == 0 ? report.entered.notify_fd : -1);
	if (report.rc == 0) {
		if (report.entered.notify_fd != -1)
			(void)close(report.entered.notify_fd);
		report.rc = job(arg);
		report.error = errno;
		child_send(link, &report, -1);
	}
	_exit(0);
}

/* Leaves root, if root we are, as a server started without it would be. */
static inline void
leave_root(void)
{
	if (getuid() == 0 && (setgroups(0, NULL) == -1 || setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
				 setresuid(NOBODY, NOBODY, NOBODY) == -1))
		_exit(98);
}

/* What a job sees its directory as: to be put before "/name". */
static char child_root[64];

static inline void
child_make_dir(struct child *c, const struct role_rights *r)
{
	bool files = (r->rights & (RIGHT_SPOOL | RIGHT_MAILBOX)) != 0;
	uid_t owner = r->privileged ? r->uid : NOBODY;

	(void)snprintf(c->dir, sizeof(c->dir), "/tmp/postern-role-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	child_root[0] = '\0';
	if (!r->privileged)
		memcpy(child_root, c->dir, sizeof(c->dir));
	assert_return_code(chmod(c->dir, 0755), errno);
	if (getuid() == 0 && (files || !r->privileged))
		assert_return_code(chown(c->dir, owner, owner), errno);
}

static inline void
child_rights(struct role_rights *r, const struct test_role *t, bool privileged)
{
	bool files = (t->rights & (RIGHT_SPOOL | RIGHT_MAILBOX)) != 0;

	memset(r, 0, sizeof(*r));
	r->name = t->name;
	r->rights = t->rights;
	r->privileged = privileged;
	r->uid = r->gid = TEST_UID;
	r->dir_fd = -1;
	r->limits.descriptors = 256;
	r->limits.address_space_bytes = 1U << 30;
	r->limits.file_bytes = files ? 1U << 30 : 0;
	r->connect_ports[0] = 53;
	r->connect_ports[1] = 25;
	r->nconnect_ports = 2;
}

static inline void
child_start(struct child *c, struct role_rights *r, child_job job, void *arg)
{
	int sv[2];

	child_make_dir(c, r);
	if (r->root == NULL)
		r->root = c->dir;
	c->notify_fd = -1;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), errno);
	(void)fflush(NULL);
	c->pid = fork();
	assert_return_code(c->pid, errno);
	if (c->pid == 0) {
		(void)close(sv[0]);
		if (child_before != NULL)
			child_before();
		if (!r->privileged)
			leave_root();
		child_main(r, job, arg, sv[1]);
	}
	(void)close(sv[1]);
	c->link = sv[0];
}

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Reaps; an end by exit(0) without a report means another program took over: it survived. */
static inline void
child_reap(struct child *c, struct child_end *end)
{
	int status = 0;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	if (WIFSIGNALED(status)) {
		end->outcome = PROBE_DIED;
		end->signal = WTERMSIG(status);
	}
	(void)close(c->link);
	if (c->notify_fd != -1)
		(void)close(c->notify_fd);
	(void)nftw(c->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void
child_caught(struct child *c, struct child_end *end)
{
	struct role_violation v;

	if (role_watch_receive(c->notify_fd, &v) == -1) {
		assert_true(errno == EAGAIN || errno == EPIPE);
		return;
	}
	assert_int_equal(v.pid, c->pid);
	(void)snprintf(end->call, sizeof(end->call), "%s", v.name);
	assert_int_equal(waitpid(c->pid, NULL, WNOHANG), 0); /* it waits for us */
	assert_return_code(kill(c->pid, SIGKILL), errno);
}

static inline void
child_finish(struct child *c, struct child_end *end)
{
	struct child_report report;

	memset(end, 0, sizeof(*end));
	end->outcome = PROBE_SURVIVED;
	if (child_receive(c, &report)) {
		end->entered = report.rc == 0;
		end->role = report.entered;
		end->error = report.error;
	}
	while (end->entered) {
		struct pollfd pfd[2] = {{.fd = c->link, .events = POLLIN},
		    {.fd = end->call[0] == '\0' ? c->notify_fd : -1, .events = POLLIN}};

		assert_true(poll(pfd, 2, DEADLINE_MS) > 0);
		if ((pfd[1].revents & POLLIN) != 0)
			child_caught(c, end);
		if (pfd[0].revents == 0)
			continue;
		if (child_receive(c, &report)) {
			end->outcome = report.rc == 0 ? PROBE_SURVIVED : PROBE_REFUSED;
			end->error = report.error;
		}
		break;
	}
	child_reap(c, end);
}

static inline void
child_run(struct role_rights *r, child_job job, void *arg, struct child_end *end)
{
	struct child c;

	child_start(&c, r, job, arg);
	child_finish(&c, end);
}

/* -- jobs that must succeed -- */

/* A step of a job that did not work; the job's errno is told to the test. */
#define MUST(cond)                                    \
	do {                                          \
		if (!(cond))                          \
			return must_failed(__LINE__); \
	} while (0)

static inline int
must_failed(int line)
{
	int error = errno, n;
	char text[128];

	n = snprintf(text, sizeof(text), "line %d: %s\n", line, strerror(error));
	(void)!write(2, text, (size_t)n); /* which the vault may not */
	errno = error != 0 ? error : EIO;
	return -1;
}

static inline const struct test_role *
role_named(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(test_roles) - 1 && strcmp(test_roles[i].name, name) != 0; i++)
		;
	return &test_roles[i];
}

static inline void
expect_works(const struct test_role *t, bool privileged, child_job job, void *arg)
{
	struct role_rights r;
	struct child_end end;

	child_rights(&r, t, privileged);
	child_run(&r, job, arg, &end);
	if (!end.entered || end.outcome != PROBE_SURVIVED)
		fail_msg("%s%s: entered %d, outcome %d, %s, signal %d, forbidden call '%s'",
		    t->name, privileged ? " as root" : "", end.entered, end.outcome,
		    strerror(end.error), end.signal, end.call);
}

static inline void
works(const char *role, child_job job, void *arg)
{
	expect_works(role_named(role), false, job, arg);
	if (getuid() == 0)
		expect_works(role_named(role), true, job, arg);
}

#endif

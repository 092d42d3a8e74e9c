/* SPDX-License-Identifier: ISC */
/*
 * Another program looks at files, for smtpd -n and before a reload.
 *
 * Invariant: it has no more than the files, its account and a few seconds, and
 * this process goes on whatever it does.
 */
#include "smtpd/check_run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "smtpd/accounts.h"
#include "smtpd/smtpd.h"

#define OUTPUT_MAX 16384
#define BROKEN	   2 /* its exit status: the files can't be used at all */
#define PATIENCE_S 10

/* What the files are in the program that looks at them. */
static const int numbers[CHECK_RUN_FILES] = {0, 3, 4};

/* -- the program -- */

/* After fork(). */
static int
limit(void)
{
	static const struct rlimit cpu = {PATIENCE_S, PATIENCE_S}, none = {0, 0};

	if (setrlimit(RLIMIT_CPU, &cpu) == -1 || setrlimit(RLIMIT_FSIZE, &none) == -1)
		return -1;
	return setrlimit(RLIMIT_CORE, &none);
}

static int
become(const struct account *a)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) == -1 || setresgid(a->gid, a->gid, a->gid) == -1)
		return -1;
	return setresuid(a->uid, a->uid, a->uid);
}

static int
move(int fd, int number)
{
	if (fd == -1)
		fd = open("/dev/null", O_RDONLY);
	return fd == -1 ? -1 : dup2(fd, number);
}

static void
run(const char *path, const struct check_run *r, int output, const struct account *a)
{
	char *argv[] = {
	    (char *)(uintptr_t)role_program(r->role), "-c", (char *)(uintptr_t)r->name, NULL};
	char *environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
	size_t i;
	int null;

	if (dup2(output, STDOUT_FILENO) == -1)
		_exit(126);
	for (i = 0; i < CHECK_RUN_FILES; i++)
		if (move(r->fd[i], numbers[i]) == -1)
			_exit(126);
	(void)syscall(SYS_close_range, (unsigned int)numbers[CHECK_RUN_FILES - 1] + 1, ~0U, 0U);
	(void)setsid();
	if ((null = open("/dev/null", O_RDWR)) == -1 || dup2(null, STDERR_FILENO) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		_exit(126);
	if (null > STDERR_FILENO)
		(void)close(null);
	if (limit() == -1 || become(a) == -1)
		_exit(126);
	(void)execve(path, argv, environment);
	_exit(127);
}

/* Leaves room for a NUL. */
static void
read_output(int fd, int64_t end_ms, struct buf *out)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int64_t left_ms;
	uint8_t *p;
	ssize_t n;

	while ((left_ms = end_ms - time_mono_ms()) > 0) {
		if (poll(&pfd, 1, (int)left_ms) <= 0 || (p = buf_reserve(out, 513)) == NULL)
			return;
		if ((n = read(fd, p, 512)) <= 0)
			return;
		buf_commit(out, (size_t)n);
	}
}

/* It has said all; it may end, or be ended. */
static int
reap(pid_t pid, int64_t end_ms)
{
	static const struct timespec moment = {0, 2000000};
	int status;
	pid_t gone;

	while ((gone = waitpid(pid, &status, WNOHANG)) == 0) {
		if (time_mono_ms() >= end_ms)
			(void)kill(pid, SIGKILL);
		(void)nanosleep(&moment, NULL);
	}
	return gone == pid ? status : -1;
}

/* -1: it could not be started.  Else what it said, and its status for waitpid(). */
static int
ask(const struct smtpd *d, const struct check_run *r, struct buf *out)
{
	struct account account;
	char path[PATH_MAX];
	int64_t end_ms = time_mono_ms() + PATIENCE_S * 1000;
	int pair[2], output;
	pid_t pid;

	if (account_of_role(d, role_row(r->role), &account) == -1 ||
	    str_format(path, sizeof(path), "%s/%s", d->libexec, role_program(r->role)) == -1 ||
	    pipe2(pair, O_CLOEXEC) == -1)
		return -1;
	output = fcntl(pair[1], F_DUPFD_CLOEXEC, CHECK_RUN_ABOVE);
	(void)close(pair[1]);
	if ((pid = fork()) == 0)
		run(path, r, output, &account);
	if (output != -1)
		(void)close(output);
	if (pid != -1)
		read_output(pair[0], end_ms, out);
	(void)close(pair[0]);
	return pid == -1 ? -1 : reap(pid, end_ms);
}

/* -- what it said -- */

static void
show(const struct checking *k, const struct check_run *r, const char *line)
{
	struct logline l;
	char text[512];

	if (k->logs) {
		logline_start(&l, LOG_LEVEL_WARN, r->event);
		logline_str(&l, r->key, r->name);
		logline_str(&l, "what", line);
		logline_end(&l);
		return;
	}
	str_escape(text, sizeof(text), line, strlen(line));
	(void)fprintf(stderr, "smtpd: %s \"%s\": %s\n", r->what, r->name, text);
}

/* A warning keeps that word; how many were more than that. */
static unsigned int
show_line(const struct checking *k, const struct check_run *r, const char *line)
{
	static const char error[] = "error: ";
	bool is_error = strncmp(line, error, sizeof(error) - 1) == 0;

	/* What is only to be warned of, its user will tell when he has it. */
	if (is_error || !k->logs)
		show(k, r, is_error ? line + sizeof(error) - 1 : line);
	return is_error;
}

static void
judge(struct checking *k, const struct check_run *r, struct buf *out, int status)
{
	unsigned int errors = 0;
	char *line, *next;

	if (buf_append(out, "", 1) == 0)
		for (line = (char *)out->data + out->head; *line != '\0'; line = next) {
			next = line + strcspn(line, "\n");
			if (*next != '\0')
				*next++ = '\0';
			errors += show_line(k, r, line);
		}
	k->broken = status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) >= BROKEN;
	/* Errors without its saying so, or silence where it should have spoken. */
	if (status == -1 || !WIFEXITED(status) || (WEXITSTATUS(status) == 0) != (errors == 0)) {
		show(k, r, "could not be checked");
		errors++;
	}
	k->problems += errors;
}

void
check_run(struct checking *k, const struct check_run *r)
{
	struct buf out;
	int status;

	buf_init(&out, OUTPUT_MAX);
	status = ask(k->d, r, &out);
	judge(k, r, &out, status);
	buf_free(&out);
}

/* SPDX-License-Identifier: ISC */
/*
 * Certificates, for smtpd -n and before a reload.  What is in them is not for
 * the parent to parse: the vault's program looks at each, as the vault's account,
 * and says in lines what it found.  It gets the files open, a clean environment,
 * and seconds; what it says is bounded, and shown escaped.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define OUTPUT_MAX 16384
#define BROKEN	   2 /* its exit status: the files can't be used at all (vault/check.h) */
#define PATIENCE_S 10
#define FDS_ABOVE  16 /* where what is to be moved onto low numbers is out of its way */

enum { CERT, KEY, OCSP, NFILES };

static const struct {
	enum ipc_data kind;
	const char *what;
	int fd; /* in the program that looks at it */
} files[NFILES] = {
    [CERT] = {IPC_DATA_CERT, "certificate", 0},
    [KEY] = {IPC_DATA_KEY, "key", 3},
    [OCSP] = {IPC_DATA_OCSP, "OCSP response", 4},
};

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

static void
run(const char *path, const char *name, const int fd[NFILES + 1], const struct account *a)
{
	char *argv[] = {"smtpd-vault", "-c", (char *)(uintptr_t)name, NULL};
	char *environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
	size_t i;
	int null;

	if (dup2(fd[NFILES], STDOUT_FILENO) == -1)
		_exit(126);
	for (i = 0; i < NFILES; i++)
		if (dup2(fd[i], files[i].fd) == -1)
			_exit(126);
	(void)syscall(SYS_close_range, (unsigned int)files[OCSP].fd + 1, ~0U, 0U);
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
ask(const struct smtpd *d, const char *name, int fd[NFILES + 1], struct buf *out)
{
	struct account account;
	char path[PATH_MAX];
	int64_t end_ms = time_mono_ms() + PATIENCE_S * 1000;
	int pair[2];
	pid_t pid;

	if (account_of_role(d, role_row(ROLE_VAULT), &account) == -1 ||
	    str_format(path, sizeof(path), "%s/%s", d->libexec, role_program(ROLE_VAULT)) == -1 ||
	    pipe2(pair, O_CLOEXEC) == -1)
		return -1;
	fd[NFILES] = fcntl(pair[1], F_DUPFD_CLOEXEC, FDS_ABOVE);
	(void)close(pair[1]);
	if ((pid = fork()) == 0)
		run(path, name, fd, &account);
	if (fd[NFILES] != -1)
		(void)close(fd[NFILES]);
	if (pid != -1)
		read_output(pair[0], end_ms, out);
	(void)close(pair[0]);
	return pid == -1 ? -1 : reap(pid, end_ms);
}

/* -- what it said -- */

static void
show(const struct checking *k, const char *name, const char *line)
{
	struct logline l;
	char text[512];

	if (k->logs) {
		logline_start(&l, LOG_LEVEL_WARN, "certificate-problem");
		logline_str(&l, "pki", name);
		logline_str(&l, "what", line);
		logline_end(&l);
		return;
	}
	str_escape(text, sizeof(text), line, strlen(line));
	(void)fprintf(stderr, "smtpd: certificate \"%s\": %s\n", name, text);
}

/* A warning keeps that word; how many were more than that. */
static unsigned int
show_line(const struct checking *k, const char *name, const char *line)
{
	static const char error[] = "error: ";
	bool is_error = strncmp(line, error, sizeof(error) - 1) == 0;

	/* What is only to be warned of, the vault will tell when it has it. */
	if (is_error || !k->logs)
		show(k, name, is_error ? line + sizeof(error) - 1 : line);
	return is_error;
}

static void
judge(struct checking *k, const char *name, struct buf *out, int status)
{
	unsigned int errors = 0;
	char *line, *next;

	if (buf_append(out, "", 1) == 0)
		for (line = (char *)out->data + out->head; *line != '\0'; line = next) {
			next = line + strcspn(line, "\n");
			if (*next != '\0')
				*next++ = '\0';
			errors += show_line(k, name, line);
		}
	k->broken = status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) >= BROKEN;
	/* Errors without its saying so, or silence where it should have spoken. */
	if (status == -1 || !WIFEXITED(status) || (WEXITSTATUS(status) == 0) != (errors == 0)) {
		show(k, name, "could not be checked");
		errors++;
	}
	k->problems += errors;
}

/* -- the files -- */

static int
open_file(struct checking *k, const struct secret_file *f, const char *what)
{
	struct stat st;
	const char *why;
	int fd, high;

	if (f->path == NULL)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else if ((why = secrets_open(f, &fd, &st)) != NULL)
		check_problem(k, what, f->path, why);
	else if (f->kind == IPC_DATA_KEY && !k->logs && (why = secrets_key_fault(&st)) != NULL)
		check_problem(k, what, f->path, why);
	if (fd == -1)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, FDS_ABOVE);
	(void)close(fd);
	return high;
}

static void
check_pki(struct checking *k, const struct conf_pki *p)
{
	const char *const paths[NFILES] = {p->cert, p->key, p->ocsp};
	int fd[NFILES + 1] = {-1, -1, -1, -1}, status;
	bool opened = true;
	struct buf out;
	size_t i;

	for (i = 0; i < NFILES; i++) {
		const struct secret_file f = {files[i].kind, p->name, paths[i]};

		if ((fd[i] = open_file(k, &f, files[i].what)) == -1)
			opened = false;
	}
	if (opened) {
		buf_init(&out, OUTPUT_MAX);
		status = ask(k->d, p->name, fd, &out);
		judge(k, p->name, &out, status);
		buf_free(&out);
	}
	for (i = 0; i < NFILES; i++)
		if (fd[i] != -1)
			(void)close(fd[i]);
}

/* Expired is bad, but what it would take the place of may be no better: it is used. */
bool
check_pki_is_good(struct smtpd *d, const struct conf_pki *p)
{
	struct checking k = {.d = d, .logs = true, .broken = true};

	check_pki(&k, p);
	return !k.broken;
}

void
check_pkis(struct checking *k)
{
	const struct conf *c = k->d->conf;
	size_t i;
	int fd;

	for (i = 0; i < c->npkis; i++)
		check_pki(k, &c->pkis[i]);
	for (i = 0; i < c->ncas; i++) {
		const struct secret_file f = {IPC_DATA_CA, c->cas[i].name, c->cas[i].cert};

		if ((fd = open_file(k, &f, "CA certificates")) != -1)
			(void)close(fd);
	}
}

/* SPDX-License-Identifier: ISC */
/*
 * Takes a secret from a pipe or from somebody who types it.
 *
 * Invariants: the terminal shows what is typed again before this program
 * ends or stops, whatever signal makes it; of a secret nothing is left but what the
 * caller was given.
 */
#include "control/smtpctl_secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Those that would leave the terminal silent, and the one after which it may be loud again. */
static const int watched[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT};

struct terminal {
	struct termios loud, silent;
	sigset_t before, blocked;
	int signals; /* a signalfd */
};

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

const char *
secret_result_text(enum secret_result r)
{
	static const char *const texts[] = {
	    [SECRET_OK] = "",
	    [SECRET_NONE] = "nothing was given",
	    [SECRET_TOO_LONG] = "longer than 1024 octets",
	    [SECRET_BAD] = "a NUL octet can't be part of it",
	    [SECRET_DIFFERENT] = "the two are not the same",
	};

	return r == SECRET_FAILED ? strerror(errno) : texts[r];
}

/* -- the terminal -- */

static int
terminal_set(const struct termios *how, int when)
{
	int rc;

	do {
		rc = tcsetattr(STDIN_FILENO, when, how);
	} while (rc == -1 && errno == EINTR);
	return rc;
}

static int
terminal_silence(struct terminal *t)
{
	size_t i;

	if (tcgetattr(STDIN_FILENO, &t->loud) == -1)
		return -1;
	t->silent = t->loud;
	t->silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	(void)sigemptyset(&t->blocked);
	for (i = 0; i < NITEMS(watched); i++)
		(void)sigaddset(&t->blocked, watched[i]);
	if ((t->signals = signalfd(-1, &t->blocked, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return -1;
	(void)sigprocmask(SIG_BLOCK, &t->blocked, &t->before);
	if (terminal_set(&t->silent, TCSAFLUSH) == 0)
		return 0;
	(void)sigprocmask(SIG_SETMASK, &t->before, NULL);
	(void)close(t->signals);
	return -1;
}

static void
terminal_restore(struct terminal *t)
{
	(void)terminal_set(&t->loud, TCSAFLUSH);
	(void)sigprocmask(SIG_SETMASK, &t->before, NULL);
	(void)close(t->signals);
}

/* A signal came: it does what it does to any program, in a terminal that is as it was. */
static void
terminal_take_signal(struct terminal *t, const char *prompt)
{
	struct signalfd_siginfo info;

	if (read(t->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		(void)terminal_set(&t->silent, TCSANOW);
		return;
	}
	(void)terminal_set(&t->loud, TCSANOW);
	(void)fputc('\n', stderr);
	(void)raise((int)info.ssi_signo);
	(void)sigprocmask(SIG_SETMASK, &t->before, NULL);
	/* Still here: it was ignored, or this is after a stop. */
	(void)sigprocmask(SIG_BLOCK, &t->blocked, NULL);
	(void)terminal_set(&t->silent, TCSANOW);
	(void)fputs(prompt, stderr);
}

/* Until there is something to read. */
static void
terminal_wait(struct terminal *t, const char *prompt)
{
	struct pollfd fds[] = {
	    {.fd = t->signals, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	do {
		fds[0].revents = fds[1].revents = 0;
		(void)poll(fds, 2, -1);
		if (fds[0].revents != 0)
			terminal_take_signal(t, prompt);
	} while (fds[1].revents == 0);
}

/* -- a line -- */

/* An octet at a time: what follows the line is somebody else's.  t: NULL when nobody types. */
static enum secret_result
read_line(struct terminal *t, const char *prompt, struct secret *out)
{
	ssize_t n;
	char c;

	if (t != NULL)
		(void)fputs(prompt, stderr);
	for (out->len = 0;; out->text[out->len++] = c) {
		if (t != NULL)
			terminal_wait(t, prompt);
		do {
			n = read(STDIN_FILENO, &c, 1);
		} while (n == -1 && errno == EINTR);
		if (n == -1)
			return SECRET_FAILED;
		if (n == 0 || c == '\n')
			break;
		if (c == '\0')
			return SECRET_BAD;
		if (out->len == SECRET_MAX)
			return SECRET_TOO_LONG;
	}
	explicit_bzero(&c, sizeof(c));
	out->text[out->len] = '\0';
	if (t != NULL)
		(void)fputc('\n', stderr);
	return out->len == 0 ? SECRET_NONE : SECRET_OK;
}

static enum secret_result
type_twice(struct terminal *t, struct secret *out)
{
	struct secret again;
	enum secret_result r = read_line(t, "Password: ", out);

	if (r == SECRET_OK && (r = read_line(t, "Once more: ", &again)) != SECRET_FAILED &&
	    (r != SECRET_OK || strcmp(again.text, out->text) != 0))
		r = SECRET_DIFFERENT;
	secret_wipe(&again);
	return r;
}

enum secret_result
secret_read(struct secret *out)
{
	struct terminal t;
	enum secret_result r;
	int error;

	if (isatty(STDIN_FILENO) != 1)
		return read_line(NULL, "", out);
	if (terminal_silence(&t) == -1)
		return SECRET_FAILED;
	r = type_twice(&t, out);
	error = errno;
	terminal_restore(&t);
	errno = error;
	return r;
}

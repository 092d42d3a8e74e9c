/* SPDX-License-Identifier: ISC */
/*
 * `smtpd-vault -c`: one pki's files, looked at for `smtpd -n` and before a
 * reload by the code that will use them.
 *
 * The files are open already, by whoever may open them.  Nothing of the key is
 * printed.  Nothing here is fatal.
 */
#include "vault/check.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/time.h"
#include "vault/certificate.h"

#define FD_CERT	 0
#define FD_KEY	 3
#define FD_OCSP	 4

#define CERT_MAX (1U << 20)
#define KEY_MAX	 (64U << 10)

/* What can't be read is as good as empty; the certificate's code says so. */
static void
read_file(int fd, size_t max, struct buf *b)
{
	uint8_t chunk[4096];
	ssize_t n;

	buf_init(b, max);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 || buf_append(b, chunk, (size_t)n) == -1) {
			buf_free(b);
			break;
		}
	}
	explicit_bzero(chunk, sizeof(chunk));
}

static void
check_mode(struct certificate *c)
{
	struct stat st;

	if (fstat(FD_KEY, &st) == -1 || !S_ISREG(st.st_mode))
		return;
	if ((st.st_mode & S_IRWXO) != 0)
		certificate_problem(c, true,
		    "the key's file is open to everybody, mode %04o: chmod o= it",
		    (unsigned int)st.st_mode & 07777);
	else if ((st.st_mode & S_IWGRP) != 0)
		certificate_problem(c, false,
		    "the key's file may be written by its group, mode %04o: chmod g-w it",
		    (unsigned int)st.st_mode & 07777);
}

/* Of what is wrong with the files themselves, whatever the time. */
static bool
is_broken(const struct certificate *c)
{
	size_t i;

	for (i = 0; i < c->nproblems; i++)
		if (c->problems[i].is_error)
			return true;
	return false;
}

static int
print_problems(const struct certificate *c)
{
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	size_t n = certificate_problems(c, time_wall_s(), problems), i;
	int status = 0;

	for (i = 0; i < n; i++) {
		printf("%s: %s\n", problems[i].is_error ? "error" : "warning", problems[i].text);
		if (problems[i].is_error)
			status = CHECK_ERRORS;
	}
	return fflush(stdout) == 0 ? status : CHECK_BROKEN;
}

int
check_main(void)
{
	struct buf cert, key, ocsp;
	struct certificate c;
	bool broken;
	int status;

	read_file(FD_CERT, CERT_MAX, &cert);
	read_file(FD_KEY, KEY_MAX, &key);
	read_file(FD_OCSP, KEY_MAX, &ocsp);
	certificate_open(&c, &(struct certificate_files){{buf_head(&cert), cert.len},
				 {buf_head(&key), key.len}, {buf_head(&ocsp), ocsp.len}});
	broken = is_broken(&c);
	check_mode(&c);
	status = print_problems(&c);
	certificate_close(&c);
	buf_free(&cert);
	buf_free(&key);
	buf_free(&ocsp);
	return broken ? CHECK_BROKEN : status;
}

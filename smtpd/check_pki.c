/* SPDX-License-Identifier: ISC */
/*
 * Certificates, for smtpd -n and before a reload.  What is in them is not for
 * the parent to parse: the vault's program looks at each (vault/check.h).
 */
#include "smtpd/smtpd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smtpd/check_run.h"

enum { CERT, KEY, OCSP, NFILES };
_Static_assert(NFILES <= CHECK_RUN_FILES, "all of a pki's files are looked at together");

static const struct {
	enum ipc_data kind;
	const char *what;
} files[NFILES] = {
    [CERT] = {IPC_DATA_CERT, "certificate"},
    [KEY] = {IPC_DATA_KEY, "key"},
    [OCSP] = {IPC_DATA_OCSP, "OCSP response"},
};

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
	high = fcntl(fd, F_DUPFD_CLOEXEC, CHECK_RUN_ABOVE);
	(void)close(fd);
	return high;
}

static void
check_pki(struct checking *k, const struct conf_pki *p)
{
	const char *const paths[NFILES] = {p->cert, p->key, p->ocsp};
	struct check_run r = {.role = ROLE_VAULT,
	    .name = p->name,
	    .what = "certificate",
	    .key = "pki",
	    .event = "certificate-problem"};
	bool opened = true;
	size_t i;

	for (i = 0; i < NFILES; i++) {
		const struct secret_file f = {files[i].kind, p->name, paths[i]};

		if ((r.fd[i] = open_file(k, &f, files[i].what)) == -1)
			opened = false;
	}
	if (opened)
		check_run(k, &r);
	for (i = 0; i < NFILES; i++)
		if (r.fd[i] != -1)
			(void)close(r.fd[i]);
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

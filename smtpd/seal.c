/* SPDX-License-Identifier: ISC */
/*
 * What the vault keeps on disk: it can open no file, so that it says what is to be
 * kept under which name, and the parent keeps it.  The vault has sealed it before, by a
 * key that lies elsewhere: who reads the directory, from a backup say, learns nothing.
 *
 *   vault key		32 random octets, made here once
 *   vault directory	NAME for each thing; ".new" while one is being written
 *
 * Invariant: under a name there is what was kept there last or what was before it,
 * never a part; OK is said when the disk has it.  The vault chooses no path: it has a
 * file for each "oauth" of the configuration.
 */
#include "smtpd/smtpd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/check_url.h"

#define NAMES_MAX     1024 /* on disk: what a vault in wrong hands could fill */
#define QUESTIONS_MAX 64   /* a second, for the same reason */
#define FRESH	      ".new"

/* -- files -- */

static int
write_all(int fd, const uint8_t *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n) {
		do
			n = write(fd, data, len);
		while (n == -1 && errno == EINTR);
		if (n == -1)
			return -1;
	}
	return fsync(fd);
}

/* Takes the place of what was there when it is whole on the disk. */
static int
replace(int dir, const char *fresh, const char *name, struct span data)
{
	int fd, rc;

	(void)unlinkat(dir, fresh, 0);
	if ((fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) ==
	    -1)
		return -1;
	rc = write_all(fd, data.data, data.len);
	if (close(fd) == -1 || rc == -1 || renameat(dir, fresh, dir, name) == -1) {
		rc = errno;
		(void)unlinkat(dir, fresh, 0);
		errno = rc;
		return -1;
	}
	return fsync(dir);
}

/* One that is there will do.  What is kept in a new one is no safer than its name. */
static int
make_one(const char *path, mode_t mode)
{
	char copy[PATH_MAX];
	int dir, rc;

	if (mkdir(path, mode) == -1)
		return errno == EEXIST ? 0 : -1;
	if (str_copy(copy, sizeof(copy), path) == -1 ||
	    (dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	rc = fsync(dir);
	(void)close(dir);
	return rc;
}

/* Each part of the path that is missing; the last is ours alone to look into. */
static int
make_directory(const char *path)
{
	char part[PATH_MAX];
	size_t i;

	if (str_copy(part, sizeof(part), path) == -1)
		return -1;
	for (i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		part[i] = '\0';
		if (make_one(part, 0755) == -1)
			return -1;
		part[i] = '/';
	}
	return make_one(path, 0700);
}

const char *
seal_directory_fault(const struct stat *st)
{
	if (!S_ISDIR(st->st_mode))
		return "not a directory";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	return (st->st_mode & 077) != 0 ? "others can look into it; make it mode 0700" : NULL;
}

/* -1: why was logged; but not that there is none (ENOENT), when it is not to be made. */
static int
open_directory(const struct smtpd *d, bool make, const char **why)
{
	const char *path = d->conf->values.vault_directory;
	int fd = -1, error = 0;
	struct stat st;

	if ((make && make_directory(path) == -1) ||
	    (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 || fstat(fd, &st) == -1)
		error = errno;
	*why = error != 0 ? strerror(error) : seal_directory_fault(&st);
	if (*why == NULL)
		return fd;
	if (make || error != ENOENT)
		log_warn("event=vault-directory path=\"%s\" error=\"%s\"", path, *why);
	if (fd != -1)
		(void)close(fd);
	errno = error != 0 ? error : EPERM;
	return -1;
}

/* -- what there is -- */

static void
seals_clear(struct smtpd *d)
{
	size_t i;

	for (i = 0; i < d->nseals; i++) {
		free(d->seals[i].name);
		free(d->seals[i].path);
	}
	free(d->seals);
	d->seals = NULL;
	d->nseals = 0;
}

static int
seals_add(struct smtpd *d, const char *name)
{
	const char *directory = d->conf->values.vault_directory;
	struct seal_file *s = &d->seals[d->nseals];

	s->name = strdup(name);
	if (asprintf(&s->path, "%s/%s", directory, name) == -1)
		s->path = NULL;
	d->nseals++;
	return s->name == NULL || s->path == NULL ? -1 : 0;
}

static int
seals_read(struct smtpd *d, DIR *dir)
{
	const struct dirent *e;

	if ((d->seals = calloc(NAMES_MAX, sizeof(*d->seals))) == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL && d->nseals < NAMES_MAX)
		if (check_oauth_label(e->d_name) && seals_add(d, e->d_name) == -1)
			return -1;
	return 0;
}

/* -1: nobody can say what there is; it was logged. */
static int
seals_find(struct smtpd *d)
{
	const char *why;
	DIR *dir = NULL;
	int fd, rc;

	seals_clear(d);
	if ((fd = open_directory(d, false, &why)) == -1)
		return errno == ENOENT ? 0 : -1;
	if ((dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return -1;
	}
	if ((rc = seals_read(d, dir)) == -1) {
		log_warn("event=vault-directory error=\"out of memory\"");
		seals_clear(d);
	}
	(void)closedir(dir);
	return rc;
}

/* -- the key -- */

static int
make_key(const char *path)
{
	char copy[PATH_MAX], fresh[PATH_MAX], name[PATH_MAX];
	uint8_t key[SEAL_KEY_SIZE];
	int dir, rc = -1;

	if (str_copy(copy, sizeof(copy), path) == -1 ||
	    str_copy(name, sizeof(name), strrchr(path, '/') + 1) == -1 ||
	    str_format(fresh, sizeof(fresh), ".%s.new", name) == -1)
		return -1;
	if ((dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	if (getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key))
		rc = replace(dir, fresh, name, (struct span){key, sizeof(key)});
	explicit_bzero(key, sizeof(key));
	(void)close(dir);
	return rc;
}

/* Without its key, what was sealed is lost: a new one must not hide that the old is missing. */
static void
key_ensure(const struct smtpd *d)
{
	const char *path = d->conf->values.vault_key;

	if (access(path, F_OK) == 0 || errno != ENOENT)
		return; /* what is wrong with it is said when it is read */
	if (d->nseals > 0)
		log_warn(
		    "event=vault-key-missing path=\"%s\" directory=\"%s\" hint=\"bring the key "
		    "back, or empty the directory and log in again\"",
		    path, d->conf->values.vault_directory);
	else if (make_key(path) == -1)
		log_warn(
		    "event=vault-key-not-made path=\"%s\" error=\"%s\"", path, strerror(errno));
	else
		log_info("event=vault-key-made path=\"%s\"", path);
}

void
seal_prepare(struct smtpd *d)
{
	if (d->conf->noauths == 0) {
		seals_clear(d);
		return;
	}
	if (seals_find(d) == 0)
		key_ensure(d);
}

void
seal_free(struct smtpd *d)
{
	seals_clear(d);
}

/* -- what the vault asks for -- */

static bool
is_too_often(struct child *vault, int64_t now_ms)
{
	if (now_ms - vault->seal_ms >= 1000) {
		vault->seal_ms = now_ms;
		vault->nseals = 0;
	}
	return ++vault->nseals > QUESTIONS_MAX;
}

static int
forget(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		return -1;
	return fsync(dir);
}

/* How many names there are, ".new" not counted; NAMES_MAX if it can't be said. */
static size_t
count_names(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	DIR *names = NULL;
	size_t n = 0;

	if (fd == -1 || (names = fdopendir(fd)) == NULL) {
		if (fd != -1)
			(void)close(fd);
		return NAMES_MAX;
	}
	while ((e = readdir(names)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(names);
	return n;
}

static const char *
keep_in(int dir, const struct msg_seal *m)
{
	int rc;

	if (count_names(dir) >= NAMES_MAX && faccessat(dir, m->name, F_OK, 0) == -1)
		return "too many of them";
	rc = m->data.len == 0 ? forget(dir, m->name) : replace(dir, FRESH, m->name, m->data);
	return rc == -1 ? strerror(errno) : NULL;
}

static enum ipc_outcome
keep(struct child *vault, const struct msg_seal *m, const char **why)
{
	struct smtpd *d = vault->smtpd;
	int dir;

	if (is_too_often(vault, time_mono_ms())) {
		*why = "too often";
		return IPC_RETRY;
	}
	if (conf_oauth_find(d->conf, m->name) == NULL) {
		*why = "smtpd.conf has no such oauth";
		return IPC_FAIL;
	}
	if ((dir = open_directory(d, true, why)) == -1)
		return IPC_RETRY;
	*why = keep_in(dir, m);
	(void)close(dir);
	return *why == NULL ? IPC_OK : IPC_RETRY;
}

void
seal_answer(struct child *vault, const struct msg_seal *m)
{
	struct msg_sealed answer = {.req = m->req, .text = ""};
	const char *why = NULL;

	answer.outcome = (uint8_t)keep(vault, m, &why);
	if (answer.outcome != IPC_OK)
		answer.text = why;
	(void)channel_send(vault->ch, MSG_sealed, &answer);
}

/* SPDX-License-Identifier: ISC */
/*
 * smtpd -n: everything the server would need, tried without starting it.
 * The text of smtpd.conf was checked before; here it is the host's turn.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"

struct checking {
	struct smtpd *d;
	unsigned int problems;
};

static void
problem(struct checking *k, const char *what, const char *name, const char *why)
{
	char quoted[512];

	str_quote(quoted, sizeof(quoted), name);
	(void)fprintf(stderr, "smtpd: %s %s: %s\n", what, quoted, why);
	k->problems++;
}

static void
check_readable(struct checking *k, const char *what, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -1) {
		problem(k, what, path, strerror(errno));
		return;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		problem(k, what, path, "not a plain file");
	(void)close(fd);
}

static void
check_key(struct checking *k, const char *path)
{
	struct stat st;

	check_readable(k, "key", path);
	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		problem(k, "key", path, "others can read it; make it mode 0600");
}

static void
check_files(struct checking *k)
{
	const struct conf *c = k->d->conf;
	size_t i;

	for (i = 0; i < c->ntables; i++)
		if (c->tables[i].kind == CONF_TABLE_FILE)
			check_readable(k, "table file", c->tables[i].path);
	for (i = 0; i < c->npkis; i++) {
		if (c->pkis[i].cert != NULL)
			check_readable(k, "certificate", c->pkis[i].cert);
		if (c->pkis[i].key != NULL)
			check_key(k, c->pkis[i].key);
	}
}

static void
check_programs(struct checking *k)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < role_nrows; i++)
		if (str_format(path, sizeof(path), "%s/%s", k->d->libexec,
			role_program(role_rows[i].role)) == -1 ||
		    access(path, X_OK) == -1)
			problem(k, "program", path, strerror(errno));
}

static void
check_accounts(struct checking *k)
{
	struct account account;
	size_t i;

	if (!k->d->privileged || k->d->uid_base != 0)
		return;
	for (i = 0; i < role_nrows; i++)
		if (role_rows[i].account != NULL &&
		    account_find(role_rows[i].account, &account) != IPC_OK)
			problem(k, "account", role_rows[i].account, "no such account");
}

static void
check_actions(struct checking *k)
{
	const struct conf *c = k->d->conf;
	struct account account;
	size_t i;

	for (i = 0; i < c->nactions; i++)
		if (c->actions[i].user != NULL && c->actions[i].userbase == NULL &&
		    account_find(c->actions[i].user, &account) != IPC_OK)
			problem(k, "user", c->actions[i].user, "no such account");
}

static void
check_parent_of(struct checking *k, const char *what, const char *path)
{
	char copy[PATH_MAX];
	struct stat st;

	if (str_copy(copy, sizeof(copy), path) == -1) {
		problem(k, what, path, strerror(errno));
		return;
	}
	if (stat(dirname(copy), &st) == -1)
		problem(k, what, path, "its directory does not exist");
	else if (!S_ISDIR(st.st_mode))
		problem(k, what, path, "what it should lie in is not a directory");
}

static void
check_listeners(struct checking *k)
{
	const struct conf *c = k->d->conf;
	size_t i;

	for (i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->unix_path)
			check_parent_of(k, "socket", l->host);
		if (l->group != NULL && getgrnam(l->group) == NULL)
			problem(k, "group", l->group, "no such group");
	}
}

static void
print_effective(struct smtpd *d)
{
	struct buf text;

	buf_init(&text, CONF_TEXT_MAX);
	if (conf_dump(d->conf, CONF_FOR_ALL, &text) == 0)
		(void)fwrite(buf_head(&text), 1, text.len, stdout);
	buf_free(&text);
}

int
check_all(struct smtpd *d)
{
	struct checking k = {.d = d};

	check_files(&k);
	check_programs(&k);
	check_accounts(&k);
	check_actions(&k);
	check_listeners(&k);
	check_parent_of(&k, "spool directory", d->conf->values.spool);
	check_parent_of(&k, "admin socket", d->conf->values.socket);
	if (d->verbose)
		print_effective(d);
	if (k.problems > 0) {
		(void)fprintf(
		    stderr, "smtpd: %u problem%s\n", k.problems, k.problems == 1 ? "" : "s");
		return 1;
	}
	(void)fprintf(stderr, "smtpd: configuration OK\n");
	return 0;
}

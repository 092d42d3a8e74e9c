/* SPDX-License-Identifier: ISC */
/*
 * smtpd -n: everything the server would need, tried without starting it.
 * The text of smtpd.conf was checked before; here it is the host's turn.
 *
 * Unix sockets are made and removed by path, at times as root.  Invariant: on
 * the way to one nobody else can put anything in the place of anything.
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

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/table_program.h"
#include "smtpd/accounts.h"

#define LINKS_MAX 16 /* on the way to one file */

/* -- the way to a socket -- */

struct walk {
	char done[PATH_MAX]; /* looked at, and no symbolic link in it; "": the root directory */
	char rest[PATH_MAX];
	unsigned int links;
};

/* In a sticky directory others can't move what is not theirs. */
static const char *
way_fault(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to another user";
	if (S_ISLNK(st->st_mode))
		return NULL;
	if (!S_ISDIR(st->st_mode))
		return "is not a directory";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st->st_mode & S_ISVTX) == 0)
		return "can be written by others";
	return NULL;
}

static void
walk_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* One name from the rest. */
static int
walk_on(struct walk *w)
{
	size_t at = strspn(w->rest, "/"), len = strcspn(w->rest + at, "/");
	char name[PATH_MAX];

	(void)snprintf(name, sizeof(name), "/%.*s", (int)len, w->rest + at);
	memmove(w->rest, w->rest + at + len, strlen(w->rest + at + len) + 1);
	if (strcmp(name, "/..") == 0)
		walk_up(w);
	else if (strcmp(name, "/.") != 0)
		return str_append(w->done, sizeof(w->done), name);
	return 0;
}

/* What the symbolic link says, in its place. */
static int
walk_follow(struct walk *w)
{
	char target[PATH_MAX] = "";

	if (++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (readlink(w->done, target, sizeof(target) - 1) == -1 ||
	    str_append(target, sizeof(target), w->rest) == -1)
		return -1;
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		walk_up(w);
	return str_copy(w->rest, sizeof(w->rest), target);
}

static int
way_refused(const struct walk *w, const char *fault, char why[CHECK_WHY_MAX])
{
	(void)snprintf(why, CHECK_WHY_MAX, "%s %s", w->done[0] == '\0' ? "/" : w->done, fault);
	return -1;
}

int
check_way(const char *path, char why[CHECK_WHY_MAX])
{
	struct walk w = {0};
	struct stat st;
	const char *fault;

	if (str_format(w.rest, sizeof(w.rest), "%.*s", (int)(strrchr(path, '/') - path), path) ==
	    -1)
		return way_refused(&w, strerror(errno), why);
	for (;;) {
		if (lstat(w.done[0] == '\0' ? "/" : w.done, &st) == -1)
			fault = errno == ENOENT ? "does not exist" : strerror(errno);
		else
			fault = way_fault(&st);
		if (fault != NULL)
			return way_refused(&w, fault, why);
		if (!S_ISLNK(st.st_mode) && w.rest[strspn(w.rest, "/")] == '\0')
			return 0;
		if ((S_ISLNK(st.st_mode) ? walk_follow(&w) : walk_on(&w)) == -1)
			return way_refused(&w, strerror(errno), why);
	}
}

const char *
check_group(const char *name, gid_t *gid)
{
	const struct group *gr;

	errno = 0;
	if ((gr = getgrnam(name)) == NULL)
		return errno == 0 ? "no such group" : strerror(errno);
	*gid = gr->gr_gid;
	return NULL;
}

/* -- smtpd -n -- */

void
check_problem(struct checking *k, const char *what, const char *name, const char *why)
{
	char quoted[512];

	str_quote(quoted, sizeof(quoted), name);
	if (k->logs)
		log_warn("event=file-not-read kind=\"%s\" path=%s error=\"%s\"", what, quoted, why);
	else
		(void)fprintf(stderr, "smtpd: %s %s: %s\n", what, quoted, why);
	k->problems++;
}

static void
check_program(struct checking *k, const char *name, const char *word)
{
	char path[PATH_MAX];

	if (str_format(path, sizeof(path), "%s/%s%s", k->d->libexec, name, word) == -1 ||
	    access(path, X_OK) == -1)
		check_problem(k, "program", path, strerror(errno));
}

static void
check_table_programs(struct checking *k, const char *name)
{
	char word[64];
	enum table_program p;

	for (p = 0; p < TABLE_PROGRAM__MAX; p++)
		if (table_program_is_used(k->d->conf, p) &&
		    str_format(word, sizeof(word), "-%s", table_program_word(p)) == 0)
			check_program(k, name, word);
}

/* A role that the configuration has no work for needs no account. */
static bool
is_needed(const struct conf *c, const struct role_row *row)
{
	enum table_program p;

	if (row->role == ROLE_FETCH)
		return c->noauths > 0;
	for (p = 0; p < TABLE_PROGRAM__MAX; p++)
		if (table_program_is_used(c, p))
			return true;
	return row->count != COUNT_TABLES;
}

static void
check_programs(struct checking *k)
{
	size_t i;

	for (i = 0; i < role_nrows; i++)
		if (role_rows[i].count == COUNT_TABLES)
			check_table_programs(k, role_program(role_rows[i].role));
		else if (is_needed(k->d->conf, &role_rows[i]))
			check_program(k, role_program(role_rows[i].role), "");
}

static void
check_accounts(struct checking *k)
{
	struct account account;
	size_t i;

	if (!k->d->privileged || k->d->uid_base != 0)
		return;
	for (i = 0; i < role_nrows; i++)
		if (role_rows[i].account != NULL && is_needed(k->d->conf, &role_rows[i]) &&
		    account_find_now(role_rows[i].account, &account) != IPC_OK)
			check_problem(k, "account", role_rows[i].account, "no such account");
}

static void
check_actions(struct checking *k)
{
	const struct conf *c = k->d->conf;
	struct account account;
	size_t i;

	for (i = 0; i < c->nactions; i++)
		if (c->actions[i].user != NULL && c->actions[i].userbase == NULL &&
		    account_find_now(c->actions[i].user, &account) != IPC_OK)
			check_problem(k, "user", c->actions[i].user, "no such account");
}

static void
check_parent_of(struct checking *k, const char *what, const char *path)
{
	char copy[PATH_MAX];
	struct stat st;

	if (str_copy(copy, sizeof(copy), path) == -1) {
		check_problem(k, what, path, strerror(errno));
		return;
	}
	if (stat(dirname(copy), &st) == -1)
		check_problem(k, what, path, "its directory does not exist");
	else if (!S_ISDIR(st.st_mode))
		check_problem(k, what, path, "what it should lie in is not a directory");
}

static void
check_socket(struct checking *k, const char *what, const char *path)
{
	char why[CHECK_WHY_MAX];

	if (check_way(path, why) == -1)
		check_problem(k, what, path, why);
}

static void
check_listeners(struct checking *k)
{
	const struct conf *c = k->d->conf;
	const char *why;
	gid_t gid;
	size_t i;

	for (i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (l->unix_path)
			check_socket(k, "socket", l->host);
		if (l->group != NULL && (why = check_group(l->group, &gid)) != NULL)
			check_problem(k, "group", l->group, why);
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

	check_tables(&k);
	check_pkis(&k);
	check_programs(&k);
	check_accounts(&k);
	check_actions(&k);
	check_listeners(&k);
	check_relays(&k);
	check_parent_of(&k, "spool directory", d->conf->values.spool);
	check_socket(&k, "admin socket", d->conf->values.socket);
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

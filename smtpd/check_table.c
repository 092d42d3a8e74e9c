/* SPDX-License-Identifier: ISC */
/*
 * Tables, for smtpd -n: their files can be read, the small configurations say
 * what smtpd.conf needs, and what is in a database or an indexed file is what it
 * should be.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf/postgres.h"
#include "lib/conf/regex_text.h"
#include "lib/conf/service.h"
#include "lib/conf/table_entry.h"
#include "smtpd/check_run.h"

#define PATTERNS_TEXT_MAX (4U << 20) /* octets of a file of regular expressions */

/* Whatever is open, out of the way of the descriptors of a program that is to look at it; -1: it was said. */
static int
open_plain(struct checking *k, const char *what, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), high = -1;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		check_problem(k, what, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		check_problem(k, what, path, "not a plain file");
	else if ((high = fcntl(fd, F_DUPFD_CLOEXEC, CHECK_RUN_ABOVE)) == -1)
		check_problem(k, what, path, strerror(errno));
	if (fd != -1)
		(void)close(fd);
	return high;
}

/* An expression that lookup would refuse leaves its rule undecided. */
static void
check_patterns(struct checking *k, const struct conf_table *t)
{
	struct table_entries entries;
	struct table_entry e;
	char shown[FILES_WHY_MAX];
	struct buf text;
	const char *why;

	buf_init(&text, PATTERNS_TEXT_MAX);
	if (files_read(NULL, t->path, &text) == -1 || buf_append(&text, "", 1) == -1) {
		check_problem(k, "table file", t->path, strerror(errno));
		buf_free(&text);
		return;
	}
	table_entries_init(
	    &entries, (char *)text.data + text.head, text.len - 1, TABLE_ENTRY_NAMES);
	while (table_entries_next(&entries, &e)) {
		if (e.why != NULL || (why = regex_fault(e.key)) == NULL)
			continue;
		(void)snprintf(shown, sizeof(shown), "line %zu: %s", e.line, why);
		check_problem(k, "table file", t->path, shown);
	}
	buf_free(&text);
}

static void
check_text(struct checking *k, const struct conf_table *t)
{
	int fd = open_plain(k, "table file", t->path);
	const char *fault;

	if (fd == -1)
		return;
	fault = files_text_fault(fd);
	(void)close(fd);
	if (fault != NULL)
		check_problem(k, "table file", t->path, fault);
	else if (conf_table_has_patterns(k->d->conf, t->name))
		check_patterns(k, t);
}

static void
check_index(struct checking *k, const struct conf_table *t)
{
	int fd = open_plain(k, "table file", t->path);
	const char *fault;

	if (fd == -1)
		return;
	if ((fault = files_index_fault(fd)) != NULL)
		check_problem(k, "table file", t->path, fault);
	(void)close(fd);
}

/* -- a data base -- */

/* What smtpd.conf asks the table for, and nothing says how. */
static void
check_services(struct checking *k, const struct conf_table *t, const struct database *db)
{
	unsigned int wanted = conf_table_services(k->d->conf, t->name);
	enum table_service s;
	char why[128];

	for (s = 0; s < SERVICE__MAX; s++) {
		if ((wanted & 1U << s) == 0 || database_service(db, s) != SERVICE__MAX)
			continue;
		(void)snprintf(why, sizeof(why), "table <%.32s> is asked for '%s': no 'query_%s'",
		    t->name, service_word(s), service_word(s));
		check_problem(k, "table file", t->path, why);
	}
}

/* The hasher's program knows SQLite, and this database; whoever will ask it. */
static void
check_sqlite(struct checking *k, const struct conf_table *t)
{
	struct check_run r = {.role = ROLE_HASHER,
	    .name = t->name,
	    .what = "table",
	    .key = "table",
	    .event = "table-problem",
	    .fd = {-1, -1, -1}};
	char why[FILES_WHY_MAX];
	struct database db;

	if (files_database(DATABASE_SQLITE, t->path, &db, why) == -1) {
		check_problem(k, "table file", t->path, why);
		return;
	}
	check_services(k, t, &db);
	if ((r.fd[0] = open_plain(k, "table file", t->path)) != -1 &&
	    (r.fd[1] = open_plain(k, "database", db.place)) != -1)
		check_run(k, &r);
	if (r.fd[0] != -1)
		(void)close(r.fd[0]);
	if (r.fd[1] != -1)
		(void)close(r.fd[1]);
	database_free(&db);
}

static void
check_postgres(struct checking *k, const struct conf_table *t)
{
	char why[FILES_WHY_MAX];
	struct postgres p;

	if (files_postgres(t->path, &p, why) == -1) {
		check_problem(k, "table file", t->path, why);
		return;
	}
	check_services(k, t, &p.db);
	postgres_free(&p);
}

/* -- others -- */

/* Whoever listens may not run yet; but there must be something to connect to when he does. */
static void
check_back_end(struct checking *k, const struct conf_table *t)
{
	struct stat st;

	if (stat(t->path, &st) == -1)
		check_problem(k, "socket", t->path, strerror(errno));
	else if (!S_ISSOCK(st.st_mode))
		check_problem(k, "socket", t->path, "not a socket");
}

void
check_tables(struct checking *k)
{
	static void (*const checks[])(struct checking *, const struct conf_table *) = {
	    [CONF_TABLE_FILE] = check_text,
	    [CONF_TABLE_CDB] = check_index,
	    [CONF_TABLE_SQLITE] = check_sqlite,
	    [CONF_TABLE_POSTGRES] = check_postgres,
	    [CONF_TABLE_DOVECOT] = check_back_end,
	    [CONF_TABLE_HELPER] = check_back_end,
	};
	const struct conf *c = k->d->conf;
	size_t i;

	for (i = 0; i < c->ntables; i++) {
		const struct conf_table *t = &c->tables[i];

		if ((size_t)t->kind < NITEMS(checks) && checks[t->kind] != NULL)
			checks[t->kind](k, t);
	}
}

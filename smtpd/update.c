/* SPDX-License-Identifier: ISC */
/*
 * `smtpctl update table`: the files of one table, read again and handed to whoever
 * has it.  The answer says whether they could be; what is in them is
 * judged, and its faults are logged, by who reads it.
 *
 * Invariant: nothing but this table changes.  Nothing is fatal.
 */
#include "smtpd/smtpd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/postgres.h"

struct update {
	struct smtpd *smtpd;
	const struct conf_table *table;
	char text[IPC_TEXT_MAX + 1]; /* who has it now; or why not */
};

static enum ipc_outcome
fail(struct update *u, enum ipc_outcome outcome, const char *why)
{
	str_cut(u->text, sizeof(u->text), why);
	return outcome;
}

static bool
is_there(const struct child *c)
{
	return c->ch != NULL && c->locked && !c->draining;
}

/* -- a table of the vault, whose files are read for it -- */

static const char *
secret_fault(const struct conf_table *t)
{
	const struct secret_file f = {IPC_DATA_TABLE, t->name, t->path};
	struct stat st;
	const char *why;
	int fd;

	if ((why = secrets_open(&f, &fd, &st)) == NULL)
		(void)close(fd);
	return why;
}

static enum ipc_outcome
update_secret(struct update *u)
{
	const char *why = secret_fault(u->table);
	struct child *c;

	if (why != NULL) {
		(void)snprintf(u->text, sizeof(u->text), "%.200s: %s", u->table->path, why);
		return IPC_FAIL;
	}
	TAILQ_FOREACH (c, &u->smtpd->children, entry) {
		if (c->row->role != ROLE_VAULT || !is_there(c))
			continue;
		if (c->feed.active)
			return fail(u, IPC_RETRY, "the vault is being configured; try again");
		if (slice_send_tables(c) == -1)
			return fail(u, IPC_RETRY, "the vault can't be told");
		return fail(u, IPC_OK, "vault");
	}
	return fail(u, IPC_RETRY, "the vault is not running; it will read the table when it is");
}

/* -- a table that is handed over open -- */

/* Where hosts are in it, their ports may be others now. */
static void
update_ports(const struct update *u)
{
	struct child *c;

	TAILQ_FOREACH (c, &u->smtpd->children, entry)
		if (c->row->ports == PORTS_SMTP && is_there(c))
			(void)reload_ports(c);
}

static enum ipc_outcome
update_open(struct update *u)
{
	char why[FILES_WHY_MAX];
	unsigned int sent = 0;
	struct child *c;

	TAILQ_FOREACH (c, &u->smtpd->children, entry) {
		enum files_sent rc = is_there(c) ? files_send_table(c, u->table, why)
						 : FILES_NOT_ITS;

		if (rc == FILES_UNREAD)
			return fail(u, IPC_FAIL, why);
		if (rc == FILES_SENT)
			(void)reload_ports(c);
		if (rc == FILES_SENT && sent++ == 0)
			(void)fail(u, IPC_OK, role_word(c->row->role));
	}
	if (sent > 0) {
		update_ports(u);
		return IPC_OK;
	}
	return fail(u, IPC_RETRY, "who reads it is not running, and will read it when it is");
}

/* Who remembers what a server said of it asks anew. */
static void
forget_answers(const struct update *u)
{
	const struct msg_table_update m = {.table = u->table->name};
	struct child *c;

	TAILQ_FOREACH (c, &u->smtpd->children, entry)
		if (c->row->role == ROLE_LOOKUP && is_there(c))
			(void)channel_send(c->ch, MSG_table_update, &m);
}

/* Who has it would keep the old one, and nobody would tell who asked. */
static enum ipc_outcome
update_postgres(struct update *u)
{
	char why[FILES_WHY_MAX];
	enum ipc_outcome outcome;
	struct postgres p;

	if (files_postgres(u->table->path, &p, why) == -1) {
		(void)snprintf(u->text, sizeof(u->text), "%.200s: %s", u->table->path, why);
		return IPC_FAIL;
	}
	postgres_free(&p);
	outcome = update_open(u);
	forget_answers(u);
	return outcome;
}

static enum ipc_outcome
update(struct update *u)
{
	switch (u->table->kind) {
	case CONF_TABLE_FILE:
		if (conf_table_is_secret(u->smtpd->conf, u->table->name))
			return update_secret(u);
		return update_open(u);
	case CONF_TABLE_CDB:
	case CONF_TABLE_SQLITE:
		return update_open(u);
	case CONF_TABLE_POSTGRES:
		return update_postgres(u);
	case CONF_TABLE_LIST:
	case CONF_TABLE_MAP:
		return fail(u, IPC_FAIL,
		    "it is written in smtpd.conf itself: a reload (SIGHUP) reads that again");
	default:
		return fail(u, IPC_FAIL, "it has no file: who keeps it is asked each time");
	}
}

/* -- the question -- */

/* "no such table", and which may have been meant. */
static void
say_unknown(const struct conf *conf, const char *name, char *text, size_t size)
{
	const char **names = calloc(conf->ntables + 1, sizeof(char *)), *near = NULL;
	size_t i;

	if (names != NULL) {
		for (i = 0; i < conf->ntables; i++)
			names[i] = conf->tables[i].name;
		near = str_nearest(name, names);
		free(names);
	}
	if (near != NULL)
		(void)snprintf(text, size, "no such table, did you mean \"%s\"?", near);
	else
		(void)snprintf(text, size, "no such table");
}

void
update_answer(struct child *control, const struct msg_table_update *m)
{
	struct update u = {.smtpd = control->smtpd, .text = ""};
	struct msg_done done = {.req = m->req, .outcome = IPC_FAIL, .text = u.text};
	struct logline l;

	if ((u.table = conf_table_find(u.smtpd->conf, m->table)) == NULL)
		say_unknown(u.smtpd->conf, m->table, u.text, sizeof(u.text));
	else
		done.outcome = (uint8_t)update(&u);
	logline_start(&l, LOG_LEVEL_INFO, "table-update");
	logline_str(&l, "table", m->table);
	logline_str(&l, done.outcome == IPC_OK ? "read-by" : "error", u.text);
	logline_end(&l);
	(void)channel_send(control->ch, MSG_done, &done);
}

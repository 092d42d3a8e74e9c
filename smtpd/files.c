/* SPDX-License-Identifier: ISC */
/*
 * Files that a process is handed open, so that it needs no right to open any:
 * tables, the resolver's files, authorities.  A file that can't be
 * opened is logged and left out: who needs it answers 4xx.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/database.h"

int
files_read(void *arg, const char *path, struct buf *out)
{
	int fd, error, rc = -1;
	struct stat st;
	uint8_t *p;
	ssize_t n;

	(void)arg;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		goto out;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		goto out;
	}
	for (;;) {
		if ((p = buf_reserve(out, 4096)) == NULL)
			goto out;
		if ((n = read(fd, p, 4096)) <= 0)
			break;
		buf_commit(out, (size_t)n);
	}
	rc = n == 0 ? 0 : -1;
out:
	error = errno;
	(void)close(fd);
	errno = error;
	return rc;
}

static void
log_unread(const struct child *c, enum log_level level, const char *path, const char *why)
{
	struct logline l;

	logline_start(&l, level, "file-not-read");
	logline_str(&l, "path", path);
	logline_str(&l, "for", child_name(c));
	logline_str(&l, "error", why);
	logline_end(&l);
}

static void
send_file(struct child *c, enum ipc_file kind, const char *name, const char *path)
{
	struct msg_file m = {.kind = (uint8_t)kind, .name = name};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1)
		(void)channel_send_fd(c->ch, MSG_file, &m, fd);
	else
		log_unread(c, kind == IPC_FILE_TABLE ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, path,
		    strerror(errno));
}

/* The database, and the small file that says what to ask it (vault/hasher_sqlite.h). */
static void
send_database(struct child *c, const struct conf_table *t)
{
	char name[IPC_NAME_MAX + 1], why[FILES_WHY_MAX];
	struct database db;

	if (files_database(t->path, &db, why) == -1) {
		log_unread(c, LOG_LEVEL_WARN, t->path, why);
		return;
	}
	if (str_format(name, sizeof(name), "%s#conf", t->name) == 0) {
		send_file(c, IPC_FILE_TABLE, name, t->path);
		send_file(c, IPC_FILE_TABLE, t->name, db.dbpath);
	}
	database_free(&db);
}

static void
send_tables(struct child *c)
{
	const struct conf *conf = c->smtpd->conf;
	size_t i;

	for (i = 0; i < conf->ntables; i++) {
		const struct conf_table *t = &conf->tables[i];

		if (c->row->role == ROLE_HASHER && t->kind == CONF_TABLE_SQLITE)
			send_database(c, t);
		if (c->row->role == ROLE_LOOKUP && t->kind == CONF_TABLE_FILE &&
		    !conf_table_is_secret(conf, t->name))
			send_file(c, IPC_FILE_TABLE, t->name, t->path);
	}
}

void
files_send(struct child *c)
{
	const struct conf_values *v = &c->smtpd->conf->values;

	send_tables(c);
	if (c->row->role == ROLE_LOOKUP) {
		if (v->trust_anchor != NULL)
			send_file(c, IPC_FILE_ANCHOR, "anchor", v->trust_anchor);
		if (v->resolver_forward == NULL && v->resolv_conf != NULL)
			send_file(c, IPC_FILE_RESOLV, "resolv.conf", v->resolv_conf);
	}
	if (c->row->role == ROLE_DELIVERY && v->ca_file != NULL)
		send_file(c, IPC_FILE_CA, "ca", v->ca_file);
}

int
files_database(const char *path, struct database *db, char why[FILES_WHY_MAX])
{
	struct database_error error;
	struct buf text;
	int rc = -1;

	buf_init(&text, DATABASE_TEXT_MAX);
	if (files_read(NULL, path, &text) == -1)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else if (database_parse((const char *)buf_head(&text), text.len, db, &error) == 0)
		rc = 0;
	else if (errno != EINVAL)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else
		(void)snprintf(why, FILES_WHY_MAX, "line %u: %s", error.line, error.text);
	buf_free(&text);
	return rc;
}

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
#include "lib/conf/anchor.h"
#include "lib/conf/database.h"
#include "lib/conf/postgres.h"
#include "lib/conf/table_index.h"
#include "lib/conf/table_program.h"
#include "lib/conf/table_text.h"
#include "smtpd/include.h"

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

/* A plain file, opened so that a FIFO can't hang us.  -1: what is wrong with it is in why. */
static int
open_plain(const char *path, char why[FILES_WHY_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		(void)snprintf(why, FILES_WHY_MAX, "not a plain file");
	else
		return fd;
	if (fd != -1)
		(void)close(fd);
	return -1;
}

/* -- tables -- */

static int
read_at(void *arg, uint64_t offset, void *dst, size_t n)
{
	const int *fd = arg;

	if (pread(*fd, dst, n, (off_t)offset) == (ssize_t)n)
		return 0;
	errno = EPROTO;
	return -1;
}

const char *
files_index_fault(int fd)
{
	struct table_index x = {.read_at = read_at, .arg = &fd};
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	x.size = (uint64_t)st.st_size;
	return table_index_open(&x) == -1 ? "damaged, or not made by smtpctl table build" : NULL;
}

enum part { PART_PLAIN, PART_TEXT, PART_INDEX, PART_DATABASE };

const char *
files_text_fault(int fd)
{
	char piece[16384];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, piece, sizeof(piece), at)) > 0) {
		if (memchr(piece, '\0', (size_t)n) != NULL)
			return "a NUL octet: this is no text";
		if ((at += n) > (off_t)TABLE_TEXT_MAX)
			return "too large";
	}
	return n == -1 ? strerror(errno) : NULL;
}

/* What is no database at all must not take the place of one; what else may be wrong, its reader says. */
static const char *
part_fault(enum part part, int fd)
{
	uint8_t head[DATABASE_FILE_HEAD];
	ssize_t n;

	if (part == PART_INDEX)
		return files_index_fault(fd);
	if (part == PART_TEXT)
		return files_text_fault(fd);
	if (part != PART_DATABASE || (n = pread(fd, head, sizeof(head), 0)) < 0)
		return NULL;
	return database_file_of(head, (size_t)n) == DATABASE_FILE_OTHER ? "not a SQLite database"
									: NULL;
}

/* Sends one file; -1: it was logged, and why tells the path too. */
static int
send_part(
    struct child *c, const char *name, const char *path, enum part part, char why[FILES_WHY_MAX])
{
	struct msg_file m = {.kind = IPC_FILE_TABLE, .name = name};
	char reason[FILES_WHY_MAX];
	const char *fault = reason;
	int fd = open_plain(path, reason);

	if (fd != -1)
		fault = part_fault(part, fd);
	if (fault != NULL) {
		log_unread(c, LOG_LEVEL_WARN, path, fault);
		(void)snprintf(why, FILES_WHY_MAX, "%.100s: %.120s", path, fault);
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	if (part == PART_TEXT) /* what it includes follows by and by */
		include_open(c, name, fd);
	(void)channel_send_fd(c->ch, MSG_file, &m, fd);
	return 0;
}

static int
send_text(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX])
{
	return send_part(c, t->name, t->path, PART_TEXT, why);
}

static int
send_index(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX])
{
	return send_part(c, t->name, t->path, PART_INDEX, why);
}

static int
send_plain(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX])
{
	return send_part(c, t->name, t->path, PART_PLAIN, why);
}

/* The small file that says what to ask it, and the database (lib/sqlite/source.h). */
static int
send_database(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX])
{
	char name[IPC_NAME_MAX + 1], reason[FILES_WHY_MAX];
	struct database db;
	int rc = -1;

	if (files_database(DATABASE_SQLITE, t->path, &db, reason) == -1) {
		log_unread(c, LOG_LEVEL_WARN, t->path, reason);
		(void)snprintf(why, FILES_WHY_MAX, "%.100s: %.120s", t->path, reason);
		return -1;
	}
	/* The one that may be wrong first: what asks a database goes with it. */
	if (str_format(name, sizeof(name), "%s#conf", t->name) == 0 &&
	    send_part(c, t->name, db.place, PART_DATABASE, why) == 0)
		rc = send_part(c, name, t->path, PART_PLAIN, why);
	database_free(&db);
	return rc;
}

/* Who is handed which; what is in secret files of text is read for the vault (secrets.c). */
static const struct {
	enum conf_table_kind kind;
	enum role role;
	bool secret, open; /* which of the tables of this kind */
	int (*send)(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX]);
} ways[] = {
    {CONF_TABLE_FILE, ROLE_LOOKUP, false, true, send_text},
    {CONF_TABLE_CDB, ROLE_LOOKUP, false, true, send_index},
    {CONF_TABLE_SQLITE, ROLE_LOOKUP, false, true, send_database},
    {CONF_TABLE_SQLITE, ROLE_HASHER, true, false, send_database},
    {CONF_TABLE_POSTGRES, ROLE_TABLE, true, true, send_plain},
};

/* Of the programs that know tables, each has those of its kind. */
static bool
is_of_kind(const struct child *c, const struct conf_table *t)
{
	return c->row->count != COUNT_TABLES ||
	       table_program_of(t->kind) == (enum table_program)c->instance;
}

enum files_sent
files_send_table(struct child *c, const struct conf_table *t, char why[FILES_WHY_MAX])
{
	bool secret = conf_table_is_secret(c->smtpd->conf, t->name);
	size_t i;

	for (i = 0; i < NITEMS(ways); i++)
		if (ways[i].kind == t->kind && ways[i].role == c->row->role && is_of_kind(c, t) &&
		    (secret ? ways[i].secret : ways[i].open))
			return ways[i].send(c, t, why) == -1 ? FILES_UNREAD : FILES_SENT;
	return FILES_NOT_ITS;
}

/* -- all that a process is handed -- */

static void
send_file(struct child *c, enum ipc_file kind, const char *name, const char *path)
{
	struct msg_file m = {.kind = (uint8_t)kind, .name = name};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1)
		(void)channel_send_fd(c->ch, MSG_file, &m, fd);
	else
		log_unread(c, kind == IPC_FILE_ANCHOR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, path,
		    strerror(errno));
}

/* A trust anchor may be written in smtpd.conf itself. */
static void
send_resolver_files(struct child *c)
{
	const struct conf_values *v = &c->smtpd->conf->values;

	if (v->trust_anchor != NULL && !anchor_is_record(v->trust_anchor))
		send_file(c, IPC_FILE_ANCHOR, "anchor", v->trust_anchor);
	if (v->resolver_forward == NULL && v->resolv_conf != NULL)
		send_file(c, IPC_FILE_RESOLV, "resolv.conf", v->resolv_conf);
}

static bool
is_of_relay(const struct conf *conf, const struct conf_ca *ca)
{
	size_t i;

	for (i = 0; i < conf->nactions; i++)
		if (conf->actions[i].ca != NULL && strcmp(conf->actions[i].ca, ca->name) == 0)
			return true;
	return false;
}

/* Those that a relay trusts instead of all. */
static void
send_authorities(struct child *c)
{
	const struct conf *conf = c->smtpd->conf;
	size_t i;

	for (i = 0; i < conf->ncas; i++)
		if (is_of_relay(conf, &conf->cas[i]))
			send_file(c, IPC_FILE_CA, conf->cas[i].name, conf->cas[i].cert);
}

void
files_send(struct child *c)
{
	const struct conf *conf = c->smtpd->conf;
	char why[FILES_WHY_MAX];
	size_t i;

	for (i = 0; i < conf->ntables; i++)
		(void)files_send_table(c, &conf->tables[i], why);
	if (c->row->role == ROLE_LOOKUP)
		send_resolver_files(c);
	if ((c->row->role == ROLE_DELIVERY || c->row->role == ROLE_FETCH) &&
	    conf->values.ca_file != NULL)
		send_file(c, IPC_FILE_CA, "", conf->values.ca_file);
	if (c->row->role == ROLE_DELIVERY)
		send_authorities(c);
}

/* -- small files, as this process looks at them -- */

/* errno is that of a parser. */
static void
say_fault(const struct database_error *error, char why[FILES_WHY_MAX])
{
	if (errno != EINVAL)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else if (error->line == 0)
		(void)snprintf(why, FILES_WHY_MAX, "%s", error->text);
	else
		(void)snprintf(why, FILES_WHY_MAX, "line %u: %s", error->line, error->text);
}

/* There may be a password in it. */
static void
text_free(struct buf *text)
{
	if (text->len > 0)
		explicit_bzero(text->data + text->head, text->len);
	buf_free(text);
}

int
files_database(
    enum database_kind kind, const char *path, struct database *db, char why[FILES_WHY_MAX])
{
	struct database_error error;
	struct buf text;
	int rc = -1;

	buf_init(&text, DATABASE_TEXT_MAX);
	if (files_read(NULL, path, &text) == -1)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else if (database_parse(kind, (const char *)buf_head(&text), text.len, db, &error) == 0)
		rc = 0;
	else
		say_fault(&error, why);
	text_free(&text);
	return rc;
}

int
files_postgres(const char *path, struct postgres *out, char why[FILES_WHY_MAX])
{
	struct database_error error;
	struct buf text;
	int rc = -1;

	buf_init(&text, DATABASE_TEXT_MAX);
	if (files_read(NULL, path, &text) == -1)
		(void)snprintf(why, FILES_WHY_MAX, "%s", strerror(errno));
	else if (postgres_parse((const char *)buf_head(&text), text.len, out, &error) == 0)
		rc = 0;
	else
		say_fault(&error, why);
	text_free(&text);
	return rc;
}

/* SPDX-License-Identifier: ISC */
/*
 * Files that are read for a process, so that it needs no file of its own:
 * certificates, private keys, tables of passwords, what the vault keeps sealed.
 *
 * Invariant: of what is in such a file, nothing stays here.  It passes through
 * one piece on the stack and the buffer of the channel, and both are wiped.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/service.h"

#define KIB	   (UINT64_C(1) << 10)
#define MIB	   (UINT64_C(1) << 20)
#define TO_SESSION (1U << ROLE_SESSION)
#define TO_VAULT   (1U << ROLE_VAULT)

/* Who gets which: a key leaves for the vault alone. */
static const struct {
	const char *what;
	uint64_t max;
	unsigned int to;
} kinds[IPC_DATA__MAX] = {
    [IPC_DATA_CERT] = {"certificate", MIB, TO_SESSION | TO_VAULT},
    [IPC_DATA_KEY] = {"key", 64 * KIB, TO_VAULT},
    [IPC_DATA_OCSP] = {"OCSP response", 64 * KIB, TO_SESSION | TO_VAULT},
    [IPC_DATA_CA] = {"CA certificates", MIB, TO_SESSION},
    [IPC_DATA_TABLE] = {"table", 64 * MIB, TO_VAULT},
    [IPC_DATA_SEAL_KEY] = {"vault key", SEAL_KEY_SIZE, TO_VAULT},
    [IPC_DATA_SEALED] = {"sealed file", IPC_SEALED_MAX, TO_VAULT},
    [IPC_DATA_OAUTH_KEY] = {"key", 64 * KIB, TO_VAULT},
};

/* -- which files there are -- */

#define PER_PKI 3

static void
file_of_pki(const struct conf_pki *p, size_t n, struct secret_file *f)
{
	const char *const paths[PER_PKI] = {p->cert, p->key, p->ocsp};
	static const enum ipc_data kind[PER_PKI] = {IPC_DATA_CERT, IPC_DATA_KEY, IPC_DATA_OCSP};

	*f = (struct secret_file){.kind = kind[n], .name = p->name, .path = paths[n]};
}

/* What the vault keeps, and what it makes assertions with. */
static bool
file_of_oauth(const struct smtpd *d, size_t n, struct secret_file *f)
{
	const struct conf *c = d->conf;

	if (c->noauths == 0)
		return false;
	if (n == 0) {
		*f = (struct secret_file){IPC_DATA_SEAL_KEY, "", c->values.vault_key};
		return true;
	}
	if (--n < c->noauths) {
		*f = (struct secret_file){IPC_DATA_OAUTH_KEY, c->oauths[n].name, c->oauths[n].key};
		return true;
	}
	n -= c->noauths;
	if (n >= d->nseals)
		return false;
	*f = (struct secret_file){IPC_DATA_SEALED, d->seals[n].name, d->seals[n].path};
	return true;
}

/* The n-th of all that could be; its path is NULL where it is none. */
static bool
file_at(const struct smtpd *d, size_t n, struct secret_file *f)
{
	const struct conf *c = d->conf;
	const struct conf_table *t;

	if (n < PER_PKI * c->npkis) {
		file_of_pki(&c->pkis[n / PER_PKI], n % PER_PKI, f);
		return true;
	}
	n -= PER_PKI * c->npkis;
	if (n < c->ncas) {
		*f = (struct secret_file){IPC_DATA_CA, c->cas[n].name, c->cas[n].cert};
		return true;
	}
	n -= c->ncas;
	if (n >= c->ntables)
		return file_of_oauth(d, n - c->ntables, f);
	t = &c->tables[n];
	*f = (struct secret_file){.kind = IPC_DATA_TABLE, .name = t->name};
	if (t->kind == CONF_TABLE_FILE && conf_table_is_secret(c, t->name))
		f->path = t->path;
	return true;
}

bool
secrets_next(const struct smtpd *d, enum role to, size_t *n, struct secret_file *f)
{
	while (file_at(d, (*n)++, f))
		if (f->path != NULL && (kinds[f->kind].to & 1U << to) != 0)
			return true;
	return false;
}

/* -- one of them -- */

const char *
secrets_key_fault(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to another user";
	return (st->st_mode & 077) != 0 ? "others can read it; make it mode 0600" : NULL;
}

bool
secrets_is_key(enum ipc_data kind)
{
	return kind == IPC_DATA_KEY || kind == IPC_DATA_OAUTH_KEY || kind == IPC_DATA_SEAL_KEY;
}

static void
log_file(const struct secret_file *f, const char *event, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_WARN, event);
	logline_str(&l, "kind", kinds[f->kind].what);
	logline_str(&l, "name", f->name);
	logline_str(&l, "path", f->path);
	logline_str(&l, "error", why);
	logline_end(&l);
}

const char *
secrets_open(const struct secret_file *f, int *fd, struct stat *st)
{
	const char *why = NULL;

	/* A FIFO must not be able to hang us. */
	if ((*fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) == -1)
		return strerror(errno);
	if (fstat(*fd, st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st->st_mode))
		why = "not a plain file";
	else if ((uint64_t)st->st_size > kinds[f->kind].max)
		why = "too large";
	else if (st->st_size == 0 && f->kind != IPC_DATA_TABLE)
		why = "empty";
	if (why != NULL) {
		(void)close(*fd);
		*fd = -1;
		return why;
	}
	return NULL;
}

static int
send_data(struct child *c, const struct feed *f, struct span data, bool last)
{
	struct msg_file_data m = {
	    .kind = (uint8_t)f->kind, .name = f->name, .last = last, .data = data};

	return channel_send(c->ch, MSG_file_data, &m);
}

/* Says that the file at hand is whole, or (without data) that it can't be read. */
static int
end_file(struct child *c, struct span data)
{
	struct feed *f = &c->feed;

	if (f->fd != -1)
		(void)close(f->fd);
	f->fd = -1;
	return send_data(c, f, data, true);
}

/* The process has it, and nobody asked for another. */
static bool
is_kept(const struct child *c, const struct secret_file *file)
{
	return c->feed.tables_only && file->kind != IPC_DATA_TABLE;
}

/* A certificate that its key does not match is of no use: the pair of before is. */
static bool
is_of_bad_pki(const struct smtpd *d, const struct secret_file *file)
{
	size_t i;

	if (d->pki_is_bad == NULL || (file->kind != IPC_DATA_CERT && file->kind != IPC_DATA_KEY &&
					 file->kind != IPC_DATA_OCSP))
		return false;
	for (i = 0; i < d->conf->npkis; i++)
		if (strcmp(d->conf->pkis[i].name, file->name) == 0)
			return d->pki_is_bad[i];
	return false;
}

/* Those of relays are there as they are: there is no hash to log in with. */
static bool
is_open_to_all(const struct conf *c, const struct secret_file *file, const struct stat *st)
{
	return file->kind == IPC_DATA_TABLE && (st->st_mode & 07) != 0 &&
	       (conf_table_services(c, file->name) & 1U << SERVICE_CREDENTIALS) != 0;
}

int
secrets_begin(struct child *c, const struct secret_file *file)
{
	/* No octets at all would say that it can't be read, which is not what an empty table is. */
	static const struct span blank_line = {(const uint8_t *)"\n", 1};
	struct feed *f = &c->feed;
	struct stat st;
	const char *why;

	f->kind = file->kind;
	str_cut(f->name, sizeof(f->name), file->name);
	if (c->has_files && (is_kept(c, file) || is_of_bad_pki(c->smtpd, file)))
		return secrets_give_up(c);
	if ((why = secrets_open(file, &f->fd, &st)) != NULL) {
		log_file(file, "file-not-read", why);
		return secrets_give_up(c);
	}
	if (secrets_is_key(file->kind) && (why = secrets_key_fault(&st)) != NULL) {
		/* What protects consents is our own: nobody needs it to be otherwise. */
		if (file->kind == IPC_DATA_SEAL_KEY) {
			log_file(file, "key-refused", why);
			return secrets_give_up(c);
		}
		log_file(file, "key-unsafe", why);
	}
	if (is_open_to_all(c->smtpd->conf, file, &st))
		log_file(file, "table-unsafe",
		    "everybody can read the passwords in it; make it mode 0600");
	f->left = (uint64_t)st.st_size;
	return f->left == 0 ? end_file(c, blank_line) : 0;
}

int
secrets_go_on(struct child *c)
{
	uint8_t piece[IPC_CHUNK_MAX];
	struct feed *f = &c->feed;
	ssize_t n;
	int rc;

	do
		n = read(f->fd, piece, f->left < sizeof(piece) ? f->left : sizeof(piece));
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		log_warn("event=file-not-read name=%s error=\"%s\"", f->name,
		    n == 0 ? "it became shorter" : strerror(errno));
		return secrets_give_up(c);
	}
	f->left -= (uint64_t)n;
	if (f->left == 0)
		rc = end_file(c, (struct span){piece, (size_t)n});
	else
		rc = send_data(c, f, (struct span){piece, (size_t)n}, false);
	explicit_bzero(piece, (size_t)n);
	return rc;
}

int
secrets_give_up(struct child *c)
{
	return end_file(c, (struct span){NULL, 0});
}

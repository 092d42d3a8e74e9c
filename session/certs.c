/* SPDX-License-Identifier: ISC */
/*
 * Certificates as the parent read them, and the TLS contexts made of them.
 *
 * Invariants: what is here is public.  The files of a reload take the place of those before as one; what could not be
 * read, or makes no context, leaves the old one in use.  Nothing here is fatal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/key/keyclient.h"
#include "lib/net/tls_server.h"
#include "session/session.h"

#define FILE_MAX    (1U << 20) /* octets of a chain of certificates */
#define FILES_MAX   4096
#define CONTEXT_MAX 8192

struct cert_file {
	LIST_ENTRY(cert_file) entry;
	enum ipc_data kind;
	char name[IPC_NAME_MAX + 1];
	struct buf data;
	bool bad;   /* a piece did not fit */
	bool whole; /* its last piece has come */
};

LIST_HEAD(cert_files, cert_file);

struct context {
	LIST_ENTRY(context) entry;
	char *words; /* of smtpd.conf that it was made by */
	struct tls_server *tls;
	bool fresh; /* of the files that are in use now */
};

struct scram_table {
	LIST_ENTRY(scram_table) entry;
	char name[IPC_WORD_MAX + 1];
};

struct certs { /* owned by the program */
	struct cert_files files, coming;
	size_t ncoming;
	LIST_HEAD(, context) contexts;
	LIST_HEAD(, scram_table) scram;
};

struct certs *
certs_create(void)
{
	return calloc(1, sizeof(struct certs));
}

/* -- files -- */

static struct cert_file *
file_find(const struct cert_files *list, enum ipc_data kind, const char *name)
{
	struct cert_file *f;

	LIST_FOREACH(f, list, entry)
	if (f->kind == kind && strcmp(f->name, name) == 0)
		return f;
	return NULL;
}

static void
file_free(struct cert_file *f)
{
	LIST_REMOVE(f, entry);
	buf_free(&f->data);
	free(f);
}

static struct cert_file *
file_get(struct certs *c, enum ipc_data kind, const char *name)
{
	struct cert_file *f = file_find(&c->coming, kind, name);

	if (f != NULL || c->ncoming >= FILES_MAX || (f = calloc(1, sizeof(*f))) == NULL)
		return f;
	f->kind = kind;
	str_cut(f->name, sizeof(f->name), name);
	buf_init(&f->data, FILE_MAX);
	LIST_INSERT_HEAD(&c->coming, f, entry);
	c->ncoming++;
	return f;
}

/* What follows the last piece of a file is the first of it again. */
void
certs_take(struct certs *c, const struct msg_file_data *m)
{
	struct cert_file *f = file_get(c, (enum ipc_data)m->kind, m->name);

	if (f == NULL)
		return;
	if (f->whole) {
		buf_free(&f->data);
		f->whole = f->bad = false;
	}
	f->whole = m->last;
	if (!f->bad && buf_append(&f->data, m->data.data, m->data.len) == -1) {
		log_warn("event=file-dropped name=\"%s\" error=\"%s\"", m->name, strerror(errno));
		f->bad = true;
	}
	/* As if it could not be read; which is what a last piece without octets says. */
	if (f->bad || (m->last && m->data.len == 0))
		buf_free(&f->data);
}

/* Those that the configuration of before made no use of are gone; the others may still be fallen back on. */
static void
contexts_age(struct certs *c)
{
	struct context *x, *next;

	for (x = LIST_FIRST(&c->contexts); x != NULL; x = next) {
		next = LIST_NEXT(x, entry);
		if (x->fresh) {
			x->fresh = false;
			continue;
		}
		LIST_REMOVE(x, entry);
		tls_server_release(x->tls);
		free(x->words);
		free(x);
	}
}

void
certs_whole(struct certs *c)
{
	struct cert_file *f, *old, *next;

	contexts_age(c);
	for (old = LIST_FIRST(&c->files); old != NULL; old = next) {
		next = LIST_NEXT(old, entry);
		f = file_find(&c->coming, old->kind, old->name);
		if (f == NULL || f->data.len > 0)
			file_free(old);
		else
			file_free(f); /* not to be read now: the old one stays */
	}
	while ((f = LIST_FIRST(&c->coming)) != NULL) {
		LIST_REMOVE(f, entry);
		LIST_INSERT_HEAD(&c->files, f, entry);
	}
	c->ncoming = 0;
}

static struct span
file_data(const struct certs *c, enum ipc_data kind, const char *name)
{
	const struct cert_file *f = file_find(&c->files, kind, name);

	return f == NULL ? (struct span){0} : (struct span){buf_head(&f->data), f->data.len};
}

/* -- which tables have SCRAM keys -- */

static struct scram_table *
scram_find(const struct certs *c, const char *table)
{
	struct scram_table *t;

	LIST_FOREACH(t, &c->scram, entry)
	if (strcmp(t->name, table) == 0)
		return t;
	return NULL;
}

void
certs_table_state(struct certs *c, const char *table, bool scram)
{
	struct scram_table *t = scram_find(c, table);

	if (t != NULL && !scram) {
		LIST_REMOVE(t, entry);
		free(t);
	} else if (t == NULL && scram && (t = calloc(1, sizeof(*t))) != NULL) {
		str_cut(t->name, sizeof(t->name), table);
		LIST_INSERT_HEAD(&c->scram, t, entry);
	}
}

bool
certs_table_has_scram(const struct certs *c, const char *table)
{
	return scram_find(c, table) != NULL;
}

/* -- contexts -- */

static int
word_add(struct buf *out, const char *name, const char *value)
{
	return buf_printf(out, "%s=%s;", name, value == NULL ? "" : value);
}

/* All that a context is made by: two listeners with the same words share one. */
static char *
context_words(const struct conf *conf, const struct conf_listener *l)
{
	const struct conf_values *v = &conf->values;
	struct buf out;
	char *words = NULL;
	size_t i;

	buf_init(&out, CONTEXT_MAX);
	for (i = 0; i < l->npkis; i++)
		if (word_add(&out, "pki", l->pkis[i]) == -1)
			goto out;
	if (word_add(&out, "ca", l->ca) == -1 ||
	    word_add(&out, "verify", l->verify ? "yes" : NULL) == -1 ||
	    word_add(&out, "ciphers", l->ciphers != NULL ? l->ciphers : v->smtp_ciphers) == -1 ||
	    word_add(&out, "protocols", l->protocols != NULL ? l->protocols : v->smtp_protocols) ==
		-1 ||
	    word_add(&out, "curves", l->curves != NULL ? l->curves : v->smtp_curves) == -1 ||
	    buf_printf(&out, "lifetime=%lld", (long long)v->smtp_ticket_lifetime_s) == -1)
		goto out;
	words = strndup((const char *)buf_head(&out), out.len);
out:
	buf_free(&out);
	return words;
}

static int
add_keypair(const struct certs *c, struct tls_server *tls, const char *pki)
{
	struct span cert = file_data(c, IPC_DATA_CERT, pki);
	struct buf key;
	int rc;

	buf_init(&key, FILE_MAX);
	if (cert.len == 0 || keyclient_key(pki, cert.data, cert.len, &key) == -1) {
		log_warn("event=certificate-unusable pki=\"%s\" why=\"%s\"", pki,
		    cert.len == 0 ? "it can't be read" : "it can't be parsed");
		buf_free(&key);
		return -1;
	}
	rc = tls_server_add(
	    tls, cert, (struct span){buf_head(&key), key.len}, file_data(c, IPC_DATA_OCSP, pki));
	if (rc == -1)
		log_warn(
		    "event=certificate-unusable pki=\"%s\" why=\"%s\"", pki, tls_server_error(tls));
	buf_free(&key);
	return rc;
}

static struct tls_server *
make_tls(const struct certs *c, const struct conf *conf, const struct conf_listener *l,
    const char *words)
{
	const struct conf_values *v = &conf->values;
	struct tls_server_options o = {.ciphers = l->ciphers != NULL ? l->ciphers : v->smtp_ciphers,
	    .protocols = l->protocols != NULL ? l->protocols : v->smtp_protocols,
	    .curves = l->curves != NULL ? l->curves : v->smtp_curves,
	    .verify = l->verify,
	    .ticket_lifetime_s = (int)v->smtp_ticket_lifetime_s,
	    .context = words};
	struct tls_server *tls = tls_server_create();
	size_t i;

	if (tls == NULL)
		return NULL;
	for (i = 0; i < l->npkis; i++)
		if (add_keypair(c, tls, l->pkis[i]) == -1)
			goto bad;
	if (l->ca != NULL && (o.ca = file_data(c, IPC_DATA_CA, l->ca)).len == 0) {
		log_warn("event=tls-unusable ca=\"%s\" why=\"it can't be read\"", l->ca);
		goto bad;
	}
	if (tls_server_ready(tls, &o) == -1) {
		log_warn(
		    "event=tls-unusable pki=\"%s\" why=\"%s\"", l->pkis[0], tls_server_error(tls));
		goto bad;
	}
	return tls;
bad:
	tls_server_release(tls);
	return NULL;
}

static struct context *
context_get(struct certs *c, char *words)
{
	struct context *x;

	LIST_FOREACH(x, &c->contexts, entry)
	if (strcmp(x->words, words) == 0) {
		free(words);
		return x;
	}
	if ((x = calloc(1, sizeof(*x))) == NULL) {
		free(words);
		return NULL;
	}
	x->words = words;
	LIST_INSERT_HEAD(&c->contexts, x, entry);
	return x;
}

struct tls_server *
certs_context(struct certs *c, const struct conf *conf, const struct conf_listener *l)
{
	char *words = l->npkis == 0 ? NULL : context_words(conf, l);
	struct tls_server *tls;
	struct context *x;

	if (words == NULL || (x = context_get(c, words)) == NULL)
		return NULL;
	if (x->fresh)
		return tls_server_hold(x->tls);
	if ((tls = make_tls(c, conf, l, x->words)) != NULL) {
		tls_server_release(x->tls);
		x->tls = tls;
	} else if (x->tls != NULL)
		log_warn(
		    "event=tls-kept pki=\"%s\" note=\"the certificates of before\"", l->pkis[0]);
	x->fresh = x->tls != NULL;
	return tls_server_hold(x->tls);
}

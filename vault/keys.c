/* SPDX-License-Identifier: ISC */
/*
 * The vault's keys: taken in pieces, put to use all at once, asked for one
 * signature at a time.
 *
 * Invariants: a key signs only under its own id, and only what template.c lets
 * through; key files are wiped as soon as they are parsed, keys when they are
 * given up.  Whoever asks may ask for anything: nothing here is fatal.
 */
#include "vault/keys.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/key/key_id.h"
#include "vault/template.h"

#define KEYS_MAX     1024 /* pkis in use, and as many that linger */
#define REFUSALS_MAX 10	  /* logged from tick to tick, whoever asks for how many */

#define CERT_MAX     (1U << 20)
#define KEY_MAX	     (64U << 10)
#define OCSP_MAX     (64U << 10)

static const EVP_MD *(*const digests[IPC_DIGEST__MAX])(void) = {
    [IPC_SHA256] = EVP_sha256, [IPC_SHA384] = EVP_sha384, [IPC_SHA512] = EVP_sha512};

struct pair {
	char *name;
	struct buf files[IPC_DATA_OCSP + 1]; /* until it is in use */
	bool whole[IPC_DATA_OCSP + 1];	     /* the next piece begins a new file */
	struct certificate certificate;
	char id[KEY_ID_SIZE]; /* "" without a key */
	/* Ready to sign, made when first needed. */
	EVP_PKEY_CTX *signer[IPC_SIGN__MAX][IPC_DIGEST__MAX];
	uint64_t signatures;
	int64_t until_s; /* of one that lingers */
};

struct set { /* owns its pairs */
	struct pair *pairs[KEYS_MAX];
	size_t n;
};

struct keys {
	struct set fed, used, lingering;
	struct map *by_id; /* pairs of used and lingering that can sign */
	EVP_MD_CTX *digests[IPC_DIGEST__MAX];
	struct keys_counters counters;
	unsigned int refusals; /* logged since the last tick */
};

/* -- pairs and sets of them -- */

static void
pair_free(struct pair *p)
{
	size_t i, j;

	for (i = 0; i < NITEMS(p->files); i++)
		buf_free(&p->files[i]);
	for (i = 0; i < IPC_SIGN__MAX; i++)
		for (j = 0; j < IPC_DIGEST__MAX; j++)
			EVP_PKEY_CTX_free(p->signer[i][j]);
	certificate_close(&p->certificate);
	free(p->name);
	free(p);
}

static struct pair *
pair_create(const char *name)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	buf_init(&p->files[IPC_DATA_CERT], CERT_MAX);
	buf_init(&p->files[IPC_DATA_KEY], KEY_MAX);
	buf_init(&p->files[IPC_DATA_OCSP], OCSP_MAX);
	if ((p->name = strdup(name)) != NULL)
		return p;
	free(p);
	return NULL;
}

static struct pair *
set_find(const struct set *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->pairs[i]->name, name) == 0)
			return s->pairs[i];
	return NULL;
}

static void
set_empty(struct set *s)
{
	while (s->n > 0)
		pair_free(s->pairs[--s->n]);
}

/* -- life -- */

struct keys *
keys_create(void)
{
	struct keys *k = calloc(1, sizeof(*k));
	size_t i;

	if (k == NULL || (k->by_id = map_create((size_t)2 * KEYS_MAX)) == NULL) {
		free(k);
		return NULL;
	}
	for (i = 0; i < IPC_DIGEST__MAX; i++)
		if ((k->digests[i] = EVP_MD_CTX_new()) == NULL ||
		    EVP_DigestInit_ex(k->digests[i], digests[i](), NULL) != 1) {
			keys_free(k);
			errno = ENOSYS;
			return NULL;
		}
	return k;
}

void
keys_free(struct keys *k)
{
	size_t i;

	if (k == NULL)
		return;
	set_empty(&k->fed);
	set_empty(&k->used);
	set_empty(&k->lingering);
	map_free(k->by_id, NULL);
	for (i = 0; i < IPC_DIGEST__MAX; i++)
		EVP_MD_CTX_free(k->digests[i]);
	free(k);
}

/* -- a reload -- */

int
keys_feed(struct keys *k, const struct msg_file_data *piece)
{
	struct pair *p = set_find(&k->fed, piece->name);
	struct buf *b;

	if (piece->kind > IPC_DATA_OCSP) {
		errno = EINVAL;
		return -1;
	}
	if (p == NULL) {
		if (k->fed.n == KEYS_MAX) {
			errno = ENOBUFS;
			return -1;
		}
		if ((p = pair_create(piece->name)) == NULL)
			return -1;
		k->fed.pairs[k->fed.n++] = p;
	}
	b = &p->files[piece->kind];
	if (p->whole[piece->kind])
		buf_consume(b, b->len);
	p->whole[piece->kind] = piece->last;
	if (piece->last && piece->data.len == 0) /* it can't be read, or not to its end */
		buf_consume(b, b->len);
	if (buf_append(b, piece->data.data, piece->data.len) == -1) {
		if (errno == ENOBUFS)
			errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

static void
log_problems(const struct pair *p, int64_t now_s)
{
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	size_t n = certificate_problems(&p->certificate, now_s, problems), i;
	struct logline l;

	for (i = 0; i < n; i++) {
		logline_start(&l, LOG_LEVEL_WARN, "certificate-problem");
		logline_str(&l, "pki", p->name);
		logline_str(&l, "what", problems[i].text);
		logline_end(&l);
	}
}

static int
make_id(struct pair *p)
{
	uint8_t *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(p->certificate.leaf), &spki), rc;

	if (len <= 0)
		return -1;
	rc = key_id(p->id, p->name, spki, (size_t)len);
	OPENSSL_free(spki);
	return rc;
}

static void
parse_files(struct pair *p, int64_t now_s)
{
	struct span spans[NITEMS(p->files)];
	size_t i;

	for (i = 0; i < NITEMS(spans); i++)
		spans[i] = (struct span){buf_head(&p->files[i]), p->files[i].len};
	certificate_open(&p->certificate, &(struct certificate_files){spans[IPC_DATA_CERT],
					      spans[IPC_DATA_KEY], spans[IPC_DATA_OCSP]});
	for (i = 0; i < NITEMS(p->files); i++)
		buf_free(&p->files[i]);
	if (p->certificate.key != NULL && make_id(p) == -1) {
		certificate_problem(&p->certificate, true, "its name is too long to be asked for");
		p->id[0] = '\0';
	}
	log_problems(p, now_s);
}

/* Under each id the newest pair, so those that linger come first. */
static void
index_pairs(struct keys *k, const struct set *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->pairs[i]->id[0] != '\0' &&
		    map_set(k->by_id, s->pairs[i]->id, s->pairs[i]) == -1)
			log_warn(
			    "key of pki %s is left out: %s", s->pairs[i]->name, strerror(errno));
}

static void
unindex(struct keys *k, const struct pair *p)
{
	if (p->id[0] != '\0' && map_get(k->by_id, p->id) == p)
		(void)map_remove(k->by_id, p->id);
}

static void
linger_drop(struct keys *k, size_t i)
{
	struct set *s = &k->lingering;
	struct pair *p = s->pairs[i];

	unindex(k, p);
	pair_free(p);
	memmove(&s->pairs[i], &s->pairs[i + 1], (s->n - i - 1) * sizeof(s->pairs[0]));
	s->n--;
}

/* A pair that was in use: where its key is in use again, or it has none, it goes at once. */
static void
retire(struct keys *k, struct pair *p, int64_t now_s)
{
	struct pair *heir = set_find(&k->fed, p->name);

	if (heir != NULL)
		heir->signatures = p->signatures;
	unindex(k, p);
	if (p->id[0] == '\0' || (heir != NULL && strcmp(heir->id, p->id) == 0)) {
		pair_free(p);
		return;
	}
	if (k->lingering.n == KEYS_MAX)
		linger_drop(k, 0);
	p->until_s = now_s + KEYS_LINGER_S;
	k->lingering.pairs[k->lingering.n++] = p;
}

/* Files that can't be read, or are withheld because they are no good, leave the pair of before in use. */
static bool
keep_old(struct keys *k, size_t i)
{
	struct pair *fed = k->fed.pairs[i];
	size_t n;

	if (fed->files[IPC_DATA_CERT].len > 0 && fed->files[IPC_DATA_KEY].len > 0)
		return false;
	for (n = 0; n < k->used.n; n++) {
		struct pair *old = k->used.pairs[n];

		if (strcmp(old->name, fed->name) != 0 || old->id[0] == '\0')
			continue;
		k->used.pairs[n] = k->used.pairs[--k->used.n];
		k->fed.pairs[i] = old;
		pair_free(fed);
		return true;
	}
	return false;
}

void
keys_commit(struct keys *k, int64_t now_s)
{
	size_t i;

	for (i = 0; i < k->fed.n; i++)
		if (!keep_old(k, i))
			parse_files(k->fed.pairs[i], now_s);
	for (i = 0; i < k->used.n; i++)
		retire(k, k->used.pairs[i], now_s);
	k->used = k->fed;
	k->fed.n = 0;
	index_pairs(k, &k->lingering);
	index_pairs(k, &k->used);
}

void
keys_forget(struct keys *k, const char *name)
{
	size_t i;

	for (i = 0; i < k->used.n; i++) {
		struct pair *p = k->used.pairs[i];

		if (strcmp(p->name, name) != 0)
			continue;
		unindex(k, p);
		pair_free(p);
		memmove(&k->used.pairs[i], &k->used.pairs[i + 1],
		    (k->used.n - i - 1) * sizeof(k->used.pairs[0]));
		k->used.n--;
		return;
	}
}

void
keys_tick(struct keys *k, int64_t now_s)
{
	size_t i = 0;

	k->refusals = 0;
	while (i < k->lingering.n) {
		const struct pair *p = k->lingering.pairs[i];

		/* The clock may have been set back. */
		if (p->until_s <= now_s || p->until_s > now_s + KEYS_LINGER_S)
			linger_drop(k, i);
		else
			i++;
	}
}

/* -- signatures -- */

static int
refuse(struct keys *k, const struct msg_sign *m, const char *why, int error)
{
	struct logline l;

	if (error == EIO)
		k->counters.failed++;
	else
		k->counters.refused++;
	if (k->refusals++ < REFUSALS_MAX) {
		logline_start(&l, LOG_LEVEL_WARN, "sign-refused");
		logline_str(&l, "key", m->key);
		logline_str(&l, "why", why);
		logline_end(&l);
	}
	errno = error;
	return -1;
}

/* RFC 8446 4.2.3: with PSS the salt is as long as the digest. */
static int
set_padding(EVP_PKEY_CTX *ctx, enum ipc_scheme scheme)
{
	if (scheme == IPC_SIGN_ECDSA)
		return 1;
	if (scheme == IPC_SIGN_RSA_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING);
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1)
		return 0;
	return EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST);
}

static EVP_PKEY_CTX *
signer_of(struct pair *p, enum ipc_scheme scheme, enum ipc_digest digest)
{
	EVP_PKEY_CTX **slot = &p->signer[scheme][digest];

	if (*slot != NULL)
		return *slot;
	if ((*slot = EVP_PKEY_CTX_new(p->certificate.key, NULL)) == NULL)
		return NULL;
	if (EVP_PKEY_sign_init(*slot) == 1 && set_padding(*slot, scheme) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(*slot, digests[digest]()) == 1)
		return *slot;
	EVP_PKEY_CTX_free(*slot);
	*slot = NULL;
	return NULL;
}

/* No digest and no key is looked up here: that would be most of the time. */
static int
make_digest(struct keys *k, const struct pair *p, const struct msg_sign *m, uint8_t *hash,
    unsigned int *len)
{
	EVP_MD_CTX *md = k->digests[m->digest];

	if (template_is_digest(p->certificate.kind, m->digest, m->text)) {
		*len = (unsigned int)m->text.len;
		memcpy(hash, m->text.data, m->text.len);
		return 0;
	}
	if (EVP_DigestInit_ex(md, NULL, NULL) != 1 ||
	    EVP_DigestUpdate(md, m->text.data, m->text.len) != 1 ||
	    EVP_DigestFinal_ex(md, hash, len) != 1)
		return -1;
	return 0;
}

static int
make_signature(struct keys *k, struct pair *p, const struct msg_sign *m, uint8_t sig[IPC_SIGN_MAX],
    size_t *len)
{
	EVP_PKEY_CTX *signer = signer_of(p, m->scheme, m->digest);
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int n;

	*len = IPC_SIGN_MAX;
	if (signer == NULL || make_digest(k, p, m, hash, &n) == -1 ||
	    EVP_PKEY_sign(signer, sig, len, hash, n) != 1) {
		ERR_clear_error();
		return -1;
	}
	return 0;
}

int
keys_sign(struct keys *k, const struct msg_sign *m, uint8_t sig[IPC_SIGN_MAX], size_t *len)
{
	struct pair *p = map_get(k->by_id, m->key);
	const char *why;

	if (p == NULL)
		return refuse(k, m, "no such key", ENOENT);
	why = template_refuses(p->certificate.kind, m->scheme, m->digest, m->text);
	if (why != NULL)
		return refuse(k, m, why, EPERM);
	if (make_signature(k, p, m, sig, len) == -1)
		return refuse(k, m, "the crypto library fails", EIO);
	p->signatures++;
	k->counters.signatures++;
	return 0;
}

/* -- what is told -- */

int
keys_binding(
    const struct keys *k, const char *name, uint8_t hash[CERTIFICATE_BINDING_MAX], size_t *len)
{
	const struct pair *p = set_find(&k->used, name);

	if (p != NULL)
		return certificate_binding(&p->certificate, hash, len);
	errno = ENOENT;
	return -1;
}

const struct keys_counters *
keys_counters(const struct keys *k)
{
	return &k->counters;
}

size_t
keys_count(const struct keys *k)
{
	return k->used.n;
}

struct keys_entry
keys_entry(const struct keys *k, size_t i)
{
	const struct pair *p = k->used.pairs[i];

	return (struct keys_entry){p->name, &p->certificate, p->signatures};
}

void
keys_warnings(const struct keys *k, size_t i, int64_t now_s, char dst[IPC_TEXT_MAX])
{
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	size_t n, at;

	n = certificate_problems(&k->used.pairs[i]->certificate, now_s, problems);
	dst[0] = '\0';
	for (at = 0; at < n; at++)
		if (str_append(dst, IPC_TEXT_MAX, at == 0 ? "" : "; ") == -1 ||
		    str_append(dst, IPC_TEXT_MAX, problems[at].text) == -1)
			return;
}

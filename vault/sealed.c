/* SPDX-License-Identifier: ISC */
/*
 * Seals and opens.
 *
 * Invariants: a nonce is random and used once; nothing that was not proved to be
 * ours, whole, is handed out, and what was opened in vain is wiped.
 */
#include "vault/sealed.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

#define MAGIC	   "PSEAL1\n" /* and its NUL */
#define MAGIC_SIZE sizeof(MAGIC)
#define NONCE_SIZE 12
#define TAG_SIZE   16
#define BESIDE	   (MAGIC_SIZE + NONCE_SIZE + TAG_SIZE)
#define PURPOSE	   "postern: what the vault keeps on disk, 1"

_Static_assert(SEALED_PLAIN_MAX == IPC_SEALED_MAX - BESIDE, "what is sealed fits");

/* However long the file is, and whatever else it may be used for one day. */
int
sealer_set_key(struct sealer *s, struct span file)
{
	unsigned int n = 0;

	explicit_bzero(s, sizeof(*s));
	if (file.len < SEALED_KEY_MIN || file.len > INT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (HMAC(EVP_sha256(), file.data, (int)file.len, (const uint8_t *)PURPOSE, strlen(PURPOSE),
		s->key, &n) == NULL ||
	    n != sizeof(s->key)) {
		errno = ENOMEM;
		return -1;
	}
	s->has_key = true;
	return 0;
}

static int
refuse(int error)
{
	ERR_clear_error();
	errno = error;
	return -1;
}

/* -- sealing -- */

struct piece { /* of one box */
	const char *name;
	uint8_t *nonce, *tag;
	struct span in;
	uint8_t *out;
};

static bool
encrypt(const struct sealer *s, EVP_CIPHER_CTX *ctx, const struct piece *p)
{
	int n = 0, more = 0;

	return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, p->nonce) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)MAGIC, MAGIC_SIZE) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)p->name, (int)strlen(p->name)) ==
		   1 &&
	       EVP_EncryptUpdate(ctx, p->out, &n, p->in.data, (int)p->in.len) == 1 &&
	       EVP_EncryptFinal_ex(ctx, p->out + n, &more) == 1 &&
	       (size_t)(n + more) == p->in.len &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, p->tag) == 1;
}

int
sealer_seal(const struct sealer *s, const char *name, struct span plain, struct buf *out)
{
	struct piece p = {.name = name, .in = plain};
	EVP_CIPHER_CTX *ctx;
	uint8_t *room;
	bool ok;

	if (!s->has_key || plain.len > SEALED_PLAIN_MAX)
		return refuse(s->has_key ? EMSGSIZE : ENOKEY);
	if ((room = buf_reserve(out, plain.len + BESIDE)) == NULL)
		return refuse(ENOMEM);
	memcpy(room, MAGIC, MAGIC_SIZE);
	p.nonce = room + MAGIC_SIZE;
	p.out = p.nonce + NONCE_SIZE;
	p.tag = p.out + plain.len;
	if (getrandom(p.nonce, NONCE_SIZE, 0) != NONCE_SIZE || (ctx = EVP_CIPHER_CTX_new()) == NULL)
		return refuse(ENOMEM);
	ok = encrypt(s, ctx, &p);
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return refuse(ENOMEM);
	buf_commit(out, plain.len + BESIDE);
	return 0;
}

/* -- opening -- */

static bool
decrypt(const struct sealer *s, EVP_CIPHER_CTX *ctx, const struct piece *p)
{
	int n = 0, more = 0;

	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, p->nonce) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)MAGIC, MAGIC_SIZE) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)p->name, (int)strlen(p->name)) ==
		   1 &&
	       EVP_DecryptUpdate(ctx, p->out, &n, p->in.data, (int)p->in.len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, p->tag) == 1 &&
	       EVP_DecryptFinal_ex(ctx, p->out + n, &more) == 1;
}

int
sealer_open(const struct sealer *s, const char *name, struct span sealed, struct buf *plain)
{
	uint8_t nonce[NONCE_SIZE], tag[TAG_SIZE];
	struct piece p = {.name = name, .nonce = nonce, .tag = tag};
	EVP_CIPHER_CTX *ctx;
	bool ok;

	if (!s->has_key)
		return refuse(ENOKEY);
	if (sealed.len < BESIDE || sealed.len > IPC_SEALED_MAX ||
	    memcmp(sealed.data, MAGIC, MAGIC_SIZE) != 0)
		return refuse(EBADMSG);
	memcpy(nonce, sealed.data + MAGIC_SIZE, sizeof(nonce));
	memcpy(tag, sealed.data + sealed.len - TAG_SIZE, sizeof(tag));
	p.in = (struct span){sealed.data + MAGIC_SIZE + NONCE_SIZE, sealed.len - BESIDE};
	if ((p.out = buf_reserve(plain, p.in.len + 1)) == NULL ||
	    (ctx = EVP_CIPHER_CTX_new()) == NULL)
		return refuse(ENOMEM);
	ok = decrypt(s, ctx, &p);
	EVP_CIPHER_CTX_free(ctx);
	if (!ok) {
		explicit_bzero(p.out, p.in.len);
		return refuse(EBADMSG);
	}
	buf_commit(plain, p.in.len);
	return 0;
}

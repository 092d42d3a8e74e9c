/* SPDX-License-Identifier: ISC */
/*
 * SRS addresses, made and taken apart.
 *
 * Invariants: only an address that one of our keys made comes out of a reversal, and
 * what comes out of either way is an address.  Nothing is fatal.
 */
#include "vault/srs.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define DAY_S	   86400
#define DAYS	   1024 /* of two digits: what is older comes round again */
#define HASH_SIZE  7	/* digits of five bits, and a NUL */
#define DAY_SIZE   3
#define SEPARATORS "=+-" /* after SRS0 and SRS1; we write the first */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 6 */

static void
make_hash(const char *key, const char *text, char dst[HASH_SIZE])
{
	char low[2 * ADDRESS_MAX];
	uint8_t mac[EVP_MAX_MD_SIZE] = {0};
	unsigned int n;
	uint64_t bits = 0;
	size_t i;

	str_cut(low, sizeof(low), text);
	str_lower(low);
	if (HMAC(EVP_sha256(), key, (int)strlen(key), (const uint8_t *)low, strlen(low), mac, &n) ==
	    NULL)
		bug_on(true); /* it takes no memory of its own */
	for (i = 0; i < sizeof(bits); i++)
		bits = bits << 8 | mac[i];
	for (i = 0; i < HASH_SIZE - 1; i++, bits >>= 5)
		dst[i] = digits[bits & 31];
	dst[i] = '\0';
}

static void
make_day(int64_t now_s, char dst[DAY_SIZE])
{
	unsigned int day = (unsigned int)(now_s / DAY_S % DAYS);

	dst[0] = digits[day >> 5];
	dst[1] = digits[day & 31];
	dst[2] = '\0';
}

/* The text that the hash is of: what stands behind it, and which kind of address it is. */
static bool
is_made_by(const char *key, const char *kind, const char *hash, const char *rest)
{
	char text[ADDRESS_LOCAL_MAX + 8], want[HASH_SIZE], got[HASH_SIZE];
	size_t i;

	if (str_copy(got, sizeof(got), hash) == -1 || strlen(got) != HASH_SIZE - 1 ||
	    str_format(text, sizeof(text), "%s=%s", kind, rest) == -1)
		return false;
	make_hash(key, text, want);
	for (i = 0; got[i] != '\0'; i++)
		if (char_is_alpha((unsigned char)got[i]))
			got[i] = (char)(got[i] & ~0x20);
	return CRYPTO_memcmp(want, got, HASH_SIZE) == 0;
}

static bool
is_ours(const struct srs_keys *keys, const char *kind, const char *hash, const char *rest)
{
	return is_made_by(keys->key, kind, hash, rest) ||
	       (keys->old != NULL && is_made_by(keys->old, kind, hash, rest));
}

/* "SRS0" or "SRS1" and a separator: what stands behind that, or NULL. */
static const char *
behind(const char *local, const char *kind)
{
	if (!str_starts_nocase(local, kind) || local[4] == '\0' ||
	    strchr(SEPARATORS, local[4]) == NULL)
		return NULL;
	return local + 5;
}

/* -- rewriting -- */

static int
sign(const struct srs_keys *keys, const char *kind, const char *rest, struct address *out)
{
	char text[ADDRESS_LOCAL_MAX + 8], hash[HASH_SIZE];

	if (str_format(text, sizeof(text), "%s=%s", kind, rest) == -1)
		return -1;
	make_hash(keys->key, text, hash);
	return str_format(out->local, sizeof(out->local), "%s=%s=%s", kind, hash, rest);
}

static enum srs_result
write_address(const struct address *a, char dst[ADDRESS_MAX + 1])
{
	struct address again;

	/* Taken apart again it has its domain in lower case. */
	if (address_format(a, dst, ADDRESS_MAX + 1) == 0 &&
	    address_parse(dst, ADDRESS_UTF8_OK, &again) == ADDRESS_OK &&
	    address_format(&again, dst, ADDRESS_MAX + 1) == 0)
		return SRS_OK;
	dst[0] = '\0';
	return SRS_TOO_LONG;
}

enum srs_result
srs_rewrite(const struct srs_keys *keys, int64_t now_s, const char *address, const char *domain,
    char dst[ADDRESS_MAX + 1])
{
	char rest[ADDRESS_LOCAL_MAX + 1], day[DAY_SIZE];
	struct address a, out = {.local = ""};
	const char *inner;
	int rc;

	dst[0] = '\0';
	if (address_parse(address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK ||
	    str_copy(out.domain, sizeof(out.domain), domain) == -1)
		return SRS_TOO_LONG;
	if (behind(a.local, "SRS0") != NULL) {
		/* The separator stays, so that he who made it finds his own. */
		rc = str_format(rest, sizeof(rest), "%s=%s", a.domain, a.local + 4);
	} else if ((inner = behind(a.local, "SRS1")) != NULL &&
		   (inner = strchr(inner, '=')) != NULL) {
		rc = str_copy(rest, sizeof(rest), inner + 1);
	} else {
		make_day(now_s, day);
		rc = str_format(rest, sizeof(rest), "%s=%s=%s", day, a.domain, a.local);
		if (rc == -1 || sign(keys, "SRS0", rest, &out) == -1)
			return SRS_TOO_LONG;
		return write_address(&out, dst);
	}
	if (rc == -1 || sign(keys, "SRS1", rest, &out) == -1)
		return SRS_TOO_LONG;
	return write_address(&out, dst);
}

/* -- reversal -- */

/* The value of a digit, whatever its case; -1: it is none. */
static int
digit_value(char c)
{
	const char *p;

	if (char_is_alpha((unsigned char)c))
		c = (char)(c & ~0x20);
	p = c == '\0' ? NULL : strchr(digits, c);
	return p == NULL ? -1 : (int)(p - digits);
}

static bool
is_young(const struct srs_keys *keys, int64_t now_s, const char *day)
{
	int high = digit_value(day[0]), low = high == -1 ? -1 : digit_value(day[1]);
	int64_t age;

	if (high == -1 || low == -1 || day[2] != '=')
		return false;
	age = (now_s / DAY_S - (high << 5 | low)) % DAYS;
	if (age < 0)
		age += DAYS;
	/* Another host's clock may be a day ahead at midnight. */
	return age <= (keys->ttl_s + DAY_S - 1) / DAY_S || age == DAYS - 1;
}

/* Cuts the field at *p off: it ends with "=".  False: there is no such end. */
static bool
cut_field(const char **p, char *dst, size_t size)
{
	const char *end = strchr(*p, '=');
	size_t n = end == NULL ? size : (size_t)(end - *p);

	if (n >= size)
		return false;
	memcpy(dst, *p, n);
	dst[n] = '\0';
	*p += n + 1;
	return true;
}

static bool
open_first(const struct srs_keys *keys, int64_t now_s, const char *p, struct address *out)
{
	char hash[HASH_SIZE];

	if (!cut_field(&p, hash, sizeof(hash)) || !is_ours(keys, "SRS0", hash, p) ||
	    !is_young(keys, now_s, p))
		return false;
	p += DAY_SIZE;
	return cut_field(&p, out->domain, sizeof(out->domain)) &&
	       str_copy(out->local, sizeof(out->local), p) == 0;
}

static bool
open_further(const struct srs_keys *keys, const char *p, struct address *out)
{
	char hash[HASH_SIZE];

	if (!cut_field(&p, hash, sizeof(hash)) || !is_ours(keys, "SRS1", hash, p))
		return false;
	return cut_field(&p, out->domain, sizeof(out->domain)) &&
	       str_format(out->local, sizeof(out->local), "SRS0%s", p) == 0;
}

enum srs_result
srs_reverse(
    const struct srs_keys *keys, int64_t now_s, const char *address, char dst[ADDRESS_MAX + 1])
{
	struct address a, out = {.local = ""};
	const char *rest;
	bool opened = false;

	dst[0] = '\0';
	if (address_parse(address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return SRS_NOT_OURS;
	if ((rest = behind(a.local, "SRS0")) != NULL)
		opened = open_first(keys, now_s, rest, &out);
	else if ((rest = behind(a.local, "SRS1")) != NULL)
		opened = open_further(keys, rest, &out);
	if (!opened || out.local[0] == '\0' || out.domain[0] == '\0' ||
	    write_address(&out, dst) != SRS_OK)
		return SRS_NOT_OURS;
	return SRS_OK;
}

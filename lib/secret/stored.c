/* SPDX-License-Identifier: ISC */
/*
 * What a table keeps for a login: which hashes are taken, and what they cost.
 *
 * Invariant: a hash that stored_hash_fault() passes takes no more than about
 * two seconds and 256 MiB, for the longest password that crypt(3) takes.
 */
#include "lib/secret/stored.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/str.h"

#define BLANKS	      " \t"
#define ITOA64	      "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ROUNDS_MAX    500000 /* of SHA-crypt: 0.2 s, and ten times that for a long password */
#define BCRYPT_MIN    4
#define BCRYPT_MAX    15	     /* 1.7 s */
#define YESCRYPT_MIN  (1ULL << 20)   /* octets of memory, 128 N r */
#define YESCRYPT_MAX  (256ULL << 20) /* 0.3 s */
#define TOO_DEAR      "takes too long to check"
#define NOT_WELL_MADE "not a well-formed hash"

/* -- each kind's parameters -- */

static size_t
count_of(const char *s, const char *chars)
{
	return strspn(s, chars);
}

/* "<salt>$<hash>", the end. */
static const char *
salt_and_hash(const char *s, size_t salt_max, size_t hash_len)
{
	size_t n = count_of(s, ITOA64);

	if (n == 0 || n > salt_max || s[n] != '$')
		return NOT_WELL_MADE;
	s += n + 1;
	n = count_of(s, ITOA64);
	return n != hash_len || s[n] != '\0' ? NOT_WELL_MADE : NULL;
}

/* "j9T$...": flavour, N and r in a character each; what has more to say is dearer. */
static const char *
yescrypt_fault(const char *s)
{
	const char *n, *r;
	unsigned int log2_n;
	uint64_t octets;

	if (s[0] != 'j' || s[1] == '\0' || s[2] == '\0' || s[3] != '$')
		return "of unusual parameters";
	n = strchr(ITOA64, s[1]);
	r = strchr(ITOA64, s[2]);
	if (n == NULL || r == NULL)
		return NOT_WELL_MADE;
	log2_n = (unsigned int)(n - ITOA64) + 1;
	if (log2_n > 30)
		return TOO_DEAR;
	octets = (UINT64_C(128) << log2_n) * ((uint64_t)(r - ITOA64) + 1);
	if (octets > YESCRYPT_MAX)
		return TOO_DEAR;
	return octets < YESCRYPT_MIN ? "of too little memory" : salt_and_hash(s + 4, 86, 43);
}

/* "12$" and 53 characters, 22 of them salt. */
static const char *
bcrypt_fault(const char *s)
{
	unsigned int cost;

	if (!char_is_digit((unsigned char)s[0]) || !char_is_digit((unsigned char)s[1]) ||
	    s[2] != '$')
		return NOT_WELL_MADE;
	cost = (unsigned int)(s[0] - '0') * 10 + (unsigned int)(s[1] - '0');
	if (cost > BCRYPT_MAX)
		return TOO_DEAR;
	if (cost < BCRYPT_MIN || count_of(s + 3, ITOA64) != 53 || s[3 + 53] != '\0')
		return NOT_WELL_MADE;
	return NULL;
}

static const char *
sha_fault(const char *s, size_t hash_len)
{
	static const char rounds[] = "rounds=";
	char *end;
	unsigned long n;

	if (strncmp(s, rounds, strlen(rounds)) == 0) {
		s += strlen(rounds);
		if (!char_is_digit((unsigned char)*s))
			return NOT_WELL_MADE;
		n = strtoul(s, &end, 10);
		if (*end != '$' || end - s > 9)
			return NOT_WELL_MADE;
		if (n > ROUNDS_MAX)
			return TOO_DEAR;
		s = end + 1;
	}
	return salt_and_hash(s, 16, hash_len);
}

static const char *
sha512_fault(const char *s)
{
	return sha_fault(s, 86);
}

static const char *
sha256_fault(const char *s)
{
	return sha_fault(s, 43);
}

/* -- kinds -- */

/* The parameters, up to their last '$': "j9T$", "12$", "rounds=5000$" or "". */
static size_t
parameters_plain(const char *s)
{
	size_t n = strcspn(s, "$");

	return s[n] == '$' ? n + 1 : n;
}

static size_t
parameters_sha(const char *s)
{
	return strncmp(s, "rounds=", 7) == 0 ? parameters_plain(s) : 0;
}

static const struct hash_kind {
	const char *prefix;
	const char *(*fault)(const char *s); /* of what comes behind the prefix */
	size_t (*parameters)(const char *s);
	size_t hash_len; /* characters at the end that are neither parameters nor salt */
} hash_kinds[] = {
    {"$y$", yescrypt_fault, parameters_plain, 43},
    {"$2b$", bcrypt_fault, parameters_plain, 31},
    {"$2y$", bcrypt_fault, parameters_plain, 31},
    {"$2a$", bcrypt_fault, parameters_plain, 31},
    {"$6$", sha512_fault, parameters_sha, 86},
    {"$5$", sha256_fault, parameters_sha, 43},
};

static const struct hash_kind *
kind_of(const char *hash)
{
	size_t i;

	for (i = 0; i < NITEMS(hash_kinds); i++)
		if (strncmp(hash, hash_kinds[i].prefix, strlen(hash_kinds[i].prefix)) == 0)
			return &hash_kinds[i];
	return NULL;
}

const char *
stored_hash_fault(const char *hash)
{
	const struct hash_kind *kind = kind_of(hash);

	if (strlen(hash) >= STORED_HASH_SIZE)
		return NOT_WELL_MADE;
	if (kind == NULL)
		return hash[0] == '$' ? "weaker than SHA-256-crypt, or unknown" : "not a hash";
	return kind->fault(hash + strlen(kind->prefix));
}

size_t
stored_hash_kind(const char *hash)
{
	const struct hash_kind *kind = kind_of(hash);
	size_t n;

	if (kind == NULL)
		return 0;
	n = strlen(kind->prefix);
	return n + kind->parameters(hash + n);
}

/* -- values -- */

static const char *
word_take(const char *word, size_t len, struct stored *out)
{
	char hash[STORED_HASH_SIZE];
	const char *why;

	if (len >= sizeof(hash))
		return "too long";
	if (scram_keys_parse(word, len, &out->scram) == 0) {
		out->has_scram = true;
		return NULL;
	}
	memcpy(hash, word, len);
	hash[len] = '\0';
	if (strncmp(hash, "SCRAM-", 6) == 0)
		why = "not keys of SCRAM-SHA-256 within our bounds";
	else if ((why = stored_hash_fault(hash)) == NULL)
		memcpy(out->hash, hash, len + 1);
	explicit_bzero(hash, sizeof(hash));
	return why;
}

int
stored_parse(const char *value, struct stored *out, const char **why)
{
	const char *word, *fault;
	size_t len;
	bool is_scram;

	memset(out, 0, sizeof(*out));
	*why = "empty";
	for (word = value + strspn(value, BLANKS); *word != '\0';
	     word += len + strspn(word + len, BLANKS)) {
		len = strcspn(word, BLANKS);
		is_scram = *word == 'S';
		/* Of two of a kind the first counts: one check must be enough. */
		if (is_scram ? out->has_scram : out->hash[0] != '\0')
			continue;
		if ((fault = word_take(word, len, out)) != NULL)
			*why = fault;
	}
	if (out->has_scram || out->hash[0] != '\0')
		return 0;
	errno = EINVAL;
	return -1;
}

/* -- a hash that no password has -- */

/* len characters of the alphabet of crypt(3), at random. */
static int
random_characters(char *dst, size_t len)
{
	uint8_t octets[STORED_HASH_SIZE];
	size_t i;

	bug_on(len > sizeof(octets));
	if (getrandom(octets, len, 0) != (ssize_t)len)
		return -1;
	for (i = 0; i < len; i++)
		dst[i] = ITOA64[octets[i] & 0x3fU];
	explicit_bzero(octets, sizeof(octets));
	return 0;
}

/* Settings and salt of a real one, for what is well made takes as long as what it is like. */
int
stored_hash_fake(const char *like, char dst[STORED_HASH_SIZE])
{
	static const char preferred[] = "$y$j9T$......................$"
					"...........................................";
	const struct hash_kind *kind;
	size_t len;

	if (like == NULL || like[0] == '\0')
		like = preferred;
	kind = kind_of(like);
	len = strlen(like);
	bug_on(kind == NULL || len >= STORED_HASH_SIZE || len <= kind->hash_len);
	memcpy(dst, like, len + 1);
	return random_characters(dst + len - kind->hash_len, kind->hash_len);
}

/* SPDX-License-Identifier: ISC */
/*
 * Ciphers, versions and curves of TLS, as words.
 *
 * Invariant: no version before 1.2 passes, by whatever name; what is handed
 * on about versions is one of three texts, because libraries don't agree on
 * what "all" is.
 */
#include "lib/conf/tls_words.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/conf/conf.h"

#define TLS_1_2 1U
#define TLS_1_3 2U

static const struct {
	const char *word;
	unsigned int versions;
} protocols[] = {
    {"tlsv1.2", TLS_1_2},
    {"tlsv1.3", TLS_1_3},
    {"secure", TLS_1_2 | TLS_1_3},
    {"default", TLS_1_2 | TLS_1_3},
    {"all", TLS_1_2 | TLS_1_3},
};

/* Names in one row are of the same curve. */
static const char *const curves[][2] = {
    {"X25519", NULL},
    {"X448", NULL},
    {"P-256", "prime256v1"},
    {"P-384", "secp384r1"},
    {"P-521", "secp521r1"},
};

/* The length of a word that another follows or nothing does; *next: that one, or NULL. */
static size_t
split_word(const char *s, const char *separators, const char **next)
{
	size_t len = strcspn(s, separators);

	*next = s[len] == '\0' ? NULL : s + len + 1;
	return len;
}

bool
check_ciphers(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if (!char_is_alnum((unsigned char)s[i]) && strchr("-_+!@=:;., ", s[i]) == NULL)
			return false;
	}
	return i > 0 && i <= CONF_STRING_MAX && *s != ' ' && s[i - 1] != ' ';
}

static unsigned int
protocol_versions(const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < NITEMS(protocols); i++) {
		if (strlen(protocols[i].word) == len &&
		    strncasecmp(protocols[i].word, word, len) == 0)
			return protocols[i].versions;
	}
	return 0;
}

const char *
protocols_canonical(const char *s)
{
	static const char *const texts[] = {
	    [TLS_1_2] = "TLSv1.2",
	    [TLS_1_3] = "TLSv1.3",
	    [TLS_1_2 | TLS_1_3] = "TLSv1.2,TLSv1.3",
	};
	unsigned int versions = 0, more;
	const char *next;
	size_t len;

	for (; s != NULL; s = next) {
		while (*s == ' ')
			s++;
		len = split_word(s, ",:", &next);
		if ((more = protocol_versions(s, len)) == 0)
			return NULL;
		versions |= more;
	}
	return texts[versions];
}

bool
check_protocols(const char *s)
{
	return protocols_canonical(s) != NULL;
}

/* A number from 0 for each curve, or NITEMS(curves). */
static size_t
curve_number(const char *word, size_t len)
{
	size_t i, j;

	for (i = 0; i < NITEMS(curves); i++) {
		for (j = 0; j < NITEMS(curves[i]); j++) {
			const char *name = curves[i][j];

			if (name != NULL && strlen(name) == len && strncmp(name, word, len) == 0)
				return i;
		}
	}
	return i;
}

bool
check_curves(const char *s)
{
	unsigned int seen = 0;
	const char *next;
	size_t i;

	for (; s != NULL; s = next) {
		i = curve_number(s, split_word(s, ":", &next));
		/* OpenSSL refuses a list that has one twice. */
		if (i == NITEMS(curves) || (seen >> i & 1) != 0)
			return false;
		seen |= 1U << i;
	}
	return true;
}

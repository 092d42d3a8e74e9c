/* SPDX-License-Identifier: ISC */
/*
 * Trust anchors, checked before a resolver sees them.
 *
 * Invariant: a record that passes has one meaning for every parser of zone
 * files; no algorithm or digest passes that would turn validation off.
 */
#include "lib/conf/anchor.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/conf.h"

#define BLANKS		" \t"
#define FIELDS_MAX	64
#define NAME_MAX_OCTETS 255

/* RFC 8624 section 3.1: what validators must or should know; mnemonics of RFC 4034 A.1 and its successors. */
static const struct {
	const char *mnemonic;
	unsigned int number;
} algorithms[] = {
    {"RSASHA1", 5},
    {"RSASHA1-NSEC3-SHA1", 7},
    {"RSASHA256", 8},
    {"RSASHA512", 10},
    {"ECDSAP256SHA256", 13},
    {"ECDSAP384SHA384", 14},
    {"ED25519", 15},
    {"ED448", 16},
};

/* Section 3.3 of it. */
static const struct {
	unsigned int type;
	size_t digits; /* hexadecimal */
} digests[] = {{1, 40}, {2, 64}, {4, 96}};

struct record { /* fields of a text that was cut up */
	char text[CONF_STRING_MAX + 1];
	const char *fields[FIELDS_MAX];
	size_t nfields;
};

bool
anchor_is_record(const char *s)
{
	return *s != '/' && strpbrk(s, BLANKS) != NULL;
}

static int
record_split(struct record *r, const char *s)
{
	char *field, *save = NULL;

	r->nfields = 0;
	if (str_copy(r->text, sizeof(r->text), s) == -1)
		return -1;
	for (field = strtok_r(r->text, BLANKS, &save); field != NULL;
	     field = strtok_r(NULL, BLANKS, &save)) {
		if (r->nfields == FIELDS_MAX)
			return -1;
		r->fields[r->nfields++] = field;
	}
	return 0;
}

static bool
is_domain(const char *s)
{
	char name[NAME_MAX_OCTETS + 1];
	size_t len;

	if (strcmp(s, ".") == 0)
		return true;
	if (*s == '[' || str_copy(name, sizeof(name), s) == -1)
		return false;
	len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return check_hostname(name);
}

static bool
is_number(const char *s, uint64_t max)
{
	uint64_t n;

	return str_u64(s, 0, max, &n) == 0;
}

/* Where the four fields after "DS" begin; 0: there is no DS. */
static size_t
find_data(const struct record *r)
{
	size_t i;

	/* TTL and class may stand in either order, or not at all (RFC 1035 section 5.1). */
	for (i = 1; i < r->nfields && i < 4; i++) {
		if (str_equal_nocase(r->fields[i], "DS"))
			return i + 1;
		if (!str_equal_nocase(r->fields[i], "IN") && !is_number(r->fields[i], INT32_MAX))
			return 0;
	}
	return 0;
}

static bool
is_algorithm(const char *s)
{
	uint64_t n = 0;
	size_t i;

	if (str_u64(s, 1, UINT8_MAX, &n) == -1)
		n = 0;
	for (i = 0; i < NITEMS(algorithms); i++) {
		if (n == algorithms[i].number || str_equal_nocase(s, algorithms[i].mnemonic))
			return true;
	}
	return false;
}

/* How many digits a digest of this type has; 0: there is no such type. */
static size_t
digest_digits(const char *s)
{
	uint64_t n;
	size_t i;

	if (str_u64(s, 0, UINT8_MAX, &n) == -1)
		return 0;
	for (i = 0; i < NITEMS(digests); i++) {
		if (digests[i].type == n)
			return digests[i].digits;
	}
	return 0;
}

/* The digits of the fields from the first, which blanks may separate; -1: something else is there. */
static int
count_digits(const struct record *r, size_t first, size_t *digits)
{
	size_t i, len;

	*digits = 0;
	for (i = first; i < r->nfields; i++) {
		len = strlen(r->fields[i]);
		if (strspn(r->fields[i], "0123456789abcdefABCDEF") != len)
			return -1;
		*digits += len;
	}
	return 0;
}

static int
check_record(const struct record *r, char *why, size_t size)
{
	const char *const *f = r->fields;
	size_t at = find_data(r), want, have;

	if (r->nfields == 0 || !is_domain(f[0]))
		(void)snprintf(why, size, "a DS record begins with a domain");
	else if (at == 0)
		(void)snprintf(why, size, "a trust anchor is a file or a DS record: \"%s\"",
		    "DOMAIN DS KEY-TAG ALGORITHM DIGEST-TYPE DIGEST");
	else if (r->nfields < at + 4)
		(void)snprintf(why, size,
		    "after DS there are a key tag, an algorithm, a digest type and a digest");
	else if (!is_number(f[at], UINT16_MAX))
		(void)snprintf(why, size, "the key tag '%.32s' is not a number to 65535", f[at]);
	else if (!is_algorithm(f[at + 1]))
		(void)snprintf(
		    why, size, "'%.32s' is not an algorithm that can be verified", f[at + 1]);
	else if ((want = digest_digits(f[at + 2])) == 0)
		(void)snprintf(
		    why, size, "the digest type '%.32s' is none of 1, 2 and 4", f[at + 2]);
	else if (count_digits(r, at + 3, &have) == -1)
		(void)snprintf(why, size, "the digest is not hexadecimal");
	else if (have != want)
		(void)snprintf(why, size,
		    "the digest has %zu hexadecimal digits, and one of type %.32s has %zu", have,
		    f[at + 2], want);
	else
		return 0;
	return -1;
}

int
anchor_check(const char *s, char *why, size_t size)
{
	struct record r;

	if (*s == '/' && check_path(s))
		return 0;
	if (!anchor_is_record(s))
		(void)snprintf(why, size, "'%.64s' is neither an absolute path nor a DS record", s);
	else if (record_split(&r, s) == -1)
		(void)snprintf(why, size, "this is too long for a DS record");
	else
		return check_record(&r, why, size);
	return -1;
}

bool
check_anchor(const char *s)
{
	char why[256];

	return anchor_check(s, why, sizeof(why)) == 0;
}

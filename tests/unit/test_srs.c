/* SPDX-License-Identifier: ISC */
/* SRS addresses: made, taken apart, forged, too old, too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lookup/srs.h"
#include "vault/srs.h"

#define DAY 86400

static const struct srs_keys keys = {"sesame", NULL, 4 * DAY};
static const int64_t now_s = 20000 * (int64_t)DAY + 5; /* 20000 % 1024 is 544: "RA" */

static const char *
rewrite(const char *address)
{
	static char out[ADDRESS_MAX + 1];

	assert_int_equal(srs_rewrite(&keys, now_s, address, "fwd.example", out), SRS_OK);
	return out;
}

static void
check_back(const struct srs_keys *k, int64_t then_s, const char *address, const char *want)
{
	char back[ADDRESS_MAX + 1];

	assert_int_equal(
	    srs_reverse(k, then_s, address, back), want == NULL ? SRS_NOT_OURS : SRS_OK);
	assert_string_equal(back, want == NULL ? "" : want);
}

/* "SRS0=......=rest" */
static void
check_form(const char *address, const char *kind, const char *rest)
{
	assert_memory_equal(address, kind, 4);
	assert_int_equal(address[4], '=');
	assert_int_equal(strspn(address + 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 6);
	assert_int_equal(address[11], '=');
	assert_string_equal(address + 12, rest);
}

static void
test_there_and_back(void **state)
{
	static const struct {
		const char *address, *kind, *rest;
	} rows[] = {
	    {"ann@a.example", "SRS0", "RA=a.example=ann@fwd.example"},
	    {"Ann.X@A.Example", "SRS0", "RA=a.example=Ann.X@fwd.example"},
	    {"a=b=c@a.example", "SRS0", "RA=a.example=a=b=c@fwd.example"},
	    {"SRS0=XYZ=TT=a.example=ann@b.example", "SRS1",
		"b.example==XYZ=TT=a.example=ann@fwd.example"},
	    {"srs0+XYZ=TT=a.example=ann@b.example", "SRS1",
		"b.example=+XYZ=TT=a.example=ann@fwd.example"},
	};
	char address[ADDRESS_MAX + 1], want[ADDRESS_MAX + 1];
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		check_form(rewrite(rows[i].address), rows[i].kind, rows[i].rest);
		assert_int_equal(str_copy(address, sizeof(address), rewrite(rows[i].address)), 0);
		assert_int_equal(address_parse(rows[i].address, 0, &a), ADDRESS_OK);
		if (strncmp(a.local, "srs0", 4) == 0)
			memcpy(a.local, "SRS0", 4);
		assert_int_equal(address_format(&a, want, sizeof(want)), 0);
		check_back(&keys, now_s, address, want);
		assert_int_equal(address_parse(address, 0, &a), ADDRESS_OK);
		assert_true(srs_is_local_part(a.local));
	}
}

/* The third in line speaks of the first, not of the second. */
static void
test_third_forwarder(void **state)
{
	char out[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(
	    srs_rewrite(&keys, now_s, "SRS1=YYYYYY=b.example==XYZ=TT=a.example=ann@c.example",
		"fwd.example", out),
	    SRS_OK);
	check_form(out, "SRS1", "b.example==XYZ=TT=a.example=ann@fwd.example");
	check_back(&keys, now_s, out, "SRS0=XYZ=TT=a.example=ann@b.example");
}

static void
test_quoted(void **state)
{
	char out[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(
	    srs_rewrite(&keys, now_s, "\"an n\"@a.example", "fwd.example", out), SRS_OK);
	assert_int_equal(out[0], '"');
	check_back(&keys, now_s, out, "\"an n\"@a.example");
	assert_int_equal(srs_rewrite(&keys, now_s, "ann@[192.0.2.1]", "fwd.example", out), SRS_OK);
	check_back(&keys, now_s, out, "ann@[192.0.2.1]");
}

/* What carries it may change its case, and the case of a sender is not what we sign. */
static void
test_case(void **state)
{
	char address[ADDRESS_MAX + 1];
	char *p;

	(void)state;
	assert_int_equal(str_copy(address, sizeof(address), rewrite("ann@a.example")), 0);
	str_lower(address);
	check_back(&keys, now_s, address, "ann@a.example");
	for (p = address; *p != '@'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 0x20);
	check_back(&keys, now_s, address, "ANN@a.example");
}

/* Each octet before the "@", changed, spoils it. */
static void
test_forged(void **state)
{
	static const char *const others[] = {"SRS0=@fwd.example",
	    "SRS0==RA=a.example=ann@fwd.example", "SRS0=AAAAAA=RA=a.example=ann@fwd.example",
	    "SRS1=AAAAAA=b.example==x@fwd.example", "SRS0=AAAAAAA=RA=a.example=ann@fwd.example",
	    "ann@fwd.example", "", "SRS0", "SRS2=x@y.example"};
	char address[ADDRESS_MAX + 1];
	size_t i, n;
	char was;

	(void)state;
	assert_int_equal(str_copy(address, sizeof(address), rewrite("ann@a.example")), 0);
	n = (size_t)(strchr(address, '@') - address);
	for (i = 5; i < n; i++) {
		was = address[i];
		address[i] = was == 'q' || was == 'Q' ? 'x' : 'q';
		check_back(&keys, now_s, address, NULL);
		address[i] = was;
	}
	check_back(&keys, now_s, address, "ann@a.example");
	/* The separator is not signed: who hands it back may have written another. */
	address[4] = '+';
	check_back(&keys, now_s, address, "ann@a.example");
	memcpy(address, "SRS1", 4);
	check_back(&keys, now_s, address, NULL);
	for (i = 0; i < NITEMS(others); i++)
		check_back(&keys, now_s, others[i], NULL);
}

static void
test_age(void **state)
{
	static const struct {
		int days;
		bool good;
	} rows[] = {{0, true}, {1, true}, {4, true}, {5, false}, {100, false}, {1022, false},
	    {-1, true}, {-2, false}, {1024, true} /* round again */};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++)
		check_back(&keys, now_s + rows[i].days * (int64_t)DAY, rewrite("ann@a.example"),
		    rows[i].good ? "ann@a.example" : NULL);
}

static void
test_key_change(void **state)
{
	const struct srs_keys other = {"open", NULL, 4 * DAY}, both = {"open", "sesame", 4 * DAY};
	char was[ADDRESS_MAX + 1];
	char out[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(str_copy(was, sizeof(was), rewrite("ann@a.example")), 0);
	check_back(&other, now_s, was, NULL);
	check_back(&both, now_s, was, "ann@a.example");
	assert_int_equal(srs_rewrite(&both, now_s, "ann@a.example", "fwd.example", out), SRS_OK);
	check_back(&other, now_s, out, "ann@a.example");
}

/* 64 octets of a local part, 15 of which are ours (RFC 5321 4.5.3.1.1). */
static void
test_length(void **state)
{
	char address[ADDRESS_MAX + 1], out[ADDRESS_MAX + 1];
	size_t n;

	(void)state;
	for (n = 1; n <= 64; n++) {
		(void)snprintf(address, sizeof(address), "%.*s@a.example", (int)n,
		    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
		assert_int_equal(srs_rewrite(&keys, now_s, address, "fwd.example", out),
		    n + 10 + 15 <= 64 ? SRS_OK : SRS_TOO_LONG);
		if (n + 10 + 15 <= 64)
			check_back(&keys, now_s, out, address);
		else
			assert_string_equal(out, "");
	}
	assert_int_equal(srs_rewrite(&keys, now_s, "", "fwd.example", out), SRS_TOO_LONG);
	assert_int_equal(
	    srs_rewrite(&keys, now_s, "ann@a.example", "not a domain", out), SRS_TOO_LONG);
}

static void
test_looks_like_it(void **state)
{
	(void)state;
	assert_true(srs_is_local_part("SRS0=x"));
	assert_true(srs_is_local_part("srs1-x"));
	assert_true(srs_is_local_part("SRS0+"));
	assert_false(srs_is_local_part("SRS0"));
	assert_false(srs_is_local_part("SRS00=x"));
	assert_false(srs_is_local_part("SRS2=x"));
	assert_false(srs_is_local_part("xSRS0=x"));
	assert_false(srs_is_local_part(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_third_forwarder),
	    cmocka_unit_test(test_quoted),
	    cmocka_unit_test(test_case),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_age),
	    cmocka_unit_test(test_key_change),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_looks_like_it),
	};

	return cmocka_run_group_tests_name("srs", tests, NULL, NULL);
}

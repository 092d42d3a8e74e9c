/* SPDX-License-Identifier: ISC */
/* DNS answers, well-formed and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/dns_wire.h"

#define HEADER(answers) "\0\1\x85\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION	"\1a\0\0\17\0\1" /* a. MX IN, at 12 */
#define RR(type)	"\xc0\x0c\0" type "\0\1\0\0\0\74"
#define MX_RR		RR("\17")
#define PTR_RR		RR("\14")
#define PACKET(text)	text, sizeof(text) - 1
#define B_RR(type)	"\1b\0\0" type "\0\1\0\0\0\74"

static const struct {
	const char *packet;
	size_t len;
	enum dns_type type;
	int rc;
	size_t n, unusable;
	const char *name; /* of the first */
} answers[] = {
    {PACKET(HEADER("\0") QUESTION), DNS_MX, 0, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\2MX\0"), DNS_MX, 0, 1, 0, "mx"},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\1b\xc0\x0c"), DNS_MX, 0, 1, 0, "b.a"},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\3\0\0\0"), DNS_MX, 0, 1, 0, ""},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\2MX\0"), DNS_A, 0, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION PTR_RR "\0\4\2MX\0"), DNS_PTR, 0, 1, 0, "mx"},
    {PACKET(HEADER("\1") QUESTION PTR_RR "\0\2\xc0\x0c"), DNS_PTR, 0, 1, 0, "a"},
    {PACKET(HEADER("\1") QUESTION PTR_RR "\0\4\2M\n\0"), DNS_PTR, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION PTR_RR "\0\3\2MX\0"), DNS_PTR, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION PTR_RR "\0\4\2MX\0"), DNS_MX, 0, 0, 0, NULL},
    {PACKET(HEADER("\2") QUESTION MX_RR "\0\6\0\12\2M\n\0" MX_RR "\0\6\0\12\2ok\0"), DNS_MX, 0, 1,
	1, "ok"},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\2a.\0"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\2\0a\0"), DNS_MX, 0, 0, 1, NULL},
    /* a pointer to itself, ahead, past the end; a name past its record */
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\4\0\12\xc0\x21"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\4\0\12\xff\xff"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\4\0\12\5ab"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\4\0\12\2ab\0"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\0"), DNS_MX, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION MX_RR "\0\6\0\12\2MX"), DNS_MX, -1, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\17\0\1\0\0"), DNS_MX, -1, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION), DNS_MX, -1, 0, 0, NULL},
    {PACKET(HEADER("\0") "\x40" QUESTION), DNS_MX, -1, 0, 0, NULL},
    {PACKET("\0\1\x85\x80\0\1\0\0\0\0\0"), DNS_MX, -1, 0, 0, NULL},
    {PACKET(""), DNS_MX, -1, 0, 0, NULL},
    /* no question, two questions */
    {PACKET("\0\1\x85\x80\0\0\0\0\0\0\0\0"), DNS_MX, -1, 0, 0, NULL},
    {PACKET("\0\1\x85\x80\0\2\0\0\0\0\0\0" QUESTION QUESTION), DNS_MX, -1, 0, 0, NULL},
    /* of another name, though nobody led there */
    {PACKET(HEADER("\1") QUESTION "\1b\0\0\17\0\1\0\0\0\74\0\6\0\12\2MX\0"), DNS_MX, 0, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION "\1A\0\0\17\0\1\0\0\0\74\0\6\0\12\2MX\0"), DNS_MX, 0, 1, 0, "mx"},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\74\0\4\300\0\2\1"), DNS_A, 0, 1, 0, ""},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\74\0\5\300\0\2\1\1"), DNS_A, 0, 0, 1,
	NULL},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\74\0\3\300\0\2"), DNS_A, 0, 0, 1, NULL},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\1\0\3\0\0\0\74\0\4\300\0\2\1"), DNS_A, 0, 0, 0, NULL},
    {PACKET(HEADER("\1") QUESTION "\xc0\x0c\0\34\0\1\0\0\0\74\0\4\300\0\2\1"), DNS_AAAA, 0, 0, 1,
	NULL},
};

static void
test_answers(void **state)
{
	struct dns_records records;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(answers); i++) {
		/* Of its exact size, so that a sanitizer sees the first octet too many. */
		uint8_t *copy = malloc(answers[i].len == 0 ? 1 : answers[i].len);

		print_message("answer %zu\n", i);
		assert_non_null(copy);
		memcpy(copy, answers[i].packet, answers[i].len);
		assert_int_equal(
		    dns_parse(copy, answers[i].len, answers[i].type, &records), answers[i].rc);
		free(copy);
		if (answers[i].rc == -1)
			continue;
		assert_int_equal(records.n, answers[i].n);
		assert_int_equal(records.unusable, answers[i].unusable);
		if (answers[i].name != NULL)
			assert_string_equal(records.list[0].name, answers[i].name);
	}
}

/* -- referrals -- */

#define AUTHORITY(answers, n) "\0\1\x85\x80\0\1\0" answers "\0" n "\0\0"
#define NS_RR		      RR("\2") "\0\3\1n\0"
#define SOA_RR		      RR("\6") "\0\2\xc0\x0c"

static const struct {
	const char *packet;
	size_t len;
	bool want;
} referrals[] = {
    {PACKET(AUTHORITY("\0", "\0") QUESTION), false},
    {PACKET(AUTHORITY("\0", "\1") QUESTION NS_RR), true},
    {PACKET(AUTHORITY("\0", "\2") QUESTION NS_RR NS_RR), true},
    {PACKET(AUTHORITY("\0", "\1") QUESTION SOA_RR), false},
    {PACKET(AUTHORITY("\0", "\2") QUESTION NS_RR SOA_RR), false},
    {PACKET(AUTHORITY("\0", "\2") QUESTION SOA_RR NS_RR), false},
    {PACKET(AUTHORITY("\1", "\1") QUESTION MX_RR "\0\6\0\12\2MX\0" NS_RR), false},
    {PACKET(AUTHORITY("\1", "\1") QUESTION RR("\5") "\0\3\1B\0" NS_RR), false},
    {PACKET(AUTHORITY("\0", "\2") QUESTION NS_RR), false},
    {PACKET(AUTHORITY("\0", "\1") QUESTION RR("\2") "\0\4\1n\0"), false},
};

static void
test_referrals(void **state)
{
	struct dns_records records;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(referrals); i++) {
		print_message("referral %zu\n", i);
		assert_int_equal(dns_parse((const uint8_t *)referrals[i].packet, referrals[i].len,
				     DNS_MX, &records),
		    0);
		assert_int_equal(records.referral, referrals[i].want);
	}
}

/* -- aliases -- */

static const struct {
	const char *packet;
	size_t len;
	bool alias;
	size_t n;
	const char *canonical;
} chains[] = {
    {PACKET(HEADER("\0") QUESTION), false, 0, "a"},
    {PACKET(HEADER("\1") QUESTION RR("\1") "\0\4\300\0\2\1"), false, 1, "a"},
    {PACKET(HEADER("\1") QUESTION RR("\5") "\0\3\1B\0"), true, 0, "b"},
    {PACKET(HEADER("\2") QUESTION RR("\5") "\0\3\1B\0" B_RR("\1") "\0\4\300\0\2\1"), true, 1, "b"},
    /* beside the chain: the alias's own address, somebody else's */
    {PACKET(HEADER("\2") QUESTION RR("\5") "\0\3\1B\0" RR("\1") "\0\4\300\0\2\1"), true, 0, "b"},
    {PACKET(HEADER("\2") QUESTION RR("\5") "\0\3\1B\0"
					   "\1c\0\0\1\0\1\0\0\0\74\0\4\300\0\2\1"),
	true, 0, "b"},
    /* to a name that no host has: its address is as good as any */
    {PACKET(HEADER("\2") QUESTION RR("\5") "\0\3\1\n\0"
					   "\1\n\0\0\1\0\1\0\0\0\74\0\4\300\0\2\1"),
	true, 1, ""},
    /* in a circle */
    {PACKET(HEADER("\2") QUESTION RR("\5") "\0\3\1b\0" B_RR("\5") "\0\2\xc0\x0c"), true, 0, "a"},
    {PACKET(HEADER("\1") QUESTION RR("\5") "\0\2\xc0\x0c"), true, 0, "a"},
};

static void
test_aliases(void **state)
{
	struct dns_records records;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(chains); i++) {
		print_message("chain %zu\n", i);
		assert_int_equal(
		    dns_parse((const uint8_t *)chains[i].packet, chains[i].len, DNS_A, &records),
		    0);
		assert_int_equal(records.alias, chains[i].alias);
		assert_int_equal(records.n, chains[i].n);
		assert_string_equal(records.canonical, chains[i].canonical);
		assert_false(records.secure);
	}
}

/* A CNAME that was asked for is a record, not a way to others. */
static void
test_cname(void **state)
{
	static const char packet[] = HEADER("\1") QUESTION RR("\5") "\0\3\1B\0";
	struct dns_records records;

	(void)state;
	assert_int_equal(
	    dns_parse((const uint8_t *)packet, sizeof(packet) - 1, DNS_CNAME, &records), 0);
	assert_int_equal(records.n, 1);
	assert_false(records.alias);
	assert_string_equal(records.list[0].name, "b");
	assert_string_equal(records.canonical, "a");
}

/* A CNAME that leads past its record spoils the whole. */
static void
test_cname_cut(void **state)
{
	static const char packet[] = HEADER("\1") QUESTION RR("\5") "\0\2\1B\0";
	struct dns_records records;

	(void)state;
	assert_int_equal(
	    dns_parse((const uint8_t *)packet, sizeof(packet) - 1, DNS_A, &records), -1);
}

/* -- octets -- */

static const struct {
	const char *packet;
	size_t len;
	enum dns_type type;
	size_t n, unusable;
	const char *data; /* of the first */
	size_t size;
} octets[] = {
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\4\3abc"), DNS_TXT, 1, 0, PACKET("abc")},
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\10\3abc\0\2\r\n"), DNS_TXT, 1, 0,
	PACKET("abc\r\n")},
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\1\0"), DNS_TXT, 1, 0, PACKET("")},
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\3\2\0\xff"), DNS_TXT, 1, 0, PACKET("\0\xff")},
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\0"), DNS_TXT, 0, 1, NULL, 0},
    {PACKET(HEADER("\1") QUESTION RR("\20") "\0\3\3ab"), DNS_TXT, 0, 1, NULL, 0},
    /* one that is cut leaves nothing behind */
    {PACKET(HEADER("\2") QUESTION RR("\20") "\0\5\2xy\3a" RR("\20") "\0\2\1z"), DNS_TXT, 1, 1,
	PACKET("z")},
    {PACKET(HEADER("\1") QUESTION RR("\64") "\0\5\3\1\2\0\r"), DNS_TLSA, 1, 0, PACKET("\0\r")},
    {PACKET(HEADER("\1") QUESTION RR("\64") "\0\3\3\1\2"), DNS_TLSA, 1, 0, PACKET("")},
    {PACKET(HEADER("\1") QUESTION RR("\64") "\0\2\3\1"), DNS_TLSA, 0, 1, NULL, 0},
    {PACKET(HEADER("\1") QUESTION RR("\64") "\0\0"), DNS_TLSA, 0, 1, NULL, 0},
};

static void
test_octets(void **state)
{
	struct dns_records records;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(octets); i++) {
		const struct dns_record *r = &records.list[0];

		print_message("octets %zu\n", i);
		assert_int_equal(dns_parse((const uint8_t *)octets[i].packet, octets[i].len,
				     octets[i].type, &records),
		    0);
		assert_int_equal(records.n, octets[i].n);
		assert_int_equal(records.unusable, octets[i].unusable);
		if (records.n == 0)
			continue;
		assert_int_equal(r->size, octets[i].size);
		assert_memory_equal(r->data, octets[i].data, r->size);
		if (octets[i].type == DNS_TLSA) {
			assert_int_equal(r->usage, 3);
			assert_int_equal(r->selector, 1);
			assert_int_equal(r->matching, 2);
		}
	}
}

/* What all records of an answer may hold is bounded; the rest of them is left out. */
static void
test_octets_are_bounded(void **state)
{
	static const char head[] = HEADER("\3") QUESTION, rr[] = RR("\64");
	const size_t size = DNS_DATA_MAX / 2 - 100;
	struct dns_records records;
	uint8_t *packet = calloc(1, DNS_DATA_MAX * 2);
	size_t i, at = sizeof(head) - 1;

	(void)state;
	assert_non_null(packet);
	memcpy(packet, head, at);
	for (i = 0; i < 3; i++) {
		memcpy(packet + at, rr, sizeof(rr) - 1);
		at += sizeof(rr) - 1;
		packet[at++] = (uint8_t)((size + 3) >> 8);
		packet[at++] = (uint8_t)(size + 3);
		memset(packet + at, (int)i + 1, size + 3);
		at += size + 3;
	}
	assert_int_equal(dns_parse(packet, at, DNS_TLSA, &records), 0);
	assert_int_equal(records.n, 2);
	assert_int_equal(records.unusable, 1);
	for (i = 0; i < 2; i++) {
		assert_int_equal(records.list[i].size, size);
		assert_int_equal(records.list[i].data[size - 1], i + 1);
	}
	free(packet);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_referrals),
	    cmocka_unit_test(test_aliases),
	    cmocka_unit_test(test_cname),
	    cmocka_unit_test(test_cname_cut),
	    cmocka_unit_test(test_octets),
	    cmocka_unit_test(test_octets_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

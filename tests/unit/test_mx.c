/* SPDX-License-Identifier: ISC */
/* Mail exchangers and the list of name servers. */
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
#include "lookup/mx.h"
#include "lookup/resolv.h"

/* -- the order of hosts -- */

struct pair {
	uint16_t preference;
	const char *name;
};

static const struct {
	enum dns_result answer;
	struct pair records[6];
	size_t nrecords, unusable;
	enum mx_result want;
	const char *hosts;
} choices[] = {
    {DNS_FOUND, {{20, "b.example"}, {10, "a.example"}}, 2, 0, MX_HOSTS,
	"a.example/10 b.example/20 "},
    {DNS_FOUND, {{0, ""}}, 1, 0, MX_NULL, ""},
    {DNS_FOUND, {{0, ""}, {10, "a.example"}}, 2, 0, MX_HOSTS, "a.example/10 "},
    {DNS_FOUND, {{0, ""}}, 1, 1, MX_UNUSABLE, ""},
    {DNS_FOUND, {{0, NULL}}, 0, 3, MX_UNUSABLE, ""},
    {DNS_FOUND, {{5, "a_b.example"}, {7, "-x.example"}}, 2, 0, MX_UNUSABLE, ""},
    {DNS_FOUND, {{5, "MX.example.org"}}, 1, 0, MX_LOOP, ""},
    {DNS_FOUND, {{5, "mx.example.org"}, {5, "same.example"}, {9, "worse.example"}}, 3, 0, MX_LOOP,
	""},
    {DNS_FOUND, {{9, "mx.example.org"}, {10, "worse.example"}, {5, "better.example"}}, 3, 0,
	MX_HOSTS, "better.example/5 "},
    {DNS_FOUND, {{9, "mx.example.org"}, {5, "better.example"}, {4, "mx.example.org"}}, 3, 0,
	MX_LOOP, ""},
    {DNS_FOUND, {{4, "mx.example.org"}, {5, "better.example"}, {9, "mx.example.org"}}, 3, 0,
	MX_LOOP, ""},
    {DNS_FOUND, {{65535, "mx.example.org"}}, 1, 0, MX_LOOP, ""},
    {DNS_FOUND, {{65535, "a.example"}}, 1, 0, MX_HOSTS, "a.example/65535 "},
    {DNS_NO_DATA, {{0, NULL}}, 0, 0, MX_HOSTS, "domain.example/0 "},
    {DNS_NO_NAME, {{0, NULL}}, 0, 0, MX_NO_NAME, ""},
    {DNS_TROUBLE, {{0, NULL}}, 0, 0, MX_TROUBLE, ""},
    {DNS_BOGUS, {{0, NULL}}, 0, 0, MX_BOGUS, ""},
};

static void
add_record(struct dns_records *records, uint16_t preference, const char *name)
{
	struct dns_record *r = &records->list[records->n++];

	r->preference = preference;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
}

static void
hosts_text(const struct mx_list *list, char *dst, size_t size)
{
	size_t i, n = 0;

	dst[0] = '\0';
	for (i = 0; i < list->n; i++)
		n += (size_t)snprintf(
		    dst + n, size - n, "%s/%u ", list->hosts[i].name, list->hosts[i].preference);
}

static void
test_choices(void **state)
{
	const struct mx_question q = {"domain.example", "mx.example.org", "", 1};
	struct dns_records records;
	struct mx_list list;
	char got[1024];
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(choices); i++) {
		print_message("choice %zu\n", i);
		records.n = 0;
		records.unusable = choices[i].unusable;
		for (j = 0; j < choices[i].nrecords; j++)
			add_record(
			    &records, choices[i].records[j].preference, choices[i].records[j].name);
		assert_int_equal(
		    mx_choose(&q, choices[i].answer, &records, &list), choices[i].want);
		hosts_text(&list, got, sizeof(got));
		assert_string_equal(got, choices[i].hosts);
	}
}

static void
test_own_domain_without_mx_loops(void **state)
{
	const struct mx_question q = {"mx.example.org", "mx.example.org", "", 1};
	struct mx_list list;

	(void)state;
	assert_int_equal(mx_choose(&q, DNS_NO_DATA, NULL, &list), MX_LOOP);
}

static void
test_equals_are_shuffled_and_many_are_cut(void **state)
{
	struct dns_records records = {.n = 0};
	unsigned int first[4] = {0};
	struct mx_list list;
	char name[32];
	uint32_t seed;
	size_t i;

	(void)state;
	for (i = 0; i < DNS_RECORDS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "h%zu.example", i);
		add_record(&records, i < 4 ? 1 : 2, name);
	}
	for (seed = 0; seed < 1000; seed++) {
		struct mx_question q = {"domain.example", "mx.example.org", "", seed * 2654435761U};

		assert_int_equal(mx_choose(&q, DNS_FOUND, &records, &list), MX_HOSTS);
		assert_int_equal(list.n, MX_HOSTS_MAX);
		for (i = 0; i < list.n; i++)
			assert_int_equal(list.hosts[i].preference, i < 4 ? 1 : 2);
		first[list.hosts[0].name[1] - '0']++;
	}
	for (i = 0; i < 4; i++)
		assert_in_range(first[i], 150, 350);
}

/* -- name servers -- */

static void
servers_text(const struct resolv_servers *s, char *dst, size_t size)
{
	size_t i, n = 0;

	dst[0] = '\0';
	for (i = 0; i < s->n; i++)
		n += (size_t)snprintf(dst + n, size - n, "%s ", s->list[i]);
}

static void
test_servers(void **state)
{
	static const struct {
		bool list;
		const char *text, *want;
	} cases[] = {
	    {false, "", ""},
	    {false, "nameserver 192.0.2.1\n", "192.0.2.1 "},
	    {false, "search x\n  nameserver\t2001:db8::1 # c\r\nnameserver 192.0.2.1",
		"2001:db8::1 192.0.2.1 "},
	    {false, "nameserver\nnameserver192.0.2.1\n#nameserver 192.0.2.1\n", ""},
	    {false, "nameserver host.example\nnameserver unix:/x\nnameserver 192.0.2\n", ""},
	    {true, "", ""},
	    {true, "none", ""},
	    {true, "192.0.2.1", "192.0.2.1 "},
	    {true, "192.0.2.1@5353, ::1@53 ,", "192.0.2.1@5353 ::1@53 "},
	    {true, "192.0.2.1@0,192.0.2.1@65536,192.0.2.1@,x@1", ""},
	    {true, "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9",
		"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 "},
	};
	struct resolv_servers servers;
	char got[1024];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("servers %zu\n", i);
		if (cases[i].list)
			resolv_parse_list(cases[i].text, &servers);
		else
			resolv_parse(cases[i].text, &servers);
		servers_text(&servers, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_own_domain_without_mx_loops),
	    cmocka_unit_test(test_equals_are_shuffled_and_many_are_cut),
	    cmocka_unit_test(test_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

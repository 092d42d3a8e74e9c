/* SPDX-License-Identifier: ISC */
/* Routes of a backup MX, and of names that can be written in two ways. */
#include "tests/unit/route_rig.h"

/* A backup MX sends to the better ones alone; MX records may have it by a name of its own. */
static void
test_backup(void **state)
{
	static const struct {
		const char *mx, *backup;
		const char *alias; /* of the host "me" */
		const char *want;
	} cases[] = {
	    {"5 a,10 bu,10 b,20 me", "bu.example", NULL, "192.0.2.1 ok "},
	    {"5 a,10 bu,20 me", "BU.Example", NULL, "192.0.2.1 ok "},
	    {"5 a,10 bu", "", NULL, "192.0.2.1 192.0.2.4 ok "}, /* nothing says that it is we */
	    {"5 a,10 me", "bu.example", "bu.example", "-me 192.0.2.1 ok "},
	    {"5 a,10 me", "bu.example", "else.example", "192.0.2.1 192.0.2.9 ok "},
	    {"5 a,10 self", "bu.example", NULL, "192.0.2.1 ok "},
	    {"5 bu,10 a", "bu.example", NULL, "5.4.6 "},
	    {"5 a", "bu.example", NULL,
		"192.0.2.1 ok "}, /* whoever named us so may be slow with the DNS */
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		print_message("%s\n", cases[i].mx);
		start_as("domain.example", true, cases[i].backup);
		answer_mx(cases[i].mx);
		if (find("a.example", DNS_A) != NULL)
			answer_address("a.example", "192.0.2.1", NULL);
		if (find("bu.example", DNS_A) != NULL)
			answer_address("bu.example", "192.0.2.4", NULL);
		if (find("me.example", DNS_A) != NULL)
			answer_address("me.example", "192.0.2.9", cases[i].alias);
		assert_end(cases[i].want);
	}
	start_as("bu.example", true, "bu.example");
	answer_none("bu.example", DNS_MX, DNS_NO_DATA);
	assert_end("5.4.6 ");
}

/* The DNS is asked for A-labels; what has none is no name of it. */
static void
test_idn(void **state)
{
	(void)state;
	start("B\xc3\x9c"
	      "cher.example",
	    true);
	answer_none("xn--bcher-kva.example", DNS_MX, DNS_NO_DATA);
	answer_address("xn--bcher-kva.example", "192.0.2.1", NULL);
	assert_end("192.0.2.1 ok ");
	start("b\xc3\xbc"
	      "cher.example",
	    false);
	answer_address("xn--bcher-kva.example", "192.0.2.1", NULL);
	assert_end("192.0.2.1 ok ");
	start("\xe2\x98\x83.example", true);
	assert_end("5.1.2 ");
	start_as("domain.example", true,
	    "b\xc3\xbc"
	    "cher.example");
	answer_mx("5 xn--bcher-kva,10 a");
	assert_end("5.4.6 ");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_backup),
	    TEST(test_idn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Routes: order, ourselves, trouble, deadlines, bounds. */
#include "tests/unit/route_rig.h"

/* Whatever comes first: by preference, and all at the end. */
static void
test_order(void **state)
{
	(void)state;
	start("domain.example", true);
	answer_mx("20 b,10 a,30 c");
	answer_address("c.example", "192.0.2.3", NULL);
	answer_none("b.example", DNS_A, DNS_NO_NAME);
	assert_string_equal(rig.got, "");
	answer_address("a.example", "192.0.2.1", NULL);
	assert_end("192.0.2.1 -b 192.0.2.3 ok ");
}

/* It is neither given out nor those that are no better, in whichever order the answers come. */
static void
test_self(void **state)
{
	static const struct {
		const char *mx;
		const char *alias, *address; /* of the host "me" */
		const char *want;
	} cases[] = {
	    {"10 me", "self.example", "192.0.2.9", "-me 5.4.6 "},
	    {"10 me", "SELF.Example", "192.0.2.9", "-me 5.4.6 "},
	    {"10 me", "other.example", "192.0.2.9", "192.0.2.9 ok "},
	    {"10 me", NULL, "192.0.2.25", "-me 5.4.6 "},
	    {"10 me", NULL, "192.0.2.26", "192.0.2.26 ok "}, /* another port */
	    {"10 me,10 a,20 b", "self.example", "192.0.2.9", "-me 5.4.6 "},
	    {"10 a,10 me,20 b", NULL, "192.0.2.25", "-me 5.4.6 "},
	    {"5 a,10 me,10 b", "self.example", "192.0.2.9", "-me 192.0.2.1 ok "},
	    {"5 a,10 me,20 b", NULL, "192.0.2.25", "-me 192.0.2.1 ok "},
	};
	struct conf_listener listeners[] = {
	    {.host = (char[]){"192.0.2.25"}, .port = 25},
	    {.host = (char[]){"192.0.2.26"}, .port = 587},
	    {.host = (char[]){"/run/socket"}, .unix_path = true, .port = 25},
	};
	size_t i, seed;

	(void)state;
	rig.conf.listeners = listeners;
	rig.conf.nlisteners = NITEMS(listeners);
	for (i = 0; i < NITEMS(cases); i++)
		for (seed = 0; seed < 8; seed++) { /* equals are shuffled */
			start("domain.example", true);
			answer_mx(cases[i].mx);
			if (find("a.example", DNS_A) != NULL)
				answer_address("a.example", "192.0.2.1", NULL);
			if (seed % 2 == 0 && find("b.example", DNS_A) != NULL)
				answer_address("b.example", "192.0.2.2", NULL);
			answer_address("me.example", cases[i].address, cases[i].alias);
			if (find("b.example", DNS_A) != NULL)
				answer_none("b.example", DNS_A, DNS_TROUBLE);
			assert_end(cases[i].want);
		}
	/* A host that the configuration names may be ourselves: it knows why. */
	start("me.example", false);
	answer_address("me.example", "192.0.2.25", "self.example");
	assert_end("192.0.2.25 ok ");
	start("[192.0.2.25]", true);
	assert_end("5.4.6 ");
}

/* The better one is only put off: the best of those that are left is not ourselves. */
static void
test_self_behind_trouble(void **state)
{
	(void)state;
	start("domain.example", true);
	answer_mx("10 a,20 me");
	answer_none("a.example", DNS_A, DNS_TROUBLE);
	answer_address("me.example", "192.0.2.9", "self.example");
	assert_end("-me -a 4.4.3 ");
}

static void
test_listeners_on_all_addresses(void **state)
{
	static const struct {
		const char *listener;
		int family;
		const char *address;
		bool own;
	} cases[] = {
	    {"0.0.0.0", AF_UNSPEC, "127.0.0.1", true},
	    {"0.0.0.0", AF_UNSPEC, "127.9.9.9", true},
	    {"0.0.0.0", AF_UNSPEC, "192.0.2.1", false},
	    {"::", AF_UNSPEC, "127.0.0.1", false},
	    {"lo", AF_UNSPEC, "127.0.0.1", true},
	    {"lo", AF_INET6, "127.0.0.1", false},
	    {"eth0", AF_UNSPEC, "192.0.2.1", false},
	    {"127.0.0.1", AF_UNSPEC, "127.0.0.2", false},
	};
	struct conf_listener listener = {.port = 25};
	size_t i;

	(void)state;
	rig.conf.listeners = &listener;
	rig.conf.nlisteners = 1;
	for (i = 0; i < NITEMS(cases); i++) {
		listener.host = strdup(cases[i].listener);
		listener.family = cases[i].family;
		start("domain.example", true);
		answer_mx("10 a");
		answer_address("a.example", cases[i].address, NULL);
		assert_int_equal(strcmp(rig.got, "-a 5.4.6 ") == 0, cases[i].own);
		free(listener.host);
	}
}

/* Addresses that no host has are as good as none. */
static void
test_no_addresses(void **state)
{
	static const char *const bad[] = {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"};
	static const char *const bad6[] = {
	    "::", "::ffff:192.0.2.1", "::ffff:127.0.0.1", "ff02::1", "fe80::1", "febf::1"};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		start("domain.example", true);
		answer_mx("10 a");
		answer_address("a.example", bad[i], NULL);
		assert_end("-a 5.4.4 ");
	}
	rig.conf.values.mta_family = CONF_FAMILY_IPV6;
	for (i = 0; i < NITEMS(bad6); i++) {
		start("domain.example", true);
		answer_mx("10 a");
		answer_address("a.example", bad6[i], NULL);
		assert_end("-a 5.4.4 ");
	}
	start("[IPv6:::]", true);
	assert_end("5.4.4 ");
}

/* Nobody answers, and libunbound says nothing either: it ends in time, with what is there. */
static void
test_deadline(void **state)
{
	(void)state;
	start("domain.example", true);
	routes_tick(rig.lookup.routes, rig.now_ms + 59999);
	assert_int_equal(rig.ends, 0);
	routes_tick(rig.lookup.routes, rig.now_ms + 60000);
	assert_end("4.4.3 ");
	start("domain.example", true);
	answer_mx("10 a,20 b");
	answer_address("b.example", "192.0.2.2", NULL);
	routes_tick(rig.lookup.routes, rig.now_ms + 60000);
	assert_end("-a 192.0.2.2 ok ");
	start("domain.example", true);
	answer_mx("10 a,20 b");
	routes_tick(rig.lookup.routes, rig.now_ms + 60000);
	assert_end("-a -b 4.4.3 ");
}

static void
test_busy(void **state)
{
	(void)state;
	rig.busy = true;
	start("domain.example", true);
	assert_end("4.3.2 ");
	rig.busy = false;
	start("domain.example", true);
	rig.busy = true;
	answer_mx("10 a");
	assert_end("-a 4.4.3 ");
}

/* The resolver is replaced: the same is asked of the new one, within the same time. */
static void
test_asked_again(void **state)
{
	static char second_dns;
	struct dns *fresh = (struct dns *)(void *)&second_dns;
	size_t i;

	(void)state;
	start("domain.example", true);
	routes_ask_again(rig.lookup.routes, fresh);
	assert_int_equal(count_open(), 0);
	turn();
	answer_mx("10 a,20 b");
	answer_address("a.example", "192.0.2.66", NULL);
	routes_ask_again(rig.lookup.routes, fresh);
	assert_int_equal(count_open(), 0);
	rig.nasked = 0;
	turn();
	answer_mx("10 c");
	answer_address("c.example", "192.0.2.3", NULL);
	for (i = 0; i < rig.nasked; i++)
		assert_ptr_equal(rig.asked[i].dns, fresh);
	assert_end("192.0.2.3 ok ");
	start("domain.example", true);
	routes_ask_again(rig.lookup.routes, fresh);
	routes_tick(rig.lookup.routes, rig.now_ms + 60000);
	assert_end("4.4.3 ");
}

static void
test_bounded(void **state)
{
	const struct route_question q = {
	    .name = "domain.example", .mx = true, .req = 7, .backup = ""};
	unsigned int n = 0;

	(void)state;
	while (route_ask(rig.lookup.routes, &q, &events, &rig) == 0)
		assert_true(++n < 10000);
	assert_int_equal(routes_count(rig.lookup.routes), n);
	routes_forget(rig.lookup.routes, &rig);
	assert_int_equal(routes_count(rig.lookup.routes), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_order),
	    TEST(test_self),
	    TEST(test_self_behind_trouble),
	    TEST(test_listeners_on_all_addresses),
	    TEST(test_no_addresses),
	    TEST(test_deadline),
	    TEST(test_busy),
	    TEST(test_asked_again),
	    TEST(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/*
 * What makes a lane: mail shares connections exactly when nothing that a server could
 * see, or has to prove, differs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "delivery/lane_private.h"

static void
test_keys(void **state)
{
	const struct lane_plan a = {.action = "out", .dest = "a.example"};
	struct lane_plan b;
	char key[LANE_KEY_MAX], other[LANE_KEY_MAX];
	size_t i;

	(void)state;
	assert_int_equal(lane_key(&a, key, sizeof(key)), 0);
	for (i = 0; i < 11; i++) {
		b = a;
		b.action = i == 0 ? "in" : b.action;
		b.dest = i == 1 ? "b.example" : b.dest;
		b.requires_tls = i == 2;
		b.needs_deliverby = i == 3;
		b.lmtp_socket = i == 4;
		b.nservers = i == 5 || i == 6;
		b.servers[0] = (struct relay_url){.port = i == 5 ? 25 : 26, .host = "mx"};
		b.nsources = i >= 7 && i <= 9;
		b.sources[0] = i == 8 ? "192.0.2.1" : "192.0.2.2";
		b.helos[0] = i == 9 ? "x" : "";
		b.tls_best = i == 10 ? IPC_TLS_DANE : IPC_TLS_PLAIN;
		assert_int_equal(lane_key(&b, other, sizeof(other)), 0);
		assert_int_equal(
		    strcmp(key, other) == 0, i == 10); /* what is remembered makes none */
	}
	/* Neither can a long one be taken for another. */
	assert_int_equal(lane_key(&a, key, 8), -1);
}

/* Whatever tables may say fits. */
static void
test_longest(void **state)
{
	static char word[IPC_WORD_MAX + 1], name[IPC_NAME_MAX + 1], key[LANE_KEY_MAX];
	struct lane_plan p = {.action = word,
	    .dest = name,
	    .requires_tls = true,
	    .needs_deliverby = true,
	    .nservers = LANE_SERVERS_MAX,
	    .nsources = LANE_SOURCES_MAX};
	size_t i;

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	memset(name, 'n', sizeof(name) - 1);
	for (i = 0; i < LANE_SERVERS_MAX; i++) {
		p.servers[i].port = 65535;
		memset(p.servers[i].label, 'l', sizeof(p.servers[i].label) - 1);
		memset(p.servers[i].host, 'h', sizeof(p.servers[i].host) - 1);
	}
	for (i = 0; i < LANE_SOURCES_MAX; i++) {
		p.sources[i] = word;
		p.helos[i] = name;
	}
	assert_int_equal(lane_key(&p, key, sizeof(key)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys), cmocka_unit_test(test_longest)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

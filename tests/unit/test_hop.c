/* SPDX-License-Identifier: ISC */
/* The addresses of one host, in the order of each setting. */
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/hop.h"

/* How many there are of each family, and the order: "6" and "4" with the number of the address. */
static const struct {
	enum conf_family family;
	bool either;
	size_t n6, n4;
	const char *want;
} orders[] = {
    {CONF_FAMILY_PREFER_IPV6, false, 0, 0, ""},
    {CONF_FAMILY_PREFER_IPV6, true, 2, 2, "6a6b4a4b"},
    {CONF_FAMILY_PREFER_IPV6, false, 0, 1, "4a"},
    {CONF_FAMILY_PREFER_IPV4, false, 2, 3, "4a4b4c6a6b"},
    {CONF_FAMILY_PREFER_IPV4, true, 1, 0, "6a"},
    {CONF_FAMILY_ANY, false, 2, 2, "6a4a6b4b"},
    {CONF_FAMILY_ANY, true, 2, 2, "4a6a4b6b"},
    {CONF_FAMILY_ANY, false, 1, 3, "6a4a4b4c"},
    {CONF_FAMILY_ANY, true, 1, 3, "4a6a4b4c"},
    {CONF_FAMILY_ANY, false, 3, 1, "6a4a6b6c"},
    {CONF_FAMILY_ANY, true, 3, 0, "6a6b6c"},
    {CONF_FAMILY_IPV6, false, 1, 0, "6a"},
    {CONF_FAMILY_IPV4, false, 0, 2, "4a4b"},
};

static void
fill(struct hop_half *half, size_t n)
{
	for (half->n = 0; half->n < n; half->n++)
		half->addresses[half->n][0] = (uint8_t)('a' + half->n);
}

static void
test_orders(void **state)
{
	char got[2 * 2 * HOP_ADDRESSES_MAX + 1];
	struct hop_plan plan = {.dns = NULL};
	struct hop h = {.plan = &plan};
	const uint8_t *address;
	size_t i, j;
	int family;

	(void)state;
	for (i = 0; i < NITEMS(orders); i++) {
		print_message("order %zu\n", i);
		plan.family = orders[i].family;
		plan.either = orders[i].either;
		fill(&h.halves[HOP_IPV6], orders[i].n6);
		fill(&h.halves[HOP_IPV4], orders[i].n4);
		for (j = 0; (address = hop_address(&h, j, &family)) != NULL; j++) {
			got[2 * j] = family == AF_INET ? '4' : '6';
			got[2 * j + 1] = (char)address[0];
		}
		got[2 * j] = '\0';
		assert_string_equal(got, orders[i].want);
	}
}

static void
test_families(void **state)
{
	(void)state;
	assert_true(hop_uses(CONF_FAMILY_ANY, AF_INET) && hop_uses(CONF_FAMILY_ANY, AF_INET6));
	assert_true(hop_uses(CONF_FAMILY_IPV4, AF_INET) && !hop_uses(CONF_FAMILY_IPV4, AF_INET6));
	assert_true(!hop_uses(CONF_FAMILY_IPV6, AF_INET) && hop_uses(CONF_FAMILY_IPV6, AF_INET6));
	assert_true(hop_uses(CONF_FAMILY_PREFER_IPV4, AF_INET6));
}

static void
test_local_names(void **state)
{
	(void)state;
	assert_true(hop_is_local("localhost"));
	assert_true(hop_is_local("LocalHost"));
	assert_true(hop_is_local("a.localhost"));
	assert_false(hop_is_local("alocalhost"));
	assert_false(hop_is_local("localhost.example"));
	assert_false(hop_is_local(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_families),
	    cmocka_unit_test(test_local_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

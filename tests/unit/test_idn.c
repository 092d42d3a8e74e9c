/* SPDX-License-Identifier: ISC */
/* Domains in the two ways that they are written: one is made of the other, or there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mail/idn.h"

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

/* NULL: there is none. */
static const struct {
	const char *domain, *ascii, *unicode;
} domains[] = {
    {"example.org", "example.org", NULL},
    {"Example.ORG", "example.org", NULL},
    {"", "", NULL},
    {"a_b.example", "a_b.example", NULL},
    {"*.example", "*.example", NULL},
    {"[192.0.2.1]", "[192.0.2.1]", NULL},
    {"[IPv6:2001:DB8::1]", "[IPv6:2001:DB8::1]", NULL},
    {"bücher.example", "xn--bcher-kva.example", "bücher.example"},
    {"BÜCHER.Example", "xn--bcher-kva.example", "bücher.example"},
    {"bu\xcc\x88"
     "cher.example",
	"xn--bcher-kva.example", "bücher.example"}, /* a u and a diaeresis */
    {"xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"},
    {"XN--BCHER-KVA.Example", "xn--bcher-kva.example", "bücher.example"},
    {"www.xn--bcher-kva.example", "www.xn--bcher-kva.example", "www.bücher.example"},
    {"例え.テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"},
    {"xn--r8jz45g.テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"},
    /* UTS 46: other dots, other widths; not transitional */
    {"bücher。example", "xn--bcher-kva.example", "bücher.example"},
    {"ｌｏｃａｌｈｏｓｔ", "localhost", NULL},
    {"faß.example", "xn--fa-hia.example", "faß.example"},
    {"fass.example", "fass.example", NULL},
    /* no such names */
    {"☃.example", NULL, NULL},
    {"ü_b.example", NULL, NULL},
    {"℀.example", NULL, NULL}, /* "a/c" */
    {"a..ü", NULL, NULL},
    {".ü", NULL, NULL},
    {"ü.", NULL, NULL},
    {"-ü.example", NULL, NULL},
    {"ü\xff.example", NULL, NULL},
    {"ü\x80", NULL, NULL},
    {"a b.ü", NULL, NULL},
    {"xn--bcher-kvа.example", NULL, NULL}, /* with a letter of another alphabet */
    {LABEL63 "x.ü", NULL, NULL},
    {"ü" LABEL63 ".example", NULL, NULL},
    {"ü." LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, NULL, NULL},
    /* what others made up is what it is, and no other name */
    {"xn--bcher-2pa.example", "xn--bcher-2pa.example", NULL},	/* "bÜcher" */
    {"xn--bucher-xyd.example", "xn--bucher-xyd.example", NULL}, /* not composed */
    {"xn--ocal-ki0y.example", "xn--ocal-ki0y.example", NULL},	/* of another width */
    {"xn--ab-r13a.example", "xn--ab-r13a.example", NULL},	/* with a dot in it */
    {"xn--n3h.example", "xn--n3h.example", NULL},		/* a snowman */
    {"xn--a.example", "xn--a.example", NULL},
    {"xn--.example", "xn--.example", NULL},
    {"xn--zz--.example", "xn--zz--.example", NULL},
    {"xn--bcher-kva-.example", "xn--bcher-kva-.example", NULL},
    {"xn--wgv71a119e-.example", "xn--wgv71a119e-.example", NULL},
    {"xn--abc.xn--bcher-kva.example", "xn--abc.xn--bcher-kva.example", NULL},
};

static void
test_domains(void **state)
{
	char got[ADDRESS_DOMAIN_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(domains); i++) {
		print_message("%s\n", domains[i].domain);
		assert_int_equal(
		    idn_to_ascii(domains[i].domain, got), domains[i].ascii != NULL ? 0 : -1);
		assert_string_equal(got, domains[i].ascii != NULL ? domains[i].ascii : "");
		assert_int_equal(
		    idn_to_unicode(domains[i].domain, got), domains[i].unicode != NULL ? 0 : -1);
		assert_string_equal(got, domains[i].unicode != NULL ? domains[i].unicode : "");
	}
}

/* What is too long for a name stays out, however it is written. */
static void
test_long(void **state)
{
	char domain[2 * ADDRESS_DOMAIN_MAX], got[ADDRESS_DOMAIN_MAX + 1];
	size_t n;

	(void)state;
	for (n = 1; n < sizeof(domain) - 1; n++) {
		memset(domain, 'a', n);
		domain[n] = '\0';
		assert_int_equal(idn_to_ascii(domain, got), n <= ADDRESS_DOMAIN_MAX ? 0 : -1);
		if (n > 3)
			memcpy(domain, "ü.", 3);
		if (n > 3 + 63)
			assert_int_equal(idn_to_ascii(domain, got), -1);
	}
}

static const struct {
	const char *address, *ascii;
} addresses[] = {
    {"", ""},
    {"x@example.org", "x@example.org"},
    {"X@Example.ORG", "X@example.org"},
    {"x@bücher.example", "x@xn--bcher-kva.example"},
    {"\"a b\"@bücher.example", "\"a b\"@xn--bcher-kva.example"},
    {"postmaster", "postmaster"},
    {"x@[192.0.2.1]", "x@[192.0.2.1]"},
    {"jürgen@example.org", NULL},
    {"jürgen@bücher.example", NULL},
    {"x@☃.example", NULL},
    {"x@", NULL},
    {"x@a b", NULL},
    {"<x@example.org>", NULL},
};

static void
test_addresses(void **state)
{
	char got[ADDRESS_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(addresses); i++) {
		print_message("%s\n", addresses[i].address);
		assert_int_equal(idn_address_to_ascii(addresses[i].address, got),
		    addresses[i].ascii != NULL ? 0 : -1);
		assert_string_equal(got, addresses[i].ascii != NULL ? addresses[i].ascii : "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

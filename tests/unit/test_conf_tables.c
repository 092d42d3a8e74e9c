/* SPDX-License-Identifier: ISC */
/* smtpd.conf: which tables are for what and whose they are; DNS, tags, SRS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/anchor.h"
#include "lib/conf/conf.h"
#include "lib/conf/service.h"
#include "tests/unit/conf_fixture.h"

/* One line each, before the cases. */
static const char preamble[] =
    "table fi /file\ntable cd cdb:/file.cdb\ntable sq sqlite:/sq.conf\n"
    "table pg postgres:/pg.conf\ntable do dovecot:/d\ntable he helper:/h\n"
    "pki p cert /c key /k\n";

static struct conf *
parse(const char *text, struct conf_errors *errors)
{
	char whole[4096];

	(void)snprintf(whole, sizeof(whole), "%s%s", preamble, text);
	return conf_parse_text("t", whole, strlen(whole), errors);
}

static struct conf *
parse_good(const char *text)
{
	struct conf_errors errors;
	struct conf *c = parse(text, &errors);

	if (c == NULL)
		fail_msg("%s: %s", text, errors.list[0].text);
	conf_errors_free(&errors);
	return c;
}

/* -- what is accepted, each with a part of its dump ------------------------------ */

static const struct {
	const char *text, *dumped;
} good[] = {
    /* tables of every kind, for what they are for */
    {"match for domain <cd> reject", "table \"cd\" \"cdb:/file.cdb\"\n"},
    {"match for domain <pg> reject", "table \"pg\" \"postgres:/pg.conf\"\n"},
    {"match from src <sq> for rcpt-to <pg> !mail-from <cd> reject",
	"match from src <\"sq\"> for rcpt-to <\"pg\"> !mail-from <\"cd\"> reject"},
    {"action a maildir alias <sq> userbase <pg>", " alias <\"sq\"> userbase <\"pg\">"},
    {"action a maildir virtual <cd> userbase <cd>", " virtual <\"cd\"> userbase <\"cd\">"},
    {"filter f phase connect match src <pg> junk", " src <\"pg\"> junk"},
    {"smtp exempt-clients <cd>", "smtp exempt-clients <\"cd\">"},
    {"listen on a tls auth <pg> senders <sq>", " auth <\"pg\"> senders <\"sq\">"},
    {"listen on a tls auth senders <cd> proxy <pg> xclient <sq>",
	" proxy <\"pg\"> xclient <\"sq\">"},
    /* tags, names of clients, regular expressions */
    {"match tag x reject", "match tag <\"dynamic:1\"> "},
    {"match !tag <fi> reject", "match !tag <\"fi\"> "},
    {"match tag { a, b } reject", "table \"dynamic:1\" {\n\t\"a\"\n\t\"b\"\n}"},
    {"match tag regex \"^in\" from any reject", "match tag regex <\"dynamic:1\"> from any for "},
    {"match from rdns reject", "match from rdns for local reject"},
    {"match !from rdns regex { \"dsl\", dyn } reject",
	"match !from rdns regex <\"dynamic:1\"> for"},
    {"match from rdns <pg> reject", "match from rdns <\"pg\"> for local"},
    {"match from auth regex <fi> for rcpt-to regex <fi> reject",
	"match from auth regex <\"fi\"> for rcpt-to regex <\"fi\"> reject"},
    /* DNS */
    {"", "\ntrust anchor \"/usr/share/dns/root.key\"\n"},
    {"trust anchor '. IN DS 20326 8 2 "
     "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D'",
	"trust anchor \". IN DS 20326 8 2 "
	"E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\"\n"},
    {"resolver forward none", "resolver forward \"none\"\n"},
    {"resolver root 198.41.0.4, \"2001:503:ba3e::2:30@5353\"",
	"resolver root \"198.41.0.4,2001:503:ba3e::2:30@5353\"\n"},
    {"", "mta address-family prefer-ipv6\n"},
    {"mta address-family prefer-ipv4", "mta address-family prefer-ipv4\n"},
    {"mta address-family any", "mta address-family any\n"},
    {"mta address-family ipv6", "mta address-family ipv6\n"},
    {"mta address-family ipv4", "mta address-family ipv4\n"},
    /* recipients */
    {"", "smtp sub-addr-delim \"+\"\n"},
    {"smtp sub-addr-delim -", "smtp sub-addr-delim \"-\"\n"},
    {"smtp sub-addr-delim '+-=#_'", "smtp sub-addr-delim \"+-=#_\"\n"},
    {"smtp sub-addr-delim none", "smtp sub-addr-delim \"none\"\n"},
    {"", "smtp postmaster \"root\"\n"},
    {"smtp postmaster anna@example.org", "smtp postmaster \"anna@example.org\"\n"},
    {"", "smtp forward-files yes\n"},
    {"smtp forward-files no", "smtp forward-files no\n"},
    {"lookup cache-time 0", "lookup cache-time 0s\n"},
    /* SRS */
    {"srs key abc\nsrs ttl 5d\naction a relay srs", "srs ttl 5d\n"},
    {"action a relay srs\nsrs key abc", " relay srs\n"},
    {"srs key 'a b'\nsrs key backup old", "srs key elsewhere\nsrs key backup elsewhere\n"},
};

static void
check_good(const char *text, const char *dumped)
{
	struct conf *c = parse_good(text), *again;
	struct conf_errors errors;
	char *first = dump(c, CONF_FOR_ALL), *second;
	unsigned int role;

	if (strstr(first, dumped) == NULL)
		fail_msg("%s:\n%s", text, first);
	again = conf_parse_text("t", first, strlen(first), &errors);
	assert_non_null(again);
	second = dump(again, CONF_FOR_ALL);
	assert_string_equal(first, second);
	conf_free(again);
	free(first);
	free(second);
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		first = dump(c, role);
		again = conf_parse_text("t", first, strlen(first), &errors);
		if (again == NULL)
			fail_msg("role %#x: %s: %s", role, text, errors.list[0].text);
		second = dump(again, role);
		assert_string_equal(first, second);
		conf_free(again);
		free(first);
		free(second);
	}
	conf_free(c);
}

static void
test_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(good); i++)
		check_good(good[i].text, good[i].dumped);
}

/* -- what is refused, on line 8 --------------------------------------------------- */

#define A_DIGEST "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"

static const struct {
	const char *text, *error; /* "column: text" of the first and only one */
} bad[] = {
    /* tables */
    {"table x cdb:a", "9: 'a' is not an absolute path"},
    {"table x \"postgres:\"", "9: '' is not an absolute path"},
    {"listen on a tls auth <cd>", "23: a cdb table is not for passwords"},
    {"listen on a tls auth tokens <pg>", "30: a postgres table is not for tokens"},
    {"match from rdns regex <sq> reject", "24: a sqlite table is not for 'regex'"},
    {"match for domain regex <pg> reject", "25: a postgres table is not for 'regex'"},
    {"match auth regex <cd> reject", "19: a cdb table is not for 'regex'"},
    {"filter f phase connect match src regex <cd> junk", "41: a cdb table is not for 'regex'"},
    {"match from src { 10.0.0.0/8, 10.0.0.0/33 } reject",
	"16: '10.0.0.0/33' is not an address or a network"},
    {"match !from src 1.2.3 reject", "17: '1.2.3' is not an address or a network"},
    {"filter f phase connect match src \"fe80::g\" junk",
	"34: 'fe80::g' is not an address or a network"},
    {"smtp exempt-clients { unix, here }", "21: 'here' is not an address or a network"},
    {"match helo regex \"(a\" reject", "18: '(a': not a regular expression"},
    {"match !rcpt-to regex { ok, \"(a)\\1\" } reject", "22: '(a)\\1': back-reference"},
    {"match rcpt-to regex \"(((a{9}){9}){9}){9}\" reject",
	"21: '(((a{9}){9}){9}){9}': too many states, by its repetitions"},
    {"filter f phase ehlo match helo regex \"[\" junk", "38: '[': not a regular expression"},
    {"match tag <he> reject", "12: a helper table is for 'tokens' of a listener, not for this"},
    {"match tag reject",
	"11: expected a value or <table>, found the keyword 'reject' (quote it to use it so)"},
    {"action a maildir userbase { a, b }", "27: pairs of key and value are needed here"},
    /* recipients */
    {"smtp sub-addr-delim \"\"", "21: '' is not 'none' or characters such as + and -, each once"},
    {"smtp sub-addr-delim a", "21: 'a' is not 'none' or characters such as + and -, each once"},
    {"smtp sub-addr-delim +-+", "21: '+-+' is not 'none' or characters such as + and -, each once"},
    {"smtp sub-addr-delim @", "21: '@' is not 'none' or characters such as + and -, each once"},
    {"smtp sub-addr-delim +none",
	"21: '+none' is not 'none' or characters such as + and -, each once"},
    {"smtp postmaster 'a b'", "17: 'a b' is not an account or address"},
    {"smtp postmaster |cat", "17: '|cat' is not an account or address"},
    {"smtp forward-files maybe", "20: 'maybe' is not 'no' or 'yes'"},
    {"lookup cache-time 2d", "19: '2d' is not a duration such as 5m, from 0s to 1d"},
    {"lookup cachetime 2d", "8: unknown setting 'cachetime', did you mean 'cache-time'?"},
    /* DNS */
    {"mta address-family ipv5",
	"20: 'ipv5' is not 'prefer-ipv6', 'prefer-ipv4', 'any', 'ipv6' or 'ipv4'"},
    {"resolver forward none, 192.0.2.1", "18: 'none,192.0.2.1' is not 'none' or addresses such as "
					 "192.0.2.1 or 192.0.2.1@5353"},
    {"resolver root none", "15: 'none' is not addresses such as 192.0.2.1 or 192.0.2.1@5353"},
    {"trust anchor root.key", "14: 'root.key' is neither an absolute path nor a DS record"},
    {"trust anchor '. DS 1 8 2'",
	"14: after DS there are a key tag, an algorithm, a digest type and a digest"},
    {"trust anchor '. DS 1 8 2 AB'",
	"14: the digest has 2 hexadecimal digits, and one of type 2 has 64"},
    /* SRS */
    {"action a relay srs", "8: 'srs' needs an 'srs key'"},
    {"srs key backup a", "16: 'srs key backup' needs an 'srs key'"},
    {"srs key", "8: expected a secret of 1 to 1024 printable characters at the end of the file"},
    {"srs key \"\"", "9: this is not a secret of 1 to 1024 printable characters"},
    {"srs key \"abc\tdef\"", "9: this is not a secret of 1 to 1024 printable characters"},
    {"srs kee x", "5: unknown setting 'kee', did you mean 'key'?"},
    {"srs key a\nsrs ttl 1h", "9: '1h' is not a duration such as 5m, from 1d to 365d"},
    {"srs key a b", "11: expected the end of the line, found 'b'"},
};

static void
test_bad(void **state)
{
	struct conf_errors errors;
	char got[512];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		if (parse(bad[i].text, &errors) != NULL)
			fail_msg("accepted: %s", bad[i].text);
		(void)snprintf(
		    got, sizeof(got), "%u: %s", errors.list[0].column, errors.list[0].text);
		if (errors.n != 1 || strcmp(got, bad[i].error) != 0)
			fail_msg("%s\n got %zu: %s\nwant 1: %s", bad[i].text, errors.n, got,
			    bad[i].error);
		conf_errors_free(&errors);
	}
}

/* In a file it would be a key that everybody knows. */
static int
read_elsewhere(void *arg, const char *path, struct buf *out)
{
	(void)arg;
	(void)path;
	return buf_append_str(out, "srs key elsewhere\nlisten elsewhere on a\n");
}

static void
test_elsewhere(void **state)
{
	struct conf_errors errors;
	struct conf *c;

	(void)state;
	assert_null(conf_parse("t", read_elsewhere, NULL, &errors));
	assert_int_equal(errors.n, 2);
	assert_string_equal(
	    errors.list[0].text, "'elsewhere' is the server's own word (quote it to use it so)");
	assert_string_equal(errors.list[1].text, "expected 'on', found 'elsewhere'");
	conf_errors_free(&errors);
	c = parse_good("srs key \"elsewhere\"");
	assert_string_equal(c->values.srs_key, "elsewhere");
	conf_free(c);
	c = parse_good("srs key elsewhere");
	assert_string_equal(c->values.srs_key, "");
	conf_free(c);
}

/* -- trust anchors ---------------------------------------------------------------- */

static const struct {
	const char *text, *why; /* NULL: it is one */
} anchors[] = {
    {"/etc/root.key", NULL},
    {"/etc/my keys/root", NULL},
    {". DS 20326 8 2 " A_DIGEST, NULL},
    {".  3600\tIN  DS 20326 RSASHA256 2 E06D44B80B8F1D39A95C0B0D7C65D084 58E880409BBC6834 "
     "57104237C7F8EC8D",
	NULL},
    {"example.org. IN 3600 ds 0 13 4 " A_DIGEST "0123456789abcdef0123456789ABCDEF", NULL},
    {"example DS 65535 ed25519 1 0123456789abcdef0123456789abcdef01234567", NULL},
    {"", "'' is neither an absolute path nor a DS record"},
    {"root.key", "'root.key' is neither an absolute path nor a DS record"},
    {" ", "a DS record begins with a domain"},
    {"a..b DS 1 8 2 " A_DIGEST, "a DS record begins with a domain"},
    {"[::1] DS 1 8 2 " A_DIGEST, "a DS record begins with a domain"},
    {". DNSKEY 257 3 8 AwEAAa", "a trust anchor is a file or a DS record: \"DOMAIN DS KEY-TAG "
				"ALGORITHM DIGEST-TYPE DIGEST\""},
    {". CH DS 1 8 2 " A_DIGEST, "a trust anchor is a file or a DS record: \"DOMAIN DS KEY-TAG "
				"ALGORITHM DIGEST-TYPE DIGEST\""},
    {". DS 65536 8 2 " A_DIGEST, "the key tag '65536' is not a number to 65535"},
    {". DS 1 1 2 " A_DIGEST, "'1' is not an algorithm that can be verified"},
    {". DS 1 RSAMD5 2 " A_DIGEST, "'RSAMD5' is not an algorithm that can be verified"},
    {". DS 1 8 3 " A_DIGEST, "the digest type '3' is none of 1, 2 and 4"},
    {". DS 1 8 x " A_DIGEST, "the digest type 'x' is none of 1, 2 and 4"},
    {". DS 1 8 2 " A_DIGEST "0", "the digest has 65 hexadecimal digits, and one of type 2 has 64"},
    {". DS 1 8 2 " A_DIGEST " ;comment", "the digest is not hexadecimal"},
    {". DS 1 8 2 (" A_DIGEST ")", "the digest is not hexadecimal"},
};

static void
test_anchors(void **state)
{
	char why[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(anchors); i++) {
		why[0] = '\0';
		if (anchor_check(anchors[i].text, why, sizeof(why)) == 0)
			assert_null(anchors[i].why);
		else if (anchors[i].why == NULL || strcmp(anchors[i].why, why) != 0)
			fail_msg("%s: %s", anchors[i].text, why);
	}
	assert_true(anchor_is_record(". DS 1 8 2 " A_DIGEST));
	assert_false(anchor_is_record("/etc/root.key"));
}

/* -- whose tables they are ---------------------------------------------------------- */

#define P	CONF_FOR_PARENT
#define L	CONF_FOR_LOOKUP
#define V	CONF_FOR_VAULT
#define H	CONF_FOR_HASHER
#define T	CONF_FOR_TABLE

#define S(name) (1U << SERVICE_##name)

static const struct {
	const char *text, *table;
	unsigned int roles, services;
} uses[] = {
    {"", "fi", P | L, 0},
    {"", "cd", P | L, 0},
    {"", "sq", P | L | H, 0},
    {"", "pg", P | L | T, 0},
    {"", "do", P | V, 0},
    {"", "he", P | V, 0},
    {"", "none", 0, 0},
    {"listen on a tls auth <fi>", "fi", P | V, S(AUTH)},
    {"listen on a tls auth-optional <sq>", "sq", P | V | H, S(AUTH)},
    {"listen on a tls auth <pg>", "pg", P | V | T, S(AUTH)},
    {"listen on a tls auth <do> tokens <do>", "do", P | V, S(AUTH)},
    {"listen on a tls auth tokens <he>", "he", P | V, S(AUTH)},
    {"listen on a tls auth senders <sq>", "sq", P | L, S(SENDERS)},
    {"listen on a proxy <pg>", "pg", P | L | T, S(NETADDR)},
    {"listen on a xclient <cd>\nmatch for domain <cd> reject", "cd", P | L, S(NETADDR) | S(DOMAIN)},
    {"action a maildir alias <pg>\naction b maildir virtual <pg> userbase <pg>", "pg", P | L | T,
	S(ALIAS) | S(VIRTUAL) | S(USERINFO)},
    {"match from src <sq> for rcpt-to <sq> helo <sq> mail-from <sq> tag <sq> reject", "sq", P | L,
	S(NETADDR) | S(MAILADDR) | S(DOMAIN) | S(STRING)},
    {"match from rdns <sq> auth <sq> reject", "sq", P | L, S(DOMAIN) | S(STRING)},
    {"match from auth { a } reject", "dynamic:1", P | L, S(STRING)},
    {"filter f phase rcpt-to match src <pg> rdns <pg> auth <pg> rcpt-to <pg> junk", "pg", P | L | T,
	S(NETADDR) | S(DOMAIN) | S(STRING) | S(MAILADDR)},
    {"smtp exempt-clients <pg>", "pg", P | L | T, S(NETADDR)},
};

static void
test_uses(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(uses); i++) {
		struct conf *c = parse_good(uses[i].text);
		const struct conf_table *t = conf_table_find(c, uses[i].table);

		if (t != NULL && conf_table_roles(c, t) != uses[i].roles)
			fail_msg("%s: roles %#x", uses[i].text, conf_table_roles(c, t));
		if (conf_table_services(c, uses[i].table) != uses[i].services)
			fail_msg("%s: services %#x", uses[i].text,
			    conf_table_services(c, uses[i].table));
		conf_free(c);
	}
}

/* Each word is in the parts of these roles, and of no other. */
static void
test_parts(void **state)
{
	static const struct {
		const char *what;
		unsigned int roles;
	} known[] = {
	    {"SECRET-NEW", V},
	    {"SECRET-OLD", V},
	    {"srs key elsewhere", P | L | CONF_FOR_DELIVERY},
	    {"srs ttl", P | V},
	    {" relay host \"smtp://h\" srs\n", P | L | CONF_FOR_DELIVERY},
	    {"/pg.conf", P | L | T},
	    {"/pg-auth.conf", P | V | T},
	    {"/sq.conf", P | L | H},
	    {"/file.cdb", P | L},
	    {"table \"pg-auth\" elsewhere", L | CONF_FOR_SESSION},
	    {"table \"he\" elsewhere", L},
	    {"sub-addr-delim", P | L | CONF_FOR_DELIVERY},
	    {"trust anchor", P | L},
	    {"resolver root", P | L},
	    {"listen on \"a\" port 587 tls-require ", P | V | CONF_FOR_SESSION},
	    {"listen elsewhere on \"a\" port 587 tls-require auth <\"pg-auth\"> tag \"x\" "
	     "filter \"f\"\n",
		L},
	};
	struct conf *c = parse_good(
	    "table pg-auth postgres:/pg-auth.conf\n"
	    "srs key SECRET-NEW\nsrs key backup SECRET-OLD\n"
	    "resolver root 192.0.2.1\n"
	    "filter f phase connect match src <pg> junk\n"
	    "listen on a port 587 tls-require auth <pg-auth> tag x filter f "
	    "hostname h received-auth\n"
	    "action a relay host smtp://h srs\n");
	unsigned int role;
	size_t i;

	(void)state;
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		char *text = dump(c, role);

		for (i = 0; i < NITEMS(known); i++) {
			bool found = strstr(text, known[i].what) != NULL;

			if (found != ((known[i].roles & role) != 0))
				fail_msg("role %#x %s %s:\n%s", role, found ? "has" : "lacks",
				    known[i].what, text);
		}
		free(text);
	}
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_elsewhere),
	    cmocka_unit_test(test_anchors),
	    cmocka_unit_test(test_uses),
	    cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

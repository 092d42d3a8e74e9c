/* SPDX-License-Identifier: ISC */
/* smtpd.conf: certificates, TLS and logins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/tls_words.h"
#include "tests/unit/conf_fixture.h"

/* What the cases name; after them, so that they begin at line 1. */
static const char rest[] = "\ntable m { k = v }\ntable n { k = v }\ntable l { x }\n"
			   "table sq sqlite:/s\ntable do dovecot:/d\ntable he helper:/h\n"
			   "pki p cert /c key /k\npki q cert /cq key /kq ocsp /oq\n"
			   "ca c cert /a\n";

/* Each with a part of its dump. */
static const struct {
	const char *text, *dumped;
} good[] = {
    /* certificates */
    {"listen on a tls", "listen on \"a\" port 25 tls pki \"p\" pki \"q\"\n"},
    {"listen on a smtps pki Q", " port 465 smtps pki \"q\"\n"},
    {"listen on a tls pki q pki p", " tls pki \"q\" pki \"p\"\n"},
    {"listen on a pki q tls tag t pki p", " tls pki \"q\" pki \"p\" tag \"t\"\n"},
    {"pki \"*\" cert /x\nlisten on a tls\npki * key /y", " tls pki \"*\" pki \"p\" pki \"q\"\n"},
    {"pki x cert /x key /y ocsp /z", "pki \"x\" cert \"/x\" ocsp \"/z\" key \"/y\"\n"},
    {"pki x ocsp /z\npki x key /y dhe none\npki x cert /x",
	"pki \"x\" cert \"/x\" ocsp \"/z\" key \"/y\"\n"},
    {"ca \"My CA\" cert /x", NULL},
    {"ca Mine cert \"/x y\"", "ca \"mine\" cert \"/x y\"\n"},
    {"listen on a tls ca C", " ca \"c\"\n"},
    {"listen on a tls-require verify ca c", " tls-require verify pki \"p\" pki \"q\" ca \"c\"\n"},
    {"listen on a ca c smtps verify pki p", " smtps verify pki \"p\" ca \"c\"\n"},
    /* TLS */
    {"listen on a tls pki p ciphers \"HIGH:!aNULL:@STRENGTH\"",
	" ciphers \"HIGH:!aNULL:@STRENGTH\"\n"},
    {"listen on a tls pki p ciphers secure", " ciphers \"secure\"\n"},
    {"listen on a tls pki p protocols \"TLSv1.3,TLSv1.2\"", " protocols \"TLSv1.2,TLSv1.3\"\n"},
    {"listen on a tls pki p protocols tlsv1.3", " protocols \"TLSv1.3\"\n"},
    {"listen on a tls pki p protocols all", " protocols \"TLSv1.2,TLSv1.3\"\n"},
    {"listen on a tls pki p curves P-384:X25519", " curves \"P-384:X25519\"\n"},
    {"smtp ciphers \"ECDHE+AESGCM\"", "smtp ciphers \"ECDHE+AESGCM\"\n"},
    {"smtp protocols \"default\"", "smtp protocols \"TLSv1.2,TLSv1.3\"\n"},
    {"smtp protocols \"TLSv1.2, tlsv1.2\"", "smtp protocols \"TLSv1.2\"\n"},
    {"smtp curves prime256v1", "smtp curves \"prime256v1\"\n"},
    {"smtp ticket-lifetime 0", "smtp ticket-lifetime 0s\n"},
    /* logins */
    {"listen on a tls pki p auth", " pki \"p\" auth\n"},
    {"listen on a tls pki p auth <m> tokens <n>", " auth <\"m\"> tokens <\"n\">\n"},
    {"listen on a tls pki p auth { a = b }", " auth <\"dynamic:1\">\n"},
    {"listen on a tls pki p auth tokens { \"sha256:00\" = a }", " auth tokens <\"dynamic:1\">\n"},
    {"listen on a tls pki p auth-optional <sq>", " auth-optional <\"sq\">\n"},
    {"listen on a tls pki p auth <do> tokens <do>", " auth <\"do\"> tokens <\"do\">\n"},
    {"listen on a tls pki p auth <m> tokens <he>", " auth <\"m\"> tokens <\"he\">\n"},
    {"listen on a tls pki p auth senders <m>", " auth senders <\"m\">\n"},
    {"listen on a tls pki p auth-optional <m> senders <n>", " senders <\"n\">\n"},
    {"listen on 127.8.8.8 auth insecure-auth", " auth insecure-auth\n"},
    {"listen on ::1 port 587 insecure-auth auth <m>", " auth <\"m\"> insecure-auth submission\n"},
    {"listen on localhost auth-optional insecure-auth", " auth-optional insecure-auth\n"},
    {"listen on lo tls pki p auth insecure-auth", " tls pki \"p\" auth insecure-auth\n"},
    {"auth failure-delay 0\nauth max-failures 1", "auth failure-delay 0s\n"},
    {"auth free-failures 5\nauth max-block 1h", "auth max-block 1h\n"},
    {"auth processes 16", "auth processes 16\n"},
    /* tables */
    {"table x sqlite:/a", "table \"x\" \"sqlite:/a\"\n"},
    {"table x \"dovecot:/a b\"", "table \"x\" \"dovecot:/a b\"\n"},
    {"table x helper:/a", "table \"x\" \"helper:/a\"\n"},
    {"table x file:/a", "table \"x\" \"/a\"\n"},
    {"table x \"/sqlite:/a\"", "table \"x\" \"/sqlite:/a\"\n"},
};

/* What OpenSMTPD 7 has, too. */
static const char family[] =
    "pki mail.example.org cert \"/etc/ssl/mail.crt\"\n"
    "pki mail.example.org key \"/etc/ssl/private/mail.key\"\n"
    "pki Mail.Example.net cert \"/etc/ssl/net.crt\"\n"
    "pki mail.example.net key \"/etc/ssl/private/net.key\"\n"
    "ca corp cert \"/etc/ssl/corp.pem\"\n"
    "smtp ciphers \"HIGH:!aNULL:!MD5\"\n"
    "table passwd file:/etc/mail/passwd\n"
    "table creds sqlite:/etc/mail/sqlite.conf\n"
    "table owners { anna = \"anna@example.org\" }\n"
    "listen on eth0 tls pki mail.example.org pki mail.example.net\n"
    "listen on eth0 port submission tls-require verify ca corp auth <passwd> \\\n"
    "\tciphers \"HIGH\" protocols \"TLSv1.2,TLSv1.3\" senders <owners>\n"
    "listen on eth0 smtps verify pki mail.example.org ca corp auth-optional <creds> tag x\n"
    "action \"out\" relay\n"
    "match auth from any for any action \"out\"\n";

#define NEEDS_TLS " needs 'tls', 'tls-require' or 'smtps'"

static const struct {
	const char *text, *error; /* "line:column: text" of the first and only one */
} bad[] = {
    /* certificates */
    {"listen on a tls pki x", "1:21: undefined pki 'x'"},
    {"listen on a tls pki p pki q pki P", "1:33: 'p' was given before"},
    {"listen on a pki p", "1:11: 'pki'" NEEDS_TLS},
    {"listen on a tls pki", "1:20: expected a pki name at the end of the line"},
    {"pki x cert /x", "1:5: pki 'x' has no key"},
    {"pki x cert /x ocsp /y\nlisten on a tls pki x", "1:5: pki 'x' has no key"},
    {"pki x key /x", "1:5: pki 'x' has no cert"},
    {"pki x ocsp /x", "1:5: pki 'x' has no cert"},
    {"pki x cert /x key y", "1:19: 'y' is not an absolute path"},
    {"pki x crt /x", "1:7: unknown pki parameter 'crt', did you mean 'cert'?"},
    {"pki 0123456789012345678901234567890123456789012345678901234567890.org cert /x",
	"1:5: a host name or '*' may have at most 64 octets"},
    {"ca", "1:3: expected a ca name at the end of the line"},
    {"ca x", "1:5: expected a ca parameter at the end of the line"},
    {"ca x key /x", "1:6: unknown ca parameter 'key'"},
    {"ca x cert y", "1:11: 'y' is not an absolute path"},
    {"ca x cert /x\nca X cert /y", "2:4: ca 'x' is defined twice"},
    {"listen on a tls ca d", "1:20: undefined ca 'd'"},
    {"listen on a ca c", "1:11: 'ca'" NEEDS_TLS},
    {"listen on a tls ca c ca c", "1:22: 'ca' was given before"},
    {"listen on a tls-require verify", "1:11: 'verify' needs 'ca'"},
    {"listen on a smtps verify", "1:11: 'verify' needs 'ca'"},
    {"listen on a tls verify ca c", "1:17: 'verify' comes right after 'tls-require' or 'smtps'"},
    {"listen on a smtps ca c verify", "1:24: 'verify' comes right after 'tls-require' or 'smtps'"},
    {"listen on a verify", "1:13: 'verify' comes right after 'tls-require' or 'smtps'"},
    /* TLS */
    {"listen on a ciphers x", "1:11: 'ciphers'" NEEDS_TLS},
    {"listen on a protocols TLSv1.3", "1:11: 'protocols'" NEEDS_TLS},
    {"listen on a curves P-256", "1:11: 'curves'" NEEDS_TLS},
    {"listen on a tls ciphers \"a\tb\"", "1:25: 'a\\x09b' is not a list of ciphers"},
    {"listen on a tls protocols TLSv1.1", "1:27: 'TLSv1.1' is not a list of TLSv1.2 and TLSv1.3"},
    {"listen on a tls protocols \"legacy\"", "1:27: 'legacy' is not a list of TLSv1.2 and TLSv1.3"},
    {"listen on a tls curves P-192", "1:24: 'P-192' is not a list of curves such as X25519:P-256"},
    {"listen on a tls curves", "1:23: expected a list of curves such as X25519:P-256 at the end "
			       "of the line"},
    {"smtp ciphers \"\"", "1:14: '' is not a list of ciphers"},
    {"smtp protocols \"TLSv1\"", "1:16: 'TLSv1' is not a list of TLSv1.2 and TLSv1.3"},
    {"smtp curves \"\"", "1:13: '' is not a list of curves such as X25519:P-256"},
    {"smtp ticket-lifetime 25h", "1:22: '25h' is not a duration such as 5m, from 0s to 1d"},
    /* logins */
    {"listen on a auth", "1:11: 'auth'" NEEDS_TLS},
    {"listen on a auth-optional <m>", "1:11: 'auth'" NEEDS_TLS},
    {"listen on a tls auth <m> auth-optional <m>",
	"1:11: 'auth' and 'auth-optional' exclude each other"},
    {"listen on a tls tokens <m>", "1:11: 'tokens' needs 'auth' or 'auth-optional'"},
    {"listen on a tls senders <m>", "1:11: 'senders' needs 'auth' or 'auth-optional'"},
    {"listen on a tls auth senders <m> masquerade",
	"1:34: 'listen masquerade' is not supported by this release: what is submitted keeps its "
	"senders"},
    {"listen on a tls auth <m> hostnames <m>",
	"1:26: 'listen hostnames' is not supported by this release: see 'hostname'"},
    {"listen on a tls auth tokens", "1:28: expected a mapping as <table> at the end of the line"},
    {"listen on a tls auth insecure-auth",
	"1:11: 'insecure-auth' is for loopback addresses, 'localhost' and 'lo' alone"},
    {"listen on 128.0.0.1 auth insecure-auth",
	"1:11: 'insecure-auth' is for loopback addresses, 'localhost' and 'lo' alone"},
    {"listen on \"::\" auth insecure-auth",
	"1:11: 'insecure-auth' is for loopback addresses, 'localhost' and 'lo' alone"},
    {"listen on lo insecure-auth", "1:11: 'insecure-auth' needs 'auth' or 'auth-optional'"},
    {"listen on /x auth", "1:14: this kind of listen has no 'auth'"},
    {"auth failure-delay 61", "1:20: '61' is not a duration such as 5m, from 0s to 1m"},
    {"auth processes 17", "1:16: '17' is not a number from 0 to 16"},
    {"auth fail", "1:6: unknown setting 'fail'"},
    /* kinds of tables, where they are used */
    {"listen on a tls auth <l>", "1:23: pairs of key and value are needed here"},
    {"listen on a tls auth tokens <l>", "1:30: pairs of key and value are needed here"},
    {"listen on a tls auth <he>",
	"1:23: a helper table is for 'tokens' of a listener, not for passwords"},
    {"listen on a tls auth tokens <sq>", "1:30: a sqlite table is not for tokens"},
    {"action a maildir alias <do>",
	"1:25: a dovecot table is for 'auth' and 'tokens' of a listener, not for this"},
    {"match for domain <he> reject",
	"1:19: a helper table is for 'tokens' of a listener, not for this"},
    {"smtp exempt-clients <do>",
	"1:22: a dovecot table is for 'auth' and 'tokens' of a listener, not for this"},
    {"table x sqlite:a", "1:9: 'a' is not an absolute path"},
    {"table x \"sqlite:\"", "1:9: '' is not an absolute path"},
    {"table x dovecot:a", "1:9: 'a' is not a path that a socket can have"},
    {"table x ldap:/a", "1:9: 'table backend' is not supported by this release: there are file, "
			"cdb, sqlite, postgres, dovecot and helper"},
    {"table x sqlite", "1:9: expected '{' or an absolute path, found 'sqlite'"},
    /* secrets */
    {"listen on a tls auth <m>\naction a maildir virtual <m>",
	"2:27: 'm' has passwords or tokens, and can't be used for anything else"},
    {"action a maildir virtual <m>\nlisten on a tls auth <m>",
	"1:27: 'm' has passwords or tokens, and can't be used for anything else"},
    {"listen on a tls auth tokens <m> senders <m>",
	"1:42: 'm' has passwords or tokens, and can't be used for anything else"},
    {"table f /f\nlisten on a tls auth <f>\nmatch from auth <f> for any reject",
	"3:18: 'f' has passwords or tokens, and can't be used for anything else"},
    {"table f /f\nlisten on a tls auth <f>\nfilter x phase data match auth <f> junk",
	"3:33: 'f' has passwords or tokens, and can't be used for anything else"},
    {"table f /f\nlisten on a tls auth <f>\nsmtp exempt-clients <f>",
	"3:22: 'f' has passwords or tokens, and can't be used for anything else"},
};

/* Without the rest: TLS with nothing to show. */
static const struct {
	const char *text, *error;
	size_t n; /* of all faults */
} bare[] = {
    {"listen on a tls", "1:11: TLS needs a certificate, and there is no 'pki'", 1},
    {"\nlisten on a\nlisten on b smtps\nlisten on c tls-require",
	"3:11: TLS needs a certificate, and there is no 'pki'", 2},
    {"listen on a tls pki x", "1:21: undefined pki 'x'", 1},
    {"listen on a tls\npki x cert /x", "2:5: pki 'x' has no key", 1},
    /* Not the echo of a fault that was told. */
    {"listen on a tls\npki \"x y\" cert /x", "2:5: 'x y' is not a host name or '*'", 1},
    {"listen on a tls\npki x crt /x", "2:7: unknown pki parameter 'crt', did you mean 'cert'?", 1},
    {"listen on a tls tag", "1:20: expected a name at the end of the file", 1},
};

/* -- helpers ------------------------------------------------------------------ */

static struct conf *
parse(const char *text, struct conf_errors *errors)
{
	return conf_parse_text("t", text, strlen(text), errors);
}

static struct conf *
parse_good(const char *text)
{
	struct conf_errors errors;
	struct conf *c = parse(text, &errors);

	if (c == NULL)
		fail_msg("%s: %u:%u: %s", text, errors.list[0].line, errors.list[0].column,
		    errors.list[0].text);
	conf_errors_free(&errors);
	return c;
}

static void
check_fault(const char *text, const char *want, size_t n)
{
	struct conf_errors errors;
	struct conf *c = parse(text, &errors);
	char got[512];

	if (c != NULL)
		fail_msg("accepted: %s", text);
	(void)snprintf(got, sizeof(got), "%u:%u: %s", errors.list[0].line, errors.list[0].column,
	    errors.list[0].text);
	if (errors.n != n || strcmp(got, want) != 0)
		fail_msg("%s\n got %zu: %s\nwant %zu: %s", text, errors.n, got, n, want);
	conf_errors_free(&errors);
}

/* The dump, and each role's part, are configurations that dump to themselves. */
static void
check_again(const struct conf *c, unsigned int roles)
{
	char *first = dump(c, roles), *second;
	struct conf *again = parse_good(first);

	second = dump(again, roles);
	assert_string_equal(first, second);
	free(first);
	free(second);
	conf_free(again);
}

/* -- the grammar -------------------------------------------------------------- */

static void
test_good(void **state)
{
	char text[2048], *dumped;
	unsigned int role;
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(good); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", good[i].text, rest);
		if (good[i].dumped == NULL) {
			check_fault(text, "1:4: 'My CA' is not a ca name", 1);
			continue;
		}
		c = parse_good(text);
		dumped = dump(c, CONF_FOR_ALL);
		if (strstr(dumped, good[i].dumped) == NULL)
			fail_msg("%s\nlacks %s\n%s", good[i].text, good[i].dumped, dumped);
		check_again(c, CONF_FOR_ALL);
		for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1)
			check_again(c, role);
		free(dumped);
		conf_free(c);
	}
}

static void
test_bad(void **state)
{
	char text[2048];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", bad[i].text, rest);
		check_fault(text, bad[i].error, 1);
	}
	for (i = 0; i < NITEMS(bare); i++)
		check_fault(bare[i].text, bare[i].error, bare[i].n);
}

static void
test_family(void **state)
{
	struct conf *c = parse_good(family);
	const struct conf_listener *l = c->listeners;

	(void)state;
	assert_int_equal(l[0].npkis, 2);
	assert_string_equal(l[0].pkis[1], "mail.example.net");
	assert_int_equal(l[1].npkis, 2);
	assert_string_equal(l[1].pkis[0], "mail.example.org");
	assert_true(l[1].verify && l[1].auth && l[1].submission);
	assert_string_equal(l[1].ca, "corp");
	assert_string_equal(l[1].protocols, "TLSv1.2,TLSv1.3");
	assert_string_equal(l[1].senders, "owners");
	assert_int_equal(l[2].npkis, 1);
	assert_true(l[2].verify && l[2].auth_optional && l[2].tls == CONF_TLS_SMTPS);
	assert_int_equal(conf_table_find(c, "creds")->kind, CONF_TABLE_SQLITE);
	assert_string_equal(conf_table_find(c, "creds")->path, "/etc/mail/sqlite.conf");
	assert_string_equal(conf_ca_find(c, "corp")->cert, "/etc/ssl/corp.pem");
	assert_null(conf_ca_find(c, "mail.example.org"));
	assert_string_equal(c->values.smtp_ciphers, "HIGH:!aNULL:!MD5");
	assert_null(c->values.smtp_curves);
	conf_free(c);
}

static void
test_settings(void **state)
{
	struct conf *c = parse_good("");
	const struct conf_values *v = &c->values;

	(void)state;
	assert_null(v->smtp_ciphers);
	assert_null(v->smtp_protocols);
	assert_int_equal(v->smtp_ticket_lifetime_s, 7200);
	assert_int_equal(v->auth_failure_delay_s, 5);
	assert_int_equal(v->auth_max_failures, 3);
	assert_int_equal(v->auth_free_failures, 10);
	assert_int_equal(v->auth_max_block_s, 900);
	assert_int_equal(v->auth_processes, 0);
	conf_free(c);
}

static void
test_words(void **state)
{
	static const struct {
		const char *text, *canonical;
	} protocols[] = {{"TLSv1.2", "TLSv1.2"}, {"tlsv1.3", "TLSv1.3"},
	    {"TLSv1.3:TLSv1.2", "TLSv1.2,TLSv1.3"}, {"TLSv1.2,  TLSv1.3", "TLSv1.2,TLSv1.3"},
	    {"secure", "TLSv1.2,TLSv1.3"}, {"Default", "TLSv1.2,TLSv1.3"},
	    {"all,TLSv1.3", "TLSv1.2,TLSv1.3"}, {"", NULL}, {",", NULL}, {"TLSv1.2,", NULL},
	    {"TLSv1.2 TLSv1.3", NULL}, {"TLSv1", NULL}, {"TLSv1.0", NULL}, {"TLSv1.1", NULL},
	    {"TLSv1.2,TLSv1.1", NULL}, {"all,!TLSv1.3", NULL}, {"legacy", NULL}, {"TLSv1.22", NULL},
	    {"SSLv3", NULL}};
	static const char *const curves[] = {"X25519", "X448", "P-256", "P-384", "P-521",
	    "prime256v1", "secp384r1", "secp521r1", "X25519:X448:P-256:P-384:P-521"};
	static const char *const not_curves[] = {"", ":", "X25519:", ":X25519", "x25519", "P-224",
	    "P-256:prime256v1", "X25519:X25519", "X25519,P-256", "X25519 ", "brainpoolP256r1"};
	static const char *const ciphers[] = {"secure", "HIGH:!aNULL", "ECDHE+AESGCM:-SHA",
	    "ALL:@SECLEVEL=2", "TLS_AES_128_GCM_SHA256", "A, B"};
	static const char *const not_ciphers[] = {
	    "", " ", " A", "A ", "A\nB", "A\xc3", "A\"", "$(x)"};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(protocols); i++) {
		const char *got = protocols_canonical(protocols[i].text);

		assert_int_equal(check_protocols(protocols[i].text), got != NULL);
		assert_int_equal(got == NULL, protocols[i].canonical == NULL);
		if (got != NULL)
			assert_string_equal(got, protocols[i].canonical);
	}
	for (i = 0; i < NITEMS(curves); i++)
		assert_true(check_curves(curves[i]));
	for (i = 0; i < NITEMS(not_curves); i++)
		assert_false(check_curves(not_curves[i]));
	for (i = 0; i < NITEMS(ciphers); i++)
		assert_true(check_ciphers(ciphers[i]));
	for (i = 0; i < NITEMS(not_ciphers); i++)
		assert_false(check_ciphers(not_ciphers[i]));
}

/* As many certificates as there can be, all on one listener: a line of a dump has room for them. */
static void
test_many_pkis(void **state)
{
	static const char name[] = "012345678901234567890123456789012345678901234567890123456789";
	struct conf_errors errors;
	struct buf text;
	struct conf *c;
	int i;

	(void)state;
	buf_init(&text, 1 << 20);
	for (i = 0; i < 256; i++)
		assert_int_equal(buf_printf(&text, "pki %s%04d cert /c key /k\n", name, i), 0);
	assert_int_equal(buf_append_str(&text, "listen on a tls\n"), 0);
	c = conf_parse_text("t", (const char *)buf_head(&text), text.len, &errors);
	assert_non_null(c);
	assert_int_equal(c->listeners[0].npkis, 256);
	check_again(c, CONF_FOR_ALL);
	conf_free(c);
	assert_int_equal(buf_append_str(&text, "pki one.more cert /c key /k\n"), 0);
	assert_null(conf_parse_text("t", (const char *)buf_head(&text), text.len, &errors));
	assert_string_equal(errors.list[0].text, "too many of these: at most 256");
	conf_errors_free(&errors);
	buf_free(&text);
}

/* A file can't say that a key is elsewhere: nobody would have it. */
static int
read_text(void *arg, const char *path, struct buf *out)
{
	(void)path;
	return buf_append_str(out, arg);
}

static void
test_key_elsewhere(void **state)
{
	static char text[] = "pki x cert /x key elsewhere";
	struct conf_errors errors;
	struct conf *c = parse_good(text);

	(void)state;
	assert_null(conf_pki_find(c, "x")->key);
	conf_free(c);
	assert_null(conf_parse("t", read_text, text, &errors));
	assert_string_equal(errors.list[0].text, "'elsewhere' is not an absolute path");
	conf_errors_free(&errors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_family),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_many_pkis),
	    cmocka_unit_test(test_key_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* smtpd.conf: filters, what listeners are besides plain SMTP, and the limits of clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "tests/unit/conf_fixture.h"

/* Tables and filters that the cases name; before them, so that columns are theirs on line 5. */
static const char preamble[] = "table l { 192.0.2.1 }\ntable m { k = v }\n"
			       "filter f phase connect match !rdns junk\n"
			       "filter g phase rcpt-to match !auth <m> disconnect \"421 later\"\n";

/* After them, so that no line before it moves. */
static const char pki[] = "\npki p cert /c key /k\n";

/* Each with a part of its dump. */
static const struct {
	const char *text, *dumped;
} good[] = {
    /* conditions */
    {"filter x phase connect match fcrdns bypass",
	"filter \"x\" phase connect match fcrdns bypass line 5\n"},
    {"filter x phase connect match !fcrdns !rdns junk", " match !fcrdns !rdns junk "},
    {"filter x phase helo match rdns <l> junk", " phase helo match rdns <\"l\"> junk "},
    {"filter x phase ehlo match !rdns regex \"^dsl\" junk", " match !rdns regex <\"dynamic:1\"> "},
    {"filter x phase connect match src {192.0.2.0/24, ::1} bypass", " src <\"dynamic:1\"> "},
    {"filter x phase connect match src <l> !src regex <l> bypass",
	" src <\"l\"> !src regex <\"l\">"},
    {"filter x phase ehlo match helo \"localhost\" junk", " ehlo match helo <\"dynamic:1\"> junk "},
    {"filter x phase mail-from match auth junk", " mail-from match auth junk "},
    {"filter x phase data match auth <m> junk", " data match auth <\"m\"> junk "},
    {"filter x phase data match !auth regex <l> junk", " match !auth regex <\"l\"> junk "},
    {"filter x phase commit match mail-from \"@a.b\" junk",
	" commit match mail-from <\"dynamic:1\">"},
    {"filter x phase rcpt-to match rcpt-to <l> junk", " rcpt-to match rcpt-to <\"l\"> junk "},
    {"filter x phase mail-from match \\\n src <l> \\\n helo <l> bypass",
	" src <\"l\"> helo <\"l\"> "},
    {"filter x phase connect match src { ::1\n ::2\n } bypass", " bypass line 5\n"},
    /* decisions */
    {"filter x phase connect match rdns reject \"550 go away\"", " reject \"550 5.7.1 go away\" "},
    {"filter x phase connect match rdns disconnect '421  4.3.2  not  now '",
	" disconnect \"421 4.3.2 not  now \" "},
    {"filter x phase connect match rdns reject \"451 5.1.1 a\"", " reject \"451 4.7.1 5.1.1 a\" "},
    {"filter x phase connect match rdns reject \"550 5.1 a\"", " reject \"550 5.7.1 5.1 a\" "},
    {"filter x phase connect match rdns reject \"550 5.1.1234 a\"", " \"550 5.7.1 5.1.1234 a\" "},
    {"filter x phase connect match rdns reject \"559 5.123.999 a\"", " \"559 5.123.999 a\" "},
    {"filter x phase connect match rdns reject \"550 5.7.1a\"", " \"550 5.7.1 5.7.1a\" "},
    {"filter x phase connect match rdns reject '550 say \"a\"'", " \"550 5.7.1 say \\\"a\\\"\" "},
    {"filter x phase helo match src <l> rewrite \"a.example\"", " rewrite \"a.example\" "},
    {"filter x phase ehlo match src <l> rewrite \"[192.0.2.1]\"", " rewrite \"[192.0.2.1]\" "},
    {"filter x phase mail-from match auth rewrite \"a+b@c.d\"", " rewrite \"a+b@c.d\" "},
    {"filter x phase rcpt-to match rcpt-to <l> rewrite a@b", " rewrite \"a@b\" "},
    {"filter x phase mail-from match auth rewrite \"<a@b>\"", " rewrite \"a@b\" "},
    /* chains */
    {"filter x chain { f, g }", "filter \"x\" chain { \"f\" \"g\" } line 5\n"},
    {"filter x chain {\n\n\"f\"\n,\ng,\n}", " chain { \"f\" \"g\" } "},
    {"filter x chain {f g}\nlisten on a filter x", " port 25 filter \"x\"\n"},
    {"listen on a filter {g, f}", "filter \"chain:6dd7ff7162ff6614\" chain { \"g\" \"f\" } line 5\n"
				  "listen on \"a\" port 25 filter \"chain:6dd7ff7162ff6614\"\n"},
    {"listen on a filter {f}\nlisten on b filter {\n g\n} tag t",
	" tag \"t\" filter \"chain:08951607b53f2b92\"\n"},
    {"listen on a filter {f}\nlisten on b filter {f}",
	"filter \"chain:08987c07b5420ebb\" chain { \"f\" } line 5\n"
	"listen on \"a\" port 25 filter \"chain:08987c07b5420ebb\"\n"
	"listen on \"b\" port 25 filter \"chain:08987c07b5420ebb\"\n"},
    {"filter \"chain:08987c07b5420ebb\" chain {f}\nlisten on a filter {f}",
	"chain { \"f\" } line 5\nlisten on \"a\" port 25 filter \"chain:08987c07b5420ebb\"\n"},
    {"listen on a filter late\nfilter late phase data match auth junk", " filter \"late\"\n"},
    {"filter \"junk\" phase connect match fcrdns junk line 77",
	"filter \"junk\" phase connect match "
	"fcrdns junk line 77\n"},
    {"filter x chain {f} line 9", " } line 9\n"},
    /* listeners */
    {"listen on a port 24 lmtp", " port 24 lmtp\n"},
    {"listen on a port submission submission mask-src", " port 587 submission mask-src\n"},
    {"listen on a port 587 tls auth", " tls pki \"p\" auth submission\n"},
    {"listen on a port 587 tls auth submission", " tls pki \"p\" auth submission\n"},
    {"listen on a port 24 tls auth lmtp", " tls pki \"p\" auth lmtp\n"},
    {"listen on a tls auth", " port 25 tls pki \"p\" auth\n"},
    {"listen on a proxy-v2 xclient <l>", " proxy-v2 xclient <\"l\">\n"},
    {"listen on a proxy { 192.0.2.1 } xclient 192.0.2.2",
	" proxy <\"dynamic:1\"> xclient <\"dynamic:2\">\n"},
    {"listen on \"/run/x y\"", "listen on \"/run/x y\"\n"},
    {"listen on /run/x lmtp tag t hostname a.b filter f mask-src no-dsn group mail",
	"listen on \"/run/x\" lmtp tag \"t\" hostname \"a.b\" mask-src no-dsn filter \"f\" group "
	"\"mail\"\n"},
    {"listen on \"/x\" submission", "listen on \"/x\" submission\n"},
    /* settings */
    {"smtp limit max-mails 5 max-rcpt 7", "smtp max-mails 5\n"},
    {"smtp limit max-rcpt 7 max-mails 5", "smtp max-recipients 7\n"},
    {"smtp max-mails 0", "smtp max-mails 0\n"},
    {"smtp error-delay 0", "smtp error-delay 0s\n"},
    {"smtp greet-delay 0s", "smtp greet-delay 0s\n"},
    {"smtp greet-delay 60", "smtp greet-delay 1m\n"},
    {"smtp max-future-release 365d", "smtp max-future-release 365d\n"},
    {"smtp bare-lf normalize", "smtp bare-lf normalize\n"},
    {"smtp bare-lf normalize\nsmtp bare-lf refuse", "smtp bare-lf refuse\n"},
    {"smtp max-connection-rate 0\nsmtp rate-period 1h", "smtp max-connection-rate 0\n"},
    {"smtp max-refused-rate 1000000000", "smtp max-refused-rate 1000000000\n"},
    {"smtp client-prefix4 8\nsmtp client-prefix6 128", "smtp client-prefix4 8\n"},
    {"smtp exempt-clients <l>", "smtp exempt-clients <\"l\">\n"},
    {"smtp exempt-clients { 192.0.2.0/24\n ::1 }", "smtp exempt-clients <\"dynamic:1\">\n"},
    {"smtp exempt-clients 192.0.2.7\nsmtp exempt-clients <l>", "smtp exempt-clients <\"l\">\n"},
    {"table \"dynamic:1\" { a }\nsmtp exempt-clients { ::1 }",
	"smtp exempt-clients <\"dynamic:2\">\n"},
};

static const struct {
	const char *text, *error; /* "line:column: text" of the first and only one */
} bad[] = {
    /* filters */
    {"filter", "5:7: expected a filter name at the end of the file"},
    {"filter junk phase data match auth junk",
	"5:8: expected a filter name, found the keyword 'junk' "
	"(quote it to use it so)"},
    {"filter f phase data match auth junk", "5:8: filter 'f' is defined twice"},
    {"filter x", "5:9: expected a kind of filter at the end of the file"},
    {"filter x phse connect", "5:10: unknown kind of filter 'phse', did you mean 'phase'?"},
    {"filter x proc \"a\"", "5:10: 'filter proc' is not supported by this release: filters are "
			    "rules, not programs"},
    {"filter x proc-exec \"a\"",
	"5:10: 'filter proc-exec' is not supported by this release: filters "
	"are rules, not programs"},
    {"proc x \"a\"",
	"5:1: 'proc' is not supported by this release: filters are rules, not programs"},
    {"filter x phase conect", "5:16: unknown phase 'conect', did you mean 'connect'?"},
    {"filter x phase quit match src <l> junk", "5:16: unknown phase 'quit'"},
    {"filter x phase connect src <l>",
	"5:24: expected 'match', found the keyword 'src' (quote it to use it so)"},
    {"filter x phase connect match", "5:29: expected a condition at the end of the file"},
    {"filter x phase connect match junk", "5:30: a filter needs a condition before 'junk'"},
    {"filter x phase connect match fcrdns", "5:36: expected a condition at the end of the file"},
    {"filter x phase connect match fcrdns, rdns junk", "5:36: expected a condition, found ','"},
    {"filter x phase connect match frcdns junk",
	"5:30: unknown condition 'frcdns', did you mean 'fcrdns'?"},
    {"filter x phase connect match src <l> rejct \"550 a\"",
	"5:38: unknown condition 'rejct', did you mean 'reject'?"},
    {"filter x phase connect match ! reject \"550 a\"", "5:32: unknown condition 'reject'"},
    {"filter x phase connect match src junk",
	"5:34: expected a value or <table>, found the keyword "
	"'junk' (quote it to use it so)"},
    {"filter x phase connect match src <no> junk", "5:35: undefined table 'no'"},
    {"filter x phase connect match src <m> junk",
	"5:35: a list of values is needed here, not of pairs"},
    {"filter x phase connect match rdns regex junk", "5:41: expected a value or <table>, found the "
						     "keyword 'junk' (quote it to use it so)"},
    {"filter x phase connect match helo <l> junk", "5:30: 'helo' is not known at phase connect"},
    {"filter x phase ehlo match auth junk", "5:27: 'auth' is not known at phase ehlo"},
    {"filter x phase helo match mail-from <l> junk",
	"5:27: 'mail-from' is not known at phase helo"},
    {"filter x phase mail-from match rcpt-to <l> junk",
	"5:32: 'rcpt-to' is not known at phase mail-from"},
    {"filter x phase data match !rcpt-to <l> junk", "5:28: 'rcpt-to' is not known at phase data"},
    {"filter x phase connect match fcrdns report \"a\"",
	"5:37: 'filter report' is not supported by this release: nobody reads reports"},
    {"filter x phase connect match fcrdns junk 5", "5:42: expected the end of the line, found '5'"},
    /* replies */
    {"filter x phase connect match fcrdns reject",
	"5:43: expected a reply such as \"550 5.7.1 Not welcome\" at the end of the file"},
    /* rewriting */
    {"filter x phase connect match src <l> rewrite a",
	"5:46: there is nothing to rewrite at phase connect"},
    {"filter x phase data match src <l> rewrite a",
	"5:43: there is nothing to rewrite at phase data"},
    {"filter x phase helo match src <l> rewrite \"a b\"", "5:43: 'a b' is not a host name"},
    {"filter x phase mail-from match src <l> rewrite a", "5:48: 'a' is not an address"},
    {"filter x phase mail-from match src <l> rewrite \"<a@b\"", "5:48: '<a@b' is not an address"},
    {"filter x phase mail-from match src <l> rewrite \"<>\"", "5:48: '<>' is not an address"},
    {"filter x phase mail-from match src <l> rewrite \"\"", "5:48: '' is not an address"},
    {"filter x phase rcpt-to match src <l> rewrite \"a b@c\"", "5:46: 'a b@c' is not an address"},
    {"filter x phase rcpt-to match src <l> rewrite \"a@b@c\"", "5:46: 'a@b@c' is not an address"},
    {"filter x phase rcpt-to match src <l> rewrite \"a.@b\"", "5:46: 'a.@b' is not an address"},
    {"filter x phase rcpt-to match src <l> rewrite \"@b\"", "5:46: '@b' is not an address"},
    {"filter x phase rcpt-to match src <l> rewrite \"a@\"", "5:46: 'a@' is not an address"},
    /* chains */
    {"filter x chain", "5:15: expected '{' at the end of the file"},
    {"filter x chain { }", "5:18: a chain needs at least one filter"},
    {"filter x chain { f", "5:16: '{' without a '}' in this file"},
    {"filter x chain { f, f }", "5:21: 'f' was given before"},
    {"filter x chain { x }", "5:18: 'x' is a chain, which can't be part of one"},
    {"filter x chain { f }\nfilter y chain { x }",
	"6:18: 'x' is a chain, which can't be part of one"},
    {"filter first phase data match auth junk\nfilter x chain { frist }",
	"6:18: no filter before this is called 'frist', did you mean 'first'?"},
    {"filter x chain { later }\nfilter later phase data match auth junk",
	"5:18: no filter before this is called 'later'"},
    {"listen on a filter { later }", "5:22: no filter before this is called 'later'"},
    {"listen on a filter { }", "5:22: a chain needs at least one filter"},
    {"listen on a filter", "5:19: expected a filter's name or '{' at the end of the file"},
    {"filter first phase data match auth junk\nlisten on a filter frist",
	"6:20: undefined filter 'frist', did you mean 'first'?"},
    {"listen on a filter f filter g", "5:22: 'filter' was given before"},
    {"filter \"chain:08987c07b5420ebb\" chain {g}\nlisten on a filter {f}",
	"6:20: this chain's name, 'chain:08987c07b5420ebb', is another filter's"},
    {"filter \"chain:08987c07b5420ebb\" phase data match auth junk\nlisten on a filter {f}",
	"6:20: this chain's name, 'chain:08987c07b5420ebb', is another filter's"},
    /* listeners */
    {"listen on a lmtp", "5:11: 'lmtp' is not for port 25: RFC 2033 section 5"},
    {"listen on a port 25 lmtp", "5:11: 'lmtp' is not for port 25: RFC 2033 section 5"},
    {"listen on a submission", "5:11: 'submission' is not for port 25: RFC 6409 section 3.1"},
    {"listen on a port 587 submission lmtp", "5:11: 'lmtp' and 'submission' exclude each other"},
    {"listen on a proxy <l> proxy-v2", "5:11: 'proxy' and 'proxy-v2' exclude each other"},
    {"listen on a proxy <m>", "5:20: a list of values is needed here, not of pairs"},
    {"listen on a xclient <m>", "5:22: a list of values is needed here, not of pairs"},
    {"listen on a xclient <no>", "5:22: undefined table 'no'"},
    {"listen on a group mail", "5:13: this kind of listen has no 'group'"},
    {"listen on /a port 25", "5:14: this kind of listen has no 'port'"},
    {"listen on /a tls", "5:14: this kind of listen has no 'tls'"},
    {"listen on /a auth", "5:14: this kind of listen has no 'auth'"},
    {"listen on /a proxy <l>", "5:14: this kind of listen has no 'proxy'"},
    {"listen on /a group \"a b\"", "5:20: 'a b' is not an account name"},
    {"listen on /a lmtp submission", "5:11: 'lmtp' and 'submission' exclude each other"},
    {"listen on /a\nlisten on /b\n listen  on \"/a\" tag t", "7:13: '/a' is listened on twice"},
    {"listen on socket",
	"5:11: 'listen socket' is not supported by this release: local programs submit "
	"to a loopback address"},
    {"listen on \"/01234567890123456789012345678901234567890123456789012345678901234567890123456789"
     "012345678901234567890123456\"",
	"5:11: '/012345678901234567890123456789012345678901234567890123456789012' is not a path "
	"that "
	"a socket can have"},
    /* settings */
    {"smtp limit max-mail 5", "5:12: unknown limit 'max-mail', did you mean 'max-mails'?"},
    {"smtp max-mails 1000000", "5:16: '1000000' is not a number from 0 to 999999"},
    {"smtp max-errors 0", "5:17: '0' is not a number from 1 to 1000"},
    {"smtp error-delay 61s", "5:18: '61s' is not a duration such as 5m, from 0s to 1m"},
    {"smtp max-future-release 0", "5:25: '0' is not a duration such as 5m, from 1s to 365d"},
    {"smtp rate-period 2d", "5:18: '2d' is not a duration such as 5m, from 1s to 1d"},
    {"smtp bare-lf fix", "5:14: 'fix' is not 'refuse' or 'normalize'"},
    {"smtp bare-lf", "5:13: expected 'refuse' or 'normalize' at the end of the file"},
    {"smtp max-message-rate 1000000001", "5:23: '1000000001' is not a number from 0 to 1000000000"},
    {"smtp client-prefix4 33", "5:21: '33' is not a number from 8 to 32"},
    {"smtp client-prefix6 15", "5:21: '15' is not a number from 16 to 128"},
    {"smtp exempt-clients", "5:20: expected a value or <table> at the end of the file"},
    {"smtp exempt-clients <no>", "5:22: undefined table 'no'"},
    {"smtp exempt-clients <m>", "5:22: a list of values is needed here, not of pairs"},
};

/* Texts that are no replies. */
static const char *const replies[] = {"250 a", "650 a", "560 a", "550", "550 ", "550 5.7.1",
    "5500 a", "550-a", "55 a", "55x a", "5 0 a", "550 \xc3\xa9", "go away", ""};

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
		fail_msg("%s: %s: %s", text, errors.list[0].text, errors.list[0].source);
	conf_errors_free(&errors);
	return c;
}

static void
check_good(const char *text, const char *dumped)
{
	struct conf *c = parse_good(text), *again;
	char *first = dump(c, CONF_FOR_ALL), *second, *part;
	unsigned int role;

	if (strstr(first, dumped) == NULL)
		fail_msg("%s:\n%s\nlacks %s", text, first, dumped);
	again = parse_good(first);
	second = dump(again, CONF_FOR_ALL);
	assert_string_equal(first, second);
	conf_free(again);
	for (role = CONF_FOR_PARENT; role <= CONF_FOR_VAULT; role <<= 1) {
		part = dump(c, role);
		conf_free(parse_good(part));
		free(part);
	}
	free(first);
	free(second);
	conf_free(c);
}

static void
test_good(void **state)
{
	char text[1024];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(good); i++) {
		(void)snprintf(text, sizeof(text), "%s%s%s", preamble, good[i].text, pki);
		check_good(text, good[i].dumped);
	}
}

static void
test_bad(void **state)
{
	struct conf_errors errors;
	char text[1024], got[512];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bad); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", preamble, bad[i].text);
		if (parse(text, &errors) != NULL)
			fail_msg("accepted: %s", bad[i].text);
		(void)snprintf(got, sizeof(got), "%u:%u: %s", errors.list[0].line,
		    errors.list[0].column, errors.list[0].text);
		if (errors.n != 1 || strcmp(got, bad[i].error) != 0)
			fail_msg("%s\n got %zu: %s\nwant 1: %s", bad[i].text, errors.n, got,
			    bad[i].error);
		conf_errors_free(&errors);
	}
}

static void
test_replies(void **state)
{
	struct conf_errors errors;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(replies); i++) {
		(void)snprintf(text, sizeof(text),
		    "filter x phase connect match fcrdns reject \"%s\"", replies[i]);
		if (parse(text, &errors) != NULL)
			fail_msg("accepted: %s", text);
		assert_int_equal(errors.n, 1);
		assert_int_equal(errors.list[0].column, 44);
		assert_non_null(strstr(errors.list[0].text,
		    "' is not a 4xx or 5xx reply with a text in ASCII, of at most 256 octets"));
		conf_errors_free(&errors);
	}
}

/* -- values ------------------------------------------------------------------- */

static void
test_filter_values(void **state)
{
	struct conf *c = parse_good("table t { a }\n"
				    "filter one phase rcpt-to match !rcpt-to regex <t> auth \\\n"
				    "\treject \"550 5.1.1 Unknown\"\n"
				    "filter two phase helo match fcrdns rewrite a.b\n"
				    "filter three phase data match rdns junk\n"
				    "filter all chain { three, one }\n");
	const struct conf_filter *f = conf_filter_find(c, "one");

	(void)state;
	assert_int_equal(c->nfilters, 4);
	assert_false(f->chain);
	assert_int_equal(f->phase, CONF_PHASE_RCPT_TO);
	assert_int_equal(f->ntests, 2);
	assert_int_equal(f->tests[0].kind, CONF_FILTER_RCPT_TO);
	assert_true(f->tests[0].negated && f->tests[0].regex);
	assert_string_equal(f->tests[0].table, "t");
	assert_int_equal(f->tests[1].kind, CONF_FILTER_AUTH);
	assert_null(f->tests[1].table);
	assert_int_equal(f->decision, CONF_DECISION_REJECT);
	assert_int_equal(f->code, 550);
	assert_string_equal(f->status, "5.1.1");
	assert_string_equal(f->text, "Unknown");
	assert_int_equal(f->line, 2);
	f = conf_filter_find(c, "two");
	assert_int_equal(f->decision, CONF_DECISION_REWRITE);
	assert_int_equal(f->code, 0);
	assert_string_equal(f->status, "");
	assert_string_equal(f->text, "a.b");
	assert_null(conf_filter_find(c, "three")->text);
	f = conf_filter_find(c, "all");
	assert_true(f->chain);
	assert_int_equal(f->nmembers, 2);
	assert_string_equal(f->members[1], "one");
	assert_null(conf_filter_find(c, "four"));
	conf_free(c);
}

static void
test_acts(void **state)
{
	struct conf *c = parse_good("filter one phase rcpt-to match auth junk\n"
				    "filter two phase helo match fcrdns junk\n"
				    "filter both chain { two, one }\n");
	enum conf_phase phase;

	(void)state;
	for (phase = CONF_PHASE_CONNECT; phase < CONF_PHASE__MAX; phase++) {
		bool one = phase == CONF_PHASE_RCPT_TO, two = phase == CONF_PHASE_HELO;

		assert_int_equal(conf_filter_acts(c, &c->filters[0], phase), one);
		assert_int_equal(conf_filter_acts(c, &c->filters[1], phase), two);
		assert_int_equal(conf_filter_acts(c, &c->filters[2], phase), one || two);
	}
	assert_string_equal(conf_phase_name(CONF_PHASE_CONNECT), "connect");
	assert_string_equal(conf_phase_name(CONF_PHASE_COMMIT), "commit");
	conf_free(c);
}

static void
test_listener_values(void **state)
{
	struct conf *c = parse_good("listen on /run/lmtp.sock lmtp group mail\n"
				    "listen on a port 587 tls auth submission mask-src\n"
				    "pki p cert /c key /k\n"
				    "listen on a proxy 192.0.2.1 xclient 192.0.2.2\n");
	const struct conf_listener *l = c->listeners;

	(void)state;
	assert_true(l[0].unix_path && l[0].lmtp && !l[0].socket && !l[0].submission);
	assert_int_equal(l[0].port, 0);
	assert_string_equal(l[0].host, "/run/lmtp.sock");
	assert_string_equal(l[0].group, "mail");
	assert_true(!l[1].unix_path && l[1].submission && l[1].mask_src && !l[1].lmtp);
	assert_null(l[1].group);
	assert_true(!l[2].submission && !l[2].proxy_v2);
	assert_string_equal(conf_table_find(c, l[2].proxy)->pairs[0].key, "192.0.2.1");
	assert_string_equal(conf_table_find(c, l[2].xclient)->pairs[0].key, "192.0.2.2");
	conf_free(c);
}

static void
test_setting_values(void **state)
{
	struct conf *c = parse_good("");
	const struct conf_values *v = &c->values;

	(void)state;
	assert_int_equal(v->smtp_max_mails, 0);
	assert_int_equal(v->smtp_max_errors, 20);
	assert_int_equal(v->smtp_error_delay_s, 1);
	assert_int_equal(v->smtp_greet_delay_s, 0);
	assert_int_equal(v->smtp_max_hold_s, 30 * 86400);
	assert_int_equal(v->smtp_bare_lf, CONF_BARE_LF_REFUSE);
	assert_int_equal(v->smtp_rate_period_s, 60);
	assert_int_equal(v->smtp_connection_rate, 600);
	assert_int_equal(v->smtp_message_rate, 1000);
	assert_int_equal(v->smtp_recipient_rate, 10000);
	assert_int_equal(v->smtp_refused_rate, 200);
	assert_int_equal(v->smtp_prefix4, 32);
	assert_int_equal(v->smtp_prefix6, 64);
	assert_null(v->smtp_exempt);
	conf_free(c);
	c = parse_good("smtp bare-lf normalize\nsmtp exempt-clients { 10.0.0.0/8 }");
	assert_int_equal(c->values.smtp_bare_lf, CONF_BARE_LF_NORMALIZE);
	assert_string_equal(conf_table_find(c, c->values.smtp_exempt)->pairs[0].key, "10.0.0.0/8");
	conf_free(c);
}

/* A chain in place keeps its name when the listeners before it go. */
static void
test_chain_names(void **state)
{
	static const char head[] = "filter f phase data match auth junk\n"
				   "filter g phase data match auth junk\n"
				   "filter fg phase data match auth junk\n";
	static const char *const chains[] = {"{ f }", "{ g }", "{ f g }", "{ g f }", "{ fg }"};
	char text[512], *names[NITEMS(chains)];
	struct conf *c;
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(chains); i++) {
		(void)snprintf(text, sizeof(text), "%slisten on a filter %s\n", head, chains[i]);
		c = parse_good(text);
		names[i] = strdup(c->listeners[0].filter);
		assert_non_null(names[i]);
		conf_free(c);
		for (j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
	for (i = 1; i < NITEMS(chains); i++) {
		(void)snprintf(text, sizeof(text),
		    "%slisten on a filter %s\nlisten on b filter %s\nlisten on c filter %s\n", head,
		    chains[0], chains[i], chains[0]);
		c = parse_good(text);
		assert_int_equal(c->nfilters, 5);
		assert_string_equal(c->listeners[0].filter, names[0]);
		assert_string_equal(c->listeners[1].filter, names[i]);
		assert_string_equal(c->listeners[2].filter, names[0]);
		conf_free(c);
	}
	for (i = 0; i < NITEMS(chains); i++)
		free(names[i]);
}

/* -- limits and parts --------------------------------------------------------- */

/* n times piece with its number after head; accepted or "too many". */
static void
check_many(const char *head, const char *piece, size_t n, const char *tail, bool accepted)
{
	struct conf_errors errors;
	struct conf *c;
	struct buf text;
	size_t i;

	buf_init(&text, 1 << 20);
	assert_int_equal(buf_append_str(&text, head), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(buf_printf(&text, piece, i), 0);
	assert_int_equal(buf_append_str(&text, tail), 0);
	c = conf_parse_text("t", (const char *)buf_head(&text), text.len, &errors);
	assert_int_equal(c != NULL, accepted);
	if (!accepted)
		assert_non_null(strstr(errors.list[0].text, "too many of these"));
	conf_free(c);
	conf_errors_free(&errors);
	buf_free(&text);
}

static void
check_chain(size_t n, bool accepted)
{
	char head[16384] = "", one[64];
	size_t i;

	for (i = 0; i < n; i++) {
		(void)snprintf(one, sizeof(one), "filter f%zu phase data match auth junk\n", i);
		strcat(head, one);
	}
	strcat(head, "listen on a filter {");
	check_many(head, " f%zu", n, "}", accepted);
}

static void
test_limits(void **state)
{
	static const char reply[] = "filter f phase data match auth reject \"550 5.7.1 %0*d\"";
	struct conf_errors errors;
	char text[1024];

	(void)state;
	check_many("", "filter f%zu phase data match auth junk\n", 1024, "", true);
	check_many("", "filter f%zu phase data match auth junk\n", 1025, "", false);
	check_many("filter f phase connect match", " src 192.0.2.%zu", 16, " junk", true);
	check_many("filter f phase connect match", " src 192.0.2.%zu", 17, " junk", false);
	check_chain(64, true);
	check_chain(65, false);
	/* A reply of 256 octets, and one more. */
	(void)snprintf(text, sizeof(text), reply, 256, 0);
	check_good(text, "000");
	(void)snprintf(text, sizeof(text), reply, 257, 0);
	assert_null(parse(text, &errors));
	conf_errors_free(&errors);
}

/* Who gets filters, and which contents of which tables. */
static void
test_parts(void **state)
{
	static const struct {
		unsigned int role;
		const char *has[4], *lacks[3];
	} parts[] = {
	    {CONF_FOR_SESSION,
		{"filter \"f\" phase data", "table \"bad\" elsewhere", "table \"bal\" elsewhere",
		    "filter \"chain:08987c07b5420ebb\"\n"},
		{"192.0.2.", "exempt", "rate"}},
	    {CONF_FOR_LOOKUP,
		{"filter \"f\" phase data match src <\"bad\"> junk", "192.0.2.7", "192.0.2.8",
		    "smtp exempt-clients <\"free\">"},
		{"listen on", "table \"bal\" elsewhere", "smtp max-errors"}},
	    {CONF_FOR_QUEUE, {"queue"}, {"filter", "192.0.2.", "exempt"}},
	    {CONF_FOR_DELIVERY, {"mta"}, {"filter", "192.0.2.", "exempt"}},
	};
	struct conf *c = parse_good("table bad { 192.0.2.6 }\ntable bal { 192.0.2.7 }\n"
				    "table free { 192.0.2.8 }\nsmtp exempt-clients <free>\n"
				    "filter f phase data match src <bad> junk\n"
				    "listen on a proxy <bal> filter { f }\n");
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(parts); i++) {
		char *text = dump(c, parts[i].role);

		for (j = 0; j < NITEMS(parts[i].has) && parts[i].has[j] != NULL; j++)
			if (strstr(text, parts[i].has[j]) == NULL)
				fail_msg("role %u lacks %s", parts[i].role, parts[i].has[j]);
		for (j = 0; j < NITEMS(parts[i].lacks); j++)
			if (strstr(text, parts[i].lacks[j]) != NULL)
				fail_msg("role %u has %s", parts[i].role, parts[i].lacks[j]);
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
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_filter_values),
	    cmocka_unit_test(test_acts),
	    cmocka_unit_test(test_listener_values),
	    cmocka_unit_test(test_chain_names),
	    cmocka_unit_test(test_setting_values),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

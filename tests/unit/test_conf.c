/* SPDX-License-Identifier: ISC */
/* smtpd.conf: what is accepted, what each fault says and where, and the dump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/conf/conf.h"
#include "lib/conf/keyword.h"
#include "lib/conf/size.h"
#include "tests/unit/conf_fixture.h"

/* -- helpers ------------------------------------------------------------------ */

struct file {
	const char *path, *text;
};

static int
read_none(void *arg, const char *path, struct buf *out)
{
	(void)arg;
	(void)path;
	(void)out;
	errno = ENOENT;
	return -1;
}

static int
read_files(void *arg, const char *path, struct buf *out)
{
	const struct file *f;

	for (f = arg; f->path != NULL; f++)
		if (strcmp(f->path, path) == 0)
			return buf_append_str(out, f->text);
	return read_none(NULL, path, out);
}

static void
print_errors(const struct conf_errors *e)
{
	struct buf out;
	size_t i;

	buf_init(&out, 1 << 20);
	for (i = 0; i < e->n; i++)
		conf_error_print(&e->list[i], &out);
	print_error("%.*s", (int)out.len, (const char *)buf_head(&out));
	buf_free(&out);
}

static struct conf *
parse_good(const char *text)
{
	struct conf_errors errors;
	struct conf *c = conf_parse_text("t", text, strlen(text), &errors);

	if (c == NULL) {
		print_errors(&errors);
		fail_msg("refused: %s", text);
	}
	conf_errors_free(&errors);
	return c;
}

/* A configuration with all that this release does. */
static const char everything[] =
    "lan = \"{ 127.0.0.1, 10.0.0.0/8 }\"   # a comment \\\n that goes on\n"
    "dom = 'example'\n"
    "hostname mx.example.org\n"
    "queue ttl 5d\n"
    "queue retry-min 1m\n"
    "queue directory \"/tmp/x y\"\n"
    "smtp max-message-size 100M\n"
    "smtp limit max-rcpt 10\n"
    "bounce warn-interval 1h\n"
    "resolver forward 127.0.0.1@5353, \"::1\"\n"
    "table aliases file:/etc/aliases\n"
    "table paths \"/etc/paths\"\n"
    "table \"virt\" { \"demo@example.org\" = demo,\n\tb = c\n\n  d => e\n}\n"
    "table doms { $dom.org\n b.org, c.org, }\n"
    "table creds { \"me\" = \"$6$x$y\" }\n"
    "pki MX.example.org cert \"/etc/c.pem\"\n"
    "pki mx.example.org key \"/etc/k.pem\" dhe none\n"
    "listen on 127.0.0.1 port 2525 no-dsn received-auth\n"
    "listen on lo inet6 port submission tls-require pki mx.example.org \\\n"
    "\tauth <creds> tag sub hostname other.example.org\n"
    "listen on ::1 smtps pki mx.example.org auth-optional <creds>\n"
    "listen on \"eth0\" tls\n"
    "action \"local\" maildir \"~/x y\\\"\\\\ \" alias <aliases> user \"mail\"\n"
    "action v maildir \"/m/%{dest.domain:lowercase}/%{dest.user[0:2]:strip}\" virtual <virt>\n"
    "action plain maildir userbase <paths>\n"
    "action out relay host \"smtp://[::1]:25\" helo foo.example\n"
    "action exp expand-only alias { a = b }\n"
    "action fwd forward-only virtual <virt>\n"
    "action \"mx\" relay\n"
    "match for local action v\n"
    "match from src $lan for any action out\n"
    "match !from local !for domain { a.b, c.d } mail-from \"@foo\" tag sub tls reject\n"
    "match auth from any for domain regex <doms> helo \"x\" rcpt-to <doms> action \"local\"\n"
    "match from auth for rcpt-to a@b action plain\n"
    "match from auth <doms> for any action \"mx\"\n"
    "match from mail-from a@b !auth regex \"^a\" action exp\n"
    "match from socket action fwd\n";

/* -- values ------------------------------------------------------------------- */

static void
test_defaults(void **state)
{
	struct conf *c = parse_good("");

	(void)state;
	assert_null(c->values.hostname);
	assert_string_equal(c->values.spool, "/var/spool/postern");
	assert_int_equal(c->values.queue_ttl_s, 4 * 86400);
	assert_int_equal(c->values.bounce_warn_s, 4 * 3600);
	assert_int_equal(c->values.smtp_max_message_bytes, 35 << 20);
	assert_int_equal(c->values.smtp_max_recipients, 1000);
	assert_int_equal(c->nlisteners, 0);
	conf_free(c);
}

static void
test_values(void **state)
{
	struct conf *c = parse_good(everything);
	const struct conf_listener *l = c->listeners;

	(void)state;
	assert_string_equal(c->values.hostname, "mx.example.org");
	assert_string_equal(c->values.spool, "/tmp/x y");
	assert_string_equal(c->values.resolver_forward, "127.0.0.1@5353,::1");
	assert_int_equal(c->values.queue_ttl_s, 5 * 86400);
	assert_int_equal(c->values.smtp_max_recipients, 10);
	assert_int_equal(c->nlisteners, 4);
	assert_int_equal(l[0].port, 2525);
	assert_true(l[0].no_dsn && l[0].received_auth && !l[0].submission);
	assert_int_equal(l[1].port, 587);
	assert_int_equal(l[1].family, AF_INET6);
	assert_int_equal(l[1].tls, CONF_TLS_REQUIRE);
	assert_true(l[1].auth && l[1].submission);
	assert_string_equal(l[1].auth_table, "creds");
	assert_int_equal(l[1].npkis, 1);
	assert_string_equal(l[1].pkis[0], "mx.example.org");
	assert_int_equal(l[2].port, 465);
	assert_true(l[2].auth_optional && !l[2].auth && !l[2].submission);
	assert_int_equal(l[3].port, 25);
	conf_free(c);
}

static void
test_tables(void **state)
{
	struct conf *c = parse_good(everything);
	const struct conf_table *t;

	(void)state;
	t = conf_table_find(c, "aliases");
	assert_int_equal(t->kind, CONF_TABLE_FILE);
	assert_string_equal(t->path, "/etc/aliases");
	t = conf_table_find(c, "virt");
	assert_int_equal(t->kind, CONF_TABLE_MAP);
	assert_int_equal(t->npairs, 3);
	assert_string_equal(t->pairs[2].value, "e");
	t = conf_table_find(c, "doms");
	assert_int_equal(t->kind, CONF_TABLE_LIST);
	assert_int_equal(t->npairs, 3);
	assert_string_equal(t->pairs[0].key, "example.org"); /* a macro within a word */
	t = conf_table_find(c, "creds");
	assert_string_equal(t->pairs[0].value, "$6$x$y"); /* and none within quotes */
	t = conf_table_find(c, c->rules[1].tests[0].arg);
	assert_int_equal(t->npairs, 2); /* a macro that is more than a word */
	assert_null(conf_table_find(c, "nowhere"));
	conf_free(c);
}

static void
test_actions(void **state)
{
	struct conf *c = parse_good(everything);
	const struct conf_action *a = conf_action_find(c, "local");

	(void)state;
	assert_string_equal(a->target, "~/x y\"\\ ");
	assert_string_equal(a->alias, "aliases");
	assert_string_equal(a->user, "mail");
	assert_null(conf_action_find(c, "plain")->target);
	assert_int_equal(conf_action_find(c, "out")->kind, CONF_ACTION_RELAY);
	assert_string_equal(conf_action_find(c, "out")->helo, "foo.example");
	assert_null(conf_action_find(c, "mx")->host);
	assert_string_equal(conf_pki_find(c, "mx.example.org")->key, "/etc/k.pem");
	assert_null(conf_pki_find(c, "MX.example.org"));
	conf_free(c);
}

static void
test_rules(void **state)
{
	struct conf *c = parse_good(everything);
	const struct conf_rule *r = c->rules;

	(void)state;
	/* What a rule does not say: local, both ways. */
	assert_int_equal(r[0].ntests, 2);
	assert_int_equal(r[0].tests[0].kind, CONF_TEST_FOR_LOCAL);
	assert_int_equal(r[0].tests[1].kind, CONF_TEST_FROM_LOCAL);
	assert_int_equal(r[6].ntests, 3);
	assert_int_equal(r[6].tests[2].kind, CONF_TEST_FOR_LOCAL);
	assert_null(r[2].action);
	assert_true(r[2].tests[0].negated && r[2].tests[1].negated);
	assert_false(r[2].tests[2].negated);
	assert_string_equal(conf_table_find(c, r[2].tests[3].arg)->pairs[0].key, "sub");
	assert_true(r[3].tests[2].regex);
	assert_null(r[4].tests[0].arg);
	assert_string_equal(r[5].tests[0].arg, "doms");
	assert_true(r[6].tests[1].negated && r[6].tests[1].regex);
	assert_int_equal(r[1].line, r[0].line + 1);
	conf_free(c);
}

/* Small texts that must be accepted, for the lexer's corners. */
static void
test_accepted(void **state)
{
	static const char *const texts[] = {"", "\n\n", "#", "# x\n", "# x \\\n still a comment\n",
	    "hostname \\\n a.b", "hostname a.\\\nb", "hostname 'a.b'", "x = y\n",
	    "x = \"\"\nhostname $x a.b\n", "x=a\nx=b\nhostname $x", "table t {a}",
	    "table t { a # c\n }", "table t {\n\n,a,,b\n\n}", "listen on a port 0",
	    "hostname [127.0.0.1]", "queue ttl \"1w\"", "smtp max-message-size 1g",
	    "smtp processes 0", "table t { \"\xc3\xa9@x\" }", "action a relay\nmatch action a",
	    "match action a\naction a relay", "action a relay host mx.example.org",
	    "action a relay host 192.0.2.1:2525", "action a relay host smtp+notls://[2001:db8::1]",
	    "pki * cert /a key /b", "queue ttl 1d\nqueue ttl 2d", "trust = x", "table line {a}"};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(texts); i++)
		conf_free(parse_good(texts[i]));
}

/* -- faults ------------------------------------------------------------------- */

static const struct {
	const char *text, *error; /* "line:column: text" of the first */
} faults[] = {
    /* words */
    {"acton \"x\" relay", "1:1: unknown keyword 'acton', did you mean 'action'?"},
    {"\n  xyzzy", "2:3: unknown keyword 'xyzzy'"},
    {"\"action\" x", "1:1: expected a keyword, found 'action'"},
    {"{", "1:1: expected a keyword, found '{'"},
    {"queue", "1:6: expected a setting at the end of the file"},
    {"queue tll 5d", "1:7: unknown setting 'tll', did you mean 'ttl'?"},
    {"hostname a.b c", "1:14: expected the end of the line, found 'c'"},
    /* lexical */
    {"hostname \"a", "1:10: string without a closing quote"},
    {"hostname a\xc3\xa9", "1:11: byte \\xc3 outside a quoted string"},
    {"hostname (a)", "1:10: stray '('"},
    {"hostname a\\b", "1:11: stray '\\'"},
    {"hostname a.b\r\n", "1:13: carriage return: lines end in a newline alone"},
    {"\x01\n\x02", "1:1: control byte"},
    {"hostname $x", "1:10: undefined macro 'x'"},
    {"abc = b\nhostname $acb", "2:10: undefined macro 'acb', did you mean 'abc'?"},
    {"a-b = c", "1:1: 'a-b' can't be the name of a macro"},
    {"listen = c", "1:1: 'listen' can't be the name of a macro"},
    {"a = b c", "1:7: expected the end of the line, found 'c'"},
    {"a = \"x $y\"\ny = z\nhostname $a", "3:10: expected the end of the line, found '$y'"},
    {"include \"x\"", "1:9: nothing can be included here"},
    /* settings */
    {"queue ttl 5y", "1:11: '5y' is not a duration such as 5m, from 1s to 365d"},
    {"queue ttl 0", "1:11: '0' is not a duration such as 5m, from 1s to 365d"},
    {"queue ttl 99999999999999999999d",
	"1:11: '99999999999999999999d' is not a duration such as 5m, from 1s to 365d"},
    {"queue ttl", "1:10: expected a duration such as 5m, from 1s to 365d at the end of the file"},
    {"smtp max-message-size 35X", "1:23: '35X' is not a size such as 35M, from 1K to 1T"},
    {"smtp max-recipients -1", "1:21: '-1' is not a number from 1 to 100000"},
    {"queue directory spool", "1:17: 'spool' is not an absolute path"},
    {"hostname \"a b\"", "1:10: 'a b' is not a host name"},
    {"resolver forward 1.2.3",
	"1:18: '1.2.3' is not 'none' or addresses such as 192.0.2.1 or 192.0.2.1@5353"},
    {"queue retry-min 5h", "1:17: 'queue retry-min' is longer than 'queue retry-max'"},
    {"queue retry-max 2m\nqueue ttl 1d",
	"1:17: 'queue retry-min' is longer than 'queue retry-max'"},
    {"queue encryption", "1:7: 'queue encryption' is not supported by this release: messages are "
			 "stored as they came"},
    {"bounce warn-interval 1h, 2h", "1:22: 'bounce warn-interval list' is not supported by this "
				    "release: there is one warning"},
    /* tables and pki */
    {"table", "1:6: expected a table name at the end of the file"},
    {"table t", "1:8: expected '{' or an absolute path at the end of the file"},
    {"table t x", "1:9: expected '{' or an absolute path, found 'x'"},
    {"table t db:/x", "1:9: 'table backend' is not supported by this release: there are file, "
		      "cdb, sqlite, postgres, dovecot and helper"},
    {"table t { }", "1:11: a table needs at least one value"},
    {"table t { a", "1:9: '{' without a '}' in this file"},
    {"table t { a = b, c }", "1:18: a table has values or pairs of key and value, not both"},
    {"table t {a}\ntable t {b}", "2:7: table 't' is defined twice"},
    {"table \"t t\" {a}", "1:7: 't t' is not a table name"},
    {"pki a cert /x", "1:5: pki 'a' has no key"},
    {"pki a dhe none", "1:5: pki 'a' has no cert"},
    {"pki a crt /x", "1:7: unknown pki parameter 'crt', did you mean 'cert'?"},
    {"pki a key x", "1:11: 'x' is not an absolute path"},
    {"match from src { 192.0.2.1, < } reject", "1:29: expected a value or '}', found '<'"},
    {"match from src { 192.0.2.1 = = } reject", "1:30: expected a value, found '='"},
    /* listeners */
    {"listen", "1:7: expected 'on' at the end of the file"},
    {"listen on tls", "1:11: expected an address or interface, found the keyword 'tls' (quote it "
		      "to use it so)"},
    {"listen on a prt 25", "1:13: unknown option 'prt', did you mean 'port'?"},
    {"listen on a port 65536", "1:18: '65536' is not a port"},
    {"listen on a port", "1:17: expected a port at the end of the file"},
    {"listen on a tls smtps", "1:17: 'smtps' after 'tls'"},
    {"listen on a tag x tag y", "1:19: 'tag' was given before"},
    {"listen on a auth", "1:11: 'auth' needs 'tls', 'tls-require' or 'smtps'"},
    {"listen on a tls auth <x>\npki p cert /c key /k", "1:23: undefined table 'x'"},
    {"listen on a tls pki x", "1:21: undefined pki 'x'"},
    {"listen on a tls auth auth-optional", "1:11: 'auth' and 'auth-optional' exclude each other"},
    {"listen on a filter x", "1:20: undefined filter 'x'"},
    /* actions */
    {"action \"a\" maildr", "1:12: unknown action method 'maildr', did you mean 'maildir'?"},
    {"action local relay", "1:8: expected an action name, found the keyword 'local' (quote it to "
			   "use it so)"},
    {"action a mbox", "1:10: 'action mbox' is not supported by this release: local mail goes to a "
		      "maildir"},
    {"action a relay\naction a relay", "2:8: action 'a' is defined twice"},
    {"action a maildir host x", "1:18: this kind of action has no 'host'"},
    {"action a relay alias <x>", "1:16: this kind of action has no 'alias'"},
    {"action a maildir alias x", "1:24: expected a mapping as <table>, found 'x'"},
    {"action a maildir alias <x", "1:26: expected '>' after the table name at the end of the file"},
    {"table x {a}\naction a maildir alias <x>", "2:25: pairs of key and value are needed here"},
    {"action a maildir alias {a=b} virtual {a=b}", "1:8: 'alias' and 'virtual' exclude each other"},
    {"action a relay host \"http://x\"",
	"1:21: 'http://x' is not a host such as smtp://mx.example.org:25"},
    {"action a relay host a:b", "1:21: 'a:b' is not a host such as smtp://mx.example.org:25"},
    {"action a relay host l@a",
	"1:8: a label in 'host' needs 'auth', or an 'oauth': there is no 'l'"},
    {"action a relay host lmtp://a",
	"1:21: 'lmtp://a' is not a host such as smtp://mx.example.org:25"},
    {"action a relay pki a", "1:16: 'action pki' is not supported by this release: other servers "
			     "are shown no certificate"},
    {"action a maildir \"~/%{rcpt.usr}\"", "1:21: unknown format specifier '%{rcpt.usr}'"},
    /* rules */
    {"match", "1:6: expected 'action' or 'reject' at the end of the file"},
    {"match reject x", "1:14: expected the end of the line, found 'x'"},
    {"match for lcal reject", "1:11: unknown condition 'lcal', did you mean 'local'?"},
    {"match frm any reject", "1:7: unknown condition 'frm', did you mean 'from'?"},
    {"match ! reject", "1:9: unknown condition 'reject'"},
    {"match action b", "1:14: undefined action 'b'"},
    {"action abc relay\nmatch action abd", "2:14: undefined action 'abd', did you mean 'abc'?"},
    {"match for domain <doms> reject\ntable dom {a}",
	"1:19: undefined table 'doms', did you mean 'dom'?"},
    {"match for domain reject", "1:18: expected a value or <table>, found the keyword 'reject' "
				"(quote it to use it so)"},
    {"table m {a=b}\nmatch for domain <m> reject",
	"2:19: a list of values is needed here, not of pairs"},
    {"match from any from local reject", "1:21: a rule has one 'from', and there was 'from any'"},
    {"match tls tls reject", "1:11: 'tls' was given before"},
};

static void
test_faults(void **state)
{
	struct conf_errors errors;
	char got[512];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(faults); i++) {
		const char *text = faults[i].text;

		if (conf_parse_text("t", text, strlen(text), &errors) != NULL)
			fail_msg("accepted: %s", text);
		(void)snprintf(got, sizeof(got), "%u:%u: %s", errors.list[0].line,
		    errors.list[0].column, errors.list[0].text);
		if (errors.n != 1 || strcmp(got, faults[i].error) != 0)
			fail_msg(
			    "%s\n got %zu: %s\nwant 1: %s", text, errors.n, got, faults[i].error);
		conf_errors_free(&errors);
	}
}

/* All of them in one run, in the order of the text, and nothing that only follows from one. */
static void
test_all_faults(void **state)
{
	static const char text[] = "match action x\n"
				   "table t { a\n  b = = c\n d }\n"
				   "hostname \"a\n"
				   "action y mbox\n"
				   "match action y\n"
				   "match for domain <t> reject\n"
				   "lisen on lo";
	static const unsigned int lines[] = {1, 3, 5, 6, 9};
	struct conf_errors errors;
	size_t i;

	(void)state;
	assert_null(conf_parse_text("t", text, sizeof(text) - 1, &errors));
	assert_int_equal(errors.n, NITEMS(lines));
	for (i = 0; i < NITEMS(lines); i++)
		assert_int_equal(errors.list[i].line, lines[i]);
	conf_errors_free(&errors);
}

static void
test_many_faults(void **state)
{
	struct conf_errors errors;
	char text[2 * 200 + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i += 2)
		memcpy(text + i, "x\n", 2);
	assert_null(conf_parse_text("t", text, sizeof(text) - 1, &errors));
	assert_int_equal(errors.n, CONF_ERRORS_MAX);
	assert_int_equal(errors.more, 200 - CONF_ERRORS_MAX);
	conf_errors_free(&errors);
}

static void
test_nul(void **state)
{
	static const char text[] = "hostname a.b\nque\0ue ttl 1d\n";
	struct conf_errors errors;

	(void)state;
	assert_null(conf_parse_text("t", text, sizeof(text) - 1, &errors));
	assert_int_equal(errors.n, 2); /* "que" is no keyword either */
	assert_string_equal(errors.list[1].text, "NUL byte");
	assert_int_equal(errors.list[1].line, 2);
	assert_int_equal(errors.list[1].column, 4);
	conf_errors_free(&errors);
}

static void
check_print(const char *text, const char *want)
{
	struct conf_errors errors;
	struct buf out;

	buf_init(&out, 4096);
	assert_null(conf_parse_text("x.conf", text, strlen(text), &errors));
	conf_error_print(&errors.list[0], &out);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((const char *)buf_head(&out), want);
	buf_free(&out);
	conf_errors_free(&errors);
}

static void
test_print(void **state)
{
	char line[1024] = "hostname a.b   ", *want;

	(void)state;
	check_print("\n\tqueue  tll 5d # \x1b", "x.conf:2:9: unknown setting 'tll', did you mean "
						"'ttl'?\n queue  tll 5d # \\x1b\n        ^\n");
	/* Of a long line, the part in question. */
	memset(line + 15, ' ', 500);
	memcpy(line + 515, "oops", 5);
	assert_int_not_equal(asprintf(&want,
				 "x.conf:1:516: expected the end of the line, found "
				 "'oops'\n%80soops\n%80s^\n",
				 "", ""),
	    -1);
	check_print(line, want);
	free(want);
}

/* -- limits ------------------------------------------------------------------- */

/* n times piece between head and tail; the first error, or NULL when accepted. */
static void
check_repeated(const char *head, const char *piece, size_t n, const char *tail, const char *want)
{
	size_t len = strlen(head) + n * strlen(piece) + strlen(tail), i;
	char *text = malloc(len + 1), *p = text;
	struct conf_errors errors;
	struct conf *c;

	assert_non_null(text);
	p = stpcpy(p, head);
	for (i = 0; i < n; i++)
		p = stpcpy(p, piece);
	(void)stpcpy(p, tail);
	c = conf_parse_text("t", text, len, &errors);
	if (want == NULL && c == NULL)
		print_errors(&errors);
	assert_int_equal(c == NULL, want != NULL);
	if (want != NULL)
		assert_string_equal(errors.list[0].text, want);
	conf_free(c);
	conf_errors_free(&errors);
	free(text);
}

static void
test_limits(void **state)
{
	(void)state;
	check_repeated("table t { \"", "a", CONF_STRING_MAX, "\" }", NULL);
	check_repeated(
	    "table t { \"", "a", CONF_STRING_MAX + 1, "\" }", "string longer than 1024 octets");
	check_repeated(
	    "table t { ", "a", CONF_STRING_MAX + 1, " }", "word longer than 1024 octets");
	check_repeated("table ", "t", CONF_NAME_MAX, " {a}", NULL);
	check_repeated("hostname a.b #", "x", 65536, "", "line longer than 65536 octets");
	check_repeated("table t {", "a\n", 65536, "}", NULL);
	check_repeated("table t {", "a\n", 65537, "}", "too many of these: at most 65536");
	check_repeated("", "listen on a\n", 257, "", "too many of these: at most 256");
	check_repeated("", "match reject\n", 4097, "", "too many of these: at most 4096");
	check_repeated("", "match from src ::1 reject\n", 4096, "", NULL);
	check_repeated("", "#\n", CONF_TEXT_MAX / 2, "", NULL);
	check_repeated(
	    "", "#\n", CONF_TEXT_MAX / 2, "#", "more than 4194304 octets of configuration");
}

/* -- include ------------------------------------------------------------------ */

static void
check_include(const struct file *files, const char *file, unsigned int line, const char *want)
{
	struct conf_errors errors;
	struct conf *c = conf_parse(files[0].path, read_files, (void *)(uintptr_t)files, &errors);

	if (want == NULL) {
		if (c == NULL)
			print_errors(&errors);
		assert_non_null(c);
	} else {
		assert_null(c);
		assert_string_equal(errors.list[0].text, want);
		assert_string_equal(errors.list[0].file, file);
		assert_int_equal(errors.list[0].line, line);
	}
	conf_free(c);
	conf_errors_free(&errors);
}

static void
test_include(void **state)
{
	static const struct file good[] = {{"/etc/p/main",
					       "include \"sub/a\"\ninclude \"/b\"\nhostname $x.y"},
	    {"/etc/p/sub/a", "x = a"}, {"/b", ""}, {NULL, NULL}},
				 missing[] = {{"m", "\ninclude nope\n"}, {NULL, NULL}},
				 loop[] = {{"m", "include a"}, {"a", "\ninclude m"}, {NULL, NULL}},
				 inner[] = {{"m", "include a\noops"}, {"a", "\n\nqueue ttl 5y"},
				     {NULL, NULL}},
				 after[] = {{"m", "include a b"}, {"a", ""}, {NULL, NULL}},
				 open[] = {{"m", "include a\n}"}, {"a", "table t { a"},
				     {NULL, NULL}},
				 none[] = {{NULL, NULL}};
	struct conf_errors errors;

	(void)state;
	check_include(good, NULL, 0, NULL);
	check_include(missing, "m", 2, "'nope': No such file or directory");
	check_include(loop, "a", 2, "'m' includes itself");
	check_include(inner, "a", 3, "'5y' is not a duration such as 5m, from 1s to 365d");
	check_include(after, "m", 1, "expected the end of the line, found 'b'");
	check_include(open, "a", 1, "'{' without a '}' in this file");
	assert_null(conf_parse("gone", read_files, (void *)(uintptr_t)none, &errors));
	assert_string_equal(errors.list[0].text, "No such file or directory");
	conf_errors_free(&errors);
}

/* Every file includes two others: the number of files is bounded, not only the depth. */
static int
read_tree(void *arg, const char *path, struct buf *out)
{
	unsigned int *n = arg;

	(void)path;
	*n += 2;
	return buf_printf(out, "include \"f%u\"\ninclude \"f%u\"\n", *n, *n + 1);
}

static void
test_include_tree(void **state)
{
	struct conf_errors errors;
	unsigned int n = 0;

	(void)state;
	assert_null(conf_parse("m", read_tree, &n, &errors));
	assert_string_equal(errors.list[0].text, "includes nested more than 16 deep");
	assert_true(n < 2000);
	conf_errors_free(&errors);
}

/* -- dump --------------------------------------------------------------------- */

static void
test_dump(void **state)
{
	struct conf *c = parse_good(everything), *again;
	char *first = dump(c, CONF_FOR_ALL), *second;

	(void)state;
	again = parse_good(first);
	second = dump(again, CONF_FOR_ALL);
	assert_string_equal(first, second);
	assert_int_equal(again->nrules, c->nrules);
	assert_int_equal(again->rules[2].line, c->rules[2].line);
	assert_int_equal(again->ntables, c->ntables);
	assert_string_equal(conf_action_find(again, "local")->target, "~/x y\"\\ ");
	free(first);
	free(second);
	conf_free(c);
	conf_free(again);
}

static const struct {
	unsigned int role;
	const char *has[4], *lacks[7];
} slices[] = {
    {CONF_FOR_SESSION, {"hostname", "smtp max", "listen on", "table \"creds\" elsewhere"},
	{"action", "match", "virt", "$6$", "queue", "control", "k.pem"}},
    {CONF_FOR_QUEUE, {"queue ttl", "bounce", "action \"local\" maildir\n", "hostname"},
	{"listen", "match", "table", "user", "control", "pki"}},
    {CONF_FOR_LOOKUP, {"match", "alias <\"aliases\">", "demo@example.org", "resolver"},
	{"$6$", "queue", "control", "pki", "k.pem"}},
    {CONF_FOR_DELIVERY, {"mta ", "smtp://[::1]", "~/x y", "trust ca"},
	{"listen", "match", "$6$", "aliases", "queue ttl", "control", "pki"}},
    {CONF_FOR_CONTROL, {"control socket"}, {"listen", "match", "table", "queue", "pki", "action"}},
    {CONF_FOR_VAULT, {"$6$", "k.pem", "tls-require pki", "auth <\"creds\">"},
	{"tag", "match", "virt", "queue", "action", "control", "hostname"}},
    {CONF_FOR_HASHER, {""}, {"listen", "match", "table", "queue", "action", "control", "pki"}},
    {CONF_FOR_TABLE, {""}, {"listen", "match", "table", "queue", "action", "control", "pki"}},
    {CONF_FOR_FETCH, {""}, {"listen", "match", "table", "queue", "action", "control", "pki"}},
};

static void
test_slices(void **state)
{
	struct conf *c = parse_good(everything);
	size_t i, j;

	(void)state;
	for (i = 0; i < NITEMS(slices); i++) {
		char *text = dump(c, slices[i].role);

		for (j = 0; j < NITEMS(slices[i].has) && slices[i].has[j] != NULL; j++)
			if (strstr(text, slices[i].has[j]) == NULL)
				fail_msg("role %u lacks %s", slices[i].role, slices[i].has[j]);
		for (j = 0; j < NITEMS(slices[i].lacks) && slices[i].lacks[j] != NULL; j++)
			if (strstr(text, slices[i].lacks[j]) != NULL)
				fail_msg("role %u has %s", slices[i].role, slices[i].lacks[j]);
		/* It is a configuration by itself. */
		conf_free(parse_good(text));
		free(text);
	}
	conf_free(c);
}

/* A buffer that is too small is an error, wherever the text is cut. */
static void
test_dump_full(void **state)
{
	struct conf *c = parse_good(everything);
	char *whole = dump(c, CONF_FOR_ALL);
	struct buf out;
	size_t size;

	(void)state;
	for (size = 0; size < strlen(whole); size += 7) {
		buf_init(&out, size);
		assert_int_equal(conf_dump(c, CONF_FOR_ALL, &out), -1);
		buf_free(&out);
	}
	free(whole);
	conf_free(c);
}

/* -- tables of words ---------------------------------------------------------- */

static void
test_keywords(void **state)
{
	static const char *const words[] = {"action", "wrapper", "tls", "mda", "limit", "smtp-out"};
	size_t i;

	(void)state;
	/* First, last and between: the table is in order. */
	for (i = 0; i < NITEMS(words); i++)
		assert_true(keyword_is_reserved(words[i]));
	assert_false(keyword_is_reserved("directory"));
	assert_false(keyword_is_reserved("elsewhere"));
	assert_false(keyword_is_reserved(""));
}

/* -- amounts ------------------------------------------------------------------ */

static void
test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
		const char *again;
	} bytes[] = {{"0", 0, "0"}, {"1", 1, "1"}, {"1024", 1024, "1K"}, {"35m", 35 << 20, "35M"},
	    {"1025K", 1025 << 10, "1025K"},
	    {"18446744073709551615", UINT64_MAX, "18446744073709551615"},
	    {"16777215T", 16777215ULL << 40, "16777215T"}};
	static const char *const bad[] = {"", "K", "-1", "1KB", "1 K", "0x1", "1.5K", "+1", "1s"};
	static const char *const large[] = {"18446744073709551616", "16777216T"};
	char text[SIZE_TEXT_MAX];
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(bytes); i++) {
		assert_int_equal(size_parse_bytes(bytes[i].text, &v), 0);
		assert_true(v == bytes[i].value);
		size_format_bytes(text, v);
		assert_string_equal(text, bytes[i].again);
	}
	for (i = 0; i < NITEMS(bad); i++) {
		errno = 0;
		assert_int_equal(size_parse_bytes(bad[i], &v), -1);
		assert_int_equal(errno, EINVAL);
	}
	for (i = 0; i < NITEMS(large); i++) {
		assert_int_equal(size_parse_bytes(large[i], &v), -1);
		assert_int_equal(errno, ERANGE);
	}
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
		const char *again;
	} cases[] = {{"0", 0, "0s"}, {"90", 90, "90s"}, {"60s", 60, "1m"}, {"4D", 345600, "4d"},
	    {"7d", 604800, "1w"}, {"36h", 129600, "36h"}, {"2w", 1209600, "2w"},
	    {"9223372036854775807", INT64_MAX, "9223372036854775807s"}};
	char text[SIZE_TEXT_MAX];
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(size_parse_duration(cases[i].text, &v), 0);
		assert_true(v == cases[i].value);
		size_format_duration(text, v);
		assert_string_equal(text, cases[i].again);
	}
	assert_int_equal(size_parse_duration("1K", &v), -1);
	assert_int_equal(size_parse_duration("9223372036854775808", &v), -1);
	assert_int_equal(size_parse_duration("9223372036854775807m", &v), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_actions),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_all_faults),
	    cmocka_unit_test(test_many_faults),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_print),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_include),
	    cmocka_unit_test(test_include_tree),
	    cmocka_unit_test(test_dump),
	    cmocka_unit_test(test_slices),
	    cmocka_unit_test(test_dump_full),
	    cmocka_unit_test(test_keywords),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

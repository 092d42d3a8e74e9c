/* SPDX-License-Identifier: ISC */
/* Relays in smtpd.conf: their URLs, tables and credentials, "mta limit" and "oauth". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/check_url.h"
#include "lib/conf/conf.h"
#include "lib/mail/relay_url.h"
#include "tests/unit/conf_fixture.h"

/* -- URLs: two parsers of one mind ------------------------------------------- */

#define LABEL_64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"

static const struct {
	const char *text;
	struct relay_url is; /* host "": it is none */
} urls[] = {
    {"mx.example.org", {RELAY_TLS_MAY, "", "mx.example.org", 25, false}},
    {"mx.example.org:2525", {RELAY_TLS_MAY, "", "mx.example.org", 2525, false}},
    {"192.0.2.1", {RELAY_TLS_MAY, "", "192.0.2.1", 25, false}},
    {"smtp://[2001:db8::1]:587", {RELAY_TLS_MAY, "", "2001:db8::1", 587, false}},
    {"SMTP+TLS://mx", {RELAY_TLS_MUST, "", "mx", 25, false}},
    {"smtp+notls://mx", {RELAY_TLS_NEVER, "", "mx", 25, false}},
    {"smtps://mx", {RELAY_TLS_FIRST, "", "mx", 465, false}},
    {"smtps://l@mx:1", {RELAY_TLS_FIRST, "l", "mx", 1, false}},
    {"smtp://l@mx", {RELAY_TLS_MUST, "l", "mx", 25, false}},
    {"l@mx", {RELAY_TLS_MUST, "l", "mx", 25, false}},
    {"smtp+tls://anna@example.org@mx:587", {RELAY_TLS_MUST, "anna@example.org", "mx", 587, false}},
    {LABEL_64 "@mx", {RELAY_TLS_MUST, LABEL_64, "mx", 25, false}},
    {"lmtp://mx:24", {RELAY_TLS_MAY, "", "mx", 24, true}},
    {"lmtp://l@mx:24", {RELAY_TLS_MUST, "l", "mx", 24, true}},
    {"lmtp+tls://[::1]:24", {RELAY_TLS_MUST, "", "::1", 24, true}},
    {.text = ""},
    {.text = "smtp://"},
    {.text = "http://mx"},
    {.text = "smtp+tsl://mx"},
    {.text = "lmtp://mx"},
    {.text = "lmtp+tls://l@mx"},
    {.text = "mx:"},
    {.text = "mx:0"},
    {.text = "mx:65536"},
    {.text = "mx:25:25"},
    {.text = "[2001:db8::1"},
    {.text = "[2001:db8::1]25"},
    {.text = "[mx]"},
    {.text = "2001:db8::1"},
    {.text = "@mx"},
    {.text = "l@"},
    {.text = "l /@mx"},
    {.text = "l\"@mx"},
    {.text = "l,m@mx"},
    {.text = LABEL_64 "m@mx"},
    {.text = "mx/"},
    {.text = "a b"},
    {.text = "-a.example"},
};

static void
test_urls(void **state)
{
	struct relay_url url;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(urls); i++) {
		const struct relay_url *is = &urls[i].is;
		bool good = *is->host != '\0';

		if ((relay_url_parse(urls[i].text, &url) == 0) != good)
			fail_msg("relay_url_parse: %s", urls[i].text);
		if (check_relay_url(urls[i].text) != good)
			fail_msg("check_relay_url: %s", urls[i].text);
		if (!good)
			continue;
		assert_int_equal(url.tls, is->tls);
		assert_string_equal(url.label, is->label);
		assert_string_equal(url.host, is->host);
		assert_int_equal(url.port, is->port);
		assert_int_equal(url.lmtp, is->lmtp);
	}
	/* The parser of smtpd.conf has more to say of it. */
	assert_int_equal(relay_url_parse("smtp+notls://l@mx", &url), -1);
	assert_true(check_relay_url("smtp+notls://l@mx"));
}

/* -- what is taken: as it is dumped, and so again ----------------------------- */

#define GMAIL "oauth gmail provider google user a@gmail.example client-id id client-secret s3\n"

static const struct {
	const char *text, *dumped;
} cases[] = {
    {"action a relay host { smtp://one, smtp://two:2525 }", " host <\"dynamic:1\">\n"},
    {"action a relay host <m> tls", " host <\"m\"> tls\n"},
    {"action a relay host <l>", " host <\"l\">\n"},
    {"action a relay host { \"@a.example\" = \"smtp://one, smtp://two\", \"*\" = three }",
	" = \"smtp://one, smtp://two\"\n"},
    {"action a relay host smtp+tls://l@h:587 auth <s>",
	" host \"smtp+tls://l@h:587\" auth <\"s\">\n"},
    {"action a relay host smtps://gmail@h", " host \"smtps://gmail@h\"\n"},
    {"action a relay domain { b.example = gmail@h }", " domain <\"dynamic:1\">\n"},
    {"action a relay domain <m> tls no-verify", " domain <\"m\"> tls no-verify\n"},
    {"action a relay host lmtp://h:24", " host \"lmtp://h:24\"\n"},
    {"action a relay src 192.0.2.1", " src <\"dynamic:1\">\n"},
    {"action a relay src { 192.0.2.1, 2001:db8::1 } helo-src <n>",
	" helo-src <\"n\"> src <\"dynamic:1\">\n"},
    {"action a relay src { \"@a.example\" = \"192.0.2.1,192.0.2.2\" }", " src <\"dynamic:1\">\n"},
    {"action a relay src 192.0.2.1 helo h helo-src <n>",
	" helo \"h\" helo-src <\"n\"> src <\"dynamic:1\">\n"},
    {"action a relay backup", " backup\n"},
    {"action a relay backup mx b.example", " backup mx \"b.example\"\n"},
    {"action a relay host h ca c", " host \"h\" ca \"c\"\n"},
    {"action a relay proxy socks5://192.0.2.1:1080", " proxy \"socks5://192.0.2.1:1080\"\n"},
    {"action a relay proxy \"socks5://[::1]:1080\"", " proxy \"socks5://[::1]:1080\"\n"},
    {"action a lmtp /run/x rcpt-to", "action \"a\" lmtp \"/run/x\" rcpt-to\n"},
    {"action a lmtp \"[::1]:24\" alias <m>", "action \"a\" lmtp \"[::1]:24\" alias <\"m\">\n"},
    {"action a lmtp localhost:24 virtual <m> user u",
	"action \"a\" lmtp \"localhost:24\" virtual <\"m\"> user \"u\"\n"},
    {"mta limit max-conn-per-host 3 conn-delay-route 5 session-keepalive 1m",
	"mta limit max-conn-per-host 3 conn-delay-route 5s session-keepalive 1m\n"},
    {"mta limit for domain Example.ORG session-mail-max 10 max-rate-per-domain 60",
	"mta limit for domain \"example.org\" max-rate-per-domain 60 session-mail-max 10\n"},
    {"mta limit for domain \"*.example.org\" max-conn-per-domain 1",
	"mta limit for domain \"*.example.org\" max-conn-per-domain 1\n"},
    {"mta limit for source 2001:DB8:0::1 max-conn-per-source 5",
	"mta limit for source \"2001:db8::1\" max-conn-per-source 5\n"},
    {"mta limit for mx google.com max-conn-per-mx 20",
	"mta limit for mx \"google.com\" max-conn-per-mx 20\n"},
    {"mta limit for source 192.0.2.1 max-conn-per-source 5 session-transaction-delay 0",
	"mta limit for source \"192.0.2.1\" max-conn-per-source 5 session-transaction-delay 0s\n"},
    {"", "oauth \"gmail\" provider google grant code user \"a@gmail.example\" client-id \"id\" "
	 "client-secret elsewhere scope \"https://mail.google.com/\" auth-url "
	 "\"https://accounts.google.com/o/oauth2/v2/auth\" token-url "
	 "\"https://oauth2.googleapis.com/token\"\n"},
    {"oauth o365 provider microsoft user a@b client-id id",
	"grant device user \"a@b\" client-id \"id\" scope "
	"\"https://outlook.office.com/SMTP.Send offline_access\" device-url "
	"\"https://login.microsoftonline.com/common/oauth2/v2.0/devicecode\" token-url "
	"\"https://login.microsoftonline.com/common/oauth2/v2.0/token\"\n"},
    {"oauth o provider microsoft tenant t.example grant client user a@b client-id id "
     "client-secret s",
	"scope \"https://outlook.office365.com/.default\" token-url "
	"\"https://login.microsoftonline.com/t.example/oauth2/v2.0/token\"\n"},
    {"oauth o provider google grant jwt user a@b client-id id key /k key-id 7",
	"scope \"https://mail.google.com/\" token-url \"https://oauth2.googleapis.com/token\" key "
	"\"/k\" key-id \"7\" audience \"https://oauth2.googleapis.com/token\"\n"},
    {"oauth o provider microsoft tenant t grant jwt user a@b client-id id key /k",
	"grant jwt user \"a@b\" tenant \"t\" client-id \"id\" scope "
	"\"https://outlook.office365.com/.default\" token-url "
	"\"https://login.microsoftonline.com/t/oauth2/v2.0/token\" key \"/k\"\n"},
    {"oauth a@b.example grant device user a@b client-id i device-url https://h:8443/d token-url "
     "\"https://[::1]/t?x=1\" scope \"a b\"",
	"oauth \"a@b.example\" provider other grant device user \"a@b\" client-id \"i\" scope \"a "
	"b\" device-url \"https://h:8443/d\" token-url \"https://[::1]/t?x=1\"\n"},
};

static const char tables[] = "\ntable m { k = v }\ntable n { 192.0.2.1 = mx.example }\n"
			     "table s { l = \"u:p\" }\ntable l { x.example }\nca c cert /a\n" GMAIL;

static struct conf *
parse(const char *text, struct conf_errors *errors)
{
	return conf_parse_text("t", text, strlen(text), errors);
}

static void
check_case(const char *text, const char *dumped)
{
	struct conf_errors errors;
	struct conf *c = parse(text, &errors), *again;
	char *first, *second, *part;
	unsigned int role;

	if (c == NULL)
		fail_msg("%s: %s", text, errors.list[0].text);
	first = dump(c, CONF_FOR_ALL);
	if (strstr(first, dumped) == NULL)
		fail_msg("%s: %s", text, first);
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		part = dump(c, role);
		if ((again = parse(part, &errors)) == NULL)
			fail_msg(
			    "role %u: %s: %s", role, errors.list[0].text, errors.list[0].source);
		second = dump(again, role);
		assert_string_equal(part, second);
		free(part);
		free(second);
		conf_free(again);
	}
	free(first);
	conf_free(c);
}

static void
test_cases(void **state)
{
	char text[2048];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", cases[i].text, tables);
		check_case(text, cases[i].dumped);
	}
}

/* -- what is refused ---------------------------------------------------------- */

static const struct {
	const char *text, *error; /* the first of them */
} faults[] = {
    /* how a host is reached */
    {"action a relay mx b", "'mx' comes right after 'backup'"},
    {"action a relay tls helo h no-verify", "'no-verify' comes right after 'tls'"},
    {"action a relay auth <s>", "'auth' needs 'host' or 'domain'"},
    {"action a relay host h auth <s>",
	"'auth' needs a label in 'host', as in smtp+tls://label@mx.example.org"},
    {"action a relay backup host h", "'backup' excludes 'host' and 'domain'"},
    {"action a relay backup host <l>", "'backup' excludes 'host' and 'domain'"},
    {"action a relay host h domain <m>", "'host' and 'domain' exclude each other"},
    {"action a relay host h host i", "'host' was given before"},
    {"action a relay host smtp+notls://h tls",
	"'tls', 'fingerprint' and 'ca' contradict smtp+notls"},
    {"action a relay host h tls no-verify ca c",
	"'fingerprint' and 'ca' contradict 'tls no-verify'"},
    {"action a relay ca d", "undefined ca 'd'"},
    {"action a relay fingerprint \"SHA256:00\"",
	"'SHA256:00' is not SHA256: or SPKI: and 64 hexadecimal digits"},
    {"action a relay proxy socks5://proxy.example:1080",
	"'socks5://proxy.example:1080' is not a proxy such as socks5://192.0.2.1:1080"},
    {"action a relay proxy socks5://192.0.2.1",
	"'socks5://192.0.2.1' is not a proxy such as socks5://192.0.2.1:1080"},
    {"action a lmtp h", "'h' is not the path of a socket, or host:port"},
    {"action a maildir rcpt-to", "this kind of action has no 'rcpt-to'"},
    /* credentials */
    {"action a relay host smtp+notls://l@h auth <s>", "'auth' needs TLS: not smtp+notls"},
    {"action a relay host smtp+notls://gmail@h", "'auth' needs TLS: not smtp+notls"},
    {"action a relay host smtp+tls://l@h auth <s> tls no-verify",
	"a password is for a server that was verified: not 'tls no-verify'"},
    {"action a relay host smtp+tls://gmail@h tls no-verify",
	"a password is for a server that was verified: not 'tls no-verify'"},
    {"action a relay host gmial@h", "a label in 'host' needs 'auth', or an 'oauth': there is no "
				    "'gmial', did you mean 'gmail'?"},
    {"action a relay host { one, gmial@h }", "a label in a host's URL needs 'auth', or an 'oauth': "
					     "there is no 'gmial', did you mean 'gmail'?"},
    {"action a relay domain { a.example = smtp+notls://gmail@h }",
	"a label needs TLS: not 'smtp+notls://gmail@h'"},
    {"action a relay host { gmail@h } tls no-verify",
	"a label in 'gmail@h' is for a server that was verified: not 'tls no-verify'"},
    {"action a relay host { smtp+notls://h } tls", "'tls' contradicts 'smtp+notls://h'"},
    {"action a relay host l@h auth <s>\nmatch for domain <s> reject",
	"'s' has passwords or tokens, and can't be used for anything else"},
    /* tables */
    {"action a relay host { one, \"tw o\" }",
	"'tw o' is not a host such as smtp://mx.example.org:25"},
    {"action a relay host { a = \"one,,two\" }",
	"'one,,two' is not hosts such as smtp://mx.example.org:25, by commas"},
    {"action a relay domain <l>", "pairs of key and value are needed here"},
    {"action a relay domain m", "expected a mapping as <table>, found 'm'"},
    {"action a relay src host1", "'host1' is not an address"},
    {"action a relay src { a = \"192.0.2.1,host1\" }",
	"'192.0.2.1,host1' is not addresses, by commas"},
    {"action a relay helo-src <n>", "'helo-src' needs 'src'"},
    {"action a relay src 192.0.2.1 helo-src { host1 = h }", "'host1' is not an address"},
    {"action a relay src 192.0.2.1 helo-src { 192.0.2.1 = \"a b\" }", "'a b' is not a host name"},
    /* limits */
    {"mta limit", "expected a limit at the end of the line"},
    {"mta limit max-con-per-host 3",
	"unknown limit 'max-con-per-host', did you mean 'max-conn-per-host'?"},
    {"mta limit max-conn-per-host", "expected a number from 1 to 10000 at the end of the line"},
    {"mta limit max-conn-per-host 0", "'0' is not a number from 1 to 10000"},
    {"mta limit max-conn-per-host 1 max-conn-per-host 2", "'max-conn-per-host' was given before"},
    {"mta limit conn-delay-host 2x", "'2x' is not a duration such as 2s, from 0s to 1d"},
    {"mta limit for dmain a.example", "unknown subject of a limit 'dmain', did you mean 'domain'?"},
    {"mta limit for domain a.example", "expected a limit at the end of the line"},
    {"mta limit for domain \"a b\" max-conn-per-mx 1",
	"'a b' is not a domain such as example.org or *.example.org"},
    {"mta limit for source host1 max-conn-per-mx 1", "'host1' is not an address"},
    {"mta limit inet4", "'mta limit inet4' is not supported by this release: see 'mta "
			"address-family'"},
    {"mta limit max-failures-per-session 3",
	"'mta limit max-failures-per-session' is not supported by this release: any failure of a "
	"connection ends it"},
    /* oauth */
    {"oauth gmail user a@b client-id i", "oauth 'gmail' is defined twice"},
    {"oauth .a", "'.a' is not a label of letters, digits and ._@+-"},
    {"oauth a/b", "'a/b' is not a label of letters, digits and ._@+-"},
    {"oauth a elsewere", "unknown option 'elsewere'"},
    {"oauth a provider gogle", "unknown provider 'gogle', did you mean 'google'?"},
    {"oauth a grant devise", "unknown grant 'devise', did you mean 'device'?"},
    {"oauth a provider google client-id i", "'oauth' needs 'user': the mailbox that it sends as"},
    {"oauth a provider google user a client-id i", "'a' is not a mail address"},
    {"oauth a provider google user a@b",
	"'oauth' needs 'client-id': what the provider calls this server"},
    {"oauth a user a@b client-id i", "without a known 'provider', 'oauth' needs 'token-url'"},
    {"oauth a user a@b client-id i token-url https://h/",
	"without a known 'provider', 'grant code' needs 'auth-url'"},
    {"oauth a user a@b client-id i token-url https://h/ grant device",
	"without a known 'provider', 'grant device' needs 'device-url'"},
    {"oauth a token-url http://h/", "'http://h/' is not a URL that begins with https://"},
    {"oauth a token-url https://u@h/", "'https://u@h/' is not a URL that begins with https://"},
    {"oauth a provider google grant device user a@b client-id i",
	"google's devices may not send mail: take 'grant code'"},
    {"oauth a provider google tenant t user a@b client-id i", "'tenant' is microsoft's"},
    {"oauth a provider google key /k user a@b client-id i",
	"'key', 'key-id' and 'audience' are for 'grant jwt'"},
    {"oauth a provider google grant jwt user a@b client-id i", "'grant jwt' needs 'key'"},
    {"oauth a provider microsoft grant client user a@b client-id i client-secret s",
	"a service account of microsoft needs 'tenant'"},
    {"oauth a provider microsoft grant jwt user a@b client-id i key /k",
	"a service account of microsoft needs 'tenant'"},
    {"oauth a provider google grant client user a@b client-id i client-secret s",
	"google's service accounts have keys: take 'grant jwt'"},
    {"oauth a provider microsoft grant client user a@b client-id i tenant t",
	"'grant client' needs 'client-secret'"},
};

static void
test_faults(void **state)
{
	struct conf_errors errors;
	char text[2048];
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(faults); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", faults[i].text, tables);
		if (strncmp(faults[i].text, "oauth gmail", 11) == 0) /* the second is the one */
			(void)snprintf(text, sizeof(text), "%s%s", tables, faults[i].text);
		if (parse(text, &errors) != NULL)
			fail_msg("accepted: %s", faults[i].text);
		if (strcmp(errors.list[0].text, faults[i].error) != 0)
			fail_msg("%s:\n%s", faults[i].text, errors.list[0].text);
		conf_errors_free(&errors);
	}
}

/* A secret that is wrong is not told to who reads the log. */
static void
test_secret_is_not_shown(void **state)
{
	struct conf_errors errors;

	(void)state;
	assert_null(parse("oauth a client-secret \"S3CR\x01T\"", &errors));
	assert_null(strstr(errors.list[0].text, "S3CR"));
	conf_errors_free(&errors);
}

/* -- values ------------------------------------------------------------------- */

static void
test_limit_values(void **state)
{
	static const char text[] = "mta limit for mx G.example conn-delay-mx 2 max-rate-per-mx 60\n"
				   "mta limit max-conn-per-route 7 session-keepalive 0\n";
	struct conf_errors errors;
	struct conf *c = parse(text, &errors);
	const struct conf_limit *l;

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->nlimits, 2);
	l = &c->limits[0];
	assert_int_equal(l->of, CONF_SCOPE_MX);
	assert_string_equal(l->name, "g.example");
	assert_int_equal(l->delay_ms[CONF_SCOPE_MX], 2000);
	assert_int_equal(l->rate[CONF_SCOPE_MX], 60);
	assert_int_equal(l->connections[CONF_SCOPE_MX], CONF_LIMIT_UNSET);
	assert_int_equal(l->session_mails, CONF_LIMIT_UNSET);
	l = &c->limits[1];
	assert_null(l->name);
	assert_int_equal(l->connections[CONF_SCOPE_ROUTE], 7);
	assert_int_equal(l->session_idle_ms, 0);
	assert_int_equal(l->rate[CONF_SCOPE_MX], CONF_LIMIT_UNSET);
	conf_free(c);
}

/* Several fingerprints, of both kinds. */
static void
test_fingerprints(void **state)
{
	static const char digits[] =
	    "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
	char text[512], pins[256];
	struct conf_errors errors;
	struct conf *c;

	(void)state;
	(void)snprintf(pins, sizeof(pins), "SHA256:%s,SPKI:%s", digits, digits);
	(void)snprintf(text, sizeof(text), "action a relay host h fingerprint \"%s\"\n", pins);
	assert_non_null(c = parse(text, &errors));
	assert_string_equal(conf_action_find(c, "a")->fingerprint, pins);
	conf_free(c);
	assert_false(check_fingerprints("SHA256:0123,"));
	(void)snprintf(pins, sizeof(pins), "SHA256:%s,", digits);
	assert_false(check_fingerprints(pins));
	(void)snprintf(pins, sizeof(pins), "SHA1:%s", digits);
	assert_false(check_fingerprints(pins));
	(void)snprintf(pins, sizeof(pins), "SPKI:%s0", digits);
	assert_false(check_fingerprints(pins));
}

/* -- who is told what --------------------------------------------------------- */

static const char secrets[] =
    "action a relay host smtp+tls://lab@smart.example auth { lab = \"u:SECRET-1\" }\n"
    "action b relay host smtps://g@google.example src { 192.0.2.77 } proxy socks5://192.0.2.9:1\n"
    "action c relay host { \"@s.example\" = \"smtp://hop.example\" }\n"
    "action d relay src 192.0.2.78 helo-src { 192.0.2.77 = named.example }\n"
    "oauth g provider google user who@gmail.example client-id CLIENT-2 client-secret SECRET-3\n"
    "oauth j provider google grant jwt user j@x client-id i key /path-4\n"
    "mta limit for domain limited.example max-conn-per-host 3\n"
    "mta remember-tls enforce\nvault directory /dir-5\nvault key /key-6\n"
    "match action a\n";

#define P CONF_FOR_PARENT
#define Q CONF_FOR_QUEUE
#define L CONF_FOR_LOOKUP
#define D CONF_FOR_DELIVERY
#define V CONF_FOR_VAULT
#define F CONF_FOR_FETCH

static const struct {
	const char *what;
	unsigned int roles; /* that find it in their part, and no other does */
} known[] = {
    {"lab\" = ", P | V},
    {"SECRET-1", V}, /* people who look at the whole see neither */
    {"SECRET-3", V},
    {"CLIENT-2", P | V},
    {"who@gmail.example", P | V},
    {"/path-4", P},
    {"/dir-5", P},
    {"/key-6", P},
    {"smart.example", P | L | D | V},
    {"google.example", P | L | D | V},
    {"hop.example", P | L},
    {"@s.example", P | L},
    {"192.0.2.77", P | L},
    {"named.example", P | L},
    {"socks5:", P | L | D},
    {"limited.example", P | D},
    {"remember-tls enforce", P | Q | D},
    {"oauth \"g\"", P | L | D | V | F},
    {"https://oauth2.googleapis.com/token", P | V | F},
    {"https://accounts.google.com/", P | V},
};

static void
test_known(void **state)
{
	struct conf_errors errors;
	struct conf *c = parse(secrets, &errors);
	unsigned int role;
	char *text;
	size_t i;

	(void)state;
	if (c == NULL)
		fail_msg("%s", errors.list[0].text);
	assert_true(conf_table_is_secret(c, "dynamic:1"));
	for (role = CONF_FOR_PARENT; role < CONF_FOR_ALL; role <<= 1) {
		text = dump(c, role);
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
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_secret_is_not_shown),
	    cmocka_unit_test(test_limit_values),
	    cmocka_unit_test(test_fingerprints),
	    cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

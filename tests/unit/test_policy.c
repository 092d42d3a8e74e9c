/* SPDX-License-Identifier: ISC */
/* Who demands which TLS, what comes of several demands, and what will do in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "delivery/policy.h"
#include "lib/base/bug.h"

static const uint8_t digest[32];
static const struct tls_record usable[] = {{3, 1, 1, digest, 32}, {0, 1, 1, digest, 32}};
static const struct tls_record unusable[] = {{0, 1, 1, digest, 32}, {1, 0, 1, digest, 32}};
static const struct tls_record pins[] = {{3, 0, 1, digest, 32}};

#define MAY	.url = RELAY_TLS_MAY
#define MX	.domain = "example.org", .host = "mx.example.org"
#define SMART	.domain = "", .host = "smart.example.net"
#define TLSA	.base = "mx.example.org", .records = usable, .nrecords = NITEMS(usable)
#define ODD	.base = "mx.example.org", .records = unusable, .nrecords = NITEMS(unusable)
#define PINS	.pins = pins, .npins = NITEMS(pins)
#define SECURE	.host_secure = true
#define BEST(l) .best = (l), .enforce = true

static const struct {
	struct policy_facts facts;
	const char *level, *why;
	enum relay_tls tls;
	enum tls_check check;
	const char *floor;
} rows[] = {
    /* nobody demands anything */
    {{MAY, MX}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER, "plain"},
    {{MAY, MX, SECURE}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER, "plain"},
    {{MAY, MX, .no_verify = true}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER,
	"plain"},
    {{.url = RELAY_TLS_NEVER, SMART}, "never", "url", RELAY_TLS_NEVER, TLS_CHECK_LATER, "plain"},
    /* the action */
    {{.url = RELAY_TLS_MUST, SMART}, "encrypt", "url", RELAY_TLS_MUST, TLS_CHECK_LATER,
	"encrypted"},
    {{.url = RELAY_TLS_FIRST, SMART}, "encrypt", "url", RELAY_TLS_FIRST, TLS_CHECK_LATER,
	"encrypted"},
    {{MAY, MX, .required = true}, "verify", "tls", RELAY_TLS_MUST, TLS_CHECK_NAMES, "verified"},
    {{MAY, MX, .required = true, .no_verify = true}, "encrypt", "tls", RELAY_TLS_MUST,
	TLS_CHECK_LATER, "encrypted"},
    {{.url = RELAY_TLS_FIRST, SMART, .required = true}, "verify", "tls", RELAY_TLS_FIRST,
	TLS_CHECK_NAMES, "verified"},
    {{MAY, SMART, PINS}, "pinned", "fingerprint", RELAY_TLS_MUST, TLS_CHECK_RECORDS, "verified"},
    {{MAY, SMART, PINS, .required = true}, "pinned", "fingerprint", RELAY_TLS_MUST,
	TLS_CHECK_RECORDS, "verified"},
    /* a credential is shown to no stranger, whatever the action says */
    {{MAY, SMART, .credential = true}, "verify", "auth", RELAY_TLS_MUST, TLS_CHECK_NAMES,
	"verified"},
    {{.url = RELAY_TLS_MUST, SMART, .credential = true, .required = true, .no_verify = true},
	"verify", "auth", RELAY_TLS_MUST, TLS_CHECK_NAMES, "verified"},
    {{.url = RELAY_TLS_FIRST, SMART, .credential = true, PINS}, "pinned", "fingerprint",
	RELAY_TLS_FIRST, TLS_CHECK_RECORDS, "verified"},
    {{.url = RELAY_TLS_MUST, SMART, .credential = true, ODD}, "verify", "auth", RELAY_TLS_MUST,
	TLS_CHECK_NAMES, "verified"},
    /* the message (RFC 8689 4.2.1) */
    {{MAY, MX, SECURE, .requires_tls = true}, "verify", "requiretls", RELAY_TLS_MUST,
	TLS_CHECK_NAMES, "verified"},
    {{MAY, SMART, .requires_tls = true}, "verify", "requiretls", RELAY_TLS_MUST, TLS_CHECK_NAMES,
	"verified"},
    {{MAY, SMART, .requires_tls = true, .required = true, .no_verify = true}, "verify",
	"requiretls", RELAY_TLS_MUST, TLS_CHECK_NAMES, "verified"},
    {{MAY, MX, SECURE, TLSA, .requires_tls = true}, "dane", "dane", RELAY_TLS_MUST,
	TLS_CHECK_RECORDS, "dane"},
    {{MAY, MX, SECURE, ODD, .requires_tls = true}, "verify", "requiretls", RELAY_TLS_MUST,
	TLS_CHECK_NAMES, "verified"},
    /* of two who demand the same, the first is told */
    {{MAY, SMART, .required = true, .credential = true, .requires_tls = true}, "verify", "tls",
	RELAY_TLS_MUST, TLS_CHECK_NAMES, "verified"},
    /* DANE */
    {{MAY, MX, SECURE, TLSA}, "dane", "dane", RELAY_TLS_MUST, TLS_CHECK_RECORDS, "dane"},
    {{MAY, MX, TLSA}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER, "plain"},
    {{MAY, MX, SECURE, ODD}, "encrypt", "dane-unusable", RELAY_TLS_MUST, TLS_CHECK_LATER,
	"encrypted"},
    {{MAY, MX, ODD}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER, "plain"},
    {{MAY, MX, SECURE, TLSA, .required = true, .no_verify = true}, "dane", "dane", RELAY_TLS_MUST,
	TLS_CHECK_RECORDS, "dane"},
    {{.url = RELAY_TLS_FIRST, SMART, TLSA, .credential = true}, "dane", "dane", RELAY_TLS_FIRST,
	TLS_CHECK_RECORDS, "dane"},
    {{MAY, SMART, TLSA}, "dane", "dane", RELAY_TLS_MUST, TLS_CHECK_RECORDS, "dane"},
    {{MAY, SMART, ODD}, "encrypt", "dane-unusable", RELAY_TLS_MUST, TLS_CHECK_LATER, "encrypted"},
    {{MAY, SMART, TLSA, PINS}, "pinned", "fingerprint", RELAY_TLS_MUST, TLS_CHECK_RECORDS,
	"verified"},
    {{.url = RELAY_TLS_NEVER, SMART, TLSA}, "never", "url", RELAY_TLS_NEVER, TLS_CHECK_LATER,
	"plain"},
    /* memory */
    {{MAY, MX, .best = IPC_TLS_DANE}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER,
	"plain"},
    {{MAY, MX, BEST(IPC_TLS_PLAIN)}, "opportunistic", "default", RELAY_TLS_MAY, TLS_CHECK_LATER,
	"plain"},
    {{MAY, MX, BEST(IPC_TLS_ENCRYPTED)}, "encrypt", "remembered", RELAY_TLS_MUST, TLS_CHECK_LATER,
	"encrypted"},
    {{MAY, MX, BEST(IPC_TLS_VERIFIED)}, "encrypt", "remembered", RELAY_TLS_MUST, TLS_CHECK_LATER,
	"verified"},
    {{MAY, MX, BEST(IPC_TLS_DANE)}, "encrypt", "remembered", RELAY_TLS_MUST, TLS_CHECK_LATER,
	"dane"},
    {{MAY, MX, .required = true, BEST(IPC_TLS_ENCRYPTED)}, "verify", "tls", RELAY_TLS_MUST,
	TLS_CHECK_NAMES, "verified"},
    {{MAY, MX, SECURE, TLSA, BEST(IPC_TLS_VERIFIED)}, "dane", "dane", RELAY_TLS_MUST,
	TLS_CHECK_RECORDS, "dane"},
    {{MAY, MX, PINS, BEST(IPC_TLS_DANE)}, "pinned", "fingerprint", RELAY_TLS_MUST,
	TLS_CHECK_RECORDS, "verified"},
    {{.url = RELAY_TLS_NEVER, SMART, BEST(IPC_TLS_DANE)}, "never", "url", RELAY_TLS_NEVER,
	TLS_CHECK_LATER, "plain"},
};

static void
test_levels(void **state)
{
	struct verdict why;
	struct policy p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		if (policy_make(&p, &rows[i].facts, &why) == -1)
			fail_msg("row %zu: %s", i, why.text);
		if (strcmp(policy_level_name(p.level), rows[i].level) != 0 ||
		    strcmp(p.why, rows[i].why) != 0 || p.tls != rows[i].tls ||
		    p.want.check != rows[i].check ||
		    strcmp(policy_tls_name(p.floor), rows[i].floor) != 0)
			fail_msg("row %zu: %s (%s), tls %d, check %d, floor %s", i,
			    policy_level_name(p.level), p.why, p.tls, p.want.check,
			    policy_tls_name(p.floor));
		/* in plain, after a handshake that failed, only where nobody demands anything */
		assert_int_equal(
		    p.plain_after_failure, p.floor == IPC_TLS_PLAIN && p.tls == RELAY_TLS_MAY);
		assert_ptr_equal(p.want.ca, rows[i].facts.ca);
	}
}

/* What contradicts itself is not sent in the hope that nobody minds. */
static void
test_impossible(void **state)
{
	static const struct {
		struct policy_facts facts;
		enum ipc_outcome outcome;
		const char *status;
	} cases[] = {
	    {{MAY, MX, .requires_tls = true}, IPC_FAIL, "5.7.30"},
	    {{MAY, MX, TLSA, .requires_tls = true}, IPC_FAIL, "5.7.30"},
	    {{MAY, MX, PINS, .requires_tls = true}, IPC_FAIL, "5.7.30"},
	    {{.url = RELAY_TLS_NEVER, SMART, .requires_tls = true}, IPC_FAIL, "5.7.10"},
	    {{.url = RELAY_TLS_NEVER, SMART, .credential = true}, IPC_RETRY, "4.7.11"},
	    {{.url = RELAY_TLS_NEVER, SMART, .required = true}, IPC_RETRY, "4.7.4"},
	    {{.url = RELAY_TLS_NEVER, SMART, PINS}, IPC_RETRY, "4.7.4"},
	};
	struct verdict why;
	struct policy p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (policy_make(&p, &cases[i].facts, &why) == 0)
			fail_msg("case %zu", i);
		assert_int_equal(why.outcome, cases[i].outcome);
		assert_string_equal(why.status, cases[i].status);
		assert_non_null(strstr(why.text, cases[i].facts.host));
	}
}

/* -- whom TLS is to be with -- */

static struct policy_facts
dane_facts(const char *base)
{
	return (struct policy_facts){
	    MAY, MX, SECURE, .base = base, .records = usable, .nrecords = NITEMS(usable)};
}

static void
test_names(void **state)
{
	struct policy_facts f = {MAY, MX, .required = true, .ca = "ours"};
	struct verdict why;
	struct policy p;

	(void)state;
	assert_int_equal(policy_make(&p, &f, &why), 0);
	assert_string_equal(p.want.host, "mx.example.org");
	assert_int_equal(p.want.nnames, 1);
	assert_string_equal(p.want.names[0], "mx.example.org");
	assert_string_equal(p.want.ca, "ours");
	assert_int_equal(p.want.nrecords, 0);
}

/* RFC 7672 8.1: the base is indicated; 3.2.2: it, the host's and the domain's name count. */
static void
test_dane_names(void **state)
{
	struct policy_facts f = dane_facts("Alias.Example.Net");
	struct verdict why;
	struct policy p;

	(void)state;
	assert_int_equal(policy_make(&p, &f, &why), 0);
	assert_string_equal(p.want.host, "Alias.Example.Net");
	assert_int_equal(p.want.nnames, 3);
	assert_string_equal(p.want.names[0], "Alias.Example.Net");
	assert_string_equal(p.want.names[1], "mx.example.org");
	assert_string_equal(p.want.names[2], "example.org");
	assert_int_equal(p.want.nrecords, 1);
	assert_int_equal(p.want.records[0].usage, 3);

	f = dane_facts("MX.example.org");
	f.domain = "mx.example.ORG"; /* no MX: the domain is its own host */
	assert_int_equal(policy_make(&p, &f, &why), 0);
	assert_int_equal(p.want.nnames, 1);
	f = dane_facts("");
	assert_int_equal(policy_make(&p, &f, &why), 0);
	assert_string_equal(p.want.host, "mx.example.org");
}

/* More records than there is room for: those that there is room for. */
static void
test_many_records(void **state)
{
	struct tls_record many[POLICY_RECORDS_MAX + 9];
	struct policy_facts f = dane_facts("mx.example.org");
	struct verdict why;
	struct policy p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(many); i++)
		many[i] = i < 3 ? unusable[0] : usable[0];
	f.records = many;
	f.nrecords = NITEMS(many);
	assert_int_equal(policy_make(&p, &f, &why), 0);
	assert_int_equal(p.want.nrecords, POLICY_RECORDS_MAX);
	for (i = 0; i < p.want.nrecords; i++)
		assert_int_equal(p.want.records[i].usage, 3);
}

/* -- what will do -- */

static const struct tls_judgement nobody = {.why = "certificate has expired"};
static const struct tls_judgement by_names = {.by_names = true};
static const struct tls_judgement by_records = {.by_records = true};

static const struct {
	struct policy_facts facts;
	const struct tls_judgement *judged; /* NULL: plain */
	bool good;
	const char *level, *status, *text;
} outcomes[] = {
    {{MAY, MX}, NULL, true, "plain", NULL, NULL},
    {{MAY, MX}, &nobody, true, "encrypted", NULL, NULL},
    {{MAY, MX}, &by_names, true, "verified", NULL, NULL},
    {{MAY, MX, SECURE, ODD}, &nobody, true, "encrypted", NULL, NULL},
    {{MAY, MX, SECURE, ODD}, NULL, false, "plain", "4.7.4", "not offered"},
    {{MAY, MX, SECURE, TLSA}, &by_records, true, "dane", NULL, NULL},
    {{MAY, MX, SECURE, TLSA}, &by_names, false, "encrypted", "4.7.5", "TLSA"},
    {{MAY, MX, SECURE, TLSA}, &nobody, false, "encrypted", "4.7.5", "TLSA"},
    {{MAY, MX, .required = true}, &by_names, true, "verified", NULL, NULL},
    {{MAY, MX, .required = true}, &nobody, false, "encrypted", "4.7.5", "has expired"},
    {{MAY, SMART, PINS}, &by_records, true, "verified", NULL, NULL},
    {{MAY, SMART, PINS}, &by_names, false, "encrypted", "4.7.5", "not trusted"},
    {{MAY, SMART, PINS}, &nobody, false, "encrypted", "4.7.5", "has expired"},
    {{MAY, MX, BEST(IPC_TLS_ENCRYPTED)}, &nobody, true, "encrypted", NULL, NULL},
    {{MAY, MX, BEST(IPC_TLS_ENCRYPTED)}, NULL, false, "plain", "4.7.4", "not offered"},
    {{MAY, MX, BEST(IPC_TLS_VERIFIED)}, &by_names, true, "verified", NULL, NULL},
    {{MAY, MX, BEST(IPC_TLS_VERIFIED)}, &nobody, false, "encrypted", "4.7.5",
	"better protected before: certificate has expired"},
    {{MAY, MX, BEST(IPC_TLS_DANE)}, &by_names, false, "verified", "4.7.5", "better protected"},
    {{MAY, MX, .required = true, BEST(IPC_TLS_DANE)}, &by_names, false, "verified", "4.7.5",
	"better protected"},
};

static void
test_outcomes(void **state)
{
	enum ipc_tls_level level;
	struct verdict why;
	struct policy p;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(outcomes); i++) {
		assert_int_equal(policy_make(&p, &outcomes[i].facts, &why), 0);
		if (policy_accepts(&p, outcomes[i].judged, &level, &why) != outcomes[i].good)
			fail_msg("row %zu", i);
		assert_string_equal(policy_tls_name(level), outcomes[i].level);
		if (outcomes[i].good)
			continue;
		assert_int_equal(why.outcome, IPC_RETRY);
		assert_string_equal(why.status, outcomes[i].status);
		if (strstr(why.text, outcomes[i].text) == NULL)
			fail_msg("row %zu: %s", i, why.text);
	}
}

/* -- fingerprints -- */

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static void
test_pins(void **state)
{
	struct tls_record out[POLICY_PINS_MAX];
	uint8_t room[POLICY_PINS_MAX][32];
	size_t i, n;

	(void)state;
	assert_int_equal(policy_pins("SHA256:" HEX ",spki:" HEX, out, room, &n), 0);
	assert_int_equal(n, 2);
	for (i = 0; i < n; i++) {
		assert_int_equal(out[i].usage, 3);
		assert_int_equal(out[i].selector, i);
		assert_int_equal(out[i].matching, 1);
		assert_int_equal(out[i].size, 32);
		assert_ptr_equal(out[i].data, room[i]);
		assert_int_equal(out[i].data[0], 0);
		assert_int_equal(out[i].data[31], 0x1f);
	}
}

static void
test_bad_pins(void **state)
{
	static const char *const cases[] = {"", ",", "SHA256", "SHA256:", "SHA256:00", HEX,
	    "SHA1:" HEX, "SHA256:" HEX ",", "SHA256:" HEX "00", "SHA256:" HEX " ",
	    ","
	    "SPKI:" HEX,
	    "SHA256:" HEX ",,SPKI:" HEX, "SHA256:" HEX "SPKI:" HEX, "SPKI: " HEX,
	    "SPKI:g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"};
	struct tls_record out[POLICY_PINS_MAX];
	uint8_t room[POLICY_PINS_MAX][32];
	char many[(POLICY_PINS_MAX + 1) * 80] = "SPKI:" HEX;
	size_t i, n;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		errno = 0;
		if (policy_pins(cases[i], out, room, &n) == 0)
			fail_msg("\"%s\"", cases[i]);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(n, 0);
	}
	for (i = 1; i < POLICY_PINS_MAX; i++)
		strcat(many, ",SPKI:" HEX);
	assert_int_equal(policy_pins(many, out, room, &n), 0);
	assert_int_equal(n, POLICY_PINS_MAX);
	strcat(many, ",SPKI:" HEX);
	assert_int_equal(policy_pins(many, out, room, &n), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_impossible),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_dane_names),
	    cmocka_unit_test(test_many_records),
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_pins),
	    cmocka_unit_test(test_bad_pins),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

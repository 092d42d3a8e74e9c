/* SPDX-License-Identifier: ISC */
/*
 * What authorization servers answer, good and hostile; the forms they are sent, PKCE, and
 * the bounds of JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "vault/json_doc.h"
#include "vault/oauth_answer.h"
#include "vault/oauth_form.h"

static struct oauth_answer a;

static void
answer(unsigned int status, const char *body)
{
	oauth_answer_read(status, (struct span){(const uint8_t *)body, strlen(body)}, &a);
}

#define TOKEN "\"access_token\":\"at\",\"token_type\":\"Bearer\""

static void
test_tokens(void **state)
{
	static const struct {
		const char *body, *access, *refresh;
		int64_t expires_s;
	} cases[] = {
	    {"{" TOKEN "}", "at", "", 3600},
	    {"{" TOKEN ",\"expires_in\":3599,\"refresh_token\":\"1//rt\"}", "at", "1//rt", 3599},
	    {"{" TOKEN ",\"expires_in\":\"120\"}", "at", "", 120},
	    {"{" TOKEN ",\"expires_in\":0}", "at", "", 3600},
	    {"{" TOKEN ",\"expires_in\":-5}", "at", "", 3600},
	    {"{" TOKEN ",\"expires_in\":1e3}", "at", "", 3600},
	    {"{" TOKEN ",\"expires_in\":99999999999999}", "at", "", 3600},
	    {"{" TOKEN ",\"expires_in\":null}", "at", "", 3600},
	    {" {\"token_type\":\"bearer\",\"access_token\":\"at\",\"x\":[{\"y\":[1]}]}\n", "at", "",
		3600},
	    {"{\"token_type\":\"Bearer\",\"access_token\":\"\\u0061t\"}", "at", "", 3600},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(200, cases[i].body);
		if (a.said != OAUTH_SAID_TOKENS)
			fail_msg("%s: %s", cases[i].body, a.text);
		assert_string_equal(a.access_token, cases[i].access);
		assert_string_equal(a.refresh_token, cases[i].refresh);
		assert_int_equal(a.expires_s, cases[i].expires_s);
	}
}

/* Nothing of it is kept. */
static void
assert_empty(void)
{
	assert_string_equal(a.access_token, "");
	assert_string_equal(a.refresh_token, "");
	assert_string_equal(a.device_code, "");
	assert_string_equal(a.user_code, "");
	assert_string_not_equal(a.text, "");
}

static void
test_rubbish(void **state)
{
	static const char *const cases[] = {
	    "",
	    "null",
	    "\"at\"",
	    "[" TOKEN "]",
	    "{" TOKEN,
	    "{" TOKEN "} x",
	    "{\"access_token\":\"at\"}",
	    "{\"access_token\":\"at\",\"token_type\":\"mac\"}",
	    "{\"access_token\":\"\",\"token_type\":\"Bearer\"}",
	    "{\"access_token\":\"a t\",\"token_type\":\"Bearer\"}",
	    "{\"access_token\":\"a\\u0001t\",\"token_type\":\"Bearer\"}",
	    "{\"access_token\":\"a\\u0000t\",\"token_type\":\"Bearer\"}",
	    "{\"access_token\":\"\\u00fc\",\"token_type\":\"Bearer\"}",
	    "{\"access_token\":1,\"token_type\":\"Bearer\"}",
	    "{\"access_token\":\"one\"," TOKEN "}",
	    "{" TOKEN ",\"refresh_token\":\"with\\nline\"}",
	    "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"http://x.example\"}",
	    "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_uri\":\"https://x y\"}",
	    "{\"device_code\":\"d\",\"user_code\":\"U\"}",
	    "{\"device_code\":\"d\",\"verification_uri\":\"https://x.example\"}",
	    "<html>",
	    "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(200, cases[i]);
		if (a.said != OAUTH_SAID_TROUBLE)
			fail_msg("taken: %s", cases[i]);
		assert_empty();
	}
	answer(302, "{" TOKEN "}");
	assert_int_equal(a.said, OAUTH_SAID_TROUBLE);
	assert_empty();
}

static void
test_bounds(void **state)
{
	char *text = malloc(JSON_TEXT_MAX + 16), *end;

	(void)state;
	assert_non_null(text);
	/* A token of as many octets as there may be, and one more. */
	strcpy(text, "{\"token_type\":\"Bearer\",\"access_token\":\"");
	end = text + strlen(text);
	memset(end, 'x', OAUTH_TOKEN_MAX);
	strcpy(end + OAUTH_TOKEN_MAX, "\"}");
	answer(200, text);
	assert_int_equal(a.said, OAUTH_SAID_TOKENS);
	strcpy(end + OAUTH_TOKEN_MAX, "x\"}");
	answer(200, text);
	assert_int_equal(a.said, OAUTH_SAID_TROUBLE);
	assert_empty();
	/* An answer that is too long, and one of brackets alone. */
	memset(text, ' ', JSON_TEXT_MAX + 1);
	memcpy(text, "{" TOKEN, strlen("{" TOKEN));
	strcpy(text + JSON_TEXT_MAX, "}");
	answer(200, text);
	assert_int_equal(a.said, OAUTH_SAID_TROUBLE);
	strcpy(text + JSON_TEXT_MAX - 1, "}");
	answer(200, text);
	assert_int_equal(a.said, OAUTH_SAID_TOKENS);
	memset(text, '[', JSON_TEXT_MAX);
	text[JSON_TEXT_MAX] = '\0';
	answer(200, text);
	assert_int_equal(a.said, OAUTH_SAID_TROUBLE);
	free(text);
}

static void
test_errors(void **state)
{
	static const struct {
		unsigned int status;
		const char *body;
		enum oauth_said said;
		const char *text;
	} cases[] = {
	    {400, "{\"error\":\"invalid_grant\"}", OAUTH_SAID_LOST, "invalid_grant"},
	    {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Token\\nrevoked.\"}",
		OAUTH_SAID_LOST, "invalid_grant (Token\\x0arevoked.)"},
	    {200, "{\"error\":\"invalid_grant\"," TOKEN "}", OAUTH_SAID_LOST, "invalid_grant"},
	    {503, "{\"error\":\"invalid_grant\"}", OAUTH_SAID_TROUBLE, "invalid_grant"},
	    {429, "{\"error\":\"invalid_client\"}", OAUTH_SAID_TROUBLE, "invalid_client"},
	    {400, "{\"error\":\"authorization_pending\"}", OAUTH_SAID_PENDING,
		"authorization_pending"},
	    {428, "{\"error\":\"authorization_pending\"}", OAUTH_SAID_PENDING,
		"authorization_pending"},
	    {403, "{\"error\":\"slow_down\"}", OAUTH_SAID_SLOWER, "slow_down"},
	    {400, "{\"error\":\"expired_token\"}", OAUTH_SAID_EXPIRED, "expired_token"},
	    {403, "{\"error\":\"access_denied\"}", OAUTH_SAID_REFUSED, "access_denied"},
	    {401, "{\"error\":\"invalid_client\"}", OAUTH_SAID_SETUP, "invalid_client"},
	    {400, "{\"error\":\"temporarily_unavailable\"}", OAUTH_SAID_TROUBLE,
		"temporarily_unavailable"},
	    {400, "{\"error\":\"\\u001b[31m\"}", OAUTH_SAID_TROUBLE, "\\x1b[31m"},
	    {400, "{\"error\":{\"code\":1}}", OAUTH_SAID_TROUBLE,
		"the server answered 400 with something else than a token"},
	    {500, "oops", OAUTH_SAID_TROUBLE,
		"the server answered 500 with something that is no JSON object"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer(cases[i].status, cases[i].body);
		assert_string_equal(a.text, cases[i].text);
		assert_int_equal(a.said, cases[i].said);
		assert_empty();
	}
}

static void
test_device(void **state)
{
	(void)state;
	answer(200, "{\"device_code\":\"GmRh\",\"user_code\":\"WDJB-MJHT\",\"verification_uri\":"
		    "\"https://x.example/device\",\"expires_in\":1800,\"interval\":7}");
	assert_int_equal(a.said, OAUTH_SAID_DEVICE);
	assert_string_equal(a.device_code, "GmRh");
	assert_string_equal(a.user_code, "WDJB-MJHT");
	assert_string_equal(a.url, "https://x.example/device");
	assert_int_equal(a.expires_s, 1800);
	assert_int_equal(a.interval_s, 7);
	answer(200, "{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_url\":"
		    "\"https://x.example/\",\"expires_in\":999999,\"interval\":0}");
	assert_int_equal(a.said, OAUTH_SAID_DEVICE);
	assert_int_equal(a.expires_s, 900);
	assert_int_equal(a.interval_s, 5);
}

/* -- what goes out -- */

static void
test_form(void **state)
{
	struct buf form;

	(void)state;
	buf_init(&form, 256);
	assert_int_equal(form_add(&form, "grant_type", "a b&c=d/\xc3\xbc~"), 0);
	assert_int_equal(form_add(&form, "nothing", NULL), 0);
	assert_int_equal(form_add(&form, "empty", ""), 0);
	assert_int_equal(buf_append(&form, "", 1), 0);
	assert_string_equal(
	    (const char *)buf_head(&form), "grant_type=a%20b%26c%3Dd%2F%C3%BC~&empty=");
	buf_free(&form);
	buf_init(&form, 4);
	assert_int_equal(form_add(&form, "long", "value"), -1);
	buf_free(&form);
}

static void
test_pkce(void **state)
{
	char challenge[PKCE_SIZE], text[BASE64_SIZE(8)];

	(void)state;
	/* RFC 7636 B */
	assert_int_equal(
	    pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge), 0);
	assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
	assert_int_equal(base64url_encode("\xff\xfe\xfb", 3, text), 4);
	assert_string_equal(text, "__77");
	assert_int_equal(base64url_encode("\xff", 1, text), 2);
	assert_string_equal(text, "_w");
}

static void
test_json_written(void **state)
{
	struct json_t *j = json_doc_create();
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_non_null(j);
	assert_int_equal(json_doc_add_text(j, "t", "a\"\\\n\xc3\xbc"), 0);
	assert_int_equal(json_doc_add_text(j, "none", NULL), 0);
	assert_int_equal(json_doc_add_text(j, "bad", "\xff"), -1);
	assert_int_equal(json_doc_add_number(j, "n", INT64_C(1800000000)), 0);
	assert_int_equal(json_doc_write(j, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(
	    (const char *)buf_head(&out), "{\"n\":1800000000,\"t\":\"a\\\"\\\\\\n\xc3\xbc\"}");
	json_doc_free(j);
	buf_free(&out);
}

static int
prepare(void **state)
{
	(void)state;
	return json_doc_prepare();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_rubbish),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_device),
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_pkce),
	    cmocka_unit_test(test_json_written),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}

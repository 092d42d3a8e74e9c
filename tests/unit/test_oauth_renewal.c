/* SPDX-License-Identifier: ISC */
/*
 * Accounts of OAuth: tokens are renewed in time, by one question at a time; what a server
 * that is down, revokes or refuses makes of that.
 */
#include "tests/unit/oauth_rig.h"

static void
test_renewal(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3299);
	assert_quiet(r);
	later(r, 1);
	h = hear_fetch(r, MS "token", "grant_type=refresh_token&refresh_token=rt-1&client_id=cid");
	/* The old one is good until the new one is there. */
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	later(r, 2);
	assert_quiet(r);
	fetched(r, h, 200, TOKENS("at-2", "rt-2"));
	keep_sealed(r, "work", IPC_OK);
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
	assert_int_equal(row(r)->n, NOW_S + r->now_ms / 1000 + 3570);
	later(r, 3300);
	/* Neither a refresh token nor a new word about it: the old one stays. */
	fetched(r, hear_fetch(r, MS "token", "refresh_token=rt-2"), 200, TOKEN_ALONE("at-3"));
	assert_quiet(r);
	later(r, 3300);
	(void)hear_fetch(r, MS "token", "refresh_token=rt-2");
	assert_not_logged("at-");
	assert_not_logged("rt-");
}

static void
test_several_wait_for_one(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3600);
	h = next(r, MSG_fetch);
	assert_string_equal(get(r, "work", 0, NULL), "");
	assert_string_equal(get(r, "work", 1, NULL), "");
	assert_string_equal(get(r, "work", 2, NULL), "");
	oauth_wait_cancel(&waits[1]);
	assert_quiet(r);
	fetched(r, h, 200, TOKEN_ALONE("at-2"));
	assert_string_equal(got[0], "token at-2");
	assert_string_equal(got[1], "");
	assert_string_equal(got[2], "token at-2");
}

static void
test_trouble(void **state)
{
	struct rig *r = *state;
	const struct heard *h;
	uint32_t again_s;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3300);
	not_fetched(r, next(r, MSG_fetch), "timed out");
	assert_logged("event=oauth-renewal-failed");
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	later(r, 9);
	assert_quiet(r);
	later(r, 1);
	fetched(r, next(r, MSG_fetch), 502, "<html>bad gateway</html>");
	later(r, 19);
	assert_quiet(r);
	later(r, 1);
	h = next(r, MSG_fetch);
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device yes");
	fetched(r, h, 500, "");
	later(r, 400); /* the token has run out */
	fetched(r, next(r, MSG_fetch), 500, "");
	assert_ptr_equal(strstr(get(r, "work", 0, &again_s), "- the server answered 500"), got[0]);
	assert_in_range(again_s, 1, 90);
	assert_quiet(r);
	later(r, 80);
	fetched(r, next(r, MSG_fetch), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
	assert_string_equal(row(r)->b, "");
}

static void
test_fetch_lost(void **state)
{
	struct rig *r = *state;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3600);
	(void)next(r, MSG_fetch);
	assert_string_equal(get(r, "work", 0, NULL), "");
	unlink_role(r, ROLE_FETCH);
	assert_string_equal(got[0], "- smtpd-fetch is being restarted");
	later(r, 11);
	assert_quiet(r);
	assert_ptr_equal(strstr(get(r, "work", 1, NULL), "- smtpd-fetch can't be asked"), got[1]);
	link_role(r, ROLE_FETCH);
	later(r, 40);
	fetched(r, next(r, MSG_fetch), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
}

static void
test_consent_lost(void **state)
{
	struct rig *r = *state;
	uint32_t again_s;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3300);
	fetched(r, next(r, MSG_fetch), 400,
	    "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700082: "
	    "\\u001b[1mexpired\"}");
	assert_logged("event=oauth-consent-lost label=work user=ann@a.example");
	assert_logged("AADSTS700082: \\\\x1b[1mexpired");
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device no");
	assert_non_null(strstr(row(r)->b, "smtpctl oauth login"));
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	later(r, 300);
	assert_non_null(strstr(get(r, "work", 0, &again_s), "consent was revoked"));
	assert_int_equal(again_s, OAUTH_AGAIN_S);
	assert_quiet(r);
	/* A server may have been wrong. */
	later(r, 3300);
	fetched(r, hear_fetch(r, MS "token", "refresh_token=rt-1"), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device yes");
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
}

/* What a server says back of what it was sent is not for the log. */
static void
test_echo(void **state)
{
	struct rig *r = *state;

	start(r, CODE);
	login(r, "home", "", 1);
	(void)next(r, MSG_oauth_prompt);
	code(r, "home", "4/abc", "", 2);
	fetched(r, next(r, MSG_fetch), 200, TOKENS("an-access-token", "one-refresh-token"));
	keep_sealed(r, "home", IPC_OK);
	assert_done(r, 2, IPC_OK, "");
	later(r, 3300);
	fetched(r, next(r, MSG_fetch), 400,
	    "{\"error\":\"temporarily_unavailable\",\"error_description\":"
	    "\"one-refresh-token, an-access-token of gid, hush\"}");
	assert_logged("temporarily_unavailable (*****************, *************** of gid, ****)");
	assert_non_null(strstr(row(r)->b, "(*****************, *************** of gid, ****)"));
	assert_not_logged("fresh-to");
	assert_not_logged("hush");
}

/* Nobody has this server ask for a token each second, or for all of them at once. */
static void
test_bounded(void **state)
{
	char conf[64 * sizeof(CLIENT)] = "";
	struct rig *r = *state;
	unsigned int i, n = 0;

	for (i = 0; i < 40; i++) {
		size_t at = strlen(conf);

		(void)snprintf(
		    conf + at, sizeof(conf) - at, "oauth svc%u%s", i, &CLIENT[strlen("oauth svc")]);
	}
	start(r, conf);
	assert_int_equal(r->nheard - r->nread, 32);
	for (i = 0; i < 40; i++) {
		fetched(r, next(r, MSG_fetch), 200,
		    "{\"token_type\":\"Bearer\",\"expires_in\":1,\"access_token\":\"at\"}");
		if (i == 31)
			later(r, 1);
	}
	for (i = 0; i < 50; i++) {
		later(r, 1);
		for (; r->nheard > r->nread; n++)
			fetched(r, next(r, MSG_fetch), 200,
			    "{\"token_type\":\"Bearer\",\"expires_in\":1,"
			    "\"access_token\":\"at\"}");
	}
	assert_in_range(n, 40 * 5, 40 * 11);
}

/* A consent that comes while the old one is being renewed is the one that counts. */
static void
test_consent_again(void **state)
{
	struct rig *r = *state;
	const struct heard *old;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3300);
	old = next(r, MSG_fetch);
	login(r, "work", "", 3);
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 5);
	fetched(r, next(r, MSG_fetch), 200, TOKENS("at-2", "rt-2"));
	keep_sealed(r, "work", IPC_OK);
	assert_done(r, 3, IPC_OK, "");
	fetched(r, old, 400, "{\"error\":\"invalid_grant\"}");
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device yes");
}

static void
test_refused_by_mail_server(void **state)
{
	struct rig *r = *state;
	const struct span token = {(const uint8_t *)"at-1", 4}, other = {(const uint8_t *)"xx", 2};

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	/* It is new: another would do no better. */
	assert_int_equal(oauth_refused(r->v.oauths, "work", token, "535 no"), OAUTH_AGAIN_S);
	assert_string_equal(row(r)->b, "the mail server refuses the token: 535 no");
	oauth_accepted(r->v.oauths, "work");
	assert_string_equal(row(r)->b, "");
	later(r, 11);
	assert_int_equal(oauth_refused(r->v.oauths, "work", other, "535 no"), 5);
	assert_quiet(r);
	assert_int_equal(oauth_refused(r->v.oauths, "work", token, "535 no"), 5);
	assert_string_equal(get(r, "work", 0, NULL), "");
	fetched(r, next(r, MSG_fetch), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(got[0], "token at-2");
	assert_string_equal(row(r)->b, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_renewal),
	    TEST(test_several_wait_for_one),
	    TEST(test_trouble),
	    TEST(test_fetch_lost),
	    TEST(test_consent_lost),
	    TEST(test_echo),
	    TEST(test_bounded),
	    TEST(test_consent_again),
	    TEST(test_refused_by_mail_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

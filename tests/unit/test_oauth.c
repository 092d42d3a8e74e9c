/* SPDX-License-Identifier: ISC */
/*
 * Accounts of OAuth: consent, the disk, reloads, the end.
 */
#include "tests/unit/oauth_rig.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

/* -- consent -- */

static void
test_device(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	assert_logged("event=oauth-consent-missing label=work");
	assert_quiet(r);
	login(r, "work", "", 7);
	fetched(r, hear_fetch(r, MS "devicecode", "offline_access"), 200, PROMPT);
	h = next(r, MSG_oauth_prompt);
	assert_int_equal(h->req, 7);
	assert_int_equal(h->n, IPC_OAUTH_DEVICE);
	assert_string_equal(h->a, "https://m.example/device");
	assert_string_equal(h->b, "WDJB");
	assert_int_equal(h->m, NOW_S + r->now_ms / 1000 + 900);
	later(r, 4);
	assert_quiet(r);
	later(r, 1);
	h = hear_fetch(
	    r, MS "token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code");
	/* One question at a time. */
	later(r, 10);
	assert_quiet(r);
	fetched(r, h, 400, "{\"error\":\"authorization_pending\"}");
	later(r, 5);
	fetched(r, hear_fetch(r, MS "token", ""), 400, "{\"error\":\"slow_down\"}");
	later(r, 9);
	assert_quiet(r);
	later(r, 1);
	/* The net has a hole, and the admin's patience goes on. */
	not_fetched(r, hear_fetch(r, MS "token", ""), "no route to host");
	later(r, 15);
	fetched(r, hear_fetch(r, MS "token", ""), 200, TOKENS("at-1", "rt-1"));
	h = next(r, MSG_seal);
	assert_string_equal(h->a, "work");
	assert_quiet(r); /* OK is said when it is on disk */
	sealed(r, h, IPC_OK);
	assert_done(r, 7, IPC_OK, "");
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device yes");
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	assert_not_logged("at-1");
	assert_not_logged("rt-1");
	assert_not_logged("dc-secret");
}

static void
test_device_refused(void **state)
{
	static const struct {
		const char *error;
		enum ipc_outcome outcome;
	} cases[] = {
	    {"access_denied", IPC_FAIL},
	    {"expired_token", IPC_FAIL},
	    {"invalid_grant", IPC_FAIL},
	    {"invalid_client", IPC_FAIL},
	};
	struct rig *r = *state;
	char body[64];
	size_t i;

	start(r, DEVICE);
	for (i = 0; i < NITEMS(cases); i++) {
		login(r, "work", "", 1);
		fetched(r, next(r, MSG_fetch), 200, PROMPT);
		(void)next(r, MSG_oauth_prompt);
		later(r, 5);
		(void)snprintf(body, sizeof(body), "{\"error\":\"%s\"}", cases[i].error);
		fetched(r, next(r, MSG_fetch), 400, body);
		assert_done(r, 1, cases[i].outcome, cases[i].error);
		later(r, 30);
		assert_quiet(r);
	}
	/* Without offline_access there is nothing to keep. */
	login(r, "work", "", 1);
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 5);
	fetched(r, next(r, MSG_fetch), 200, TOKEN_ALONE("at"));
	assert_done(r, 1, IPC_FAIL, "no refresh token");
	/* Nobody types it. */
	login(r, "work", "", 1);
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 901);
	assert_done(r, 1, IPC_FAIL, "took too long");
	/* It does not even begin. */
	login(r, "work", "", 1);
	fetched(r, next(r, MSG_fetch), 503, "busy");
	assert_done(r, 1, IPC_RETRY, "503");
	login(r, "work", "", 1);
	not_fetched(r, next(r, MSG_fetch), "refused\r\nby x");
	assert_done(r, 1, IPC_RETRY, "refused\\x0d\\x0aby x");
	login(r, "none", "", 1);
	assert_done(r, 1, IPC_FAIL, "no oauth");
}

static void
test_logins_collide(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	login(r, "work", "", 1);
	(void)next(r, MSG_fetch);
	login(r, "work", "", 2);
	assert_done(r, 1, IPC_FAIL, "another login");
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	h = next(r, MSG_oauth_prompt);
	assert_int_equal(h->req, 2);
	/* Whoever asked is gone; who types the code has consented all the same. */
	unlink_role(r, ROLE_CONTROL);
	later(r, 5);
	fetched(r, next(r, MSG_fetch), 200, TOKENS("at", "rt"));
	keep_sealed(r, "work", IPC_OK);
	assert_quiet(r);
	assert_string_equal(get(r, "work", 0, NULL), "token at");
}

static void
find_parameter(const char *url, const char *name, char dst[128])
{
	char key[64];
	const char *at;

	(void)snprintf(key, sizeof(key), "%s=", name);
	at = strstr(url, key);
	assert_non_null(at);
	(void)snprintf(dst, 128, "%.*s", (int)strcspn(at + strlen(key), "&"), at + strlen(key));
}

static void
test_browser(void **state)
{
	struct rig *r = *state;
	char token[128], challenge[128];
	const struct heard *h;

	start(r, CODE);
	login(r, "home", "http://127.0.0.1:4711/", 3);
	h = next(r, MSG_oauth_prompt);
	assert_int_equal(h->n, IPC_OAUTH_BROWSER);
	assert_ptr_equal(strstr(h->a, "https://accounts.google.com/o/oauth2/v2/auth?"), h->a);
	assert_non_null(strstr(h->a, "response_type=code&client_id=gid"));
	assert_non_null(strstr(h->a, "redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2F"));
	assert_non_null(strstr(h->a, "access_type=offline&prompt=consent"));
	assert_non_null(strstr(h->a, "code_challenge_method=S256"));
	assert_null(strstr(h->a, "hush"));
	find_parameter(h->a, "state", token);
	find_parameter(h->a, "code_challenge", challenge);
	assert_int_equal(strlen(token), 43);
	assert_int_equal(strlen(challenge), 43);
	code(r, "home", "4/abc", "another", 4);
	assert_done(r, 4, IPC_FAIL, "another login");
	code(r, "home", "", token, 4);
	assert_done(r, 4, IPC_FAIL, "no code");
	code(r, "home", "4/abc", token, 5);
	h = hear_fetch(r, "https://oauth2.googleapis.com/token",
	    "grant_type=authorization_code&code=4%2Fabc&redirect_uri=http%3A%2F%2F127.0.0.1%"
	    "3A4711%2F&client_id=gid&client_secret=hush&code_verifier=");
	assert_null(strstr(h->b, challenge));
	code(r, "home", "4/abc", token, 6);
	assert_done(r, 6, IPC_FAIL, "already");
	fetched(r, h, 200, TOKENS("at", "rt"));
	keep_sealed(r, "home", IPC_OK);
	assert_done(r, 5, IPC_OK, "");
	assert_string_equal(get(r, "home", 0, NULL), "token at");
	/* A code is good once. */
	code(r, "home", "4/abc", token, 7);
	assert_done(r, 7, IPC_FAIL, "waits for a code");
}

static void
test_no_consent_needed(void **state)
{
	struct rig *r = *state;

	start(r, CLIENT);
	fetched(r,
	    hear_fetch(r, "https://c.example/token",
		"grant_type=client_credentials&client_id=sid&client_secret=pss"),
	    401, "{\"error\":\"invalid_client\"}");
	assert_logged("event=oauth-renewal-failed label=svc user=svc@c.example why=invalid_client");
	assert_string_equal(row(r)->b, "invalid_client");
	login(r, "svc", "", 1);
	fetched(r, next(r, MSG_fetch), 200, TOKEN_ALONE("at"));
	assert_done(r, 1, IPC_OK, "");
	assert_string_equal(get(r, "svc", 0, NULL), "token at");
	assert_string_equal(row(r)->b, "");
	assert_not_logged("pss");
	assert_quiet(r);
}

/* A key of a service account, as its file is. */
static void
feed_key(struct rig *r, const char *label)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &data);
	feed(r, IPC_DATA_OAUTH_KEY, label, data, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(key);
}

#define JWT                                                                                   \
	"oauth svc provider google grant jwt user ann@a.example client-id svc@p.example key " \
	"\"/k\"\n"                                                                            \
	"oauth app provider microsoft grant jwt tenant t user ann@a.example client-id cid "   \
	"key \"/k\" key-id 84E05C1D98BCE3A5421D225B140B36E86A3D5534\n"

static void
test_assertions(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	feed_key(r, "svc");
	feed_key(r, "app");
	start(r, JWT);
	h = hear_fetch(r, "https://oauth2.googleapis.com/token",
	    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey");
	assert_null(strstr(h->b, "scope="));
	fetched(r, h, 200, TOKEN_ALONE("at-1"));
	h = hear_fetch(r, "https://login.microsoftonline.com/t/oauth2/v2.0/token",
	    "grant_type=client_credentials&client_id=cid&scope=");
	assert_non_null(strstr(h->b,
	    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3A"
	    "jwt-bearer&client_assertion=ey"));
	fetched(r, h, 200, TOKEN_ALONE("at-2"));
	assert_string_equal(get(r, "svc", 0, NULL), "token at-1");
	assert_string_equal(get(r, "app", 0, NULL), "token at-2");
}

static void
test_no_assertion(void **state)
{
	struct rig *r = *state;

	feed_key(r, "app");
	feed(r, IPC_DATA_OAUTH_KEY, "svc", "-----BEGIN PRIVATE KEY-----\nrubbish\n", 36);
	start(r, JWT);
	(void)hear_fetch(r, "https://login.microsoftonline.com/t/oauth2/v2.0/token", "");
	assert_logged("event=oauth-key-unusable label=svc");
	assert_non_null(strstr(get(r, "svc", 0, NULL), "is there a key?"));
	assert_quiet(r);
	/* A reload with a key that can be used: it is tried at once. */
	feed_key(r, "svc");
	configure(r, JWT);
	tick(r);
	(void)hear_fetch(r, "https://oauth2.googleapis.com/token", "assertion=ey");
}

/* -- the disk -- */

static void
test_disk(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	login(r, "work", "", 1);
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 5);
	fetched(r, next(r, MSG_fetch), 200, TOKENS("at-1", "rt-1"));
	sealed(r, next(r, MSG_seal), IPC_RETRY);
	assert_done(r, 1, IPC_RETRY, "No space left on device");
	assert_logged("event=oauth-not-kept label=work why=\"No space left on device\"");
	assert_non_null(strstr(row(r)->b, "can't be kept"));
	/* It is good for this process, and is written as soon as it can be. */
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	later(r, 59);
	assert_quiet(r);
	later(r, 1);
	h = next(r, MSG_seal);
	/* Meanwhile there is another: both are written, one after the other. */
	later(r, 3300);
	/* The parent said nothing for too long. */
	fetched(r, next(r, MSG_fetch), 200, TOKENS("at-2", "rt-2"));
	h = next(r, MSG_seal);
	sealed(r, h, IPC_OK);
	assert_quiet(r);
	assert_string_equal(row(r)->b, "");
}

static void
test_restart(void **state)
{
	struct rig *r = *state;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	assert_int_equal(rig_tear_down(state), 0);
	assert_int_equal(rig_set_up(state), 0);
	r = *state;
	feed(r, IPC_DATA_SEALED, "work", kept, kept_len);
	start(r, DEVICE);
	assert_not_logged("consent-missing");
	fetched(r, hear_fetch(r, MS "token", "refresh_token=rt-1"), 200, TOKEN_ALONE("at-2"));
	assert_string_equal(get(r, "work", 0, NULL), "token at-2");
	assert_int_equal(row(r)->m, NOW_S + 1005);
}

/* What is on disk is for one client, user and server; and for one key. */
static void
test_not_for_another(void **state)
{
	static const struct {
		const char *conf, *name, *why;
		uint8_t key;
	} cases[] = {
	    {"oauth work provider microsoft user eve@a.example client-id cid\n", "work",
		"another user", 42},
	    {"oauth work provider microsoft user ann@a.example client-id other\n", "work",
		"another user", 42},
	    {"oauth work provider microsoft user ann@a.example client-id cid token-url "
	     "\"https://e.example/\"\n",
		"work", "another user", 42},
	    {"oauth two provider microsoft user ann@a.example client-id cid\n", "two",
		"another vault key", 42},
	    {DEVICE, "work", "another vault key", 43},
	};
	struct rig *r = *state;
	uint8_t key[sizeof(vault_key)];
	size_t i;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	for (i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(rig_tear_down(state), 0);
		assert_int_equal(rig_set_up(state), 0);
		r = *state;
		memcpy(key, vault_key, sizeof(key));
		key[0] = cases[i].key;
		feed(r, IPC_DATA_SEALED, cases[i].name, kept, kept_len);
		feed(r, IPC_DATA_SEAL_KEY, "", key, sizeof(key));
		configure(r, cases[i].conf);
		tick(r);
		assert_quiet(r);
		assert_logged("event=oauth-consent-missing");
		assert_logged(cases[i].why);
	}
}

static void
test_no_key(void **state)
{
	struct rig *r = *state;

	configure(r, DEVICE);
	login(r, "work", "", 1);
	fetched(r, next(r, MSG_fetch), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 5);
	fetched(r, next(r, MSG_fetch), 200, TOKENS("at-1", "rt-1"));
	assert_done(r, 1, IPC_RETRY, "can't be kept");
	assert_logged("event=oauth-not-kept label=work why=\"there is no vault key\"");
}

static void
test_forget(void **state)
{
	struct rig *r = *state;
	struct msg_oauth_forget m = {.req = 9, .label = "work"};
	const struct heard *h;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_forget, &m), 0);
	h = next(r, MSG_seal);
	assert_int_equal(h->len, 0);
	assert_quiet(r);
	sealed(r, h, IPC_OK);
	h = next(r, MSG_done);
	assert_int_equal(h->n, IPC_OK);
	assert_non_null(strstr(get(r, "work", 0, NULL), "forgotten"));
	assert_string_equal(row(r)->a, "work microsoft ann@a.example device no");
	later(r, 5000);
	assert_quiet(r);
	m.label = "wrok";
	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_forget, &m), 0);
	h = next(r, MSG_done);
	assert_int_equal(h->n, IPC_FAIL);
	assert_non_null(strstr(h->a, "did you mean \"work\""));
}

/* -- reloads, and the end -- */

static void
test_reload(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	/* The same, and one more: what it had stays, though files come again. */
	feed(r, IPC_DATA_SEALED, "work", "rubbish", 7);
	configure(r, CODE DEVICE);
	assert_string_equal(get(r, "work", 0, NULL), "token at-1");
	/* In the middle of a renewal, and with somebody who waits. */
	later(r, 3600);
	h = next(r, MSG_fetch);
	assert_string_equal(get(r, "work", 0, NULL), "");
	configure(r, DEVICE);
	fetched(r, h, 200, TOKEN_ALONE("at-2"));
	assert_string_equal(got[0], "token at-2");
	later(r, 3600);
	h = next(r, MSG_fetch);
	assert_string_equal(get(r, "work", 0, NULL), "");
	login(r, "work", "", 3);
	(void)next(r, MSG_fetch);
	configure(r, "oauth work provider microsoft user eve@a.example client-id cid\n");
	assert_string_equal(got[0], "- smtpd.conf has changed");
	assert_done(r, 3, IPC_FAIL, "smtpd.conf has changed");
	assert_non_null(strstr(get(r, "work", 0, NULL), "nobody has given consent"));
	tick(r);
	assert_quiet(r);
	configure(r, CLIENT);
	tick(r);
	(void)hear_fetch(r, "https://c.example/token", "client_credentials");
}

static void
test_drain(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	start(r, DEVICE);
	consent(r, TOKENS("at-1", "rt-1"));
	later(r, 3300);
	h = next(r, MSG_fetch);
	unlink_role(r, ROLE_DELIVERY);
	r->draining = true;
	vault_program.on_drain(&r->v, r->now_ms + 60000);
	assert_false(r->stopped);
	fetched(r, h, 200, TOKENS("at-2", "rt-2"));
	tick(r);
	assert_false(r->stopped);
	keep_sealed(r, "work", IPC_OK);
	tick(r);
	assert_true(r->stopped);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_device),
	    TEST(test_device_refused),
	    TEST(test_logins_collide),
	    TEST(test_browser),
	    TEST(test_no_consent_needed),
	    TEST(test_assertions),
	    TEST(test_no_assertion),
	    TEST(test_disk),
	    TEST(test_restart),
	    TEST(test_not_for_another),
	    TEST(test_no_key),
	    TEST(test_forget),
	    TEST(test_reload),
	    TEST(test_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

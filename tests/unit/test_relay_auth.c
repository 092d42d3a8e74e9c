/* SPDX-License-Identifier: ISC */
/*
 * Logins at the servers of relays: who gets which credential, and who gets none; what is said,
 * and how it ends; with delivery, hashers, tables and servers played by the test.
 */
#include "tests/unit/vault_rig.h"

#include "lib/conf/service.h"
#include "lib/secret/scram_client.h"
#include "vault/relay_auth.h"

#define CONF                                                                                 \
	"table secrets { gm = \"ann@a.example:pass:word\", bad = \"nothing\" }\n"            \
	"table hosts { \"smtp+tls://gm@one.example:587\" }\n"                                \
	"table base sqlite:/etc/base\n"                                                      \
	"table far postgres:/etc/far\n"                                                      \
	"oauth work user bob@b.example grant client client-id c client-secret hush "         \
	"token-url \"https://t.example/\"\n"                                                 \
	"action \"gmail\" relay host \"smtp+tls://gm@smtp.a.example:587\" auth <secrets>\n"  \
	"action \"bad\" relay host \"smtp+tls://bad@smtp.a.example:587\" auth <secrets>\n"   \
	"action \"none\" relay host \"smtp+tls://none@smtp.a.example:587\" auth <secrets>\n" \
	"action \"table\" relay host <hosts> auth <secrets>\n"                               \
	"action \"base\" relay host \"smtps://Lab@base.example\" auth <base>\n"              \
	"action \"far\" relay host \"smtps://lab@far.example\" auth <far>\n"                 \
	"action \"office\" relay host \"smtp+tls://work@smtp.o.example:587\"\n"              \
	"action \"direct\" relay\n"

#define MECHANISMS "PLAIN LOGIN XOAUTH2"

struct question {
	const char *action, *label, *host;
	uint16_t port;
};

static const struct question gmail = {"gmail", "gm", "smtp.a.example", 587};
static const struct question office = {"office", "work", "smtp.o.example", 587};

static void
ask(struct rig *r, const struct question *q, const char *mechanisms, uint32_t req)
{
	const struct msg_relay_auth m = {.req = req,
	    .action = q->action,
	    .label = q->label,
	    .host = q->host,
	    .port = q->port,
	    .mechanisms = mechanisms};

	assert_int_equal(channel_send(r->far[ROLE_DELIVERY], MSG_relay_auth, &m), 0);
	turn(r);
}

static void
challenge(struct rig *r, uint32_t req, const char *text)
{
	const struct msg_relay_auth_challenge m = {
	    .req = req, .data = {(const uint8_t *)text, strlen(text)}};

	assert_int_equal(channel_send(r->far[ROLE_DELIVERY], MSG_relay_auth_challenge, &m), 0);
	turn(r);
}

static void
result(struct rig *r, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	const struct msg_relay_auth_result m = {
	    .req = req, .outcome = (uint8_t)outcome, .text = text};

	assert_int_equal(channel_send(r->far[ROLE_DELIVERY], MSG_relay_auth_result, &m), 0);
	turn(r);
}

static void
assert_step(struct rig *r, uint32_t req, const char *mechanism, const char *data, size_t len)
{
	const struct heard *h = next(r, MSG_relay_auth_step);

	assert_int_equal(h->req, req);
	assert_string_equal(h->a, mechanism);
	assert_int_equal(h->len, len);
	assert_memory_equal(h->b, data, len);
}

#define assert_says(r, req, mechanism, text) \
	assert_step((r), (req), (mechanism), (text), sizeof(text) - 1)

static void
assert_end(struct rig *r, uint32_t req, const char *status, const char *text)
{
	const struct heard *h = next(r, MSG_relay_auth_end);

	assert_int_equal(h->req, req);
	if (strcmp(h->b, status) != 0 || strstr(h->a, text) == NULL)
		fail_msg("%s %s", h->b, h->a);
	assert_int_equal(h->n, status[0] == '\0' ? IPC_OK : IPC_RETRY);
	assert_true((h->m > 0) == (status[0] != '\0'));
}

static int
set_up(void **state)
{
	struct rig *r;

	assert_int_equal(rig_set_up(state), 0);
	r = *state;
	link_role(r, ROLE_TABLE);
	configure(r, CONF);
	return 0;
}

static void
assert_no_secret(void)
{
	assert_not_logged("pass:word");
	assert_not_logged("hush");
	assert_not_logged("at-1");
}

/* -- passwords -- */

static void
test_plain(void **state)
{
	struct rig *r = *state;

	ask(r, &gmail, MECHANISMS, 1);
	assert_says(r, 1, "PLAIN", "\0ann@a.example\0pass:word");
	result(r, 1, IPC_OK, "");
	assert_end(r, 1, "", "");
	ask(r, &gmail, "LOGIN", 2);
	assert_int_equal(r->heard[r->nread % HEARD_MAX].n, false);
	assert_says(r, 2, "LOGIN", "");
	challenge(r, 2, "Username:");
	assert_says(r, 2, "", "ann@a.example");
	challenge(r, 2, "Password:");
	assert_says(r, 2, "", "pass:word");
	result(r, 2, IPC_OK, "");
	assert_end(r, 2, "", "");
	assert_no_secret();
}

static void
test_refused(void **state)
{
	struct rig *r = *state;

	ask(r, &gmail, MECHANISMS, 1);
	(void)next(r, MSG_relay_auth_step);
	result(r, 1, IPC_FAIL, "535 5.7.8 Bad\r\ncredentials");
	assert_end(r, 1, "4.7.8", "login refused: 535 5.7.8 Bad\\x0d\\x0acredentials");
	ask(r, &gmail, MECHANISMS, 2);
	(void)next(r, MSG_relay_auth_step);
	result(r, 2, IPC_RETRY, "454 4.7.0 later, pass:word");
	assert_end(r, 2, "4.7.0", "454 4.7.0 later, *********");
	ask(r, &gmail, MECHANISMS, 3);
	(void)next(r, MSG_relay_auth_step);
	challenge(r, 3, "something else");
	assert_end(r, 3, "4.7.0", "PLAIN has not");
	assert_logged(
	    "event=relay-login-failed action=gmail label=gm host=smtp.a.example port=587");
	/* Nor is it for people, what it says back. */
	ask(r, &gmail, MECHANISMS, 4);
	(void)next(r, MSG_relay_auth_step);
	result(r, 4, IPC_FAIL, "535 not pass:word, ann");
	assert_end(r, 4, "4.7.8", "login refused: 535 not *********, ann");
	/* Who comes too late is not answered. */
	challenge(r, 3, "");
	result(r, 3, IPC_OK, "");
	assert_quiet(r);
	assert_no_secret();
}

static void
test_misplaced(void **state)
{
	static const struct {
		struct question q;
		const char *why;
	} cases[] = {
	    {{"gmail", "gm", "evil.example", 587}, "another server"},
	    {{"gmail", "gm", "smtp.a.example", 25}, "another server"},
	    {{"gmail", "bad", "smtp.a.example", 587}, "another server"},
	    {{"gmail", "work", "smtp.a.example", 587}, "another server"},
	    {{"gmail", "", "smtp.a.example", 587}, "no such relay action"},
	    {{"nobody", "gm", "smtp.a.example", 587}, "no such relay action"},
	    {{"direct", "gm", "smtp.a.example", 587}, "no such relay action"},
	    {{"direct", "work", "smtp.a.example", 587}, "no such relay action"},
	    {{"office", "gm", "smtp.o.example", 587}, "neither a table nor an oauth"},
	    {{"office", "work", "smtp.a.example", 587}, "another server"},
	    {{"table", "unknown", "one.example", 587}, "nothing under this label"},
	    {{"none", "none", "smtp.a.example", 587}, "nothing under this label"},
	    {{"bad", "bad", "smtp.a.example", 587}, "not of the form user:password"},
	};
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		ask(r, &cases[i].q, MECHANISMS, i + 1);
		assert_end(r, i + 1, "4.7.0", cases[i].why);
	}
	assert_logged("event=relay-login-impossible");
	assert_no_secret();
	/* The same in other letters is the same. */
	ask(r, &(struct question){"gmail", "gm", "SMTP.A.Example", 587}, MECHANISMS, 50);
	assert_says(r, 50, "PLAIN", "\0ann@a.example\0pass:word");
	ask(r, &(struct question){"table", "gm", "one.example", 587}, MECHANISMS, 51);
	assert_says(r, 51, "PLAIN", "\0ann@a.example\0pass:word");
}

static void
test_no_mechanism(void **state)
{
	struct rig *r = *state;

	ask(r, &gmail, "XOAUTH2 CRAM-MD5", 1);
	assert_end(r, 1, "4.7.0", "none of SCRAM-SHA-256, PLAIN and LOGIN");
	ask(r, &office, "PLAIN LOGIN", 2);
	assert_end(r, 2, "4.7.0", "neither OAUTHBEARER nor XOAUTH2");
}

/* -- SCRAM: a hasher does what takes time -- */

#define PROOF_OF_NOBODY "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void
to_derive(struct rig *r, uint32_t req)
{
	const struct heard *h;
	char nonce[64], server[256];

	ask(r, &gmail, "PLAIN SCRAM-SHA-256", req);
	h = next(r, MSG_relay_auth_step);
	assert_string_equal(h->a, "SCRAM-SHA-256");
	assert_ptr_equal(strstr(h->b, "n,,n=ann@a.example,r="), h->b);
	str_cut(nonce, sizeof(nonce), strstr(h->b, ",r=") + 3);
	(void)snprintf(server, sizeof(server), "r=%sXYZ,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", nonce);
	challenge(r, req, server);
}

static void
derived(struct rig *r, const struct heard *h, struct scram_client_keys *keys)
{
	struct scram_client c = {.iterations = (uint32_t)h->n, .salt_len = (size_t)h->m};
	struct msg_derived m = {.req = h->req, .outcome = IPC_OK};

	memcpy(c.salt, h->a, c.salt_len);
	assert_int_equal(scram_client_derive(h->b, h->len, &c, keys), 0);
	m.client_key = (struct span){keys->client_key, sizeof(keys->client_key)};
	m.server_key = (struct span){keys->server_key, sizeof(keys->server_key)};
	assert_int_equal(channel_send(r->far[ROLE_HASHER], MSG_derived, &m), 0);
	turn(r);
}

static void
test_scram(void **state)
{
	struct rig *r = *state;
	struct scram_client_keys keys;
	const struct heard *h;

	to_derive(r, 1);
	h = next(r, MSG_derive);
	assert_string_equal(h->b, "pass:word");
	assert_int_equal(h->n, 4096);
	derived(r, h, &keys);
	h = next(r, MSG_relay_auth_step);
	assert_string_equal(h->a, "");
	assert_ptr_equal(strstr(h->b, "c=biws,r="), h->b);
	/* Let in without a word about the password, or with a wrong one. */
	result(r, 1, IPC_OK, "");
	assert_end(r, 1, "4.7.0", "without proof");
	to_derive(r, 2);
	derived(r, next(r, MSG_derive), &keys);
	(void)next(r, MSG_relay_auth_step);
	challenge(r, 2, PROOF_OF_NOBODY);
	assert_end(r, 2, "4.7.0", "does not know the password");
	assert_no_secret();
}

static void
test_hasher_lost(void **state)
{
	struct rig *r = *state;

	to_derive(r, 1);
	(void)next(r, MSG_derive);
	unlink_role(r, ROLE_HASHER);
	assert_end(r, 1, "4.7.0", "keys of the password");
	/* None is there: it waits, but not for ever. */
	to_derive(r, 2);
	assert_quiet(r);
	later(r, 89);
	(void)next(r, MSG_fetch); /* the token, which nobody has asked for yet */
	assert_quiet(r);
	later(r, 1);
	assert_end(r, 2, "4.7.0", "could not be had in time");
	/* Given up while it waits for one. */
	to_derive(r, 3);
	result(r, 3, IPC_GONE, "");
	link_role(r, ROLE_HASHER);
	tick(r);
	assert_quiet(r);
	assert_int_equal(relay_auths_count(r->v.relay_auths), 0);
}

/* -- tables elsewhere -- */

static void
found(struct rig *r, const struct heard *h, enum ipc_outcome outcome, const char *value)
{
	const struct msg_found m = {.req = h->req, .outcome = (uint8_t)outcome, .value = value};

	assert_int_equal(channel_send(r->far[ROLE_HASHER], MSG_found, &m), 0);
	turn(r);
}

static void
test_databases(void **state)
{
	const struct question base = {"base", "Lab", "base.example", 465};
	const struct question far = {"far", "lab", "far.example", 465};
	struct rig *r = *state;
	struct msg_table_row row = {.value = "u:p"};
	struct msg_table_end end = {.outcome = IPC_OK, .text = ""};
	const struct heard *h;
	char want[64];

	ask(r, &base, MECHANISMS, 1);
	h = next(r, MSG_find);
	(void)snprintf(want, sizeof(want), "base %u", SERVICE_CREDENTIALS);
	assert_string_equal(h->a, want);
	assert_string_equal(h->b, "Lab");
	found(r, h, IPC_OK, "u:p");
	assert_says(r, 1, "PLAIN", "\0u\0p");
	ask(r, &base, MECHANISMS, 2);
	found(r, next(r, MSG_find), IPC_GONE, "");
	assert_end(r, 2, "4.7.0", "nothing under this label");
	ask(r, &base, MECHANISMS, 3);
	found(r, next(r, MSG_find), IPC_RETRY, "");
	assert_end(r, 3, "4.7.0", "can't be asked now");
	ask(r, &far, MECHANISMS, 4);
	h = next(r, MSG_table_ask);
	(void)snprintf(want, sizeof(want), "far %u", SERVICE_CREDENTIALS);
	assert_string_equal(h->a, want);
	row.req = end.req = h->req;
	assert_int_equal(channel_send(r->far[ROLE_TABLE], MSG_table_row, &row), 0);
	assert_int_equal(channel_send(r->far[ROLE_TABLE], MSG_table_end, &end), 0);
	assert_says(r, 4, "PLAIN", "\0u\0p");
	ask(r, &far, MECHANISMS, 5);
	(void)next(r, MSG_table_ask);
	unlink_role(r, ROLE_TABLE);
	assert_end(r, 5, "4.7.0", "can't be asked now");
}

/* -- tokens -- */

#define TOKEN(at) "{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"" at "\"}"

static void
test_token(void **state)
{
	struct rig *r = *state;

	/* It is not there yet: two want it, one question is asked. */
	ask(r, &office, "XOAUTH2", 1);
	ask(r, &office, "XOAUTH2 OAUTHBEARER", 2);
	fetched(r, next(r, MSG_fetch), 200, TOKEN("at-1"));
	assert_says(r, 1, "XOAUTH2", "user=bob@b.example\001auth=Bearer at-1\001\001");
	assert_says(r, 2, "OAUTHBEARER",
	    "n,a=bob@b.example,\001host=smtp.o.example\001port=587\001auth=Bearer at-1\001\001");
	result(r, 1, IPC_OK, "");
	assert_end(r, 1, "", "");
	challenge(r, 2, "{\"status\":\"invalid_token\"}");
	assert_says(r, 2, "", "\001");
	result(r, 2, IPC_FAIL, "535 no");
	assert_end(r, 2, "4.7.8", "login refused: 535 no; {\"status\":\"invalid_token\"}");
	/* The next goes by another token when that one is not new. */
	later(r, 11);
	ask(r, &office, "XOAUTH2", 3);
	(void)next(r, MSG_relay_auth_step);
	result(r, 3, IPC_FAIL, "535 no");
	assert_end(r, 3, "4.7.8", "login refused: 535 no");
	ask(r, &office, "XOAUTH2", 4);
	fetched(r, next(r, MSG_fetch), 200, TOKEN("at-2"));
	assert_says(r, 4, "XOAUTH2", "user=bob@b.example\001auth=Bearer at-2\001\001");
	assert_no_secret();
	assert_not_logged("at-2");
}

static void
test_no_token(void **state)
{
	struct rig *r = *state;

	ask(r, &office, "XOAUTH2", 1);
	fetched(r, next(r, MSG_fetch), 401, "{\"error\":\"invalid_client\"}");
	assert_end(r, 1, "4.7.0", "invalid_client");
	ask(r, &office, "XOAUTH2", 2);
	assert_end(r, 2, "4.7.0", "invalid_client");
	assert_quiet(r);
	assert_no_secret();
}

/* -- ends from outside -- */

static void
test_given_up(void **state)
{
	struct rig *r = *state;
	const struct heard *h;

	ask(r, &office, "XOAUTH2", 1);
	h = next(r, MSG_fetch);
	result(r, 1, IPC_GONE, "");
	assert_int_equal(relay_auths_count(r->v.relay_auths), 0);
	fetched(r, h, 200, TOKEN("at-1"));
	assert_quiet(r);
	/* Delivery is gone in the middle of several. */
	ask(r, &gmail, MECHANISMS, 2);
	ask(r, &office, "XOAUTH2", 3);
	assert_int_equal(relay_auths_count(r->v.relay_auths), 2);
	(void)next(r, MSG_relay_auth_step);
	(void)next(r, MSG_relay_auth_step);
	unlink_role(r, ROLE_DELIVERY);
	assert_int_equal(relay_auths_count(r->v.relay_auths), 0);
	link_role(r, ROLE_DELIVERY);
	/* The server says nothing. */
	ask(r, &gmail, MECHANISMS, 2);
	(void)next(r, MSG_relay_auth_step);
	later(r, 329);
	assert_quiet(r);
	later(r, 1);
	assert_end(r, 2, "4.7.0", "does not answer");
}

static void
test_reload(void **state)
{
	struct rig *r = *state;

	ask(r, &office, "XOAUTH2", 1);
	(void)next(r, MSG_fetch);
	ask(r, &gmail, "LOGIN", 2);
	(void)next(r, MSG_relay_auth_step);
	configure(r, "action \"x\" relay\n");
	assert_end(r, 1, "4.7.0", "smtpd.conf has changed");
	/* What was begun goes on with what it had. */
	challenge(r, 2, "Username:");
	assert_says(r, 2, "", "ann@a.example");
	ask(r, &gmail, MECHANISMS, 3);
	assert_end(r, 3, "4.7.0", "no such relay action");
}

static void
test_many(void **state)
{
	struct rig *r = *state;
	struct msg_relay_auth_result m = {.outcome = IPC_GONE, .text = ""};
	uint32_t i;

	for (i = 1; i <= RELAY_AUTHS_MAX; i++) {
		ask(r, &gmail, "LOGIN", i);
		(void)next(r, MSG_relay_auth_step);
	}
	ask(r, &gmail, "LOGIN", i);
	(void)next(r, MSG_relay_auth_end);
	assert_int_equal(relay_auths_count(r->v.relay_auths), RELAY_AUTHS_MAX);
	for (i = 1; i <= RELAY_AUTHS_MAX; i++) {
		m.req = i;
		assert_int_equal(channel_send(r->far[ROLE_DELIVERY], MSG_relay_auth_result, &m), 0);
	}
	turn(r);
	assert_int_equal(relay_auths_count(r->v.relay_auths), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_plain),
	    TEST(test_refused),
	    TEST(test_misplaced),
	    TEST(test_no_mechanism),
	    TEST(test_scram),
	    TEST(test_hasher_lost),
	    TEST(test_databases),
	    TEST(test_token),
	    TEST(test_no_token),
	    TEST(test_given_up),
	    TEST(test_reload),
	    TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_OAUTH_RIG_H
#define TESTS_UNIT_OAUTH_RIG_H

/*
 * Accounts of OAuth in a vault whose authorization servers, parent and admin are played by the test.
 */
#include "tests/unit/vault_rig.h"

#include "vault/oauth.h"

#define DEVICE "oauth work provider microsoft user ann@a.example client-id cid\n"
#define CODE   "oauth home provider google user bob@b.example client-id gid client-secret hush\n"
#define CLIENT                                                                       \
	"oauth svc user svc@c.example grant client client-id sid client-secret pss " \
	"token-url \"https://c.example/token\"\n"

#define MS "https://login.microsoftonline.com/common/oauth2/v2.0/"
#define PROMPT                                                                        \
	"{\"device_code\":\"dc-secret\",\"user_code\":\"WDJB\",\"verification_uri\":" \
	"\"https://m.example/device\",\"expires_in\":900,\"interval\":5}"
#define TOKENS(at, rt)                                                          \
	"{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"" at \
	"\",\"refresh_token\":\"" rt "\"}"
#define TOKEN_ALONE(at) \
	"{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"" at "\"}"

static const uint8_t vault_key[32] = {42};
static char kept[IPC_SEALED_MAX];
static size_t kept_len;

static UNUSED void
start(struct rig *r, const char *conf)
{
	feed(r, IPC_DATA_SEAL_KEY, "", vault_key, sizeof(vault_key));
	configure(r, conf);
	tick(r);
}

static UNUSED void
login(struct rig *r, const char *label, const char *redirect, uint32_t req)
{
	const struct msg_oauth_login m = {.req = req, .label = label, .redirect = redirect};

	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_login, &m), 0);
	turn(r);
}

static UNUSED void
code(struct rig *r, const char *label, const char *text, const char *state, uint32_t req)
{
	const struct msg_oauth_code m = {.req = req, .label = label, .code = text, .state = state};

	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_code, &m), 0);
	turn(r);
}

static UNUSED const struct heard *
hear_fetch(struct rig *r, const char *url, const char *in_form)
{
	const struct heard *h = next(r, MSG_fetch);

	assert_string_equal(h->a, url);
	if (strstr(h->b, in_form) == NULL)
		fail_msg("'%s' is not in '%s'", in_form, h->b);
	return h;
}

static UNUSED void
assert_done(struct rig *r, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	const struct heard *h = next(r, MSG_oauth_done);

	assert_int_equal(h->req, req);
	if (h->n != (int64_t)outcome || strstr(h->a, text) == NULL)
		fail_msg("outcome %d, '%s'", (int)h->n, h->a);
}

static UNUSED void
keep_sealed(struct rig *r, const char *name, enum ipc_outcome outcome)
{
	const struct heard *h = next(r, MSG_seal);

	assert_string_equal(h->a, name);
	memcpy(kept, h->b, h->len);
	kept_len = h->len;
	assert_null(memmem(h->b, h->len, "refresh", 7));
	sealed(r, h, outcome);
}

/* The row of a label, as "label provider user grant consent". */
static UNUSED const struct heard *
row(struct rig *r)
{
	static struct heard h;
	const struct msg_oauth_list m = {.req = 99};

	assert_int_equal(channel_send(r->far[ROLE_CONTROL], MSG_oauth_list, &m), 0);
	h = *next(r, MSG_oauth_row);
	(void)next(r, MSG_oauth_end);
	return &h;
}

/* Consent by a device, until it is on disk. */
static UNUSED void
consent(struct rig *r, const char *tokens)
{
	login(r, "work", "", 1);
	fetched(r, hear_fetch(r, MS "devicecode", "client_id=cid&scope="), 200, PROMPT);
	(void)next(r, MSG_oauth_prompt);
	later(r, 5);
	fetched(r, hear_fetch(r, MS "token", "device_code=dc-secret&client_id=cid"), 200, tokens);
	keep_sealed(r, "work", IPC_OK);
	assert_done(r, 1, IPC_OK, "");
}

static struct oauth_wait waits[4];
static char got[4][64];

static UNUSED void
on_token(struct oauth_wait *w, const struct oauth_token *t)
{
	(void)snprintf(got[w - waits], sizeof(got[0]), "%s %s", t->token != NULL ? "token" : "-",
	    t->token != NULL ? t->token : t->why);
}

/* "token at", "- why", or "" while it waits. */
static UNUSED const char *
get(struct rig *r, const char *label, size_t n, uint32_t *again_s)
{
	struct oauth_token t;

	waits[n] = (struct oauth_wait){.done = on_token};
	got[n][0] = '\0';
	if (oauth_get(r->v.oauths, label, &waits[n], &t) != OAUTH_WAITS)
		on_token(&waits[n], &t);
	if (again_s != NULL)
		*again_s = t.again_s;
	turn(r);
	return got[n];
}

#endif

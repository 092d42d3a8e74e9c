/* SPDX-License-Identifier: ISC */
/*
 * An admin gives consent: by a code that is typed elsewhere (RFC 8628), or by one that a
 * browser comes back with (RFC 6749 4.1, bound to us by PKCE, RFC 7636).  Grants
 * that need no consent get a token, to see that they do.
 *
 * Invariants: an account has one login under way at most; each question of an admin gets
 * one end, OK only when the consent is on disk.  A login ends by itself in time, and lives on
 * without its asker, who may have typed the code already.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/oauth_form.h"
#include "vault/oauth_private.h"

#define BROWSER_MS	900000
#define SLOWER_MS	5000 /* RFC 8628 3.5 */
#define INTERVAL_MAX_MS 300000
#define REDIRECT	"http://localhost"
#define GRANT_DEVICE	"urn:ietf:params:oauth:grant-type:device_code"

struct oauth_login { /* owned by its account */
	struct oauth_account *account;
	struct channel *ch; /* who waits for the end; NULL: nobody any more */
	uint32_t req;
	struct oauth_fetch fetch;
	int64_t deadline_ms;

	/* a device */
	char device_code[IPC_URL_MAX + 1]; /* "": there is none yet */
	int64_t interval_ms, next_ms;

	/* a browser */
	char verifier[PKCE_SIZE], state[PKCE_SIZE];
	char redirect[IPC_NAME_MAX + 1];
};

void
oauth_login_free(struct oauth_login *l)
{
	if (l == NULL)
		return;
	l->account->login = NULL;
	oauth_fetch_cancel(&l->fetch);
	explicit_bzero(l, sizeof(*l));
	free(l);
}

void
oauth_login_end(struct oauth_login *l, enum ipc_outcome outcome, const char *text)
{
	oauth_reply(l->ch, l->req, MSG_oauth_done, outcome, text);
	oauth_login_free(l);
}

void
oauth_login_unlink(struct oauth_login *l, const struct channel *ch)
{
	if (l->ch == ch)
		l->ch = NULL;
}

void
oauth_login_hide(const struct oauth_login *l, char *text)
{
	str_hide(text, l->device_code, strlen(l->device_code));
	str_hide(text, l->verifier, strlen(l->verifier));
}

static int64_t
now_of(const struct oauth_login *l)
{
	return oauth_now_ms(l->account);
}

/* -- tokens are there -- */

static void
log_consent(const struct oauth_account *a, const char *event, const char *scope)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, event);
	logline_str(&l, "label", a->conf->name);
	logline_str(&l, "user", a->conf->user);
	if (scope[0] != '\0')
		logline_str(&l, "scope", scope);
	logline_end(&l);
}

/* What was kept before is of no more use, even where the server gives the same again. */
static void
keep_consent(struct oauth_login *l, const struct oauth_answer *answer)
{
	struct oauth_account *a = l->account;

	oauth_fetch_cancel(&a->renewal);
	(void)oauth_replace(&a->refresh, NULL);
	a->consent_s = service_now_s(a->all->vault->service);
	if (oauth_take_tokens(a, answer) == -1) {
		oauth_login_end(l, IPC_RETRY, "no memory");
		return;
	}
	log_consent(a, "oauth-consent", answer->scope);
	oauth_store_reply(a, l->ch, l->req, MSG_oauth_done);
	oauth_login_free(l);
	oauth_serve(a);
}

static void
on_tokens(struct oauth_login *l, const struct oauth_answer *answer)
{
	struct oauth_account *a = l->account;

	if (!oauth_needs_consent(a)) {
		bool ok = oauth_take_tokens(a, answer) == 0;

		oauth_login_end(l, ok ? IPC_OK : IPC_RETRY, ok ? "" : "no memory");
		oauth_serve(a);
	} else if (answer->refresh_token[0] == '\0') {
		oauth_login_end(l, IPC_FAIL,
		    "the server gave no refresh token: does the scope ask for offline access?");
	} else {
		keep_consent(l, answer);
	}
}

/* Any answer but tokens and what a device may be told. */
static void
on_refusal(struct oauth_login *l, const struct oauth_answer *answer)
{
	bool passes = answer->said == OAUTH_SAID_TROUBLE;

	oauth_login_end(l, passes ? IPC_RETRY : IPC_FAIL,
	    answer->text[0] != '\0' ? answer->text : "an answer to another question");
}

static void
on_last_answer(void *owner, const struct oauth_answer *answer)
{
	struct oauth_login *l = owner;

	if (answer->said == OAUTH_SAID_TOKENS)
		on_tokens(l, answer);
	else
		on_refusal(l, answer);
}

/* Takes the form.  The login may be gone afterwards. */
static void
post(struct oauth_login *l, const char *url, struct buf *form, int made)
{
	if (made == 0 && oauth_fetch_post(&l->fetch, url, form) == 0)
		return;
	buf_free(form);
	oauth_login_end(l, IPC_RETRY,
	    made == -1 ? "the question could not be made" : "smtpd-fetch can't be asked now");
}

/* -- a device -- */

static void
on_poll_answer(void *owner, const struct oauth_answer *answer)
{
	struct oauth_login *l = owner;
	bool slower = answer->said == OAUTH_SAID_SLOWER || answer->said == OAUTH_SAID_TROUBLE;

	if (!slower && answer->said != OAUTH_SAID_PENDING) {
		on_last_answer(l, answer);
		return;
	}
	if (slower)
		l->interval_ms += SLOWER_MS;
	if (l->interval_ms > INTERVAL_MAX_MS)
		l->interval_ms = INTERVAL_MAX_MS;
	l->next_ms = now_of(l) + l->interval_ms;
}

static int
poll_form(const struct oauth_login *l, struct buf *form)
{
	const struct conf_oauth *o = l->account->conf;

	if (form_add(form, "grant_type", GRANT_DEVICE) == -1 ||
	    form_add(form, "device_code", l->device_code) == -1 ||
	    form_add(form, "client_id", o->client_id) == -1)
		return -1;
	return form_add(form, "client_secret", o->client_secret);
}

/* Trouble on our side is no reason to end what an admin has half done. */
static void
poll_server(struct oauth_login *l)
{
	struct buf form;

	buf_init(&form, IPC_FETCH_MAX);
	l->fetch.done = on_poll_answer;
	l->next_ms = now_of(l) + l->interval_ms;
	if (poll_form(l, &form) == -1 ||
	    oauth_fetch_post(&l->fetch, l->account->conf->token_url, &form) == -1)
		log_debug("event=oauth-poll-failed");
	buf_free(&form);
}

static void
on_device(void *owner, const struct oauth_answer *answer)
{
	struct oauth_login *l = owner;
	struct msg_oauth_prompt m = {
	    .req = l->req, .how = IPC_OAUTH_DEVICE, .url = answer->url, .code = answer->user_code};

	if (answer->said != OAUTH_SAID_DEVICE) {
		on_refusal(l, answer);
		return;
	}
	str_cut(l->device_code, sizeof(l->device_code), answer->device_code);
	l->interval_ms = answer->interval_s * 1000;
	l->next_ms = now_of(l) + l->interval_ms;
	l->deadline_ms = now_of(l) + answer->expires_s * 1000;
	m.expires_s = service_now_s(l->account->all->vault->service) + answer->expires_s;
	if (l->ch != NULL)
		(void)channel_send(l->ch, MSG_oauth_prompt, &m);
}

static void
begin_device(struct oauth_login *l)
{
	const struct conf_oauth *o = l->account->conf;
	struct buf form;
	int rc;

	buf_init(&form, IPC_FETCH_MAX);
	l->fetch.done = on_device;
	l->deadline_ms = now_of(l) + BROWSER_MS;
	rc = form_add(&form, "client_id", o->client_id) == -1 ? -1
							      : form_add(&form, "scope", o->scope);
	post(l, o->device_url, &form, rc);
}

/* -- a browser -- */

static int
make_random(char dst[PKCE_SIZE])
{
	uint8_t octets[32];
	char text[BASE64_SIZE(sizeof(octets))];
	int rc;

	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return -1;
	(void)base64url_encode(octets, sizeof(octets), text);
	rc = str_copy(dst, PKCE_SIZE, text);
	explicit_bzero(octets, sizeof(octets));
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* Google gives a refresh token, each time, only to who asks for it by the last two. */
static int
browser_url(const struct oauth_login *l, struct buf *url)
{
	const struct conf_oauth *o = l->account->conf;
	bool google = o->provider == CONF_OAUTH_GOOGLE;
	char challenge[PKCE_SIZE];
	const struct {
		const char *name, *value;
	} fields[] = {
	    {"response_type", "code"},
	    {"client_id", o->client_id},
	    {"redirect_uri", l->redirect},
	    {"scope", o->scope},
	    {"state", l->state},
	    {"code_challenge", challenge},
	    {"code_challenge_method", "S256"},
	    {"login_hint", o->user},
	    {"access_type", google ? "offline" : NULL},
	    {"prompt", google ? "consent" : NULL},
	};
	size_t i;

	if (pkce_challenge(l->verifier, challenge) == -1 ||
	    buf_append_str(url, o->auth_url) == -1 ||
	    (strchr(o->auth_url, '?') == NULL && buf_append_str(url, "?") == -1))
		return -1;
	for (i = 0; i < NITEMS(fields); i++)
		if (form_add(url, fields[i].name, fields[i].value) == -1)
			return -1;
	return buf_append(url, "", 1);
}

/* The prompt is the last answer to this question; the code comes with another. */
static void
begin_browser(struct oauth_login *l)
{
	struct msg_oauth_prompt m = {.req = l->req, .how = IPC_OAUTH_BROWSER, .code = ""};
	struct buf url;

	buf_init(&url, IPC_URL_MAX + 1);
	l->deadline_ms = now_of(l) + BROWSER_MS;
	if (make_random(l->verifier) == -1 || make_random(l->state) == -1 ||
	    browser_url(l, &url) == -1) {
		oauth_login_end(l, IPC_FAIL, "the URL could not be made: is it too long?");
	} else {
		m.url = (const char *)buf_head(&url);
		m.expires_s = service_now_s(l->account->all->vault->service) + BROWSER_MS / 1000;
		if (l->ch != NULL)
			(void)channel_send(l->ch, MSG_oauth_prompt, &m);
		l->ch = NULL;
	}
	buf_free(&url);
}

static int
code_form(const struct oauth_login *l, const char *code, struct buf *form)
{
	const struct conf_oauth *o = l->account->conf;

	if (form_add(form, "grant_type", "authorization_code") == -1 ||
	    form_add(form, "code", code) == -1 ||
	    form_add(form, "redirect_uri", l->redirect) == -1 ||
	    form_add(form, "client_id", o->client_id) == -1 ||
	    form_add(form, "client_secret", o->client_secret) == -1)
		return -1;
	return form_add(form, "code_verifier", l->verifier);
}

/* Is it for the browser that was sent out?  A bare code has no state: PKCE binds it to us. */
static bool
is_state(const struct oauth_login *l, const char *state)
{
	size_t len = strlen(l->state);

	return state[0] == '\0' ||
	       (strlen(state) == len && CRYPTO_memcmp(state, l->state, len) == 0);
}

static const char *
code_fault(const struct oauth_account *a, const struct msg_oauth_code *m)
{
	if (a == NULL || a->login == NULL || a->conf->grant != CONF_OAUTH_CODE)
		return "no login of that label waits for a code: smtpctl oauth login";
	if (a->login->fetch.ask != 0)
		return "a code is being looked at already";
	if (!is_state(a->login, m->state))
		return "the code is of another login";
	return m->code[0] == '\0' ? "there is no code" : NULL;
}

void
oauth_on_code(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_oauth_code *m = &msg->oauth_code;
	struct vault *v = ctx;
	struct oauth_account *a = oauth_account_find(v->oauths, m->label);
	const char *fault = code_fault(a, m);
	struct oauth_login *l;
	struct buf form;

	(void)fd;
	if (fault != NULL) {
		oauth_reply(ch, m->req, MSG_oauth_done, IPC_FAIL, fault);
		return;
	}
	l = a->login;
	l->ch = ch;
	l->req = m->req;
	l->fetch.done = on_last_answer;
	buf_init(&form, IPC_FETCH_MAX);
	post(l, a->conf->token_url, &form, code_form(l, m->code, &form));
}

/* -- no consent is needed -- */

static void
begin_token(struct oauth_login *l)
{
	struct buf form;
	int rc;

	buf_init(&form, IPC_FETCH_MAX);
	l->fetch.done = on_last_answer;
	l->deadline_ms = now_of(l) + BROWSER_MS;
	rc = oauth_renew_form(l->account, &form);
	post(l, l->account->conf->token_url, &form, rc);
}

/* -- any login -- */

static void
login_begin(struct oauth_account *a, struct channel *ch, const struct msg_oauth_login *m)
{
	static void (*const begins[])(struct oauth_login *) = {
	    [CONF_OAUTH_DEVICE] = begin_device,
	    [CONF_OAUTH_CODE] = begin_browser,
	    [CONF_OAUTH_CLIENT] = begin_token,
	    [CONF_OAUTH_JWT] = begin_token,
	};
	struct oauth_login *l;

	if (a->login != NULL)
		oauth_login_end(a->login, IPC_FAIL, "another login took its place");
	if ((l = calloc(1, sizeof(*l))) == NULL) {
		oauth_reply(ch, m->req, MSG_oauth_done, IPC_RETRY, "no memory");
		return;
	}
	a->login = l;
	l->account = a;
	l->ch = ch;
	l->req = m->req;
	l->fetch.account = a;
	l->fetch.owner = l;
	str_cut(l->redirect, sizeof(l->redirect), m->redirect[0] == '\0' ? REDIRECT : m->redirect);
	begins[a->conf->grant](l);
}

void
oauth_on_login(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_oauth_login *m = &msg->oauth_login;
	struct vault *v = ctx;
	struct oauth_account *a = oauth_account_find(v->oauths, m->label);

	(void)fd;
	if (a == NULL)
		oauth_reply(ch, m->req, MSG_oauth_done, IPC_FAIL, "no oauth of that name");
	else
		login_begin(a, ch, m);
}

void
oauth_login_tick(struct oauth_login *l)
{
	if (l->deadline_ms <= now_of(l))
		oauth_login_end(l, IPC_FAIL, "it took too long");
	else if (l->device_code[0] != '\0' && l->fetch.ask == 0 && l->next_ms <= now_of(l))
		poll_server(l);
}

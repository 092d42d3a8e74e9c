/* SPDX-License-Identifier: ISC */
/*
 * Access tokens: asked for before they run out, one question of an account at a time.
 *
 * Invariant: whatever the answer is, the account knows afterwards when to ask again,
 * and who waits has been told.  A refresh token that takes the place of another is
 * on its way to the disk before it is used.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/jwt.h"
#include "vault/oauth_form.h"
#include "vault/oauth_private.h"

#define EARLY_MS       300000 /* before it runs out, or a fifth of a shorter life */
#define MARGIN_MS      30000  /* a token this near to its end is not lent; or a tenth of its life */
#define OFTEN_MS       5000   /* as often at most, however short a life a server gives them */
#define RETRY_MS       10000  /* after a failure, twice as long after each further one */
#define RETRY_MAX_MS   600000
#define LOST_RETRY_MS  3600000 /* a server may have been wrong about a consent */
#define SETUP_RETRY_MS 600000

/* -- the question -- */

#define GRANT_JWT     "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define ASSERTION_JWT "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static int
refresh_form(struct oauth_account *a, struct buf *form)
{
	const struct conf_oauth *o = a->conf;

	if (form_add(form, "grant_type", "refresh_token") == -1 ||
	    form_add(form, "refresh_token", a->refresh) == -1 ||
	    form_add(form, "client_id", o->client_id) == -1)
		return -1;
	return form_add(form, "client_secret", o->client_secret);
}

/* RFC 6749 4.4 */
static int
client_form(struct oauth_account *a, struct buf *form)
{
	const struct conf_oauth *o = a->conf;

	if (form_add(form, "grant_type", "client_credentials") == -1 ||
	    form_add(form, "client_id", o->client_id) == -1 ||
	    form_add(form, "client_secret", o->client_secret) == -1)
		return -1;
	return form_add(form, "scope", o->scope);
}

static int
assertion_make(struct oauth_account *a, const char *subject, const char *scope, struct buf *out)
{
	const struct conf_oauth *o = a->conf;
	const struct jwt_claims claims = {.issuer = o->client_id,
	    .subject = subject,
	    .audience = o->audience != NULL ? o->audience : o->token_url,
	    .scope = scope,
	    .key_id = o->key_id,
	    .now_s = service_now_s(a->all->vault->service)};

	if (a->key == NULL || jwt_make(a->key, &claims, out) == -1)
		return -1;
	return buf_append(out, "", 1);
}

/* RFC 7523 2.1: the service account asks for a token of the user. */
static int
grant_form(struct oauth_account *a, struct buf *assertion, struct buf *form)
{
	if (assertion_make(a, a->conf->user, a->conf->scope, assertion) == -1 ||
	    form_add(form, "grant_type", GRANT_JWT) == -1)
		return -1;
	return form_add(form, "assertion", (const char *)buf_head(assertion));
}

/* RFC 7523 2.2: the assertion is in the place of a client's secret; that is all Microsoft has. */
static int
client_assertion_form(struct oauth_account *a, struct buf *assertion, struct buf *form)
{
	const struct conf_oauth *o = a->conf;

	if (assertion_make(a, o->client_id, NULL, assertion) == -1 ||
	    form_add(form, "grant_type", "client_credentials") == -1 ||
	    form_add(form, "client_id", o->client_id) == -1 ||
	    form_add(form, "scope", o->scope) == -1 ||
	    form_add(form, "client_assertion_type", ASSERTION_JWT) == -1)
		return -1;
	return form_add(form, "client_assertion", (const char *)buf_head(assertion));
}

static int
jwt_form(struct oauth_account *a, struct buf *form)
{
	struct buf assertion;
	int rc;

	buf_init(&assertion, JWT_MAX);
	if (a->conf->provider == CONF_OAUTH_MICROSOFT)
		rc = client_assertion_form(a, &assertion, form);
	else
		rc = grant_form(a, &assertion, form);
	buf_free(&assertion);
	return rc;
}

int
oauth_renew_form(struct oauth_account *a, struct buf *form)
{
	static int (*const forms[])(struct oauth_account *, struct buf *) = {
	    [CONF_OAUTH_DEVICE] = refresh_form,
	    [CONF_OAUTH_CODE] = refresh_form,
	    [CONF_OAUTH_CLIENT] = client_form,
	    [CONF_OAUTH_JWT] = jwt_form,
	};

	return forms[a->conf->grant](a, form);
}

/* -- the answer -- */

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int
oauth_take_tokens(struct oauth_account *a, const struct oauth_answer *answer)
{
	int64_t now_ms = oauth_now_ms(a), life_ms = answer->expires_s * 1000;

	if (oauth_replace(&a->access, answer->access_token) == -1)
		return -1;
	a->renewed_ms = now_ms;
	a->until_ms = now_ms + life_ms - smaller(MARGIN_MS, life_ms / 10);
	a->renew_ms = now_ms + life_ms - smaller(EARLY_MS, life_ms / 5);
	if (a->renew_ms < now_ms + OFTEN_MS)
		a->renew_ms = now_ms + OFTEN_MS;
	a->retry_ms = 0;
	a->failures = 0;
	a->lost = false;
	oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN, "");
	if (!oauth_needs_consent(a) || answer->refresh_token[0] == '\0' ||
	    (a->refresh != NULL && strcmp(a->refresh, answer->refresh_token) == 0))
		return 0;
	if (oauth_replace(&a->refresh, answer->refresh_token) == -1)
		return -1;
	oauth_store(a);
	return 0;
}

static void
log_renewal(const struct oauth_account *a, enum log_level level, const char *event)
{
	int64_t now_ms = oauth_now_ms(a);
	struct logline l;

	logline_start(&l, level, event);
	logline_str(&l, "label", a->conf->name);
	logline_str(&l, "user", a->conf->user);
	if (a->trouble[0] != '\0') {
		logline_str(&l, "why", a->trouble);
		logline_i64(&l, "again-s", (a->retry_ms - now_ms) / 1000);
	} else {
		logline_i64(&l, "good-s", (a->until_ms - now_ms) / 1000);
	}
	logline_end(&l);
}

static void
on_failure(struct oauth_account *a, enum oauth_said said, const char *text)
{
	int64_t now_ms = oauth_now_ms(a), wait_ms = RETRY_MS;
	unsigned int i;

	for (i = 0; i < a->failures && wait_ms < RETRY_MAX_MS; i++)
		wait_ms *= 2;
	a->failures++;
	oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN, text);
	a->retry_ms = now_ms + smaller(wait_ms, RETRY_MAX_MS);
	if (said == OAUTH_SAID_SETUP)
		a->retry_ms = now_ms + SETUP_RETRY_MS;
	log_renewal(a, LOG_LEVEL_WARN, "oauth-renewal-failed");
}

/* Nothing but an admin can help: this line is the alarm. */
static void
on_lost(struct oauth_account *a, const char *text)
{
	char whole[IPC_TEXT_MAX];

	a->lost = true;
	a->retry_ms = oauth_now_ms(a) + LOST_RETRY_MS;
	(void)snprintf(whole, sizeof(whole),
	    "consent was revoked, or has expired: smtpctl oauth login; the server says: %s", text);
	oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN, whole);
	log_renewal(a, LOG_LEVEL_WARN, "oauth-consent-lost");
}

static void
on_answer(void *owner, const struct oauth_answer *answer)
{
	struct oauth_account *a = owner;

	if (answer->said == OAUTH_SAID_TOKENS && oauth_take_tokens(a, answer) == 0)
		log_renewal(a, LOG_LEVEL_INFO, "oauth-renewed");
	else if (answer->said == OAUTH_SAID_TOKENS)
		on_failure(a, OAUTH_SAID_TROUBLE, "no memory");
	else if (answer->said == OAUTH_SAID_LOST && oauth_needs_consent(a))
		on_lost(a, answer->text);
	else
		on_failure(a, answer->said,
		    answer->text[0] != '\0' ? answer->text : "not the answer to a renewal");
	oauth_serve(a);
}

void
oauth_renew(struct oauth_account *a)
{
	struct buf form;

	if (a->renewal.ask != 0)
		return;
	buf_init(&form, IPC_FETCH_MAX);
	a->renewal.done = on_answer;
	a->renewal.owner = a;
	if (oauth_renew_form(a, &form) == -1)
		on_failure(a, OAUTH_SAID_SETUP, "the question could not be made: is there a key?");
	else if (oauth_fetch_post(&a->renewal, a->conf->token_url, &form) == -1)
		on_failure(a, OAUTH_SAID_TROUBLE, "smtpd-fetch can't be asked now");
	buf_free(&form);
	if (a->renewal.ask == 0)
		oauth_serve(a);
}

/* SPDX-License-Identifier: ISC */
/*
 * The accounts of OAuth: those of smtpd.conf, from one configuration to the next, and who
 * wants a token of them.
 *
 * Invariants: an account whose client, user or server is another than before is another
 * account, and knows nothing of the one before; whoever waits is told once.  A
 * token is lent only while it is good.  Nothing that a server says is fatal.
 */
#include "vault/oauth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "vault/json_doc.h"
#include "vault/jwt.h"
#include "vault/oauth_private.h"
#include "vault/staged.h"

#define REFUSED_MS	10000 /* a token this young that is refused is not renewed for that */
#define REFUSED_AGAIN_S 5
#define RENEWALS_MAX	32 /* under way at once; logins, which can't wait, come on top */

int64_t
oauth_now_ms(const struct oauth_account *a)
{
	return service_now_ms(a->all->vault->service);
}

bool
oauth_needs_consent(const struct oauth_account *a)
{
	return a->conf->grant == CONF_OAUTH_DEVICE || a->conf->grant == CONF_OAUTH_CODE;
}

void
oauth_set_trouble(struct oauth_account *a, enum oauth_trouble of, const char *text)
{
	str_cut(a->trouble, sizeof(a->trouble), text);
	a->trouble_of = of;
}

void
oauth_end_trouble(struct oauth_account *a, enum oauth_trouble of)
{
	if (a->trouble_of == of)
		oauth_set_trouble(a, of, "");
}

int
oauth_replace(char **secret, const char *value)
{
	char *copy = value == NULL ? NULL : strdup(value);

	if (value != NULL && copy == NULL)
		return -1;
	if (*secret != NULL)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = copy;
	return 0;
}

struct oauth_account *
oauth_account_find(const struct oauths *os, const char *label)
{
	struct oauth_account *a;

	TAILQ_FOREACH (a, &os->accounts, entry)
		if (strcmp(a->conf->name, label) == 0)
			return a;
	return NULL;
}

/* -- life -- */

struct oauths *
oauths_create(struct vault *v)
{
	struct oauths *os;

	if (json_doc_prepare() == -1 || (os = calloc(1, sizeof(*os))) == NULL)
		return NULL;
	os->vault = v;
	TAILQ_INIT(&os->accounts);
	if ((os->staged = staged_create()) != NULL)
		return os;
	free(os);
	return NULL;
}

static void
account_free(struct oauth_account *a)
{
	TAILQ_REMOVE(&a->all->accounts, a, entry);
	oauth_login_free(a->login);
	oauth_fetch_cancel(&a->renewal);
	jwt_key_free(a->key);
	(void)oauth_replace(&a->access, NULL);
	(void)oauth_replace(&a->refresh, NULL);
	explicit_bzero(a, sizeof(*a));
	free(a);
}

void
oauths_free(struct oauths *os)
{
	if (os == NULL)
		return;
	while (!TAILQ_EMPTY(&os->accounts))
		account_free(TAILQ_FIRST(&os->accounts));
	staged_free(os->staged);
	explicit_bzero(os, sizeof(*os));
	free(os);
}

/* Smtpd.conf has it no more, or as another. */
static void
account_end(struct oauth_account *a)
{
	size_t i;

	if (a->login != NULL)
		oauth_login_end(a->login, IPC_FAIL, "smtpd.conf has changed");
	for (i = 0; i < a->nreplies; i++)
		oauth_reply(a->replies[i].ch, a->replies[i].req, a->replies[i].type, IPC_RETRY,
		    "smtpd.conf has changed");
	ask_end(service_asks(a->all->vault->service), a->seal_ask);
	oauth_fetch_cancel(&a->renewal);
	(void)oauth_replace(&a->access, NULL);
	oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN, "smtpd.conf has changed");
	a->retry_ms = 0;
	oauth_serve(a);
	account_free(a);
}

/* -- configuration -- */

int
oauths_feed(struct oauths *os, const struct msg_file_data *piece)
{
	return staged_feed(os->staged, piece);
}

/* Is the key another than before? */
static bool
configure_sealer(struct oauths *os)
{
	struct sealer before = os->sealer;
	struct span key;
	bool is_another;

	if (staged_find(os->staged, IPC_DATA_SEAL_KEY, "", &key) &&
	    sealer_set_key(&os->sealer, key) == -1)
		log_warn("event=vault-key-unusable error=\"%s\"", strerror(errno));
	is_another = CRYPTO_memcmp(before.key, os->sealer.key, sizeof(before.key)) != 0;
	explicit_bzero(&before, sizeof(before));
	return is_another && os->sealer.has_key;
}

/* What is on disk was sealed by a key that may be gone. */
static void
seal_again(struct oauths *os)
{
	struct oauth_account *a;

	TAILQ_FOREACH (a, &os->accounts, entry)
		if (a->refresh != NULL)
			oauth_store(a);
}

/* A token for one server must never be sent to another. */
static int
make_binding(const struct conf_oauth *o, char dst[OAUTH_BINDING_SIZE])
{
	const char *const parts[] = {o->token_url, o->client_id, o->user};
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct buf text;
	size_t i;
	int rc = -1;

	buf_init(&text, 0x10000);
	for (i = 0; i < NITEMS(parts); i++)
		if (buf_append(&text, parts[i], strlen(parts[i]) + 1) == -1)
			goto out;
	if (SHA256(buf_head(&text), text.len, hash) == NULL)
		goto out;
	for (i = 0; i < sizeof(hash); i++)
		(void)snprintf(dst + 2 * i, 3, "%02x", hash[i]);
	rc = 0;
out:
	buf_free(&text);
	return rc;
}

static struct oauth_account *
account_create(struct oauths *os, const struct conf_oauth *o)
{
	struct oauth_account *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->all = os;
	a->conf = o;
	a->renewal.account = a;
	TAILQ_INIT(&a->waits);
	TAILQ_INSERT_TAIL(&os->accounts, a, entry);
	return a;
}

static void
configure_key(struct oauth_account *a)
{
	struct span pem;

	if (a->conf->grant != CONF_OAUTH_JWT ||
	    !staged_find(a->all->staged, IPC_DATA_OAUTH_KEY, a->conf->name, &pem))
		return;
	jwt_key_free(a->key);
	a->key = jwt_key_read(pem);
	a->retry_ms = 0;
}

static void
log_label(const struct oauth_account *a, enum log_level level, const char *event)
{
	struct logline l;

	logline_start(&l, level, event);
	logline_str(&l, "label", a->conf->name);
	logline_str(&l, "user", a->conf->user);
	if (a->trouble[0] != '\0')
		logline_str(&l, "why", a->trouble);
	logline_end(&l);
}

/* What it has when the configuration is whole: what is here is newer than what is on disk. */
static void
look_at(struct oauth_account *a)
{
	configure_key(a);
	if (a->conf->grant == CONF_OAUTH_JWT && a->key == NULL) {
		oauth_set_trouble(a, OAUTH_TROUBLE_TOKEN,
		    "its key can't be read, or is no RSA key of 2048 bits or more");
		log_label(a, LOG_LEVEL_WARN, "oauth-key-unusable");
	}
	if (a->loaded || !oauth_needs_consent(a))
		return;
	oauth_load(a);
	if (a->refresh != NULL)
		return;
	if (a->trouble[0] == '\0')
		oauth_set_trouble(
		    a, OAUTH_TROUBLE_TOKEN, "nobody has given consent yet: smtpctl oauth login");
	log_label(a, LOG_LEVEL_WARN, "oauth-consent-missing");
}

/* Which account goes with which statement now; the others end. */
static void
match_accounts(struct oauths *os, const struct conf *conf)
{
	struct oauth_account *a, *next;

	for (a = TAILQ_FIRST(&os->accounts); a != NULL; a = next) {
		const struct conf_oauth *o = conf_oauth_find(conf, a->conf->name);
		char binding[OAUTH_BINDING_SIZE];

		next = TAILQ_NEXT(a, entry);
		if (o != NULL && o->grant == a->conf->grant && make_binding(o, binding) == 0 &&
		    strcmp(binding, a->binding) == 0)
			a->conf = o;
		else
			account_end(a);
	}
}

int
oauths_configure(struct oauths *os, const struct conf *conf)
{
	struct oauth_account *a;
	bool is_another_key;
	size_t i;

	is_another_key = configure_sealer(os);
	match_accounts(os, conf);
	if (is_another_key)
		seal_again(os);
	for (i = 0; i < conf->noauths; i++) {
		if ((a = oauth_account_find(os, conf->oauths[i].name)) == NULL &&
		    ((a = account_create(os, &conf->oauths[i])) == NULL ||
			make_binding(a->conf, a->binding) == -1))
			return -1;
		look_at(a);
	}
	staged_drop(os->staged);
	return 0;
}

/* -- who wants a token -- */

/* What there is to be had now. */
static enum oauth_got
look_up(const struct oauth_account *a, struct oauth_token *out)
{
	int64_t now_ms = oauth_now_ms(a), left_ms = a->retry_ms - now_ms;

	*out = (struct oauth_token){.user = a->conf->user, .why = a->trouble, .again_s = 1};
	if (a->trouble[0] == '\0')
		out->why = "there is no token yet";
	if (a->access != NULL && now_ms < a->until_ms) {
		out->token = a->access;
		return OAUTH_GOT;
	}
	if (a->renewal.ask != 0)
		return OAUTH_WAITS;
	if (left_ms > 0)
		out->again_s = (uint32_t)(left_ms / 1000 + 1);
	if (a->lost || (oauth_needs_consent(a) && a->refresh == NULL) ||
	    out->again_s > OAUTH_AGAIN_S)
		out->again_s = OAUTH_AGAIN_S;
	return OAUTH_TROUBLE;
}

static bool
may_renew(const struct oauth_account *a)
{
	if (a->renewal.ask != 0 || a->retry_ms > oauth_now_ms(a))
		return false;
	return !oauth_needs_consent(a) || a->refresh != NULL;
}

enum oauth_got
oauth_get(struct oauths *os, const char *label, struct oauth_wait *w, struct oauth_token *out)
{
	struct oauth_account *a = oauth_account_find(os, label);
	enum oauth_got got;

	*out = (struct oauth_token){.user = "", .why = "no oauth of that name", .again_s = 60};
	if (a == NULL)
		return OAUTH_TROUBLE;
	if ((got = look_up(a, out)) == OAUTH_TROUBLE && may_renew(a)) {
		oauth_renew(a);
		got = look_up(a, out);
	}
	if (got == OAUTH_WAITS) {
		w->account = a;
		TAILQ_INSERT_TAIL(&a->waits, w, entry);
	}
	return got;
}

void
oauth_wait_cancel(struct oauth_wait *w)
{
	if (w->account != NULL)
		TAILQ_REMOVE(&w->account->waits, w, entry);
	w->account = NULL;
}

void
oauth_serve(struct oauth_account *a)
{
	struct oauth_token token;
	struct oauth_wait *w;

	while (look_up(a, &token) != OAUTH_WAITS && (w = TAILQ_FIRST(&a->waits)) != NULL) {
		oauth_wait_cancel(w);
		w->done(w, &token);
	}
}

void
oauth_accepted(struct oauths *os, const char *label)
{
	struct oauth_account *a = oauth_account_find(os, label);

	if (a != NULL)
		oauth_end_trouble(a, OAUTH_TROUBLE_LOGIN);
}

/*
 * Revoked, or not for this: a new one shows.  But a server that takes none must not make us
 * ask for one token after the other.
 */
uint32_t
oauth_refused(struct oauths *os, const char *label, struct span token, const char *why)
{
	struct oauth_account *a = oauth_account_find(os, label);
	char text[IPC_TEXT_MAX];

	if (a == NULL || a->access == NULL || strlen(a->access) != token.len ||
	    CRYPTO_memcmp(a->access, token.data, token.len) != 0)
		return REFUSED_AGAIN_S; /* there is another by now */
	(void)snprintf(text, sizeof(text), "the mail server refuses the token: %s", why);
	oauth_set_trouble(a, OAUTH_TROUBLE_LOGIN, text);
	if (oauth_now_ms(a) - a->renewed_ms < REFUSED_MS)
		return OAUTH_AGAIN_S;
	(void)oauth_replace(&a->access, NULL);
	a->renew_ms = oauth_now_ms(a);
	return REFUSED_AGAIN_S;
}

/* -- time -- */

/* Each in its time, and not all at once: smtpd-fetch has no room for that. */
static void
renew_some(struct oauths *os)
{
	const struct service *s = os->vault->service;
	struct oauth_account *a;
	size_t n = 0;

	if (service_peer(s, ROLE_FETCH, 0) == NULL || service_is_draining(s))
		return;
	TAILQ_FOREACH (a, &os->accounts, entry)
		n += a->renewal.ask != 0;
	TAILQ_FOREACH (a, &os->accounts, entry) {
		if (n >= RENEWALS_MAX)
			return;
		if (a->renew_ms > oauth_now_ms(a) || !may_renew(a))
			continue;
		oauth_renew(a);
		n += a->renewal.ask != 0;
	}
}

static void
account_tick(struct oauth_account *a)
{
	if (a->login != NULL)
		oauth_login_tick(a->login);
	oauth_store_tick(a);
}

void
oauths_tick(struct oauths *os)
{
	struct oauth_account *a;

	renew_some(os);
	TAILQ_FOREACH (a, &os->accounts, entry)
		account_tick(a);
}

/* With a server that gives each refresh token once, an answer that is lost is the consent lost. */
bool
oauths_is_busy(const struct oauths *os)
{
	const struct oauth_account *a;

	TAILQ_FOREACH (a, &os->accounts, entry)
		if (a->renewal.ask != 0 || a->seal_ask != 0)
			return true;
	return false;
}

void
oauths_unlink(struct oauths *os, const struct channel *ch)
{
	struct oauth_account *a;

	TAILQ_FOREACH (a, &os->accounts, entry) {
		oauth_store_unlink(a, ch);
		if (a->login != NULL)
			oauth_login_unlink(a->login, ch);
	}
}

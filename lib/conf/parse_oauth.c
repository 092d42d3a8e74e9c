/* SPDX-License-Identifier: ISC */
/*
 * "oauth": how this server gets leave to send as a mailbox of somebody else's
 * service (RFC 6749), and what is known of two of these services.
 *
 * Invariant: after it, all that the grant needs is there; but in what a role gets,
 * which has a part of it, and the word "elsewhere" for the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/check.h"
#include "lib/conf/check_url.h"
#include "lib/conf/dump.h"
#include "lib/conf/option.h"

#define P CONF_FOR_PARENT
#define V CONF_FOR_VAULT
#define F CONF_FOR_FETCH

#define ROW(word, type, member, value, roles)                                                \
	{                                                                                    \
		word, OPTION_##type, offsetof(struct conf_oauth, member), value, OAUTH_KIND, \
		    (roles) | P, SERVICE_STRING,                                             \
		{                                                                            \
			NULL                                                                 \
		}                                                                            \
	}
/* clang-format off */
static const struct option oauth_rows[] = {
    ROW("provider", WORD, provider, OPTION_WORDS_PROVIDERS, V),
    ROW("grant", WORD, grant, OPTION_WORDS_GRANTS, V),
    ROW("user", ADDRESS, user, 0, V),
    ROW("tenant", NAME, tenant, 0, 0),
    ROW("client-id", STRING, client_id, 0, V),
    ROW("client-secret", SECRET, client_secret, 0, V),
    ROW("scope", STRING, scope, 0, V),
    ROW("device-url", HTTPS, device_url, 0, V | F),
    ROW("auth-url", HTTPS, auth_url, 0, V),
    ROW("token-url", HTTPS, token_url, 0, V | F),
    ROW("key", PATH, key, 0, 0),
    ROW("key-id", STRING, key_id, 0, V),
    ROW("audience", STRING, audience, 0, V),
};
/* clang-format on */
const struct option_table oauth_options = {"oauth", oauth_rows, NITEMS(oauth_rows)};

/* -- what is known of providers -- */

#define GOOGLE_TOKEN "https://oauth2.googleapis.com/token"
#define MICROSOFT    "https://login.microsoftonline.com/%s/oauth2/v2.0/"

struct preset {			     /* "%s" is the tenant */
	enum conf_oauth_grant grant; /* where none is given */
	const char *device_url, *auth_url, *token_url;
	const char *scope;	  /* where a person consents */
	const char *client_scope; /* where a service account acts */
	const char *audience;
};

static const struct preset presets[] = {
    [CONF_OAUTH_OTHER] = {.grant = CONF_OAUTH_CODE},
    [CONF_OAUTH_GOOGLE] = {CONF_OAUTH_CODE, NULL, "https://accounts.google.com/o/oauth2/v2/auth",
	GOOGLE_TOKEN, "https://mail.google.com/", "https://mail.google.com/", GOOGLE_TOKEN},
    [CONF_OAUTH_MICROSOFT] = {CONF_OAUTH_DEVICE, MICROSOFT "devicecode", MICROSOFT "authorize",
	MICROSOFT "token", "https://outlook.office.com/SMTP.Send offline_access",
	"https://outlook.office365.com/.default", NULL},
};

/* Puts it where nothing was given. */
static int
preset_take(
    struct parser *p, char **member, const char *before, const char *tenant, const char *after)
{
	char text[CONF_STRING_MAX + 1];

	if (*member != NULL)
		return 0;
	if (str_format(text, sizeof(text), "%s%s%s", before, tenant, after) == -1)
		return parse_fail(p, "the tenant's name is too long");
	if ((*member = strdup(text)) == NULL)
		return parse_fail(p, "out of memory");
	return 0;
}

static int
preset_fill(struct parser *p, char **member, const char *text, const char *tenant)
{
	char before[CONF_STRING_MAX + 1];
	const char *mark;

	if (text == NULL)
		return 0;
	if ((mark = strstr(text, "%s")) == NULL)
		return preset_take(p, member, text, "", "");
	(void)snprintf(before, sizeof(before), "%.*s", (int)(mark - text), text);
	return preset_take(p, member, before, tenant, mark + 2);
}

static bool
needs_device_url(const struct conf_oauth *o)
{
	return o->grant == CONF_OAUTH_DEVICE;
}

static bool
is_personal(const struct conf_oauth *o)
{
	return o->grant == CONF_OAUTH_DEVICE || o->grant == CONF_OAUTH_CODE;
}

static int
presets_fill(struct parser *p, struct conf_oauth *o)
{
	const struct preset *preset = &presets[o->provider];
	const char *tenant = o->tenant == NULL ? "common" : o->tenant;

	if (needs_device_url(o) && preset_fill(p, &o->device_url, preset->device_url, tenant) == -1)
		return -1;
	if (o->grant == CONF_OAUTH_CODE &&
	    preset_fill(p, &o->auth_url, preset->auth_url, tenant) == -1)
		return -1;
	if (o->grant == CONF_OAUTH_JWT &&
	    preset_fill(p, &o->audience, preset->audience, tenant) == -1)
		return -1;
	if (preset_fill(
		p, &o->scope, is_personal(o) ? preset->scope : preset->client_scope, tenant) == -1)
		return -1;
	return preset_fill(p, &o->token_url, preset->token_url, tenant);
}

/* -- what is wrong with one -- */

static const char *
oauth_lacks(const struct conf_oauth *o)
{
	if (o->user == NULL)
		return "'oauth' needs 'user': the mailbox that it sends as";
	if (o->client_id == NULL)
		return "'oauth' needs 'client-id': what the provider calls this server";
	if (o->provider == CONF_OAUTH_MICROSOFT && !is_personal(o) && o->tenant == NULL)
		return "a service account of microsoft needs 'tenant'";
	if (o->grant == CONF_OAUTH_CLIENT && o->client_secret == NULL)
		return "'grant client' needs 'client-secret'";
	if (o->grant == CONF_OAUTH_JWT && o->key == NULL)
		return "'grant jwt' needs 'key'";
	if (o->token_url == NULL)
		return "without a known 'provider', 'oauth' needs 'token-url'";
	if (needs_device_url(o) && o->device_url == NULL)
		return "without a known 'provider', 'grant device' needs 'device-url'";
	if (o->grant == CONF_OAUTH_CODE && o->auth_url == NULL)
		return "without a known 'provider', 'grant code' needs 'auth-url'";
	return NULL;
}

static const char *
oauth_contradiction(const struct conf_oauth *o)
{
	if (o->provider == CONF_OAUTH_GOOGLE && o->grant == CONF_OAUTH_DEVICE)
		return "google's devices may not send mail: take 'grant code'";
	if (o->provider == CONF_OAUTH_GOOGLE && o->grant == CONF_OAUTH_CLIENT)
		return "google's service accounts have keys: take 'grant jwt'";
	if (o->provider != CONF_OAUTH_MICROSOFT && o->tenant != NULL)
		return "'tenant' is microsoft's";
	if (o->grant != CONF_OAUTH_JWT &&
	    (o->key != NULL || o->key_id != NULL || o->audience != NULL))
		return "'key', 'key-id' and 'audience' are for 'grant jwt'";
	return NULL;
}

static int
oauth_check(struct parser *p, const struct conf_oauth *o, const struct place *at)
{
	const char *why = oauth_contradiction(o);

	if (why == NULL)
		why = oauth_lacks(o);
	if (why == NULL)
		return 0;
	error_add(p->errors, at, "%s", why);
	return -1;
}

/* A role's part: whoever has the rest looked at it. */
static int
oauth_part(struct parser *p, struct conf_oauth *o)
{
	if (o->client_id == NULL && (o->client_id = strdup("")) == NULL)
		return parse_fail(p, "out of memory");
	return 0;
}

int
parse_oauth(struct parser *p)
{
	struct conf *c = p->conf;
	struct place at = p->tok.at;
	struct conf_oauth *o;
	struct option_run run;
	bool elsewhere;

	if (parse_is_name(p) && conf_oauth_find(c, p->tok.text) != NULL)
		return parse_fail(p, "oauth '%.64s' is defined twice", p->tok.text);
	if ((o = parse_new(p, &c->oauths, c->noauths, sizeof(*o), PARSE_OAUTHS_MAX)) == NULL)
		return -1;
	c->noauths++;
	if (parse_checked(p, "a label of letters, digits and ._@+-", check_oauth_label, &o->name) ==
	    -1)
		return -1;
	elsewhere = p->read == NULL && parse_take_word(p, "elsewhere");
	run = (struct option_run){.object = o, .kind = OAUTH_KIND};
	if (option_parse(p, &oauth_options, &run) == -1)
		return -1;
	if (elsewhere)
		return oauth_part(p, o);
	if (!option_was_given(&oauth_options, &run, "grant"))
		o->grant = presets[o->provider].grant;
	if (presets_fill(p, o) == -1)
		return -1;
	return oauth_check(p, o, &at);
}

int
oauth_dump(const struct conf_oauth *o, unsigned int roles, struct buf *out)
{
	const char *part = (roles & CONF_FOR_PARENT) != 0 ? "" : " elsewhere";

	if (buf_append_str(out, "oauth ") == -1 || dump_string(o->name, out) == -1 ||
	    buf_append_str(out, part) == -1 ||
	    option_dump(&oauth_options, o, OAUTH_KIND, roles, out) == -1)
		return -1;
	return buf_append_str(out, "\n");
}

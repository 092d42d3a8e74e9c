/* SPDX-License-Identifier: ISC */
/*
 * Reads the answers of authorization servers.
 *
 * Invariant: an answer that is not wholly what it should be is TROUBLE, and then nothing
 * of it but a text is kept.  An error's name decides, not the status beside it:
 * servers differ in those.
 */
#include "vault/oauth_answer.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "vault/json_doc.h"

#define LIFE_S	     3600 /* of a token whose server does not say (RFC 6749 5.1 leaves it open) */
#define LIFE_MIN_S   1
#define LIFE_MAX_S   (366 * 86400)
#define DEVICE_S     900
#define DEVICE_MAX_S 3600
#define INTERVAL_S   5 /* RFC 8628 3.2 */

static void
fail(struct oauth_answer *a, enum oauth_said said, const char *text)
{
	explicit_bzero(a, sizeof(*a));
	a->said = said;
	str_cut(a->text, sizeof(a->text), text);
}

/* -- errors -- */

static const struct {
	const char *error;
	enum oauth_said said;
} errors[] = {
    /* RFC 8628 3.5 */
    {"authorization_pending", OAUTH_SAID_PENDING},
    {"slow_down", OAUTH_SAID_SLOWER},
    {"expired_token", OAUTH_SAID_EXPIRED},
    {"code_expired", OAUTH_SAID_EXPIRED},
    /* RFC 6749 4.1.2.1, and what Microsoft says of the same */
    {"access_denied", OAUTH_SAID_REFUSED},
    {"authorization_declined", OAUTH_SAID_REFUSED},
    /* RFC 6749 5.2 */
    {"invalid_grant", OAUTH_SAID_LOST},
    {"interaction_required", OAUTH_SAID_LOST},
    {"consent_required", OAUTH_SAID_LOST},
    {"login_required", OAUTH_SAID_LOST},
    {"invalid_client", OAUTH_SAID_SETUP},
    {"unauthorized_client", OAUTH_SAID_SETUP},
    {"unsupported_grant_type", OAUTH_SAID_SETUP},
    {"unsupported_response_type", OAUTH_SAID_SETUP},
    {"invalid_scope", OAUTH_SAID_SETUP},
    {"invalid_request", OAUTH_SAID_SETUP},
    {"invalid_resource", OAUTH_SAID_SETUP},
};

static enum oauth_said
said_of(const char *error)
{
	size_t i;

	for (i = 0; i < NITEMS(errors); i++)
		if (strcmp(errors[i].error, error) == 0)
			return errors[i].said;
	return OAUTH_SAID_TROUBLE;
}

static void
read_error(const struct json_t *j, const char *error, struct oauth_answer *a)
{
	const char *more = json_doc_text(j, "error_description");
	char name[IPC_WORD_MAX], text[IPC_NAME_MAX - IPC_WORD_MAX - 4], whole[IPC_NAME_MAX];

	if (error[0] == '\0')
		error = "an error without a name";
	str_escape(name, sizeof(name), error, strlen(error));
	str_escape(text, sizeof(text), more == NULL ? "" : more, more == NULL ? 0 : strlen(more));
	(void)snprintf(whole, sizeof(whole), text[0] == '\0' ? "%s%s" : "%s (%s)", name, text);
	fail(a, said_of(error), whole);
}

/* -- tokens -- */

/* Octets that can be sent as they are (RFC 6750 2.1 has fewer yet).  -1: it is none, or too long. */
static int
take_word(const char *text, char *dst, size_t size)
{
	size_t i;

	if (text == NULL || text[0] == '\0')
		return -1;
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < 0x21 || (unsigned char)text[i] > 0x7e)
			return -1;
	return str_copy(dst, size, text);
}

static int
read_tokens(const struct json_t *j, struct oauth_answer *a)
{
	const char *type = json_doc_text(j, "token_type"),
		   *refresh = json_doc_text(j, "refresh_token");
	const char *scope = json_doc_text(j, "scope");

	if (type == NULL || !str_equal_nocase(type, "Bearer") ||
	    take_word(json_doc_text(j, "access_token"), a->access_token, sizeof(a->access_token)) ==
		-1)
		return -1;
	if (refresh != NULL && take_word(refresh, a->refresh_token, sizeof(a->refresh_token)) == -1)
		return -1;
	if (scope != NULL)
		str_escape(a->scope, sizeof(a->scope), scope, strlen(scope));
	a->said = OAUTH_SAID_TOKENS;
	a->expires_s = json_doc_number(j, "expires_in", LIFE_MIN_S, LIFE_MAX_S, LIFE_S);
	return 0;
}

/* -- a device -- */

/* Google has its own name for it.  People are sent there: by https, or not at all. */
static int
take_url(const struct json_t *j, struct oauth_answer *a)
{
	const char *url = json_doc_text(j, "verification_uri");

	if (url == NULL)
		url = json_doc_text(j, "verification_url");
	if (url == NULL || !str_starts_nocase(url, "https://"))
		return -1;
	return take_word(url, a->url, sizeof(a->url));
}

static int
read_device(const struct json_t *j, struct oauth_answer *a)
{
	if (take_word(json_doc_text(j, "device_code"), a->device_code, sizeof(a->device_code)) ==
		-1 ||
	    take_word(json_doc_text(j, "user_code"), a->user_code, sizeof(a->user_code)) == -1 ||
	    take_url(j, a) == -1)
		return -1;
	a->said = OAUTH_SAID_DEVICE;
	a->expires_s = json_doc_number(j, "expires_in", 1, DEVICE_MAX_S, DEVICE_S);
	a->interval_s = json_doc_number(j, "interval", 1, DEVICE_S, INTERVAL_S);
	return 0;
}

/* -- any answer -- */

static void
read_object(unsigned int status, const struct json_t *j, struct oauth_answer *a)
{
	const char *error = json_doc_text(j, "error");
	bool is_device = json_doc_text(j, "device_code") != NULL;
	char text[IPC_NAME_MAX];

	if (error != NULL) {
		read_error(j, error, a);
		return;
	}
	if (status / 100 == 2 && (is_device ? read_device : read_tokens)(j, a) == 0)
		return;
	(void)snprintf(text, sizeof(text), "the server answered %u with something else than %s",
	    status, is_device ? "a code for a device" : "a token");
	fail(a, OAUTH_SAID_TROUBLE, text);
}

void
oauth_answer_read(unsigned int status, struct span body, struct oauth_answer *a)
{
	struct json_t *j = json_doc_read(body.data, body.len);
	char text[IPC_NAME_MAX];

	fail(a, OAUTH_SAID_TROUBLE, "");
	if (j == NULL) {
		(void)snprintf(text, sizeof(text),
		    "the server answered %u with something that is no JSON object", status);
		fail(a, OAUTH_SAID_TROUBLE, text);
		return;
	}
	read_object(status, j, a);
	/* A server in trouble may say anything: that consent is gone is not believed then. */
	if (a->said >= OAUTH_SAID_LOST && (status >= 500 || status == 429))
		a->said = OAUTH_SAID_TROUBLE;
	json_doc_free(j);
}

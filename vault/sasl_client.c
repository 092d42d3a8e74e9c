/* SPDX-License-Identifier: ISC */
/*
 * The client's side of PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677),
 * OAUTHBEARER (RFC 7628) and XOAUTH2.
 *
 * Invariants: each message is of one step; a server that wants one more than its
 * mechanism has gets nothing.  A token goes by the mechanisms of tokens alone, a
 * password by those of passwords.  What was said is wiped with the next step.
 */
#include "vault/sasl_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/base64.h"
#include "lib/base/str.h"
#include "vault/sasl_parse.h"

#define WHY_SIZE 256

struct sasl_client { /* its creator owns it */
	const struct sasl_client_mechanism *mechanism;
	unsigned int nsteps;
	char login[IPC_ADDRESS_MAX + 1], host[IPC_NAME_MAX + 1];
	uint16_t port;
	uint8_t *secret;
	size_t secret_len;
	struct buf out;
	bool silent;	/* nothing is said with AUTH itself */
	bool is_proved; /* the server knows the password as well */
	struct scram_client scram;
	char why[WHY_SIZE];
};

struct sasl_client_mechanism {
	const char *name;
	bool of_tokens;
	enum sasl_client_move (*step)(struct sasl_client *c, const struct span *challenge);
	bool proves; /* the server has to */
};

static enum sasl_client_move
stop(struct sasl_client *c, const char *why)
{
	str_cut(c->why, sizeof(c->why), why);
	return SASL_CLIENT_STOP;
}

/* The parts one behind the other. */
static enum sasl_client_move
say(struct sasl_client *c, const struct span *parts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (buf_append(&c->out, parts[i].data, parts[i].len) == -1)
			return stop(c, "too long to be said");
	return SASL_CLIENT_SAY;
}

static struct span
span_of(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

static enum sasl_client_move
say_text(struct sasl_client *c, const char *text)
{
	const struct span part = span_of(text);

	return say(c, &part, 1);
}

static struct span
secret_of(const struct sasl_client *c)
{
	return (struct span){c->secret, c->secret_len};
}

/* -- passwords -- */

static enum sasl_client_move
step_plain(struct sasl_client *c, const struct span *challenge)
{
	const struct span nul = {(const uint8_t *)"", 1};
	const struct span parts[] = {nul, span_of(c->login), nul, secret_of(c)};

	/* A server that does not read what comes with AUTH asks for it; then there it is. */
	if (c->nsteps > 1 && challenge->len != 0)
		return stop(c, "a challenge of the server that PLAIN has not");
	return c->nsteps > 2 ? stop(c, "one challenge too many") : say(c, parts, NITEMS(parts));
}

/* What the server asks for is a text for people: the order is all there is. */
static enum sasl_client_move
step_login(struct sasl_client *c, const struct span *challenge)
{
	const struct span secret = secret_of(c);

	(void)challenge;
	c->silent = c->nsteps == 1;
	if (c->nsteps == 1)
		return SASL_CLIENT_SAY;
	if (c->nsteps == 2)
		return say_text(c, c->login);
	return c->nsteps == 3 ? say(c, &secret, 1) : stop(c, "one challenge too many");
}

static enum sasl_client_move
scram_begin(struct sasl_client *c)
{
	uint8_t octets[BASE64_MAX(SCRAM_NONCE_SIZE)];
	char nonce[BASE64_SIZE(sizeof(octets))];

	_Static_assert(sizeof(nonce) == SCRAM_NONCE_SIZE + 1, "a nonce fits");
	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return stop(c, "no random numbers");
	(void)base64_encode(octets, sizeof(octets), nonce);
	if (scram_client_first(&c->scram, c->login, nonce) == -1)
		return stop(c, "not a login for SCRAM");
	return say_text(c, c->scram.first);
}

static enum sasl_client_move
step_scram(struct sasl_client *c, const struct span *challenge)
{
	if (c->nsteps == 1)
		return scram_begin(c);
	if (c->nsteps == 2 && scram_client_read(&c->scram, challenge->data, challenge->len) == -1)
		return stop(c, "not an answer to SCRAM: its nonce, salt or iterations are wrong");
	if (c->nsteps == 2)
		return SASL_CLIENT_DERIVE;
	if (c->nsteps > 3)
		return stop(c, "one challenge too many");
	if (scram_client_check(&c->scram, challenge->data, challenge->len) == -1)
		return stop(c, errno == EACCES ? "refused by the server"
					       : "the server does not know the password");
	c->is_proved = true;
	return SASL_CLIENT_SAY; /* nothing, so that it can go on */
}

enum sasl_client_move
sasl_client_keys(struct sasl_client *c, const struct scram_client_keys *k)
{
	char final[SCRAM_CLIENT_FINAL_SIZE];
	enum sasl_client_move move;

	if (k == NULL || scram_client_final(&c->scram, k, final) == -1)
		return stop(c, "the keys of the password could not be made");
	move = say_text(c, final);
	explicit_bzero(final, sizeof(final));
	return move;
}

/* -- tokens -- */

/*
 * A token that is refused comes back as a challenge that says why, in JSON; it is to be
 * answered before the server says no (RFC 7628 3.2.3).
 */
static enum sasl_client_move
step_refused(struct sasl_client *c, const struct span *challenge, const char *answer)
{
	if (c->nsteps > 2)
		return stop(c, "one challenge too many");
	str_escape(c->why, sizeof(c->why), (const char *)challenge->data, challenge->len);
	return say_text(c, answer);
}

static enum sasl_client_move
step_xoauth2(struct sasl_client *c, const struct span *challenge)
{
	const struct span parts[] = {span_of("user="), span_of(c->login),
	    span_of("\001auth=Bearer "), secret_of(c), span_of("\001\001")};

	if (c->nsteps > 1)
		return step_refused(c, challenge, "");
	return say(c, parts, NITEMS(parts));
}

static enum sasl_client_move
say_bearer(struct sasl_client *c, const char *login, const char *port)
{
	const struct span parts[] = {span_of("n,a="), span_of(login), span_of(",\001host="),
	    span_of(c->host), span_of("\001port="), span_of(port), span_of("\001auth=Bearer "),
	    secret_of(c), span_of("\001\001")};

	return say(c, parts, NITEMS(parts));
}

static enum sasl_client_move
step_oauthbearer(struct sasl_client *c, const struct span *challenge)
{
	char port[sizeof("65535")], login[3 * IPC_ADDRESS_MAX + 1];

	if (c->nsteps > 1)
		return step_refused(c, challenge, "\001");
	if (scram_name_encode(c->login, login, sizeof(login)) == -1 ||
	    str_format(port, sizeof(port), "%u", c->port) == -1)
		return stop(c, "not a login for OAUTHBEARER");
	return say_bearer(c, login, port);
}

/* -- all of them, the best first -- */

static const struct sasl_client_mechanism mechanisms[] = {
    {"SCRAM-SHA-256", false, step_scram, true},
    {"PLAIN", false, step_plain, false},
    {"LOGIN", false, step_login, false},
    {"OAUTHBEARER", true, step_oauthbearer, false},
    {"XOAUTH2", true, step_xoauth2, false},
};

static bool
is_offered(const char *offered, const char *name)
{
	size_t len, want = strlen(name);

	for (; *offered != '\0'; offered += len) {
		offered += strspn(offered, " \t");
		len = strcspn(offered, " \t");
		if (len == want && str_starts_nocase(offered, name))
			return true;
	}
	return false;
}

const char *
sasl_client_choose(const char *offered, bool is_token)
{
	size_t i;

	for (i = 0; i < NITEMS(mechanisms); i++)
		if (mechanisms[i].of_tokens == is_token && is_offered(offered, mechanisms[i].name))
			return mechanisms[i].name;
	return NULL;
}

static const struct sasl_client_mechanism *
mechanism_find(const char *name, bool is_token)
{
	size_t i;

	for (i = 0; i < NITEMS(mechanisms); i++)
		if (mechanisms[i].of_tokens == is_token && strcmp(mechanisms[i].name, name) == 0)
			return &mechanisms[i];
	return NULL;
}

/* A token is what a header may hold (RFC 6750 2.1); a password has no NUL (RFC 4616 2). */
static bool
is_secret(struct span s, bool is_token)
{
	size_t i;

	if (s.len == 0 || s.len > (is_token ? IPC_SASL_MAX : IPC_PASSWORD_MAX))
		return false;
	for (i = 0; i < s.len; i++)
		if (s.data[i] == '\0' || (is_token && (s.data[i] < 0x21 || s.data[i] > 0x7e)))
			return false;
	return true;
}

struct sasl_client *
sasl_client_create(const char *mechanism, const struct sasl_client_login *login)
{
	const struct sasl_client_mechanism *m = mechanism_find(mechanism, login->is_token);
	struct sasl_client *c;

	if (m == NULL || !sasl_is_name((const uint8_t *)login->login, strlen(login->login)) ||
	    !is_secret(login->secret, login->is_token)) {
		errno = EINVAL;
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->mechanism = m;
	c->port = login->port;
	buf_init(&c->out, IPC_SASL_MAX);
	if (str_copy(c->login, sizeof(c->login), login->login) == -1 ||
	    str_copy(c->host, sizeof(c->host), login->host) == -1 ||
	    (c->secret = malloc(login->secret.len)) == NULL) {
		sasl_client_free(c);
		return NULL;
	}
	memcpy(c->secret, login->secret.data, login->secret.len);
	c->secret_len = login->secret.len;
	return c;
}

void
sasl_client_free(struct sasl_client *c)
{
	if (c == NULL)
		return;
	if (c->secret != NULL)
		explicit_bzero(c->secret, c->secret_len);
	free(c->secret);
	buf_free(&c->out);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

enum sasl_client_move
sasl_client_next(struct sasl_client *c, const struct span *challenge)
{
	buf_free(&c->out);
	c->nsteps++;
	bug_on((c->nsteps == 1) != (challenge == NULL));
	return c->mechanism->step(c, challenge);
}

const char *
sasl_client_mechanism(const struct sasl_client *c)
{
	return c->mechanism->name;
}

const struct scram_client *
sasl_client_scram(const struct sasl_client *c)
{
	return &c->scram;
}

struct span
sasl_client_secret(const struct sasl_client *c)
{
	return secret_of(c);
}

bool
sasl_client_said(const struct sasl_client *c, struct span *data)
{
	*data = (struct span){buf_head(&c->out), c->out.len};
	return !c->silent;
}

bool
sasl_client_end(const struct sasl_client *c)
{
	return !c->mechanism->proves || c->is_proved;
}

const char *
sasl_client_why(const struct sasl_client *c)
{
	return c->why;
}

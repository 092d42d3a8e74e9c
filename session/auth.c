/* SPDX-License-Identifier: ISC */
/*
 * AUTH (RFC 4954).  The lines are ours; what they say is between the client
 * and the vault.
 *
 * Invariants: a password is here only on its way through, and every copy of
 * it is overwritten before the next line is read.  Nobody is authenticated but
 * by the vault's word, and by one exchange at a time.  No mechanism is taken that
 * was not offered.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/net/tls_library.h"
#include "session/session.h"

#define EXCHANGE_MS   300000
#define MECHANISM_MAX 32
#define REPLY_ROOM    (BASE64_SIZE(IPC_SASL_MAX) + 4)

/* -- what is offered -- */

/* In the clear only to those on this host, and where smtpd.conf says so (RFC 4954 4). */
static bool
may_speak(const struct session *s)
{
	return io_tls(s->io) != NULL || (s->policy->insecure_auth && s->local);
}

bool
auth_is_offered(const struct session *s)
{
	return s->policy->auth_offered && may_speak(s);
}

static bool
with_passwords(const struct session *s)
{
	return s->policy->auth_system || s->policy->passwords[0] != '\0';
}

static bool
with_scram(const struct session *s)
{
	return s->policy->passwords[0] != '\0' &&
	       certs_table_has_scram(s->program->certs, s->policy->passwords);
}

/* RFC 5929 4: the certificate of this connection is known. */
static const char *
binding(const struct session *s)
{
	if (io_tls(s->io) == NULL)
		return "";
	return s->pki != NULL ? s->pki : s->policy->pki;
}

static bool
with_scram_plus(const struct session *s)
{
	uint8_t exporter[TLS_EXPORTER_SIZE];

	if (!with_scram(s))
		return false;
	return binding(s)[0] != '\0' || tls_library_exporter(s->connection, exporter) == 0;
}

static bool
with_tokens(const struct session *s)
{
	return s->policy->tokens[0] != '\0';
}

static bool
with_certificate(const struct session *s)
{
	char fingerprint[IPC_NAME_MAX], addresses[IPC_TEXT_MAX + 1];

	tls_identity(s, fingerprint, sizeof(fingerprint), addresses, sizeof(addresses));
	return fingerprint[0] != '\0' && s->policy->passwords[0] != '\0';
}

/* The strongest first: some clients take the first that they know. */
static const struct {
	const char *name;
	bool (*offered)(const struct session *s);
} mechanisms[] = {
    {"SCRAM-SHA-256-PLUS", with_scram_plus}, /* RFC 7677 */
    {"SCRAM-SHA-256", with_scram},	     /* RFC 7677 */
    {"PLAIN", with_passwords},		     /* RFC 4616 */
    {"LOGIN", with_passwords},
    {"EXTERNAL", with_certificate}, /* RFC 4422 A */
    {"OAUTHBEARER", with_tokens},   /* RFC 7628 */
    {"XOAUTH2", with_tokens},
};

void
auth_mechanisms(const struct session *s, char *dst, size_t size)
{
	size_t i;

	dst[0] = '\0';
	for (i = 0; i < NITEMS(mechanisms); i++)
		if (mechanisms[i].offered(s) &&
		    (str_append(dst, size, " ") == -1 ||
			str_append(dst, size, mechanisms[i].name) == -1))
			return;
}

static const char *
mechanism_find(const struct session *s, const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(mechanisms); i++)
		if (strcasecmp(mechanisms[i].name, name) == 0)
			return mechanisms[i].offered(s) ? mechanisms[i].name : NULL;
	return NULL;
}

/* -- towards the vault -- */

static struct channel *
vault_of(const struct session *s)
{
	return service_peer(s->program->service, ROLE_VAULT, 0);
}

static void
end(struct session *s, enum reply r)
{
	s->question = 0;
	session_enter(s, STATE_IDLE);
	session_reply(s, r);
}

void
auth_take_back(struct session *s)
{
	struct channel *vault = vault_of(s);
	struct msg_auth_cancel m = {.req = s->question};

	if ((s->state == STATE_CHECKING || s->state == STATE_CHALLENGED) && s->question != 0 &&
	    vault != NULL)
		(void)channel_send(vault, MSG_auth_cancel, &m);
}

/* While the client is to speak it would take our word for an answer to its next line: it waits. */
static void
on_vault_lost(void *owner, uint32_t req, enum ask_failure why)
{
	struct session *s = owner;

	(void)req;
	if (why == ASK_TIMEOUT)
		auth_take_back(s);
	s->question = 0;
	if (s->state == STATE_CHALLENGED)
		s->auth_lost = true;
	else {
		end(s, REPLY_AUTH_TROUBLE);
		session_continue(s);
	}
}

static int
send_begin(
    struct session *s, struct channel *vault, const char *mechanism, const struct span *initial)
{
	char client[ADDR_TEXT_MAX], fingerprint[IPC_NAME_MAX], addresses[IPC_TEXT_MAX + 1];
	uint8_t exporter[TLS_EXPORTER_SIZE];
	struct msg_auth_begin m = {.req = s->question,
	    .client = client,
	    .mechanism = mechanism,
	    .system = s->policy->auth_system,
	    .passwords = s->policy->passwords,
	    .tokens = s->policy->tokens,
	    .binding = binding(s),
	    .fingerprint = fingerprint,
	    .identities = addresses,
	    .with_initial = initial != NULL};

	addr_format(&s->peer, client);
	tls_identity(s, fingerprint, sizeof(fingerprint), addresses, sizeof(addresses));
	if (tls_library_exporter(s->connection, exporter) == 0)
		m.exporter = (struct span){exporter, sizeof(exporter)};
	if (initial != NULL)
		m.initial = *initial;
	return channel_send(vault, MSG_auth_begin, &m);
}

static void
begin(struct session *s, const char *mechanism, const struct span *initial)
{
	struct service *service = s->program->service;
	struct channel *vault = vault_of(s);

	s->auth_lost = false;
	if (vault == NULL) {
		session_reply(s, REPLY_AUTH_TROUBLE);
		return;
	}
	s->question = ask_begin(
	    service_asks(service), vault, service_now_ms(service) + EXCHANGE_MS, on_vault_lost, s);
	if (s->question == 0 || send_begin(s, vault, mechanism, initial) == -1) {
		ask_end(service_asks(service), s->question);
		s->question = 0;
		session_reply(s, REPLY_AUTH_TROUBLE);
		return;
	}
	session_enter(s, STATE_CHECKING);
}

/* -- the client's lines -- */

/* "=" stands for an initial response of no octets (RFC 4954 4). */
static int
decode(const char *text, size_t len, uint8_t *dst, size_t *n)
{
	*n = 0;
	if (len == 1 && text[0] == '=')
		return 0;
	return base64_decode(text, len, dst, IPC_SASL_MAX, n);
}

static void
begin_with(struct session *s, const char *mechanism, const char *text)
{
	uint8_t data[IPC_SASL_MAX];
	struct span initial = {data, 0};

	if (decode(text, strlen(text), data, &initial.len) == -1)
		session_reply(s, REPLY_AUTH_MALFORMED);
	else
		begin(s, mechanism, &initial);
	explicit_bzero(data, sizeof(data));
}

static enum reply
refusal(const struct session *s)
{
	if (!s->extended)
		return REPLY_HELLO_FIRST;
	if (s->auth != NULL)
		return REPLY_AUTH_ALREADY;
	if (!may_speak(s))
		return REPLY_NO_AUTH_WITHOUT_TLS;
	return s->policy->auth_offered ? REPLY_NONE : REPLY_NOT_IMPLEMENTED;
}

void
cmd_auth(struct session *s, const struct command *c)
{
	size_t len = strcspn(c->arg, " ");
	char name[MECHANISM_MAX];
	const char *mechanism;
	enum reply r = refusal(s);

	if (r == REPLY_NONE && len == 0)
		r = REPLY_AUTH_WHICH;
	if (r != REPLY_NONE) {
		session_reply(s, r);
		return;
	}
	if (len >= sizeof(name)) {
		session_reply(s, REPLY_NO_SUCH_MECHANISM);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, c->arg);
	if ((mechanism = mechanism_find(s, name)) == NULL)
		session_reply(s, REPLY_NO_SUCH_MECHANISM);
	else if (c->arg[len] == '\0')
		begin(s, mechanism, NULL);
	else
		begin_with(s, mechanism, c->arg + len + 1);
}

static void
respond(struct session *s, const char *line, size_t len)
{
	struct msg_auth_response m = {.req = s->question};
	uint8_t data[IPC_SASL_MAX];

	if (base64_decode(line, len, data, sizeof(data), &m.data.len) == -1) {
		session_take_back(s);
		end(s, REPLY_AUTH_MALFORMED);
		goto out;
	}
	m.data.data = data;
	session_enter(s, STATE_CHECKING);
	if (vault_of(s) == NULL || channel_send(vault_of(s), MSG_auth_response, &m) == -1) {
		session_take_back(s);
		end(s, REPLY_AUTH_TROUBLE);
	}
out:
	explicit_bzero(data, sizeof(data));
}

void
auth_line(struct session *s, const char *line, size_t len)
{
	if (len == 1 && line[0] == '*') {
		session_take_back(s);
		end(s, REPLY_AUTH_CANCELLED);
	} else if (s->auth_lost)
		end(s, REPLY_AUTH_TROUBLE);
	else
		respond(s, line, len);
}

void
auth_line_too_long(struct session *s)
{
	session_take_back(s);
	end(s, REPLY_AUTH_LINE_TOO_LONG);
}

/* -- the vault's words -- */

void
auth_challenge(struct session *s, struct span data)
{
	char line[REPLY_ROOM] = "334 ";

	(void)base64_encode(data.data, data.len, line + 4);
	session_enter(s, STATE_CHALLENGED);
	session_say(s, line);
	session_continue(s);
}

/* Who guesses waits for each answer, and is sent away after some. */
static void
refused(struct session *s)
{
	const struct conf_values *v = &s->program->conf->values;
	const struct reply_row *row = reply_row(REPLY_AUTH_REFUSED);
	char line[SESSION_LINE_MAX];

	s->program->logins_refused++;
	s->auth_failures++;
	s->errors++;
	if (s->auth_failures >= v->auth_max_failures)
		row = reply_row(REPLY_TOO_MANY_LOGINS);
	s->parting = row->code == 421;
	session_format(line, row->code, row->status, row->text);
	session_delay(s, line, v->auth_failure_delay_s * 1000);
}

static const enum reply replies[IPC_AUTH__MAX] = {
    [IPC_AUTH_OK] = REPLY_AUTH_OK,
    [IPC_AUTH_MALFORMED] = REPLY_AUTH_MALFORMED,
    [IPC_AUTH_BLOCKED] = REPLY_AUTH_BLOCKED,
    [IPC_AUTH_TROUBLE] = REPLY_AUTH_TROUBLE,
    [IPC_AUTH_UNKNOWN] = REPLY_NO_SUCH_MECHANISM,
};

void
auth_verdict(struct session *s, enum ipc_auth result, const char *login)
{
	s->question = 0;
	if (s->state == STATE_CHALLENGED) {
		s->auth_lost = true; /* it is told when it speaks */
		return;
	}
	if (result == IPC_AUTH_OK && (s->auth = strdup(login)) == NULL)
		result = IPC_AUTH_TROUBLE;
	session_enter(s, STATE_IDLE);
	if (result == IPC_AUTH_OK) {
		s->owns_sender = true;
		s->program->logins++;
	}
	if (result == IPC_AUTH_REFUSED)
		refused(s);
	else
		session_reply(s, replies[result]);
	session_continue(s);
}

/* SPDX-License-Identifier: ISC */
/*
 * Logins at the servers of relays.
 *
 * Invariants: each begins with a question of delivery and ends with one answer, unless
 * delivery gave it up or is gone; what it has asked for is called off with it, and
 * its secret is wiped.  What is logged of a server is escaped, and is never what
 * we said.  Nothing a server or delivery says is fatal.
 */
#include "vault/relay_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "vault/program.h"
#include "vault/relay_auth_private.h"

#define AGAIN_S	     60 /* passing trouble */
#define LINES	     8	/* of one label, among those who wait for a hasher */
#define STATUS_LOGIN "4.7.8"
#define STATUS_OTHER "4.7.0"

struct relay_auths {
	struct vault *vault;
	struct map *by_id;
	TAILQ_HEAD(, relay_auth) list;
};

struct relay_auths *
relay_auths_create(struct vault *v)
{
	struct relay_auths *as;

	if ((as = calloc(1, sizeof(*as))) == NULL)
		return NULL;
	as->vault = v;
	TAILQ_INIT(&as->list);
	if ((as->by_id = map_create(RELAY_AUTHS_MAX)) != NULL)
		return as;
	free(as);
	return NULL;
}

size_t
relay_auths_count(const struct relay_auths *as)
{
	return map_count(as->by_id);
}

/* -- life -- */

static uint64_t
id_of(const struct channel *ch, uint32_t req)
{
	return (uint64_t)channel_instance(ch) << 32 | req;
}

static struct relay_auth *
find(const struct relay_auths *as, const struct channel *ch, uint32_t req)
{
	struct relay_auth *a = map_get_u64(as->by_id, id_of(ch, req));

	return a != NULL && a->ch == ch ? a : NULL;
}

static void
wipe(struct relay_auth *a)
{
	oauth_wait_cancel(&a->wait);
	pool_let_go(a->vault->pool, &a->job);
	program_cancel(a->program);
	sasl_client_free(a->sasl);
	explicit_bzero(a, sizeof(*a));
	free(a);
}

static void
relay_auth_free(struct relay_auth *a)
{
	struct relay_auths *as = a->vault->relay_auths;

	(void)map_remove_u64(as->by_id, id_of(a->ch, a->req));
	TAILQ_REMOVE(&as->list, a, entry);
	wipe(a);
}

/* Channels and questions are gone already, with the service. */
void
relay_auths_free(struct relay_auths *as)
{
	struct relay_auth *a;

	if (as == NULL)
		return;
	while ((a = TAILQ_FIRST(&as->list)) != NULL) {
		TAILQ_REMOVE(&as->list, a, entry);
		wipe(a);
	}
	map_free(as->by_id, NULL);
	free(as);
}

void
relay_auths_unlink(struct relay_auths *as, const struct channel *ch)
{
	struct relay_auth *a, *next;

	for (a = TAILQ_FIRST(&as->list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->ch == ch)
			relay_auth_free(a);
	}
}

static int64_t
now_of(const struct relay_auth *a)
{
	return service_now_ms(a->vault->service);
}

static struct relay_auth *
relay_auth_create(struct relay_auths *as, struct channel *ch, const struct msg_relay_auth *m)
{
	struct relay_auth *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	if (str_copy(a->action, sizeof(a->action), m->action) == -1 ||
	    str_copy(a->label, sizeof(a->label), m->label) == -1 ||
	    str_copy(a->host, sizeof(a->host), m->host) == -1 ||
	    map_set_u64(as->by_id, id_of(ch, m->req), a) == -1) {
		free(a);
		return NULL;
	}
	a->vault = as->vault;
	a->ch = ch;
	a->req = m->req;
	a->port = m->port;
	a->job.owner = a;
	a->deadline_ms = now_of(a) + RELAY_AUTH_FIND_MS;
	TAILQ_INSERT_TAIL(&as->list, a, entry);
	return a;
}

/* -- the end -- */

static void
send_end(struct channel *ch, uint32_t req, const struct relay_auth_fault *f)
{
	struct msg_relay_auth_end m = {.req = req, .outcome = IPC_OK, .status = "", .text = ""};

	if (f != NULL) {
		m.outcome = IPC_RETRY;
		m.status = f->status;
		m.text = f->text;
		m.again_s = f->again_s;
	}
	(void)channel_send(ch, MSG_relay_auth_end, &m);
}

static void
log_fault(const struct relay_auth *a, const struct relay_auth_fault *f)
{
	struct logline l;

	logline_start(&l, f->with_alarm ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
	    f->with_alarm ? "relay-login-impossible" : "relay-login-failed");
	logline_str(&l, "action", a->action);
	logline_str(&l, "label", a->label);
	logline_str(&l, "host", a->host);
	logline_u64(&l, "port", a->port);
	logline_str(&l, "mechanism", a->mechanism == NULL ? "" : a->mechanism);
	logline_str(&l, "why", f->text);
	logline_u64(&l, "again-s", f->again_s);
	logline_end(&l);
}

void
relay_auth_fail(struct relay_auth *a, const struct relay_auth_fault *f)
{
	log_fault(a, f);
	send_end(a->ch, a->req, f);
	relay_auth_free(a);
}

static void
fail_again(struct relay_auth *a, const char *text)
{
	const struct relay_auth_fault f = {STATUS_OTHER, text, AGAIN_S, false};

	relay_auth_fail(a, &f);
}

/* -- what is said -- */

static void
say(struct relay_auth *a, bool first)
{
	struct msg_relay_auth_step m = {.req = a->req, .mechanism = first ? a->mechanism : ""};

	pool_let_go(a->vault->pool, &a->job);
	m.with_data = sasl_client_said(a->sasl, &m.data);
	a->state = RELAY_AUTH_SERVER;
	a->deadline_ms = now_of(a) + RELAY_AUTH_SERVER_MS;
	(void)channel_send(a->ch, MSG_relay_auth_step, &m);
}

static void
on_derived(struct job *j, enum ipc_outcome outcome, const char *value)
{
	struct relay_auth *a = j->owner;
	struct scram_client_keys keys;
	bool there = outcome == IPC_OK && j->data.len == sizeof(keys);

	(void)value;
	if (there)
		memcpy(&keys, j->data.data, sizeof(keys));
	if (sasl_client_keys(a->sasl, there ? &keys : NULL) == SASL_CLIENT_SAY)
		say(a, false);
	else
		fail_again(a, sasl_client_why(a->sasl));
	explicit_bzero(&keys, sizeof(keys));
}

/* Keys are asked for by logins alone. */
void
relay_auth_on_derived(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_derived *m = &msg->derived;
	struct scram_client_keys keys;
	struct vault *v = ctx;
	bool whole = m->client_key.len == SCRAM_KEY_SIZE && m->server_key.len == SCRAM_KEY_SIZE;

	(void)fd;
	if (whole) {
		memcpy(keys.client_key, m->client_key.data, SCRAM_KEY_SIZE);
		memcpy(keys.server_key, m->server_key.data, SCRAM_KEY_SIZE);
	}
	pool_answer_data(v->pool, ch, m->req, whole ? (enum ipc_outcome)m->outcome : IPC_RETRY,
	    (struct span){(const uint8_t *)&keys, sizeof(keys)});
	explicit_bzero(&keys, sizeof(keys));
}

static void
on_hasher(struct job *j)
{
	struct relay_auth *a = j->owner;
	const struct scram_client *s = sasl_client_scram(a->sasl);
	const struct msg_derive m = {.iterations = s->iterations,
	    .salt = {s->salt, s->salt_len},
	    .password = sasl_client_secret(a->sasl)};

	if (pool_derive(a->vault->pool, j, &m, on_derived) == -1)
		fail_again(a, "no hasher can be asked now");
}

static void
derive(struct relay_auth *a)
{
	char line[2 * IPC_WORD_MAX];

	(void)snprintf(line, sizeof(line), "relay %s %u", a->label, a->req % LINES);
	a->job.ready = on_hasher;
	if (pool_wait(a->vault->pool, &a->job, line) == -1)
		fail_again(a, "too many wait for a hasher");
}

static void
move(struct relay_auth *a, const struct span *challenge)
{
	/* What is wrong with the server is for somebody to look at. */
	struct relay_auth_fault f = {STATUS_OTHER, "", OAUTH_AGAIN_S, true};
	char why[IPC_NAME_MAX];

	a->state = RELAY_AUTH_WORKS;
	switch (sasl_client_next(a->sasl, challenge)) {
	case SASL_CLIENT_SAY:
		say(a, challenge == NULL);
		break;
	case SASL_CLIENT_DERIVE:
		a->deadline_ms = now_of(a) + RELAY_AUTH_FIND_MS;
		derive(a);
		break;
	case SASL_CLIENT_STOP:
		str_cut(why, sizeof(why), sasl_client_why(a->sasl));
		f.text = why;
		relay_auth_fail(a, &f);
		break;
	}
}

void
relay_auth_credential(struct relay_auth *a, const struct sasl_client_login *login)
{
	if ((a->sasl = sasl_client_create(a->mechanism, login)) == NULL)
		fail_again(a, "the credential can't be used, or there is no memory");
	else
		move(a, NULL);
}

/* -- what delivery says -- */

void
relay_auth_on_begin(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_relay_auth *m = &msg->relay_auth;
	struct relay_auth_fault f = {STATUS_OTHER, "", AGAIN_S, true};
	struct vault *v = ctx;
	const char *misplaced = relay_auth_misplaced(v->conf, m);
	bool is_token = conf_oauth_find(v->conf, m->label) != NULL;
	struct relay_auth *a;

	(void)fd;
	if (find(v->relay_auths, ch, m->req) != NULL) {
		channel_reject(ch, "two logins with one id");
		return;
	}
	if ((a = relay_auth_create(v->relay_auths, ch, m)) == NULL) {
		f.text = "too many logins are under way";
		send_end(ch, m->req, &f);
		return;
	}
	a->mechanism = sasl_client_choose(m->mechanisms, is_token);
	if (misplaced != NULL) {
		f.text = misplaced;
		relay_auth_fail(a, &f);
	} else if (a->mechanism == NULL) {
		f.again_s = OAUTH_AGAIN_S;
		f.text = is_token ? "the server takes neither OAUTHBEARER nor XOAUTH2"
				  : "the server takes none of SCRAM-SHA-256, PLAIN and LOGIN";
		relay_auth_fail(a, &f);
	} else {
		relay_auth_find(a);
	}
}

void
relay_auth_on_challenge(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;
	struct relay_auth *a = find(v->relay_auths, ch, msg->req);

	(void)fd;
	if (a == NULL)
		return; /* it took too long */
	if (a->state != RELAY_AUTH_SERVER)
		channel_reject(ch, "a challenge before anything was said");
	else
		move(a, &msg->relay_auth_challenge.data);
}

/* Delivery may not have looked at it, or may be in wrong hands. */
static void
quote_server(const struct relay_auth *a, const char *said, char *dst, size_t size)
{
	struct span secret = sasl_client_secret(a->sasl);

	str_escape(dst, size, said, strlen(said));
	str_hide(dst, secret.data, secret.len);
}

static void
on_refused(struct relay_auth *a, const char *said)
{
	char text[IPC_TEXT_MAX], server[IPC_TEXT_MAX - 300];
	/* Delivery, who heard it, raises the alarm. */
	struct relay_auth_fault f = {STATUS_LOGIN, text, OAUTH_AGAIN_S, false};
	const char *why = sasl_client_why(a->sasl);
	struct span secret = sasl_client_secret(a->sasl);

	quote_server(a, said, server, sizeof(server));
	(void)snprintf(text, sizeof(text),
	    why[0] == '\0' ? "login refused: %s%s" : "login refused: %s; %s", server, why);
	str_hide(text, secret.data, secret.len); /* its challenge, too */
	if (a->table[0] == '\0')
		f.again_s = oauth_refused(
		    a->vault->oauths, a->label, sasl_client_secret(a->sasl), server);
	relay_auth_fail(a, &f);
}

static void
on_result(struct relay_auth *a, const struct msg_relay_auth_result *m)
{
	struct relay_auth_fault f = {STATUS_OTHER,
	    "the server let us in without proof that it knows the password", OAUTH_AGAIN_S, true};
	char text[IPC_TEXT_MAX];

	if (m->outcome == IPC_FAIL) {
		on_refused(a, m->text);
	} else if (m->outcome != IPC_OK) {
		quote_server(a, m->text, text, sizeof(text));
		fail_again(a, text);
	} else if (!sasl_client_end(a->sasl)) {
		relay_auth_fail(a, &f);
	} else {
		if (a->table[0] == '\0')
			oauth_accepted(a->vault->oauths, a->label);
		send_end(a->ch, a->req, NULL);
		relay_auth_free(a);
	}
}

void
relay_auth_on_result(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;
	struct relay_auth *a = find(v->relay_auths, ch, msg->req);

	(void)fd;
	if (a == NULL)
		return; /* it took too long */
	if (msg->relay_auth_result.outcome == IPC_GONE)
		relay_auth_free(a);
	else if (a->state != RELAY_AUTH_SERVER)
		channel_reject(ch, "a result before anything was said");
	else
		on_result(a, &msg->relay_auth_result);
}

/* -- time -- */

void
relay_auths_tick(struct relay_auths *as)
{
	struct relay_auth *a, *next;

	for (a = TAILQ_FIRST(&as->list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->deadline_ms <= now_of(a))
			fail_again(a, a->state == RELAY_AUTH_SERVER
					  ? "the server does not answer"
					  : "the credential could not be had in time");
	}
}

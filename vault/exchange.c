/* SPDX-License-Identifier: ISC */
/*
 * One AUTH from its beginning to the verdict.
 *
 * Invariants: an exchange is in the map by its session process and id, in the
 * list of all by age, and in its link's list; whatever it has asked for is
 * called off when it is freed, and its secrets are wiped.  A verdict is sent exactly
 * once, unless the session gave up or is gone.  Nothing a client or a session
 * says is fatal; a session that breaks the protocol is cut off.
 */
#include "vault/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "vault/backoff.h"
#include "vault/mechanism.h"
#include "vault/passwords.h"
#include "vault/program.h"
#include "vault/remote.h"
#include "vault/sasl_parse.h"

TAILQ_HEAD(exchange_list, exchange);

struct exchanges {
	struct map *by_id;
	struct exchange_list by_age;
	struct exchange_list by_link[IPC_INSTANCES_MAX];
	size_t nlink[IPC_INSTANCES_MAX];
};

static const struct mechanism *const mechanisms[] = {&sasl_plain, &sasl_login, &sasl_scram,
    &sasl_scram_plus, &sasl_external, &sasl_oauthbearer, &sasl_xoauth2};

struct exchanges *
exchanges_create(void)
{
	struct exchanges *xs;
	size_t i;

	if ((xs = calloc(1, sizeof(*xs))) == NULL)
		return NULL;
	TAILQ_INIT(&xs->by_age);
	for (i = 0; i < NITEMS(xs->by_link); i++)
		TAILQ_INIT(&xs->by_link[i]);
	if ((xs->by_id = map_create(EXCHANGES_MAX)) == NULL) {
		free(xs);
		return NULL;
	}
	return xs;
}

size_t
exchanges_count(const struct exchanges *xs)
{
	return map_count(xs->by_id);
}

/* -- life -- */

static uint64_t
id_of(const struct channel *ch, uint32_t req)
{
	return (uint64_t)channel_instance(ch) << 32 | req;
}

/* NULL: it is over, or never was. */
static struct exchange *
exchange_find(struct vault *v, const struct channel *ch, uint32_t req)
{
	struct exchange *x = map_get_u64(v->exchanges->by_id, id_of(ch, req));

	return x != NULL && x->ch == ch ? x : NULL;
}

static void
forget_secret(struct exchange *x)
{
	if (x->secret_len > 0)
		explicit_bzero(x->secret, x->secret_len);
	free(x->secret);
	x->secret = NULL;
	x->secret_len = 0;
}

static void
exchange_wipe(struct exchange *x)
{
	pool_let_go(x->vault->pool, &x->job);
	program_cancel(x->program);
	scram_state_free(x->scram);
	forget_secret(x);
	if (x->hash != NULL)
		explicit_bzero(x->hash, strlen(x->hash));
	free(x->hash);
	explicit_bzero(x, sizeof(*x));
	free(x);
}

static void
exchange_free(struct exchange *x)
{
	struct vault *v = x->vault;
	struct exchanges *xs = v->exchanges;

	(void)map_remove_u64(xs->by_id, id_of(x->ch, x->req));
	TAILQ_REMOVE(&xs->by_age, x, by_age);
	TAILQ_REMOVE(&xs->by_link[channel_instance(x->ch)], x, by_link);
	xs->nlink[channel_instance(x->ch)]--;
	ask_end(service_asks(v->service), x->ask);
	remote_cancel(x->remote);
	exchange_wipe(x);
}

/* Channels and questions are gone already, with the service. */
void
exchanges_free(struct exchanges *xs)
{
	struct exchange *x;

	if (xs == NULL)
		return;
	while ((x = TAILQ_FIRST(&xs->by_age)) != NULL) {
		TAILQ_REMOVE(&xs->by_age, x, by_age);
		exchange_wipe(x);
	}
	map_free(xs->by_id, NULL);
	free(xs);
}

void
exchanges_unlink(struct vault *v, struct channel *ch)
{
	struct exchange *x, *next;

	for (x = TAILQ_FIRST(&v->exchanges->by_link[channel_instance(ch)]); x != NULL; x = next) {
		next = TAILQ_NEXT(x, by_link);
		if (x->ch == ch)
			exchange_free(x);
	}
}

static struct exchange *
exchange_create(struct vault *v, struct channel *ch, uint32_t req)
{
	struct exchanges *xs = v->exchanges;
	uint32_t link = channel_instance(ch);
	struct exchange *x;

	if (xs->nlink[link] >= EXCHANGES_MAX_EACH || (x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	if (map_set_u64(xs->by_id, id_of(ch, req), x) == -1) {
		free(x);
		return NULL;
	}
	x->vault = v;
	x->ch = ch;
	x->req = req;
	x->began_ms = x->said_ms = service_now_ms(v->service);
	x->job.owner = x;
	TAILQ_INSERT_TAIL(&xs->by_age, x, by_age);
	TAILQ_INSERT_TAIL(&xs->by_link[link], x, by_link);
	xs->nlink[link]++;
	return x;
}

/* -- the end -- */

static void
send_verdict(struct channel *ch, uint32_t req, enum ipc_auth result, const char *login)
{
	struct msg_auth_verdict m = {.req = req, .result = (uint8_t)result, .login = login};

	(void)channel_send(ch, MSG_auth_verdict, &m);
}

static const char *const result_words[IPC_AUTH__MAX] = {
    [IPC_AUTH_OK] = "ok",
    [IPC_AUTH_REFUSED] = "refused",
    [IPC_AUTH_MALFORMED] = "malformed",
    [IPC_AUTH_BLOCKED] = "blocked",
    [IPC_AUTH_TROUBLE] = "trouble",
    [IPC_AUTH_UNKNOWN] = "unknown-mechanism",
};

static void
log_end(const struct exchange *x, enum ipc_auth result, const char *why)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, result == IPC_AUTH_OK ? "auth-ok" : "auth-failed");
	logline_str(&l, "client", x->client);
	logline_str(&l, "mechanism", x->mechanism->name);
	logline_str(&l, "login", x->login);
	if (result != IPC_AUTH_OK) {
		logline_str(&l, "result", result_words[result]);
		logline_str(&l, "why", why);
	}
	logline_end(&l);
}

static void
count_end(struct vault *v, enum ipc_auth result)
{
	uint64_t *const counters[IPC_AUTH__MAX] = {
	    [IPC_AUTH_OK] = &v->counters.auth_ok,
	    [IPC_AUTH_REFUSED] = &v->counters.auth_refused,
	    [IPC_AUTH_MALFORMED] = &v->counters.auth_malformed,
	    [IPC_AUTH_BLOCKED] = &v->counters.auth_blocked,
	    [IPC_AUTH_TROUBLE] = &v->counters.auth_trouble,
	    [IPC_AUTH_UNKNOWN] = &v->counters.auth_malformed,
	};

	++*counters[result];
}

static void
remember_end(const struct exchange *x, enum ipc_auth result)
{
	struct vault *v = x->vault;

	if (result == IPC_AUTH_OK)
		backoff_succeeded(v->backoff, x->network, x->login, service_now_ms(v->service));
	else if (result == IPC_AUTH_REFUSED)
		backoff_failed(v->backoff, x->network, x->login, service_now_ms(v->service));
}

/* The hasher is for others while a client thinks. */
static void
say(struct exchange *x, enum exchange_state state, const void *data, size_t len)
{
	struct msg_auth_challenge m = {.req = x->req, .data = {data, len}};

	pool_let_go(x->vault->pool, &x->job);
	x->state = state;
	x->said_ms = service_now_ms(x->vault->service);
	(void)channel_send(x->ch, MSG_auth_challenge, &m);
}

void
exchange_challenge(struct exchange *x, const void *data, size_t len)
{
	say(x, EXCHANGE_CHALLENGES, data, len);
}

void
exchange_end(struct exchange *x, enum ipc_auth result, const char *why)
{
	const char *refusal = x->mechanism->refusal;

	/* What comes from a table or another program is looked at as well. */
	if (result == IPC_AUTH_OK && !sasl_is_name((const uint8_t *)x->login, strlen(x->login))) {
		x->login[0] = '\0';
		result = IPC_AUTH_TROUBLE;
		why = "not a login";
	}
	log_end(x, result, why);
	count_end(x->vault, result);
	remember_end(x, result);
	if (result == IPC_AUTH_REFUSED && refusal != NULL) {
		forget_secret(x);
		say(x, EXCHANGE_REFUSES, refusal, strlen(refusal));
		return;
	}
	send_verdict(x->ch, x->req, result, result == IPC_AUTH_OK ? x->login : "");
	exchange_free(x);
}

/* It was logged and counted when the client was told why. */
static void
end_refused(struct exchange *x)
{
	send_verdict(x->ch, x->req, IPC_AUTH_REFUSED, "");
	exchange_free(x);
}

bool
exchange_is_blocked(struct exchange *x)
{
	const char *who = backoff_blocked(
	    x->vault->backoff, x->network, x->login, service_now_ms(x->vault->service));

	if (who == NULL)
		return false;
	exchange_end(x, IPC_AUTH_BLOCKED, who);
	return true;
}

/* -- what mechanisms note -- */

int
exchange_set_secret(struct exchange *x, struct span secret)
{
	forget_secret(x);
	if ((x->secret = malloc(secret.len)) == NULL)
		return -1;
	memcpy(x->secret, secret.data, secret.len);
	x->secret_len = secret.len;
	return 0;
}

struct credentials *
exchange_passwords(const struct exchange *x)
{
	return x->system ? passwords_system(x->vault->passwords)
			 : passwords_find(x->vault->passwords, x->passwords);
}

/* -- what the session says -- */

static const struct mechanism *
mechanism_find(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(mechanisms); i++)
		if (str_equal_nocase(mechanisms[i]->name, name))
			return mechanisms[i];
	return NULL;
}

/* A client that has no address we can read stands for itself. */
static void
set_client(struct exchange *x, const char *client)
{
	const struct conf_values *values = &x->vault->conf->values;
	const struct host_prefix prefix = {
	    (unsigned int)values->smtp_prefix4, (unsigned int)values->smtp_prefix6};
	struct addr addr;

	str_cut(x->client, sizeof(x->client), client);
	if (host_parse(client, &addr) == 0)
		host_network(&addr, &prefix, x->network);
	else
		str_cut(x->network, sizeof(x->network), client);
}

static void
set_listener(struct exchange *x, const struct msg_auth_begin *m)
{
	x->system = m->system;
	str_cut(x->passwords, sizeof(x->passwords), m->passwords);
	str_cut(x->tokens, sizeof(x->tokens), m->tokens);
	str_cut(x->binding, sizeof(x->binding), m->binding);
	x->has_exporter = m->exporter.len == sizeof(x->exporter);
	if (x->has_exporter)
		memcpy(x->exporter, m->exporter.data, sizeof(x->exporter));
	str_cut(x->fingerprint, sizeof(x->fingerprint), m->fingerprint);
	str_cut(x->identities, sizeof(x->identities), m->identities);
}

static void
step(struct exchange *x, struct span data)
{
	x->state = EXCHANGE_WORKS;
	x->said_ms = service_now_ms(x->vault->service);
	x->mechanism->step(x, data.data, data.len);
}

/* Where there is no room, who has been silent for longest makes it. */
static bool
displace(struct vault *v, const struct channel *ch)
{
	struct exchange *x;

	TAILQ_FOREACH (x, &v->exchanges->by_link[channel_instance(ch)], by_link)
		if (x->state == EXCHANGE_CHALLENGES) {
			exchange_end(x, IPC_AUTH_TROUBLE, "another took its place");
			return true;
		}
	return false;
}

void
exchange_begin(struct vault *v, struct channel *ch, const struct msg_auth_begin *m)
{
	const struct mechanism *mechanism = mechanism_find(m->mechanism);
	struct exchange *x;

	if (exchange_find(v, ch, m->req) != NULL) {
		channel_reject(ch, "two exchanges with one id");
		return;
	}
	if (mechanism == NULL) {
		count_end(v, IPC_AUTH_UNKNOWN);
		send_verdict(ch, m->req, IPC_AUTH_UNKNOWN, "");
		return;
	}
	if ((x = exchange_create(v, ch, m->req)) == NULL && displace(v, ch))
		x = exchange_create(v, ch, m->req);
	if (x == NULL) {
		count_end(v, IPC_AUTH_TROUBLE);
		send_verdict(ch, m->req, IPC_AUTH_TROUBLE, "");
		return;
	}
	x->mechanism = mechanism;
	set_client(x, m->client);
	set_listener(x, m);
	if (!mechanism->fits(x))
		exchange_end(x, IPC_AUTH_UNKNOWN, "not offered");
	else if (m->with_initial)
		step(x, m->initial);
	else
		exchange_challenge(x, mechanism->prompt, strlen(mechanism->prompt));
}

void
exchange_response(struct vault *v, struct channel *ch, const struct msg_auth_response *m)
{
	struct exchange *x = exchange_find(v, ch, m->req);

	if (x == NULL)
		return; /* it took too long */
	if (x->state == EXCHANGE_WORKS) {
		channel_reject(ch, "a response before the challenge");
		return;
	}
	if (x->state == EXCHANGE_REFUSES)
		end_refused(x);
	else
		step(x, m->data);
}

void
exchange_cancel(struct vault *v, struct channel *ch, uint32_t req)
{
	struct exchange *x = exchange_find(v, ch, req);

	if (x == NULL)
		return;
	/* Who hangs up before the answer has guessed all the same. */
	if (x->state == EXCHANGE_WORKS && x->login[0] != '\0')
		backoff_failed(v->backoff, x->network, x->login, service_now_ms(v->service));
	exchange_free(x);
}

void
exchange_shadow(struct vault *v, const struct msg_shadow_answer *m)
{
	struct exchange *x;

	/* Not by the question's owner: others ask the parent, too. */
	TAILQ_FOREACH (x, &v->exchanges->by_age, by_age)
		if (m->req != 0 && x->ask == m->req)
			break;
	if (x == NULL)
		return; /* it took too long */
	ask_end(service_asks(v->service), m->req);
	x->ask = 0;
	value_shadow_answer(x, (enum ipc_outcome)m->outcome, m->stored);
}

/* -- time -- */

static bool
is_over(const struct exchange *x, int64_t now_ms)
{
	return x->began_ms + EXCHANGE_MAX_MS <= now_ms ||
	       (x->state == EXCHANGE_WORKS && x->said_ms + EXCHANGE_WORK_MS <= now_ms);
}

void
exchanges_tick(struct vault *v, int64_t now_ms)
{
	struct exchange *x, *next;

	for (x = TAILQ_FIRST(&v->exchanges->by_age); x != NULL; x = next) {
		next = TAILQ_NEXT(x, by_age);
		if (!is_over(x, now_ms))
			continue;
		if (x->state == EXCHANGE_REFUSES)
			end_refused(x);
		else
			exchange_end(x, IPC_AUTH_TROUBLE, "took too long");
	}
}

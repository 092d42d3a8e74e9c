/* SPDX-License-Identifier: ISC */
/*
 * What reaches smtpd-vault, and where it goes: its life, its questions.
 *
 * Invariants: nothing here waits, and nothing hashes a password; whatever is
 * slow is a hasher's, and asked for by whoever will hear the answer.  A drain
 * ends this program after the sessions.  Fatal: no memory for a configuration.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/secret/scram.h"
#include "lib/secret/token.h"
#include "vault/admin.h"
#include "vault/backoff.h"
#include "vault/exchange.h"
#include "vault/find.h"
#include "vault/keys.h"
#include "vault/oauth.h"
#include "vault/passwords.h"
#include "vault/pool.h"
#include "vault/program.h"
#include "vault/relay_auth.h"
#include "vault/remote.h"
#include "vault/scram_tables.h"
#include "vault/sign.h"
#include "vault/srs.h"
#include "vault/tickets.h"
#include "vault/vault.h"

int
vault_init(struct vault *v)
{
	v->keys = keys_create();
	v->signs = sign_links_create();
	v->tickets = tickets_create();
	v->passwords = passwords_create();
	v->scram_tables = scram_tables_create();
	v->pool = pool_create(&v->service);
	v->backoff = backoff_create();
	v->exchanges = exchanges_create();
	v->finds = secret_finds_create(v);
	v->oauths = oauths_create(v);
	v->relay_auths = relay_auths_create(v);
	if (v->keys == NULL || v->signs == NULL || v->tickets == NULL || v->passwords == NULL ||
	    v->scram_tables == NULL || v->pool == NULL || v->backoff == NULL ||
	    v->exchanges == NULL || v->finds == NULL || v->oauths == NULL || v->relay_auths == NULL)
		return -1;
	return 0;
}

/* The service is gone, and with it channels and events: what hangs on those ends with the process. */
void
vault_free(struct vault *v)
{
	secret_finds_free(v->finds);
	if (v->pool != NULL && v->exchanges != NULL) {
		relay_auths_free(v->relay_auths);
		exchanges_free(v->exchanges);
		scram_tables_free(v->scram_tables, v);
	}
	oauths_free(v->oauths);
	pool_free(v->pool);
	backoff_free(v->backoff);
	passwords_free(v->passwords);
	tickets_free(v->tickets);
	sign_links_free(v->signs);
	keys_free(v->keys);
}

/* -- configuration -- */

static void
start_remotes(struct vault *v)
{
	if (v->remotes == NULL)
		v->remotes = remotes_create(service_base(v->service), service_asks(v->service),
		    service_peer(v->service, ROLE_PARENT, 0));
	if (v->remotes == NULL)
		fatal("event=no-memory");
}

/* Files of a reload that another one overtook may have come, of a pki that is gone. */
static void
forget_keys(struct vault *v, const struct conf *conf)
{
	size_t i;

	for (i = keys_count(v->keys); i-- > 0;) {
		const struct keys_entry e = keys_entry(v->keys, i);

		if (conf_pki_find(conf, e.name) == NULL)
			keys_forget(v->keys, e.name);
	}
}

static void
configure(void *ctx, const struct conf *conf)
{
	struct vault *v = ctx;
	const struct backoff_limits limits = {.free_failures = conf->values.auth_free_failures,
	    .max_block_ms = conf->values.auth_max_block_s * 1000};

	start_remotes(v);
	if (passwords_configure(v->passwords, conf) == -1 ||
	    remotes_configure(v->remotes, conf) == -1 || oauths_configure(v->oauths, conf) == -1)
		fatal("event=tables-not-configured error=\"%s\"", strerror(errno));
	keys_commit(v->keys, time_wall_s());
	forget_keys(v, conf);
	backoff_configure(v->backoff, &limits);
	v->conf = conf;
	scram_tables_changed(v);
}

static void
on_file_data(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_file_data *m = &msg->file_data;
	struct vault *v = ctx;
	struct logline l;
	int rc;

	(void)ch;
	(void)fd;
	if (m->kind == IPC_DATA_TABLE)
		rc = passwords_feed(v->passwords, m);
	else if (m->kind >= IPC_DATA_SEAL_KEY)
		rc = oauths_feed(v->oauths, m);
	else
		rc = keys_feed(v->keys, m);
	if (rc == 0)
		return;
	logline_start(&l, LOG_LEVEL_WARN, "file-not-loaded");
	logline_str(&l, "name", m->name);
	logline_str(&l, "error", strerror(errno));
	logline_end(&l);
}

/* Outside the sandbox: what libraries do only once, and look for files meanwhile. */
static int
prepare(void *ctx)
{
	const struct vault *v = ctx;
	const uint8_t secret[SCRAM_KEY_SIZE] = {0};
	struct scram_keys keys;
	char key[TOKEN_KEY_SIZE];

	if (v->conf == NULL) {
		errno = EINVAL;
		return -1;
	}
	scram_keys_fake(secret, "", SCRAM_ITERATIONS_MIN, SCRAM_SALT_SIZE, &keys);
	token_key("", 0, key);
	return 0;
}

/* -- life -- */

static int
begin(void *ctx)
{
	struct vault *v = ctx;

	tickets_tick(v, service_now_s(v->service));
	return 0;
}

static bool
is_client(const struct channel *ch)
{
	return channel_peer(ch) == ROLE_SESSION || channel_peer(ch) == ROLE_DELIVERY;
}

static void
on_link(void *ctx, struct channel *ch)
{
	struct vault *v = ctx;

	if (channel_peer(ch) == ROLE_HASHER)
		pool_link(v->pool, ch);
	if (is_client(ch))
		v->nclients++;
	if (channel_peer(ch) != ROLE_SESSION)
		return;
	scram_tables_link(v, ch);
	tickets_link(v, ch);
}

static void
stop_if_drained(struct vault *v)
{
	bool idle = v->nclients == 0 && !oauths_is_busy(v->oauths);

	if (service_is_draining(v->service) &&
	    (idle || service_now_ms(v->service) >= v->drain_deadline_ms))
		service_stop(v->service);
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct vault *v = ctx;

	if (channel_peer(ch) == ROLE_HASHER)
		pool_unlink(v->pool, ch);
	secret_finds_unlink(v->finds, ch);
	oauths_unlink(v->oauths, ch);
	relay_auths_unlink(v->relay_auths, ch);
	if (channel_peer(ch) == ROLE_SESSION)
		exchanges_unlink(v, ch);
	if (is_client(ch))
		v->nclients--;
	stop_if_drained(v);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct vault *v = ctx;

	v->drain_deadline_ms = deadline_ms;
	stop_if_drained(v);
}

static void
on_turn(void *ctx)
{
	struct vault *v = ctx;

	pool_run(v->pool);
	sign_links_run(v);
}

static void
on_tick(void *ctx)
{
	struct vault *v = ctx;
	int64_t now_ms = service_now_ms(v->service), now_s = service_now_s(v->service);

	exchanges_tick(v, now_ms);
	secret_finds_tick(v->finds, now_ms);
	oauths_tick(v->oauths);
	relay_auths_tick(v->relay_auths);
	remotes_tick(v->remotes, now_ms);
	backoff_tick(v->backoff, now_ms);
	scram_tables_tick(v, now_ms);
	tickets_tick(v, now_s);
	keys_tick(v->keys, now_s);
	stop_if_drained(v);
}

static void
counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct vault *v = ctx;
	const struct keys_counters *k = keys_counters(v->keys);
	const struct vault_counters *c = &v->counters;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
	    {"auth.ok", c->auth_ok},
	    {"auth.refused", c->auth_refused},
	    {"auth.malformed", c->auth_malformed},
	    {"auth.blocked", c->auth_blocked},
	    {"auth.trouble", c->auth_trouble},
	    {"auth.under-way", exchanges_count(v->exchanges)},
	    {"auth.waiting", pool_waiting(v->pool)},
	    {"auth.failing", backoff_count(v->backoff)},
	    {"hashers", pool_hashers(v->pool)},
	    {"relay-logins.under-way", relay_auths_count(v->relay_auths)},
	    {"sign.done", k->signatures},
	    {"sign.refused", k->refused},
	    {"sign.failed", k->failed},
	};
	size_t i;

	for (i = 0; i < NITEMS(rows); i++)
		row(arg, rows[i].name, rows[i].value);
}

/* -- questions -- */

static void
on_sign_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	sign_link(ctx, msg->sign_link.instance, fd);
}

/* They have a channel of their own, where nobody gets more than his share. */
static void
on_sign(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)msg;
	(void)fd;
	channel_reject(ch, "a question for a signature on this link");
}

static void
on_auth_begin(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	exchange_begin(ctx, ch, &msg->auth_begin);
}

static void
on_auth_response(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	exchange_response(ctx, ch, &msg->auth_response);
}

static void
on_auth_cancel(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	exchange_cancel(ctx, ch, msg->req);
}

static void
on_hash_verdict(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;

	(void)fd;
	pool_answer(v->pool, ch, msg->req, (enum ipc_outcome)msg->hash_verdict.outcome, "");
}

static void
on_found(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_found *m = &msg->found;
	struct vault *v = ctx;

	(void)fd;
	pool_answer(v->pool, ch, m->req, (enum ipc_outcome)m->outcome, m->value);
}

static void
on_shadow_answer(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	exchange_shadow(ctx, &msg->shadow_answer);
}

static void
on_table_row(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	program_on_row(ctx, ch, &msg->table_row);
}

static void
on_table_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	program_on_end(ctx, ch, &msg->table_end);
}

static void
on_helper_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;

	remotes_on_link(v->remotes, ch, msg->req, fd);
}

static void
on_helper_refused(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;

	(void)fd;
	remotes_on_refused(v->remotes, ch, msg->req, msg->helper_refused.text);
}

static enum ipc_outcome
answer_srs(const struct vault *v, const struct msg_srs *m, char address[ADDRESS_MAX + 1])
{
	static const enum ipc_outcome outcomes[] = {
	    [SRS_OK] = IPC_OK, [SRS_NOT_OURS] = IPC_GONE, [SRS_TOO_LONG] = IPC_FAIL};
	const struct conf_values *c = &v->conf->values;
	const struct srs_keys keys = {c->srs_key, c->srs_key_old, c->srs_ttl_s};
	int64_t now_s = service_now_s(v->service);

	if (keys.key == NULL)
		return m->reverse ? IPC_GONE : IPC_FAIL;
	return outcomes[m->reverse ? srs_reverse(&keys, now_s, m->address, address)
				   : srs_rewrite(&keys, now_s, m->address, m->domain, address)];
}

/* Who could have both done could send to anybody through us. */
static void
on_srs(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_srs *m = &msg->srs;
	char address[ADDRESS_MAX + 1] = "";
	struct msg_srs_answer answer = {.req = m->req, .address = address};

	(void)fd;
	if (m->reverse != (channel_peer(ch) == ROLE_LOOKUP)) {
		channel_reject(ch, "a question about SRS that is another's to ask");
		return;
	}
	answer.outcome = (uint8_t)answer_srs(ctx, m, address);
	(void)channel_send(ch, MSG_srs_answer, &answer);
}

static void
on_certificates(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	admin_certificates(ctx, ch, msg->req);
}

static void
on_logins(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	admin_logins(ctx, ch, &msg->logins);
}

static void
on_logins_clear(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)fd;
	admin_logins_clear(ctx, ch, &msg->logins_clear);
}

static void
on_find_secret(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct vault *v = ctx;

	(void)fd;
	secret_find_begin(v->finds, ch, &msg->find_secret);
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_file_data] = on_file_data,
    [MSG_sign_link] = on_sign_link,
    [MSG_sign] = on_sign,
    [MSG_auth_begin] = on_auth_begin,
    [MSG_auth_response] = on_auth_response,
    [MSG_auth_cancel] = on_auth_cancel,
    [MSG_hash_verdict] = on_hash_verdict,
    [MSG_found] = on_found,
    [MSG_shadow_answer] = on_shadow_answer,
    [MSG_table_row] = on_table_row,
    [MSG_table_end] = on_table_end,
    [MSG_helper_link] = on_helper_link,
    [MSG_helper_refused] = on_helper_refused,
    [MSG_srs] = on_srs,
    [MSG_certificates] = on_certificates,
    [MSG_logins] = on_logins,
    [MSG_logins_clear] = on_logins_clear,
    [MSG_find_secret] = on_find_secret,
    [MSG_derived] = relay_auth_on_derived,
    [MSG_relay_auth] = relay_auth_on_begin,
    [MSG_relay_auth_challenge] = relay_auth_on_challenge,
    [MSG_relay_auth_result] = relay_auth_on_result,
    [MSG_sealed] = oauth_on_sealed,
    [MSG_fetched] = oauth_on_fetched,
    [MSG_oauth_login] = oauth_on_login,
    [MSG_oauth_code] = oauth_on_code,
    [MSG_oauth_list] = oauth_on_list,
    [MSG_oauth_forget] = oauth_on_forget,
};

const struct service_program vault_program = {
    .role = ROLE_VAULT,
    .handlers = handlers,
    .configure = configure,
    .prepare = prepare,
    .begin = begin,
    .on_link = on_link,
    .on_unlink = on_unlink,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain,
    .counters = counters,
};

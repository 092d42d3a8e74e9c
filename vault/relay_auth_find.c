/* SPDX-License-Identifier: ISC */
/*
 * The credential that goes with a label: a token of OAuth, or what the action's
 * table has under it, wherever that is.
 *
 * Invariants: delivery, which talks with strangers, is not believed: a label is given
 * out for the host and port alone that its action's URL names, or, where URLs are in
 * tables, to an action that has the label.  One look-up at a time, and it ends
 * once.
 */
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/service.h"
#include "lib/mail/relay_url.h"
#include "vault/passwords.h"
#include "vault/program.h"
#include "vault/relay_auth_private.h"
#include "vault/relay_credential.h"

#define TROUBLE_AGAIN_S 30

static bool
is_url_of(const char *url, const struct msg_relay_auth *m)
{
	struct relay_url u;

	return relay_url_parse(url, &u) == 0 && strcmp(u.label, m->label) == 0 &&
	       str_equal_nocase(u.host, m->host) && u.port == m->port;
}

const char *
relay_auth_misplaced(const struct conf *conf, const struct msg_relay_auth *m)
{
	const struct conf_action *a = conf_action_find(conf, m->action);

	if (a == NULL || a->kind != CONF_ACTION_RELAY || m->label[0] == '\0')
		return "smtpd.conf has no such relay action";
	if (a->auth == NULL && conf_oauth_find(conf, m->label) == NULL)
		return "smtpd.conf has neither a table nor an oauth for this label";
	if (a->host != NULL)
		return is_url_of(a->host, m) ? NULL
					     : "smtpd.conf has another server for this label";
	return a->host_table != NULL || a->domain_table != NULL
		   ? NULL
		   : "smtpd.conf names no server for this action";
}

/* -- what was found -- */

static void
fail(struct relay_auth *a, const char *text, uint32_t again_s, bool with_alarm)
{
	const struct relay_auth_fault f = {"4.7.0", text, again_s, with_alarm};

	relay_auth_fail(a, &f);
}

static void
use_value(struct relay_auth *a, const char *value)
{
	struct relay_credential c;
	const char *why = relay_credential_parse(value, &c);
	const struct sasl_client_login login = {
	    .login = c.user, .secret = c.password, .host = a->host, .port = a->port};

	if (why != NULL)
		fail(a, why, OAUTH_AGAIN_S, true);
	else
		relay_auth_credential(a, &login);
}

static void
use_answer(struct relay_auth *a, enum ipc_outcome outcome, const char *value)
{
	if (outcome == IPC_OK)
		use_value(a, value);
	else if (outcome == IPC_GONE)
		fail(a, "the action's table has nothing under this label", OAUTH_AGAIN_S, true);
	else
		fail(a, "the action's table can't be asked now", TROUBLE_AGAIN_S, false);
}

/* -- a token -- */

static void
use_token(struct relay_auth *a, const struct oauth_token *t)
{
	const struct sasl_client_login login = {.login = t->user,
	    .secret = {(const uint8_t *)t->token, t->token == NULL ? 0 : strlen(t->token)},
	    .is_token = true,
	    .host = a->host,
	    .port = a->port};

	if (t->token == NULL)
		fail(a, t->why, t->again_s, false); /* the account has its own alarm */
	else
		relay_auth_credential(a, &login);
}

static void
on_token(struct oauth_wait *w, const struct oauth_token *t)
{
	use_token(w->owner, t);
}

static void
find_token(struct relay_auth *a)
{
	struct oauth_token token;

	a->wait.done = on_token;
	a->wait.owner = a;
	if (oauth_get(a->vault->oauths, a->label, &a->wait, &token) != OAUTH_WAITS)
		use_token(a, &token);
}

/* -- a table -- */

static void
on_found(struct job *j, enum ipc_outcome outcome, const char *value)
{
	struct relay_auth *a = j->owner;

	pool_let_go(a->vault->pool, j);
	use_answer(a, outcome, value);
}

static void
on_hasher(struct job *j)
{
	struct relay_auth *a = j->owner;
	struct msg_find m = {.table = a->table, .service = SERVICE_CREDENTIALS, .key = a->label};

	if (pool_find(a->vault->pool, j, &m, on_found) == -1)
		use_answer(a, IPC_RETRY, "");
}

static void
on_program(void *owner, enum ipc_outcome outcome, const char *value)
{
	struct relay_auth *a = owner;

	a->program = NULL;
	use_answer(a, outcome, value);
}

static void
find_here(struct relay_auth *a, const struct credentials *c)
{
	static const enum ipc_outcome outcomes[] = {[CREDENTIALS_NO] = IPC_GONE,
	    [CREDENTIALS_YES] = IPC_OK,
	    [CREDENTIALS_TROUBLE] = IPC_RETRY};
	const char *found, *value = "";
	enum credentials_answer answer = credentials_value(c, a->label, &found, &value);

	use_answer(a, outcomes[answer], value);
}

static void
find_in_table(struct relay_auth *a, const struct credentials *c)
{
	const struct program_key key = {a->table, SERVICE_CREDENTIALS, a->label};

	switch (credentials_where(c)) {
	case CREDENTIALS_HERE:
		find_here(a, c);
		break;
	case CREDENTIALS_SQLITE:
		a->job.ready = on_hasher;
		if (pool_wait(a->vault->pool, &a->job, a->label) == -1)
			use_answer(a, IPC_RETRY, "");
		break;
	case CREDENTIALS_PROGRAM:
		if ((a->program = program_ask(a->vault, &key, on_program, a)) == NULL)
			use_answer(a, IPC_RETRY, "");
		break;
	default: /* these can only say yes or no to a password */
		fail(a, "the action's table keeps no credentials", OAUTH_AGAIN_S, true);
		break;
	}
}

void
relay_auth_find(struct relay_auth *a)
{
	const struct conf_action *action = conf_action_find(a->vault->conf, a->action);
	const struct credentials *c;

	if (conf_oauth_find(a->vault->conf, a->label) != NULL) {
		find_token(a);
		return;
	}
	str_cut(a->table, sizeof(a->table), action->auth);
	if ((c = passwords_find(a->vault->passwords, a->table)) == NULL)
		use_answer(a, IPC_RETRY, "");
	else
		find_in_table(a, c);
}

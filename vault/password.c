/* SPDX-License-Identifier: ISC */
/*
 * Is it the password of this login?  The way that PLAIN and LOGIN share.
 *
 * Invariant: a login that does not exist, is locked, or has nothing that can be
 * used goes the same way as any other: one look-up, one hash of the usual
 * kind by a hasher, the same answer.
 */
#include <string.h>

#include "lib/base/str.h"
#include "vault/mechanism.h"
#include "vault/remote.h"
#include "vault/scram_tables.h"

static void
on_hashed(struct job *j, enum ipc_outcome outcome, const char *value)
{
	struct exchange *x = j->owner;

	(void)value;
	if (outcome != IPC_OK && outcome != IPC_FAIL)
		exchange_end(x, IPC_AUTH_TROUBLE, "hasher");
	else if (!x->known)
		exchange_end(x, IPC_AUTH_REFUSED, "unknown login");
	else
		exchange_end(x, outcome == IPC_OK ? IPC_AUTH_OK : IPC_AUTH_REFUSED, "password");
}

static void
check_now(struct exchange *x, const char *hash)
{
	struct span secret = {x->secret, x->secret_len};

	if (hash == NULL || pool_hash(x->vault->pool, &x->job, hash, secret, on_hashed) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "no hasher");
}

static void
on_late_hasher(struct job *j)
{
	struct exchange *x = j->owner;

	if (!exchange_is_blocked(x))
		check_now(x, x->hash);
}

/* Where it was asked for without a hasher, one is waited for now. */
static void
check_against(struct exchange *x, const char *hash)
{
	if (x->job.slot != NULL || hash == NULL) {
		check_now(x, hash);
		return;
	}
	x->job.ready = on_late_hasher;
	if ((x->hash = strdup(hash)) == NULL ||
	    pool_wait(x->vault->pool, &x->job, x->network) == -1)
		exchange_end(x, IPC_AUTH_TROUBLE, "too much to do");
}

static void
learn(struct exchange *x, struct credentials *c, const struct stored *stored)
{
	bool before = credentials_has_scram(c);

	credentials_learn(c, stored);
	if (credentials_has_scram(c) != before)
		scram_tables_tell(x->vault, c);
}

static void
on_value(struct exchange *x, enum credentials_answer answer, const char *found, const char *value)
{
	struct credentials *c = exchange_passwords(x);
	char hash[STORED_HASH_SIZE];
	struct stored stored;
	const char *why;

	if (c == NULL || answer == CREDENTIALS_TROUBLE) {
		exchange_end(x, IPC_AUTH_TROUBLE, "table");
		return;
	}
	/* Taken apart in any case: what costs time costs it for all. */
	x->known = stored_parse(value, &stored, &why) == 0 && answer == CREDENTIALS_YES;
	if (x->known) {
		if (credentials_where(c) != CREDENTIALS_HERE)
			learn(x, c, &stored);
		str_cut(x->login, sizeof(x->login), found);
		kinds_check_of(&stored, hash);
	}
	check_against(x, x->known ? hash : credentials_dummy(c));
	explicit_bzero(hash, sizeof(hash));
	explicit_bzero(&stored, sizeof(stored));
}

static void
on_hasher(struct job *j)
{
	struct exchange *x = j->owner;

	/* Others may have guessed while this one waited. */
	if (!exchange_is_blocked(x))
		value_find(x, exchange_passwords(x), x->login, on_value);
}

/* -- a program that knows -- */

static void
on_remote(void *owner, enum ipc_auth result, const char *login)
{
	struct exchange *x = owner;

	x->remote = NULL;
	if (result == IPC_AUTH_OK)
		str_cut(x->login, sizeof(x->login), login);
	exchange_end(x, result, result == IPC_AUTH_TROUBLE ? "back end" : "password");
}

static void
ask_remote(struct exchange *x)
{
	struct vault *v = x->vault;
	const struct remote_request request = {.table = x->passwords,
	    .client = x->client,
	    .network = x->network,
	    .kind = REMOTE_PASSWORD,
	    .login = x->login,
	    .secret = {x->secret, x->secret_len}};

	x->remote = remote_ask(v->remotes, &request, service_now_ms(v->service), on_remote, x);
	if (x->remote == NULL)
		exchange_end(x, IPC_AUTH_TROUBLE, "back end");
}

bool
password_fits(const struct exchange *x)
{
	return x->system || x->passwords[0] != '\0';
}

void
password_check(struct exchange *x)
{
	struct credentials *c = exchange_passwords(x);

	if (exchange_is_blocked(x))
		return;
	if (c == NULL) {
		exchange_end(x, IPC_AUTH_TROUBLE, "table");
	} else if (credentials_where(c) == CREDENTIALS_REMOTE) {
		ask_remote(x);
	} else if (credentials_where(c) == CREDENTIALS_PROGRAM) {
		/* A server far away may be slow: no hasher waits for it. */
		value_find(x, c, x->login, on_value);
	} else {
		x->job.ready = on_hasher;
		if (pool_wait(x->vault->pool, &x->job, x->network) == -1)
			exchange_end(x, IPC_AUTH_TROUBLE, "too much to do");
	}
}

/* SPDX-License-Identifier: ISC */
/*
 * smtpd-hasher: the slow work of the vault, one thing at a time.  It is told a
 * password and a hash, and says whether they go together, or makes the keys of one for a
 * login elsewhere; or a login, and says what a database keeps for it.  With -c TABLE it
 * looks at a database, see hasher_check.h.
 *
 * Invariant: it knows of nobody but who is asked for, and remembers nobody.
 * Nothing that is asked is fatal.
 */
#include <string.h>

#include "lib/service/service.h"
#include "vault/hasher_check.h"
#include "vault/hasher_crypt.h"
#include "vault/hasher_sqlite.h"

struct hasher { /* all that the program has */
	struct service *service;
	struct hasher_sqlite *sqlite;
	unsigned int nvaults;
	int64_t drain_deadline_ms;
};

/* -- life -- */

static void
configure(void *ctx, const struct conf *conf)
{
	struct hasher *h = ctx;

	hasher_sqlite_configure(h->sqlite, conf);
}

static void
on_file(void *ctx, enum ipc_file kind, const char *name, int fd)
{
	struct hasher *h = ctx;

	(void)kind;
	hasher_sqlite_file(h->sqlite, name, fd);
}

static int
prepare(void *ctx)
{
	(void)ctx;
	return hasher_crypt_prepare();
}

static void
on_link(void *ctx, struct channel *ch)
{
	struct hasher *h = ctx;

	(void)ch;
	h->nvaults++;
}

/* The vault goes on until the sessions are gone, and needs us as long. */
static void
stop_if_drained(struct hasher *h)
{
	if (service_is_draining(h->service) &&
	    (h->nvaults == 0 || service_now_ms(h->service) >= h->drain_deadline_ms))
		service_stop(h->service);
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	struct hasher *h = ctx;

	(void)ch;
	h->nvaults--;
	stop_if_drained(h);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct hasher *h = ctx;

	h->drain_deadline_ms = deadline_ms;
	stop_if_drained(h);
}

static void
on_tick(void *ctx)
{
	stop_if_drained(ctx);
}

/* -- questions -- */

static void
on_hash(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_hash *m = &msg->hash;
	struct msg_hash_verdict answer = {.req = m->req};
	enum ipc_outcome outcome = hasher_crypt_check(m->stored, m->password);

	(void)ctx;
	(void)fd;
	answer.outcome = (uint8_t)outcome;
	(void)channel_send(ch, MSG_hash_verdict, &answer);
}

static void
on_find(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct msg_find *m = &msg->find;
	struct hasher *h = ctx;
	char value[IPC_SECRET_MAX + 1] = "";
	struct msg_found answer = {.req = m->req, .value = value};
	enum ipc_outcome outcome;

	(void)fd;
	if (m->scram)
		outcome = hasher_sqlite_scram(h->sqlite, m->table);
	else
		outcome = hasher_sqlite_find(h->sqlite, m, value);
	answer.outcome = (uint8_t)outcome;
	(void)channel_send(ch, MSG_found, &answer);
	explicit_bzero(value, sizeof(value));
}

static void
on_derive(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct scram_client_keys keys = {{0}, {0}};
	struct msg_derived answer = {.req = msg->req,
	    .client_key = {keys.client_key, sizeof(keys.client_key)},
	    .server_key = {keys.server_key, sizeof(keys.server_key)}};

	(void)ctx;
	(void)fd;
	answer.outcome = (uint8_t)hasher_crypt_derive(&msg->derive, &keys);
	(void)channel_send(ch, MSG_derived, &answer);
	explicit_bzero(&keys, sizeof(keys));
}

static const channel_handler handlers[MSG__MAX] = {
    [MSG_hash] = on_hash,
    [MSG_find] = on_find,
    [MSG_derive] = on_derive,
};

static const struct service_program hasher_program = {
    .role = ROLE_HASHER,
    .handlers = handlers,
    .configure = configure,
    .on_file = on_file,
    .prepare = prepare,
    .on_link = on_link,
    .on_unlink = on_unlink,
    .on_tick = on_tick,
    .on_drain = on_drain,
};

int
main(int argc, char *argv[])
{
	static struct hasher h;
	int rc = 1;

	if (argc == 3 && strcmp(argv[1], "-c") == 0)
		return hasher_check_main(argv[2]);
	if ((h.sqlite = hasher_sqlite_create()) != NULL)
		rc = service_main(&hasher_program, &h, &h.service);
	hasher_sqlite_free(h.sqlite);
	return rc;
}

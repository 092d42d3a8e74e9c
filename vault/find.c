/* SPDX-License-Identifier: ISC */
/*
 * What an admin may know of a table of secrets: that a key is there, and what kind of
 * secret it has.
 *
 * Invariant: no octet of a hash, key or token leaves here.  Every question gets one
 * answer; at most FINDS_MAX are under way, and for hashers all of them are one client.
 * Nothing is fatal.
 */
#include "vault/find.h"

#include <sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/secret/stored.h"
#include "lib/secret/token.h"
#include "vault/passwords.h"
#include "vault/pool.h"
#include "vault/program.h"
#include "vault/relay_credential.h"
#include "vault/vault.h"

#define FINDS_MAX 64
#define FIND_MS	  20000
#define NAMES_MAX 64	    /* tables whose names may be what was meant */
#define LINE	  "smtpctl" /* among those who wait for a hasher */

struct secret_find { /* owned by its struct secret_finds */
	TAILQ_ENTRY(secret_find) entry;
	struct secret_finds *all;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	struct job job;
	struct program_question *program; /* NULL: none is under way */
	enum table_service service;	  /* what the table is for */
	char table[IPC_WORD_MAX + 1], key[IPC_ADDRESS_MAX + 1];
};

struct secret_finds {
	struct vault *vault;
	TAILQ_HEAD(, secret_find) list; /* the oldest first */
	size_t n;
};

/* -- kinds -- */

static const struct {
	const char *prefix, *words;
} hash_kinds[] = {
    {"$y$", "yescrypt hash"},
    {"$2", "bcrypt hash"},
    {"$6$", "SHA-512 hash"},
    {"$5$", "SHA-256 hash"},
    {"", "hash"},
};

static const char *
hash_words(const char *hash)
{
	size_t i;

	for (i = 0; strncmp(hash, hash_kinds[i].prefix, strlen(hash_kinds[i].prefix)) != 0;)
		i++;
	return hash_kinds[i].words;
}

static void
password_kind(const char *value, char dst[SECRET_KIND_SIZE])
{
	struct stored s;
	const char *why = "";
	char scram[64] = "";

	if (stored_parse(value, &s, &why) == -1) {
		(void)snprintf(dst, SECRET_KIND_SIZE, "nothing that can be used: %s", why);
		return;
	}
	if (s.has_scram)
		(void)snprintf(scram, sizeof(scram), "%sSCRAM-SHA-256 keys, %" PRIu32 " iterations",
		    s.hash[0] == '\0' ? "" : ", ", s.scram.iterations);
	(void)snprintf(
	    dst, SECRET_KIND_SIZE, "%s%s", s.hash[0] == '\0' ? "" : hash_words(s.hash), scram);
	explicit_bzero(&s, sizeof(s));
}

/* Who has it, and until when, is no secret. */
static void
token_kind(const char *value, char dst[SECRET_KIND_SIZE])
{
	struct token_grant grant;
	char login[SECRET_KIND_SIZE / 2];

	if (token_grant_parse(value, &grant) == -1) {
		(void)snprintf(dst, SECRET_KIND_SIZE, "token, its login or expiry is malformed");
		return;
	}
	str_quote(login, sizeof(login), grant.login);
	if (grant.expires_s == INT64_MAX)
		(void)snprintf(dst, SECRET_KIND_SIZE, "token of %s", login);
	else
		(void)snprintf(dst, SECRET_KIND_SIZE, "token of %s, expires at %" PRId64, login,
		    grant.expires_s);
}

static void
certificate_kind(const char *value, char dst[SECRET_KIND_SIZE])
{
	char login[SECRET_KIND_SIZE / 2];

	str_quote(login, sizeof(login), value);
	(void)snprintf(dst, SECRET_KIND_SIZE, "certificate of %s", login);
}

void
secret_kind(const char *key, const char *value, char dst[SECRET_KIND_SIZE])
{
	if (str_starts_nocase(key, "sha256:"))
		token_kind(value, dst);
	else if (str_starts_nocase(key, "cert:"))
		certificate_kind(value, dst);
	else
		password_kind(value, dst);
}

/* With which user we log in elsewhere is no secret. */
static void
relay_kind(const char *key, const char *value, char dst[SECRET_KIND_SIZE])
{
	struct relay_credential c;
	const char *why = relay_credential_parse(value, &c);
	char user[SECRET_KIND_SIZE / 2];

	(void)key;
	str_quote(user, sizeof(user), c.user);
	if (why != NULL)
		(void)snprintf(dst, SECRET_KIND_SIZE, "nothing that can be used: %s", why);
	else
		(void)snprintf(dst, SECRET_KIND_SIZE, "user %s and a password for a relay", user);
}

/* -- life -- */

struct secret_finds *
secret_finds_create(struct vault *v)
{
	struct secret_finds *fs;

	if ((fs = calloc(1, sizeof(*fs))) == NULL)
		return NULL;
	fs->vault = v;
	TAILQ_INIT(&fs->list);
	return fs;
}

static void
secret_find_free(struct secret_find *f)
{
	struct secret_finds *fs = f->all;

	pool_let_go(fs->vault->pool, &f->job);
	program_cancel(f->program);
	TAILQ_REMOVE(&fs->list, f, entry);
	fs->n--;
	free(f);
}

void
secret_finds_free(struct secret_finds *fs)
{
	struct secret_find *f;

	if (fs == NULL)
		return;
	while ((f = TAILQ_FIRST(&fs->list)) != NULL)
		secret_find_free(f);
	free(fs);
}

/* -- the answer -- */

static void
send_end(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	struct msg_find_end m = {.req = req, .outcome = (uint8_t)outcome, .text = text};

	(void)channel_send(ch, MSG_find_end, &m);
}

static void
answer(struct secret_find *f, enum credentials_answer a, const char *value)
{
	char kind[SECRET_KIND_SIZE];
	struct msg_find_row m = {.req = f->req, .value = kind};

	if (a == CREDENTIALS_TROUBLE) {
		send_end(f->ch, f->req, IPC_RETRY, "the table can't be asked now");
	} else if (a == CREDENTIALS_NO) {
		send_end(f->ch, f->req, IPC_GONE, "");
	} else {
		(f->service == SERVICE_CREDENTIALS ? relay_kind : secret_kind)(f->key, value, kind);
		if (channel_send(f->ch, MSG_find_row, &m) == 0)
			send_end(f->ch, f->req, IPC_OK, "");
	}
	secret_find_free(f);
}

/* -- the question -- */

static enum credentials_answer
answer_of(enum ipc_outcome outcome)
{
	if (outcome == IPC_OK)
		return CREDENTIALS_YES;
	return outcome == IPC_GONE ? CREDENTIALS_NO : CREDENTIALS_TROUBLE;
}

static void
on_found(struct job *j, enum ipc_outcome outcome, const char *value)
{
	answer(j->owner, answer_of(outcome), value);
}

static void
on_program(void *owner, enum ipc_outcome outcome, const char *value)
{
	struct secret_find *f = owner;

	f->program = NULL;
	answer(f, answer_of(outcome), value);
}

static void
on_hasher(struct job *j)
{
	struct secret_find *f = j->owner;
	struct msg_find m = {.table = f->table, .service = (uint8_t)f->service, .key = f->key};

	if (pool_find(f->all->vault->pool, j, &m, on_found) == -1)
		answer(f, CREDENTIALS_TROUBLE, "");
}

static void
find_here(struct secret_find *f, const struct credentials *c)
{
	const char *found, *value = "";
	enum credentials_answer a = credentials_value(c, f->key, &found, &value);

	answer(f, a, value);
}

static void
find_in_database(struct secret_find *f)
{
	f->job.ready = on_hasher;
	f->job.owner = f;
	if (pool_wait(f->all->vault->pool, &f->job, LINE) == -1)
		answer(f, CREDENTIALS_TROUBLE, "");
}

static void
ask_program(struct secret_find *f)
{
	const struct program_key key = {f->table, f->service, f->key};

	f->program = program_ask(f->all->vault, &key, on_program, f);
	if (f->program == NULL)
		answer(f, CREDENTIALS_TROUBLE, "");
}

static struct secret_find *
secret_find_create(struct secret_finds *fs, struct channel *ch, const struct msg_find_secret *m,
    const struct credentials *c)
{
	struct secret_find *f;

	if (fs->n == FINDS_MAX || (f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	*f = (struct secret_find){.all = fs, .ch = ch, .req = m->req};
	f->deadline_ms = service_now_ms(fs->vault->service) + FIND_MS;
	f->service = credentials_is_relays(c) ? SERVICE_CREDENTIALS : SERVICE_AUTH;
	TAILQ_INSERT_TAIL(&fs->list, f, entry);
	fs->n++;
	if (str_copy(f->table, sizeof(f->table), m->table) == -1 ||
	    str_copy(f->key, sizeof(f->key), m->key) == -1) {
		secret_find_free(f);
		return NULL;
	}
	/* A login is one whatever its case; databases are asked in lower case. */
	if (f->service == SERVICE_AUTH && credentials_where(c) != CREDENTIALS_HERE)
		str_lower(f->key);
	return f;
}

static void
find_in(struct secret_finds *fs, const struct credentials *c, struct channel *ch,
    const struct msg_find_secret *m)
{
	struct secret_find *f;

	if (credentials_where(c) == CREDENTIALS_REMOTE)
		send_end(ch, m->req, IPC_FAIL,
		    "another program has this table, and says nothing but yes or no to a password");
	else if ((f = secret_find_create(fs, ch, m, c)) == NULL)
		send_end(ch, m->req, IPC_RETRY, "too much is being looked up");
	else if (credentials_where(c) == CREDENTIALS_HERE)
		find_here(f, c);
	else if (credentials_where(c) == CREDENTIALS_PROGRAM)
		ask_program(f);
	else
		find_in_database(f);
}

static void
send_unknown(const struct secret_finds *fs, struct channel *ch, const struct msg_find_secret *m)
{
	const char *names[NAMES_MAX + 1], *near;
	char shown[IPC_WORD_MAX + 8], text[IPC_TEXT_MAX];
	const struct credentials *c;
	size_t n = 0;

	for (; n < NAMES_MAX && (c = passwords_each(fs->vault->passwords, n)) != NULL; n++)
		names[n] = credentials_name(c);
	names[n] = NULL;
	str_quote(shown, sizeof(shown), m->table);
	if ((near = str_nearest(m->table, names)) != NULL)
		(void)snprintf(
		    text, sizeof(text), "no table %s, did you mean \"%s\"?", shown, near);
	else
		(void)snprintf(text, sizeof(text), "no table %s", shown);
	send_end(ch, m->req, IPC_FAIL, text);
}

void
secret_find_begin(struct secret_finds *fs, struct channel *ch, const struct msg_find_secret *m)
{
	const struct credentials *c = passwords_find(fs->vault->passwords, m->table);

	if (c == NULL)
		send_unknown(fs, ch, m);
	else
		find_in(fs, c, ch, m);
}

/* -- ends from outside -- */

void
secret_finds_unlink(struct secret_finds *fs, const struct channel *ch)
{
	struct secret_find *f, *next;

	for (f = TAILQ_FIRST(&fs->list); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (f->ch == ch)
			secret_find_free(f);
	}
}

void
secret_finds_tick(struct secret_finds *fs, int64_t now_ms)
{
	struct secret_find *f;

	/* All have the same time, so the oldest is first. */
	while ((f = TAILQ_FIRST(&fs->list)) != NULL && f->deadline_ms <= now_ms)
		answer(f, CREDENTIALS_TROUBLE, "");
}

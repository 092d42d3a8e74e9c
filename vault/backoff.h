/* SPDX-License-Identifier: ISC */
#ifndef VAULT_BACKOFF_H
#define VAULT_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * Who guesses: failures of each client (an address, or the network that
 * stands for it) and of each login, and for how long they may not try again.
 *
 * After the free ones each further failure blocks its client and its login,
 * twice as long each time.  A success makes a client's failures
 * forgotten.  A client that was let in as a login before is not
 * blocked by what others did to that login: nobody can lock a user out from
 * elsewhere.  After 24 hours without a new one, failures are forgotten.
 *
 * Bounded: who was not seen for longest goes first; a crowd of made-up logins
 * does not push out clients.  Pure: the time is an argument, monotonic in ms.
 */
#define BACKOFF_CLIENTS_MAX 32768
#define BACKOFF_LOGINS_MAX  32768
#define BACKOFF_PAIRS_MAX   65536 /* clients known to have been let in as a login */
#define BACKOFF_FORGET_MS   (24 * 3600 * INT64_C(1000))
#define BACKOFF_FORGIVE_MS  (3600 * INT64_C(1000)) /* once within */
#define BACKOFF_FIRST_MS    5000

struct backoff;

struct backoff_limits {
	uint64_t free_failures;
	int64_t max_block_ms;
};

enum backoff_kind { BACKOFF_CLIENT, BACKOFF_LOGIN, BACKOFF_KIND__MAX };

struct backoff_row {
	uint64_t number;
	enum backoff_kind kind;
	const char *what;
	uint32_t failures;
	int64_t last_ms, until_ms; /* until_ms in the past: it may try */
};

struct backoff *backoff_create(void) WARN_UNUSED;
void backoff_free(struct backoff *b); /* NULL is fine */
void backoff_configure(struct backoff *b, const struct backoff_limits *limits);
void backoff_tick(struct backoff *b, int64_t now_ms); /* forgets */

/* May this client try to be this login now?  login "": of the client alone.  NULL: yes; else
 * which of them is blocked: "client" or "login". */
const char *
backoff_blocked(const struct backoff *b, const char *client, const char *login, int64_t now_ms);
void backoff_failed(struct backoff *b, const char *client, const char *login, int64_t now_ms);
/* The login's count stays, for the guesses of others; the client's is forgiven now and then. */
void backoff_succeeded(struct backoff *b, const char *client, const char *login, int64_t now_ms);

/* The entry with the next number above after; false: there is none. */
bool backoff_next(const struct backoff *b, uint64_t after, struct backoff_row *out) WARN_UNUSED;
/* Forgets the failures of a client or login, as a row names it.  -1: ENOENT. */
int backoff_clear(struct backoff *b, const char *what) WARN_UNUSED;
void backoff_clear_all(struct backoff *b);
size_t backoff_count(const struct backoff *b);

#endif

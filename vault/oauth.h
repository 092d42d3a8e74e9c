/* SPDX-License-Identifier: ISC */
#ifndef VAULT_OAUTH_H
#define VAULT_OAUTH_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/channel.h"

/*
 * OAuth 2 towards other servers: each "oauth" of smtpd.conf is an account, whose access
 * token is renewed before it expires, by smtpd-fetch, and lent for a login.  A consent
 * that an admin gave (RFC 8628, RFC 6749 4.1) is kept by the parent, sealed.
 *
 * A consent that was revoked or has expired is an alarm in the log, a row for
 * `smtpctl oauth list`, and trouble for who asks; it is tried again now and then.
 */
#define OAUTH_AGAIN_S 300 /* mail waits so long where an admin has to do something */

struct oauth_account;
struct oauths;
struct vault;

enum oauth_got { OAUTH_GOT, OAUTH_WAITS, OAUTH_TROUBLE };

struct oauth_token {	   /* lent: copy what is needed */
	const char *token; /* NULL: there is none */
	const char *user;
	const char *why; /* there is none; for people, no secret */
	uint32_t again_s;
};

struct oauth_wait { /* a member of what wants a token; zeroed: it does not wait */
	TAILQ_ENTRY(oauth_wait) entry;
	struct oauth_account *account;
	void (*done)(struct oauth_wait *w, const struct oauth_token *t); /* it waits no more */
	void *owner;
};

struct oauths *oauths_create(struct vault *v) WARN_UNUSED; /* NULL: ENOMEM */
void oauths_free(struct oauths *os); /* nobody waits, the service is gone; wipes; NULL is fine */

/* A piece of IPC_DATA_SEAL_KEY, _SEALED or _OAUTH_KEY, for what is to come.  -1: ENOBUFS, ENOMEM. */
int oauths_feed(struct oauths *os, const struct msg_file_data *piece) WARN_UNUSED;
/* conf lives until the next call.  What an account had stays, unless it is another's now.  -1: ENOMEM. */
int oauths_configure(struct oauths *os, const struct conf *conf) WARN_UNUSED;
void oauths_tick(struct oauths *os);				 /* once a second */
void oauths_unlink(struct oauths *os, const struct channel *ch); /* an asker is gone */

bool oauths_is_busy(const struct oauths *os); /* it would be a pity to end now */

/* The token of a label; WAITS: w->done() is called, unless it is cancelled before. */
enum oauth_got
oauth_get(struct oauths *os, const char *label, struct oauth_wait *w, struct oauth_token *out);
void oauth_wait_cancel(struct oauth_wait *w); /* one that does not wait: fine */
/* A server took the token of this label. */
void oauth_accepted(struct oauths *os, const char *label);
/* A server did not take this token.  Returns in how many seconds it may be tried again. */
uint32_t oauth_refused(struct oauths *os, const char *label, struct span token, const char *why);

/* Handlers; ctx is the struct vault. */
void oauth_on_fetched(void *ctx, struct channel *ch, const union message *msg, int fd);
void oauth_on_sealed(void *ctx, struct channel *ch, const union message *msg, int fd);
void oauth_on_login(void *ctx, struct channel *ch, const union message *msg, int fd);
void oauth_on_code(void *ctx, struct channel *ch, const union message *msg, int fd);
void oauth_on_list(void *ctx, struct channel *ch, const union message *msg, int fd);
void oauth_on_forget(void *ctx, struct channel *ch, const union message *msg, int fd);

#endif

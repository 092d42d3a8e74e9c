/* SPDX-License-Identifier: ISC */
#ifndef VAULT_REMOTE_H
#define VAULT_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/ask.h"
#include "lib/ipc/channel.h"

struct event_base;

/*
 * Tables that are programs behind a Unix socket: Dovecot's auth service
 * (passwords and tokens) and token helpers, see postern-auth-helper(7).  The
 * parent makes the connections (`helper_get`), for this process can't.
 *
 * One question, one answer, within REMOTE_DEADLINE_MS whatever the other side
 * does.  A back end that is down answers at once: TROUBLE.
 */
#define REMOTE_DEADLINE_MS  10000
#define REMOTE_WAITING_MAX  256		 /* questions under way to one table */
#define REMOTE_WAITING_EACH 16		 /* of them, those of one client */
#define REMOTE_SECRET_MAX   IPC_SASL_MAX /* octets of a password or token */

struct remotes;
struct remote_question; /* under way; ends with its answer, or by remote_cancel() */

enum remote_secret {
	REMOTE_PASSWORD,    /* PLAIN and LOGIN; a Dovecot table */
	REMOTE_OAUTHBEARER, /* the token of an OAUTHBEARER message, or */
	REMOTE_XOAUTH2	    /* of a XOAUTH2 one; a Dovecot or helper table */
};

struct remote_request { /* copied; the copy is wiped when the question ends */
	const char *table;
	const char *client;  /* its address, for the other side's log */
	const char *network; /* whose questions are counted together; NULL: client's */
	enum remote_secret kind;
	const char *login; /* of a token: what the client said, "" when it named none; no
			      control characters */
	struct span secret;
};

/*
 * result: IPC_AUTH_OK with the login that the other side names (no
 * spaces, no control characters, at most IPC_ADDRESS_MAX octets), IPC_AUTH_REFUSED or IPC_AUTH_TROUBLE.
 * The question is gone when this is called.  It may ask and cancel others.
 */
typedef void (*remote_done)(void *owner, enum ipc_auth result, const char *login);

/* asks and parent must live longer.  NULL: ENOMEM. */
struct remotes *
remotes_create(struct event_base *base, struct asks *asks, struct channel *parent) WARN_UNUSED;
void remotes_free(struct remotes *r); /* no callback is called */
/*
 * Takes the tables of kind CONF_TABLE_DOVECOT and CONF_TABLE_HELPER.  Questions to a
 * table that is gone, or is another now, end with IPC_AUTH_TROUBLE.  -1: ENOMEM.
 */
int remotes_configure(struct remotes *r, const struct conf *conf) WARN_UNUSED;

/* done is never called from inside.  NULL: it can't be asked now; the same as TROUBLE. */
struct remote_question *remote_ask(struct remotes *r, const struct remote_request *request,
    int64_t now_ms, remote_done done, void *owner) WARN_UNUSED;
void remote_cancel(struct remote_question *q); /* NULL is fine */

/* Handlers of the parent's answers, for the vault's table of handlers to call. */
void remotes_on_link(struct remotes *r, struct channel *parent, uint32_t req, int fd);
void remotes_on_refused(struct remotes *r, struct channel *parent, uint32_t req, const char *text);

void remotes_tick(struct remotes *r, int64_t now_ms); /* once a second: deadlines */

#endif

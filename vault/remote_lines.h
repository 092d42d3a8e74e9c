/* SPDX-License-Identifier: ISC */
#ifndef VAULT_REMOTE_LINES_H
#define VAULT_REMOTE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"
#include "vault/remote.h"

/*
 * The lines of Dovecot's auth client protocol 1.x and of token helpers, without
 * their newlines: pure.  What is read is hostile; what is written was checked.
 */

/* 1 to IPC_ADDRESS_MAX octets, none a space or a control character. */
bool login_is_fit(const char *login, size_t len);

/* -- Dovecot: https://doc.dovecot.org/developer_manual/design/auth_protocol/ -- */

#define DOVECOT_LINE_MAX 16383 /* octets, of what it takes and of what we do */

enum dovecot_word {
	DOVECOT_OTHER, /* of no interest, or newer than we are */
	DOVECOT_VERSION,
	DOVECOT_MECH, /* a mechanism that it offers */
	DOVECOT_DONE, /* end of its greeting */
	DOVECOT_CONT,
	DOVECOT_OK,
	DOVECOT_FAIL
};

struct dovecot_line {
	enum dovecot_word word;
	uint32_t major; /* of VERSION */
	bool known;	/* of MECH: it is kind's */
	enum remote_secret kind;
	uint32_t id;			 /* of CONT, OK, FAIL */
	char login[IPC_ADDRESS_MAX + 1]; /* of OK: its user= */
	bool temporary;			 /* of FAIL: nothing is said about the password */
};

/*
 * -1: not a line of this protocol.  An OK without a login that is fit is a FAIL that is
 * temporary: not the connection is bad, but what is known of one login.
 */
int dovecot_parse(const char *line, size_t len, struct dovecot_line *out) WARN_UNUSED;

/*
 * AUTH with everything in it.  -1: EINVAL (login or secret have octets that
 * can't be in such a message), EMSGSIZE (too long), ENOBUFS, ENOMEM; *out may
 * hold a part then.
 */
int dovecot_auth(struct buf *out, uint32_t id, const struct remote_request *request) WARN_UNUSED;
/* The answer to the CONT that says why a token is refused (RFC 7628 3.2.3). */
int dovecot_give_up(struct buf *out, uint32_t id, enum remote_secret kind) WARN_UNUSED;

/* -- token helpers: postern-auth-helper(7) -- */

#define HELPER_LINE_MAX 16384 /* octets, of a question or an answer */

struct helper_line {
	enum ipc_auth result; /* OK, REFUSED or TROUBLE */
	char login[IPC_ADDRESS_MAX + 1];
};

int helper_parse(const char *line, size_t len, struct helper_line *out) WARN_UNUSED;
/* TOKEN; -1 as above. */
int helper_token(struct buf *out, const struct remote_request *request) WARN_UNUSED;

#endif

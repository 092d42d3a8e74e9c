/* SPDX-License-Identifier: ISC */
#ifndef VAULT_OAUTH_ANSWER_H
#define VAULT_OAUTH_ANSWER_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

/*
 * What an authorization server answers: tokens (RFC 6749 5.1), an error (5.2), or where
 * to type which code (RFC 8628 3.2).  Pure.  All of it is a stranger's: tokens are
 * of the octets that a header may hold, texts are escaped.
 */
#define OAUTH_TOKEN_MAX 8192 /* octets of a token */

enum oauth_said {
	OAUTH_SAID_TOKENS,  /* access_token; refresh_token may be "" */
	OAUTH_SAID_DEVICE,  /* device_code, user_code, url */
	OAUTH_SAID_PENDING, /* nobody has typed the code yet, ask again */
	OAUTH_SAID_SLOWER,  /* the same, and five seconds later each time (RFC 8628 3.5) */
	OAUTH_SAID_REFUSED, /* whoever was asked said no */
	OAUTH_SAID_EXPIRED, /* the code was not typed in time */
	OAUTH_SAID_LOST,    /* consent was revoked, or has expired: somebody has to give it again */
	OAUTH_SAID_SETUP,   /* client, secret or scope are not what this server knows */
	OAUTH_SAID_TROUBLE /* it may go better later: an error of the server, or no answer at all */
};

struct oauth_answer { /* explicit_bzero() it when it is of no more use */
	enum oauth_said said;
	char text[IPC_NAME_MAX]; /* of an error: for people, escaped */
	char access_token[OAUTH_TOKEN_MAX + 1], refresh_token[OAUTH_TOKEN_MAX + 1];
	char scope[IPC_TEXT_MAX]; /* escaped; "": as it was asked for */
	char device_code[IPC_URL_MAX + 1], user_code[IPC_WORD_MAX + 1], url[IPC_URL_MAX + 1];
	int64_t expires_s;  /* from now: of the access token or of the device code */
	int64_t interval_s; /* between questions about the device code */
};

/* status is HTTP's.  Always fills *a. */
void oauth_answer_read(unsigned int status, struct span body, struct oauth_answer *a);

#endif

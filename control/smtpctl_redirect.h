/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_REDIRECT_H
#define CONTROL_SMTPCTL_REDIRECT_H

#include <stddef.h>

#include "lib/ipc/messages.h"

/*
 * What a browser comes back with from an authorization server (RFC 6749 4.1.2).
 * Anybody may connect to the port, and anything may be pasted: pure, bounded.
 */
enum redirect_kind {
	REDIRECT_NONE, /* something else */
	REDIRECT_CODE, /* code and, unless it was pasted without, state */
	REDIRECT_ERROR /* consent was refused: error says how */
};

struct redirect {
	char code[IPC_URL_MAX + 1];
	char state[IPC_NAME_MAX + 1]; /* "": none */
	char error[IPC_NAME_MAX + 1]; /* the server's word, and what it says to it */
};

/* A URL, or what stands after its '?'. */
enum redirect_kind redirect_of_url(const char *text, size_t len, struct redirect *out);
/* What was pasted: a URL, or a code alone; white space at both ends is of no account. */
enum redirect_kind redirect_of_paste(const char *text, size_t len, struct redirect *out);
/* The head of an HTTP request (RFC 9112 3). */
enum redirect_kind redirect_of_request(const char *head, size_t len, struct redirect *out);

#endif

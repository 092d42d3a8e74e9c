/* SPDX-License-Identifier: ISC */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/bug.h"
#include "lib/ipc/messages.h"

struct event_base;

/*
 * Posts by HTTPS: libcurl on our event loop.  It connects by the addresses it is
 * told, verifies certificate and name, and follows nobody anywhere else.
 */
struct transfers; /* all that have to do with one event base */
struct transfer;  /* one of them, owned by who started it until it is done */

struct transfer_host {
	char name[IPC_NAME_MAX + 1]; /* or an address, without brackets */
	uint16_t port;
	bool is_address; /* no addresses are needed for it */
};

struct transfer_result { /* borrowed for the call */
	const char *why; /* NULL: there is an answer; else why not */
	unsigned int code;
	struct span body;
};

struct transfer_order {
	const char *url;
	const struct transfer_host *host;
	const char *const *addresses; /* numeric */
	size_t naddresses;
	struct span form; /* has to stay until it is done */
	struct span ca;	  /* certificates that are trusted, as PEM */
	/* Once, from the event loop; the transfer is gone then. */
	void (*done)(void *arg, const struct transfer_result *result);
	void *arg;
};

/*
 * Once in the life of a process, before the sandbox: libcurl and OpenSSL read
 * their files and make their descriptors.  NULL with errno.
 */
struct transfers *transfers_create(struct event_base *base) WARN_UNUSED;

/* As libcurl understands it.  -1: no https URL, or one with a login or a fragment in it. */
int transfer_host_of(const char *url, struct transfer_host *out) WARN_UNUSED;
struct transfer *transfer_start(
    struct transfers *ts, const struct transfer_order *order) WARN_UNUSED; /* NULL: no memory */
void transfer_cancel(struct transfer *t); /* done is not called; NULL is fine */

#endif

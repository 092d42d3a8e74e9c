/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/access.h"
#include "lib/service/service.h"

struct event;

/*
 * One connection of the admin socket.  It has one request under way at most,
 * so that a request needs no object of its own; its question to another
 * process dies with it.  Owned by struct control's lists.
 */
struct admin {
	TAILQ_ENTRY(admin) entry;
	struct control *control;
	struct channel *ch; /* NULL: closed; freed at the top of the loop */
	uid_t uid;
	pid_t pid;
	enum access_level level;
	int64_t last_ms; /* of its last request or answer */
	bool unflushed;	 /* on_turn has something to send */

	const struct relay_verb *verb; /* of the request under way; NULL: none */
	uint32_t req;		       /* the admin's number for it */
	uint32_t ask;		       /* ours */
	unsigned int next_process;     /* stats: where to go on asking */
};

TAILQ_HEAD(admin_list, admin);

struct control {
	struct service *service;
	struct access_rules access;

	struct event *acceptable; /* the listening socket; owns its descriptor */
	bool accept_paused;	  /* out of descriptors: tried again at the next tick */
	struct admin_list admins, closed;
	size_t nadmins;
	uint64_t connections, requests, refused, evicted;
	uint64_t refused_logged;
};

/* dispatch.c: the handlers of links to the server's processes, and of admins. */
extern const channel_handler control_link_handlers[MSG__MAX];
extern const channel_handler control_admin_handlers[MSG__MAX];

#endif

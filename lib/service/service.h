/* SPDX-License-Identifier: ISC */
#ifndef LIB_SERVICE_SERVICE_H
#define LIB_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"
#include "lib/ipc/ask.h"
#include "lib/ipc/channel.h"

struct event_base;

/*
 * What every unprivileged program has in common: a channel to the parent on
 * descriptor 3, the way into its role, its configuration, links to its
 * peers, a loop.  A program is a struct service_program and its handlers.
 *
 * Order of life: the parent sends enter, the configuration, files, lock.  Then
 * configure() and prepare() run, still with the rights of the parent;
 * role_enter(); begin(), inside the sandbox.  Links and listening sockets come after
 * that, and with them the first byte from outside.
 */
struct service;

struct service_program {
	enum role role;
	/* MSG__MAX handlers; those of service.c's own (life of a process) stay NULL here. */
	const channel_handler *handlers;
	/* A configuration, at start and after each reload.  It lives until the next one. */
	void (*configure)(void *ctx, const struct conf *conf);
	void (*on_file)(void *ctx, enum ipc_file kind, const char *name, int fd); /* takes fd */
	int (*prepare)(void *ctx); /* outside the sandbox; -1 ends the process */
	int (*begin)(void *ctx);   /* inside */
	void (*on_link)(void *ctx, struct channel *ch);
	void (*on_unlink)(void *ctx, struct channel *ch); /* asks are failed before */
	void (*on_pressure)(void *ctx, struct channel *ch, bool high);
	void (*on_turn)(void *ctx); /* after each turn of the loop, before channels are flushed */
	unsigned int gather;	    /* more looks for events, without waiting, before a turn ends */
	void (*on_tick)(void *ctx); /* once a second */
	void (*on_drain)(void *ctx, int64_t deadline_ms);
	/* Calls row once a counter, for `smtpctl show stats`. */
	void (*counters)(
	    void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg);
	/*
	 * RIGHT_MAILBOX: opens the one directory it may work in, as its account
	 * and before Landlock; -1 with errno.  NULL: the role's root directory.
	 */
	int (*open_dir)(void *ctx);
};

/* The whole of main() for such a program. */
int service_main(const struct service_program *program, void *ctx, struct service **out);

struct event_base *service_base(const struct service *s);
struct asks *service_asks(const struct service *s);
int64_t service_now_ms(const struct service *s); /* monotonic, of this turn of the loop */
int64_t service_now_s(const struct service *s);	 /* wall clock, of this turn */
uint32_t service_instance(const struct service *s);
uint32_t service_siblings(const struct service *s);  /* processes of this role, this one included */
bool service_is_privileged(const struct service *s); /* the server was started as root */
bool service_is_draining(const struct service *s);
/* The channel to a role (instance 0 for the one there is); NULL while it is down. */
struct channel *service_peer(const struct service *s, enum role role, uint32_t instance);
/* Ends the loop with exit status 0 once everything is flushed. */
void service_stop(struct service *s);

#endif

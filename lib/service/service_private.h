/* SPDX-License-Identifier: ISC */
#ifndef LIB_SERVICE_SERVICE_PRIVATE_H
#define LIB_SERVICE_SERVICE_PRIVATE_H

#include <sys/types.h>

#include "lib/role/role.h"
#include "lib/service/service.h"

struct event;

/* The inside of a struct service, for the files of this folder alone. */
struct service {
	const struct service_program *program;
	void *ctx;
	struct event_base *base;
	struct event *tick, *log_timer;
	struct buf log_lines; /* level, text, NUL of each; on their way to the parent */
	struct channel *parent;
	struct channel *peers[ROLE__MAX][IPC_INSTANCES_MAX];
	bool relink[ROLE__MAX][IPC_INSTANCES_MAX];		/* cut off, to be linked anew */
	struct channel *pending[ROLE__MAX * IPC_INSTANCES_MAX]; /* have something to flush */
	size_t npending;
	struct channel_rules rules;
	channel_handler handlers[MSG__MAX];
	struct asks *asks;
	struct conf *conf;
	struct buf conf_text;
	struct role_rights rights;
	char *root;
	uint32_t instance, siblings, lost_lines;
	int64_t now_ms, now_s;
	pid_t parent_pid; /* for the probes of the test build */
	bool begun, draining, stopping, in_log;
};

struct stats_answer {
	struct channel *ch;
	uint32_t req;
};

/* entry.c: handlers of what comes before the sandbox, and of the way in */
void service_on_enter(void *ctx, struct channel *parent, const union message *msg, int fd);
void service_on_conf_text(void *ctx, struct channel *parent, const union message *msg, int fd);
void service_on_conf_end(void *ctx, struct channel *parent, const union message *msg, int fd);
void service_on_file(void *ctx, struct channel *parent, const union message *msg, int fd);
void service_on_lock(void *ctx, struct channel *parent, const union message *msg, int fd);

#ifdef TEST_HOOKS
void service_on_probe(void *ctx, struct channel *parent, const union message *msg, int fd);
#endif

#endif

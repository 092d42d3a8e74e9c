/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_ACCESS_H
#define CONTROL_ACCESS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "lib/ipc/message.h"

/* What a peer of the admin socket may do; each level includes those before it. */
enum access_level {
	ACCESS_NONE,
	ACCESS_VIEW,	/* look: queue, messages, clients, logins, processes, counters */
	ACCESS_OPERATE, /* schedule, hold, pause, clear; no mail is lost by it */
	ACCESS_ADMIN	/* remove mail */
};

/* Who has access besides uid 0. */
struct access_rules {
	bool has_own_uid; /* the server runs without root: its own user is its admin */
	uid_t own_uid;
	bool has_group; /* "control group" of smtpd.conf */
	gid_t group;
};

/* What the kernel says of a peer. */
struct access_peer {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary ones */
	size_t ngroups;
};

enum access_level access_of(const struct access_rules *rules, const struct access_peer *peer);
/* The level that a request needs; ACCESS_ADMIN for whatever the table does not know. */
enum access_level access_needed(enum message_type question, const union message *msg);
/* What the log calls it: "remove", "pause"; NULL for a request that changes nothing. */
const char *access_change(enum message_type question, const union message *msg);

#endif

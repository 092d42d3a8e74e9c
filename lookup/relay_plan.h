/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RELAY_PLAN_H
#define LOOKUP_RELAY_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/ipc/messages.h"
#include "lookup/rules.h"

/*
 * What a relay action's tables say of one message: which servers, and from which
 * addresses.  Pure, as rules are.
 *
 * A list of servers or addresses is the same for all mail.  In a mapping of senders the
 * keys are, the first one counts: "user@domain", "@domain", "domain", "*", for the null
 * path "<>" and "*"; in one of domains the domain and "*".  Values have several items, with
 * commas between.
 */
#define RELAY_SERVERS_MAX 16
#define RELAY_SOURCES_MAX 8
#define RELAY_URL_MAX	  400 /* octets */

struct relay_source {
	char address[IPC_WORD_MAX + 1], helo[IPC_NAME_MAX + 1]; /* helo: "" is the action's */
};

struct relay_plan {
	bool pending; /* a table was asked: plan again when the inquiry is resumed */
	enum ipc_outcome outcome;
	char status[IPC_STATUS_MAX + 1], text[IPC_TEXT_MAX + 1]; /* but with OK */
	size_t nservers, nsources;				 /* no servers: the MX of dest */
	char servers[RELAY_SERVERS_MAX][RELAY_URL_MAX + 1];
	struct relay_source sources[RELAY_SOURCES_MAX];
};

struct relay_question {
	const struct conf_action *action;
	const char *sender; /* "" is the null path */
	const char *dest;   /* as relay_dest() has it */
};

void
relay_plan_make(const struct policy *p, const struct relay_question *q, struct relay_plan *out);

/*
 * What mail for a domain by this action is put together by: the domain (with A-labels), or
 * a URL where all mail goes to the same servers.  -1: it is too long.
 */
int relay_dest(const struct policy *p, const struct conf_action *action, const char *domain,
    char dst[IPC_NAME_MAX + 1]) WARN_UNUSED;

#endif

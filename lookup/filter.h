/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FILTER_H
#define LOOKUP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ipc/messages.h"
#include "lookup/rules.h"

/*
 * The filters of smtpd.conf(5), asked at one phase of a session.  Of a chain
 * the members of that phase have their say in order: junk and rewrite go on to
 * the next, what else matches is the last word.  Pure.
 */
struct filter_question {
	uint8_t phase; /* enum conf_phase; another is answered as trouble */
	const struct addr *client;
	enum ipc_rdns rdns;
	const char *name, *helo, *auth, *sender, *rcpt; /* "" when there is none (yet) */
};

struct filter_verdict { /* as filter_verdict of postern-messages(7) */
	uint16_t code;	/* 0: go on */
	char status[IPC_STATUS_MAX + 1], text[IPC_NAME_MAX + 1];
	bool disconnect, junk, bypass;
	bool trouble;			 /* nobody can say: the code is a 4xx */
	char value[IPC_ADDRESS_MAX + 1]; /* in place of the argument; "": as it is */
	const char *filter;		 /* that decided last, the configuration's; "": none did */
};

/* Told of each member of the phase in turn; after a pending answer it begins anew. */
struct filter_observer {
	void (*member)(void *arg, const struct conf_filter *f, enum table_answer matches,
	    const struct filter_verdict *so_far);
	void *arg;
};

/*
 * filter: a name of the configuration; "" lets everybody pass, an unknown one is trouble.
 * observe may be NULL.  false: pending, ask again when the inquiry is resumed.
 */
bool filter_evaluate(const struct policy *p, const char *filter, const struct filter_question *q,
    const struct filter_observer *observe, struct filter_verdict *out) WARN_UNUSED;
/* Does it ask, at whatever phase, what the DNS calls the client? */
bool filter_needs_name(const struct conf *conf, const char *filter);

#endif

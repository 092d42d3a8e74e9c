/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_LIMIT_H
#define LOOKUP_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/conf/conf.h"
#include "lookup/clients.h"

/* What may be exceeded, and what is said then.  Pure; for clients.c alone. */
enum limit {
	LIMIT_NONE,
	LIMIT_SESSIONS, /* of all clients together */
	LIMIT_OPEN,	/* of one client at once */
	/* rates: of one client within a period */
	LIMIT_CONNECTIONS,
	LIMIT_MESSAGES,
	LIMIT_RECIPIENTS,
	LIMIT_REFUSED,
	LIMIT__MAX
};

struct limited { /* whom it hits */
	const char *client;
	int64_t period_s, left_s;
};

const char *limit_setting(enum limit limit); /* "max-sessions"; "" for LIMIT_NONE */
bool limit_is_rate(enum limit limit);
/* UINT64_MAX when there is none. */
uint64_t limit_value(const struct conf_values *values, enum limit limit);
/* The reply: which limit it is, and when to come back.  who: NULL with LIMIT_SESSIONS. */
void limit_refuse(enum limit limit, const struct limited *who, struct client_refusal *out);

#endif

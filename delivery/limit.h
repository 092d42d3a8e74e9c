/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LIMIT_H
#define DELIVERY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/conf/conf.h"

/*
 * How much of the world's patience is used: connections, their pace, messages a
 * minute, by what is counted together (enum conf_scope).  Time is an argument;
 * nothing here knows a socket.
 *
 * A subject exists while something counts in it, a pace is kept, or it is known to be down.
 */
struct limits;

struct limit_subject { /* of a connection; NULL where it is not known yet, or there is none */
	const char *keys
	    [CONF_SCOPE__MAX]; /* DOMAIN "a.example", RELAY "action smtp://...", SOURCE, MX "b.example", HOST, ROUTE */
	bool silent[CONF_SCOPE__MAX]; /* it says which limits hold, and is counted elsewhere */
};

struct limits *limits_create(void) WARN_UNUSED;
void limits_free(struct limits *ls); /* NULL is fine */
/* conf must live until the next call. */
void limits_configure(struct limits *ls, const struct conf *conf);

/*
 * May one more connection be made, as far as the known scopes go?  0: yes; else when to
 * ask again, at the latest (ms, absolute); *scope which says no.
 */
int64_t limit_connect_at(struct limits *ls, const struct limit_subject *s, int64_t now_ms,
    enum conf_scope *scope) WARN_UNUSED;
/* It is being made, or is over; the same subject each time.  -1: ENOMEM. */
int limit_connect(struct limits *ls, const struct limit_subject *s, int64_t now_ms) WARN_UNUSED;
void limit_disconnect(struct limits *ls, const struct limit_subject *s, int64_t now_ms);
/* As those, of one message: 0, or when. */
int64_t limit_mail_at(struct limits *ls, const struct limit_subject *s, int64_t now_ms,
    enum conf_scope *scope) WARN_UNUSED;
void limit_mail(struct limits *ls, const struct limit_subject *s, int64_t now_ms);

struct limit_session {
	size_t mails;
	int64_t delay_ms, idle_ms;
};
struct limit_session limit_session(const struct limits *ls, const struct limit_subject *s);
int64_t limit_connections_max(
    const struct limits *ls, enum conf_scope scope, const struct limit_subject *s); /* 0: none */

/* A host that did not answer is passed over for a while, longer each time; one that did is forgiven. */
void limit_host_down(struct limits *ls, const char *host, int64_t now_ms, const char *why);
void limit_host_up(struct limits *ls, const char *host);
bool limit_host_is_down(const struct limits *ls, const char *host, int64_t now_ms);
void limits_forgive(struct limits *ls); /* all are up */

void limits_tick(struct limits *ls, int64_t now_ms); /* forgets what counts no more */

/* For smtpctl show limits: in order of number, those above after; false from visit: enough. */
struct limit_row {
	uint64_t number;
	enum conf_scope scope;
	const char *key;
	uint32_t connections, connections_max, mails, mails_max;
	int64_t delay_ms, down_until_ms;
	const char *why;
};
void limits_list(struct limits *ls, uint64_t after, int64_t now_ms,
    bool (*visit)(void *arg, const struct limit_row *row), void *arg);
/* "mx.google.com" is "google.com": the last two labels, three below a known second level (co.uk). */
const char *limit_mx_provider(const char *host);

#endif

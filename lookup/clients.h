/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_CLIENTS_H
#define LOOKUP_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf/conf.h"
#include "lib/ipc/messages.h"
#include "lib/net/host.h"

/*
 * What is known of clients: who is connected, and what each did lately.  Kept
 * here alone, so that the limits of smtpd.conf(5) are exact whatever the
 * number of session processes.
 *
 * A client is a network: its address, cut to "smtp client-prefix4" or
 * "client-prefix6" bits.  Its period ("smtp rate-period") begins with what it
 * does first, and when it is over all that it did is forgotten; the next act
 * begins another.  Who has nothing open and no period is not known any more.
 *
 * Pure but for the log: the time is an argument, monotonic in milliseconds.
 */
#define CLIENTS_MAX 131072 /* known at once; who comes when all of them are busy is not counted */
#define VISITS_MAX  262144 /* connections at once */

struct clients;

/* A connection: the session process that has it, and its number there. */
struct visit_id {
	uint32_t link; /* below IPC_INSTANCES_MAX */
	uint32_t number;
};

struct client_entry {
	const struct addr *addr;
	bool any_rate;	/* the rates are not for it */
	bool any_limit; /* nor the number of its connections; counted by its whole address */
};

struct client_refusal {	   /* the reply to give */
	const char *limit; /* its setting */
	uint16_t code;
	const char *status;
	char text[IPC_NAME_MAX + 1];
};

struct client_counters {
	uint64_t open, known; /* visits, clients */
	uint64_t turned_away, not_counted, rcpts_over_limit;
};

struct client_row {
	uint64_t number;
	const char *client; /* its network */
	size_t open;
	uint64_t connections, messages, recipients, refused; /* in this period */
	const char *over; /* the setting that was last exceeded in this period; "": none */
	int64_t left_ms;  /* of the period; 0: none is under way */
};

struct clients *clients_create(void) WARN_UNUSED;
void clients_free(struct clients *c); /* NULL is fine */
/* The limits, before anything else and after each reload; values must outlive their use. */
void clients_configure(struct clients *c, const struct conf_values *values);
void clients_tick(struct clients *c, int64_t now_ms); /* forgets what is over */

/* A new connection; id must not be here already.  false: refused, it is not one then. */
bool clients_enter(struct clients *c, struct visit_id id, const struct client_entry *e,
    int64_t now_ms, struct client_refusal *out) WARN_UNUSED;
/* One that we have forgotten, being restarted: not judged, nor counted as new. */
void clients_enter_again(
    struct clients *c, struct visit_id id, const struct client_entry *e, int64_t now_ms);
/* Tells a visit from those that had its number before it; 0: it is not here. */
uint64_t clients_serial(const struct clients *c, struct visit_id id);
void clients_leave(struct clients *c, struct visit_id id, int64_t now_ms); /* unknown: fine */
void clients_link_lost(struct clients *c, uint32_t link, int64_t now_ms);

/* Counts a recipient, the first of a message also as one; false: to be answered with *out. */
bool clients_rcpt(struct clients *c, struct visit_id id, bool first, int64_t now_ms,
    struct client_refusal *out) WARN_UNUSED;
/* Counts a recipient that does not exist, or is not for us; false: to be answered with *out. */
bool clients_rcpt_refused(
    struct clients *c, struct visit_id id, int64_t now_ms, struct client_refusal *out) WARN_UNUSED;

/*
 * How a client would fare that comes now with one message to one recipient, and by
 * which limits it is judged at one of its acts; nothing is counted.  false: it would be
 * answered with refusal.
 */
enum client_act {
	CLIENT_COMES,
	CLIENT_SENDS,  /* RCPT, before anything is known of the recipient */
	CLIENT_GUESSES /* the recipient does not exist, or is not for us */
};

struct client_limit {
	const char *setting;
	uint64_t used, max; /* UINT64_MAX: there is no limit */
	bool refuses;	    /* this one does, at that act */
};

#define CLIENT_LIMITS 6

struct client_outlook {
	char client[HOST_NETWORK_SIZE];
	struct client_limit limits[CLIENT_LIMITS];
	struct client_refusal refusal;
};

bool clients_foresee(struct clients *c, const struct client_entry *e, enum client_act act,
    int64_t now_ms, struct client_outlook *out) WARN_UNUSED;

/* The client with the next number above after; false: there is none. */
bool clients_next(
    const struct clients *c, uint64_t after, int64_t now_ms, struct client_row *out) WARN_UNUSED;
/* Forgets what a client did: an address, or a network as in its row.  -1: EINVAL, ENOENT. */
int clients_clear(struct clients *c, const char *client) WARN_UNUSED;
void clients_clear_all(struct clients *c);

const struct client_counters *clients_counters(struct clients *c);

#endif

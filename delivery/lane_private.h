/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LANE_PRIVATE_H
#define DELIVERY_LANE_PRIVATE_H

#include "delivery/lane.h"
#include "delivery/limit.h"
#include "delivery/relay_private.h"
#include "lib/net/addr.h"

struct event;

/* The inside of a struct lane, for lane*.c and carrier*.c. */
#define LANE_KEY_MAX	(12U << 10) /* octets of all that makes one */
#define LANE_PUT_OFF_MS 30000	    /* who has to wait longer for a limit waits in the queue */

enum lane_state { LANE_NEW, LANE_OPEN, LANE_DEAD };

struct lane { /* owned by the lanes: in all and by_key, perhaps in hot and in blocked */
	TAILQ_ENTRY(lane) entry, hot_entry, blocked_entry;
	struct delivery *delivery;
	uint64_t number; /* for listings: in order of birth */
	char *key;
	enum lane_state state;
	bool hot, blocked;
	bool renewed; /* what waits was planned by another configuration */

	/* the plan; the strings are parts of text */
	char *text;
	const char *action, *dest;
	struct relay_url *servers;
	size_t nservers;
	struct lane_source {
		struct addr addr;
		const char *address, *helo;
	} * sources;
	size_t nsources;
	bool lmtp_socket, requires_tls, needs_deliverby;
	enum ipc_tls_level tls_best;
	const char *relay_key; /* what its connections are counted by (enum conf_scope) */
	const char *domain_key;

	struct relays waiting;
	size_t nwaiting;
	struct carriers carriers;
	size_t nsearching; /* carriers that are to take mail, and are not there yet */
	size_t nactive;	   /* those, and the ones that have a server: all but who leaves */
	size_t window;	   /* as many may be active */
	size_t turn;	   /* of the sources */
	struct event *timer;
	int64_t pause_ms; /* no carrier is sent out before */

	/* of a dead one */
	unsigned int nlost;	/* connections in a row that took nothing */
	bool mourned;		/* its death was logged, its resurrection not yet */
	unsigned int nfailures; /* searches in a row */
	int64_t dead_until_ms;
	struct verdict *why;
	char remote[IPC_NAME_MAX + 1];
};

/* -- lane.c -- */
#define LANE_DEAD_MAX_MS 600000			  /* by our own reckoning */
void lane_mark(struct lane *l);			  /* lanes_turn() is to look at it */
void lane_wake_at(struct lane *l, int64_t at_ms); /* then at the latest */
struct relay *lane_take(struct lane *l);	  /* the next one that waits, or NULL */
void lane_put_back(struct lane *l, struct relay *r);
void lane_pause(struct lane *l, int64_t until_ms); /* no carrier is of use before */
/* All that waits. */
void lane_judge_all(struct lane *l, const struct verdict *v, const char *remote);
/* The same, to come again: it has to wait for long, which is the queue's business, and no attempt. */
void lane_put_off(struct lane *l, const struct verdict *why, const char *remote, int64_t until_ms);

/* -- lane_health.c: what its carriers tell -- */
void lane_alive(struct lane *l);   /* somebody answered */
void lane_success(struct lane *l); /* somebody took a message */
void lane_lost(struct lane *l, const struct verdict *why, const char *remote); /* a connection */
void lane_nobody(struct lane *l, const struct verdict *why, const char *remote);

/* -- lane_key.c -- */
/* Octets of the name of what shares a lane; pure.  -1: ENAMETOOLONG. */
int lane_key(const struct lane_plan *plan, char *dst, size_t size) WARN_UNUSED;
struct lane *
lane_create(struct delivery *d, const struct lane_plan *plan, const char *key) WARN_UNUSED;
void lane_free(struct lane *l);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_CARRIER_PRIVATE_H
#define DELIVERY_CARRIER_PRIVATE_H

#include "delivery/carrier.h"
#include "delivery/client.h"
#include "delivery/dial.h"
#include "delivery/policy.h"
#include "delivery/route.h"

/* The inside of a struct carrier, for carrier*.c alone. */

/* What happened; the last of them outweighs those before it. */
enum carrier_event {
	EVENT_NONE,
	EVENT_TIMER,
	EVENT_ROUTED,
	EVENT_DIALED,
	EVENT_READY,
	EVENT_DONE,
	EVENT_OVER
};

/* How well a connection is protected, as far as that is known. */
struct carrier_tls {
	enum ipc_tls_level level;
	char protocol[16], cipher[64];
	char summary[96]; /* for each recipient's log line; "" in plain */
};

struct carrier { /* owned by its lane, in carriers; perhaps in ripe and in idle */
	enum asker asker;
	TAILQ_ENTRY(carrier) entry, ripe_entry, idle_entry;
	struct lane *lane;
	enum carrier_state state;
	enum carrier_event event;
	bool ripe, over;
	int64_t since_ms; /* it set out */
	struct event *timer;
	char remote[IPC_NAME_MAX + 1];
	struct verdict why; /* the best of what hosts gave as a reason */
	char why_remote[IPC_NAME_MAX + 1];
	bool has_why;

	/* the search: carrier_find.c */
	size_t server; /* which of the lane's */
	struct route route;
	struct verdict route_why;
	bool routed;		     /* route_why says nothing */
	bool spent[ROUTE_HOSTS_MAX]; /* of the route's hosts: it had its try */
	struct addr addresses[DIAL_ADDRESSES_MAX];
	size_t which[DIAL_ADDRESSES_MAX]; /* hosts of the route */
	size_t naddresses, current;
	struct addr sources[2];
	const struct lane_source *chosen[2];
	size_t nsources;
	struct addr proxy;
	struct dial *dial;
	int fd, dial_error;
	char dial_text[128];
	uint32_t lmtp_req;
	bool plain; /* TLS failed with this host: once without */

	/* what it counts as: carrier_limits.c */
	struct limit_subject subject, counted;
	bool counted_lane, counted_host;
	char mx_key[IPC_NAME_MAX + 1], host_key[ADDR_TEXT_MAX];
	char route_key[2 * ADDR_TEXT_MAX + 2];

	/* TLS: carrier_tls.c */
	struct policy policy;
	char ca[IPC_WORD_MAX + 1]; /* the action's; a reload may take that while a server thinks */
	struct tls_record records[POLICY_RECORDS_MAX], pins[POLICY_PINS_MAX];
	uint8_t pin_room[POLICY_PINS_MAX][32];
	struct carrier_tls tls;
	bool told_seen;

	/* the server */
	struct client *client;
	struct client_options options;
	enum client_end end;
	uint32_t auth_req;
	bool login_failed;
	enum carrier_event held; /* READY or OVER, until the vault had its say on a login */
	struct relay *relay;
	bool worn; /* it takes no more: the configuration has changed */
	bool took; /* it has taken a message of this relay */
	size_t nmails;
	int64_t last_ms; /* the last message's end */
};

/* -- carrier.c -- */
void carrier_ripen(struct carrier *c, enum carrier_event event);
void carrier_wake_at(struct carrier *c, int64_t at_ms);
void carrier_enter(struct carrier *c, enum carrier_state state);
void carrier_keep_why(struct carrier *c, const struct verdict *v);
/* And says so in the log, where a host was tried. */
void carrier_failed(struct carrier *c, const struct verdict *why);
const struct conf_action *carrier_action(const struct carrier *c); /* NULL: a reload took it */
/* Its server in the configuration's words; for MX routing the defaults. */
const struct relay_url *carrier_url(const struct carrier *c);

/* -- carrier_find.c -- */
void carrier_find(struct carrier *c); /* its server, and those after it */
void carrier_on_routed(struct carrier *c);
void carrier_on_dialed(struct carrier *c);
void carrier_next_host(struct carrier *c);
void carrier_next_server(struct carrier *c);
void carrier_find_stop(struct carrier *c);

/* -- carrier_client.c -- */
int carrier_connect(struct carrier *c, int fd) WARN_UNUSED; /* takes fd, if it can */
void carrier_judge(
    struct carrier *c, enum cause cause); /* its relay's recipients that have no verdict */

/* -- carrier_limits.c -- */
void carrier_limits_init(struct carrier *c);
/* When may it be connected to, or from: 0 now, else when (ms). */
int64_t carrier_limits_mx_at(struct carrier *c, const char *host);
int64_t carrier_limits_host_at(struct carrier *c, const struct route_host *h);
int64_t carrier_limits_source_at(struct carrier *c, const struct lane_source *s);
/* Until then.  False: not here, and why. */
bool carrier_limits_wait(struct carrier *c, int64_t at_ms);
void carrier_limits_count(struct carrier *c); /* it is connected to current, or on the way there */
void carrier_limits_forget_host(struct carrier *c); /* it is connected no more */
void carrier_limits_forget(struct carrier *c);	    /* nor is it to be */

/* -- carrier_tls.c -- */
/* What TLS is to be with a host.  -1: nothing may be said to it, and why. */
int
carrier_tls_plan(struct carrier *c, const struct route_host *host, struct verdict *why) WARN_UNUSED;
bool carrier_tls_accepts(struct carrier *c, struct tls *tls, struct verdict *why);
/* True: it was for TLS, and the log has it. */
bool carrier_tls_failed(struct carrier *c, const struct verdict *why);
void carrier_tls_ready(struct carrier *c); /* greeted, under TLS or without */
/* What is remembered now would not let it be made again. */
bool carrier_tls_is_outgrown(const struct carrier *c);
void carrier_tls_delivered(struct carrier *c);

/* -- carrier_auth.c -- */
void carrier_auth_begin(struct carrier *c, const char *mechanisms);
void carrier_auth_challenge(struct carrier *c, struct span data);
void carrier_auth_result(struct carrier *c, enum ipc_outcome outcome, const char *text);
void carrier_auth_drop(struct carrier *c);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include <sys/queue.h>

#include <stdint.h>

#include "delivery/body.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/service/service.h"

struct agent;
struct carrier;
struct job;
struct lane;
struct letter;
struct limits;
struct relay;
struct tls_client;

TAILQ_HEAD(agents, agent);
TAILQ_HEAD(carriers, carrier);
TAILQ_HEAD(jobs, job);
TAILQ_HEAD(lane_list, lane);
TAILQ_HEAD(letters, letter);
TAILQ_HEAD(relays, relay);

#define DELIVERY_JOBS_MAX   4096 /* at once; the queue keeps to fewer */
#define DELIVERY_AGENTS_MAX 32	 /* that get on, at once */
#define DELIVERY_AGENTS_ALL 120	 /* with those that hang */
#define DELIVERY_CA_MAX	    (4U << 20)

/*
 * Who has a question under way: the first member of each that asks.  A peer that
 * answers another's question must not find it taken for its own.
 */
enum asker { ASKER_AGENT = 1, ASKER_CARRIER, ASKER_RELAY, ASKER_ROUTE };

/* Deliveries to mailboxes, by agents (local.c). */
struct local {
	struct map *by_key; /* of struct agent */
	struct agents agents;
	struct agents dead;	  /* freed by local_turn() */
	struct letters ended;	  /* as well */
	size_t running, nstalled; /* of them */
	/* Who has agents that hang, as of the last second. */
	struct staller {
		char user[IPC_WORD_MAX + 1];
		size_t n;
	} stallers[DELIVERY_AGENTS_ALL];
	size_t nstallers;
};

/* Deliveries over the network (lane.c, carrier.c). */
struct lanes {
	struct map *by_key; /* of struct lane */
	struct lane_list all;
	struct lane_list hot;	  /* lanes_turn() has to look at them */
	struct lane_list blocked; /* they want one more connection, and may not have it yet */
	struct carriers ripe;	  /* something happened that lanes_turn() has to look at */
	struct carriers idle;	  /* all lanes' idle carriers, the longest idle first */
	size_t ncarriers;	  /* connections, and what is to become one */
	uint64_t nlanes;	  /* made so far: the last one's number */
	bool room;		  /* a connection ended: who is blocked may ask again */
};

/* The one context of smtpd-delivery. */
struct delivery {
	struct service *service;
	const struct conf *conf;
	char hostname[IPC_NAME_MAX + 1];
	struct tls_client *tls;

	struct bodies bodies;
	struct job *gathering; /* its recipients are still coming */
	struct jobs jobs;
	struct jobs finished; /* freed by jobs_turn() */
	size_t njobs;
	struct local local;
	struct limits *limits;
	struct lanes lanes;
	struct relays relays_over; /* freed by relays_turn() */
	int64_t drain_deadline_ms; /* 0: not draining */
	uint64_t ndelivered, ndeferred, nfailed, nconnections, nagents;
};

extern const channel_handler delivery_handlers[MSG__MAX]; /* dispatch.c */

#endif

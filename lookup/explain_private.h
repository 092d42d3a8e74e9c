/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_EXPLAIN_PRIVATE_H
#define LOOKUP_EXPLAIN_PRIVATE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ipc/channel.h"
#include "lookup/expand.h"
#include "lookup/explain_tree.h"
#include "lookup/lookup.h"
#include "lookup/rdns.h"
#include "lookup/relay_plan.h"
#include "lookup/route.h"

/*
 * The inside of an explanation, for its stages.  Each stage is one thing that happens to
 * live mail, in the same order.
 *
 * A stage that has to wait is called again when there is news, and what it has
 * added to the tree is forgotten before, unless it says that it goes on from there.
 */
#define EXPLAIN_ROUTES_MAX 5 /* of one explanation */

enum stage_result {
	STAGE_NEXT,
	STAGE_AGAIN,   /* wait; from its start */
	STAGE_GOES_ON, /* wait; the tree stays as it is */
	STAGE_LAST     /* it decided: nothing comes after it */
};

struct explanation { /* owned by its struct explains */
	TAILQ_ENTRY(explanation) entry;
	struct explains *all;
	struct lookup *lookup;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	bool is_late; /* what is not known by now is trouble */

	unsigned int stage;
	size_t stage_mark; /* where its steps begin */
	struct explain_tree *tree;
	struct inquiry *inquiry;

	/* the question */
	char client_text[IPC_WORD_MAX + 1], listener_text[IPC_NAME_MAX + 1];
	char helo_text[IPC_NAME_MAX + 1], auth[IPC_ADDRESS_MAX + 1];
	char sender_text[IPC_ADDRESS_MAX + 1], rcpt_text[IPC_ADDRESS_MAX + 1];
	bool tls_said;

	/* the client and what it says; filters may rewrite it */
	struct addr client;
	bool local, socket, tls;
	struct client_entry exempt; /* what it is let off */
	char helo[IPC_NAME_MAX + 1], sender[IPC_ADDRESS_MAX + 1], rcpt[IPC_ADDRESS_MAX + 1];
	enum ipc_rdns rdns;
	char name[DNS_NAME_MAX + 1];
	struct rdns *query; /* NULL: answered, or not asked */
	bool name_asked;
	/* the listener */
	const struct conf_listener *listener; /* NULL: none; of the configuration in force */
	bool junk, bypass;

	/* the marks of observers */
	size_t part_mark, whole_mark;
	bool rule_matched;

	/* the decision */
	struct explain_decision {
		enum ipc_outcome outcome;
		uint16_t code;
		char status[IPC_STATUS_MAX + 1], text[IPC_TEXT_MAX + 1], why[IPC_TEXT_MAX + 1];
		char action[IPC_WORD_MAX + 1];
		unsigned int line;
	} decision;

	struct explain_way { /* where it goes */
		struct expander *expander;
		struct map *asked;			    /* subjects of lookups that are shown */
		unsigned int depth;			    /* of the tree, in it */
		size_t next_item;			    /* whose route is asked for next */
		size_t nroutes, routed[EXPLAIN_ROUTES_MAX]; /* items */
		size_t nleft;				    /* that there is no room for */
		bool at_item; /* the last of routed is being explained */
		bool planned; /* plan is its */
		struct relay_plan plan;
		size_t server, server_mark;  /* of the plan, which is asked about */
		bool routing;		     /* a route is under way */
		char host[IPC_NAME_MAX + 1]; /* whose addresses come; "": none came yet */
		enum ipc_outcome outcome;    /* of the item so far */
		char why[IPC_TEXT_MAX];
	} way;
};

/* The policy of this moment. */
struct policy explain_policy(const struct explanation *x);
/* The reply that RCPT would get, or an earlier command in its place. */
void explain_decide(struct explanation *x, uint16_t code, const char *status, const char *text);
/* Why; behind explain_decide(). */
void explain_why(struct explanation *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A step for what was asked, and answered. */
struct explain_lookup {
	char subject[IPC_TEXT_MAX], text[IPC_TEXT_MAX];
	struct explain_step step;
};
void explain_lookup_step(struct explain_lookup *l, const struct inquiry_event *e);

/* explain_client.c: who comes, where, and what it is held to */
enum stage_result explain_client(struct explanation *x);
enum stage_result explain_limits(struct explanation *x);
enum stage_result explain_rates(struct explanation *x);
/* What limits say of an act of the client; false: they refuse it, and that is the decision. */
bool explain_may(struct explanation *x, enum client_act act);
/* The listener that the question names; -1: there is none such. */
int explain_find_listener(struct explanation *x);

/* explain_judge.c: filters, rules, recipient */
enum stage_result explain_connect(struct explanation *x);
enum stage_result explain_ehlo(struct explanation *x);
enum stage_result explain_session(struct explanation *x);
enum stage_result explain_mail_from(struct explanation *x);
enum stage_result explain_rcpt_to(struct explanation *x);
enum stage_result explain_check(struct explanation *x);
enum stage_result explain_data(struct explanation *x);
enum stage_result explain_commit(struct explanation *x);

/* explain_way.c: whom it stands for */
enum stage_result explain_expansion(struct explanation *x);
/* explain_relay.c: which hosts take it */
enum stage_result explain_routes(struct explanation *x);

#endif

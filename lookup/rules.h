/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RULES_H
#define LOOKUP_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf/conf.h"
#include "lib/ipc/messages.h"
#include "lib/mail/address.h"
#include "lib/net/addr.h"
#include "lookup/inquiry.h"

/*
 * The match rules of smtpd.conf(5): the first one whose tests all hold
 * decides.  Pure: the answer depends on these structs alone, the inquiry
 * being what tables say.
 */
struct policy { /* nothing in it is owned; copied for each decision, anew when it goes on */
	const struct conf *conf;
	struct inquiry *inquiry;
	const char *hostname;
};

struct rule_question {
	bool local;  /* the client is this host, by address or socket */
	bool socket; /* by socket */
	bool tls;
	const struct addr *client; /* NULL: none, or none that was understood */
	enum ipc_rdns rdns;
	const char *name; /* of the client by the DNS, when rdns says that it has one */
	const char *helo, *tag;
	const char *auth;	     /* the account that logged in, "" for none */
	struct address sender, rcpt; /* a domain in each, but for the null path */
};

enum rules_result {
	RULES_MATCH,
	RULES_NONE,
	RULES_TROUBLE, /* a table that decides is not there: nobody can say */
	RULES_PENDING  /* a table that decides was asked */
};

/* Told what is found out, in order; both may be NULL.  After a pending answer all begins anew. */
struct rules_observer {
	/* One test of a rule, its "!" considered. */
	void (*test)(void *arg, const struct conf_rule *rule, const struct conf_test *t,
	    enum table_answer answer);
	/* The whole rule, and the first test that gives this answer; NULL when it matches. */
	void (*rule)(void *arg, const struct conf_rule *rule, enum table_answer matches,
	    const struct conf_test *why);
	void *arg;
	bool all_tests; /* those behind one that failed are asked, too */
};

struct rules_decision {
	enum rules_result result;
	const struct conf_rule *rule; /* that matches, or can't be said to; NULL with NONE */
	const struct conf_test *test; /* that can't be answered (yet); else NULL */
};

/* observe may be NULL. */
void rules_evaluate(const struct policy *p, const struct rule_question *q,
    const struct rules_observer *observe, struct rules_decision *out);

/* Whether one test holds, its "!" considered. */
enum table_answer rules_test_holds(
    const struct policy *p, const struct conf_test *t, const struct rule_question *q) WARN_UNUSED;
/* Of tests that must all hold: what is known once one more was asked.  Begins with YES. */
enum table_answer rules_answer_and(enum table_answer all, enum table_answer one);

/* A test as it is written, "!from src <lan>"; cut to size. */
void rules_test_text(const struct conf_test *t, char *dst, size_t size);

/* Does any rule ask what the DNS calls the client? */
bool rules_need_name(const struct conf *conf);

/* Is the domain this very host: its name, localhost, a literal of a loopback address? */
bool rules_domain_is_local(const struct policy *p, const char *domain);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_RULES_H
#define LOOKUP_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf/conf.h"
#include "lib/ipc/messages.h"
#include "lib/mail/address.h"
#include "lib/net/addr.h"
#include "lookup/tables.h"

/*
 * The match rules of smtpd.conf(5): the first one whose tests all hold
 * decides.  Pure: the answer depends on these two structs alone.
 */
struct policy { /* nothing in it is owned */
	const struct conf *conf;
	const struct tables *tables;
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
	RULES_TROUBLE /* a table that decides is not there: nobody can say */
};

/* Told of each rule in turn: the test that kept it from matching, NULL when it matched. */
typedef void (*rules_observer)(
    void *arg, const struct conf_rule *rule, const struct conf_test *failed);

/* observe may be NULL.  *rule is set with RULES_MATCH only. */
enum rules_result rules_evaluate(const struct policy *p, const struct rule_question *q,
    rules_observer observe, void *arg, const struct conf_rule **rule) WARN_UNUSED;

/* Whether one test holds, its "!" considered. */
enum table_answer rules_test_holds(
    const struct policy *p, const struct conf_test *t, const struct rule_question *q) WARN_UNUSED;

/* A test as it is written, "!from src <lan>"; cut to size. */
void rules_test_text(const struct conf_test *t, char *dst, size_t size);

/* Is the domain this very host: its name, localhost, a literal of a loopback address? */
bool rules_domain_is_local(const struct policy *p, const char *domain);

#endif

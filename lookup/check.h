/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_CHECK_H
#define LOOKUP_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "lookup/rules.h"

/*
 * May this recipient be accepted?  Pure.  RCPT and smtpctl explain ask the same; the
 * limits of clients come before it.
 */
struct check_question {
	const char *sender, *rcpt; /* as session has them */
	struct rule_question rule; /* but for its sender and rcpt, which are set here */
};

struct check_verdict {
	bool pending;  /* ask again when the inquiry is resumed; nothing else is said then */
	bool is_guess; /* who gets many of these is trying out names, or us */
	uint16_t code;
	const char *status, *text;	  /* constant */
	const struct conf_rule *rule;	  /* that decided; NULL: none did */
	const struct conf_action *action; /* with a 250 alone */
	char why[IPC_NAME_MAX + 1];	  /* for the log and the admin */
};

/* observe may be NULL. */
void check_evaluate(const struct policy *p, struct check_question *q,
    const struct rules_observer *observe, struct check_verdict *out);

#endif

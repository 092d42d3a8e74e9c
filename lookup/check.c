/* SPDX-License-Identifier: ISC */
/*
 * Judges a recipient at RCPT: the rules first, then whether there is such a
 * recipient.
 *
 * Invariant: whatever can't be found out is a 451, never a 250 and never a 550.
 * Nothing is fatal.
 */
#include "lookup/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/recipient.h"

enum verdict {
	VERDICT_OK,
	VERDICT_TROUBLE,
	VERDICT_NO_RULE,
	VERDICT_REJECTED,
	VERDICT_UNKNOWN,
	VERDICT_BAD_SENDER,
	VERDICT_BAD_RCPT
};

static const struct verdict_row {
	uint16_t code;
	const char *status, *text;
	bool is_guess;
} verdicts[] = {
    [VERDICT_OK] = {250, "2.1.5", "recipient ok", false},
    [VERDICT_TROUBLE] = {451, "4.4.3", "recipient can't be checked now, try again later", false},
    [VERDICT_NO_RULE] = {550, "5.7.1", "relaying denied", true},
    [VERDICT_REJECTED] = {550, "5.7.1", "recipient rejected", false},
    [VERDICT_UNKNOWN] = {550, "5.1.1", "no such recipient here", true},
    [VERDICT_BAD_SENDER] = {553, "5.1.7", "sender is not an address", false},
    [VERDICT_BAD_RCPT] = {553, "5.1.3", "recipient is not an address", false},
};

PRINTF_LIKE(3, 4)
static void
say(struct check_verdict *out, enum verdict verdict, const char *why, ...)
{
	const struct verdict_row *row = &verdicts[verdict];
	va_list ap;

	out->code = row->code;
	out->status = row->status;
	out->text = row->text;
	out->is_guess = row->is_guess;
	va_start(ap, why);
	(void)vsnprintf(out->why, sizeof(out->why), why, ap);
	va_end(ap);
}

static void
judge_recipient(const struct policy *p, const struct conf_action *action,
    const struct address *rcpt, struct check_verdict *out)
{
	char why[sizeof(out->why)];
	unsigned int line = out->rule->line;

	switch (recipient_check(p, action, rcpt, why, sizeof(why))) {
	case RECIPIENT_EXISTS:
		out->action = action;
		say(out, VERDICT_OK, "rule at line %u", line);
		break;
	case RECIPIENT_ABSENT:
		say(out, VERDICT_UNKNOWN, "rule at line %u, %s", line, why);
		break;
	case RECIPIENT_UNSURE:
		say(out, VERDICT_TROUBLE, "rule at line %u, %s", line, why);
		break;
	case RECIPIENT_WAITS:
		out->pending = true;
		break;
	}
}

/* A test can't be answered: of a name that the DNS doesn't tell now, or of a table. */
static void
say_trouble(
    const struct rules_decision *d, const struct rule_question *q, struct check_verdict *out)
{
	bool no_name = q->rdns == IPC_RDNS_TROUBLE || q->rdns == IPC_RDNS_UNASKED;

	if (d->test->kind == CONF_TEST_FROM_RDNS && no_name)
		say(out, VERDICT_TROUBLE, "rule at line %u, the client's name is not known now",
		    d->rule->line);
	else
		say(out, VERDICT_TROUBLE, "rule at line %u, table <%s> does not answer",
		    d->rule->line, d->test->arg == NULL ? "" : d->test->arg);
}

static void
judge_by_rules(const struct policy *p, const struct rule_question *q,
    const struct rules_observer *observe, struct check_verdict *out)
{
	const struct conf_action *action;
	struct rules_decision d;

	rules_evaluate(p, q, observe, &d);
	out->rule = d.rule;
	switch (d.result) {
	case RULES_PENDING:
		out->pending = true;
		return;
	case RULES_TROUBLE:
		say_trouble(&d, q, out);
		return;
	case RULES_NONE:
		say(out, VERDICT_NO_RULE, "no rule matches");
		return;
	case RULES_MATCH:
		break;
	}
	if (d.rule->action == NULL) {
		say(out, VERDICT_REJECTED, "rejected by the rule at line %u", d.rule->line);
		return;
	}
	action = conf_action_find(p->conf, d.rule->action);
	bug_on(action == NULL); /* the parser resolved it */
	judge_recipient(p, action, &q->rcpt, out);
}

void
check_evaluate(const struct policy *p, struct check_question *q,
    const struct rules_observer *observe, struct check_verdict *out)
{
	unsigned int flags = ADDRESS_NULL_OK | ADDRESS_UTF8_OK;

	*out = (struct check_verdict){.status = "", .text = ""};
	if (address_parse(q->sender, flags, &q->rule.sender) != ADDRESS_OK)
		say(out, VERDICT_BAD_SENDER, "the sender is not an address");
	else if (recipient_parse(p, q->rcpt, &q->rule.rcpt) == -1)
		say(out, VERDICT_BAD_RCPT, "the recipient is not an address");
	else
		judge_by_rules(p, &q->rule, observe, out);
}

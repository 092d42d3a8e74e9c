/* SPDX-License-Identifier: ISC */
/*
 * Explains what filters, rules and tables say of a recipient.
 *
 * Invariant: the verdicts are those of filter_evaluate(), senders_judge() and
 * check_evaluate(), which live mail gets; only what session decides by itself is
 * told here from the configuration.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/check.h"
#include "lookup/explain_private.h"
#include "lookup/filter.h"
#include "lookup/recipient.h"
#include "lookup/senders.h"

/* -- filters -- */

static const char *const decision_words[CONF_DECISION__MAX] = {
    [CONF_DECISION_BYPASS] = "bypass",
    [CONF_DECISION_DISCONNECT] = "disconnect",
    [CONF_DECISION_JUNK] = "junk",
    [CONF_DECISION_REJECT] = "reject",
    [CONF_DECISION_REWRITE] = "rewrite",
};

static const char *
member_word(const struct conf_filter *f, enum table_answer matches)
{
	if (matches == TABLE_NO)
		return "pass";
	return matches == TABLE_TROUBLE ? "trouble" : decision_words[f->decision];
}

static void
on_member(void *arg, const struct conf_filter *f, enum table_answer matches,
    const struct filter_verdict *so_far)
{
	struct explanation *x = arg;
	char subject[CONF_NAME_MAX + 32], text[IPC_TEXT_MAX] = "";

	if (matches == TABLE_PENDING)
		return;
	(void)snprintf(
	    subject, sizeof(subject), "\"%s\" at %s", f->name, conf_phase_name(f->phase));
	if (so_far->code != 0)
		(void)snprintf(
		    text, sizeof(text), "%u %s %s", so_far->code, so_far->status, so_far->text);
	else if (matches == TABLE_YES && f->decision == CONF_DECISION_REWRITE)
		(void)snprintf(text, sizeof(text), "goes on as %s", so_far->value);
	explain_wrap(x->tree, x->part_mark,
	    &(struct explain_step){.kind = "filter",
		.subject = subject,
		.result = member_word(f, matches),
		.text = text,
		.line = f->line,
		.decides = so_far->code != 0});
	x->part_mark = explain_mark(x->tree);
}

/* What a filter has written in place of what the client said. */
static void
take_value(struct explanation *x, enum conf_phase phase, const char *value)
{
	if (value[0] == '\0')
		return;
	if (phase == CONF_PHASE_EHLO)
		str_cut(x->helo, sizeof(x->helo), value);
	else if (phase == CONF_PHASE_MAIL_FROM)
		str_cut(x->sender, sizeof(x->sender), strcmp(value, "<>") == 0 ? "" : value);
	else if (phase == CONF_PHASE_RCPT_TO)
		str_cut(x->rcpt, sizeof(x->rcpt), value);
}

static struct filter_question
filter_question_of(struct explanation *x, enum conf_phase phase)
{
	return (struct filter_question){.phase = (uint8_t)phase,
	    .client = x->socket ? NULL : &x->client,
	    .rdns = x->rdns,
	    .name = x->name,
	    .helo = phase == CONF_PHASE_CONNECT ? "" : x->helo,
	    .auth = phase < CONF_PHASE_MAIL_FROM ? "" : x->auth,
	    .sender = phase < CONF_PHASE_MAIL_FROM ? "" : x->sender,
	    .rcpt = phase == CONF_PHASE_RCPT_TO ? x->rcpt : ""};
}

static enum stage_result
take_verdict(struct explanation *x, enum conf_phase phase, const struct filter_verdict *v)
{
	x->junk |= v->junk;
	x->bypass |= v->bypass;
	take_value(x, phase, v->value);
	if (v->code == 0)
		return STAGE_NEXT;
	explain_decide(x, v->code, v->status, v->text);
	return STAGE_LAST;
}

/* Session asks about nothing else, but check_evaluate() has an answer to whatever it is. */
static bool
are_addresses(const struct explanation *x, enum conf_phase phase)
{
	const struct policy p = explain_policy(x);
	struct address a;

	if (phase >= CONF_PHASE_MAIL_FROM &&
	    address_parse(x->sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return false;
	return phase != CONF_PHASE_RCPT_TO || recipient_parse(&p, x->rcpt, &a) == 0;
}

static enum stage_result
ask_filters(struct explanation *x, enum conf_phase phase)
{
	const struct policy p = explain_policy(x);
	const struct filter_observer observer = {.member = on_member, .arg = x};
	const struct filter_question q = filter_question_of(x, phase);
	const char *filter = x->listener == NULL || x->listener->filter == NULL || x->bypass
				 ? ""
				 : x->listener->filter;
	struct filter_verdict v;

	if (!are_addresses(x, phase))
		return STAGE_NEXT;
	x->part_mark = explain_mark(x->tree);
	if (!filter_evaluate(&p, filter, &q, &observer, &v))
		return STAGE_AGAIN;
	if (take_verdict(x, phase, &v) == STAGE_NEXT)
		return STAGE_NEXT;
	explain_why(x, "filter \"%s\" at %s%s", v.filter[0] == '\0' ? filter : v.filter,
	    conf_phase_name(phase), v.trouble ? ": a table or the DNS does not answer" : "");
	return STAGE_LAST;
}

enum stage_result
explain_connect(struct explanation *x)
{
	return ask_filters(x, CONF_PHASE_CONNECT);
}

enum stage_result
explain_ehlo(struct explanation *x)
{
	return ask_filters(x, CONF_PHASE_EHLO);
}

enum stage_result
explain_rcpt_to(struct explanation *x)
{
	return ask_filters(x, CONF_PHASE_RCPT_TO);
}

enum stage_result
explain_data(struct explanation *x)
{
	return ask_filters(x, CONF_PHASE_DATA);
}

enum stage_result
explain_commit(struct explanation *x)
{
	return ask_filters(x, CONF_PHASE_COMMIT);
}

/* -- what session itself wants -- */

static enum stage_result
refuse_first(struct explanation *x, const char *what, const char *text)
{
	explain_add(x->tree, &(struct explain_step){.kind = "session",
				 .subject = what,
				 .result = "no",
				 .text = "the listener requires it",
				 .decides = true});
	explain_decide(x, 530, "5.7.0", text);
	explain_why(x, "the listener requires %s", what);
	return STAGE_LAST;
}

enum stage_result
explain_session(struct explanation *x)
{
	const struct conf_listener *l = x->listener;

	if (l == NULL)
		return STAGE_NEXT;
	if (l->tls == CONF_TLS_REQUIRE && !x->tls)
		return refuse_first(x, "TLS", "Say STARTTLS first");
	if (l->auth && !l->auth_optional && x->auth[0] == '\0')
		return refuse_first(x, "a login", "Authentication is required");
	return STAGE_NEXT;
}

/* -- the sender: the filters, then whether it is the login's own -- */

static enum stage_result
ask_senders(struct explanation *x)
{
	const struct policy p = explain_policy(x);
	const struct filter_question q = filter_question_of(x, CONF_PHASE_MAIL_FROM);
	const char *senders = x->listener == NULL || x->listener->senders == NULL
				  ? ""
				  : x->listener->senders;
	struct filter_verdict v = {.filter = ""};
	size_t mark = explain_mark(x->tree);

	if (senders_judge(&p, senders, &q, &v) == TABLE_PENDING)
		return STAGE_AGAIN;
	explain_wrap(x->tree, mark,
	    &(struct explain_step){.kind = "sender",
		.subject = x->sender[0] == '\0' ? "<>" : x->sender,
		.result = v.code == 0	 ? "yes"
			  : v.code < 500 ? "trouble"
					 : "no",
		.text = v.code == 0 ? "the login may send as it" : v.text,
		.decides = v.code != 0});
	if (take_verdict(x, CONF_PHASE_MAIL_FROM, &v) == STAGE_NEXT)
		return STAGE_NEXT;
	explain_why(x, "login \"%s\" and sender <%s>", x->auth, x->sender);
	return STAGE_LAST;
}

enum stage_result
explain_mail_from(struct explanation *x)
{
	enum stage_result r = ask_filters(x, CONF_PHASE_MAIL_FROM);

	if (r != STAGE_NEXT || x->auth[0] == '\0' || !are_addresses(x, CONF_PHASE_MAIL_FROM))
		return r;
	return ask_senders(x);
}

/* -- rules -- */

static const char *
answer_word(enum table_answer a)
{
	return a == TABLE_YES ? "yes" : a == TABLE_NO ? "no" : "trouble";
}

static void
on_test(void *arg, const struct conf_rule *rule, const struct conf_test *t, enum table_answer a)
{
	struct explanation *x = arg;
	char text[CONF_STRING_MAX];

	(void)rule;
	if (a == TABLE_PENDING)
		return;
	rules_test_text(t, text, sizeof(text));
	explain_wrap(x->tree, x->part_mark,
	    &(struct explain_step){.kind = "test", .subject = text, .result = answer_word(a)});
	x->part_mark = explain_mark(x->tree);
}

static void
on_rule(void *arg, const struct conf_rule *rule, enum table_answer matches,
    const struct conf_test *failed)
{
	struct explanation *x = arg;
	char test[CONF_STRING_MAX], subject[CONF_NAME_MAX + 16], text[CONF_STRING_MAX + 32] = "";

	if (matches == TABLE_PENDING)
		return;
	if (rule->action == NULL)
		(void)snprintf(subject, sizeof(subject), "reject");
	else
		(void)snprintf(subject, sizeof(subject), "action \"%s\"", rule->action);
	if (failed != NULL) {
		rules_test_text(failed, test, sizeof(test));
		(void)snprintf(text, sizeof(text),
		    matches == TABLE_NO ? "not \"%s\"" : "nobody can tell \"%s\"", test);
	}
	explain_wrap(x->tree, x->whole_mark,
	    &(struct explain_step){.kind = "rule",
		.subject = subject,
		.result = matches == TABLE_YES ? "match" : answer_word(matches),
		.text = text,
		.line = rule->line,
		.decides = matches != TABLE_NO});
	x->part_mark = x->whole_mark = explain_mark(x->tree);
	x->rule_matched = matches == TABLE_YES;
}

/* What was looked up after the rules is about the recipient; the verdict has the reason. */
static void
show_recipient(struct explanation *x, const struct check_verdict *v)
{
	explain_wrap(x->tree, x->whole_mark,
	    &(struct explain_step){.kind = "recipient",
		.subject = x->rcpt,
		.result = v->code == 250  ? "yes"
			  : v->code < 500 ? "trouble"
					  : "no",
		.decides = v->code != 250});
}

/* No rule decided: there is none, or an address is none. */
static void
show_no_rule(struct explanation *x, const struct check_verdict *v)
{
	explain_add(
	    x->tree, &(struct explain_step){
			 .kind = "verdict", .result = "no", .text = v->why, .decides = true});
}

static void
take_check(struct explanation *x, const struct check_verdict *v)
{
	struct explain_decision *d = &x->decision;

	explain_decide(x, v->code, v->status, v->text);
	explain_why(x, "%s", v->why);
	if (v->rule != NULL)
		d->line = v->rule->line;
	if (v->action != NULL)
		str_cut(d->action, sizeof(d->action), v->action->name);
	if (d->why[0] != '\0')
		return;
	if (v->rule != NULL)
		explain_why(x, "the rule at line %u", v->rule->line);
}

enum stage_result
explain_check(struct explanation *x)
{
	const struct policy p = explain_policy(x);
	const struct rules_observer observer = {
	    .test = on_test, .rule = on_rule, .arg = x, .all_tests = true};
	struct check_question q = {.sender = x->sender,
	    .rcpt = x->rcpt,
	    .rule = {.local = x->local,
		.socket = x->socket,
		.tls = x->tls,
		.client = x->socket ? NULL : &x->client,
		.rdns = x->rdns,
		.name = x->name,
		.helo = x->helo,
		.tag = x->listener == NULL || x->listener->tag == NULL ? "" : x->listener->tag,
		.auth = x->auth}};
	struct check_verdict v;

	x->part_mark = x->whole_mark = explain_mark(x->tree);
	x->rule_matched = false;
	check_evaluate(&p, &q, &observer, &v);
	if (v.pending)
		return STAGE_AGAIN;
	if (v.rule == NULL)
		show_no_rule(x, &v);
	else if (x->rule_matched && v.rule->action != NULL)
		show_recipient(x, &v);
	take_check(x, &v);
	if (v.is_guess && !explain_may(x, CLIENT_GUESSES))
		return STAGE_LAST;
	return v.code == 250 ? STAGE_NEXT : STAGE_LAST;
}

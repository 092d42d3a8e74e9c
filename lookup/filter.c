/* SPDX-License-Identifier: ISC */
/*
 * What the filters say.
 *
 * Invariant: a condition that can't be answered (a table did not load, the DNS
 * is silent) or not yet counts neither as holding nor as failing: unless another one
 * fails, the answer is "try again later", or pending.  Nothing is fatal.
 */
#include "lookup/filter.h"

#include <string.h>

#include "lib/base/str.h"
#include "lookup/recipient.h"

/* A question on its way through the filters of a phase. */
struct run {
	const struct policy *policy;
	enum conf_phase phase;
	struct rule_question q;
	const struct filter_observer *observe; /* NULL: nobody */
	struct filter_verdict *out;
};

/* -- conditions -- */

/* The condition of "match" that asks the same. */
static const enum conf_test_kind tests_of_rules[CONF_FILTER_TEST__MAX] = {
    [CONF_FILTER_RDNS] = CONF_TEST_FROM_RDNS,
    [CONF_FILTER_SRC] = CONF_TEST_FROM_SRC,
    [CONF_FILTER_HELO] = CONF_TEST_HELO,
    [CONF_FILTER_AUTH] = CONF_TEST_AUTH,
    [CONF_FILTER_MAIL_FROM] = CONF_TEST_MAIL_FROM,
    [CONF_FILTER_RCPT_TO] = CONF_TEST_RCPT_TO,
};

static enum table_answer
is_confirmed(enum ipc_rdns rdns, bool negated)
{
	if (rdns == IPC_RDNS_TROUBLE)
		return TABLE_TROUBLE;
	return (rdns == IPC_RDNS_CONFIRMED) != negated ? TABLE_YES : TABLE_NO;
}

static enum table_answer
test_holds(const struct run *r, const struct conf_filter_test *t)
{
	const struct conf_test rule = {tests_of_rules[t->kind], t->negated, t->regex, t->table};

	if (t->kind == CONF_FILTER_FCRDNS)
		return is_confirmed(r->q.rdns, t->negated);
	return rules_test_holds(r->policy, &rule, &r->q);
}

static enum table_answer
filter_matches(const struct run *r, const struct conf_filter *f)
{
	enum table_answer all = TABLE_YES;
	size_t i;

	for (i = 0; i < f->ntests && all != TABLE_NO; i++)
		all = rules_answer_and(all, test_holds(r, &f->tests[i]));
	return all;
}

/* -- decisions -- */

static void
say_trouble(struct run *r)
{
	r->out->trouble = true;
	r->out->code = r->phase == CONF_PHASE_CONNECT ? 421 : 451;
	str_cut(r->out->status, sizeof(r->out->status), "4.4.3");
	str_cut(r->out->text, sizeof(r->out->text), "can't be checked now, try again later");
}

static void
say_no(struct run *r, const struct conf_filter *f)
{
	r->out->code = (uint16_t)f->code;
	r->out->disconnect = f->decision == CONF_DECISION_DISCONNECT;
	str_cut(r->out->status, sizeof(r->out->status), f->status);
	str_cut(r->out->text, sizeof(r->out->text), f->text);
}

static int
take_sender(struct run *r, const char *text)
{
	return address_parse(text, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &r->q.sender) == ADDRESS_OK
		   ? 0
		   : -1;
}

/* What the client said at this phase is now what the filter says; -1: it can't be. */
static int
rewrite(struct run *r, const char *value)
{
	if (str_copy(r->out->value, sizeof(r->out->value), value) == -1)
		return -1;
	switch (r->phase) {
	case CONF_PHASE_HELO:
	case CONF_PHASE_EHLO:
		r->q.helo = r->out->value;
		return 0;
	case CONF_PHASE_MAIL_FROM:
		return take_sender(r, value);
	case CONF_PHASE_RCPT_TO:
		return recipient_parse(r->policy, value, &r->q.rcpt);
	default:
		return -1;
	}
}

/* false: that was the last word. */
static bool
decide(struct run *r, const struct conf_filter *f, enum table_answer matches)
{
	bool goes_on = false;

	if (matches == TABLE_NO)
		return true;
	r->out->filter = f->name;
	if (matches == TABLE_TROUBLE) {
		say_trouble(r);
	} else if (f->decision == CONF_DECISION_BYPASS) {
		r->out->bypass = true;
	} else if (f->decision == CONF_DECISION_JUNK) {
		r->out->junk = goes_on = true;
	} else if (f->decision == CONF_DECISION_REWRITE) {
		if (!(goes_on = rewrite(r, f->text) == 0))
			say_trouble(r);
	} else {
		say_no(r, f);
	}
	return goes_on;
}

static bool
apply(struct run *r, const struct conf_filter *f, enum table_answer matches)
{
	bool goes_on = decide(r, f, matches);

	if (r->observe != NULL)
		r->observe->member(r->observe->arg, f, matches, r->out);
	return goes_on;
}

/* -- the question -- */

/* The filter itself, or the members of a chain, which are no chains; NULL after the last. */
static const struct conf_filter *
filter_part(const struct conf *conf, const struct conf_filter *f, size_t i)
{
	if (!f->chain)
		return i == 0 ? f : NULL;
	return i < f->nmembers ? conf_filter_find(conf, f->members[i]) : NULL;
}

/* -1: what session says can't be understood. */
static int
run_start(struct run *r, const struct filter_question *q)
{
	r->q = (struct rule_question){.client = q->client,
	    .rdns = q->rdns == IPC_RDNS_UNASKED ? IPC_RDNS_TROUBLE : q->rdns,
	    .name = q->name,
	    .helo = q->helo,
	    .tag = "",
	    .auth = q->auth};
	if (q->phase >= CONF_PHASE__MAX)
		return -1;
	r->phase = (enum conf_phase)q->phase;
	if (r->phase >= CONF_PHASE_MAIL_FROM && take_sender(r, q->sender) == -1)
		return -1;
	return r->phase == CONF_PHASE_RCPT_TO ? recipient_parse(r->policy, q->rcpt, &r->q.rcpt) : 0;
}

bool
filter_evaluate(const struct policy *p, const char *filter, const struct filter_question *q,
    const struct filter_observer *observe, struct filter_verdict *out)
{
	const struct conf_filter *f = conf_filter_find(p->conf, filter), *part;
	struct run r = {.policy = p, .phase = CONF_PHASE__MAX, .observe = observe, .out = out};
	enum table_answer matches;
	size_t i;

	*out = (struct filter_verdict){.filter = ""};
	if (filter[0] == '\0')
		return true;
	/* A name that is not there any more: a reload was faster than the client. */
	if (run_start(&r, q) == -1 || f == NULL) {
		say_trouble(&r);
		return true;
	}
	for (i = 0; (part = filter_part(p->conf, f, i)) != NULL; i++) {
		if (part->phase != r.phase)
			continue;
		if ((matches = filter_matches(&r, part)) == TABLE_PENDING)
			return false;
		if (!apply(&r, part, matches))
			break;
	}
	return true;
}

bool
filter_needs_name(const struct conf *conf, const char *filter)
{
	const struct conf_filter *f = conf_filter_find(conf, filter), *part;
	size_t i, j;

	for (i = 0; f != NULL && (part = filter_part(conf, f, i)) != NULL; i++)
		for (j = 0; j < part->ntests; j++)
			if (part->tests[j].kind == CONF_FILTER_FCRDNS ||
			    part->tests[j].kind == CONF_FILTER_RDNS)
				return true;
	return false;
}

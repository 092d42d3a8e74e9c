/* SPDX-License-Identifier: ISC */
/*
 * Which rule decides.  Each kind of test is a row: its words and its check.
 *
 * Invariant: a test that can't be answered (a table did not load) or not yet never
 * counts as holding nor as failing, negated or not: unless another test of its rule
 * fails, nothing behind that rule is looked at.  Nothing is fatal.
 */
#include "lookup/rules.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/domains.h"

typedef enum table_answer (*test_check)(
    const struct policy *p, const struct conf_test *t, const struct rule_question *q);

static enum table_answer
answer(bool holds)
{
	return holds ? TABLE_YES : TABLE_NO;
}

static enum table_answer
check_domain(const struct policy *p, const struct conf_test *t, const char *domain)
{
	enum table_answer found = TABLE_NO;
	struct domain_forms f;
	size_t i;

	if (!t->regex)
		return inquiry_has_domain(p->inquiry, t->arg, domain);
	domain_forms_make(&f, domain);
	for (i = 0; i < f.n && found == TABLE_NO; i++)
		found = inquiry_has_regex(p->inquiry, t->arg, f.list[i]);
	return found;
}

static enum table_answer
check_always(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	(void)p;
	(void)t;
	(void)q;
	return TABLE_YES;
}

/* -- where it comes from -- */

static enum table_answer
check_from_local(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	(void)p;
	(void)t;
	return answer(q->local || q->socket);
}

static enum table_answer
check_from_socket(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	(void)p;
	(void)t;
	return answer(q->socket);
}

static enum table_answer
check_auth(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	if (q->auth[0] == '\0' || t->arg == NULL)
		return answer(q->auth[0] != '\0');
	if (t->regex)
		return inquiry_has_regex(p->inquiry, t->arg, q->auth);
	return inquiry_has_word(p->inquiry, t->arg, q->auth);
}

static enum table_answer
check_from_src(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	char text[ADDR_TEXT_MAX];

	if (q->client == NULL)
		return TABLE_NO;
	if (!t->regex)
		return inquiry_has_network(p->inquiry, t->arg, q->client);
	addr_format(q->client, text);
	return inquiry_has_regex(p->inquiry, t->arg, text);
}

/* Nobody looked for its name: that was before a reload brought this test. */
static enum table_answer
check_from_rdns(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	if (q->rdns == IPC_RDNS_TROUBLE || q->rdns == IPC_RDNS_UNASKED)
		return TABLE_TROUBLE;
	if (q->rdns != IPC_RDNS_NAMED && q->rdns != IPC_RDNS_CONFIRMED)
		return TABLE_NO;
	return t->arg == NULL ? TABLE_YES : check_domain(p, t, q->name);
}

/* -- what it says -- */

static enum table_answer
check_mailbox(const struct policy *p, const struct conf_test *t, const struct address *a)
{
	enum table_answer found = TABLE_NO;
	struct address form = *a;
	char text[ADDRESS_MAX + 1];
	struct domain_forms f;
	size_t i;

	if (!t->regex)
		return inquiry_has_mailbox(p->inquiry, t->arg, a);
	domain_forms_make(&f, a->domain);
	for (i = 0; i < f.n && found == TABLE_NO; i++)
		if (str_copy(form.domain, sizeof(form.domain), f.list[i]) == 0 &&
		    address_format(&form, text, sizeof(text)) == 0)
			found = inquiry_has_regex(p->inquiry, t->arg, text);
	return found;
}

static enum table_answer
check_mail_from(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	return check_mailbox(p, t, &q->sender);
}

static enum table_answer
check_rcpt_to(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	return check_mailbox(p, t, &q->rcpt);
}

static enum table_answer
check_for_domain(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	return check_domain(p, t, q->rcpt.domain);
}

static enum table_answer
check_for_local(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	(void)t;
	return answer(rules_domain_is_local(p, q->rcpt.domain));
}

static enum table_answer
check_helo(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	return check_domain(p, t, q->helo);
}

static enum table_answer
check_tag(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	if (q->tag[0] == '\0')
		return TABLE_NO;
	return t->regex ? inquiry_has_regex(p->inquiry, t->arg, q->tag)
			: inquiry_has_word(p->inquiry, t->arg, q->tag);
}

static enum table_answer
check_tls(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	(void)p;
	(void)t;
	return answer(q->tls);
}

static const struct test_row {
	const char *words;
	test_check check;
} test_rows[] = {
    [CONF_TEST_FROM_ANY] = {"from any", check_always},
    [CONF_TEST_FROM_LOCAL] = {"from local", check_from_local},
    [CONF_TEST_FROM_SOCKET] = {"from socket", check_from_socket},
    [CONF_TEST_FROM_AUTH] = {"from auth", check_auth},
    [CONF_TEST_FROM_SRC] = {"from src", check_from_src},
    [CONF_TEST_FROM_RDNS] = {"from rdns", check_from_rdns},
    [CONF_TEST_FROM_MAIL_FROM] = {"from mail-from", check_mail_from},
    [CONF_TEST_FOR_ANY] = {"for any", check_always},
    [CONF_TEST_FOR_LOCAL] = {"for local", check_for_local},
    [CONF_TEST_FOR_DOMAIN] = {"for domain", check_for_domain},
    [CONF_TEST_FOR_RCPT_TO] = {"for rcpt-to", check_rcpt_to},
    [CONF_TEST_AUTH] = {"auth", check_auth},
    [CONF_TEST_HELO] = {"helo", check_helo},
    [CONF_TEST_MAIL_FROM] = {"mail-from", check_mail_from},
    [CONF_TEST_RCPT_TO] = {"rcpt-to", check_rcpt_to},
    [CONF_TEST_TAG] = {"tag", check_tag},
    [CONF_TEST_TLS] = {"tls", check_tls},
};

enum table_answer
rules_test_holds(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	enum table_answer a = test_rows[t->kind].check(p, t, q);

	return t->negated && (a == TABLE_YES || a == TABLE_NO) ? answer(a == TABLE_NO) : a;
}

enum table_answer
rules_answer_and(enum table_answer all, enum table_answer one)
{
	static const unsigned int weight[] = {
	    [TABLE_YES] = 0, [TABLE_TROUBLE] = 1, [TABLE_PENDING] = 2, [TABLE_NO] = 3};

	return weight[one] > weight[all] ? one : all;
}

/*
 * All tests of a rule: the first that fails ends it, but where one can't be answered yet
 * the others are asked meanwhile.  *which: the first test that gives the answer; NULL with YES.
 */
static enum table_answer
rule_matches(const struct policy *p, const struct conf_rule *r, const struct rule_question *q,
    const struct rules_observer *observe, const struct conf_test **which)
{
	enum table_answer all = TABLE_YES, one, before;
	bool all_tests = observe != NULL && observe->all_tests;
	size_t i;

	*which = NULL;
	for (i = 0; i < r->ntests && (all != TABLE_NO || all_tests); i++) {
		one = rules_test_holds(p, &r->tests[i], q);
		if (observe != NULL && observe->test != NULL)
			observe->test(observe->arg, r, &r->tests[i], one);
		before = all;
		if ((all = rules_answer_and(before, one)) != before)
			*which = &r->tests[i];
	}
	return all;
}

void
rules_evaluate(const struct policy *p, const struct rule_question *q,
    const struct rules_observer *observe, struct rules_decision *out)
{
	static const enum rules_result results[] = {[TABLE_YES] = RULES_MATCH,
	    [TABLE_TROUBLE] = RULES_TROUBLE,
	    [TABLE_PENDING] = RULES_PENDING};
	const struct conf_rule *r;
	enum table_answer matches;
	size_t i;

	for (i = 0; i < p->conf->nrules; i++) {
		r = &p->conf->rules[i];
		matches = rule_matches(p, r, q, observe, &out->test);
		if (observe != NULL && observe->rule != NULL)
			observe->rule(observe->arg, r, matches, out->test);
		if (matches != TABLE_NO) {
			out->rule = r;
			out->result = results[matches];
			return;
		}
	}
	*out = (struct rules_decision){.result = RULES_NONE};
}

void
rules_test_text(const struct conf_test *t, char *dst, size_t size)
{
	const char *open = "", *close = "";

	if (t->arg != NULL) {
		open = "<";
		close = ">";
	}
	(void)snprintf(dst, size, "%s%s%s%s%s%s%s", t->negated ? "!" : "", test_rows[t->kind].words,
	    t->regex ? " regex" : "", t->arg != NULL ? " " : "", open, t->arg != NULL ? t->arg : "",
	    close);
}

bool
rules_need_name(const struct conf *conf)
{
	size_t i, j;

	for (i = 0; i < conf->nrules; i++)
		for (j = 0; j < conf->rules[i].ntests; j++)
			if (conf->rules[i].tests[j].kind == CONF_TEST_FROM_RDNS)
				return true;
	return false;
}

static bool
literal_is_loopback(const char *domain)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	struct address_literal literal;

	if (!address_literal_parse(domain, &literal))
		return false;
	if (literal.family == ADDRESS_IPV4)
		return literal.bytes[0] == IN_LOOPBACKNET;
	return memcmp(literal.bytes, loopback6, sizeof(loopback6)) == 0;
}

bool
rules_domain_is_local(const struct policy *p, const char *domain)
{
	return domain_equal(domain, p->hostname) || domain_equal(domain, "localhost") ||
	       literal_is_loopback(domain);
}

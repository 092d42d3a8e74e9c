/* SPDX-License-Identifier: ISC */
/*
 * Which rule decides.  Each kind of test is a row: its words and its check.
 *
 * Invariant: a test that can't be answered (a table did not load) never counts
 * as holding nor as failing, negated or not: unless another test of its rule
 * fails, the whole answer is RULES_TROUBLE.  Nothing is fatal.
 */
#include "lookup/rules.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

typedef enum table_answer (*test_check)(
    const struct policy *p, const struct conf_test *t, const struct rule_question *q);

static enum table_answer
answer(bool holds)
{
	return holds ? TABLE_YES : TABLE_NO;
}

static struct table *
test_table(const struct policy *p, const struct conf_test *t)
{
	return tables_find(p->tables, t->arg);
}

static enum table_answer
check_domain(const struct policy *p, const struct conf_test *t, const char *domain)
{
	return t->regex ? table_has_regex(test_table(p, t), domain)
			: table_has_domain(test_table(p, t), domain);
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
		return table_has_regex(test_table(p, t), q->auth);
	return table_has_word(test_table(p, t), q->auth);
}

static enum table_answer
check_from_src(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	char text[ADDR_TEXT_MAX];

	if (q->client == NULL)
		return TABLE_NO;
	if (!t->regex)
		return table_has_network(test_table(p, t), q->client);
	addr_format(q->client, text);
	return table_has_regex(test_table(p, t), text);
}

/* A name that nobody looked for is none. */
static enum table_answer
check_from_rdns(const struct policy *p, const struct conf_test *t, const struct rule_question *q)
{
	if (q->rdns == IPC_RDNS_TROUBLE)
		return TABLE_TROUBLE;
	if (q->rdns != IPC_RDNS_NAMED && q->rdns != IPC_RDNS_CONFIRMED)
		return TABLE_NO;
	return t->arg == NULL ? TABLE_YES : check_domain(p, t, q->name);
}

/* -- what it says -- */

static enum table_answer
check_mailbox(const struct policy *p, const struct conf_test *t, const struct address *a)
{
	char text[ADDRESS_MAX + 1];

	if (!t->regex)
		return table_has_mailbox(test_table(p, t), a);
	if (address_format(a, text, sizeof(text)) == -1)
		return TABLE_NO;
	return table_has_regex(test_table(p, t), text);
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
	(void)p;
	return answer(strcmp(q->tag, t->arg) == 0);
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

	return a == TABLE_TROUBLE || !t->negated ? a : answer(a == TABLE_NO);
}

/* *failed: the first test that fails, NULL when none does. */
static enum table_answer
rule_matches(const struct policy *p, const struct conf_rule *r, const struct rule_question *q,
    const struct conf_test **failed)
{
	enum table_answer all = TABLE_YES;
	size_t i;

	*failed = NULL;
	for (i = 0; i < r->ntests; i++)
		switch (rules_test_holds(p, &r->tests[i], q)) {
		case TABLE_YES:
			break;
		case TABLE_NO:
			*failed = &r->tests[i];
			return TABLE_NO;
		case TABLE_TROUBLE:
			all = TABLE_TROUBLE;
			break;
		}
	return all;
}

enum rules_result
rules_evaluate(const struct policy *p, const struct rule_question *q, rules_observer observe,
    void *arg, const struct conf_rule **rule)
{
	size_t i;

	for (i = 0; i < p->conf->nrules; i++) {
		const struct conf_rule *r = &p->conf->rules[i];
		const struct conf_test *failed;
		enum table_answer matches = rule_matches(p, r, q, &failed);

		if (matches == TABLE_TROUBLE)
			return RULES_TROUBLE;
		if (observe != NULL)
			observe(arg, r, failed);
		if (matches == TABLE_YES) {
			*rule = r;
			return RULES_MATCH;
		}
	}
	return RULES_NONE;
}

void
rules_test_text(const struct conf_test *t, char *dst, size_t size)
{
	const char *open = "", *close = "";

	if (t->arg != NULL && t->kind != CONF_TEST_TAG) {
		open = "<";
		close = ">";
	}
	(void)snprintf(dst, size, "%s%s%s%s%s%s%s", t->negated ? "!" : "", test_rows[t->kind].words,
	    t->regex ? " regex" : "", t->arg != NULL ? " " : "", open, t->arg != NULL ? t->arg : "",
	    close);
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
	return str_equal_nocase(domain, p->hostname) || str_equal_nocase(domain, "localhost") ||
	       literal_is_loopback(domain);
}

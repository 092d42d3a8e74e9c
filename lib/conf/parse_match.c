/* SPDX-License-Identifier: ISC */
/*
 * "match": the tests of a rule and what becomes of the mail.
 *
 * Invariant: every rule says where mail comes from and where it goes: without
 * a "from" it is local, and so it is without a "for".  A rule that nobody
 * finished can therefore never relay for strangers.
 */
#include "lib/conf/match.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/parse.h"

/* clang-format off */
const struct match_word match_words[] = {
    {"from", "any", CONF_TEST_FROM_ANY, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
    {"from", "local", CONF_TEST_FROM_LOCAL, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
    {"from", "socket", CONF_TEST_FROM_SOCKET, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
    {"from", "auth", CONF_TEST_FROM_AUTH, MATCH_TABLE_OPTIONAL, REFERENCE_ANY, SERVICE_STRING},
    {"from", "src", CONF_TEST_FROM_SRC, MATCH_TABLE, REFERENCE_NETWORKS, SERVICE_NETADDR},
    {"from", "rdns", CONF_TEST_FROM_RDNS, MATCH_TABLE_OPTIONAL, REFERENCE_LIST, SERVICE_DOMAIN},
    {"from", "mail-from", CONF_TEST_FROM_MAIL_FROM, MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR},
    {"for", "any", CONF_TEST_FOR_ANY, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
    {"for", "local", CONF_TEST_FOR_LOCAL, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
    {"for", "domain", CONF_TEST_FOR_DOMAIN, MATCH_TABLE, REFERENCE_LIST, SERVICE_DOMAIN},
    {"for", "rcpt-to", CONF_TEST_FOR_RCPT_TO, MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR},
    {"", "auth", CONF_TEST_AUTH, MATCH_TABLE_OPTIONAL, REFERENCE_ANY, SERVICE_STRING},
    {"", "helo", CONF_TEST_HELO, MATCH_TABLE, REFERENCE_LIST, SERVICE_DOMAIN},
    {"", "mail-from", CONF_TEST_MAIL_FROM, MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR},
    {"", "rcpt-to", CONF_TEST_RCPT_TO, MATCH_TABLE, REFERENCE_LIST, SERVICE_MAILADDR},
    {"", "tag", CONF_TEST_TAG, MATCH_TABLE, REFERENCE_LIST, SERVICE_STRING},
    {"", "tls", CONF_TEST_TLS, MATCH_NOTHING, REFERENCE_ANY, SERVICE_STRING},
};
/* clang-format on */
const size_t match_nwords = NITEMS(match_words);

/* What else may come next; the last two not after a '!'. */
static const char *const other_words[] = {"from", "for", "action", "reject"};
#define NEGATABLE 2

/* The row of the word in hand within a group, or NULL after a report. */
static const struct match_word *
parse_match_word(struct parser *p, const char *group, bool negated)
{
	const char *words[NITEMS(match_words) + NITEMS(other_words) + 1];
	size_t i, n = 0;

	for (i = 0; i < match_nwords; i++) {
		if (strcmp(match_words[i].group, group) != 0)
			continue;
		if (parse_is_word(p, match_words[i].word))
			return &match_words[i];
		words[n++] = match_words[i].word;
	}
	for (i = 0; i < (negated ? NEGATABLE : NITEMS(other_words)) && *group == '\0'; i++)
		words[n++] = other_words[i];
	words[n] = NULL;
	(void)parse_unknown(p, "condition", words);
	return NULL;
}

static int
test_supported(struct parser *p, const struct match_word *row)
{
	char words[32];

	(void)snprintf(
	    words, sizeof(words), "%s%s%s", row->group, *row->group == '\0' ? "" : " ", row->word);
	return parse_supported(p, &p->tok.at, "match", words);
}

int
match_parse_table(struct parser *p, enum match_value value, enum reference_kind reference,
    bool *regex, char **table)
{
	if (value == MATCH_NOTHING)
		return 0;
	if ((*regex = parse_take_word(p, "regex")))
		reference = reference == REFERENCE_ANY ? REFERENCE_ANY_REGEX : REFERENCE_LIST_REGEX;
	if (value == MATCH_TABLE_OPTIONAL && !*regex && !parse_is_table(p))
		return 0;
	return parse_table(p, reference, table);
}

static struct conf_test *
rule_new_test(struct parser *p, struct conf_rule *rule)
{
	struct conf_test *test = parse_new(
	    p, &rule->tests, rule->ntests, sizeof(*test), PARSE_TESTS_MAX);

	if (test != NULL)
		rule->ntests++;
	return test;
}

const struct match_word *
match_word_of(enum conf_test_kind kind)
{
	size_t i = 0;

	while (match_words[i].kind != kind)
		i++;
	return &match_words[i];
}

/* A rule has one "from", one "for" and each plain test once. */
static int
rule_allows(struct parser *p, const struct conf_rule *rule, const struct match_word *row)
{
	size_t i;

	for (i = 0; i < rule->ntests; i++) {
		const struct match_word *other = match_word_of(rule->tests[i].kind);

		if (other == row)
			return parse_fail(p, "'%s' was given before", row->word);
		if (*row->group != '\0' && strcmp(other->group, row->group) == 0)
			return parse_fail(p, "a rule has one '%s', and there was '%s %s'",
			    row->group, other->group, other->word);
	}
	return 0;
}

static int
parse_test(struct parser *p, struct conf_rule *rule)
{
	const struct match_word *row;
	struct conf_test *test;
	const char *group = "";
	bool negated = parse_take_punct(p, '!');

	if (parse_take_word(p, "from"))
		group = "from";
	else if (parse_take_word(p, "for"))
		group = "for";
	if ((row = parse_match_word(p, group, negated)) == NULL || test_supported(p, row) == -1 ||
	    rule_allows(p, rule, row) == -1)
		return -1;
	if ((test = rule_new_test(p, rule)) == NULL)
		return -1;
	test->kind = row->kind;
	test->negated = negated;
	parse_advance(p);
	return match_parse_table(p, row->value, row->reference, &test->regex, &test->arg);
}

/* The tests that the family assumes where a rule is silent. */
static int
rule_complete(struct parser *p, struct conf_rule *rule)
{
	bool from = false, for_ = false;
	struct conf_test *test;
	size_t i;

	for (i = 0; i < rule->ntests; i++) {
		const struct match_word *row = match_word_of(rule->tests[i].kind);

		from = from || strcmp(row->group, "from") == 0;
		for_ = for_ || strcmp(row->group, "for") == 0;
	}
	if (!from) {
		if ((test = rule_new_test(p, rule)) == NULL)
			return -1;
		test->kind = CONF_TEST_FROM_LOCAL;
	}
	if (!for_) {
		if ((test = rule_new_test(p, rule)) == NULL)
			return -1;
		test->kind = CONF_TEST_FOR_LOCAL;
	}
	return 0;
}

static int
parse_outcome(struct parser *p, struct conf_rule *rule)
{
	struct place at;

	if (parse_take_word(p, "reject"))
		return parse_old_line(p, &rule->line);
	if (!parse_take_word(p, "action"))
		return parse_expected(p, "'action' or 'reject'");
	at = p->tok.at;
	if (parse_string(p, "an action name", CONF_NAME_MAX, &rule->action) == -1)
		return -1;
	if (parse_reference(p, REFERENCE_ACTION, rule->action, &at) == -1)
		return -1;
	return parse_old_line(p, &rule->line);
}

int
parse_match(struct parser *p)
{
	struct conf *c = p->conf;
	struct conf_rule *rule;

	rule = parse_new(p, &c->rules, c->nrules, sizeof(*rule), PARSE_RULES_MAX);
	if (rule == NULL)
		return -1;
	c->nrules++;
	rule->line = p->tok.at.line;
	while (!parse_is_end(p) && !parse_is_word(p, "action") && !parse_is_word(p, "reject")) {
		if (parse_test(p, rule) == -1)
			return -1;
	}
	if (parse_outcome(p, rule) == -1)
		return -1;
	return rule_complete(p, rule);
}

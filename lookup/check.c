/* SPDX-License-Identifier: ISC */
/*
 * Judges a recipient at RCPT: the rules first, then, for a local action,
 * whether there is such a recipient.
 *
 * Invariant: every question gets one verdict.  Whatever can't be found out
 * is a 451, never a 250 and never a 550.  Nothing is fatal.
 */
#include "lookup/check.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lib/ipc/messages.h"
#include "lookup/lookup.h"
#include "lookup/recipient.h"

#define CHECKS_MAX 16384 /* that wait for an account, at once */

struct check { /* owned by the list */
	TAILQ_ENTRY(check) entry;
	struct lookup *lookup;
	struct channel *ch;
	uint32_t req, line;
	struct visit_id visit;
	uint64_t serial;
	char action[CONF_NAME_MAX + 1];
	struct account_waiter waiter;
};

struct check_list {
	TAILQ_HEAD(, check) head;
	size_t n;
};

struct check_list *
checks_create(void)
{
	struct check_list *list;

	if ((list = calloc(1, sizeof(*list))) != NULL)
		TAILQ_INIT(&list->head);
	return list;
}

static void
check_free(struct check *c)
{
	struct check_list *list = c->lookup->checks;

	account_forget(&c->waiter);
	TAILQ_REMOVE(&list->head, c, entry);
	list->n--;
	free(c);
}

void
checks_free(struct check_list *list)
{
	struct check *c;

	if (list == NULL)
		return;
	while ((c = TAILQ_FIRST(&list->head)) != NULL)
		check_free(c);
	free(list);
}

void
checks_unlink(struct check_list *list, const struct channel *ch)
{
	struct check *c, *next;

	for (c = TAILQ_FIRST(&list->head); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->ch == ch)
			check_free(c);
	}
}

size_t
checks_count(const struct check_list *list)
{
	return list->n;
}

/* -- verdicts -- */

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
	bool is_guess; /* who gets many of these is trying out names, or us */
} verdicts[] = {
    [VERDICT_OK] = {250, "2.1.5", "recipient ok", false},
    [VERDICT_TROUBLE] = {451, "4.3.0", "recipient can't be checked now, try again later", false},
    [VERDICT_NO_RULE] = {550, "5.7.1", "relaying denied", true},
    [VERDICT_REJECTED] = {550, "5.7.1", "recipient rejected", false},
    [VERDICT_UNKNOWN] = {550, "5.1.1", "no such recipient here", true},
    [VERDICT_BAD_SENDER] = {553, "5.1.7", "sender is not an address", false},
    [VERDICT_BAD_RCPT] = {553, "5.1.3", "recipient is not an address", false},
};

/* Who asked, and the rule that decided (0 and "" when none did). */
struct asker {
	struct channel *ch;
	uint32_t req, line;
	struct visit_id visit;
	uint64_t serial; /* of the visit that asked: another may have its number by now */
	const char *action;
};

static void
send_reply(struct lookup *l, const struct asker *to, const struct msg_rcpt_verdict *m)
{
	if (m->code < 300)
		l->counters.accepted++;
	else if (m->code < 500)
		l->counters.deferred++;
	else
		l->counters.refused++;
	(void)channel_send(to->ch, MSG_rcpt_verdict, m);
}

static void
send_over_limit(struct lookup *l, const struct asker *to, const struct client_refusal *refusal)
{
	struct msg_rcpt_verdict m = {.req = to->req,
	    .code = refusal->code,
	    .status = refusal->status,
	    .text = refusal->text,
	    .action = "",
	    .rule_line = to->line};

	send_reply(l, to, &m);
}

static void
send_verdict(struct lookup *l, const struct asker *to, enum verdict verdict)
{
	const struct verdict_row *row = &verdicts[verdict];
	struct msg_rcpt_verdict m = {.req = to->req,
	    .code = row->code,
	    .status = row->status,
	    .text = row->text,
	    .action = verdict == VERDICT_OK ? to->action : "",
	    .rule_line = to->line};
	struct client_refusal refusal;

	if (row->is_guess && clients_serial(l->clients, to->visit) == to->serial &&
	    !clients_rcpt_refused(l->clients, to->visit, service_now_ms(l->service), &refusal))
		send_over_limit(l, to, &refusal);
	else
		send_reply(l, to, &m);
}

/* -- the question -- */

static void
on_account(void *arg, enum ipc_outcome outcome)
{
	struct check *c = arg;
	struct lookup *l = c->lookup;
	char action[sizeof(c->action)];
	struct asker to = {c->ch, c->req, c->line, c->visit, c->serial, action};

	memcpy(action, c->action, sizeof(action));
	check_free(c);
	if (outcome == IPC_OK)
		send_verdict(l, &to, VERDICT_OK);
	else
		send_verdict(l, &to, outcome == IPC_GONE ? VERDICT_UNKNOWN : VERDICT_TROUBLE);
}

static void
ask_account(struct lookup *l, const struct asker *to, const char *name)
{
	struct check *c;

	if (l->checks->n == CHECKS_MAX || (c = calloc(1, sizeof(*c))) == NULL) {
		send_verdict(l, to, VERDICT_TROUBLE);
		return;
	}
	*c = (struct check){.lookup = l,
	    .ch = to->ch,
	    .req = to->req,
	    .visit = to->visit,
	    .serial = to->serial,
	    .line = to->line,
	    .waiter = {.done = on_account, .arg = c}};
	TAILQ_INSERT_TAIL(&l->checks->head, c, entry);
	l->checks->n++;
	if (str_copy(c->action, sizeof(c->action), to->action) == -1)
		on_account(c, IPC_RETRY);
	else
		account_find(l->accounts, name, &c->waiter);
}

/*
 * A catch-all takes any name, but not each makes a mailbox: who can have none is
 * refused here, as later it would be a report to whoever was named as sender.
 * The sender is not in question: any that is an address will do.
 */
static bool
can_have_mailbox(
    const struct conf_action *action, const struct address *rcpt, const struct recipient *r)
{
	char dest[ADDRESS_MAX + 1], address[ADDRESS_MAX + 1], path[IPC_PATH_MAX + 1];
	const char *user = r->kind == RECIPIENT_ACCOUNT ? r->account : r->targets;
	struct address a = *rcpt;
	const struct pattern_values values = {
	    .sender = "a@b", .rcpt = address, .dest = dest, .username = user};

	if (action->kind != CONF_ACTION_MAILDIR || action->target == NULL ||
	    strpbrk(user, "@,|/: ") != NULL) /* it leads elsewhere */
		return true;
	address_canonical(&a, r->tagged);
	if (address_format(rcpt, address, sizeof(address)) == -1 ||
	    str_format(dest, sizeof(dest), "%s@%s", a.local, a.domain) == -1)
		return false;
	return mailbox_path(action->target, &values, path, sizeof(path)) == 0;
}

static void
judge_recipient(struct lookup *l, const struct asker *to, const struct conf_action *action,
    const struct address *rcpt)
{
	struct recipient r;

	if (!action_is_local(action)) {
		send_verdict(l, to, VERDICT_OK);
		return;
	}
	recipient_find(&l->policy, action, rcpt, &r);
	if ((r.kind == RECIPIENT_TARGETS || r.kind == RECIPIENT_ACCOUNT) &&
	    !can_have_mailbox(action, rcpt, &r))
		r.kind = RECIPIENT_UNKNOWN;
	switch (r.kind) {
	case RECIPIENT_TARGETS:
		send_verdict(l, to, VERDICT_OK);
		break;
	case RECIPIENT_ACCOUNT:
		ask_account(l, to, r.account);
		break;
	case RECIPIENT_UNKNOWN:
		send_verdict(l, to, VERDICT_UNKNOWN);
		break;
	case RECIPIENT_TROUBLE:
		send_verdict(l, to, VERDICT_TROUBLE);
		break;
	}
}

static void
on_rule(void *arg, const struct conf_rule *rule, const struct conf_test *failed)
{
	char text[CONF_STRING_MAX];

	(void)arg;
	if (failed == NULL) {
		log_debug("event=rule-matched line=%u", rule->line);
		return;
	}
	rules_test_text(failed, text, sizeof(text));
	log_debug("event=rule-passed-over line=%u failed=\"%s\"", rule->line, text);
}

static void
judge_by_rules(struct lookup *l, struct asker *to, const struct rule_question *q)
{
	const struct conf_action *action;
	const struct conf_rule *rule;

	switch (rules_evaluate(&l->policy, q, on_rule, NULL, &rule)) {
	case RULES_TROUBLE:
		send_verdict(l, to, VERDICT_TROUBLE);
		return;
	case RULES_NONE:
		send_verdict(l, to, VERDICT_NO_RULE);
		return;
	case RULES_MATCH:
		break;
	}
	to->line = rule->line;
	if (rule->action == NULL) {
		send_verdict(l, to, VERDICT_REJECTED);
		return;
	}
	to->action = rule->action;
	action = conf_action_find(l->conf, rule->action);
	bug_on(action == NULL); /* the parser resolved it */
	judge_recipient(l, to, action, &q->rcpt);
}

static void
judge_question(struct lookup *l, struct asker *to, const struct msg_rcpt_check *m)
{
	struct rule_question q = {
	    .local = m->local, .tls = m->tls, .helo = m->helo, .tag = m->tag, .auth = m->auth};
	struct addr client;

	if (host_parse(m->client, &client) == 0) {
		q.socket = client.ss.ss_family == AF_UNIX;
		q.client = q.socket ? NULL : &client;
	}
	if (address_parse(m->sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &q.sender) != ADDRESS_OK)
		send_verdict(l, to, VERDICT_BAD_SENDER);
	else if (recipient_parse(&l->policy, m->rcpt, &q.rcpt) == -1)
		send_verdict(l, to, VERDICT_BAD_RCPT);
	else
		judge_by_rules(l, to, &q);
}

void
check_begin(struct lookup *l, struct channel *ch, const struct msg_rcpt_check *m)
{
	struct asker to = {
	    .ch = ch, .req = m->req, .visit = {channel_instance(ch), m->visit}, .action = ""};
	struct client_refusal refusal;

	l->counters.checks++;
	to.serial = clients_serial(l->clients, to.visit);
	if (clients_rcpt(l->clients, to.visit, m->first, service_now_ms(l->service), &refusal))
		judge_question(l, &to, m);
	else
		send_over_limit(l, &to, &refusal);
}

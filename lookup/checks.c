/* SPDX-License-Identifier: ISC */
/*
 * The recipients that session asks about: the limits of their client first, then the
 * decision (check.c), which may have to wait.
 *
 * Invariant: every question gets one verdict, unless its session process is gone
 * before.  One that is answered at once leaves nothing behind.  Nothing is fatal.
 */
#include "lookup/checks.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lookup/check.h"
#include "lookup/lookup.h"

#define CHECKS_MAX  16384 /* that wait, at once */
#define DEADLINE_MS 30000 /* session's is longer */

/* Who asked. */
struct asker {
	struct channel *ch;
	uint32_t req;
	struct visit_id visit;
	uint64_t serial; /* of the visit that asked: another may have its number by now */
};

/* What was asked, to be asked again. */
struct check_copy {
	bool local, tls;
	enum ipc_rdns rdns;
	char client[IPC_WORD_MAX + 1], tag[IPC_WORD_MAX + 1];
	char helo[IPC_NAME_MAX + 1], name[IPC_NAME_MAX + 1];
	char auth[IPC_ADDRESS_MAX + 1], sender[IPC_ADDRESS_MAX + 1], rcpt[IPC_ADDRESS_MAX + 1];
};

struct check { /* waits; owned by the list */
	TAILQ_ENTRY(check) entry;
	struct checks *checks;
	struct asker asker;
	int64_t deadline_ms;
	struct inquiry *inquiry;
	struct check_copy copy;
};

struct checks {
	struct lookup *lookup;
	TAILQ_HEAD(, check) head; /* the oldest first */
	size_t n;
};

struct checks *
checks_create(struct lookup *l)
{
	struct checks *cs;

	if ((cs = calloc(1, sizeof(*cs))) == NULL)
		return NULL;
	cs->lookup = l;
	TAILQ_INIT(&cs->head);
	return cs;
}

static void
check_free(struct check *c)
{
	inquiry_free(c->inquiry);
	TAILQ_REMOVE(&c->checks->head, c, entry);
	c->checks->n--;
	free(c);
}

void
checks_free(struct checks *cs)
{
	struct check *c;

	if (cs == NULL)
		return;
	while ((c = TAILQ_FIRST(&cs->head)) != NULL)
		check_free(c);
	free(cs);
}

void
checks_unlink(struct checks *cs, const struct channel *ch)
{
	struct check *c, *next;

	for (c = TAILQ_FIRST(&cs->head); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->asker.ch == ch)
			check_free(c);
	}
}

size_t
checks_count(const struct checks *cs)
{
	return cs->n;
}

/* -- verdicts -- */

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
send_over_limit(
    struct lookup *l, const struct asker *to, const struct client_refusal *refusal, uint32_t line)
{
	char why[IPC_WORD_MAX + sizeof("over ")];
	struct msg_rcpt_verdict m = {.req = to->req,
	    .code = refusal->code,
	    .status = refusal->status,
	    .text = refusal->text,
	    .action = "",
	    .rule_line = line,
	    .why = why};

	(void)snprintf(why, sizeof(why), "over %s", refusal->limit);

	send_reply(l, to, &m);
}

static void
send_verdict(struct lookup *l, const struct asker *to, const struct check_verdict *v)
{
	uint32_t line = v->rule == NULL ? 0 : v->rule->line;
	struct msg_rcpt_verdict m = {.req = to->req,
	    .code = v->code,
	    .status = v->status,
	    .text = v->text,
	    .action = v->action == NULL ? "" : v->action->name,
	    .rule_line = line,
	    .why = v->why};
	struct client_refusal refusal;

	if (v->is_guess && clients_serial(l->clients, to->visit) == to->serial &&
	    !clients_rcpt_refused(l->clients, to->visit, service_now_ms(l->service), &refusal))
		send_over_limit(l, to, &refusal, line);
	else
		send_reply(l, to, &m);
}

static void
send_trouble(struct lookup *l, const struct asker *to, const char *why)
{
	struct msg_rcpt_verdict m = {.req = to->req,
	    .code = 451,
	    .status = "4.4.3",
	    .text = "recipient can't be checked now, try again later",
	    .action = "",
	    .why = why};

	send_reply(l, to, &m);
}

/* -- the decision -- */

static void
on_rule(
    void *arg, const struct conf_rule *rule, enum table_answer matches, const struct conf_test *why)
{
	char text[CONF_STRING_MAX];

	(void)arg;
	if (matches == TABLE_YES) {
		log_debug("event=rule-matched line=%u", rule->line);
		return;
	}
	rules_test_text(why, text, sizeof(text));
	log_debug("event=%s line=%u test=\"%s\"",
	    matches == TABLE_NO ? "rule-passed-over" : "rule-not-answered", rule->line, text);
}

static void
evaluate(struct lookup *l, struct inquiry *inquiry, const struct msg_rcpt_check *m,
    struct check_verdict *out)
{
	static const struct rules_observer observer = {.rule = on_rule};
	struct policy policy = lookup_policy(l, inquiry);
	struct check_question q = {.sender = m->sender,
	    .rcpt = m->rcpt,
	    .rule = {.local = m->local,
		.tls = m->tls,
		.rdns = (enum ipc_rdns)m->rdns,
		.name = m->name,
		.helo = m->helo,
		.tag = m->tag,
		.auth = m->auth}};
	struct addr client;

	if (host_parse(m->client, &client) == 0) {
		q.rule.socket = client.ss.ss_family == AF_UNIX;
		q.rule.client = q.rule.socket ? NULL : &client;
	}
	check_evaluate(&policy, &q, log_is_verbose() ? &observer : NULL, out);
}

/* -- those that wait -- */

static int
copy_set(struct check_copy *c, const struct msg_rcpt_check *m)
{
	c->local = m->local;
	c->tls = m->tls;
	c->rdns = (enum ipc_rdns)m->rdns;
	if (str_copy(c->client, sizeof(c->client), m->client) == -1 ||
	    str_copy(c->tag, sizeof(c->tag), m->tag) == -1 ||
	    str_copy(c->helo, sizeof(c->helo), m->helo) == -1 ||
	    str_copy(c->name, sizeof(c->name), m->name) == -1 ||
	    str_copy(c->auth, sizeof(c->auth), m->auth) == -1 ||
	    str_copy(c->sender, sizeof(c->sender), m->sender) == -1 ||
	    str_copy(c->rcpt, sizeof(c->rcpt), m->rcpt) == -1)
		return -1;
	return 0;
}

static struct msg_rcpt_check
copy_message(const struct check_copy *c)
{
	return (struct msg_rcpt_check){.local = c->local,
	    .tls = c->tls,
	    .rdns = (uint8_t)c->rdns,
	    .client = c->client,
	    .tag = c->tag,
	    .helo = c->helo,
	    .name = c->name,
	    .auth = c->auth,
	    .sender = c->sender,
	    .rcpt = c->rcpt};
}

static void
on_resume(void *arg)
{
	struct check *c = arg;
	struct lookup *l = c->checks->lookup;
	struct msg_rcpt_check m = copy_message(&c->copy);
	struct asker to = c->asker;
	struct check_verdict v;

	evaluate(l, c->inquiry, &m, &v);
	if (v.pending)
		return;
	check_free(c);
	send_verdict(l, &to, &v);
}

/* Takes the inquiry over. */
static void
check_wait(struct checks *cs, const struct asker *asker, struct inquiry *inquiry,
    const struct msg_rcpt_check *m)
{
	struct lookup *l = cs->lookup;
	struct check *c = NULL;

	if (cs->n == CHECKS_MAX || (c = calloc(1, sizeof(*c))) == NULL ||
	    copy_set(&c->copy, m) == -1) {
		free(c);
		inquiry_free(inquiry);
		send_trouble(l, asker, "too many recipients wait");
		return;
	}
	c->checks = cs;
	c->asker = *asker;
	c->deadline_ms = service_now_ms(l->service) + DEADLINE_MS;
	c->inquiry = inquiry;
	inquiry_set_owner(inquiry, c);
	TAILQ_INSERT_TAIL(&cs->head, c, entry);
	cs->n++;
}

void
checks_tick(struct checks *cs, int64_t now_ms)
{
	struct check *c;

	while ((c = TAILQ_FIRST(&cs->head)) != NULL && c->deadline_ms <= now_ms) {
		inquiry_give_up(c->inquiry);
		on_resume(c);
	}
}

/* -- the question -- */

static void
judge(struct checks *cs, const struct asker *asker, const struct msg_rcpt_check *m)
{
	struct lookup *l = cs->lookup;
	struct inquiry *inquiry = lookup_inquiry(l, on_resume, NULL);
	struct check_verdict v;

	if (inquiry == NULL) {
		send_trouble(l, asker, "out of memory");
		return;
	}
	evaluate(l, inquiry, m, &v);
	if (v.pending) {
		check_wait(cs, asker, inquiry, m);
		return;
	}
	inquiry_free(inquiry);
	send_verdict(l, asker, &v);
}

void
check_begin(struct checks *cs, struct channel *ch, const struct msg_rcpt_check *m)
{
	struct lookup *l = cs->lookup;
	struct asker asker = {.ch = ch, .req = m->req, .visit = {channel_instance(ch), m->visit}};
	struct client_refusal refusal;

	l->counters.checks++;
	asker.serial = clients_serial(l->clients, asker.visit);
	if (clients_rcpt(l->clients, asker.visit, m->first, service_now_ms(l->service), &refusal))
		judge(cs, &asker, m);
	else
		send_over_limit(l, &asker, &refusal, 0);
}

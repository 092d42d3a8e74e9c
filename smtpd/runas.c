/* SPDX-License-Identifier: ISC */
/*
 * Delivery agents as their users.
 *
 * What delivery asks for is a name; who that is, and which directory is his,
 * is found out here from smtpd.conf and the host's accounts.  So a delivery
 * process that fell into wrong hands can't name a uid or a directory.
 * Nothing here looks at that directory, which may hang: the agent goes there itself.
 *
 * Invariant: no agent ever runs with uid 0 or gid 0; each that was asked for is
 * either a channel for delivery or a refusal.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "smtpd/accounts.h"

#define AGENTS_MAX 128 /* above DELIVERY_AGENTS_ALL */
#define LATE_MAX   4   /* of one account, that were killed and don't die */

/* -- an agent -- */

struct agent_plan { /* until the account is known */
	struct account_question question;
	struct asker delivery;
	char action[IPC_WORD_MAX + 1], path[IPC_PATH_MAX + 1];
};

struct refusal {
	enum ipc_outcome outcome;
	const char *why; /* NULL: nothing speaks against it */
};

/* Is it an account that one of our own processes runs as? */
static bool
is_role_account(const struct smtpd *d, uid_t uid)
{
	const struct child *c;

	TAILQ_FOREACH (c, &d->children, entry)
		if (c->row->role != ROLE_AGENT && c->uid == uid)
			return true;
	return false;
}

static struct refusal
judge_account(const struct smtpd *d, const struct account *account)
{
	if (account->uid == 0 || account->gid == 0)
		return (struct refusal){
		    IPC_FAIL, "mail for root is not delivered; alias root to a person"};
	if (d->privileged && is_role_account(d, account->uid))
		return (struct refusal){IPC_FAIL, "that account is one of the mail server's own"};
	if (!d->privileged && account->uid != geteuid())
		return (struct refusal){IPC_RETRY,
		    "the server was not started as root and can't deliver as this account"};
	return (struct refusal){IPC_OK, NULL};
}

/* Is it a wall around an agent?  Not a path from where we happen to stand, nor one back to "/". */
static bool
is_wall(const char *path)
{
	bool leads_down = false;
	size_t n;

	if (path[0] != '/')
		return false;
	for (; *path != '\0'; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0)
			return false;
		leads_down = leads_down || n > 1 || (n == 1 && path[0] != '.');
	}
	return leads_down;
}

/* The directory below which the mailbox lies: the home, or what the pattern begins with. */
static struct refusal
find_base(const struct conf_action *action, const struct account *account, char base[PATH_MAX])
{
	char rest[PATH_MAX];

	if (mailbox_split(action->target, base, PATH_MAX, rest, sizeof(rest)) == -1)
		return (struct refusal){IPC_RETRY, "the mailbox's path is too long"};
	if (strcmp(base, "~") != 0)
		return (struct refusal){IPC_OK, NULL};
	if (!is_wall(account->home))
		return (struct refusal){IPC_FAIL, "that account has no home directory"};
	str_cut(base, PATH_MAX, account->home);
	return (struct refusal){IPC_OK, NULL};
}

/* One that was killed does not count, but with its own account's. */
static struct refusal
judge_number(const struct smtpd *d, uid_t uid)
{
	size_t living = 0, late = 0;
	struct child *c;

	TAILQ_FOREACH (c, &d->children, entry)
		if (c->row->role == ROLE_AGENT) {
			living += !c->condemned;
			late += c->condemned && c->uid == uid;
		}
	if (late >= LATE_MAX)
		return (struct refusal){IPC_RETRY, "the mailboxes of this account do not answer"};
	if (living >= AGENTS_MAX)
		return (struct refusal){IPC_RETRY, "too many deliveries at once"};
	return (struct refusal){IPC_OK, NULL};
}

/* Delivery's end of their link stays here until the agent has its mailbox open. */
static int
introduce(struct child *agent, const struct agent_plan *p)
{
	struct msg_link link = {.role = ROLE_DELIVERY, .instance = p->delivery.child->instance};
	struct msg_mailbox mailbox = {.path = p->path};
	static const struct msg_lock lock;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -1;
	agent->agent.link_fd = pair[1];
	if (channel_send(agent->ch, MSG_mailbox, &mailbox) == -1 ||
	    channel_send(agent->ch, MSG_lock, &lock) == -1) {
		(void)close(pair[0]);
		return -1;
	}
	return channel_send_fd(agent->ch, MSG_link, &link, pair[0]);
}

static void
answer_refused(struct child *delivery, uint32_t req, const struct refusal *r)
{
	struct msg_agent_refused m = {.req = req, .outcome = (uint8_t)r->outcome, .text = r->why};

	(void)channel_send(delivery->ch, MSG_agent_refused, &m);
}

/* What fails with a process that is there already is told by its end. */
static int
start_agent(struct child *delivery, const struct agent_plan *p, const struct account *account,
    const char *base)
{
	struct child *c = child_create(delivery->smtpd, role_row(ROLE_AGENT), 0);

	if (c == NULL)
		return -1;
	c->uid = account->uid;
	c->gid = account->gid;
	c->agent.asker = p->delivery;
	str_cut(c->agent.user, sizeof(c->agent.user), p->question.name);
	if ((c->agent.base = strdup(base)) == NULL || child_start_agent(c) == -1) {
		child_free(c);
		return -1;
	}
	if (introduce(c, p) == -1)
		child_condemn(c);
	return c->agent.link_fd == -1 ? -1 : 0;
}

/* The account is known: all that can speak against an agent is asked now, for now it is started. */
static struct refusal
start_as(struct child *delivery, const struct agent_plan *p, const struct account *account)
{
	struct smtpd *d = delivery->smtpd;
	const struct conf_action *action = conf_action_find(d->conf, p->action);
	struct refusal r = judge_account(d, account);
	char base[PATH_MAX];

	if (r.why != NULL)
		return r;
	if (action == NULL || action->kind != CONF_ACTION_MAILDIR)
		return (struct refusal){IPC_RETRY, "the action is no longer in smtpd.conf"};
	if (d->draining)
		return (struct refusal){IPC_RETRY, "the server is going down"};
	r = judge_number(d, account->uid);
	if (r.why == NULL)
		r = find_base(action, account, base);
	if (r.why == NULL && start_agent(delivery, p, account, base) == -1)
		r = (struct refusal){IPC_RETRY, "no delivery agent could be started"};
	return r;
}

static void
on_account(struct account_question *q, enum ipc_outcome outcome, const struct account *account)
{
	struct agent_plan *p = (struct agent_plan *)(void *)q; /* its first member */
	struct child *delivery = asker_alive(&p->delivery);
	struct refusal r;

	if (outcome == IPC_GONE)
		r = (struct refusal){IPC_RETRY, "no such account"};
	else if (outcome != IPC_OK)
		r = (struct refusal){IPC_RETRY, "the account could not be looked up"};
	else if (delivery != NULL)
		r = start_as(delivery, p, account);
	if (delivery != NULL && r.why != NULL)
		answer_refused(delivery, p->delivery.req, &r);
	free(p);
}

void
runas_start(struct child *delivery, const struct msg_agent_start *m)
{
	static const struct refusal no_action = {
	    IPC_RETRY, "the action is no longer in smtpd.conf, or not a local one"};
	static const struct refusal no_memory = {IPC_RETRY, "out of memory"};
	struct smtpd *d = delivery->smtpd;
	const struct conf_action *action = conf_action_find(d->conf, m->action);
	struct agent_plan *p;

	if (action == NULL || action->kind != CONF_ACTION_MAILDIR) {
		answer_refused(delivery, m->req, &no_action);
		return;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		answer_refused(delivery, m->req, &no_memory);
		return;
	}
	p->delivery = asker_of(delivery, m->req);
	p->question.smtpd = d;
	p->question.done = on_account;
	/* Whose mailbox it is smtpd.conf may say, and nobody else then. */
	str_cut(p->question.name, sizeof(p->question.name),
	    action->user == NULL ? m->user : action->user);
	str_cut(p->question.userbase, sizeof(p->question.userbase),
	    action->userbase == NULL ? "" : action->userbase);
	str_cut(p->action, sizeof(p->action), m->action);
	str_cut(p->path, sizeof(p->path), m->path);
	account_ask(&p->question);
}

/* -- its life -- */

static void
let_go(struct child *agent)
{
	if (agent->agent.let_go || !agent->has_entered)
		return; /* it has a deadline already */
	agent->agent.let_go = true;
	supervise_expect_end(agent);
}

void
runas_entered(struct child *agent)
{
	struct msg_agent_started started = {.req = agent->agent.asker.req};
	struct child *delivery;
	int fd = agent->agent.link_fd;

	if (fd == -1)
		return;
	agent->agent.link_fd = -1;
	if ((delivery = asker_alive(&agent->agent.asker)) != NULL) {
		(void)channel_send_fd(delivery->ch, MSG_agent_started, &started, fd);
		return;
	}
	(void)close(fd);
	let_go(agent);
}

void
runas_given_up(struct child *agent)
{
	static const struct refusal gone = {IPC_RETRY, "the mailbox could not be opened"};
	struct child *delivery;

	if (agent->agent.link_fd == -1)
		return;
	(void)close(agent->agent.link_fd);
	agent->agent.link_fd = -1;
	if ((delivery = asker_alive(&agent->agent.asker)) != NULL)
		answer_refused(delivery, agent->agent.asker.req, &gone);
}

void
runas_let_go(struct child *delivery, uint32_t req)
{
	struct child *c;

	TAILQ_FOREACH (c, &delivery->smtpd->children, entry)
		if (c->row->role == ROLE_AGENT && c->agent.asker.req == req &&
		    asker_alive(&c->agent.asker) == delivery)
			let_go(c);
}

void
runas_delivery_lost(const struct child *delivery)
{
	struct child *c;

	TAILQ_FOREACH (c, &delivery->smtpd->children, entry)
		if (c->row->role == ROLE_AGENT && c->agent.asker.child == delivery)
			let_go(c);
}

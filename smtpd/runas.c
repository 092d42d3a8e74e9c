/* SPDX-License-Identifier: ISC */
/*
 * Accounts, and delivery agents as their users.
 *
 * What delivery asks for is a name; who that is, and which directory is his,
 * is found out here from smtpd.conf and the host's accounts.  So a delivery
 * process that fell into wrong hands can't name a uid or a directory.
 * Invariant: no agent ever runs with uid 0 or gid 0.
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

#define AGENTS_MAX 64

static void
account_fill(struct account *out, const struct passwd *pw)
{
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	if (str_copy(out->home, sizeof(out->home), pw->pw_dir) == -1)
		out->home[0] = '\0';
}

int
account_of_role(const struct smtpd *d, const struct role_row *row, struct account *out)
{
	struct passwd *pw;

	*out = (struct account){.uid = geteuid(), .gid = getegid()};
	if (!d->privileged)
		return 0;
	if (d->uid_base != 0) {
		out->uid = d->uid_base + (uid_t)row->role;
		out->gid = (gid_t)out->uid;
		return 0;
	}
	if ((pw = getpwnam(row->account)) == NULL) {
		log_warn("event=no-such-account account=%s hint=\"see postern-architecture(7), "
			 "ACCOUNTS\"",
		    row->account);
		errno = ENOENT;
		return -1;
	}
	account_fill(out, pw);
	return 0;
}

enum ipc_outcome
account_find(const char *name, struct account *out)
{
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) != NULL) {
		account_fill(out, pw);
		return IPC_OK;
	}
	return errno == 0 || errno == ENOENT ? IPC_GONE : IPC_RETRY;
}

/* -- userbase: "name" = "uid:gid:home", family syntax -- */

static int
parse_userbase(const char *value, struct account *out)
{
	char text[PATH_MAX];
	char *gid, *home;
	uint64_t u, g;

	if (str_copy(text, sizeof(text), value) == -1 || (gid = strchr(text, ':')) == NULL ||
	    (home = strchr(gid + 1, ':')) == NULL)
		return -1;
	*gid++ = '\0';
	*home++ = '\0';
	if (str_u64(text, 0, UINT32_MAX - 1, &u) == -1 || str_u64(gid, 0, UINT32_MAX - 1, &g) == -1)
		return -1;
	out->uid = (uid_t)u;
	out->gid = (gid_t)g;
	return str_copy(out->home, sizeof(out->home), home);
}

/* One line of a userbase file: "name uid:gid:home" or "name: uid:gid:home". */
static bool
line_is_for(char *line, const char *name, const char **value)
{
	size_t n = strlen(name);
	char *p = line + strspn(line, " \t");

	if (strncmp(p, name, n) != 0)
		return false;
	p += n;
	if (*p == ':')
		p++;
	else if (*p != ' ' && *p != '\t')
		return false;
	p += strspn(p, " \t");
	p[strcspn(p, " \t\r\n#")] = '\0';
	*value = p;
	return true;
}

/* A plain file and nothing else: a FIFO must not be able to hang us. */
static FILE *
open_plain(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f = NULL;

	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		f = fdopen(fd, "r");
	if (f == NULL && fd != -1)
		(void)close(fd);
	return f;
}

static enum ipc_outcome
userbase_in_file(const char *path, const char *name, struct account *out)
{
	enum ipc_outcome found = IPC_GONE;
	char line[PATH_MAX + 128];
	const char *value;
	FILE *f;

	if ((f = open_plain(path)) == NULL)
		return IPC_RETRY;
	while (found == IPC_GONE && fgets(line, sizeof(line), f) != NULL)
		if (line_is_for(line, name, &value))
			found = parse_userbase(value, out) == 0 ? IPC_OK : IPC_RETRY;
	(void)fclose(f);
	return found;
}

static enum ipc_outcome
userbase_find(const struct conf_table *t, const char *name, struct account *out)
{
	size_t i;

	if (t->kind == CONF_TABLE_FILE)
		return userbase_in_file(t->path, name, out);
	for (i = 0; i < t->npairs; i++)
		if (t->pairs[i].value != NULL && strcmp(t->pairs[i].key, name) == 0)
			return parse_userbase(t->pairs[i].value, out) == 0 ? IPC_OK : IPC_RETRY;
	return IPC_GONE;
}

/* -- an agent -- */

struct agent_plan {
	struct account account;
	const char *why; /* it can't be */
	enum ipc_outcome outcome;
};

static void
refuse(struct agent_plan *p, enum ipc_outcome outcome, const char *why)
{
	p->outcome = outcome;
	p->why = why;
}

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

static void
check_account(const struct smtpd *d, struct agent_plan *p)
{
	if (p->account.uid == 0 || p->account.gid == 0)
		refuse(p, IPC_FAIL, "mail for root is not delivered; alias root to a person");
	else if (d->privileged && is_role_account(d, p->account.uid))
		refuse(p, IPC_FAIL, "that account is one of the mail server's own");
	else if (strcmp(p->account.home, "/") == 0)
		refuse(p, IPC_FAIL, "that account has no home directory");
	else if (!d->privileged && p->account.uid != geteuid())
		refuse(p, IPC_RETRY,
		    "the server was not started as root and can't deliver as this account");
}

static void
plan_agent(
    const struct smtpd *d, const struct conf_action *action, const char *user, struct agent_plan *p)
{
	*p = (struct agent_plan){.outcome = IPC_OK};
	if (action == NULL || action->kind != CONF_ACTION_MAILDIR) {
		refuse(p, IPC_RETRY, "the action is no longer in smtpd.conf, or not a local one");
		return;
	}
	p->outcome = action->userbase != NULL
			 ? userbase_find(
			       conf_table_find(d->conf, action->userbase), user, &p->account)
			 : account_find(user, &p->account);
	if (p->outcome == IPC_OK)
		check_account(d, p);
	else if (p->outcome == IPC_GONE)
		refuse(p, IPC_RETRY, "no such account");
	else
		p->why = "the account could not be looked up";
}

/* The directory below which the mailbox lies: the home, or what the pattern begins with. */
static int
open_base(const struct conf_action *action, const struct account *account)
{
	char base[PATH_MAX], rest[PATH_MAX];

	if (mailbox_split(action->target, base, sizeof(base), rest, sizeof(rest)) == -1)
		return -1;
	return open(
	    strcmp(base, "~") == 0 ? account->home : base, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static size_t
count_agents(const struct smtpd *d)
{
	struct child *c;
	size_t n = 0;

	TAILQ_FOREACH (c, &d->children, entry)
		n += c->row->role == ROLE_AGENT;
	return n;
}

static int
introduce(struct child *agent, struct child *delivery, const struct msg_agent_start *m, int base)
{
	struct msg_link link = {.role = ROLE_DELIVERY, .instance = delivery->instance};
	struct msg_agent_started started = {.req = m->req};
	struct msg_mailbox mailbox = {.path = m->path};
	static const struct msg_lock lock;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1) {
		(void)close(base);
		return -1;
	}
	if (channel_send_fd(agent->ch, MSG_mailbox, &mailbox, base) == -1 ||
	    channel_send(agent->ch, MSG_lock, &lock) == -1 ||
	    channel_send_fd(agent->ch, MSG_link, &link, pair[0]) == -1) {
		(void)close(pair[1]);
		return -1;
	}
	return channel_send_fd(delivery->ch, MSG_agent_started, &started, pair[1]);
}

static void
answer_refused(struct child *delivery, uint32_t req, enum ipc_outcome outcome, const char *why)
{
	struct msg_agent_refused m = {.req = req, .outcome = (uint8_t)outcome, .text = why};

	(void)channel_send(delivery->ch, MSG_agent_refused, &m);
}

static int
start_agent(struct child *delivery, const struct msg_agent_start *m, const struct account *account,
    int base)
{
	struct child *c = child_create(delivery->smtpd, role_row(ROLE_AGENT), 0);

	if (c == NULL) {
		(void)close(base);
		return -1;
	}
	c->uid = account->uid;
	c->gid = account->gid;
	str_cut(c->user, sizeof(c->user), m->user);
	if (child_start_agent(c) == -1) {
		(void)close(base);
		child_free(c);
		return -1;
	}
	if (introduce(c, delivery, m, base) == -1) {
		child_condemn(c);
		return -1;
	}
	return 0;
}

void
runas_start(struct child *delivery, const struct msg_agent_start *m)
{
	struct smtpd *d = delivery->smtpd;
	const struct conf_action *action = conf_action_find(d->conf, m->action);
	struct agent_plan plan;
	int base;

	plan_agent(d, action, m->user, &plan);
	if (plan.outcome == IPC_OK && d->draining)
		refuse(&plan, IPC_RETRY, "the server is going down");
	else if (plan.outcome == IPC_OK && count_agents(d) >= AGENTS_MAX)
		refuse(&plan, IPC_RETRY, "too many deliveries at once");
	if (plan.outcome != IPC_OK) {
		answer_refused(delivery, m->req, plan.outcome, plan.why);
		return;
	}
	if ((base = open_base(action, &plan.account)) == -1) {
		answer_refused(delivery, m->req, IPC_RETRY, "the home directory can't be opened");
		return;
	}
	if (start_agent(delivery, m, &plan.account, base) == -1)
		answer_refused(delivery, m->req, IPC_RETRY, "no delivery agent could be started");
}

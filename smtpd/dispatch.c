/* SPDX-License-Identifier: ISC */
/*
 * What the children may ask of the parent: a log line, an agent, an account,
 * a password hash, a look at the processes, a pause.  The context of each channel is its child.
 */
#include "smtpd/smtpd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "smtpd/accounts.h"
#include "smtpd/forward.h"

#define RELINK_MS 500 /* between two fresh links for one child */

/* The child's own words, under its own name; the text was escaped there and is again here. */
static void
on_log(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct child *c = ctx;
	char line[LOG_LINE_MAX];

	(void)ch;
	(void)fd;
	if (str_format(line, sizeof(line), "%s[%d]: %s", role_word(c->row->role), (int)c->pid,
		msg->log.line) == 0)
		log_emit((enum log_level)msg->log.level, line);
}

static void
on_entered(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *c = ctx;

	(void)fd;
	if (c->has_entered) {
		channel_reject(ch, "entered twice");
		return;
	}
	c->entered = msg->entered;
	str_cut(c->lost, sizeof(c->lost), msg->entered.lost);
	c->entered.lost = c->lost;
	c->has_entered = true;
	if (c->lost[0] != '\0')
		log_debug("event=landlock-lost process=%s rights=\"%s\"", child_name(c), c->lost);
	runas_entered(c);
}

static void
on_listener(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *c = ctx;

	(void)msg;
	if (c->listener_fd != -1 || c->has_entered) {
		(void)close(fd);
		channel_reject(ch, "a second listener");
		return;
	}
	supervise_listen_for_violations(c, fd);
}

/* -- accounts -- */

struct user_question {
	struct account_question question; /* first: it is found by it */
	struct asker asker;
};

static void
on_user_found(struct account_question *q, enum ipc_outcome outcome, const struct account *account)
{
	struct user_question *u = (struct user_question *)(void *)q;
	struct msg_user_answer m = {.req = u->asker.req, .outcome = (uint8_t)outcome};
	struct child *c = asker_alive(&u->asker);

	(void)account;
	if (c != NULL)
		(void)channel_send(c->ch, MSG_user_answer, &m);
	free(u);
}

static void
on_user(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct msg_user_answer m = {.req = msg->req, .outcome = IPC_RETRY};
	struct child *c = ctx;
	struct user_question *u;

	(void)fd;
	if ((u = calloc(1, sizeof(*u))) == NULL) {
		(void)channel_send(ch, MSG_user_answer, &m);
		return;
	}
	u->asker = asker_of(c, msg->req);
	u->question.smtpd = c->smtpd;
	u->question.done = on_user_found;
	str_cut(u->question.name, sizeof(u->question.name), msg->user.name);
	account_ask(&u->question);
}

static void
on_forward_get(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	forward_answer(ctx, &msg->forward_get);
}

static void
on_userinfo(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct child *lookup = ctx;

	(void)ch;
	(void)fd;
	accounts_on_userinfo(lookup->smtpd->accounts, msg->req, &msg->userinfo);
}

static void
on_agent_start(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *c = ctx;

	(void)ch;
	(void)fd;
	runas_start(c, &msg->agent_start);
}

static void
on_agent_end(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	runas_let_go(ctx, msg->req);
}

static void
on_relink(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *c = ctx;
	int64_t now_ms = time_mono_ms();

	(void)ch;
	(void)fd;
	/* A child that asks without end costs us nothing much. */
	if (now_ms - c->relinked_ms < RELINK_MS || c->row->on_demand || c->draining || !c->locked)
		return;
	c->relinked_ms = now_ms;
	links_remake(c, (enum role)msg->relink.role, msg->relink.instance);
}

/* -- the vault's questions: answered in shadow.c, helper.c and seal.c; and delivery's, in lmtp.c -- */

static void
on_shadow(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	shadow_answer(ctx, &msg->shadow);
}

static void
on_helper_get(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	helper_answer(ctx, &msg->helper_get);
}

static void
on_seal(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	seal_answer(ctx, &msg->seal);
}

static void
on_lmtp_connect(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	lmtp_answer(ctx, &msg->lmtp_connect);
}

/* -- control's -- */

static void
on_procs(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *c = ctx;

	(void)fd;
	proc_answer(c->smtpd, ch, msg->req);
}

static void
send_pause(struct child *c, enum ipc_pause what, bool on)
{
	struct msg_pause m = {.what = (uint8_t)what, .on = on};

	if (c->ch != NULL && c->locked && message_allowed(MSG_pause, ROLE_PARENT, c->row->role))
		(void)channel_send(c->ch, MSG_pause, &m);
}

/* A child that was started again must not forget what is paused. */
void
dispatch_pause_state(struct child *c)
{
	if (c->smtpd->smtp_paused)
		send_pause(c, IPC_PAUSE_SMTP, true);
	if (c->smtpd->delivery_paused)
		send_pause(c, IPC_PAUSE_DELIVERY, true);
}

static void
on_pause(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *control = ctx, *c;
	struct smtpd *d = control->smtpd;
	struct msg_done done = {.req = msg->req, .outcome = IPC_OK, .text = ""};

	(void)fd;
	if (msg->pause.what == IPC_PAUSE_SMTP)
		d->smtp_paused = msg->pause.on;
	else
		d->delivery_paused = msg->pause.on;
	TAILQ_FOREACH (c, &d->children, entry)
		send_pause(c, (enum ipc_pause)msg->pause.what, msg->pause.on);
	(void)channel_send(ch, MSG_done, &done);
}

static void
on_table_update(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)fd;
	update_answer(ctx, &msg->table_update);
}

static void
on_stats(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct child *control = ctx;
	const struct child *c;
	struct msg_stats_row row = {.req = msg->req, .name = "restarts"};
	struct msg_stats_end end = {.req = msg->req};

	(void)fd;
	TAILQ_FOREACH (c, &control->smtpd->children, entry)
		row.value += c->restarts;
	(void)channel_send(ch, MSG_stats_row, &row);
	(void)channel_send(ch, MSG_stats_end, &end);
}

#ifdef TEST_HOOKS
/* A probe on its way in: to the first process of the role; the answer goes to control. */
static void
on_probe(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct child *control = ctx, *c;
	struct msg_probe_result none = {.req = msg->req, .error = 3 /* ESRCH */, .name = ""};

	(void)fd;
	TAILQ_FOREACH (c, &control->smtpd->children, entry)
		if (c->row->role == (enum role)msg->probe.role && c->ch != NULL)
			break;
	if (c == NULL || channel_send(c->ch, MSG_probe, &msg->probe) == -1)
		(void)channel_send(ch, MSG_probe_result, &none);
}

static void
on_probe_result(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	const struct child *from = ctx;
	struct child *c;

	(void)ch;
	(void)fd;
	TAILQ_FOREACH (c, &from->smtpd->children, entry)
		if (c->row->role == ROLE_CONTROL && c->ch != NULL)
			(void)channel_send(c->ch, MSG_probe_result, &msg->probe_result);
}
#endif

const channel_handler smtpd_handlers[MSG__MAX] = {
    [MSG_log] = on_log,
    [MSG_entered] = on_entered,
    [MSG_seccomp_listener] = on_listener,
    [MSG_user] = on_user,
    [MSG_userinfo] = on_userinfo,
    [MSG_forward_get] = on_forward_get,
    [MSG_agent_start] = on_agent_start,
    [MSG_agent_end] = on_agent_end,
    [MSG_relink] = on_relink,
    [MSG_shadow] = on_shadow,
    [MSG_helper_get] = on_helper_get,
    [MSG_seal] = on_seal,
    [MSG_lmtp_connect] = on_lmtp_connect,
    [MSG_procs] = on_procs,
    [MSG_pause] = on_pause,
    [MSG_table_update] = on_table_update,
    [MSG_stats] = on_stats,
#ifdef TEST_HOOKS
    [MSG_probe] = on_probe,
    [MSG_probe_result] = on_probe_result,
#endif
};

/* SPDX-License-Identifier: ISC */
/*
 * Who an account is: uid, gid, home.  The host's accounts are asked of a hand
 * (hand.h), which may wait for LDAP without this process waiting; those of a
 * userbase stand in a table (userbase.c), unless only lookup can read it.
 *
 * Invariant: a question ends once; one name is with the hand at a time, and a
 * hand that does not answer costs that question alone.  Nothing is fatal.
 */
#include "smtpd/accounts.h"

#include <errno.h>
#include <event2/event.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/conf/service.h"
#include "smtpd/hand.h"
#include "smtpd/smtpd.h"
#include "smtpd/userbase.h"

#define QUESTIONS_MAX 1024
#define NAME_MS	      10000 /* for one name */
#define IDLE_S	      10    /* a hand without questions ends */
#define USERINFO_MS   15000
#define NOBODY	      65534 /* an account of no rights; names need none */

struct found { /* what the hand says */
	enum ipc_outcome outcome;
	struct account account;
};

struct accounts {
	struct smtpd *smtpd;
	struct userbases *userbases;
	struct hand *hand; /* NULL: none is needed now */
	struct account_questions names, userinfos;
	struct account_question *asked; /* of names: the hand has it; NULL: it has none */
	size_t n;
	uint32_t last_req;
	struct event *tick; /* while lookup is asked */
	struct event *idle;
};

/* -- asked at once -- */

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
account_find_now(const char *name, struct account *out)
{
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) != NULL) {
		account_fill(out, pw);
		return IPC_OK;
	}
	return errno == 0 || errno == ENOENT ? IPC_GONE : IPC_RETRY;
}

/* -- the end of a question -- */

static void
question_end(struct accounts *a, struct account_questions *list, struct account_question *q,
    const struct found *found)
{
	TAILQ_REMOVE(list, q, entry);
	a->n--;
	q->done(q, found->outcome, found->outcome == IPC_OK ? &found->account : NULL);
}

static void
question_fail(struct accounts *a, struct account_questions *list, struct account_question *q)
{
	static const struct found trouble = {.outcome = IPC_RETRY};

	question_end(a, list, q, &trouble);
}

/* -- the host's accounts: in the hand -- */

static void
answer_names(int sock, void *arg)
{
	char name[IPC_WORD_MAX + 1];
	struct found found;
	ssize_t n;

	(void)arg;
	while ((n = recv(sock, name, sizeof(name) - 1, 0)) > 0) {
		memset(&found, 0, sizeof(found));
		name[n] = '\0';
		found.outcome = account_find_now(name, &found.account);
		if (hand_tell(sock, &found, sizeof(found), -1) == -1)
			return;
	}
}

/* -- and here -- */

static void ask_next_name(struct accounts *a);

static void
on_name(void *arg, const void *data, size_t len, int fd)
{
	struct accounts *a = arg;
	static const struct timeval rest = {IDLE_S, 0};
	struct account_question *q = a->asked;
	struct found found = {.outcome = IPC_RETRY};

	if (fd != -1)
		(void)close(fd);
	if (data == NULL || len != sizeof(found)) {
		hand_free(a->hand);
		a->hand = NULL;
	} else {
		memcpy(&found, data, sizeof(found));
		found.account.home[sizeof(found.account.home) - 1] = '\0';
		hand_set_deadline(a->hand, 0);
	}
	a->asked = NULL;
	if (q != NULL)
		question_end(a, &a->names, q, &found);
	ask_next_name(a);
	if (a->asked == NULL)
		(void)event_add(a->idle, &rest);
}

static void
on_idle(evutil_socket_t sock, short what, void *arg)
{
	struct accounts *a = arg;

	(void)sock;
	(void)what;
	if (a->asked != NULL)
		return;
	hand_free(a->hand);
	a->hand = NULL;
}

static int
start_hand(struct accounts *a)
{
	struct hand_job job = {.uid = a->smtpd->privileged ? NOBODY : geteuid(),
	    .gid = a->smtpd->privileged ? NOBODY : getegid(),
	    .work = answer_names,
	    .heard = on_name,
	    .arg = a,
	    .keep_fd = -1};

	if (a->hand == NULL)
		a->hand = hand_start(a->smtpd, &job);
	return a->hand == NULL ? -1 : 0;
}

static void
ask_next_name(struct accounts *a)
{
	struct account_question *q;

	while (a->asked == NULL && (q = TAILQ_FIRST(&a->names)) != NULL) {
		if (start_hand(a) == 0 && hand_say(a->hand, q->name, strlen(q->name)) == 0) {
			hand_set_deadline(a->hand, NAME_MS);
			a->asked = q;
			return;
		}
		log_warn("event=accounts-not-asked error=\"%s\"", strerror(errno));
		hand_free(a->hand);
		a->hand = NULL;
		question_fail(a, &a->names, q);
	}
}

/* -- a userbase that lookup reads -- */

static void
tick_again(struct accounts *a)
{
	static const struct timeval second = {1, 0};

	if (!TAILQ_EMPTY(&a->userinfos) && !event_pending(a->tick, EV_TIMEOUT, NULL))
		(void)event_add(a->tick, &second);
}

static void
on_tick(evutil_socket_t sock, short what, void *arg)
{
	struct accounts *a = arg;
	struct account_question *q;

	(void)sock;
	(void)what;
	/* All have the same time, so the oldest is first. */
	while ((q = TAILQ_FIRST(&a->userinfos)) != NULL && q->deadline_ms <= time_mono_ms())
		question_fail(a, &a->userinfos, q);
	tick_again(a);
}

static void
ask_lookup(struct accounts *a, struct account_question *q)
{
	struct msg_userinfo_get m = {.table = q->userbase, .user = q->name};
	struct child *c;

	if (++a->last_req == 0)
		++a->last_req;
	q->req = m.req = a->last_req;
	q->deadline_ms = time_mono_ms() + USERINFO_MS;
	TAILQ_INSERT_TAIL(&a->userinfos, q, entry);
	TAILQ_FOREACH (c, &a->smtpd->children, entry)
		if (c->row->role == ROLE_LOOKUP && c->ch != NULL && c->locked)
			break;
	if (c == NULL || channel_send(c->ch, MSG_userinfo_get, &m) == -1)
		question_fail(a, &a->userinfos, q);
	else
		tick_again(a);
}

void
accounts_on_userinfo(struct accounts *a, uint32_t req, const struct msg_userinfo *m)
{
	struct found found = {.outcome = (enum ipc_outcome)m->outcome};
	struct account_question *q;

	TAILQ_FOREACH (q, &a->userinfos, entry)
		if (q->req == req)
			break;
	if (q == NULL)
		return;
	if (found.outcome == IPC_OK && userbase_parse(m->value, &found.account) == -1)
		found.outcome = IPC_RETRY;
	else if (found.outcome != IPC_OK && found.outcome != IPC_GONE)
		found.outcome = IPC_RETRY;
	question_end(a, &a->userinfos, q, &found);
}

void
accounts_lookup_lost(struct accounts *a)
{
	struct account_question *q;

	while ((q = TAILQ_FIRST(&a->userinfos)) != NULL)
		question_fail(a, &a->userinfos, q);
}

/* -- asking -- */

static void
ask_userbase(struct accounts *a, struct account_question *q)
{
	const struct conf_table *t = conf_table_find(a->smtpd->conf, q->userbase);
	struct account account = {.uid = 0};
	enum ipc_outcome outcome = IPC_RETRY;

	if (t != NULL &&
	    (conf_table_services(a->smtpd->conf, t->name) & 1U << SERVICE_USERINFO) == 0)
		t = NULL; /* not what it is for: what else is in it must not be found out */
	if (t != NULL &&
	    (t->kind == CONF_TABLE_FILE || t->kind == CONF_TABLE_MAP || t->kind == CONF_TABLE_LIST))
		outcome = userbase_find(a->userbases, t, q->name, &account);
	else if (t != NULL) {
		a->n++;
		ask_lookup(a, q);
		return;
	}
	q->done(q, outcome, outcome == IPC_OK ? &account : NULL);
}

/* What asks for names on the host is not to see what only looks for trouble. */
static bool
may_be_account(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if (!char_is_alnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			return false;
	return name[0] != '\0' && name[0] != '-';
}

void
account_ask(struct account_question *q)
{
	struct accounts *a = q->smtpd->accounts;
	bool of_host = q->userbase[0] == '\0';

	if (q->name[0] == '\0' || (of_host && !may_be_account(q->name)))
		q->done(q, IPC_GONE, NULL);
	else if (a->n >= QUESTIONS_MAX)
		q->done(q, IPC_RETRY, NULL);
	else if (!of_host)
		ask_userbase(a, q);
	else {
		a->n++;
		TAILQ_INSERT_TAIL(&a->names, q, entry);
		ask_next_name(a);
	}
}

struct accounts *
accounts_create(struct smtpd *d)
{
	struct accounts *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->smtpd = d;
	TAILQ_INIT(&a->names);
	TAILQ_INIT(&a->userinfos);
	a->tick = event_new(d->base, -1, 0, on_tick, a);
	a->idle = event_new(d->base, -1, 0, on_idle, a);
	a->userbases = userbases_create();
	if (a->tick == NULL || a->idle == NULL || a->userbases == NULL) {
		accounts_free(a);
		return NULL;
	}
	return a;
}

void
accounts_free(struct accounts *a)
{
	struct account_question *q;

	if (a == NULL)
		return;
	a->asked = NULL;
	while ((q = TAILQ_FIRST(&a->names)) != NULL)
		question_fail(a, &a->names, q);
	accounts_lookup_lost(a);
	hand_free(a->hand);
	userbases_free(a->userbases);
	if (a->tick != NULL)
		event_free(a->tick);
	if (a->idle != NULL)
		event_free(a->idle);
	free(a);
}

/* -- who asked -- */

struct asker
asker_of(const struct child *c, uint32_t req)
{
	return (struct asker){.smtpd = c->smtpd, .child = c, .pid = c->pid, .req = req};
}

struct child *
asker_alive(const struct asker *a)
{
	struct child *c;

	TAILQ_FOREACH (c, &a->smtpd->children, entry)
		if (c == a->child && c->pid == a->pid && c->ch != NULL)
			return c;
	return NULL;
}

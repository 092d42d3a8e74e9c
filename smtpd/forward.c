/* SPDX-License-Identifier: ISC */
/*
 * ~/.forward for lookup, read as the account whose it is, by a hand: its home
 * may be on a network that is down, or a file system of its own making.
 *
 * Invariant: what is handed over is a copy in memory, so that lookup can't be made to wait
 * either, of a plain file of that account (or root's), that nobody else can write to and
 * that has no second name; this process never looks into it.  Nothing is fatal.
 */
#include "smtpd/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "smtpd/accounts.h"
#include "smtpd/hand.h"
#include "smtpd/smtpd.h"

#define OPEN_MS	 10000
#define REST_MS	 60000 /* after that was not enough: all mail for it would wait so long each time */
#define FILE_MAX (64 << 10) /* octets */

static const char no_answer[] = "the home directory does not answer";

struct said {			  /* by the hand */
	enum ipc_outcome outcome; /* OK: a descriptor comes along */
	char text[IPC_NAME_MAX + 1];
};

struct forward { /* one question under way; owned by itself until it is answered */
	struct account_question question; /* first: it is found by it */
	struct asker lookup;
	struct account account;
	struct hand *hand;
};

static void
answer_none(const struct forward *f, enum ipc_outcome outcome, const char *text)
{
	struct msg_forward_none m = {
	    .req = f->lookup.req, .outcome = (uint8_t)outcome, .text = text};
	struct child *c = asker_alive(&f->lookup);

	if (c != NULL)
		(void)channel_send(c->ch, MSG_forward_none, &m);
}

static void
answer_file(const struct forward *f, int fd)
{
	struct msg_forward_file m = {.req = f->lookup.req, .root = f->account.uid == 0};
	struct child *c = asker_alive(&f->lookup);

	if (c != NULL)
		(void)channel_send_fd(c->ch, MSG_forward_file, &m, fd);
	else
		(void)close(fd);
}

static void
forward_end(struct forward *f)
{
	hand_free(f->hand);
	free(f);
}

/* -- in the hand, as the account -- */

static enum ipc_outcome
judge_home(const struct stat *st, uid_t uid, const char **why)
{
	*why = NULL;
	if (st->st_uid != 0 && st->st_uid != uid)
		*why = "the home directory belongs to another user";
	else if ((st->st_mode & 022) != 0)
		*why = "others can write to the home directory";
	return *why == NULL ? IPC_OK : IPC_DENIED;
}

static enum ipc_outcome
judge_file(const struct stat *st, uid_t uid, const char **why)
{
	*why = NULL;
	if (!S_ISREG(st->st_mode))
		*why = ".forward is not a plain file";
	else if (st->st_uid != 0 && st->st_uid != uid)
		*why = ".forward belongs to another user";
	else if ((st->st_mode & 022) != 0)
		*why = "others can write to .forward";
	else if (st->st_nlink != 1)
		*why = ".forward has a second name (a hard link)";
	else if (st->st_size > FILE_MAX)
		*why = ".forward is too large";
	return *why == NULL ? IPC_OK : IPC_DENIED;
}

/* What an errno of opening means to the mail that waits for it. */
static enum ipc_outcome
judge_errno(int error, const char **why)
{
	*why = strerror(error);
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return IPC_GONE;
	case ELOOP:
		*why = ".forward is a symbolic link";
		return IPC_DENIED;
	case EACCES:
	case EPERM:
	case ENXIO: /* a socket */
		return IPC_DENIED;
	default:
		return IPC_RETRY;
	}
}

static enum ipc_outcome
open_file(int home, uid_t uid, int *fd, const char **why)
{
	/* O_NONBLOCK: a FIFO or a device must not be able to hang even this process. */
	static const struct open_how how = {
	    .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	struct stat st;

	if (fstat(home, &st) == -1)
		return judge_errno(errno, why);
	if (S_ISDIR(st.st_mode) &&
	    (*fd = (int)syscall(SYS_openat2, home, ".forward", &how, sizeof(how))) == -1)
		return judge_errno(errno, why);
	if (judge_home(&st, uid, why) != IPC_OK)
		return IPC_DENIED;
	if (fstat(*fd, &st) == -1)
		return judge_errno(errno, why);
	return judge_file(&st, uid, why);
}

static enum ipc_outcome
copy_file(int *fd, const char **why)
{
	if ((*fd = hand_copy(*fd, FILE_MAX)) != -1)
		return IPC_OK;
	if (errno != EFBIG)
		return judge_errno(errno, why);
	*why = ".forward is too large";
	return IPC_DENIED;
}

static void
open_and_tell(int sock, void *arg)
{
	const struct forward *f = arg;
	struct said said = {.outcome = IPC_GONE};
	const char *why = "no home directory";
	int home, fd = -1;

	if (f->account.home[0] != '/')
		said.outcome = IPC_GONE;
	else if ((home = open(f->account.home, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		said.outcome = judge_errno(errno, &why);
	else
		said.outcome = open_file(home, f->account.uid, &fd, &why);
	if (said.outcome == IPC_OK)
		said.outcome = copy_file(&fd, &why);
	if (said.outcome != IPC_OK) {
		str_cut(said.text, sizeof(said.text), why);
		fd = -1; /* it ends with us */
	}
	(void)!hand_tell(sock, &said, sizeof(said), fd);
}

/* -- in the parent -- */

static void
note_silence(const struct account_question *q)
{
	struct smtpd *d = q->smtpd;
	struct silent_home *h = &d->silent_homes[d->nsilent_homes++ % SILENT_HOMES_MAX];

	str_cut(h->name, sizeof(h->name), q->name);
	str_cut(h->userbase, sizeof(h->userbase), q->userbase);
	h->until_ms = time_mono_ms() + REST_MS;
}

static bool
is_silent(const struct account_question *q)
{
	const struct silent_home *h = q->smtpd->silent_homes;
	size_t i;

	for (i = 0; i < SILENT_HOMES_MAX; i++)
		if (h[i].until_ms > time_mono_ms() && strcmp(h[i].name, q->name) == 0 &&
		    strcmp(h[i].userbase, q->userbase) == 0)
			return true;
	return false;
}

static void
on_said(void *arg, const void *data, size_t len, int fd)
{
	struct forward *f = arg;
	struct said said = {.outcome = IPC_RETRY};

	str_cut(said.text, sizeof(said.text), no_answer);
	if (data != NULL && len == sizeof(said)) {
		memcpy(&said, data, sizeof(said));
		said.text[sizeof(said.text) - 1] = '\0';
	} else
		note_silence(&f->question);
	if (said.outcome == IPC_OK && fd != -1) {
		answer_file(f, fd);
		fd = -1;
	} else if (said.outcome == IPC_GONE || said.outcome == IPC_DENIED)
		answer_none(f, said.outcome, said.text);
	else
		answer_none(f, IPC_RETRY, said.text);
	if (fd != -1)
		(void)close(fd);
	forward_end(f);
}

static void
on_account(struct account_question *q, enum ipc_outcome outcome, const struct account *account)
{
	struct forward *f = (struct forward *)(void *)q;
	struct hand_job job = {.work = open_and_tell,
	    .heard = on_said,
	    .arg = f,
	    .files_only = true,
	    .keep_fd = -1,
	    .copy_max = FILE_MAX};

	if (outcome != IPC_OK) {
		answer_none(f, outcome == IPC_GONE ? IPC_GONE : IPC_RETRY,
		    "the account could not be looked up");
		forward_end(f);
		return;
	}
	f->account = *account;
	job.uid = account->uid;
	job.gid = account->gid;
	if (!q->smtpd->privileged && account->uid != geteuid()) {
		/* Its mail can't be delivered here either; what does not need the file is not held up. */
		answer_none(f, IPC_GONE, "the server was not started as root");
		forward_end(f);
	} else if (is_silent(q)) {
		answer_none(f, IPC_RETRY, no_answer);
		forward_end(f);
	} else if ((f->hand = hand_start(q->smtpd, &job)) == NULL) {
		answer_none(f, IPC_RETRY, strerror(errno));
		forward_end(f);
	} else
		hand_set_deadline(f->hand, OPEN_MS);
}

void
forward_answer(struct child *lookup, const struct msg_forward_get *m)
{
	struct msg_forward_none none = {
	    .req = m->req, .outcome = IPC_RETRY, .text = "out of memory"};
	struct forward *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		(void)channel_send(lookup->ch, MSG_forward_none, &none);
		return;
	}
	f->lookup = asker_of(lookup, m->req);
	f->question.smtpd = lookup->smtpd;
	f->question.done = on_account;
	str_cut(f->question.name, sizeof(f->question.name), m->user);
	str_cut(f->question.userbase, sizeof(f->question.userbase), m->userbase);
	account_ask(&f->question);
}

/* SPDX-License-Identifier: ISC */
/*
 * Password hashes of system accounts, for the vault, which can't open the file.
 * It is read anew with each question, to its end whoever is asked about: an
 * account that is not there takes as long as one that is.
 *
 * Invariant: no account that the system itself would not let in is told, and no
 * hash stays in this process.  A vault in wrong hands learns them slowly.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <shadow.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define QUESTIONS_MAX 1000 /* a second: above what hashers can do with the answers */
#define DAY_S	      86400
#define NEVER_DAYS    10000 /* a password's life from here on is without end: passwd(1) */

static bool
is_too_often(struct child *vault, int64_t now_ms)
{
	if (now_ms - vault->shadow_ms >= 1000) {
		vault->shadow_ms = now_ms;
		vault->nshadow = 0;
	}
	return ++vault->nshadow > QUESTIONS_MAX;
}

/* shadow(5): days since the epoch; a negative or empty field says nothing. */
static bool
is_expired(const struct spwd *sp, int64_t today)
{
	if (sp->sp_expire >= 0 && today >= sp->sp_expire)
		return true;
	if (sp->sp_lstchg == 0) /* it has to be changed at the next login, which is not here */
		return true;
	return sp->sp_lstchg > 0 && sp->sp_max >= 0 && sp->sp_max < NEVER_DAYS &&
	       today - sp->sp_lstchg >= sp->sp_max;
}

/* '!' and '*' lock; nothing at all would let everybody in. */
static bool
is_locked(const char *stored)
{
	return stored == NULL || stored[0] == '\0' || strchr("!*", stored[0]) != NULL;
}

static enum ipc_outcome
take_entry(const struct spwd *sp, int64_t today, char stored[IPC_SECRET_MAX + 1])
{
	if (is_locked(sp->sp_pwdp) || is_expired(sp, today))
		return IPC_GONE;
	return str_copy(stored, IPC_SECRET_MAX + 1, sp->sp_pwdp) == 0 ? IPC_OK : IPC_RETRY;
}

static enum ipc_outcome
read_entries(FILE *f, const char *name, int64_t today, char stored[IPC_SECRET_MAX + 1])
{
	enum ipc_outcome found = IPC_GONE;
	bool seen = false;
	struct spwd *sp;

	while ((sp = fgetspent(f)) != NULL) {
		/* The first of that name, as the system does it. */
		if (!seen && strcmp(sp->sp_namp, name) == 0) {
			seen = true;
			found = take_entry(sp, today, stored);
		}
		if (sp->sp_pwdp != NULL)
			explicit_bzero(sp->sp_pwdp, strlen(sp->sp_pwdp));
	}
	return ferror(f) ? IPC_RETRY : found;
}

static FILE *
open_shadow(void)
{
	int fd = open(_PATH_SHADOW, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f = NULL;

	if (fd != -1 && fstat(fd, &st) == 0) {
		if (S_ISREG(st.st_mode))
			f = fdopen(fd, "r");
		else
			errno = EINVAL;
	}
	if (f == NULL)
		log_warn(
		    "event=shadow-not-read path=" _PATH_SHADOW " error=\"%s\"", strerror(errno));
	if (f == NULL && fd != -1)
		(void)close(fd);
	return f;
}

static enum ipc_outcome
find_hash(const char *name, int64_t today, char stored[IPC_SECRET_MAX + 1])
{
	enum ipc_outcome found;
	char buffer[4096]; /* ours, to be wiped */
	FILE *f;

	if ((f = open_shadow()) == NULL)
		return IPC_RETRY;
	(void)setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	found = read_entries(f, name, today, stored);
	(void)fclose(f);
	explicit_bzero(buffer, sizeof(buffer));
	return found;
}

void
shadow_answer(struct child *vault, const struct msg_shadow *m)
{
	char stored[IPC_SECRET_MAX + 1] = "";
	struct msg_shadow_answer answer = {.req = m->req, .stored = stored};

	if (is_too_often(vault, time_mono_ms()))
		answer.outcome = IPC_RETRY;
	else
		answer.outcome = (uint8_t)find_hash(m->name, time_wall_s() / DAY_S, stored);
	if (answer.outcome != IPC_OK)
		explicit_bzero(stored, sizeof(stored));
	(void)channel_send(vault->ch, MSG_shadow_answer, &answer);
	explicit_bzero(stored, sizeof(stored));
}

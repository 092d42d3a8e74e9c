/* SPDX-License-Identifier: ISC */
/*
 * Connections to Dovecot and token helpers, for the vault, which has no network
 * and no files.  It names a table; which socket that is, smtpd.conf says.
 *
 * Invariant: this process never waits for the other side, and never reads from it.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/str.h"

/* At once or not at all: a Unix socket that would make us wait has a full queue. */
int
helper_connect(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, error;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), path) == -1)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static const struct conf_table *
find_table(const struct conf *conf, const char *name)
{
	const struct conf_table *t = conf_table_find(conf, name);

	if (t == NULL || (t->kind != CONF_TABLE_DOVECOT && t->kind != CONF_TABLE_HELPER))
		return NULL;
	return t;
}

static void
refuse(struct child *vault, uint32_t req, const char *path, const char *why)
{
	struct msg_helper_refused m = {.req = req};
	char text[IPC_TEXT_MAX + 1], shown[IPC_TEXT_MAX / 2];

	str_cut(shown, sizeof(shown), path);
	m.text = str_format(text, sizeof(text), "%s: %s", shown, why) == 0 ? text : why;
	(void)channel_send(vault->ch, MSG_helper_refused, &m);
}

void
helper_answer(struct child *vault, const struct msg_helper_get *m)
{
	struct msg_helper_link link = {.req = m->req};
	const struct conf_table *t = find_table(vault->smtpd->conf, m->table);
	int fd;

	if (channel_pending_bytes(vault->ch) > CHANNEL_LOW)
		refuse(vault, m->req, "the channel", "its answers are not read");
	else if (t == NULL)
		refuse(vault, m->req, "smtpd.conf", "it has no such table any more");
	else if ((fd = helper_connect(t->path)) == -1)
		refuse(vault, m->req, t->path,
		    errno == EAGAIN ? "it does not accept connections" : strerror(errno));
	else
		(void)channel_send_fd(vault->ch, MSG_helper_link, &link, fd);
}

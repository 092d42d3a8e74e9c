/* SPDX-License-Identifier: ISC */
/*
 * Connections to the Unix sockets of actions, for delivery, which has a right to
 * no path.  It names an action; which socket that is, smtpd.conf says.
 *
 * Invariant: this process never waits for the other side, and never reads from it.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

static void
refuse(struct child *delivery, uint32_t req, const char *what, const char *why)
{
	struct msg_lmtp_refused m = {.req = req};
	char text[IPC_TEXT_MAX + 1], shown[IPC_TEXT_MAX / 2];

	str_cut(shown, sizeof(shown), what);
	m.text = str_format(text, sizeof(text), "%s: %s", shown, why) == 0 ? text : why;
	(void)channel_send(delivery->ch, MSG_lmtp_refused, &m);
}

void
lmtp_answer(struct child *delivery, const struct msg_lmtp_connect *m)
{
	const struct conf_action *a = conf_action_find(delivery->smtpd->conf, m->action);
	struct msg_lmtp_socket answer = {.req = m->req};
	int fd;

	if (channel_pending_bytes(delivery->ch) > CHANNEL_LOW)
		refuse(delivery, m->req, "the channel", "its answers are not read");
	else if (a == NULL || a->kind != CONF_ACTION_LMTP || *a->target != '/')
		refuse(delivery, m->req, "smtpd.conf", "it has no such action any more");
	else if ((fd = helper_connect(a->target)) == -1)
		refuse(delivery, m->req, a->target,
		    errno == EAGAIN ? "it does not accept connections" : strerror(errno));
	else
		(void)channel_send_fd(delivery->ch, MSG_lmtp_socket, &answer, fd);
}

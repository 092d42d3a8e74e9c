/* SPDX-License-Identifier: ISC */
/*
 * The links between children: one pair of sockets for every two roles that the
 * message table lets talk, made here and handed to both.  A process drops the
 * old end of a link when it gets a new one.
 *
 * A session waits for a signature in the middle of a handshake, so it has a
 * second link to the vault, with a deadline in its socket.
 */
#include "smtpd/smtpd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/log.h"

#define SIGN_WAIT_S 3
#define SIGN_BUFFER 8192 /* octets on their way to the vault: one question, and room */

static void
link_failed(const struct child *a)
{
	log_warn("event=link-failed between=%s error=\"%s\"", child_name(a), strerror(errno));
}

static void
link_send(struct child *to, const struct child *peer, int fd)
{
	struct msg_link m = {.role = (uint8_t)peer->row->role, .instance = peer->instance};

	(void)channel_send_fd(to->ch, MSG_link, &m, fd);
}

/* -- signatures -- */

static int
sign_pair(int pair[2])
{
	const struct timeval wait = {SIGN_WAIT_S, 0};
	const int size = SIGN_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	if (setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0 &&
	    fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return -1;
}

static void
sign_link(struct child *session, struct child *vault)
{
	struct msg_sign_link of_session = {.instance = session->instance},
			     of_vault = {.instance = vault->instance};
	int pair[2];

	if (sign_pair(pair) == -1) {
		link_failed(session);
		return;
	}
	(void)channel_send_fd(session->ch, MSG_sign_link, &of_vault, pair[0]);
	(void)channel_send_fd(vault->ch, MSG_sign_link, &of_session, pair[1]);
}

/* -- any two -- */

static void
link_pair(struct child *a, struct child *b)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1) {
		link_failed(a);
		return;
	}
	link_send(a, b, pair[0]);
	link_send(b, a, pair[1]);
	if (a->row->role == ROLE_SESSION && b->row->role == ROLE_VAULT)
		sign_link(a, b);
	else if (a->row->role == ROLE_VAULT && b->row->role == ROLE_SESSION)
		sign_link(b, a);
}

static bool
may_link(const struct child *a, const struct child *b)
{
	return a != b && b->ch != NULL && b->locked && !b->draining && !b->row->on_demand &&
	       message_links(a->row->role, b->row->role);
}

void
links_make(struct child *c)
{
	struct child *peer;

	TAILQ_FOREACH (peer, &c->smtpd->children, entry)
		if (may_link(c, peer))
			link_pair(c, peer);
}

void
links_remake(struct child *c, enum role role, uint32_t instance)
{
	struct child *peer;

	TAILQ_FOREACH (peer, &c->smtpd->children, entry)
		if (peer->row->role == role && peer->instance == instance && may_link(c, peer)) {
			log_info("event=relinked process=%s peer=%s", role_word(c->row->role),
			    child_name(peer));
			link_pair(c, peer);
			return;
		}
}

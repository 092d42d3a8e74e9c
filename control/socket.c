/* SPDX-License-Identifier: ISC */
/*
 * Accepts admins and keeps their number, silence and unread answers bounded.
 *
 * Invariants: an admin in the list has a channel and the kernel's word on who
 * it is; a closed one has no question under way and is freed at the top of
 * the loop.  Nothing that an admin does is fatal.
 */
#include "control/socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/relay.h"
#include "lib/base/log.h"

#define ACCEPT_BURST 16	 /* connections taken in one turn */
#define GROUPS_MAX   256 /* supplementary groups looked at */

/* The number that Linux has had since 4.13; Debian's headers may be older than the kernel. */
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

void
socket_init(struct control *c)
{
	TAILQ_INIT(&c->admins);
	TAILQ_INIT(&c->closed);
}

/* -- one admin -- */

static void
on_admin_close(void *ctx, struct channel *ch)
{
	(void)ctx;
	admin_close(channel_tag(ch));
}

static void
on_admin_pending(void *ctx, struct channel *ch)
{
	struct admin *a = channel_tag(ch);

	(void)ctx;
	a->unflushed = true;
}

static const struct channel_rules admin_rules = {.self = ROLE_CONTROL,
    .handlers = control_admin_handlers,
    .on_close = on_admin_close,
    .on_pending = on_admin_pending};

void
admin_close(struct admin *a)
{
	struct control *c = a->control;

	if (a->ch == NULL)
		return;
	relay_cancel(a);
	channel_free(a->ch);
	a->ch = NULL;
	TAILQ_REMOVE(&c->admins, a, entry);
	TAILQ_INSERT_TAIL(&c->closed, a, entry);
	c->nadmins--;
}

void
admin_send(struct admin *a, enum message_type type, const void *msg)
{
	if (a->ch == NULL)
		return;
	a->last_ms = service_now_ms(a->control->service);
	if (channel_pending_bytes(a->ch) > ADMIN_OUT_MAX)
		channel_reject(a->ch, "does not read");
	else if (channel_send(a->ch, type, msg) == -1 && a->ch != NULL)
		channel_reject(a->ch, "can't be answered");
}

void
admin_done(struct admin *a, enum ipc_outcome outcome, const char *text)
{
	struct msg_done m = {.req = a->req, .outcome = (uint8_t)outcome, .text = text};

	admin_send(a, MSG_done, &m);
}

static struct admin *
admin_create(struct control *c, int fd)
{
	struct admin *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->ch = channel_create(service_base(c->service), fd, ROLE_ADMIN, 0, &admin_rules);
	if (a->ch == NULL) {
		free(a);
		return NULL;
	}
	a->control = c;
	a->last_ms = service_now_ms(c->service);
	channel_set_context(a->ch, c);
	channel_set_tag(a->ch, a);
	TAILQ_INSERT_TAIL(&c->admins, a, entry);
	c->nadmins++;
	return a;
}

/* -- the door -- */

static enum access_level
peer_level(const struct control *c, int fd, struct ucred *cred)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(*cred);
	struct access_peer peer = {.groups = groups};

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == -1)
		return ACCESS_NONE;
	peer.uid = cred->uid;
	peer.gid = cred->gid;
	len = sizeof(groups);
	/* In more groups than we look at: only the first of them, its own, counts. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		peer.ngroups = len / sizeof(groups[0]);
	return access_of(&c->access, &peer);
}

/* The one to make room: waits for nothing and was quiet for longest.  NULL: all are busy. */
static struct admin *
admin_to_evict(struct control *c)
{
	int64_t now = service_now_ms(c->service);
	struct admin *a, *quietest = NULL;

	TAILQ_FOREACH (a, &c->admins, entry) {
		bool unread = channel_pending_bytes(a->ch) > 0;

		if (a->verb != NULL || (unread && now - a->last_ms < ADMIN_STALLED_MS))
			continue;
		if (quietest == NULL || a->last_ms < quietest->last_ms)
			quietest = a;
	}
	return quietest;
}

static bool
make_room(struct control *c)
{
	struct admin *a;

	if (c->nadmins < ADMINS_MAX)
		return true;
	if ((a = admin_to_evict(c)) == NULL)
		return false;
	c->evicted++;
	admin_close(a);
	return true;
}

/* Says no and is gone: a stranger takes nobody's place. */
static void
turn_away(struct control *c, struct admin *a)
{
	c->refused++;
	admin_done(a, IPC_DENIED, "you may not administer this server");
	if (a->ch != NULL)
		channel_flush(a->ch);
	admin_close(a);
}

/* Takes fd over. */
static void
admit(struct control *c, int fd)
{
	struct ucred cred = {0};
	enum access_level level = peer_level(c, fd, &cred);
	struct admin *a;

	c->connections++;
	if ((level != ACCESS_NONE && !make_room(c)) || (a = admin_create(c, fd)) == NULL) {
		c->refused++;
		(void)close(fd);
		return;
	}
	a->uid = cred.uid;
	a->pid = cred.pid;
	a->level = level;
	if (level == ACCESS_NONE)
		turn_away(c, a);
}

static void
on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	struct control *c = arg;
	int i, fd;

	(void)what;
	for (i = 0; i < ACCEPT_BURST; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			admit(c, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			/* No descriptor to be had: a socket that stays readable would spin. */
			c->accept_paused = true;
			(void)event_del(c->acceptable);
		}
		return;
	}
}

void
socket_listen(struct control *c, int fd)
{
	struct event *old = c->acceptable;

	c->acceptable = event_new(
	    service_base(c->service), fd, EV_READ | EV_PERSIST, on_acceptable, c);
	if (c->acceptable == NULL || event_add(c->acceptable, NULL) == -1)
		fatal("event=admin-socket-failed error=\"%s\"", strerror(errno));
	c->accept_paused = false;
	if (old != NULL) {
		(void)close(event_get_fd(old));
		event_free(old);
	}
}

/* -- the loop -- */

void
socket_on_turn(struct control *c)
{
	struct admin *a, *next;

	for (a = TAILQ_FIRST(&c->admins); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (a->unflushed) {
			a->unflushed = false;
			channel_flush(a->ch);
		}
	}
	while ((a = TAILQ_FIRST(&c->closed)) != NULL) {
		TAILQ_REMOVE(&c->closed, a, entry);
		free(a);
	}
}

static bool
is_idle(const struct admin *a, int64_t now_ms)
{
	return a->verb == NULL && channel_pending_bytes(a->ch) == 0 &&
	       now_ms - a->last_ms >= ADMIN_IDLE_MS;
}

void
socket_on_tick(struct control *c)
{
	int64_t now = service_now_ms(c->service);
	struct admin *a, *next;

	for (a = TAILQ_FIRST(&c->admins); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (is_idle(a, now))
			admin_close(a);
	}
	if (c->accept_paused && event_add(c->acceptable, NULL) == 0)
		c->accept_paused = false;
	/* Once a second, not once a stranger: the log is not theirs to fill. */
	if (c->refused > c->refused_logged) {
		log_warn("event=admin-refused count=%llu",
		    (unsigned long long)(c->refused - c->refused_logged));
		c->refused_logged = c->refused;
	}
}

void
socket_close(struct control *c)
{
	struct admin *a;

	while ((a = TAILQ_FIRST(&c->admins)) != NULL)
		admin_close(a);
	socket_on_turn(c);
	if (c->acceptable != NULL) {
		(void)close(event_get_fd(c->acceptable));
		event_free(c->acceptable);
		c->acceptable = NULL;
	}
}

/* SPDX-License-Identifier: ISC */
/* smtpd-session: SMTP with strangers.  Holds no file, opens no connection. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/key/keyclient.h"
#include "lib/net/tls_server.h"
#include "session/session.h"

static void
configure(void *ctx, const struct conf *conf)
{
	struct program *p = ctx;

	p->conf = conf;
	certs_whole(p->certs);
}

const char *
program_hostname(const struct program *p)
{
	return p->conf->values.hostname != NULL ? p->conf->values.hostname : p->hostname;
}

/* How many descriptors there will be: what the role asks for, or less where the host gives less. */
static int
prepare(void *ctx)
{
	struct program *p = ctx;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return -1;
	p->descriptors = rl.rlim_max;
	return keyclient_init();
}

/* Too much waits for the queue: clients who send a body wait with it. */
static void
on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct program *p = ctx;
	struct session *s, *next;

	if (channel_peer(ch) != ROLE_QUEUE)
		return;
	p->queue_pressed = high;
	if (high)
		return;
	for (s = TAILQ_FIRST(&p->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->state & (unsigned int)(STATE_DATA | STATE_CHUNK)) {
			io_pause_input(s->io, false);
			session_continue(s);
		}
	}
}

static void
on_link(void *ctx, struct channel *ch)
{
	if (channel_peer(ch) == ROLE_LOOKUP)
		door_announce_again(ctx);
}

static void
on_unlink(void *ctx, struct channel *ch)
{
	on_pressure(ctx, ch, false);
}

static void
stop_when_empty(struct program *p)
{
	if (service_is_draining(p->service) && p->nsessions == 0)
		service_stop(p->service);
}

static void
on_turn(void *ctx)
{
	sessions_reap(ctx);
	stop_when_empty(ctx);
}

/* The vault lives, but the channel to it for signatures is of no use: both links are made anew. */
static void
on_tick(void *ctx)
{
	static const struct msg_relink m = {.role = ROLE_VAULT};
	struct program *p = ctx;
	struct channel *parent = service_peer(p->service, ROLE_PARENT, 0);

	if (keyclient_is_broken() && service_peer(p->service, ROLE_VAULT, 0) != NULL)
		(void)channel_send(parent, MSG_relink, &m);
}

/* Who is not in the middle of a message hears 421 now; the others after it. */
static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct program *p = ctx;
	struct session *s, *next;

	(void)deadline_ms;
	listener_clear(p);
	for (s = TAILQ_FIRST(&p->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->state & (unsigned int)(STATE_ANY_COMMAND | STATE_DELAYED | STATE_CHALLENGED))
			session_quit(s, REPLY_CLOSING);
	}
	stop_when_empty(p);
}

static void
counters(void *ctx, void (*row)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct program *p = ctx;

	row(arg, "open", p->nsessions);
	row(arg, "connections", p->connections);
	row(arg, "turned-away", p->refused);
	row(arg, "did-not-wait", p->early);
	row(arg, "messages-accepted", p->accepted);
	row(arg, "recipients-refused", p->rejected_recipients);
	row(arg, "body-bytes", p->bytes);
	row(arg, "tls-handshakes", p->handshakes);
	row(arg, "tls-resumed", p->resumed);
	row(arg, "tls-failed", p->handshakes_failed);
	row(arg, "logins", p->logins);
	row(arg, "logins-refused", p->logins_refused);
}

int
main(void)
{
	static const struct service_program program = {.role = ROLE_SESSION,
	    .handlers = session_handlers,
	    .configure = configure,
	    .prepare = prepare,
	    .on_link = on_link,
	    .on_unlink = on_unlink,
	    .on_pressure = on_pressure,
	    .gather = 1,
	    .on_turn = on_turn,
	    .on_tick = on_tick,
	    .on_drain = on_drain,
	    .counters = counters};
	static struct program p;

	TAILQ_INIT(&p.sessions);
	TAILQ_INIT(&p.buried);
	TAILQ_INIT(&p.sockets);
	if (gethostname(p.hostname, sizeof(p.hostname) - 1) == -1 || p.hostname[0] == '\0')
		str_cut(p.hostname, sizeof(p.hostname), "localhost");
	if (tls_server_init() == -1 || (p.certs = certs_create()) == NULL)
		fatal("TLS: %s", strerror(errno));
	return service_main(&program, &p, &p.service);
}

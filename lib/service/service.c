/* SPDX-License-Identifier: ISC */
/*
 * The skeleton of an unprivileged program: everything but its job.
 *
 * Invariants: nothing from outside is read before role_enter() succeeded;
 * when the parent's channel closes, the process ends.  Fatal: a role that
 * can't be entered, a configuration that does not parse (the parent parsed it before).
 */
#include "lib/service/service.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/role/role.h"
#include "lib/service/service_private.h"

#define PARENT_FD    3
#define LOG_BATCH    16384 /* octets of lines gathered at most */
#define LOG_DELAY_US 20000
#define ASKS_MAX     65536
#define FLUSH_MAX    (ROLE__MAX * IPC_INSTANCES_MAX)

/* -- log lines travel in batches: a wake-up of the parent for each would cost more than the line -- */

static void
logs_flush(struct service *s)
{
	struct buf *b = &s->log_lines;

	while (b->len > 0) {
		const char *line = (const char *)buf_head(b) + 1;
		struct msg_log m = {.level = *buf_head(b), .line = line};
		size_t n = strlen(line) + 2;

		if (channel_pending_bytes(s->parent) > CHANNEL_HIGH ||
		    channel_send(s->parent, MSG_log, &m) == -1)
			s->lost_lines++;
		buf_consume(b, n);
	}
}

static void
on_log_timer(evutil_socket_t sock, short what, void *arg)
{
	(void)sock;
	(void)what;
	logs_flush(arg);
}

static void
log_to_parent(void *arg, enum log_level level, const char *line)
{
	const struct timeval soon = {0, LOG_DELAY_US};
	struct service *s = arg;
	uint8_t octet = (uint8_t)level;
	bool first = s->log_lines.len == 0;

	if (s->parent == NULL || s->in_log)
		return;
	s->in_log = true;
	if (s->log_lines.len > LOG_BATCH)
		logs_flush(s);
	if (buf_append(&s->log_lines, &octet, 1) == -1 ||
	    buf_append(&s->log_lines, line, strlen(line) + 1) == -1)
		s->lost_lines++;
	else if (level >= LOG_LEVEL_WARN)
		logs_flush(s);
	else if (first)
		(void)event_add(s->log_timer, &soon);
	if (level == LOG_LEVEL_FATAL)
		channel_flush(s->parent);
	s->in_log = false;
}

/* -- the loop -- */

static void
on_pending(void *ctx, struct channel *ch)
{
	struct service *s = channel_tag(ch);

	(void)ctx;
	if (s->npending < FLUSH_MAX)
		s->pending[s->npending++] = ch;
	else
		channel_flush(ch);
}

static void
forget_pending(struct service *s, const struct channel *ch)
{
	size_t i;

	for (i = 0; i < s->npending; i++)
		if (s->pending[i] == ch)
			s->pending[i] = NULL;
}

static void
flush_all(struct service *s)
{
	size_t i;

	/* Relief of pressure may send again: the list can grow while it is walked. */
	for (i = 0; i < s->npending; i++)
		if (s->pending[i] != NULL)
			channel_flush(s->pending[i]);
	s->npending = 0;
}

/*
 * A peer that was cut off lives on: without a fresh link no work would ever
 * pass between the two again.  Once a second, so that two who can't
 * understand each other don't keep the parent busy.
 */
static void
ask_relinks(struct service *s)
{
	unsigned int role, i;

	for (role = 0; role < ROLE__MAX; role++)
		for (i = 0; i < IPC_INSTANCES_MAX; i++) {
			struct msg_relink m = {.role = (uint8_t)role, .instance = i};

			if (!s->relink[role][i])
				continue;
			s->relink[role][i] = false;
			if (s->peers[role][i] != NULL)
				continue;
			(void)channel_send(s->parent, MSG_relink, &m);
			return; /* the next one at the next tick */
		}
}

static void
on_tick(evutil_socket_t sock, short what, void *arg)
{
	struct service *s = arg;

	(void)sock;
	(void)what;
	s->now_ms = time_mono_ms();
	s->now_s = time_wall_s();
	asks_tick(s->asks, s->now_ms);
	ask_relinks(s);
	if (s->begun && s->program->on_tick != NULL)
		s->program->on_tick(s->ctx);
	if (s->lost_lines > 0 && channel_pending_bytes(s->parent) == 0) {
		log_warn("event=log-lines-lost count=%u", s->lost_lines);
		s->lost_lines = 0;
	}
}

static int
service_loop(struct service *s)
{
	unsigned int more;

	while (!s->stopping) {
		/* EVLOOP_ONCE: what one wait found is one turn, and one group... */
		if (event_base_loop(s->base, EVLOOP_ONCE) == -1)
			return -1;
		/* ...and what came while it was dealt with, where a turn's end is dear. */
		for (more = 0; more < s->program->gather; more++)
			if (event_base_loop(s->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) == -1)
				return -1;
		s->now_ms = time_mono_ms();
		s->now_s = time_wall_s();
		if (s->begun && s->program->on_turn != NULL)
			s->program->on_turn(s->ctx);
		flush_all(s);
	}
	logs_flush(s);
	flush_all(s);
	return 0;
}

/* -- links -- */

static void
on_close(void *ctx, struct channel *ch)
{
	struct service *s = channel_tag(ch);
	enum role role = channel_peer(ch);
	uint32_t instance = channel_instance(ch);

	if (role == ROLE_PARENT) {
		forget_pending(s, ch);
		s->stopping = true;
		return;
	}
	if (s->peers[role][instance] == ch) {
		s->peers[role][instance] = NULL;
		s->relink[role][instance] = channel_is_rejected(ch);
	}
	asks_channel_lost(s->asks, ch);
	if (s->program->on_unlink != NULL)
		s->program->on_unlink(ctx, ch);
	forget_pending(s, ch); /* after the last word anybody may have had for it */
	channel_free(ch);
}

static void
on_pressure(void *ctx, struct channel *ch, bool high)
{
	struct service *s = channel_tag(ch);

	if (s->program->on_pressure != NULL && channel_peer(ch) != ROLE_PARENT)
		s->program->on_pressure(ctx, ch, high);
}

static void
on_link(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);
	enum role role = (enum role)msg->link.role;
	struct channel *ch, *old = s->peers[role][msg->link.instance];

	if (old != NULL)
		on_close(ctx, old);
	ch = channel_create(s->base, fd, role, msg->link.instance, &s->rules);
	if (ch == NULL) {
		(void)close(fd);
		fatal("event=link-failed peer=%s error=%s", role_word(role), strerror(errno));
	}
	channel_set_tag(ch, s);
	channel_set_context(ch, ctx);
	s->peers[role][msg->link.instance] = ch;
	if (s->program->on_link != NULL)
		s->program->on_link(ctx, ch);
}

static void
on_drain(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);

	(void)fd;
	s->draining = true;
	if (s->program->on_drain != NULL)
		s->program->on_drain(ctx, s->now_ms + msg->drain.deadline_ms);
	else
		service_stop(s);
}

/* -- what control and the tests ask of every role -- */

static void
stats_row(void *arg, const char *name, uint64_t value)
{
	struct stats_answer *a = arg;
	struct msg_stats_row m = {.req = a->req, .name = name, .value = value};

	(void)channel_send(a->ch, MSG_stats_row, &m);
}

static void
on_stats(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	struct service *s = channel_tag(ch);
	struct stats_answer answer = {ch, msg->req};
	struct msg_stats_end end = {.req = msg->req};

	(void)fd;
	if (s->program->counters != NULL)
		s->program->counters(ctx, stats_row, &answer);
	(void)channel_send(ch, MSG_stats_end, &end);
}

static const channel_handler own_handlers[MSG__MAX] = {
    [MSG_enter] = service_on_enter,
    [MSG_conf_text] = service_on_conf_text,
    [MSG_conf_end] = service_on_conf_end,
    [MSG_file] = service_on_file,
    [MSG_lock] = service_on_lock,
    [MSG_link] = on_link,
    [MSG_drain] = on_drain,
    [MSG_stats] = on_stats,
#ifdef TEST_HOOKS
    [MSG_probe] = service_on_probe,
#endif
};

/*
 * Every message that the table lets reach this role must have a handler: ours,
 * or the program's.  Agents and smtpctl come by channels of the program's own making.
 */
static void
gather_handlers(struct service *s)
{
	enum role self = s->program->role, from;
	unsigned int type;

	for (type = 0; type < MSG__MAX; type++) {
		s->handlers[type] = s->program->handlers[type] != NULL ? s->program->handlers[type]
								       : own_handlers[type];
		for (from = 0; from < ROLE__MAX; from++)
			if (from != ROLE_AGENT && from != ROLE_ADMIN &&
			    message_allowed((enum message_type)type, from, self) &&
			    s->handlers[type] == NULL)
				bug(__FILE__, __LINE__, message_name((enum message_type)type));
	}
}

static void
service_free(struct service *s)
{
	unsigned int role, i;

	log_set_sink(NULL, NULL);
	for (role = 0; role < ROLE__MAX; role++)
		for (i = 0; i < IPC_INSTANCES_MAX; i++)
			channel_free(s->peers[role][i]);
	channel_free(s->parent);
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->log_timer != NULL)
		event_free(s->log_timer);
	buf_free(&s->log_lines);
	asks_free(s->asks);
	conf_free(s->conf);
	buf_free(&s->conf_text);
	free(s->root);
	if (s->base != NULL)
		event_base_free(s->base);
	free(s);
}

static struct event_base *
base_create(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	/* One epoll_ctl() for what a turn changed, and no look at the environment. */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NOLOCK |
						EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static int
service_setup(struct service *s)
{
	const struct timeval second = {1, 0};

	s->rules = (struct channel_rules){.self = s->program->role,
	    .handlers = s->handlers,
	    .on_close = on_close,
	    .on_pressure = on_pressure,
	    .on_pending = on_pending};
	buf_init(&s->conf_text, CONF_TEXT_MAX);
	buf_init(&s->log_lines, 2 * (LOG_BATCH + LOG_LINE_MAX));
	if ((s->base = base_create()) == NULL || (s->asks = asks_create(ASKS_MAX)) == NULL)
		return -1;
	s->parent = channel_create(s->base, PARENT_FD, ROLE_PARENT, 0, &s->rules);
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	s->log_timer = event_new(s->base, -1, 0, on_log_timer, s);
	if (s->parent == NULL || s->tick == NULL || s->log_timer == NULL ||
	    event_add(s->tick, &second) == -1)
		return -1;
	channel_set_tag(s->parent, s);
	channel_set_context(s->parent, s->ctx);
	s->peers[ROLE_PARENT][0] = NULL;
	return 0;
}

int
service_main(const struct service_program *program, void *ctx, struct service **out)
{
	struct service *s;
	int rc = 1;

	log_set_name(role_program(program->role));
	if (fcntl(PARENT_FD, F_GETFD) == -1) {
		log_warn("%s is started by smtpd, not by hand", role_program(program->role));
		return 1;
	}
	(void)fcntl(PARENT_FD, F_SETFD, FD_CLOEXEC);
	/* A terminal's Ctrl-C goes to the parent, which tells us to drain. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return 1;
	s->program = program;
	s->ctx = ctx;
	s->parent_pid = getppid();
	*out = s;
	gather_handlers(s);
	if (service_setup(s) == 0) {
		log_set_sink(log_to_parent, s);
		rc = service_loop(s) == 0 ? 0 : 1;
	}
	*out = NULL;
	service_free(s);
	return rc;
}

/* -- what programs ask of it -- */

struct event_base *
service_base(const struct service *s)
{
	return s->base;
}

struct asks *
service_asks(const struct service *s)
{
	return s->asks;
}

int64_t
service_now_ms(const struct service *s)
{
	return s->now_ms;
}

int64_t
service_now_s(const struct service *s)
{
	return s->now_s;
}

uint32_t
service_instance(const struct service *s)
{
	return s->instance;
}

uint32_t
service_siblings(const struct service *s)
{
	return s->siblings;
}

bool
service_is_privileged(const struct service *s)
{
	return s->rights.privileged;
}

bool
service_is_draining(const struct service *s)
{
	return s->draining;
}

struct channel *
service_peer(const struct service *s, enum role role, uint32_t instance)
{
	return role == ROLE_PARENT ? s->parent : s->peers[role][instance];
}

void
service_stop(struct service *s)
{
	s->stopping = true;
}

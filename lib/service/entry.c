/* SPDX-License-Identifier: ISC */
/*
 * The way of a process into its role: what the parent sends it before the
 * first byte from outside, and the report of what the kernel granted.
 *
 * Fatal: a role that can't be entered, a configuration that does not parse.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/service/service_private.h"

void
service_on_enter(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);
	const struct msg_enter *m = &msg->enter;
	size_t i;

	(void)ctx;
	(void)fd;
	if (m->role != s->program->role || m->connect_ports.len % 2 != 0 ||
	    m->connect_ports.len / 2 > ROLE_PORTS_MAX)
		fatal("event=wrong-role got=%s", role_word((enum role)m->role));
	s->instance = m->instance;
	s->siblings = m->siblings > 0 ? m->siblings : 1;
	free(s->root);
	if ((s->root = strdup(m->root)) == NULL)
		fatal("event=no-memory");
	s->rights = (struct role_rights){.name = role_word(s->program->role),
	    .rights = m->rights,
	    .privileged = m->privileged,
	    .uid = m->uid,
	    .gid = m->gid,
	    .root = m->root[0] == '\0' ? NULL : s->root,
	    .dir_fd = -1,
	    .limits = {m->descriptors, m->address_space, m->file_bytes, m->processes},
	    .nconnect_ports = m->connect_ports.len / 2,
	    .landlock_floor = m->landlock_floor};
	for (i = 0; i < s->rights.nconnect_ports; i++)
		s->rights.connect_ports[i] = (uint16_t)(m->connect_ports.data[2 * i] |
							m->connect_ports.data[2 * i + 1] << 8);
	log_set_verbose(m->verbose);
}

void
service_on_conf_text(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);

	(void)ctx;
	(void)fd;
	if (buf_append(&s->conf_text, msg->conf_text.text.data, msg->conf_text.text.len) == -1)
		fatal("event=configuration-too-long");
}

void
service_on_conf_end(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);
	struct conf_errors errors;
	struct conf *conf, *old = s->conf;

	(void)fd;
	conf = conf_parse_text(
	    "slice", (const char *)buf_head(&s->conf_text), s->conf_text.len, &errors);
	if (conf == NULL)
		fatal("event=configuration-refused error=\"%s\"",
		    errors.n > 0 ? errors.list[0].text : "?");
	conf_errors_free(&errors);
	buf_free(&s->conf_text);
	s->conf = conf;
	if (s->program->configure != NULL)
		s->program->configure(ctx, conf);
	conf_free(old);
	if (msg->conf_end.generation > 1)
		log_debug("event=reloaded generation=%u", msg->conf_end.generation);
}

void
service_on_file(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);

	if (s->program->on_file != NULL)
		s->program->on_file(ctx, (enum ipc_file)msg->file.kind, msg->file.name, fd);
	else
		(void)close(fd);
}

static void
report_entered(struct service *s, const struct role_entered *got)
{
	struct msg_entered m = {.landlock_abi = (uint8_t)got->landlock_abi,
	    .landlock_denies = got->landlock_denies,
	    .privileges_gone = got->privileges_gone,
	    .nsyscalls = got->nsyscalls,
	    .lost = got->lost == NULL ? "" : got->lost};
	struct msg_seccomp_listener listener = {0};

	if (got->notify_fd != -1 &&
	    channel_send_fd(s->parent, MSG_seccomp_listener, &listener, got->notify_fd) == -1)
		fatal("event=listener-not-passed");
	if (channel_send(s->parent, MSG_entered, &m) == -1)
		fatal("event=report-failed");
	/* At once: a forbidden call waits for a parent that can see it. */
	channel_flush(s->parent);
}

void
service_on_lock(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);
	struct role_entered got;

	(void)msg;
	(void)fd;
	if (s->begun)
		return;
	if (s->program->prepare != NULL && s->program->prepare(ctx) == -1)
		fatal("event=prepare-failed error=\"%s\"", strerror(errno));
	s->rights.open_dir = s->program->open_dir;
	s->rights.open_dir_arg = ctx;
	if (role_enter(&s->rights, &got) == -1)
		fatal("event=role-not-entered error=\"%s\"", strerror(errno));
	report_entered(s, &got);
	s->now_ms = time_mono_ms();
	s->now_s = time_wall_s();
	if (s->program->begin != NULL && s->program->begin(ctx) == -1)
		fatal("event=begin-failed error=\"%s\"", strerror(errno));
	s->begun = true;
}

/* SPDX-License-Identifier: ISC */
/*
 * smtpd-control: the admin socket.  It decides who may ask what and passes
 * requests on; it has no state but who is connected, and no file.
 * Fatal: a listening socket that can't be watched.
 */
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "control/socket.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

struct program {
	struct control control;
	char *group; /* its name in the configuration in force; NULL: none */
	bool locked; /* names can't be looked up any more */
};

static bool
same_name(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
resolve_group(struct program *p)
{
	struct access_rules *access = &p->control.access;
	const struct group *group;
	uint64_t number;

	access->has_group = false;
	if (p->group == NULL)
		return;
	if ((group = getgrnam(p->group)) != NULL)
		access->group = group->gr_gid;
	else if (str_u64(p->group, 0, UINT32_MAX - 1, &number) == 0)
		access->group = (gid_t)number;
	else {
		log_warn("event=admin-group-unknown group=%s", p->group);
		return;
	}
	access->has_group = true;
}

static void
on_configure(void *ctx, const struct conf *conf)
{
	struct program *p = ctx;
	const char *name = conf->values.admin_group;

	if (p->locked) {
		if (!same_name(p->group, name))
			log_warn("event=restart-needed setting=\"control group\"");
		return;
	}
	free(p->group);
	p->group = NULL;
	if (name != NULL && (p->group = strdup(name)) == NULL)
		fatal("event=no-memory");
}

/* Outside the sandbox still: later there is no file to look a name up in, and no getuid(). */
static int
on_prepare(void *ctx)
{
	struct program *p = ctx;
	uid_t uid = getuid();

	p->locked = true;
	resolve_group(p);
	p->control.access.has_own_uid = uid != 0;
	p->control.access.own_uid = uid;
	return 0;
}

static void
on_turn(void *ctx)
{
	struct program *p = ctx;

	socket_on_turn(&p->control);
}

static void
on_tick(void *ctx)
{
	struct program *p = ctx;

	socket_on_tick(&p->control);
}

static void
on_drain(void *ctx, int64_t deadline_ms)
{
	struct program *p = ctx;

	(void)deadline_ms;
	socket_close(&p->control);
	service_stop(p->control.service);
}

static const struct service_program service_program = {.role = ROLE_CONTROL,
    .handlers = control_link_handlers,
    .configure = on_configure,
    .prepare = on_prepare,
    .on_turn = on_turn,
    .on_tick = on_tick,
    .on_drain = on_drain};

int
main(void)
{
	static struct program p;
	int rc;

	socket_init(&p.control);
	/* The first member is what every handler is given. */
	rc = service_main(&service_program, &p, &p.control.service);
	free(p.group);
	return rc;
}

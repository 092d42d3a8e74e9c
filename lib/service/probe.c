/* SPDX-License-Identifier: ISC */
/*
 * The test build's probe: a process attempts what its role must not do.  The
 * whole of this file is absent from a release build.
 */
#ifdef TEST_HOOKS
#include "lib/role/probe.h"

#include <errno.h>

#include "lib/service/service_private.h"

void
service_on_probe(void *ctx, struct channel *parent, const union message *msg, int fd)
{
	struct service *s = channel_tag(parent);
	struct msg_probe_result m = {.req = msg->req, .name = ""};
	uint32_t act = msg->probe.act;

	(void)ctx;
	(void)fd;
	if (act < role_probe_count()) {
		m.name = role_probe_name(act);
		if (msg->probe.run) {
			m.survived = role_probe_run(act, s->parent_pid) == 0;
			m.error = m.survived ? 0 : (uint32_t)errno;
			m.as_declared = role_probe_passes(act, s->rights.rights,
			    m.survived ? PROBE_SURVIVED : PROBE_REFUSED, (int)m.error);
		}
	}
	(void)channel_send(parent, MSG_probe_result, &m);
}
#else
typedef int release_build_has_no_probe;
#endif

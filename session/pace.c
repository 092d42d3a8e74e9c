/* SPDX-License-Identifier: ISC */
/* The pace of a client that sends octets.  Pure; nothing is fatal. */
#include "session/pace.h"

void
pace_reset(struct pace *p)
{
	*p = (struct pace){0};
}

void
pace_count(struct pace *p, uint64_t octets)
{
	p->octets += octets;
}

bool
pace_dawdles(struct pace *p, uint64_t octets, int64_t now_ms, int64_t timeout_s)
{
	if (p->since_ms != 0) {
		if (now_ms - p->since_ms < timeout_s * 1000)
			return false;
		if (p->octets + octets < (uint64_t)timeout_s * PACE_FLOOR)
			return true;
	}
	p->since_ms = now_ms;
	p->octets = 0;
	return false;
}

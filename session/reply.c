/* SPDX-License-Identifier: ISC */
/* The reply table.  Invariant: no reply holds anything but printable ASCII. */
#include "session/reply.h"

#define REPLY_ROW(name, code, status, text) [REPLY_##name] = {code, status, text},
static const struct reply_row rows[REPLY__MAX] = {REPLIES(REPLY_ROW)};

const struct reply_row *
reply_row(enum reply r)
{
	return &rows[r];
}

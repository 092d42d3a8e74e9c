/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_LIMIT_PRIVATE_H
#define DELIVERY_LIMIT_PRIVATE_H

#include "delivery/limit.h"

/* What smtpd.conf says of a connection, for limit.c.  Pure; 0: no limit, or no delay. */
enum limit_kind { LIMIT_CONNECTIONS, LIMIT_DELAY, LIMIT_RATE };

int64_t limit_in_conf(const struct conf *conf, enum limit_kind kind, enum conf_scope scope,
    const struct limit_subject *s);
struct limit_session limit_session_of(const struct conf *conf, const struct limit_subject *s);

#endif

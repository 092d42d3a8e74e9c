/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_SELF_H
#define LOOKUP_SELF_H

#include <stdbool.h>

#include "lib/conf/conf.h"
#include "lib/net/addr.h"

/*
 * Whether who connects to that address and its port reaches a listener of this
 * server: mail sent there would come back (RFC 5321 5.1).
 */
bool self_listens(const struct conf *conf, const struct addr *a);

#endif

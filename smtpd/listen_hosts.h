/* SPDX-License-Identifier: ISC */
#ifndef SMTPD_LISTEN_HOSTS_H
#define SMTPD_LISTEN_HOSTS_H

#include <stddef.h>

#include "lib/net/addr.h"

#define HOSTS_MAX 16

struct conf_listener;

struct hosts {
	struct addr list[HOSTS_MAX];
	size_t n;
};

void hosts_find(struct hosts *h, const struct conf_listener *l); /* none: there is no such */

#endif

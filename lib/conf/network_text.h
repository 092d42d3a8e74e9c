/* SPDX-License-Identifier: ISC */
#ifndef LIB_CONF_NETWORK_TEXT_H
#define LIB_CONF_NETWORK_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

/*
 * An address or a network as it is written in smtpd.conf and in tables: "192.0.2.1",
 * "192.0.2.0/24", "2001:db8::/32"; as in the family also "10/8", whose other octets are 0,
 * and "IPv6:2001:db8::/32".
 */
#define NETWORK_V4_OCTETS 4
#define NETWORK_V6_OCTETS 16

struct network {
	uint8_t octets[NETWORK_V6_OCTETS];
	size_t width;  /* octets of an address; one of IPv6 that stands for one of IPv4 is that */
	uint64_t bits; /* that count */
};

int network_parse(const char *text, struct network *out) WARN_UNUSED; /* -1: it is none */

#endif

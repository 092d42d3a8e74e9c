/* SPDX-License-Identifier: ISC */
#ifndef VAULT_SRS_H
#define VAULT_SRS_H

#include <stdint.h>

#include "lib/base/bug.h"
#include "lib/mail/address.h"

/*
 * The Sender Rewriting Scheme: who forwards mail puts an address of his own in
 * the place of its sender, so that SPF holds, and finds the sender in it when mail comes
 * back.  Pure.
 *
 *   ann@a.example		     SRS0=HHHHHH=TT=a.example=ann@ours
 *   SRS0=XXXX=TT=a.example=ann@b     SRS1=HHHHHH=b==XXXX=TT=a.example=ann@ours
 *   SRS1=YYYY=b==XXXX=...@c	     SRS1=HHHHHH=b==XXXX=...@ours
 *
 * HHHHHH, 30 bits of a keyed hash in base32, makes us no open relay; TT, two
 * digits of base32, is the day.  Upper and lower case are the same, for who
 * sends an address back may have changed it.
 */
struct srs_keys {
	const char *key, *old; /* old is good for addresses that it made, NULL: none */
	int64_t ttl_s;	       /* for how long */
};

enum srs_result {
	SRS_OK,
	SRS_NOT_OURS, /* no SRS address, forged, or too old */
	SRS_TOO_LONG  /* no local part can hold it (RFC 5321 4.5.3.1.1), or it is no address */
};

enum srs_result srs_rewrite(const struct srs_keys *keys, int64_t now_s, const char *address,
    const char *domain, char dst[ADDRESS_MAX + 1]) WARN_UNUSED;
enum srs_result srs_reverse(const struct srs_keys *keys, int64_t now_s, const char *address,
    char dst[ADDRESS_MAX + 1]) WARN_UNUSED;

#endif

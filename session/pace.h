/* SPDX-License-Identifier: ISC */
#ifndef SESSION_PACE_H
#define SESSION_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether octets come fast enough: in each length of the time-out there have
 * to be PACE_FLOOR a second at least.  A pause of our own begins a new length.
 */
#define PACE_FLOOR 16

struct pace {
	int64_t since_ms; /* when this length began; 0: not yet */
	uint64_t octets;  /* in it */
};

void pace_reset(struct pace *p);
void pace_count(struct pace *p, uint64_t octets);
/* Asked when octets are there to be read; true: the length is over and there was too little in it. */
bool pace_dawdles(struct pace *p, uint64_t octets, int64_t now_ms, int64_t timeout_s);

#endif

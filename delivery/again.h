/* SPDX-License-Identifier: ISC */
#ifndef DELIVERY_AGAIN_H
#define DELIVERY_AGAIN_H

#include <stdint.h>

/*
 * When another server wants to be asked again, by what it said to people: "try
 * again in 300 seconds", "Greylisted for 5 minutes", "come back in 00:04:59".
 * In seconds, at most AGAIN_MAX_S; 0: it did not say.  Pure.
 */
#define AGAIN_MAX_S 86400
int64_t again_seconds(const char *text);

#endif

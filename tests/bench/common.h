/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BENCH_COMMON_H
#define TESTS_BENCH_COMMON_H

/* What the benchmark's clients share: sockets over loopback, time, and replies. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bug.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t now_ns(void);

/* As many descriptors as that, or it ends the program. */
void descriptors_raise(uint64_t n);

/*
 * A non-blocking connection of that client to 127.0.0.1, on its way; -1: errno.
 * It comes from 127.0.0.1, whose name needs no DNS; a thousand clients later from
 * 127.0.0.2, and so on: so ports suffice.
 */
int client_connect(size_t client, uint16_t port) WARN_UNUSED;

/* Whether the n octets hold a whole reply; its code is then that of its last line. */
bool reply_whole(const char *in, size_t n, int *code);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef CONTROL_SMTPCTL_COUNTERS_H
#define CONTROL_SMTPCTL_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "control/smtpctl.h"

/* The server's counters at one moment; those of one role's processes are added up. */
#define COUNTERS_MAX 1024

struct counter {
	char name[IPC_WORD_MAX + 1]; /* "queue.messages" */
	uint64_t value;
};

struct counters {
	struct counter list[COUNTERS_MAX]; /* sorted by name once fetched */
	size_t n;
};

void counters_add(struct counters *c, const char *name, uint64_t value);
void counters_sort(struct counters *c);
uint64_t counters_get(const struct counters *c, const char *name); /* 0 when not there */
/* Asks the server; the exit status. */
int counters_fetch(struct counters *c, struct client *client) WARN_UNUSED;

#endif

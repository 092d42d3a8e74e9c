/* SPDX-License-Identifier: ISC */
/* What the server's processes have counted, fetched and added up. */
#include "control/smtpctl_counters.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

/* Where the name stands, c->n when it does not. */
static size_t
find(const struct counters *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (strcmp(c->list[i].name, name) == 0)
			break;
	return i;
}

void
counters_add(struct counters *c, const char *name, uint64_t value)
{
	size_t i = find(c, name);

	if (i < c->n) {
		c->list[i].value += value;
		return;
	}
	if (i == COUNTERS_MAX || str_copy(c->list[i].name, sizeof(c->list[i].name), name) == -1)
		return;
	c->list[i].value = value;
	c->n++;
}

uint64_t
counters_get(const struct counters *c, const char *name)
{
	size_t i = find(c, name);

	return i < c->n ? c->list[i].value : 0;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct counter *)a)->name, ((const struct counter *)b)->name);
}

void
counters_sort(struct counters *c)
{
	qsort(c->list, c->n, sizeof(c->list[0]), compare);
}

static bool
on_counter(void *arg, enum message_type type, const union message *msg)
{
	if (type == MSG_stats_row)
		counters_add(arg, msg->stats_row.name, msg->stats_row.value);
	return type == MSG_stats_end;
}

int
counters_fetch(struct counters *c, struct client *client)
{
	struct msg_stats m = {0};
	int status;

	c->n = 0;
	status = client_ask(client, MSG_stats, &m, on_counter, c);
	counters_sort(c);
	return status;
}

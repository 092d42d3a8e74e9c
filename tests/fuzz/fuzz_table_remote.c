/* SPDX-License-Identifier: ISC */
/*
 * A program of tables in wrong hands: rows and ends, for questions that there are
 * and that there are not, and silence.
 *
 * The input is a list of acts: an octet that says which, an octet that says of
 * which question, then for a row its length and its octets.  Each question ends
 * exactly once; a value is text, within its bounds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bug.h"
#include "lib/base/log.h"
#include "tests/unit/table_remote_rig.h"

#define ASKERS 16

enum act { ACT_ASK, ACT_ROW, ACT_ROWS, ACT_END, ACT_TIME, ACT_DROP, ACT_FORGET, ACT__MAX };

struct asker {
	struct memo_waiter w;
	bool waits;
};

struct input {
	const uint8_t *data;
	size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ignore_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void
on_done(void *arg, enum table_answer answer, const char *value)
{
	struct asker *a = arg;
	size_t i;

	if (!a->waits || answer == TABLE_PENDING)
		abort();
	a->waits = false;
	if (answer != TABLE_YES)
		return;
	if (strlen(value) > TABLE_VALUE_MAX)
		abort();
	for (i = 0; value[i] != '\0'; i++)
		if ((unsigned char)value[i] < ' ' && value[i] != '\t')
			abort();
}

static uint8_t
take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

static void
send_rows(struct rig *r, uint32_t req, struct input *in, unsigned int n)
{
	char value[256];
	size_t len = take(in), i;

	len = len < in->len ? len : in->len;
	for (i = 0; i < len; i++)
		value[i] = in->data[i] == '\0' ? '0' : (char)in->data[i];
	value[len] = '\0';
	in->data += len;
	in->len -= len;
	while (n-- > 0)
		rig_row(r, req, value);
}

static void
do_ask(struct rig *r, struct asker *a, uint8_t which)
{
	char key[2] = {(char)('a' + which % 8), '\0'};
	const char *value;

	if (a->waits)
		return;
	a->w = (struct memo_waiter){.done = on_done, .arg = a};
	a->waits = table_remote_ops.find(r->table, (enum table_service)(which % SERVICE__MAX), key,
		       &a->w, &value) == TABLE_PENDING;
}

static void
act(struct rig *r, struct asker askers[ASKERS], struct input *in)
{
	enum act what = (enum act)(take(in) % ACT__MAX);
	uint8_t which = take(in);
	struct asker *a = &askers[which % ASKERS];
	uint32_t req = r->nasked == 0 ? which : r->asked[which % NITEMS(r->asked)].req;

	switch (what) {
	case ACT_ASK:
		do_ask(r, a, which);
		break;
	case ACT_ROW:
		send_rows(r, req, in, 1);
		break;
	case ACT_ROWS:
		send_rows(r, req, in, 2000);
		break;
	case ACT_END:
		rig_end(r, req, (enum ipc_outcome)(take(in) % IPC_OUTCOME__MAX), "why");
		break;
	case ACT_TIME:
		r->now_ms += which * INT64_C(100);
		asks_tick(r->asks, r->now_ms);
		table_remote_ops.tick(r->table, r->now_ms);
		break;
	case ACT_DROP:
		table_remote_ops.drop(r->table);
		break;
	default:
		memo_forget(&a->w);
		a->waits = false;
		break;
	}
	rig_turn(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct asker askers[ASKERS];
	struct input in = {data, size};
	struct rig r;
	size_t i;

	log_set_sink(ignore_log, NULL);
	memset(askers, 0, sizeof(askers));
	rig_open(&r, 1000);
	while (in.len > 0)
		act(&r, askers, &in);
	rig_close(&r);
	for (i = 0; i < ASKERS; i++)
		if (askers[i].waits)
			abort();
	return 0;
}

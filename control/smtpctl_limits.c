/* SPDX-License-Identifier: ISC */
/*
 * show limits: what bounds the mail that goes out, and how far each bound is used.
 *
 * Invariant: rows are shown as they come, a page at a time, whatever their
 * number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"
#include "lib/base/time.h"

#define PAGE_LIMITS 100
#define KEY_WIDTH   39
#define USE_SIZE    32

struct limit_listing {
	struct ctl *ctl;
	struct json json;
	uint64_t last_number, n;
	uint32_t connections, connections_max;
	bool more;
};

static void
limits_heading(const struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-7s %-*s %9s %11s %7s %7s %s", "SCOPE", KEY_WIDTH, "KEY", "OPEN",
	    "MAILS/MIN", "DELAY", "WAITING", "NOT BEFORE");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

/* "3/10", or "3/-" where nothing bounds it. */
static void
use_text(char dst[USE_SIZE], uint32_t n, uint32_t max)
{
	if (max == 0)
		(void)snprintf(dst, USE_SIZE, "%" PRIu32 "/-", n);
	else
		(void)snprintf(dst, USE_SIZE, "%" PRIu32 "/%" PRIu32, n, max);
}

static void
delay_text(char dst[USE_SIZE], int64_t ms)
{
	if (ms <= 0)
		(void)snprintf(dst, USE_SIZE, "-");
	else
		(void)snprintf(
		    dst, USE_SIZE, "%" PRId64 ".%" PRId64 "s", ms / 1000, ms % 1000 / 100);
}

/* What is held back: until when, and why. */
static void
limits_wait(const struct limit_listing *l, const struct msg_limits_row *r)
{
	const struct ctl *ctl = l->ctl;
	char left[TIME_AGE_SIZE];

	if (r->until_s <= ctl->now_s)
		return;
	time_age(left, r->until_s - ctl->now_s);
	(void)fputc(' ', ctl->out);
	show_tone_on(ctl, TONE_ALARM);
	(void)fprintf(ctl->out, "in %s", left);
	show_tone_off(ctl);
	if (r->why[0] == '\0')
		return;
	(void)fputs(": ", ctl->out);
	text_print_str(ctl->out, r->why);
}

static void
limits_line(const struct limit_listing *l, const struct msg_limits_row *r)
{
	char open[USE_SIZE], mails[USE_SIZE], delay[USE_SIZE];
	FILE *out = l->ctl->out;
	size_t len = strlen(r->key);

	use_text(open, r->connections, r->connections_max);
	use_text(mails, r->mails, r->mails_max);
	delay_text(delay, r->delay_ms);
	(void)fprintf(out, "%-7s ", r->scope);
	text_print_str(out, r->key);
	(void)fprintf(out, "%*s %9s %11s %7s %7" PRIu32,
	    len < KEY_WIDTH ? (int)(KEY_WIDTH - len) : 0, "", open, mails, delay, r->waiting);
	limits_wait(l, r);
	(void)fputc('\n', out);
}

static void
limits_json(struct json *j, const struct msg_limits_row *r)
{
	json_object(j, NULL);
	json_str(j, "scope", r->scope);
	json_str(j, "key", r->key);
	json_u64(j, "connections", r->connections);
	json_u64(j, "max_connections", r->connections_max);
	json_u64(j, "mails", r->mails);
	json_u64(j, "max_mails", r->mails_max);
	json_i64(j, "delay_ms", r->delay_ms);
	json_u64(j, "waiting", r->waiting);
	json_i64(j, "until", r->until_s);
	json_str(j, "why", r->why);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_limits(void *arg, enum message_type type, const union message *msg)
{
	struct limit_listing *l = arg;

	if (type == MSG_limits_end) {
		l->connections = msg->limits_end.connections;
		l->connections_max = msg->limits_end.connections_max;
		l->more = msg->limits_end.more;
		return true;
	}
	if (type != MSG_limits_row)
		return false;
	l->last_number = msg->limits_row.number;
	if (l->n++ == 0 && !l->ctl->json)
		limits_heading(l->ctl);
	if (l->ctl->json)
		limits_json(&l->json, &msg->limits_row);
	else
		limits_line(l, &msg->limits_row);
	return false;
}

static void
limits_summary(const struct limit_listing *l)
{
	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->n == 0)
		(void)fputs("nothing goes out, and nothing is held back; ", l->ctl->out);
	(void)fprintf(l->ctl->out, "%" PRIu32 " of %" PRIu32 " connections open\n", l->connections,
	    l->connections_max);
}

int
show_limits(struct ctl *ctl)
{
	struct limit_listing l = {.ctl = ctl};
	int status;

	json_init(&l.json, ctl->out);
	do {
		struct msg_limits m = {.after = l.last_number, .limit = PAGE_LIMITS};

		l.more = false;
		status = client_ask(&ctl->client, MSG_limits, &m, on_limits, &l);
		/* A page that did not get on would be asked for without end. */
		l.more = l.more && l.last_number > m.after;
	} while (status == EXIT_OK && l.more && !ferror(ctl->out));
	if (status == EXIT_OK)
		limits_summary(&l);
	return status;
}

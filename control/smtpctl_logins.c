/* SPDX-License-Identifier: ISC */
/*
 * show logins: which addresses and logins failed, and which may not try now.
 *
 * Invariant: rows are shown as they come, a page at a time, whatever their
 * number.
 */
#include <inttypes.h>
#include <string.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"
#include "lib/base/time.h"

#define PAGE_LOGINS 100
#define NAME_WIDTH  39

struct login_listing {
	struct ctl *ctl;
	struct json json;
	uint64_t last_number, n, nblocked;
	bool more;
};

static const char *
kind_of(const struct msg_logins_row *r)
{
	return r->login ? "login" : "address";
}

static void
logins_heading(const struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-7s %-*s %8s %7s %s", "KIND", NAME_WIDTH, "ADDRESS OR LOGIN",
	    "FAILURES", "LAST", "BLOCKED FOR");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
logins_line(const struct login_listing *l, const struct msg_logins_row *r)
{
	const struct ctl *ctl = l->ctl;
	size_t len = strlen(r->what);
	char age[TIME_AGE_SIZE];

	(void)fprintf(ctl->out, "%-7s ", kind_of(r));
	text_print_str(ctl->out, r->what);
	time_age(age, ctl->now_s > r->last_s ? ctl->now_s - r->last_s : 0);
	(void)fprintf(ctl->out, "%*s %8" PRIu32 " %7s",
	    len < NAME_WIDTH ? (int)(NAME_WIDTH - len) : 0, "", r->failures, age);
	if (r->until_s > ctl->now_s) {
		time_age(age, r->until_s - ctl->now_s);
		(void)fputc(' ', ctl->out);
		show_tone_on(ctl, TONE_ALARM);
		(void)fputs(age, ctl->out);
		show_tone_off(ctl);
	}
	(void)fputc('\n', ctl->out);
}

static void
logins_json(struct json *j, const struct msg_logins_row *r)
{
	json_object(j, NULL);
	json_str(j, "kind", kind_of(r));
	json_str(j, "name", r->what);
	json_u64(j, "failures", r->failures);
	json_i64(j, "last", r->last_s);
	json_i64(j, "until", r->until_s);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_logins(void *arg, enum message_type type, const union message *msg)
{
	struct login_listing *l = arg;

	if (type == MSG_logins_end) {
		l->more = msg->logins_end.more;
		return true;
	}
	if (type != MSG_logins_row)
		return false;
	l->last_number = msg->logins_row.number;
	l->nblocked += msg->logins_row.until_s > l->ctl->now_s;
	if (l->n++ == 0 && !l->ctl->json)
		logins_heading(l->ctl);
	if (l->ctl->json)
		logins_json(&l->json, &msg->logins_row);
	else
		logins_line(l, &msg->logins_row);
	return false;
}

static void
logins_summary(const struct login_listing *l)
{
	FILE *out = l->ctl->out;

	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->n == 0)
		(void)fputs("nobody failed to log in\n", out);
	else
		(void)fprintf(
		    out, "%" PRIu64 " failed to log in, %" PRIu64 " blocked\n", l->n, l->nblocked);
}

int
show_logins(struct ctl *ctl)
{
	struct login_listing l = {.ctl = ctl};
	int status;

	json_init(&l.json, ctl->out);
	do {
		struct msg_logins m = {.after = l.last_number, .limit = PAGE_LOGINS};

		l.more = false;
		status = client_ask(&ctl->client, MSG_logins, &m, on_logins, &l);
		/* A page that did not get on would be asked for without end. */
		l.more = l.more && l.last_number > m.after;
	} while (status == EXIT_OK && l.more && !ferror(ctl->out));
	if (status == EXIT_OK)
		logins_summary(&l);
	return status;
}

/* SPDX-License-Identifier: ISC */
/*
 * show clients: who is connected, and what each client did in its period.
 *
 * Invariant: rows are shown as they come, a page at a time, whatever the
 * number of clients.
 */
#include <inttypes.h>
#include <string.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"
#include "lib/base/time.h"

#define PAGE_CLIENTS 100
#define CLIENT_WIDTH 23

struct client_listing {
	struct ctl *ctl;
	struct json json;
	uint64_t last_number, nclients, open;
	bool more;
};

static void
clients_heading(struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-*s %4s %11s %8s %10s %7s %s", CLIENT_WIDTH, "CLIENT", "OPEN",
	    "CONNECTIONS", "MESSAGES", "RECIPIENTS", "REFUSED", "LIMITED FOR");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
clients_line(const struct client_listing *l, const struct msg_clients_row *r)
{
	FILE *out = l->ctl->out;
	size_t len = strlen(r->client);
	char left[TIME_AGE_SIZE];

	text_print_str(out, r->client);
	(void)fprintf(out, "%*s %4" PRIu32 " %11" PRIu32 " %8" PRIu32 " %10" PRIu32 " %7" PRIu32,
	    len < CLIENT_WIDTH ? (int)(CLIENT_WIDTH - len) : 0, "", r->open, r->connections,
	    r->messages, r->recipients, r->refused);
	if (r->over[0] != '\0') {
		time_age(left, r->until_s > l->ctl->now_s ? r->until_s - l->ctl->now_s : 0);
		(void)fputc(' ', out);
		show_tone_on(l->ctl, TONE_ALARM);
		(void)fputs(left, out);
		show_tone_off(l->ctl);
	}
	(void)fputc('\n', out);
}

static void
clients_json(struct json *j, const struct msg_clients_row *r)
{
	json_object(j, NULL);
	json_str(j, "client", r->client);
	json_u64(j, "open", r->open);
	json_u64(j, "connections", r->connections);
	json_u64(j, "messages", r->messages);
	json_u64(j, "recipients", r->recipients);
	json_u64(j, "refused", r->refused);
	json_str(j, "limit", r->over);
	json_i64(j, "until", r->until_s);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_clients(void *arg, enum message_type type, const union message *msg)
{
	struct client_listing *l = arg;

	if (type == MSG_clients_end) {
		l->open = msg->clients_end.open;
		l->more = msg->clients_end.more;
		return true;
	}
	if (type != MSG_clients_row)
		return false;
	l->last_number = msg->clients_row.number;
	if (l->nclients++ == 0 && !l->ctl->json)
		clients_heading(l->ctl);
	if (l->ctl->json)
		clients_json(&l->json, &msg->clients_row);
	else
		clients_line(l, &msg->clients_row);
	return false;
}

static void
clients_summary(const struct client_listing *l)
{
	FILE *out = l->ctl->out;

	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->nclients == 0) {
		(void)fputs("no clients\n", out);
		return;
	}
	show_count(out, l->nclients, "client");
	(void)fputs(", ", out);
	show_count(out, l->open, "connection");
	(void)fputs(" open\n", out);
}

int
show_clients(struct ctl *ctl)
{
	struct client_listing l = {.ctl = ctl};
	int status;

	json_init(&l.json, ctl->out);
	do {
		struct msg_clients m = {.after = l.last_number, .limit = PAGE_CLIENTS};

		l.more = false;
		status = client_ask(&ctl->client, MSG_clients, &m, on_clients, &l);
		/* A page that did not get on would be asked for without end. */
		l.more = l.more && l.last_number > m.after;
	} while (status == EXIT_OK && l.more && !ferror(ctl->out));
	if (status == EXIT_OK)
		clients_summary(&l);
	return status;
}

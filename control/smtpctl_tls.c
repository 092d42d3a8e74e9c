/* SPDX-License-Identifier: ISC */
/*
 * show tls: how well mail to each domain was protected at best, as it is remembered.
 *
 * Invariant: rows are shown as they come, a page at a time, whatever their
 * number.
 */
#include <inttypes.h>
#include <string.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"
#include "lib/base/bug.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define PAGE_DOMAINS 100
#define DOMAIN_WIDTH 39

struct tls_listing {
	struct ctl *ctl;
	struct json json;
	char last[IPC_NAME_MAX + 1];
	uint64_t n;
	bool more;
};

static const char *
level_word(uint8_t level)
{
	static const char *const words[] = {
	    [IPC_TLS_PLAIN] = "plain",
	    [IPC_TLS_ENCRYPTED] = "encrypted",
	    [IPC_TLS_VERIFIED] = "verified",
	    [IPC_TLS_DANE] = "dane",
	};

	return level < NITEMS(words) ? words[level] : "?";
}

static void
tls_heading(const struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(
	    ctl->out, "%-*s %-9s %7s %s", DOMAIN_WIDTH, "DOMAIN", "LEVEL", "SINCE", "LAST");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
tls_line(const struct ctl *ctl, const struct msg_tls_domains_row *r)
{
	char since[TIME_AGE_SIZE], seen[TIME_AGE_SIZE];
	size_t len = strlen(r->domain);

	time_age(since, ctl->now_s > r->since_s ? ctl->now_s - r->since_s : 0);
	time_age(seen, ctl->now_s > r->seen_s ? ctl->now_s - r->seen_s : 0);
	text_print_str(ctl->out, r->domain);
	(void)fprintf(ctl->out, "%*s %-9s %7s %s\n",
	    len < DOMAIN_WIDTH ? (int)(DOMAIN_WIDTH - len) : 0, "", level_word(r->level), since,
	    seen);
}

static void
tls_json(struct json *j, const struct msg_tls_domains_row *r)
{
	json_object(j, NULL);
	json_str(j, "domain", r->domain);
	json_str(j, "level", level_word(r->level));
	json_i64(j, "since", r->since_s);
	json_i64(j, "seen", r->seen_s);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_domains(void *arg, enum message_type type, const union message *msg)
{
	struct tls_listing *l = arg;

	if (type == MSG_tls_domains_end) {
		l->more = msg->tls_domains_end.more;
		return true;
	}
	if (type != MSG_tls_domains_row)
		return false;
	str_cut(l->last, sizeof(l->last), msg->tls_domains_row.domain);
	if (l->n++ == 0 && !l->ctl->json)
		tls_heading(l->ctl);
	if (l->ctl->json)
		tls_json(&l->json, &msg->tls_domains_row);
	else
		tls_line(l->ctl, &msg->tls_domains_row);
	return false;
}

static void
tls_summary(const struct tls_listing *l)
{
	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->n == 0)
		(void)fputs("nothing is remembered\n", l->ctl->out);
	else
		(void)fprintf(l->ctl->out, "%" PRIu64 " domain%s\n", l->n, l->n == 1 ? "" : "s");
}

int
show_tls(struct ctl *ctl)
{
	struct tls_listing l = {.ctl = ctl};
	char after[IPC_NAME_MAX + 1];
	int status;

	json_init(&l.json, ctl->out);
	do {
		struct msg_tls_domains m = {.after = after, .limit = PAGE_DOMAINS};

		str_cut(after, sizeof(after), l.last);
		l.more = false;
		status = client_ask(&ctl->client, MSG_tls_domains, &m, on_domains, &l);
		/* A page that did not get on would be asked for without end. */
		l.more = l.more && strcmp(l.last, after) > 0;
	} while (status == EXIT_OK && l.more && !ferror(ctl->out));
	if (status == EXIT_OK)
		tls_summary(&l);
	return status;
}

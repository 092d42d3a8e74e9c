/* SPDX-License-Identifier: ISC */
/*
 * show certificates: what each is for, until when, and what is wrong with it.
 *
 * Invariant: rows are shown as they come.  A line is wider than a terminal of
 * 80 columns only where a single word is.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "control/json.h"
#include "control/show.h"
#include "control/smtpctl_text.h"

#define DAY_S 86400

/* What there are several of comes in one string: what stands between them. */
#define BETWEEN_NAMES	 " "
#define BETWEEN_USERS	 ","
#define BETWEEN_WARNINGS ";"

#define NAME_WIDTH	 24
#define USERS_WIDTH	 22
#define INDENT		 2 /* of a warning */
#define LINE_WIDTH	 80

struct certificate_listing {
	struct ctl *ctl;
	struct json json;
	uint64_t n, nwarned;
};

static void
certificates_heading(const struct ctl *ctl)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%-*s %-11s %-10s %8s  %s", NAME_WIDTH, "NAME", "KEY", "EXPIRES",
	    "LEFT", "USED BY");
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

/* The next piece, without blanks before it; false: there is none. */
static bool
piece_next(const char **rest, const char *between, const char **piece, size_t *len)
{
	*piece = *rest;
	while (**piece == ' ' || **piece == between[0])
		++*piece;
	*len = strcspn(*piece, between);
	*rest = *piece + *len;
	return *len > 0;
}

/*
 * Words from column `at` on, and from column `margin` on the lines below when
 * the first line is full.  Any word is printed whole.
 */
static void
print_words(FILE *out, const char *words, size_t at, size_t margin)
{
	const char *word, *between = "";
	size_t len;

	while (piece_next(&words, " ", &word, &len)) {
		if (*between != '\0' && at + 1 + len > LINE_WIDTH) {
			(void)fprintf(out, "\n%*s", (int)margin, "");
			between = "";
			at = margin;
		}
		(void)fputs(between, out);
		text_print(out, word, len, false);
		at += strlen(between) + len;
		between = " ";
	}
}

/* "2026-11-23" (UTC) and "89d"; dashes where there is no certificate to speak of. */
static void
print_expiry(const struct ctl *ctl, const struct msg_certificates_row *r)
{
	time_t expires = (time_t)r->not_after_s;
	bool is_over = r->not_after_s > 0 && r->not_after_s <= ctl->now_s;
	char day[32] = "-", left[32] = "-";
	struct tm tm;

	if (r->not_after_s > 0) {
		if (gmtime_r(&expires, &tm) != NULL)
			(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
		(void)snprintf(
		    left, sizeof(left), "%" PRId64 "d", (r->not_after_s - ctl->now_s) / DAY_S);
	}
	(void)fprintf(ctl->out, " %-10s ", day);
	if (is_over)
		show_tone_on(ctl, TONE_ALARM);
	(void)fprintf(ctl->out, "%8s", is_over ? "expired" : left);
	if (is_over)
		show_tone_off(ctl);
}

static void
certificates_line(const struct ctl *ctl, const struct msg_certificates_row *r)
{
	const size_t users_at = LINE_WIDTH - USERS_WIDTH;
	size_t len = strlen(r->name);
	FILE *out = ctl->out;

	text_print_str(out, r->name);
	if (len > NAME_WIDTH) {
		(void)fputc('\n', out);
		len = 0;
	}
	(void)fprintf(out, "%*s ", (int)(NAME_WIDTH - len), "");
	text_print_str(out, r->key_type[0] == '\0' ? "-" : r->key_type);
	len = r->key_type[0] == '\0' ? 1 : strlen(r->key_type);
	(void)fprintf(out, "%*s", len < 11 ? (int)(11 - len) : 0, "");
	print_expiry(ctl, r);
	(void)fputs("  ", out);
	print_words(out, r->used_by[0] == '\0' ? "-" : r->used_by, users_at, users_at);
	(void)fputc('\n', out);
}

static void
certificates_warnings(const struct ctl *ctl, const char *warnings)
{
	static const char label[] = "warning: ";
	const size_t margin = INDENT + sizeof(label) - 1;
	const char *line;
	size_t len;

	while (piece_next(&warnings, BETWEEN_WARNINGS, &line, &len)) {
		char text[IPC_TEXT_MAX + 1];

		(void)snprintf(text, sizeof(text), "%.*s", (int)len, line);
		(void)fprintf(ctl->out, "%*s", INDENT, "");
		show_tone_on(ctl, TONE_ALARM);
		(void)fputs(label, ctl->out);
		show_tone_off(ctl);
		print_words(ctl->out, text, margin, margin);
		(void)fputc('\n', ctl->out);
	}
}

static void
json_pieces(struct json *j, const char *key, const char *text, const char *between)
{
	const char *piece;
	size_t len;

	json_array(j, key);
	while (piece_next(&text, between, &piece, &len)) {
		json_text(j, NULL);
		json_text_add(j, piece, len);
		json_text_end(j);
	}
	json_array_end(j);
}

static void
certificates_json(struct json *j, const struct msg_certificates_row *r)
{
	json_object(j, NULL);
	json_str(j, "name", r->name);
	json_str(j, "subject", r->subject);
	json_str(j, "issuer", r->issuer);
	json_pieces(j, "names", r->names, BETWEEN_NAMES);
	json_str(j, "key", r->key_type);
	json_str(j, "fingerprint", r->fingerprint);
	json_i64(j, "not_before", r->not_before_s);
	json_i64(j, "not_after", r->not_after_s);
	json_pieces(j, "used_by", r->used_by, BETWEEN_USERS);
	json_pieces(j, "warnings", r->warnings, BETWEEN_WARNINGS);
	json_u64(j, "signatures", r->signatures);
	json_object_end(j);
	json_line_end(j);
}

static bool
on_certificates(void *arg, enum message_type type, const union message *msg)
{
	struct certificate_listing *l = arg;
	const struct msg_certificates_row *r = &msg->certificates_row;

	if (type != MSG_certificates_row)
		return type == MSG_certificates_end;
	if (l->n++ == 0 && !l->ctl->json)
		certificates_heading(l->ctl);
	l->nwarned += r->warnings[0] != '\0';
	if (l->ctl->json) {
		certificates_json(&l->json, r);
		return false;
	}
	certificates_line(l->ctl, r);
	certificates_warnings(l->ctl, r->warnings);
	return false;
}

static void
certificates_summary(const struct certificate_listing *l)
{
	FILE *out = l->ctl->out;

	if (l->ctl->json || l->ctl->quiet)
		return;
	if (l->n == 0) {
		(void)fputs("no certificates\n", out);
		return;
	}
	show_count(out, l->n, "certificate");
	if (l->nwarned > 0)
		(void)fprintf(out, ", %" PRIu64 " with warnings", l->nwarned);
	(void)fputc('\n', out);
}

int
show_certificates(struct ctl *ctl)
{
	struct certificate_listing l = {.ctl = ctl};
	struct msg_certificates m = {0};
	int status;

	json_init(&l.json, ctl->out);
	status = client_ask(&ctl->client, MSG_certificates, &m, on_certificates, &l);
	if (status == EXIT_OK)
		certificates_summary(&l);
	return status;
}

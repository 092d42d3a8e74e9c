/* SPDX-License-Identifier: ISC */
/*
 * Delivery status notifications: what a person reads, what a program reads, and
 * the header of the message they are about.
 *
 * Invariant: every value from outside goes through one of the clean functions,
 * which leave neither CR nor LF nor any control octet, before it is written; no
 * line is longer than RFC 5322 2.1.1 allows.  Nothing is fatal.
 */
#include "lib/mail/dsn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"
#include "lib/mail/reply.h"
#include "lib/mail/writer.h"

#define TEXT_SIZE     2048 /* octets of a remote server's text, NUL included */
#define VALUE_SIZE    900  /* octets of any other value */
#define BOUNDARY_SIZE 64
#define LINE_MAX_SMTP 998 /* RFC 5322 2.1.1, CRLF not counted */

static const struct {
	const char *subject, *lead, *action_to_take;
} kinds[] = {
    [DSN_FAILED] = {"Your message could not be delivered",
	"could not be delivered to the address below. It will not be tried again.", NULL},
    [DSN_DELAYED] = {"Your message is delayed", "has not been delivered yet to the address below.",
	"You need not do anything, nor send it again: this server keeps trying."},
    [DSN_DELIVERED] = {"Your message was delivered", "was handed over for the address below.",
	"This is the confirmation that was asked for."},
};

static const struct {
	const char *name;
	char class; /* the first digit of its status */
} actions[] = {
    [DSN_ACTION_FAILED] = {"failed", '5'},
    [DSN_ACTION_DELAYED] = {"delayed", '4'},
    [DSN_ACTION_DELIVERED] = {"delivered", '2'},
    [DSN_ACTION_RELAYED] = {"relayed", '2'},
    [DSN_ACTION_EXPANDED] = {"expanded", '2'},
};

/* What a sender can do about a failure, by status without its class; the first that fits. */
static const struct {
	const char *status, *advice;
} advices[] = {
    {".1.1", "The address does not exist there. Check its spelling and send again."},
    {".1.2", "The part after the @ names no mail system. Check its spelling and send again."},
    {".1.10", "The domain declares that it takes no mail. Check the address."},
    {".1.", "Check the spelling of the address and send again."},
    {".2.1", "The mailbox takes no mail at present. Try another way to reach the person."},
    {".2.2", "The mailbox is full. Tell the person another way, or send again later."},
    {".2.3", "The message is too big for the mailbox. Send a smaller one."},
    {".3.4", "The message is too big for that server. Send a smaller one."},
    {".4.4",
	"No way to that address is known here. Check its spelling, or tell your administrator."},
    {".4.6", "The message went round in a loop. Tell the administrator of the address."},
    {".4.7", "It was not to be delivered later than that. Send it again if it still matters."},
    {".4.", "The other server could not be reached. Send again later."},
    {".6.3", "That server can't take a message with 8-bit text. Send it in another encoding."},
    {".6.7", "That server can't take addresses with letters outside ASCII."},
    {".7.4",
	"The way to that server could not be encrypted as it must be. Tell your administrator."},
    {".7.5",
	"The way to that server could not be encrypted as it must be. Tell your administrator."},
    {".7.8", "This server could not log in to the next one. Tell your administrator."},
    {".7.", "The other server refused it by its own rules. Only its administrators can "
	    "change that: reach the person another way."},
};
static const char advice_default[] =
    "If the reason above does not help, forward this report to your administrator.";

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* -- fields -- */

/* "Name: type; value" for a value that is there. */
static void
put_field(struct writer *w, const char *name, const char *type, const char *value)
{
	char text[TEXT_SIZE];

	if (!is_set(value) || text_clean(text, sizeof(text), value)[0] == '\0')
		return;
	writer_put(w, name);
	writer_put(w, ": ");
	if (type != NULL) {
		writer_put(w, type);
		writer_put(w, "; ");
	}
	writer_wrap(w, strlen(name) + 2 + (type != NULL ? strlen(type) + 2 : 0), " ", text);
}

/* A date nobody can write is left out, rather than the whole report. */
static void
put_date(struct writer *w, const char *name, int64_t t)
{
	char text[DATE_SIZE];

	if (t != 0 && date_format(text, sizeof(text), (time_t)t) == 0)
		put_field(w, name, NULL, text);
}

/* "Name: text <address>"; an address that is none makes an empty group (RFC 5322 3.4). */
static void
put_address(struct writer *w, const char *name, const char *text, const char *address)
{
	char canonical[ADDRESS_MAX + 1];
	struct address a;

	writer_put(w, name);
	writer_put(w, ": ");
	if (address == NULL || address_parse(address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK ||
	    address_format(&a, canonical, sizeof(canonical)) == -1) {
		writer_put(w, "unknown:;\r\n");
		return;
	}
	writer_put(w, text);
	writer_put(w, text[0] != '\0' ? " <" : "<");
	writer_put(w, canonical);
	writer_put(w, ">\r\n");
}

static const char *
boundary_of(char dst[BOUNDARY_SIZE], const struct dsn *d)
{
	text_clean_word(dst, BOUNDARY_SIZE, d->boundary);
	return dst[0] != '\0' ? dst : "report";
}

/* The line between two parts, or with "--" the one after the last. */
static void
put_boundary(struct writer *w, const struct dsn *d, const char *suffix)
{
	char boundary[BOUNDARY_SIZE];

	writer_put(w, "\r\n--");
	writer_put(w, boundary_of(boundary, d));
	writer_put(w, suffix);
	writer_put(w, "\r\n");
}

static void
put_part(struct writer *w, const struct dsn *d, const char *type, bool is_8bit)
{
	put_boundary(w, d, "");
	put_field(w, "Content-Type", NULL, type);
	writer_put(w, is_8bit ? "Content-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n");
}

static void
put_top(struct writer *w, const struct dsn *d)
{
	char boundary[BOUNDARY_SIZE], host[VALUE_SIZE];

	put_address(w, "From", "Mail Delivery System", d->from_mailer);
	put_address(w, "To", "", d->sender);
	put_field(w, "Subject", NULL, kinds[d->kind].subject);
	put_date(w, "Date", d->now_s);
	writer_put(w, "Message-ID: <");
	writer_put(w, boundary_of(boundary, d));
	writer_put(w, "@");
	writer_put(w, text_clean_word(host, ADDRESS_DOMAIN_MAX, d->reporting_mta));
	writer_put(w,
	    ">\r\nAuto-Submitted: auto-replied\r\n" /* RFC 3834 5 */
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	writer_put(w, boundary);
	writer_put(w, dsn_is_8bit(d) ? "\"\r\nContent-Transfer-Encoding: 8bit\r\n" : "\"\r\n");
}

/* -- the part for people -- */

static const char *
recipient_shown(const struct dsn_recipient *r)
{
	return is_set(r->original) ? r->original : r->final;
}

/* The other server's words begin with its reply's code; what else a verdict says is ours. */
static bool
is_reply(const struct dsn_recipient *r)
{
	const char *s = is_set(r->diagnostic) ? r->diagnostic : "";
	size_t i;

	for (i = 0; i < 3; i++)
		if (!char_is_digit((unsigned char)s[i]))
			return false;
	return is_set(r->remote_mta) && (s[3] == ' ' || s[3] == '\0');
}

/* "d.d.d" with the class that goes with the action. */
static void
status_of(char dst[REPLY_ENHANCED_SIZE], const struct dsn_recipient *r)
{
	const char *s = is_set(r->status) ? r->status : "0";
	size_t len = strlen(s);

	if (!char_is_digit((unsigned char)s[0]) ||
	    reply_enhanced(s, len, (s[0] - '0') * 100, dst) != len)
		memcpy(dst, "0.0.0", sizeof("0.0.0"));
	dst[0] = actions[r->action].class;
}

static const char *
advice_for(const char *status)
{
	size_t i;

	for (i = 0; i < NITEMS(advices); i++) {
		size_t n = strlen(advices[i].status);
		bool whole = advices[i].status[n - 1] != '.';

		if (strncmp(status + 1, advices[i].status, n) == 0 &&
		    (!whole || status[1 + n] == '\0'))
			return advices[i].advice;
	}
	return advice_default;
}

static void
put_paragraph(struct writer *w, const char *text)
{
	writer_wrap(w, 0, "", text);
	writer_put(w, "\r\n");
}

static void
put_indented(struct writer *w, const char *label, const char *text)
{
	static const char margin[] = "        ";

	writer_put(w, "    ");
	writer_put(w, label);
	writer_wrap(w, 4 + strlen(label), margin, text);
}

static void
put_recipient_human(struct writer *w, const struct dsn *d, const struct dsn_recipient *r)
{
	char text[TEXT_SIZE], host[VALUE_SIZE], label[VALUE_SIZE + 16], status[REPLY_ENHANCED_SIZE];

	writer_put(w, "  <");
	writer_put(w, text_clean(text, VALUE_SIZE, recipient_shown(r)));
	writer_put(w, ">\r\n");
	if (is_set(r->final) && strcmp(r->final, recipient_shown(r)) != 0) {
		(void)snprintf(
		    label, sizeof(label), "<%s>", text_clean(text, VALUE_SIZE, r->final));
		put_indented(w, "which goes to: ", label);
	}
	if (is_set(r->diagnostic) && text_clean(text, sizeof(text), r->diagnostic)[0] != '\0') {
		put_indented(w, is_reply(r) ? "The other server said: " : "Reason: ", text);
	}
	if (is_set(r->remote_mta))
		put_indented(
		    w, "Server: ", text_clean_word(host, ADDRESS_DOMAIN_MAX, r->remote_mta));
	status_of(status, r);
	if (d->kind == DSN_FAILED)
		put_indented(w, "", advice_for(status));
	if (r->action == DSN_ACTION_RELAYED)
		put_indented(
		    w, "", "The next server sends no confirmations: this is the last one.");
	if (r->action == DSN_ACTION_DELAYED && r->will_retry_until_s != 0 &&
	    date_format(text, sizeof(text), (time_t)r->will_retry_until_s) == 0)
		put_indented(w, "It is tried until ", text);
	writer_put(w, "\r\n");
}

static void
put_human(struct writer *w, const struct dsn *d)
{
	char date[DATE_SIZE], host[VALUE_SIZE], text[TEXT_SIZE];
	size_t i;

	put_part(w, d, "text/plain; charset=us-ascii", false);
	(void)snprintf(text, sizeof(text), "This is the mail server %s.",
	    text_clean_word(host, ADDRESS_DOMAIN_MAX, d->reporting_mta));
	put_paragraph(w, text);
	if (d->arrival_s == 0 || date_format(date, sizeof(date), (time_t)d->arrival_s) == -1)
		date[0] = '\0';
	(void)snprintf(text, sizeof(text), "Your message%s%s%s %s",
	    date[0] != '\0' ? ", which arrived here on " : "", date, date[0] != '\0' ? "," : "",
	    kinds[d->kind].lead);
	put_paragraph(w, text);
	for (i = 0; i < d->nrecipients; i++)
		put_recipient_human(w, d, &d->recipients[i]);
	if (kinds[d->kind].action_to_take != NULL)
		put_paragraph(w, kinds[d->kind].action_to_take);
	writer_put(w, "A report for programs follows");
	writer_put(w, d->headers.len > 0 ? ", and the header of your message.\r\n" : ".\r\n");
}

/* -- the part for programs -- */

static void
put_address_field(struct writer *w, const char *name, const char *address)
{
	char text[VALUE_SIZE];

	if (!is_set(address))
		return;
	/* On one line: a folded address is a different one to some readers. */
	writer_put(w, name);
	writer_put(w, text_is_8bit(address) ? ": utf-8; " : ": rfc822; ");
	writer_put(w, text_clean(text, sizeof(text), address));
	writer_put(w, "\r\n");
}

/* ORCPT brings its own type. */
static void
put_orcpt(struct writer *w, const char *orcpt)
{
	const char *semicolon = is_set(orcpt) ? strchr(orcpt, ';') : NULL;
	char type[32], text[VALUE_SIZE];

	if (semicolon == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%.*s",
	    semicolon - orcpt < 32 ? (int)(semicolon - orcpt) : 31, orcpt);
	if (text_clean_word(type, sizeof(type), text)[0] == '\0' ||
	    text_clean(text, sizeof(text), semicolon + 1)[0] == '\0')
		return;
	writer_put(w, "Original-Recipient: ");
	writer_put(w, type);
	writer_put(w, "; ");
	writer_put(w, text);
	writer_put(w, "\r\n");
}

static void
put_recipient_status(struct writer *w, const struct dsn_recipient *r)
{
	char status[REPLY_ENHANCED_SIZE], host[VALUE_SIZE];

	writer_put(w, "\r\n");
	put_orcpt(w, r->orcpt);
	put_address_field(w, "Final-Recipient", is_set(r->final) ? r->final : r->original);
	put_field(w, "Action", NULL, actions[r->action].name);
	status_of(status, r);
	put_field(w, "Status", NULL, status);
	put_field(w, "Remote-MTA", "dns", text_clean_word(host, ADDRESS_DOMAIN_MAX, r->remote_mta));
	/* RFC 3464 2.3.6: "smtp" is for what an SMTP server said. */
	put_field(w, "Diagnostic-Code", is_reply(r) ? "smtp" : "x-postern", r->diagnostic);
	put_date(w, "Last-Attempt-Date", r->last_attempt_s);
	if (r->action == DSN_ACTION_DELAYED)
		put_date(w, "Will-Retry-Until", r->will_retry_until_s);
}

static void
put_status(struct writer *w, const struct dsn *d)
{
	char host[VALUE_SIZE];
	size_t i;

	put_part(w, d, "message/delivery-status", false);
	put_field(w, "Original-Envelope-Id", NULL, d->envid);
	put_field(
	    w, "Reporting-MTA", "dns", text_clean_word(host, ADDRESS_DOMAIN_MAX, d->reporting_mta));
	put_date(w, "Arrival-Date", d->arrival_s);
	put_date(w, "Deliver-By-Date", d->deliver_by_s);
	for (i = 0; i < d->nrecipients; i++)
		put_recipient_status(w, &d->recipients[i]);
}

/* -- the original's header -- */

/* What is returned of it: whole lines of the first DSN_HEADERS_MAX octets, up to an empty one. */
static struct span
headers_cut(struct span h)
{
	const uint8_t *lf;

	if (h.len <= DSN_HEADERS_MAX)
		return h;
	h.len = DSN_HEADERS_MAX;
	if ((lf = memrchr(h.data, '\n', h.len)) != NULL)
		h.len = (size_t)(lf - h.data) + 1;
	return h;
}

bool
dsn_is_8bit(const struct dsn *d)
{
	struct span h = headers_cut(d->headers);
	size_t i;

	for (i = 0; i < h.len; i++)
		if ((h.data[i] & 0x80) != 0)
			return true;
	return d->sender != NULL && text_is_8bit(d->sender);
}

/* One line without its end: controls out, cut at what a line may hold, never a boundary. */
static void
put_header_line(struct writer *w, const uint8_t *line, size_t len)
{
	char text[LINE_MAX_SMTP + 3];
	size_t at = 0, i;

	if (len >= 2 && line[0] == '-' && line[1] == '-')
		text[at++] = ' ';
	for (i = 0; i < len && at < LINE_MAX_SMTP; i++)
		text[at++] = (char)((line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f
					? '?'
					: line[i]);
	memcpy(text + at, "\r\n", 3);
	writer_put(w, text);
}

static void
put_headers(struct writer *w, const struct dsn *d)
{
	struct span h = headers_cut(d->headers);
	const uint8_t *p, *end, *lf;

	if (h.len == 0)
		return;
	end = h.data + h.len;
	put_part(w, d, "text/rfc822-headers", dsn_is_8bit(d));
	for (p = h.data; p < end; p = lf != NULL ? lf + 1 : end) {
		size_t len;

		lf = memchr(p, '\n', (size_t)(end - p));
		len = (size_t)((lf != NULL ? lf : end) - p);
		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len == 0)
			break;
		put_header_line(w, p, len);
	}
}

int
dsn_format(const struct dsn *d, struct buf *out)
{
	struct writer w = {.out = out};

	put_top(&w, d);
	put_human(&w, d);
	put_status(&w, d);
	put_headers(&w, d);
	put_boundary(&w, d, "--");
	if (w.error != 0)
		errno = w.error;
	return w.error != 0 ? -1 : 0;
}

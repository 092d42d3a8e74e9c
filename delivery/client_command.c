/* SPDX-License-Identifier: ISC */
/*
 * MAIL and RCPT as lines, with the parameters that the server knows.
 *
 * Invariant: a line is one line, whatever the mail's strings hold of what
 * their grammar has no place for: a parameter that is not well formed is left out.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bug.h"

#define BY_MAX	    999999999 /* RFC 2852 4: nine digits */
#define COMMAND_MAX (IPC_ADDRESS_MAX * 2 + 512)

int64_t
client_by_left(const struct client *c)
{
	int64_t by_s = c->mail->by_s > 0 ? c->mail->by_s : 0;
	int64_t left_s = by_s - c->options.callbacks->on_clock(c->options.arg);

	if (left_s > BY_MAX)
		return BY_MAX;
	return left_s < -BY_MAX ? -BY_MAX : left_s;
}

/* A line under way: what does not fit is left out whole, and CRLF always has room. */
struct command {
	size_t len;
	char text[COMMAND_MAX];
};

static void PRINTF_LIKE(2, 3) add(struct command *line, const char *fmt, ...)
{
	size_t room = sizeof(line->text) - line->len - 2;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line->text + line->len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < room)
		line->len += (size_t)n;
}

/* What the spool has as it was meant, as xtext (RFC 3461 4).  What can't be said so is left out. */
static void
add_xtext(struct command *line, const char *name, const char *value)
{
	char text[COMMAND_MAX];
	size_t n = 0;

	for (; *value != '\0'; value++) {
		if (*value < ' ' || *value > '~' || sizeof(text) - n < sizeof("+2B"))
			return;
		if (*value == ' ' || *value == '+' || *value == '=')
			n += (size_t)snprintf(
			    text + n, sizeof(text) - n, "+%02X", (unsigned int)*value);
		else
			text[n++] = *value;
	}
	if (n > 0)
		add(line, " %s=%.*s", name, (int)n, text);
}

static void
send_line(struct client *c, struct command *line)
{
	memcpy(line->text + line->len, "\r\n", 2);
	client_write(c, line->text, line->len + 2);
}

static void
add_body(const struct client_mail *m, struct command *line)
{
	if (m->is_binary)
		add(line, " BODY=BINARYMIME");
	else if (m->is_8bit)
		add(line, " BODY=8BITMIME");
}

/* RFC 2852 4: what is left of the time; less than nothing where it is only to be told of. */
static void
add_by(const struct client *c, struct command *line)
{
	const struct client_mail *m = c->mail;

	if (m->by != IPC_BY_NONE && (c->features & FEATURE_DELIVERBY) != 0)
		add(line, " BY=%" PRId64 ";%c%s", client_by_left(c),
		    m->by == IPC_BY_RETURN ? 'R' : 'N', m->by_trace ? "T" : "");
}

/* RFC 3461 4.3, 4.4 */
static void
add_dsn(const struct client *c, struct command *line)
{
	const struct client_mail *m = c->mail;

	if (!client_has_dsn(c))
		return;
	if (m->ret != NULL && (strcmp(m->ret, "FULL") == 0 || strcmp(m->ret, "HDRS") == 0))
		add(line, " RET=%s", m->ret);
	if (m->envid != NULL)
		add_xtext(line, "ENVID", m->envid);
}

void
client_send_mail(struct client *c)
{
	const struct client_mail *m = c->mail;
	struct command line = {0};

	add(&line, "MAIL FROM:<%s>", m->sender);
	if ((c->features & FEATURE_SIZE) != 0) /* RFC 1870 */
		add(&line, " SIZE=%" PRIu64, m->size_bytes);
	add_body(m, &line);
	if (m->is_utf8 && (c->features & FEATURE_SMTPUTF8) != 0)
		add(&line, " SMTPUTF8");
	if (m->requires_tls && client_keeps_tls(c))
		add(&line, " REQUIRETLS");
	add_by(c, &line);
	if ((c->features & FEATURE_MT_PRIORITY) != 0 && m->priority != 0) /* RFC 6710 */
		add(&line, " MT-PRIORITY=%d", m->priority);
	add_dsn(c, &line);
	c->ntransactions++;
	send_line(c, &line);
}

/* RFC 3461 4.1 */
static void
add_notify(unsigned int notify, struct command *line)
{
	static const struct {
		unsigned int bit;
		const char *word;
	} words[] = {{IPC_NOTIFY_SUCCESS, "SUCCESS"}, {IPC_NOTIFY_FAILURE, "FAILURE"},
	    {IPC_NOTIFY_DELAY, "DELAY"}};
	const char *joint = " NOTIFY=";
	size_t i;

	if ((notify & IPC_NOTIFY_NEVER) != 0) {
		add(line, " NOTIFY=NEVER");
		return;
	}
	for (i = 0; i < NITEMS(words); i++)
		if ((notify & words[i].bit) != 0) {
			add(line, "%s%s", joint, words[i].word);
			joint = ",";
		}
}

void
client_send_rcpt(struct client *c, size_t rcpt)
{
	const struct client_dsn *dsn = c->mail->dsn;
	struct command line = {0};

	add(&line, "RCPT TO:<%s>", c->mail->rcpts[rcpt]);
	if (dsn != NULL && client_has_dsn(c)) {
		add_notify(dsn[rcpt].notify, &line);
		if (dsn[rcpt].orcpt != NULL)
			add_xtext(&line, "ORCPT", dsn[rcpt].orcpt);
	}
	send_line(c, &line);
}

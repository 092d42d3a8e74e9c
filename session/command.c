/* SPDX-License-Identifier: ISC */
/*
 * The command table: which command may come in which state, and what is
 * said when it may not.  503 is said here and nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "session/session.h"

static void
cmd_quit(struct session *s, const struct command *c)
{
	(void)c;
	session_quit(s, REPLY_BYE);
}

static void
cmd_http(struct session *s, const struct command *c)
{
	(void)c;
	session_quit(s, REPLY_NOT_HTTP);
}

static void
cmd_noop(struct session *s, const struct command *c)
{
	(void)c;
	session_reply(s, REPLY_OK);
}

static void
cmd_vrfy(struct session *s, const struct command *c)
{
	(void)c;
	session_reply(s, REPLY_CANNOT_VERIFY);
}

static void
cmd_help(struct session *s, const struct command *c)
{
	(void)c;
	session_reply(s, REPLY_HELP);
}

static void
cmd_not_implemented(struct session *s, const struct command *c)
{
	(void)c;
	session_reply(s, REPLY_NOT_IMPLEMENTED);
}

/*
 * Chunks are not announced.  A client that sends one all the same sends its
 * octets at once, and these must not be taken for commands (security over
 * courtesy: the connection ends).
 */
static void
cmd_bdat(struct session *s, const struct command *c)
{
	(void)c;
	session_quit(s, REPLY_NOT_IMPLEMENTED);
}

static void
cmd_auth(struct session *s, const struct command *c)
{
	(void)c;
	session_reply(s, REPLY_NO_AUTH_WITHOUT_TLS);
}

/* RFC 5321 4.1.4: a second hello resets the transaction. */
static bool
said_hello(struct session *s, const struct command *c, bool extended)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	char *copy;

	if (parse_hello(c, name) != PARSE_OK) {
		session_reply(s, REPLY_BAD_HELLO);
		return false;
	}
	if ((copy = strdup(name)) == NULL) {
		session_reply(s, REPLY_NO_MEMORY);
		return false;
	}
	free(s->helo);
	s->helo = copy;
	s->extended = extended;
	transaction_free(s);
	session_enter(s, STATE_IDLE);
	return true;
}

static void
cmd_helo(struct session *s, const struct command *c)
{
	char line[512];

	if (!said_hello(s, c, false))
		return;
	(void)snprintf(line, sizeof(line), "250 %s", program_hostname(s->program));
	session_say(s, line);
}

static void
cmd_ehlo(struct session *s, const struct command *c)
{
	char line[512];

	if (!said_hello(s, c, true))
		return;
	(void)snprintf(line, sizeof(line),
	    "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
	    program_hostname(s->program),
	    (unsigned long long)s->program->conf->values.smtp_max_message_bytes);
	session_say(s, line);
}

struct command_row {
	unsigned int states;
	void (*run)(struct session *s, const struct command *c);
	bool no_argument;
};

static const struct command_row table[VERB__MAX] = {
    /* verb             where                       what              RFC 5321 unless said */
    [VERB_HELO] = {STATE_ANY_COMMAND, cmd_helo, false},		   /* 4.1.1.1 */
    [VERB_EHLO] = {STATE_ANY_COMMAND, cmd_ehlo, false},		   /* 4.1.1.1 */
    [VERB_MAIL] = {STATE_IDLE, cmd_mail, false},		   /* 4.1.1.2 */
    [VERB_RCPT] = {STATE_MAIL | STATE_RCPT, cmd_rcpt, false},	   /* 4.1.1.3 */
    [VERB_DATA] = {STATE_RCPT, cmd_data, true},			   /* 4.1.1.4 */
    [VERB_RSET] = {STATE_ANY_COMMAND, cmd_rset, true},		   /* 4.1.1.5 */
    [VERB_NOOP] = {STATE_ANY_COMMAND, cmd_noop, false},		   /* 4.1.1.9 */
    [VERB_QUIT] = {STATE_ANY_COMMAND, cmd_quit, true},		   /* 4.1.1.10 */
    [VERB_VRFY] = {STATE_ANY_COMMAND, cmd_vrfy, false},		   /* 4.1.1.6, 7.3 */
    [VERB_EXPN] = {STATE_ANY_COMMAND, cmd_not_implemented, false}, /* 7.3 */
    [VERB_HELP] = {STATE_ANY_COMMAND, cmd_help, false},		   /* 4.1.1.8 */
    [VERB_AUTH] = {STATE_ANY_COMMAND, cmd_auth, false},		   /* RFC 4954 4 */
    [VERB_STARTTLS] = {STATE_ANY_COMMAND, cmd_not_implemented, false},
    [VERB_BDAT] = {STATE_ANY_COMMAND, cmd_bdat, false}, /* RFC 3030 */
    [VERB_LHLO] = {STATE_ANY_COMMAND, cmd_not_implemented, false},
    [VERB_ETRN] = {STATE_ANY_COMMAND, cmd_not_implemented, false},
    [VERB_XCLIENT] = {STATE_ANY_COMMAND, cmd_not_implemented, false},
    [VERB_HTTP] = {STATE_ANY_COMMAND, cmd_http, false},
};

/* What is missing before the command may come. */
static enum reply
out_of_order(const struct session *s, enum verb verb)
{
	if (s->state == STATE_NEW)
		return REPLY_HELLO_FIRST;
	if (verb == VERB_MAIL)
		return REPLY_NESTED_MAIL;
	if (s->state == STATE_IDLE)
		return REPLY_MAIL_FIRST;
	return s->tx != NULL && s->tx->nrefused > 0 ? REPLY_NO_VALID_RCPT : REPLY_RCPT_FIRST;
}

static bool
refused_octets(struct session *s, const struct command *c)
{
	if (c->bad_octets == 0)
		return false;
	session_reply(
	    s, (c->bad_octets & (unsigned int)COMMAND_LF) ? REPLY_BARE_LF : REPLY_BAD_OCTET);
	return true;
}

void
command_run(struct session *s, const char *line, size_t len)
{
	const struct command_row *row;
	struct command c;

	parse_command(line, len, &c);
	if (refused_octets(s, &c))
		return;
	row = &table[c.verb];
	if (row->run == NULL)
		session_reply(s, REPLY_UNKNOWN);
	else if ((row->states & (unsigned int)s->state) == 0)
		session_reply(s, out_of_order(s, c.verb));
	else if (row->no_argument && c.arg_len > 0)
		session_reply(s, REPLY_NO_ARGUMENT);
	else
		row->run(s, &c);
}

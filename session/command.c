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

struct command_row {
	unsigned int states;
	void (*run)(struct session *s, const struct command *c);
	enum { PLAIN, NO_ARGUMENT } argument;
	enum {
		GROUPED,
		LAST
	} place; /* LAST: nothing may follow before the answer (RFC 2920 3.1) */
};

#define BEFORE_MAIL (STATE_NEW | STATE_IDLE)

static const struct command_row table[VERB__MAX] = {
    /* verb             where                       what         RFC 5321 unless said */
    [VERB_HELO] = {STATE_ANY_COMMAND, cmd_helo, PLAIN, LAST},		    /* 4.1.1.1 */
    [VERB_EHLO] = {STATE_ANY_COMMAND, cmd_ehlo, PLAIN, LAST},		    /* 4.1.1.1 */
    [VERB_LHLO] = {STATE_ANY_COMMAND, cmd_lhlo, PLAIN, LAST},		    /* RFC 2033 4.1 */
    [VERB_MAIL] = {STATE_IDLE, cmd_mail, PLAIN, GROUPED},		    /* 4.1.1.2 */
    [VERB_RCPT] = {STATE_MAIL | STATE_RCPT, cmd_rcpt, PLAIN, GROUPED},	    /* 4.1.1.3 */
    [VERB_DATA] = {STATE_RCPT, cmd_data, NO_ARGUMENT, LAST},		    /* 4.1.1.4 */
    [VERB_BDAT] = {STATE_ANY_COMMAND, cmd_bdat, PLAIN, GROUPED},	    /* RFC 3030 2 */
    [VERB_RSET] = {STATE_ANY_COMMAND, cmd_rset, NO_ARGUMENT, GROUPED},	    /* 4.1.1.5 */
    [VERB_NOOP] = {STATE_ANY_COMMAND, cmd_noop, PLAIN, GROUPED},	    /* 4.1.1.9 */
    [VERB_QUIT] = {STATE_ANY_COMMAND, cmd_quit, NO_ARGUMENT, GROUPED},	    /* 4.1.1.10 */
    [VERB_VRFY] = {STATE_ANY_COMMAND, cmd_vrfy, PLAIN, GROUPED},	    /* 4.1.1.6, 7.3 */
    [VERB_EXPN] = {STATE_ANY_COMMAND, cmd_not_implemented, PLAIN, GROUPED}, /* 7.3 */
    [VERB_HELP] = {STATE_ANY_COMMAND, cmd_help, PLAIN, GROUPED},	    /* 4.1.1.8 */
    [VERB_AUTH] = {STATE_IDLE, cmd_auth, PLAIN, LAST},			    /* RFC 4954 4 */
    [VERB_STARTTLS] = {BEFORE_MAIL, cmd_starttls, NO_ARGUMENT, LAST},	    /* RFC 3207 4 */
    [VERB_ETRN] = {STATE_ANY_COMMAND, cmd_not_implemented, PLAIN, GROUPED},
    [VERB_XCLIENT] = {BEFORE_MAIL, cmd_xclient, PLAIN, LAST},
    [VERB_HTTP] = {STATE_ANY_COMMAND, cmd_http, PLAIN, GROUPED},
};

/* What is missing before the command may come. */
enum reply
command_out_of_order(const struct session *s, enum verb verb)
{
	if (s->state == STATE_NEW)
		return REPLY_HELLO_FIRST;
	if (s->state == STATE_CHUNKS)
		return REPLY_BDAT_UNDER_WAY;
	if (verb == VERB_MAIL || verb == VERB_XCLIENT || verb == VERB_AUTH || verb == VERB_STARTTLS)
		return REPLY_NESTED_MAIL;
	if (s->state == STATE_IDLE)
		return REPLY_MAIL_FIRST;
	return s->tx != NULL && s->tx->nrefused > 0 ? REPLY_NO_VALID_RCPT : REPLY_RCPT_FIRST;
}

/*
 * The client talks on where it has to listen first: it guesses our answers, or is
 * no client of mail at all.  Pipelining is for those who know that it is offered
 * (RFC 2920 3.1); a goodbye may be followed by anything.
 */
static bool
did_not_wait(const struct session *s, const struct command_row *row)
{
	if (io_input(s->io)->len == 0 || row->run == cmd_quit || row->run == cmd_http)
		return false;
	return row->place == LAST || !s->extended;
}

static bool
refused_octets(struct session *s, const struct command *c)
{
	enum reply r = (c->bad_octets & (unsigned int)COMMAND_LF) ? REPLY_BARE_LF : REPLY_BAD_OCTET;

	if (c->bad_octets == 0)
		return false;
	if (c->verb == VERB_BDAT)
		session_quit(s, r); /* nobody knows how many octets follow */
	else
		session_reply(s, r);
	return true;
}

bool
command_may_be_auth(const struct buf *in)
{
	return in->len >= 5 && strncasecmp((const char *)buf_head(in), "AUTH ", 5) == 0;
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
	if (did_not_wait(s, row)) {
		s->program->early++;
		session_quit(s, REPLY_EARLY_PIPELINE);
	} else if (row->run == NULL)
		session_reply(s, REPLY_UNKNOWN);
	else if ((row->states & (unsigned int)s->state) == 0)
		session_reply(s, command_out_of_order(s, c.verb));
	else if (row->argument == NO_ARGUMENT && c.arg_len > 0)
		session_reply(s, REPLY_NO_ARGUMENT);
	else
		row->run(s, &c);
}

/* SPDX-License-Identifier: ISC */
/*
 * What Dovecot's and a helper's lines mean to the questions under way.
 *
 * A line that breaks the protocol costs the other side its connection; a line
 * about a question that is no more, or never was, is passed over.
 */
#include "vault/remote_private.h"

#include <string.h>
#include <unistd.h>

#define BIT(kind)     (1U << (kind))
#define GREETINGS_MAX 200 /* lines of a greeting */

/* -- Dovecot -- */

static int
dovecot_greet(struct buf *out)
{
	return buf_printf(out, "VERSION\t1\t1\nCPID\t%d\n", (int)getpid());
}

static const char *
dovecot_greeting(struct remote_link *l, const struct dovecot_line *line)
{
	if (++l->greetings > GREETINGS_MAX)
		return "its greeting does not end";
	switch (line->word) {
	case DOVECOT_VERSION:
		return line->major == 1 ? NULL : "it speaks another version of the protocol";
	case DOVECOT_MECH:
		if (line->known)
			l->offers |= BIT(line->kind);
		return NULL;
	case DOVECOT_DONE:
		l->ready = true;
		table_greeted(l->table, l);
		return NULL;
	case DOVECOT_CONT:
	case DOVECOT_OK:
	case DOVECOT_FAIL:
		return "it answers before it is asked";
	case DOVECOT_OTHER:
		break;
	}
	return NULL;
}

/* Only a refused token is answered so; why, is told to Postern's client by Postern. */
static const char *
dovecot_continue(struct remote_link *l, struct remote_question *q)
{
	struct buf answer;
	const char *wrong = NULL;

	if (q->kind == REMOTE_PASSWORD || q->repeated)
		return "it asks more than there is to say";
	q->repeated = true;
	buf_init(&answer, 64);
	if (dovecot_give_up(&answer, q->id, q->kind) == -1 ||
	    link_write(l, buf_head(&answer), answer.len) == -1)
		wrong = "it does not read what it is told";
	buf_free(&answer);
	return wrong;
}

static const char *
dovecot_take(struct remote_link *l, const char *text, size_t len)
{
	struct dovecot_line line;
	struct remote_question *q;

	if (dovecot_parse(text, len, &line) == -1)
		return "it says what is not Dovecot's protocol";
	if (!l->ready)
		return dovecot_greeting(l, &line);
	if (line.word != DOVECOT_CONT && line.word != DOVECOT_OK && line.word != DOVECOT_FAIL)
		return NULL;
	if ((q = link_question(l, line.id)) == NULL)
		return NULL;
	if (line.word == DOVECOT_CONT)
		return dovecot_continue(l, q);
	l->answers++;
	if (line.word == DOVECOT_OK)
		question_end(q, IPC_AUTH_OK, line.login);
	else
		question_end(q, line.temporary ? IPC_AUTH_TROUBLE : IPC_AUTH_REFUSED, "");
	return NULL;
}

/* -- helpers -- */

static int
helper_greet(struct buf *out)
{
	(void)out;
	return 0;
}

static int
helper_write(struct buf *out, uint32_t id, const struct remote_request *request)
{
	(void)id;
	return helper_token(out, request);
}

static const char *
helper_take(struct remote_link *l, const char *text, size_t len)
{
	struct remote_question *q = TAILQ_FIRST(&l->questions);
	struct helper_line line;

	if (q == NULL)
		return "it answers before it is asked";
	if (helper_parse(text, len, &line) == -1)
		return "it says what is not an answer";
	l->answers++;
	question_end(q, line.result, line.login);
	return NULL;
}

static const struct remote_protocol protocols[] = {
    {
	.table = CONF_TABLE_DOVECOT,
	.kinds = BIT(REMOTE_PASSWORD) | BIT(REMOTE_OAUTHBEARER) | BIT(REMOTE_XOAUTH2),
	.links = 1,
	.at_once = REMOTE_WAITING_MAX,
	.line_max = DOVECOT_LINE_MAX,
	.greets = true,
	.greet = dovecot_greet,
	.write = dovecot_auth,
	.take = dovecot_take,
    },
    {
	.table = CONF_TABLE_HELPER,
	.kinds = BIT(REMOTE_OAUTHBEARER) | BIT(REMOTE_XOAUTH2),
	.links = REMOTE_LINKS_MAX,
	.at_once = 1,
	.line_max = HELPER_LINE_MAX,
	.greets = false,
	.greet = helper_greet,
	.write = helper_write,
	.take = helper_take,
    },
};

const struct remote_protocol *
protocol_of(enum conf_table_kind kind)
{
	size_t i;

	for (i = 0; i < NITEMS(protocols); i++)
		if (protocols[i].table == kind)
			return &protocols[i];
	return NULL;
}

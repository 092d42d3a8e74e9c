/* SPDX-License-Identifier: ISC */
/*
 * What is awaited, for how long, and what each class of reply means: the
 * table, and the reactions before the first MAIL.
 *
 * Invariant: where TLS is a must, nothing but EHLO, HELO and STARTTLS is ever
 * said in plain.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/io.h"

#define COMMAND_MAX 512 /* octets of EHLO and HELO, RFC 5321 4.5.3.1.4 */

/* This host is of no use now; another may be. */
static void
skip_host(struct client *c)
{
	verdict_of_reply(&c->why, STAGE_CONNECT, &c->reply);
	client_give_up(c, CLIENT_NEXT_HOST);
}

static void
forget_features(struct client *c)
{
	c->features = 0;
	c->size_limit = 0;
	c->rcpt_limit = c->mail->nrcpts;
	c->by_min_s = 0;
}

void
client_say_ehlo(struct client *c)
{
	char line[COMMAND_MAX];

	forget_features(c);
	(void)snprintf(line, sizeof(line), "EHLO %s\r\n", c->options->helo);
	client_say(c, CLIENT_EHLO, line);
}

/* RFC 5321 3.2: a server that knows no EHLO. */
static void
say_helo(struct client *c)
{
	char line[COMMAND_MAX];

	forget_features(c);
	(void)snprintf(line, sizeof(line), "HELO %s\r\n", c->options->helo);
	client_say(c, CLIENT_HELO, line);
}

/* -- EHLO's answer -- */

static void
learn_size(struct client *c, const char *args)
{
	if (str_u64(args, 0, UINT64_MAX, &c->size_limit) == -1)
		c->size_limit = 0; /* RFC 1870 3: no number, or 0: no fixed limit */
}

static int
leading_number(const char *s, uint64_t *n)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%.*s", (int)strspn(s, "0123456789"), s);
	return str_u64(digits, 1, SIZE_MAX, n);
}

/* RFC 2852 3: "DELIVERBY 240", or without a number, or with more behind it. */
static void
learn_by_min(struct client *c, const char *args)
{
	if (leading_number(args, &c->by_min_s) == -1)
		c->by_min_s = 0;
}

/* RFC 9422: "LIMITS RCPTMAX=20 MAILMAX=5" */
static void
learn_limits(struct client *c, const char *args)
{
	const char *found = strstr(args, "RCPTMAX=");
	uint64_t n;

	if (found != NULL && leading_number(found + 8, &n) == 0 && n < c->rcpt_limit)
		c->rcpt_limit = n;
}

static const struct {
	const char *word;
	unsigned int feature;
	void (*learn)(struct client *c, const char *args);
} keywords[] = {
    {"PIPELINING", FEATURE_PIPELINING, NULL},
    {"SIZE", FEATURE_SIZE, learn_size},
    {"8BITMIME", FEATURE_8BITMIME, NULL},
    {"SMTPUTF8", FEATURE_SMTPUTF8, NULL},
    {"STARTTLS", FEATURE_STARTTLS, NULL},
    {"CHUNKING", FEATURE_CHUNKING, NULL},
    {"BINARYMIME", FEATURE_BINARYMIME, NULL},
    {"REQUIRETLS", FEATURE_REQUIRETLS, NULL},
    {"DELIVERBY", FEATURE_DELIVERBY, learn_by_min},
    {"MT-PRIORITY", FEATURE_MT_PRIORITY, NULL},
    {"LIMITS", 0, learn_limits},
};

void
client_learn(struct client *c, const char *line, size_t len)
{
	struct reply_keyword k;
	size_t i;

	/* The first line is a greeting. */
	if (c->reply.lines == 0 || !reply_line_keyword(line, len, &k))
		return;
	for (i = 0; i < NITEMS(keywords); i++) {
		if (strcmp(k.word, keywords[i].word) != 0)
			continue;
		c->features |= keywords[i].feature;
		if (keywords[i].learn != NULL)
			keywords[i].learn(c, k.args);
	}
}

/* -- from the greeting to the first MAIL -- */

static void
refuse_ourselves(struct client *c, enum cause cause, const char *detail)
{
	struct verdict v;

	verdict_of(&v, cause, detail);
	client_verdict_all(c, &v);
	client_quit(c);
}

/* QUIT, and the next host may do what this one does not (RFC 8689 4.2.1). */
static void
pass_over(struct client *c, enum cause cause)
{
	verdict_of(&c->why, cause, NULL);
	c->passed_over = true;
	client_quit(c);
}

bool
client_insists_on_tls(const struct client *c)
{
	return c->mail->requires_tls && c->mail->sender[0] != '\0';
}

bool
client_keeps_tls(const struct client *c)
{
	return c->secure && c->options->tls_verify && (c->features & FEATURE_REQUIRETLS) != 0;
}

/* RFC 3030 3: BINARYMIME is of no use without CHUNKING. */
static unsigned int
features_for_body(const struct client_mail *m)
{
	if (m->is_binary)
		return FEATURE_CHUNKING | FEATURE_BINARYMIME;
	return m->is_8bit ? FEATURE_8BITMIME : 0;
}

/* What another host may do better.  False: this one is passed over. */
static bool
promises_enough(struct client *c)
{
	int64_t left_s;

	if (client_insists_on_tls(c) && !client_keeps_tls(c)) {
		pass_over(c, c->secure ? CAUSE_NO_REQUIRETLS : CAUSE_NO_SAFE_TLS);
		return false;
	}
	if (c->mail->by != IPC_BY_RETURN)
		return true;
	if ((c->features & FEATURE_DELIVERBY) == 0) {
		pass_over(c, CAUSE_NO_DELIVERBY);
		return false;
	}
	left_s = client_by_left(c);
	if (left_s > 0 && (uint64_t)left_s >= c->by_min_s)
		return true;
	pass_over(c, CAUSE_TOO_LATE);
	return false;
}

/* What the message needs, and the server lacks, is known before MAIL. */
void
client_begin(struct client *c)
{
	char limit[64];

	if (!promises_enough(c))
		return;
	(void)snprintf(limit, sizeof(limit), "its limit is %" PRIu64 " octets", c->size_limit);
	if (c->size_limit > 0 && c->mail->size_bytes > c->size_limit)
		refuse_ourselves(c, CAUSE_TOO_BIG, limit);
	else if (c->mail->is_utf8 && (c->features & FEATURE_SMTPUTF8) == 0)
		refuse_ourselves(c, CAUSE_NO_SMTPUTF8, NULL);
	else if ((~c->features & features_for_body(c->mail)) != 0)
		refuse_ourselves(
		    c, c->mail->is_binary ? CAUSE_NO_BINARYMIME : CAUSE_NO_8BITMIME, NULL);
	else
		client_mail_begin(c);
}

static bool
wants_tls(const struct client *c)
{
	return !c->secure &&
	       (c->options->tls == RELAY_TLS_MAY || c->options->tls == RELAY_TLS_MUST);
}

static void
on_hello_ok(struct client *c)
{
	if (wants_tls(c) && (c->features & FEATURE_STARTTLS) != 0 && c->options->tls_client != NULL)
		client_say(c, CLIENT_STARTTLS, "STARTTLS\r\n");
	else if (wants_tls(c) && client_insists_on_tls(c))
		pass_over(c, CAUSE_NO_SAFE_TLS);
	else if (!c->secure && c->options->tls == RELAY_TLS_MUST)
		client_fail(c, CAUSE_TLS_NOT_OFFERED, NULL);
	else
		client_begin(c);
}

/* Octets after this reply were sent in plain, to be read as if by TLS (CVE-2011-0411). */
static void
on_starttls_ok(struct client *c)
{
	if (io_input(c->io)->len > 0)
		client_fail(c, CAUSE_TLS_INJECTION, NULL);
	else
		client_start_tls(c);
}

static void
on_starttls_refused(struct client *c)
{
	if (client_insists_on_tls(c) && c->reply.code / 100 == 5)
		pass_over(c, CAUSE_NO_SAFE_TLS);
	else if (c->options->tls == RELAY_TLS_MUST)
		client_fail(c, CAUSE_TLS_NOT_OFFERED, c->reply.text);
	else
		client_begin(c);
}

static void
on_quit(struct client *c)
{
	client_give_up(c, CLIENT_DONE);
}

/* clang-format off */
#define NEXT CLIENT_NEXT_HOST
#define DONE CLIENT_DONE
const struct client_row client_rows[CLIENT_STATE__MAX] = {
    /*			   name		seconds	{ [2] 2yz, [3] 3yz, [4] 4yz, [5] 5yz }	lost */
    [CLIENT_CONNECTING] = {"connect",	30,	{NULL}, NEXT},
    [CLIENT_HANDSHAKE]	= {"TLS",	60,	{NULL}, RELAY_TLS_BROKEN},
    [CLIENT_GREETING]	= {"greeting",	300,
	{[2] = client_say_ehlo, [4] = skip_host, [5] = skip_host}, NEXT},
    [CLIENT_EHLO]	= {"EHLO",	300,
	{[2] = on_hello_ok, [4] = skip_host, [5] = say_helo}, NEXT},
    [CLIENT_HELO]	= {"HELO",	300,
	{[2] = on_hello_ok, [4] = skip_host, [5] = skip_host}, NEXT},
    [CLIENT_STARTTLS]	= {"STARTTLS",	120,
	{[2] = on_starttls_ok, [4] = on_starttls_refused, [5] = on_starttls_refused}, NEXT},
    [CLIENT_MAIL]	= {"MAIL",	300,
	{[2] = client_on_mail_ok, [4] = client_on_mail_refused, [5] = client_on_mail_refused}, DONE},
    [CLIENT_RCPT]	= {"RCPT",	300,
	{[2] = client_on_rcpt_ok, [4] = client_on_rcpt_refused, [5] = client_on_rcpt_refused}, DONE},
    [CLIENT_DATA]	= {"DATA",	120,
	{[3] = client_on_data_ok, [4] = client_on_data_refused, [5] = client_on_data_refused}, DONE},
    [CLIENT_BODY]	= {"the message", 180,
	{[4] = client_on_body_refused, [5] = client_on_body_refused}, DONE},
    [CLIENT_DOT]	= {"the message's end", 600,
	{[2] = client_on_dot, [4] = client_on_dot, [5] = client_on_dot}, DONE},
    [CLIENT_RSET]	= {"RSET",	30,	{[2] = client_on_rset}, DONE},
    [CLIENT_QUIT]	= {"QUIT",	10,
	{[2] = on_quit, [3] = on_quit, [4] = on_quit, [5] = on_quit}, DONE},
    [CLIENT_OVER]	= {"the end",	0,	{NULL}, DONE},
};
/* clang-format on */

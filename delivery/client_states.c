/* SPDX-License-Identifier: ISC */
/*
 * What is awaited, for how long, and what each class of reply means: the
 * table, and the reactions before the first MAIL.
 *
 * Invariant: where TLS is a must, nothing but EHLO, HELO, STARTTLS and QUIT is
 * ever said in plain.
 */
#include "delivery/client_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/net/io.h"

#define COMMAND_MAX 512 /* octets of EHLO and HELO, RFC 5321 4.5.3.1.4 */

/* This host is of no use now; another may be.  With 421 it is gone already. */
static void
skip_host(struct client *c)
{
	verdict_of_reply(&c->why, STAGE_CONNECT, &c->reply);
	if (c->reply.code == 421)
		client_give_up(c, CLIENT_UNUSABLE);
	else
		client_pass_over(c);
}

static void
skip_host_for(struct client *c, enum cause cause, const char *detail)
{
	verdict_of(&c->why, cause, detail);
	client_pass_over(c);
}

static void
say_name(struct client *c, enum client_state state, const char *verb)
{
	char line[COMMAND_MAX];

	c->features = 0;
	c->size_limit = 0;
	c->rcpt_limit = c->mail_limit = SIZE_MAX;
	c->by_min_s = 0;
	c->mechanisms[0] = '\0';
	(void)snprintf(line, sizeof(line), "%s %s\r\n", verb, c->helo);
	client_say(c, state, line);
}

void
client_say_hello(struct client *c)
{
	say_name(c, CLIENT_EHLO, c->options.lmtp ? "LHLO" : "EHLO");
}

/* RFC 5321 3.2: a server that knows no EHLO.  LMTP has nothing else (RFC 2033 4.1). */
static void
on_hello_refused(struct client *c)
{
	if (c->options.lmtp)
		skip_host(c);
	else
		say_name(c, CLIENT_HELO, "HELO");
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

static void
learn_limit(const char *args, const char *name, size_t *limit)
{
	const char *found = strstr(args, name);
	uint64_t n;

	if (found != NULL && leading_number(found + strlen(name), &n) == 0)
		*limit = n;
}

/* RFC 9422: "LIMITS RCPTMAX=20 MAILMAX=5" */
static void
learn_limits(struct client *c, const char *args)
{
	learn_limit(args, "RCPTMAX=", &c->rcpt_limit);
	learn_limit(args, "MAILMAX=", &c->mail_limit);
}

/* RFC 4954 3: "AUTH PLAIN LOGIN" */
static void
learn_mechanisms(struct client *c, const char *args)
{
	str_cut(c->mechanisms, sizeof(c->mechanisms), args);
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
    {"DSN", FEATURE_DSN, NULL},
    {"AUTH", FEATURE_AUTH, learn_mechanisms},
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

/* -- from EHLO to the first MAIL -- */

/* RFC 8689 4.2.1: TLS with whom it is to be with, and the promise to go on so. */
bool
client_keeps_tls(const struct client *c)
{
	const struct tls_want *want = c->options.want;

	return c->secure && want != NULL && want->check != TLS_CHECK_LATER &&
	       (c->features & FEATURE_REQUIRETLS) != 0;
}

void
client_ready(struct client *c)
{
	if (!client_may_talk(c))
		return;
	client_enter(c, CLIENT_IDLE);
	c->options.callbacks->on_ready(c->options.arg);
}

/* TLS is as it will be.  What another host may do better is seen now. */
static void
on_settled_tls(struct client *c)
{
	const struct client_options *o = &c->options;

	if (!c->secure && (o->tls == RELAY_TLS_MUST || o->needs_requiretls))
		skip_host_for(
		    c, o->needs_requiretls ? CAUSE_NO_SAFE_TLS : CAUSE_TLS_NOT_OFFERED, NULL);
	else if (o->needs_requiretls && (c->features & FEATURE_REQUIRETLS) == 0)
		skip_host_for(c, CAUSE_NO_REQUIRETLS, NULL);
	else if (o->needs_deliverby && (c->features & FEATURE_DELIVERBY) == 0)
		skip_host_for(c, CAUSE_NO_DELIVERBY, NULL);
	else if (o->auth)
		client_auth_begin(c);
	else
		client_ready(c);
}

static bool
wants_tls(const struct client *c)
{
	return !c->secure && c->options.tls_client != NULL &&
	       (c->options.tls == RELAY_TLS_MAY || c->options.tls == RELAY_TLS_MUST);
}

static void
on_hello_ok(struct client *c)
{
	if (wants_tls(c) && (c->features & FEATURE_STARTTLS) != 0)
		client_say(c, CLIENT_STARTTLS, "STARTTLS\r\n");
	else
		on_settled_tls(c);
}

/* Octets after this reply were sent in plain, to be read as if by TLS (CVE-2011-0411). */
static void
on_starttls_ok(struct client *c)
{
	c->starting_tls = true;
	if (io_input(c->io)->len > 0)
		client_fail(c, CAUSE_TLS_INJECTION, NULL);
	else
		client_start_tls(c);
}

static void
on_starttls_refused(struct client *c)
{
	if (c->options.needs_requiretls && c->reply.code / 100 == 5)
		skip_host_for(c, CAUSE_NO_SAFE_TLS, c->reply.text);
	else if (c->options.tls == RELAY_TLS_MUST || c->options.needs_requiretls)
		skip_host_for(c, CAUSE_TLS_NOT_OFFERED, c->reply.text);
	else if (c->reply.code == 421)
		skip_host(c);
	else
		on_settled_tls(c);
}

/* "421 idle for too long": nothing was under way. */
static void
on_idle_talk(struct client *c)
{
	verdict_of_reply(&c->why, STAGE_CONNECT, &c->reply);
	client_give_up(c, CLIENT_CLOSED);
}

static void
on_quit(struct client *c)
{
	client_give_up(c, CLIENT_CLOSED);
}

/* clang-format off */
#define NEXT CLIENT_UNUSABLE
const struct client_row client_rows[CLIENT_STATE__MAX] = {
    /*			   name		seconds	{ [2] 2yz, [3] 3yz, [4] 4yz, [5] 5yz }	lost */
    [CLIENT_START]	= {"the start",	0,	{NULL}, NEXT},
    [CLIENT_HANDSHAKE]	= {"TLS",	60,	{NULL}, CLIENT_TLS_BROKEN},
    [CLIENT_GREETING]	= {"greeting",	300,
	{[2] = client_say_hello, [4] = skip_host, [5] = skip_host}, NEXT},
    [CLIENT_EHLO]	= {"EHLO",	300,
	{[2] = on_hello_ok, [4] = skip_host, [5] = on_hello_refused}, NEXT},
    [CLIENT_HELO]	= {"HELO",	300,
	{[2] = on_hello_ok, [4] = skip_host, [5] = skip_host}, NEXT},
    [CLIENT_STARTTLS]	= {"STARTTLS",	120,
	{[2] = on_starttls_ok, [4] = on_starttls_refused, [5] = on_starttls_refused}, NEXT},
    [CLIENT_CREDENTIAL]	= {"the credential", 300, {[4] = skip_host, [5] = skip_host}, NEXT},
    [CLIENT_AUTH]	= {"AUTH",	180,
	{[2] = client_on_auth_ok, [4] = client_on_auth_refused, [5] = client_on_auth_refused}, NEXT},
    [CLIENT_IDLE]	= {"idle",	0,	{[4] = on_idle_talk}, CLIENT_CLOSED},
    [CLIENT_MAIL]	= {"MAIL",	300,
	{[2] = client_on_mail_ok, [4] = client_on_mail_refused, [5] = client_on_mail_refused}, CLIENT_LOST},
    [CLIENT_RCPT]	= {"RCPT",	300,
	{[2] = client_on_rcpt_ok, [4] = client_on_rcpt_refused, [5] = client_on_rcpt_refused}, CLIENT_LOST},
    [CLIENT_DATA]	= {"DATA",	120,
	{[3] = client_on_data_ok, [4] = client_on_data_refused, [5] = client_on_data_refused}, CLIENT_LOST},
    [CLIENT_BODY]	= {"the message", 180,
	{[2] = client_on_chunk_ok, [4] = client_on_body_refused, [5] = client_on_body_refused}, CLIENT_LOST},
    [CLIENT_DOT]	= {"the message's end", 600,
	{[2] = client_on_dot, [4] = client_on_dot, [5] = client_on_dot}, CLIENT_LOST},
    [CLIENT_RSET]	= {"RSET",	30,	{[2] = client_on_rset}, CLIENT_LOST},
    [CLIENT_SETTLED]	= {"a message",	0,	{NULL}, CLIENT_LOST},
    [CLIENT_QUIT]	= {"QUIT",	10,
	{[2] = on_quit, [3] = on_quit, [4] = on_quit, [5] = on_quit}, CLIENT_CLOSED},
    [CLIENT_OVER]	= {"the end",	0,	{NULL}, CLIENT_CLOSED},
};
/* clang-format on */

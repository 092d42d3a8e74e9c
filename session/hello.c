/* SPDX-License-Identifier: ISC */
/*
 * HELO, EHLO, LHLO: what the client calls itself, and what it is offered.
 *
 * Invariant: one row an extension; what is not offered is not accepted either
 * (mail.c asks the same questions).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "session/session.h"

#define OFFER_MAX 128

/* -- the extensions -- */

bool
hello_serves_submitters(const struct session *s)
{
	return s->auth != NULL || s->policy->submission;
}

static bool
always(const struct session *s)
{
	(void)s;
	return true;
}

static bool
if_reports(const struct session *s)
{
	return !s->policy->no_dsn;
}

static bool
if_tls(const struct session *s)
{
	return io_tls(s->io) != NULL;
}

static bool
if_xclient(const struct session *s)
{
	return s->may_xclient;
}

static void
size_value(const struct session *s, char *dst)
{
	(void)snprintf(dst, OFFER_MAX, " %llu",
	    (unsigned long long)s->program->conf->values.smtp_max_message_bytes);
}

static void
limits_value(const struct session *s, char *dst)
{
	const struct conf_values *v = &s->program->conf->values;
	char mails[32] = "";

	if (v->smtp_max_mails > 0)
		(void)snprintf(
		    mails, sizeof(mails), " MAILMAX=%llu", (unsigned long long)v->smtp_max_mails);
	(void)snprintf(
	    dst, OFFER_MAX, " RCPTMAX=%llu%s", (unsigned long long)v->smtp_max_recipients, mails);
}

/* RFC 4865 5: the longest interval in seconds, and the latest date-time. */
static void
hold_value(const struct session *s, char *dst)
{
	int64_t max = s->program->conf->values.smtp_max_hold_s;
	time_t end = (time_t)(service_now_s(s->program->service) + max);
	char date[32] = "";
	struct tm tm;

	if (gmtime_r(&end, &tm) == NULL ||
	    strftime(date, sizeof(date), " %Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		date[0] = '\0';
	(void)snprintf(dst, OFFER_MAX, " %lld%s", (long long)max, date);
}

static void
auth_value(const struct session *s, char *dst)
{
	auth_mechanisms(s, dst, OFFER_MAX);
}

static const struct {
	const char *keyword;
	bool (*offered)(const struct session *s);
	void (*value)(const struct session *s, char *dst); /* after a space; NULL: none */
} extensions[] = {
    {"PIPELINING", always, NULL},			    /* RFC 2920 */
    {"SIZE", always, size_value},			    /* RFC 1870 */
    {"8BITMIME", always, NULL},				    /* RFC 6152 */
    {"ENHANCEDSTATUSCODES", always, NULL},		    /* RFC 2034 */
    {"CHUNKING", always, NULL},				    /* RFC 3030 */
    {"BINARYMIME", always, NULL},			    /* RFC 3030 */
    {"SMTPUTF8", always, NULL},				    /* RFC 6531 */
    {"LIMITS", always, limits_value},			    /* RFC 9422 */
    {"DSN", if_reports, NULL},				    /* RFC 3461 */
    {"MT-PRIORITY", hello_serves_submitters, NULL},	    /* RFC 6710 */
    {"FUTURERELEASE", hello_serves_submitters, hold_value}, /* RFC 4865 */
    {"DELIVERBY", hello_serves_submitters, NULL},	    /* RFC 2852 */
    {"STARTTLS", tls_is_offered, NULL},			    /* RFC 3207 */
    {"AUTH", auth_is_offered, auth_value},		    /* RFC 4954 */
    {"REQUIRETLS", if_tls, NULL},			    /* RFC 8689 */
    {"XCLIENT NAME ADDR PORT PROTO HELO LOGIN", if_xclient, NULL},
};

/* The name, and the extensions a line each. */
static void
offer(struct session *s)
{
	char line[2048], value[OFFER_MAX];
	const char *name = session_hostname(s);
	size_t i, last = 0, at;

	for (i = 0; i < NITEMS(extensions); i++)
		if (extensions[i].offered(s))
			last = i;
	at = (size_t)snprintf(line, sizeof(line), "250-%.255s", name);
	for (i = 0; i <= last; i++) {
		if (!extensions[i].offered(s))
			continue;
		value[0] = '\0';
		if (extensions[i].value != NULL)
			extensions[i].value(s, value);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "\r\n250%c%s%s",
		    i == last ? ' ' : '-', extensions[i].keyword, value);
	}
	session_say(s, line);
}

/* -- the commands -- */

static void
said_hello(struct session *s, const struct command *c, bool extended)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	char *copy;

	if (parse_hello(c, name) != PARSE_OK) {
		session_reply(s, REPLY_BAD_HELLO);
		return;
	}
	if ((copy = strdup(name)) == NULL) {
		session_reply(s, REPLY_NO_MEMORY);
		return;
	}
	/* RFC 5321 4.1.4: a second hello resets the transaction. */
	transaction_free(s);
	if (s->state != STATE_NEW)
		session_enter(s, STATE_IDLE);
	free(s->helo);
	s->helo = copy;
	s->extended = extended;
	gate_ask(s, extended ? CONF_PHASE_EHLO : CONF_PHASE_HELO);
}

void
hello_passed(struct session *s, const char *value)
{
	char line[512], *copy;

	if (value[0] != '\0' && address_helo_valid(value) && (copy = strdup(value)) != NULL) {
		free(s->helo);
		s->helo = copy;
	}
	session_enter(s, STATE_IDLE);
	if (s->extended) {
		offer(s);
		return;
	}
	(void)snprintf(line, sizeof(line), "250 %s", session_hostname(s));
	session_say(s, line);
}

/* As if it had never been said. */
void
hello_refused(struct session *s)
{
	free(s->helo);
	s->helo = NULL;
	s->back = STATE_NEW;
}

/* RFC 2033 4.1: LHLO there, and only there. */
static bool
wrong_protocol(struct session *s, bool lmtp)
{
	if (s->policy->lmtp == lmtp)
		return false;
	session_reply(s, s->policy->lmtp ? REPLY_LHLO_HERE : REPLY_UNKNOWN);
	return true;
}

void
cmd_helo(struct session *s, const struct command *c)
{
	if (!wrong_protocol(s, false))
		said_hello(s, c, false);
}

void
cmd_ehlo(struct session *s, const struct command *c)
{
	if (!wrong_protocol(s, false))
		said_hello(s, c, true);
}

void
cmd_lhlo(struct session *s, const struct command *c)
{
	if (!wrong_protocol(s, true))
		said_hello(s, c, true);
}

/* SPDX-License-Identifier: ISC */
/*
 * Any outcome of a delivery -> delivered, try again, or failed for good, with
 * an enhanced status code (RFC 3463).  Two tables: what happens on our side,
 * and what a reply means that brings no enhanced code of its own.
 *
 * Invariant: the class of the status always is that of the outcome, and the
 * text is printable, whoever wrote it.  What is not in a table is tried again.
 */
#include "delivery/verdict.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "delivery/again.h"
#include "lib/base/bug.h"
#include "lib/base/str.h"

static const struct {
	enum ipc_outcome outcome;
	const char *status, *text;
} causes[CAUSE__MAX] = {
    [CAUSE_NO_MEMORY] = {IPC_RETRY, "4.3.0", "out of memory"},
    [CAUSE_BUSY] = {IPC_RETRY, "4.3.2", "too many deliveries under way"},
    [CAUSE_STOPPING] = {IPC_RETRY, "4.3.2", "this server is stopping"},
    [CAUSE_BODY_LOST] = {IPC_RETRY, "4.3.0", "the message could not be read from the spool"},
    [CAUSE_BODY_DAMAGED] = {IPC_RETRY, "4.3.0",
	"the message in the spool is not as long as it was"},
    [CAUSE_RENEWED] = {IPC_RETRY, "4.3.5",
	"the configuration has changed: it is sent by the new one"},
    [CAUSE_NO_ACTION] = {IPC_RETRY, "4.3.5", "no such action in the configuration"},
    [CAUSE_ACTION_UNSUPPORTED] = {IPC_RETRY, "4.3.5", "the action is not supported"},
    [CAUSE_BAD_RELAY] = {IPC_RETRY, "4.3.5", "the relay's URL is wrong"},
    [CAUSE_BAD_SENDER] = {IPC_FAIL, "5.1.7", "the sender's address can't be sent on"},
    [CAUSE_BAD_RECIPIENT] = {IPC_FAIL, "5.1.3", "the recipient's address can't be sent on"},
    [CAUSE_NO_SRS] = {IPC_RETRY, "4.3.0", "the sender's address can't be rewritten now"},
    [CAUSE_NO_RESOLVER] = {IPC_RETRY, "4.4.3", "no answer from the resolver"},
    [CAUSE_NO_HOST] = {IPC_RETRY, "4.4.4", "no server is left to try"},
    [CAUSE_NO_SERVER] = {IPC_FAIL, "5.4.4", "no server is known for the domain"},
    [CAUSE_NO_SOURCE] = {IPC_RETRY, "4.4.1", "no address to connect from"},
    [CAUSE_NO_SOCKET] = {IPC_RETRY, "4.3.0", "the socket of the action can't be had"},
    [CAUSE_UNREACHABLE] = {IPC_RETRY, "4.4.1", "could not connect"},
    [CAUSE_PROXY] = {IPC_RETRY, "4.4.1", "the proxy does not connect"},
    [CAUSE_DEST_DEAD] = {IPC_RETRY, "4.4.1", "the servers did not answer a while ago"},
    [CAUSE_LIMITED] = {IPC_RETRY, "4.3.2", "as much as the limits allow is under way"},
    [CAUSE_STALE] = {IPC_RETRY, "4.4.2", "each connection was lost when it was used again"},
    [CAUSE_CONNECTION_LOST] = {IPC_RETRY, "4.4.2", "connection lost"},
    [CAUSE_REMOTE_TIMEOUT] = {IPC_RETRY, "4.4.2", "no answer in time"},
    [CAUSE_GARBAGE] = {IPC_RETRY, "4.5.0", "the other side does not keep to SMTP"},
    [CAUSE_TLS_NOT_OFFERED] = {IPC_RETRY, "4.7.4", "TLS is required and not offered"},
    [CAUSE_TLS_WANTED] = {IPC_RETRY, "4.7.4", "the other side wants TLS, which failed"},
    [CAUSE_TLS_FAILED] = {IPC_RETRY, "4.7.5", "TLS failed"},
    [CAUSE_TLS_INJECTION] = {IPC_RETRY, "4.7.0", "plain text was slipped in before TLS"},
    [CAUSE_TLS_UNVERIFIED] = {IPC_RETRY, "4.7.5", "the server's certificate is not trusted"},
    [CAUSE_TLS_WEAKER] = {IPC_RETRY, "4.7.5", "the domain was better protected before"},
    [CAUSE_DANE] = {IPC_RETRY, "4.7.5", "the server's certificate does not match its TLSA records"},
    [CAUSE_DANE_IMPOSSIBLE] = {IPC_RETRY, "4.7.4", "DANE is demanded, and can't be had here"},
    [CAUSE_AUTH_NOT_OFFERED] = {IPC_RETRY, "4.7.0", "the server offers no login"},
    [CAUSE_AUTH_UNSAFE] = {IPC_RETRY, "4.7.11", "no login without verified TLS"},
    [CAUSE_AUTH_REFUSED] = {IPC_RETRY, "4.7.8", "the server refuses our login"},
    [CAUSE_AUTH_TROUBLE] = {IPC_RETRY, "4.7.0", "the login can't be done now"},
    [CAUSE_NO_VAULT] = {IPC_RETRY, "4.3.0", "no answer from the keeper of credentials"},
    [CAUSE_NO_CREDENTIAL] = {IPC_RETRY, "4.7.8", "no credential is known for the server"},
    [CAUSE_TOO_BIG] = {IPC_FAIL, "5.3.4", "the message is larger than the other side takes"},
    [CAUSE_NO_8BITMIME] = {IPC_FAIL, "5.6.3", "the other side does not take 8-bit messages"},
    [CAUSE_NO_BINARYMIME] = {IPC_FAIL, "5.6.3", "the other side does not take binary messages"},
    [CAUSE_NO_DELIVERBY] = {IPC_FAIL, "5.4.7",
	"the message is to be returned when it is late, which the other side does not promise"},
    [CAUSE_TOO_LATE] = {IPC_FAIL, "5.4.7",
	"the other side can't deliver the message in the time that is left"},
    [CAUSE_NO_REQUIRETLS] = {IPC_FAIL, "5.7.30",
	"the message requires TLS all the way, which the other side does not promise"},
    [CAUSE_UNPROVEN_ROUTE] = {IPC_FAIL, "5.7.30",
	"the message requires TLS all the way, and nothing proves which servers are the domain's"},
    [CAUSE_NO_SAFE_TLS] = {IPC_FAIL, "5.7.10",
	"the message requires verified TLS, which can't be had with the other side"},
    [CAUSE_NO_SMTPUTF8] = {IPC_FAIL, "5.6.7", "the other side does not take UTF-8 addresses"},
    [CAUSE_NO_AGENT] = {IPC_RETRY, "4.3.0", "no delivery agent could be started"},
    [CAUSE_AGENT_LOST] = {IPC_RETRY, "4.2.0", "the delivery agent ended early"},
    [CAUSE_AGENT_TIMEOUT] = {IPC_RETRY, "4.2.0", "no answer from the delivery agent"},
    [CAUSE_BAD_MAILBOX] = {IPC_FAIL, "5.1.3", "no mailbox can have this address"},
    [CAUSE_LOOP] = {IPC_FAIL, "5.4.6", "the message was delivered to this address before"},
    [CAUSE_OUR_OWN_MX] = {IPC_FAIL, "5.4.6", "mail for the domain loops back to this server"},
};

/*
 * Replies without an enhanced code; the first row that fits.  code 0: any of
 * the class.  552 to RCPT means too many recipients (RFC 5321 4.5.3.1.10).
 */
static const struct {
	enum verdict_stage stage; /* STAGE__MAX: any */
	int code;
	enum ipc_outcome outcome;
	const char *status;
} replies[] = {
    {STAGE_RCPT, 552, IPC_RETRY, "4.5.3"},
    {STAGE_RCPT, 450, IPC_RETRY, "4.2.0"},
    {STAGE_RCPT, 452, IPC_RETRY, "4.5.3"},
    {STAGE_RCPT, 550, IPC_FAIL, "5.1.1"},
    {STAGE_RCPT, 551, IPC_FAIL, "5.1.6"},
    {STAGE_RCPT, 553, IPC_FAIL, "5.1.3"},
    {STAGE_MAIL, 550, IPC_FAIL, "5.7.1"},
    {STAGE_MAIL, 553, IPC_FAIL, "5.1.7"},
    {STAGE_AUTH, 535, IPC_RETRY, "4.7.8"},
    {STAGE_AUTH, 534, IPC_RETRY, "4.7.9"},
    {STAGE_AUTH, 538, IPC_RETRY, "4.7.11"},
    {STAGE__MAX, 421, IPC_RETRY, "4.3.2"},
    {STAGE__MAX, 451, IPC_RETRY, "4.3.0"},
    {STAGE__MAX, 452, IPC_RETRY, "4.3.1"},
    {STAGE__MAX, 521, IPC_FAIL, "5.3.2"},
    {STAGE__MAX, 552, IPC_FAIL, "5.3.4"},
    {STAGE__MAX, 555, IPC_FAIL, "5.5.4"},
    {STAGE__MAX, 556, IPC_FAIL, "5.1.10"},
};

/* The classes' own rows, by first digit of the status. */
static const char *const plain_status[] = {
    [IPC_OK] = "2.0.0", [IPC_RETRY] = "4.0.0", [IPC_FAIL] = "5.0.0"};

static void
set_text(struct verdict *v, const char *text)
{
	str_escape(v->text, sizeof(v->text), text, strlen(text));
}

static void
verdict_clear(struct verdict *v)
{
	v->again_s = 0;
	v->untried = v->relayed = false;
}

void
verdict_of(struct verdict *v, enum cause cause, const char *detail)
{
	char text[IPC_TEXT_MAX];

	verdict_clear(v);
	v->outcome = causes[cause].outcome;
	(void)snprintf(v->status, sizeof(v->status), "%s", causes[cause].status);
	if (detail == NULL || detail[0] == '\0')
		(void)snprintf(text, sizeof(text), "%s", causes[cause].text);
	else
		(void)snprintf(text, sizeof(text), "%s: %s", causes[cause].text, detail);
	set_text(v, text);
}

static enum ipc_outcome
outcome_of_code(int code)
{
	if (code / 100 == 2)
		return IPC_OK;
	return code / 100 == 5 ? IPC_FAIL : IPC_RETRY;
}

/* Whoever can't log in has a credential to put right, and no mail to give up. */
static void
soften(struct verdict *v)
{
	if (v->outcome != IPC_FAIL)
		return;
	v->outcome = IPC_RETRY;
	v->status[0] = '4';
}

void
verdict_of_reply(struct verdict *v, enum verdict_stage stage, const struct reply *r)
{
	const char *status = NULL;
	char text[sizeof(r->text) + 32];
	size_t i;

	verdict_clear(v);
	v->outcome = outcome_of_code(r->code);
	for (i = 0; i < NITEMS(replies) && status == NULL && r->enhanced[0] == '\0'; i++)
		if (replies[i].code == r->code &&
		    (replies[i].stage == stage || replies[i].stage == STAGE__MAX)) {
			v->outcome = replies[i].outcome;
			status = replies[i].status;
		}
	if (status == NULL)
		status = r->enhanced[0] != '\0' ? r->enhanced : plain_status[v->outcome];
	(void)snprintf(v->status, sizeof(v->status), "%s", status);
	(void)snprintf(text, sizeof(text), "%d%s%s%s%s", r->code, r->enhanced[0] != '\0' ? " " : "",
	    r->enhanced, r->text[0] != '\0' ? " " : "", r->text);
	set_text(v, text);
	if (stage == STAGE_AUTH)
		soften(v);
	if (v->outcome == IPC_RETRY)
		v->again_s = again_seconds(r->text);
}

static bool
status_fits(enum ipc_outcome outcome, const char *status)
{
	char parsed[REPLY_ENHANCED_SIZE];
	int code = (plain_status[outcome][0] - '0') * 100;

	return reply_enhanced(status, strlen(status), code, parsed) == strlen(status) &&
	       status[0] != '\0';
}

void
verdict_set(struct verdict *v, enum ipc_outcome outcome, const char *status, const char *text)
{
	verdict_clear(v);
	v->outcome = outcome <= IPC_FAIL ? outcome : IPC_RETRY;
	if (!status_fits(v->outcome, status))
		status = plain_status[v->outcome];
	(void)snprintf(v->status, sizeof(v->status), "%s", status);
	set_text(v, text);
}

const char *
verdict_event(const struct verdict *v)
{
	static const char *const events[] = {
	    [IPC_OK] = "delivered", [IPC_RETRY] = "deferred", [IPC_FAIL] = "failed"};

	return events[v->outcome];
}

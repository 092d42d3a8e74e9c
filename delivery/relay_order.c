/* SPDX-License-Identifier: ISC */
/*
 * What a relay is to do: the message's needs, and the recipients that can be written
 * on the wire.
 *
 * Invariant: what a message requires is passed on whole.  Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "delivery/relay_private.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

/* An account as LMTP has it: what could be a local part by itself. */
static bool
is_user_valid(const char *user)
{
	char text[IPC_WORD_MAX + 3];
	struct address a;

	return str_format(text, sizeof(text), "%s@x", user) == 0 &&
	       address_parse(text, 0, &a) == ADDRESS_OK && a.local[0] != '\0';
}

/* What goes into RCPT TO: the account for a store on this host, unless it asks for the address. */
static const char *
wire_name(struct relay *r, const struct job_rcpt *rcpt, const struct conf_action *action)
{
	const unsigned int flags = ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;
	struct address a;

	if (action->kind == CONF_ACTION_LMTP && !action->rcpt_to)
		return is_user_valid(rcpt->user) ? rcpt->user : NULL;
	if (address_parse(rcpt->address, flags, &a) != ADDRESS_OK)
		return NULL;
	r->mail.is_utf8 |= a.utf8;
	return rcpt->address;
}

static void
take_recipients(struct relay *r, const struct conf_action *action)
{
	struct job *j = r->job;
	const char *name;
	struct verdict v;
	size_t i;

	for (i = 0; i < j->nrcpts; i++) {
		if ((name = wire_name(r, &j->rcpts[i], action)) == NULL) {
			verdict_of(&v, CAUSE_BAD_RECIPIENT, NULL);
			job_verdict(j, i, &v, NULL);
			continue;
		}
		r->addresses[r->mail.nrcpts] = name;
		r->indices[r->mail.nrcpts++] = i;
	}
}

static bool
has_dsn(const struct job *j)
{
	size_t i;

	for (i = 0; i < j->nrcpts; i++)
		if (j->rcpts[i].notify != 0 || j->rcpts[i].orcpt[0] != '\0')
			return true;
	return false;
}

static int
take_dsn(struct relay *r)
{
	const struct job *j = r->job;
	size_t i;

	r->mail.envid = j->envid;
	r->mail.ret = j->ret;
	if (!has_dsn(j))
		return 0;
	if ((r->dsn = calloc(r->mail.nrcpts, sizeof(*r->dsn))) == NULL)
		return -1;
	for (i = 0; i < r->mail.nrcpts; i++)
		r->dsn[i] = (struct client_dsn){.notify = j->rcpts[r->indices[i]].notify,
		    .orcpt = j->rcpts[r->indices[i]].orcpt};
	r->mail.dsn = r->dsn;
	return 0;
}

static void
take_mail(struct relay *r)
{
	const struct job *j = r->job;

	r->mail.sender = j->sender;
	r->mail.rcpts = r->addresses;
	r->mail.size_bytes = j->size_bytes;
	r->mail.is_binary = (j->flags & IPC_FLAG_BINARYMIME) != 0;
	r->mail.is_8bit = (j->flags & IPC_FLAG_8BITMIME) != 0;
	r->mail.is_utf8 = (j->flags & IPC_FLAG_SMTPUTF8) != 0;
	r->mail.requires_tls = (j->flags & IPC_FLAG_REQUIRETLS) != 0;
	r->mail.priority = j->priority;
	r->mail.by = j->by;
	r->mail.by_s = j->by_s;
	r->mail.by_trace = j->by_trace;
}

static bool
is_sender_valid(struct relay *r)
{
	struct address a;

	if (address_parse(r->job->sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return false;
	r->mail.is_utf8 |= a.utf8;
	return true;
}

int
relay_take_order(struct relay *r, const struct conf_action *action, struct verdict *why)
{
	take_mail(r);
	if (!is_sender_valid(r)) {
		verdict_of(why, CAUSE_BAD_SENDER, NULL);
		return -1;
	}
	take_recipients(r, action);
	verdict_of(why, CAUSE_NO_MEMORY, NULL);
	return r->mail.nrcpts == 0 || take_dsn(r) == -1 ? -1 : 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * The sender of mail that is forwarded, rewritten so that SPF holds (SRS): the vault,
 * which has the key, does it.
 *
 * Invariant: a relay whose sender is being rewritten is in no lane.  What
 * can't be rewritten for good goes out as it is; for now, it waits.  Nothing is fatal.
 */
#include <string.h>

#include "delivery/relay_private.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/mail/idn.h"

#define QUESTION_MS 20000

/* What a recipient was before it was expanded, if it was; NULL: it is as the client named it. */
static const char *
forwarded_from(const struct job_rcpt *r)
{
	struct address now, then;

	if (address_parse(r->address, ADDRESS_UTF8_OK, &now) != ADDRESS_OK)
		return NULL;
	if (address_parse(r->original, ADDRESS_UTF8_OK, &then) == ADDRESS_OK &&
	    strcmp(then.domain, now.domain) == 0 && str_equal_nocase(then.local, now.local))
		return NULL;
	return r->original;
}

/* The domain that the mail came through: it has our mail, and so its bounces. */
static int
copy_domain(const struct relay *r, const char *original, char *dst, size_t size)
{
	char ascii[ADDRESS_DOMAIN_MAX + 1];
	struct address a;

	if (address_parse(original, ADDRESS_UTF8_OK, &a) == ADDRESS_OK && !a.literal &&
	    idn_to_ascii(a.domain, ascii) == 0)
		return str_copy(dst, size, ascii);
	return str_copy(dst, size, r->delivery->hostname);
}

/* False: the sender can stay. */
static bool
find_domain(const struct relay *r, const char *from, char *dst, size_t size)
{
	const struct job *j = r->job;
	const char *original = NULL;
	struct address sender;
	size_t i;

	if (address_parse(from, ADDRESS_UTF8_OK, &sender) != ADDRESS_OK) /* the null one, too */
		return false;
	for (i = 0; i < j->nrcpts && original == NULL; i++)
		original = forwarded_from(&j->rcpts[i]);
	if (original == NULL || copy_domain(r, original, dst, size) == -1)
		return false;
	return strcmp(sender.domain, dst) != 0 &&
	       !str_equal_nocase(sender.domain, r->delivery->hostname);
}

static void
on_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct relay *r = owner;

	(void)req;
	(void)why;
	r->req = 0;
	relay_fail_by(r, CAUSE_NO_SRS, NULL);
}

bool
relay_srs_begin(struct relay *r, const struct conf_action *action)
{
	struct service *s = r->delivery->service;
	struct channel *vault = service_peer(s, ROLE_VAULT, 0);
	char domain[IPC_NAME_MAX + 1], ascii[ADDRESS_MAX + 1];
	struct msg_srs m = {.address = r->job->sender, .domain = domain};

	/* It becomes a part of a local part, which no host could turn into ASCII again. */
	if (idn_address_to_ascii(m.address, ascii) == 0)
		m.address = ascii;
	if (!action->srs || !find_domain(r, m.address, domain, sizeof(domain)))
		return false;
	if (vault != NULL)
		r->req = m.req = ask_begin(
		    service_asks(s), vault, service_now_ms(s) + QUESTION_MS, on_failed, r);
	if (r->req == 0)
		relay_fail_by(r, CAUSE_NO_SRS, NULL);
	else
		(void)channel_send(vault, MSG_srs, &m);
	return true;
}

static void
log_rewritten(const struct relay *r, bool rewritten)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, rewritten ? "sender-rewritten" : "sender-not-rewritten");
	logline_id(&l, "id", r->job->id);
	logline_str(&l, "from", r->job->sender);
	if (rewritten)
		logline_str(&l, "to", r->sender);
	else
		logline_str(&l, "why", "too long for SRS");
	logline_end(&l);
}

static int
take_sender(struct relay *r, const char *address)
{
	struct address a;

	if (address_parse(address, ADDRESS_UTF8_OK, &a) != ADDRESS_OK ||
	    (r->sender = strdup(address)) == NULL)
		return -1;
	r->mail.sender = r->sender;
	return 0;
}

void
relay_srs_answer(struct relay *r, const struct msg_srs_answer *m)
{
	bool rewritten = m->outcome == IPC_OK;

	ask_end(service_asks(r->delivery->service), r->req);
	r->req = 0;
	if (!rewritten && m->outcome != IPC_FAIL) {
		relay_fail_by(r, CAUSE_NO_SRS, NULL);
		return;
	}
	if (rewritten && take_sender(r, m->address) == -1) {
		relay_fail_by(r, CAUSE_NO_SRS, NULL);
		return;
	}
	log_rewritten(r, rewritten);
	relay_go_on(r);
}

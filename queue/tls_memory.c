/* SPDX-License-Identifier: ISC */
/*
 * How well the way to a domain was protected at best: told to delivery with each
 * job, learnt from it, shown to an admin.
 *
 * What is written is what changes: a level that is better than the one that is
 * remembered, or that it was seen again after a good while.  A level that
 * was not seen for `mta remember-tls-for` counts no more, and its row goes.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "queue/queue.h"

#define SEEN_EVERY_S   3600 /* that it was seen again is written this often */
#define PRUNE_EVERY_MS 3600000

/* Domains are compared in small letters.  -1: none, or too long for one. */
static int
domain_copy(char dst[IPC_NAME_MAX + 1], const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > IPC_NAME_MAX)
		return -1;
	memcpy(dst, name, len + 1);
	str_lower(dst);
	return 0;
}

/* What was last seen at or before this counts no more. */
static int64_t
forgotten_s(const struct program *p)
{
	return service_now_s(p->service) - p->conf->values.mta_remember_s;
}

static bool
is_off(const struct program *p)
{
	return p->conf->values.mta_remember_tls == CONF_REMEMBER_OFF;
}

enum ipc_tls_level
tls_best(struct program *p, const char *domain)
{
	char name[IPC_NAME_MAX + 1];
	struct spool_tls t;

	if (is_off(p) || domain_copy(name, domain) == -1 ||
	    spool_tls_get(p->spool, name, &t) == -1 || t.seen_s <= forgotten_s(p))
		return IPC_TLS_PLAIN;
	return t.level;
}

/* Worth a write: news, or the same as long ago. */
static bool
is_news(struct program *p, const struct spool_tls *seen, int64_t *since_s)
{
	int64_t every_s = p->conf->values.mta_remember_s / 4;
	struct spool_tls t;

	if (every_s > SEEN_EVERY_S)
		every_s = SEEN_EVERY_S;
	if (spool_tls_get(p->spool, seen->domain, &t) == -1)
		return errno == ENOENT; /* else the store is down for now */
	if (t.seen_s <= forgotten_s(p) || seen->level > t.level)
		return true;
	*since_s = t.since_s;
	return seen->level == t.level && seen->seen_s - t.seen_s >= every_s;
}

void
tls_saw(struct program *p, struct channel *ch, const struct msg_tls_seen *m)
{
	char name[IPC_NAME_MAX + 1];
	struct spool_tls seen = {.domain = name,
	    .level = (enum ipc_tls_level)m->level,
	    .since_s = service_now_s(p->service),
	    .seen_s = service_now_s(p->service)};

	if (!peer_text_is_clean(m->domain)) {
		channel_reject(ch, "control octets in a domain");
		return;
	}
	if (is_off(p) || seen.level == IPC_TLS_PLAIN || domain_copy(name, m->domain) == -1)
		return;
	if (is_news(p, &seen, &seen.since_s))
		spool_tls_set(p->spool, &seen, NULL, NULL);
}

void
tls_prune(struct program *p)
{
	int64_t now_ms = service_now_ms(p->service);

	if (now_ms >= p->tls_prune_ms && !spool_tls_prune(p->spool, forgotten_s(p)))
		p->tls_prune_ms = now_ms + PRUNE_EVERY_MS;
}

/* -- the admin's view -- */

struct page {
	struct channel *ch;
	uint32_t req, n;
};

static void
page_visit(void *arg, const struct spool_tls *t)
{
	struct page *page = arg;
	struct msg_tls_domains_row row = {.req = page->req,
	    .domain = t->domain,
	    .level = (uint8_t)t->level,
	    .since_s = t->since_s,
	    .seen_s = t->seen_s};

	page->n++;
	(void)channel_send(page->ch, MSG_tls_domains_row, &row);
}

void
tls_list(struct program *p, struct channel *ch, const struct msg_tls_domains *m)
{
	struct page page = {.ch = ch, .req = m->req};
	struct msg_tls_domains_end end = {.req = m->req};

	if (spool_tls_list(p->spool, m->after, m->limit, forgotten_s(p), page_visit, &page) == 0)
		end.more = page.n == m->limit && m->limit > 0;
	(void)channel_send(ch, MSG_tls_domains_end, &end);
}

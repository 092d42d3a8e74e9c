/* SPDX-License-Identifier: ISC */
/*
 * Requests of the vault.
 *
 * Invariants: a request is in the list from when it is asked to its one end, and
 * has at any time either a question to lookup or a transfer under way; its
 * form is overwritten at its end.  What the server said goes to the vault unread.
 * Nothing is fatal.
 */
#include "fetch/request.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/transfer.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/net/addr.h"

#define FAMILY_MAX    4 /* addresses of IPv4 that are tried, and as many of IPv6 */
#define ADDRESSES_MAX (2 * FAMILY_MAX)

struct request { /* owned by the list in struct fetcher */
	TAILQ_ENTRY(request) entry;
	struct fetcher *f;
	struct channel *ch;
	uint32_t req; /* the vault's number */
	uint32_t ask; /* ours, of the question to lookup; 0: none is under way */
	struct transfer *transfer;
	int64_t start_ms;
	char url[IPC_URL_MAX + 1];
	struct transfer_host host;
	char addresses[ADDRESSES_MAX][ADDR_TEXT_MAX];
	size_t naddresses, nv6; /* those of IPv6 among them */
	uint8_t *form;
	size_t form_len;
};

static void
request_free(struct request *r)
{
	struct fetcher *f = r->f;

	ask_end(service_asks(f->service), r->ask);
	transfer_cancel(r->transfer);
	TAILQ_REMOVE(&f->requests, r, entry);
	f->nrequests--;
	if (r->form != NULL)
		explicit_bzero(r->form, r->form_len);
	free(r->form);
	free(r);
}

void
requests_drop(struct fetcher *f, const struct channel *ch)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&f->requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->ch == ch)
			request_free(r);
	}
}

/* -- ends -- */

void
request_refuse(struct channel *ch, uint32_t req, const char *why)
{
	struct msg_fetched m = {.req = req, .outcome = IPC_RETRY, .text = why};

	log_warn("event=fetch-refused reason=\"%s\"", why);
	(void)channel_send(ch, MSG_fetched, &m);
}

/* The host and what became of it; never what was posted or answered. */
static void
log_end(const struct request *r, unsigned int code, const char *why)
{
	int64_t took_ms = service_now_ms(r->f->service) - r->start_ms;
	struct logline l;

	logline_start(&l, why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
	    why == NULL ? "fetched" : "fetch-failed");
	logline_str(&l, "host", r->host.name);
	if (why == NULL)
		logline_u64(&l, "code", code);
	else
		logline_str(&l, "error", why);
	logline_i64(&l, "ms", took_ms);
	logline_end(&l);
}

static void
request_fail(struct request *r, const char *why)
{
	char text[IPC_TEXT_MAX + 1];
	struct msg_fetched m = {.req = r->req, .outcome = IPC_RETRY, .text = text};

	/* Names in certificates and words of libraries: nothing in it may steer a terminal. */
	str_escape(text, sizeof(text), why, strlen(why));
	log_end(r, 0, text);
	(void)channel_send(r->ch, MSG_fetched, &m);
	request_free(r);
}

static void
on_transferred(void *arg, const struct transfer_result *result)
{
	struct request *r = arg;
	struct msg_fetched m = {
	    .req = r->req, .outcome = IPC_OK, .code = (uint16_t)result->code, .text = ""};

	r->transfer = NULL;
	if (result->why != NULL) {
		request_fail(r, result->why);
		return;
	}
	m.body = result->body;
	log_end(r, result->code, NULL);
	(void)channel_send(r->ch, MSG_fetched, &m);
	request_free(r);
}

/* -- the way -- */

static void
request_post(struct request *r)
{
	const struct fetcher *f = r->f;
	const char *addresses[ADDRESSES_MAX];
	struct transfer_order order = {
	    .url = r->url,
	    .host = &r->host,
	    .addresses = addresses,
	    .naddresses = r->naddresses,
	    .form = {r->form, r->form_len},
	    .ca = {buf_head(&f->ca), f->ca.len},
	    .done = on_transferred,
	    .arg = r,
	};
	size_t i;

	for (i = 0; i < r->naddresses; i++)
		addresses[i] = r->addresses[i];
	if ((r->transfer = transfer_start(f->transfers, &order)) == NULL)
		request_fail(r, "out of memory");
}

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct request *r = owner;

	(void)req;
	r->ask = 0;
	request_fail(r, why == ASK_LOST ? "the resolver is being restarted"
					: "no answer of the resolver in time");
}

static void
request_route(struct request *r)
{
	struct service *s = r->f->service;
	struct channel *lookup = service_peer(s, ROLE_LOOKUP, 0);
	struct msg_route m = {.name = r->host.name, .port = r->host.port, .backup = ""};

	r->ask = ask_begin(
	    service_asks(s), lookup, service_now_ms(s) + FETCH_ROUTE_MS, on_ask_failed, r);
	m.req = r->ask;
	if (r->ask == 0)
		request_fail(r, "out of memory");
	else if (lookup != NULL)
		(void)channel_send(lookup, MSG_route, &m);
}

void
request_start(struct fetcher *f, struct channel *ch, const struct msg_fetch *m)
{
	struct request *r;

	if ((r = calloc(1, sizeof(*r))) == NULL || (r->form = malloc(m->form.len + 1)) == NULL) {
		free(r);
		request_refuse(ch, m->req, "out of memory");
		return;
	}
	memcpy(r->form, m->form.data, m->form.len);
	r->form_len = m->form.len;
	r->f = f;
	r->ch = ch;
	r->req = m->req;
	r->start_ms = service_now_ms(f->service);
	TAILQ_INSERT_TAIL(&f->requests, r, entry);
	f->nrequests++;
	if (str_copy(r->url, sizeof(r->url), m->url) == -1 ||
	    transfer_host_of(r->url, &r->host) == -1)
		request_fail(r, "that is no URL of an HTTPS server");
	else if (r->host.is_address)
		request_post(r);
	else
		request_route(r);
}

/* What is no address, or one too many, is passed over: the others may do. */
void
request_add_address(struct request *r, const char *address)
{
	struct addr a;
	bool is_v6;

	if (addr_parse(address, r->host.port, &a) == -1 ||
	    (a.ss.ss_family != AF_INET && a.ss.ss_family != AF_INET6))
		return;
	/* A host without IPv6 needs some of the others, however many there are. */
	is_v6 = a.ss.ss_family == AF_INET6;
	if ((is_v6 ? r->nv6 : r->naddresses - r->nv6) == FAMILY_MAX)
		return;
	r->nv6 += is_v6;
	addr_format(&a, r->addresses[r->naddresses++]);
}

void
request_routed(struct request *r, const struct msg_route_end *m)
{
	ask_end(service_asks(r->f->service), r->ask);
	r->ask = 0;
	if (r->naddresses > 0)
		request_post(r);
	else
		request_fail(r, m->text[0] != '\0' ? m->text : "the host has no address");
}

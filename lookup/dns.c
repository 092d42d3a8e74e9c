/* SPDX-License-Identifier: ISC */
/*
 * libunbound on our event loop.
 *
 * It may answer from within ub_resolve_event(), and must not be asked from
 * within its callback: an answer is therefore read when it comes and handed
 * over from the loop's top, by the query's own event.
 *
 * Invariant: every query is in the list of its struct dns; libunbound's
 * number of it (id) is set while libunbound may still call back, and not after.
 * Nothing is fatal here.
 */
#include "lookup/dns.h"

#include <sys/queue.h>

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

#include "lib/base/log.h"
#include "lib/base/str.h"

#define QUERIES_MAX    4096
#define CLASS_IN       1
#define RCODE_NOERROR  0
#define RCODE_NXDOMAIN 3
#define SECURITY_BOGUS 1 /* ub_event_callback_type's sec */

struct dns_query { /* owned by its struct dns until done is called or it is cancelled */
	TAILQ_ENTRY(dns_query) entry;
	struct dns *dns;
	dns_done done;
	void *arg;
	enum dns_type type;
	int id;	    /* libunbound's */
	bool asked; /* libunbound will call back */
	struct event *answered;
	enum dns_result result;
	struct dns_records *records; /* of DNS_FOUND */
};

TAILQ_HEAD(query_list, dns_query);

struct dns {
	struct event_base *base;
	struct ub_ctx *ub;
	FILE *log;
	struct query_list queries;
	struct dns_counters counters;
};

/* -- setting up -- */

/*
 * Nothing is opened, listened on or written by libunbound itself.  Tests and
 * stub resolvers have their servers on loopback, hence do-not-query-localhost.
 */
static const struct option {
	const char *name, *value;
} options[] = {
    {"use-syslog:", "no"},
    {"val-log-level:", "0"},
    {"do-not-query-localhost:", "no"},
    {"msg-cache-size:", "4m"},
    {"rrset-cache-size:", "4m"},
    {"key-cache-size:", "1m"},
    {"neg-cache-size:", "1m"},
    {"infra-cache-numhosts:", "2000"},
    {"outgoing-range:", "256"},
    {"num-queries-per-thread:", "1024"},
    {"outgoing-num-tcp:", "32"},
    {"harden-short-bufsize:", "yes"},
    {"harden-large-queries:", "yes"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"harden-algo-downgrade:", "yes"},
    {"qname-minimisation:", "yes"},
};

/*
 * The names of private networks are known by the resolver of such a network
 * or by nobody: without one they are not asked about (RFC 6303).
 */
static const struct option forwarding[] = {
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
};

static int
dns_set_options(struct dns *d, const struct option *list, size_t n)
{
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		if ((rc = ub_ctx_set_option(d->ub, list[i].name, list[i].value)) != 0) {
			log_warn("event=dns-setup-failed option=%s error=\"%s\"", list[i].name,
			    ub_strerror(rc));
			return -1;
		}
	return 0;
}

static int
dns_set_servers(struct dns *d, const struct resolv_servers *servers)
{
	size_t i;
	int rc;

	if (servers->n > 0 && dns_set_options(d, forwarding, NITEMS(forwarding)) == -1)
		return -1;
	for (i = 0; i < servers->n; i++)
		if ((rc = ub_ctx_set_fwd(d->ub, servers->list[i])) != 0) {
			log_warn("event=dns-setup-failed server=%s error=\"%s\"", servers->list[i],
			    ub_strerror(rc));
			return -1;
		}
	return 0;
}

static int
dns_add_anchor(struct dns *d, const char *line, size_t len)
{
	char record[4096];
	int rc;

	if (len >= sizeof(record)) {
		log_warn("event=dns-setup-failed error=\"trust anchor too long\"");
		return -1;
	}
	memcpy(record, line, len);
	record[len] = '\0';
	if ((rc = ub_ctx_add_ta(d->ub, record)) == 0)
		return 0;
	log_warn("event=dns-setup-failed error=\"trust anchor: %s\"", ub_strerror(rc));
	return -1;
}

/* Comments start with a semicolon, which no anchor has within. */
static int
dns_add_anchors(struct dns *d, const char *text)
{
	const char *p = text;
	size_t n, line;

	for (; *p != '\0'; p += line, p += *p == '\n') {
		line = strcspn(p, "\n");
		n = strcspn(p, ";\r\n");
		while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
			n--;
		if (n > 0 && dns_add_anchor(d, p, n) == -1)
			return -1;
	}
	return 0;
}

/* libunbound's own lines, one a write: into our log. */
static ssize_t
log_line(void *cookie, const char *text, size_t len)
{
	char line[256];
	struct logline l;
	size_t n = len;

	(void)cookie;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	if (n == 0)
		return (ssize_t)len;
	memcpy(line, text, n);
	line[n] = '\0';
	logline_start(&l, LOG_LEVEL_DEBUG, "libunbound");
	logline_str(&l, "text", line);
	logline_end(&l);
	return (ssize_t)len;
}

static FILE *
log_open(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_line});

	if (f != NULL)
		(void)setvbuf(f, NULL, _IOLBF, 0);
	return f;
}

static void
on_warm(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
	bool *warm = arg;

	(void)packet;
	(void)len;
	(void)sec;
	(void)why;
	(void)limited;
	*warm = rcode == 0;
}

/*
 * The first question makes libunbound read what it ever will, so it is asked
 * now, while there may be files.  It knows localhost without asking anyone.
 */
static int
dns_warm(struct dns *d)
{
	bool warm = false;
	int rc, id;

	rc = ub_resolve_event(d->ub, "localhost", DNS_A, CLASS_IN, &warm, on_warm, &id);
	if (rc == 0 && warm)
		return 0;
	log_warn("event=dns-setup-failed error=\"%s\"", rc == 0 ? "no answer" : ub_strerror(rc));
	if (rc == 0)
		(void)ub_cancel(d->ub, id);
	return -1;
}

struct dns *
dns_create(struct event_base *base, const char *anchors, const struct resolv_servers *servers)
{
	struct dns *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	TAILQ_INIT(&d->queries);
	d->base = base;
	d->log = log_open();
	d->ub = ub_ctx_create_event(base);
	if (d->log == NULL || d->ub == NULL || ub_ctx_debugout(d->ub, d->log) != 0) {
		log_warn("event=dns-setup-failed error=\"%s\"", strerror(errno));
		goto fail;
	}
	if (dns_set_options(d, options, NITEMS(options)) == -1 ||
	    dns_set_servers(d, servers) == -1 ||
	    (anchors != NULL && dns_add_anchors(d, anchors) == -1) || dns_warm(d) == -1)
		goto fail;
	return d;
fail:
	dns_free(d);
	return NULL;
}

void
dns_free(struct dns *d)
{
	struct dns_query *q;

	if (d == NULL)
		return;
	while ((q = TAILQ_FIRST(&d->queries)) != NULL)
		dns_cancel(q);
	if (d->ub != NULL)
		ub_ctx_delete(d->ub);
	if (d->log != NULL)
		(void)fclose(d->log);
	free(d);
}

/* -- asking -- */

static void
query_free(struct dns_query *q)
{
	TAILQ_REMOVE(&q->dns->queries, q, entry);
	q->dns->counters.under_way--;
	if (q->answered != NULL)
		event_free(q->answered);
	free(q->records);
	free(q);
}

void
dns_cancel(struct dns_query *q)
{
	if (q == NULL)
		return;
	if (q->asked)
		(void)ub_cancel(q->dns->ub, q->id);
	query_free(q);
}

static void
count_result(struct dns_counters *c, enum dns_result result)
{
	switch (result) {
	case DNS_FOUND:
		c->found++;
		break;
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		c->absent++;
		break;
	case DNS_TROUBLE:
		c->trouble++;
		break;
	}
}

static void
on_answered(evutil_socket_t sock, short what, void *arg)
{
	struct dns_query *q = arg;
	struct dns_records *records = q->records;
	enum dns_result result = q->result;
	dns_done done = q->done;
	void *owner = q->arg;

	(void)sock;
	(void)what;
	count_result(&q->dns->counters, result);
	q->records = NULL;
	query_free(q);
	done(owner, result, records);
	free(records);
}

/* rcode is that of the answering; what the servers said is in the packet. */
static enum dns_result
judge(struct dns_query *q, int rcode, const void *packet, int len, int sec)
{
	if (sec == SECURITY_BOGUS) {
		q->dns->counters.bogus++;
		return DNS_TROUBLE;
	}
	if (rcode != 0 || packet == NULL || len < 0 ||
	    (q->records = malloc(sizeof(*q->records))) == NULL ||
	    dns_parse(packet, (size_t)len, q->type, q->records) == -1)
		return DNS_TROUBLE;
	switch (q->records->rcode) {
	case RCODE_NOERROR:
		return q->records->n + q->records->unusable > 0 ? DNS_FOUND : DNS_NO_DATA;
	case RCODE_NXDOMAIN:
		return DNS_NO_NAME;
	default:
		return DNS_TROUBLE;
	}
}

static void
on_unbound(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
	struct dns_query *q = arg;

	(void)why;
	(void)limited;
	q->asked = false;
	q->result = judge(q, rcode, packet, len, sec);
	event_active(q->answered, EV_TIMEOUT, 0);
}

struct dns_query *
dns_ask(struct dns *d, const char *name, enum dns_type type, dns_done done, void *arg)
{
	struct dns_query *q;
	int rc;

	if (d->counters.under_way >= QUERIES_MAX) {
		errno = EBUSY;
		return NULL;
	}
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	*q = (struct dns_query){.dns = d, .done = done, .arg = arg, .type = type, .asked = true};
	TAILQ_INSERT_TAIL(&d->queries, q, entry);
	d->counters.under_way++;
	d->counters.asked++;
	if ((q->answered = evtimer_new(d->base, on_answered, q)) == NULL) {
		query_free(q);
		errno = ENOMEM;
		return NULL;
	}
	rc = ub_resolve_event(d->ub, name, (int)type, CLASS_IN, q, on_unbound, &q->id);
	if (rc != 0) {
		log_warn("event=dns-failed error=\"%s\"", ub_strerror(rc));
		q->asked = false;
		q->result = DNS_TROUBLE;
		event_active(q->answered, EV_TIMEOUT, 0);
	}
	return q;
}

const struct dns_counters *
dns_counters(const struct dns *d)
{
	return &d->counters;
}

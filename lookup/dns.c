/* SPDX-License-Identifier: ISC */
/*
 * libunbound on our event loop.
 *
 * It may answer from within ub_resolve_event(), and must not be asked from
 * within its callback: an answer is therefore read when it comes and handed
 * over from the loop's top, by the query's own event.
 *
 * Invariant: every query is in one of the lists of its struct dns, and counts
 * for its use; libunbound's number of it (id) is set while libunbound may still
 * call back, and not after.  Nothing is fatal here.
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
#include "lookup/pace.h"

#define QUERIES_MAX	1536   /* of one use; together they have a socket each, below */
#define LOST_MS		300000 /* libunbound's patience is shorter */
#define CLASS_IN	1
#define RCODE_NOERROR	0
#define RCODE_NXDOMAIN	3
#define SECURITY_BOGUS	1 /* ub_event_callback_type's sec */
#define SECURITY_SECURE 2

struct dns_query { /* owned by its struct dns */
	TAILQ_ENTRY(dns_query) entry;
	struct dns *dns;
	dns_done done; /* NULL: nobody waits, and it is in left */
	void *arg;
	enum dns_type type;
	enum dns_use use;
	int64_t left_ms; /* the first tick at which nobody waited; 0: there was none */
	int id;		 /* libunbound's */
	bool asked;	 /* libunbound will call back */
	struct event *answered;
	enum dns_result result;
	struct dns_records *records; /* NULL: there is no answer */
};

TAILQ_HEAD(query_list, dns_query);

struct dns {
	struct event_base *base;
	struct pace *pace; /* that ub works at */
	struct ub_ctx *ub;
	FILE *log;
	bool ready; /* what libunbound says before is for the administrator */
	struct query_list queries;
	struct query_list left; /* the oldest first */
	size_t under_way[DNS__USES];
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
    {"val-log-level:", "2"}, /* below it there is no reason for what is bogus */
    {"do-not-query-localhost:", "no"},
    {"msg-cache-size:", "4m"},
    {"rrset-cache-size:", "4m"},
    {"key-cache-size:", "1m"},
    {"neg-cache-size:", "1m"},
    {"infra-cache-numhosts:", "2000"},
    {"infra-host-ttl:", "30"}, /* who was silent is asked again soon, not in 15 minutes */
    {"infra-keep-probing:", "yes"},
    {"outgoing-range:", "3072"}, /* sockets: else questions wait for those without an answer */
    {"num-queries-per-thread:", "1024"},
    {"outgoing-num-tcp:", "32"},
    /*
     * Answers that came together over TCP are dealt with at one go, however long that
     * takes (see pace.h).  With 1 libunbound 1.17 loses octets of its questions.
     */
    {"max-reuse-tcp-queries:", "2"},
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
dns_set_server(const char *address, int rc)
{
	if (rc == 0)
		return 0;
	log_warn("event=dns-setup-failed server=%s error=\"%s\"", address, ub_strerror(rc));
	return -1;
}

static int
dns_set_servers(struct dns *d, const struct dns_plan *plan)
{
	const struct resolv_servers *forward = plan->forward, *root = plan->root;
	size_t i;

	if (forward->n > 0 && dns_set_options(d, forwarding, NITEMS(forwarding)) == -1)
		return -1;
	for (i = 0; i < forward->n; i++)
		if (dns_set_server(forward->list[i], ub_ctx_set_fwd(d->ub, forward->list[i])) == -1)
			return -1;
	/* Primed: the root's own word on who serves it counts, as with the built-in list. */
	for (i = 0; i < root->n; i++)
		if (dns_set_server(root->list[i], ub_ctx_set_stub(d->ub, ".", root->list[i], 1)) ==
		    -1)
			return -1;
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

/*
 * libunbound's own lines, one a write: into our log.  Once it is at work they are
 * about what others send; before that, about settings and trust anchors.
 */
static ssize_t
log_line(void *cookie, const char *text, size_t len)
{
	const struct dns *d = cookie;
	char line[256], *said;
	struct logline l;
	size_t n = len;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	if (n == 0)
		return (ssize_t)len;
	memcpy(line, text, n);
	line[n] = '\0';
	logline_start(&l, d->ready ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "libunbound");
	said = strstr(line, "] "); /* behind the time, and "libunbound[pid:0] " */
	said = said == NULL ? NULL : strstr(said + 2, "] ");
	logline_str(&l, "text", said == NULL ? line : said + 2);
	logline_end(&l);
	return (ssize_t)len;
}

static FILE *
log_open(struct dns *d)
{
	FILE *f = fopencookie(d, "w", (cookie_io_functions_t){.write = log_line});

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
dns_create(struct event_base *base, const struct dns_plan *plan)
{
	struct dns *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	TAILQ_INIT(&d->queries);
	TAILQ_INIT(&d->left);
	d->base = base;
	d->log = log_open(d);
	d->pace = pace_create(base);
	d->ub = d->pace == NULL ? NULL : ub_ctx_create_ub_event(pace_events(d->pace));
	if (d->log == NULL || d->ub == NULL || ub_ctx_debugout(d->ub, d->log) != 0) {
		log_warn("event=dns-setup-failed error=\"%s\"", strerror(errno));
		goto fail;
	}
	if (dns_set_options(d, options, NITEMS(options)) == -1 || dns_set_servers(d, plan) == -1 ||
	    (plan->anchors != NULL && dns_add_anchors(d, plan->anchors) == -1) || dns_warm(d) == -1)
		goto fail;
	d->ready = true;
	return d;
fail:
	dns_free(d);
	return NULL;
}

static void
query_free(struct dns_query *q)
{
	struct dns *d = q->dns;

	TAILQ_REMOVE(q->done == NULL ? &d->left : &d->queries, q, entry);
	d->counters.under_way--;
	d->under_way[q->use]--;
	if (q->answered != NULL)
		event_free(q->answered);
	free(q->records);
	free(q);
}

/* libunbound will not call back. */
static void
query_stop(struct dns_query *q)
{
	if (q->asked)
		(void)ub_cancel(q->dns->ub, q->id);
	query_free(q);
}

void
dns_free(struct dns *d)
{
	struct dns_query *q;

	if (d == NULL)
		return;
	while ((q = TAILQ_FIRST(&d->queries)) != NULL || (q = TAILQ_FIRST(&d->left)) != NULL)
		query_stop(q);
	if (d->ub != NULL)
		ub_ctx_delete(d->ub);
	pace_free(d->pace);
	if (d->log != NULL)
		(void)fclose(d->log);
	free(d);
}

void
dns_take_log(struct dns *d)
{
	(void)ub_ctx_debugout(d->ub, d->log);
}

/* -- asking -- */

void
dns_cancel(struct dns_query *q)
{
	if (q == NULL)
		return;
	if (!q->asked) {
		query_free(q);
		return;
	}
	TAILQ_REMOVE(&q->dns->queries, q, entry);
	TAILQ_INSERT_TAIL(&q->dns->left, q, entry);
	q->done = NULL;
}

void
dns_tick(struct dns *d, int64_t now_ms)
{
	struct dns_query *q, *next;

	for (q = TAILQ_FIRST(&d->left); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		if (q->left_ms == 0)
			q->left_ms = now_ms;
		else if (now_ms - q->left_ms >= LOST_MS)
			query_stop(q);
	}
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
	case DNS_BOGUS:
		c->bogus++;
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
	done(owner, result, result == DNS_TROUBLE ? NULL : records);
	free(records);
}

/* rcode is that of the answering; what the servers said is in the packet. */
static enum dns_result
judge(struct dns_query *q, int rcode, const void *packet, int len)
{
	if (rcode != 0 || packet == NULL || len < 0 ||
	    (q->records = malloc(sizeof(*q->records))) == NULL ||
	    dns_parse(packet, (size_t)len, q->type, q->records) == -1)
		return DNS_TROUBLE;
	if (q->records->rcode == RCODE_NXDOMAIN)
		return DNS_NO_NAME;
	if (q->records->rcode != RCODE_NOERROR)
		return DNS_TROUBLE;
	if (q->records->n + q->records->unusable > 0)
		return DNS_FOUND;
	return q->records->referral ? DNS_TROUBLE : DNS_NO_DATA;
}

/* Once for each time it was found out: an answer that is remembered has no reason. */
static void
log_bogus(const char *why)
{
	struct logline l;

	if (why == NULL || why[0] == '\0')
		return;
	logline_start(&l, LOG_LEVEL_WARN, "dns-bogus");
	logline_str(&l, "why", why);
	logline_end(&l);
}

static void
on_unbound(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
	struct dns_query *q = arg;

	q->asked = false;
	(void)limited;
	if (q->done == NULL) {
		query_free(q);
		return;
	}
	if (sec == SECURITY_BOGUS) {
		q->result = DNS_BOGUS;
		log_bogus(why);
	} else {
		q->result = judge(q, rcode, packet, len);
	}
	if (q->records != NULL)
		q->records->secure = sec == SECURITY_SECURE;
	event_active(q->answered, EV_TIMEOUT, 0);
}

static struct dns_query *
query_create(struct dns *d, const struct dns_question *question, dns_done done, void *arg)
{
	struct dns_query *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	*q = (struct dns_query){.dns = d,
	    .done = done,
	    .arg = arg,
	    .type = question->type,
	    .use = question->use,
	    .asked = true};
	TAILQ_INSERT_TAIL(&d->queries, q, entry);
	d->counters.under_way++;
	d->under_way[q->use]++;
	if ((q->answered = evtimer_new(d->base, on_answered, q)) == NULL) {
		query_free(q);
		errno = ENOMEM;
		return NULL;
	}
	return q;
}

struct dns_query *
dns_ask(struct dns *d, const struct dns_question *question, dns_done done, void *arg)
{
	struct dns_query *q;
	int rc;

	if (d->under_way[question->use] >= QUERIES_MAX) {
		errno = EBUSY;
		return NULL;
	}
	if ((q = query_create(d, question, done, arg)) == NULL)
		return NULL;
	d->counters.asked++;
	rc = ub_resolve_event(d->ub, question->name, (int)q->type, CLASS_IN, q, on_unbound, &q->id);
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

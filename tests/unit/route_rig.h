/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_ROUTE_RIG_H
#define TESTS_UNIT_ROUTE_RIG_H

/* Routes, with a DNS of the test's own: it answers what, when and in which order the test likes, or never. */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lookup/lookup.h"

/* -- the DNS -- */

#define ASKED_MAX 256

struct dns_query {
	bool open;
	const struct dns *dns;
	char name[DNS_NAME_MAX + 1];
	enum dns_type type;
	dns_done done;
	void *arg;
};

static struct rig {
	struct event_base *base;
	int64_t now_ms;
	struct conf conf;
	struct lookup lookup;
	struct dns_query asked[ASKED_MAX];
	size_t nasked;
	bool busy; /* nothing more can be asked */
	char got[1024];
	unsigned int ends;
} rig;

/* What dns.c would be; only its address counts. */
static char first_dns;

struct dns_query *
dns_ask(struct dns *d, const struct dns_question *q, dns_done done, void *arg)
{
	struct dns_query *slot = &rig.asked[rig.nasked];

	assert_int_equal(q->use, DNS_FOR_ROUTES);
	if (rig.busy)
		return NULL;
	assert_true(rig.nasked < ASKED_MAX);
	rig.nasked++;
	*slot = (struct dns_query){
	    .open = true, .dns = d, .type = q->type, .done = done, .arg = arg};
	(void)snprintf(slot->name, sizeof(slot->name), "%s", q->name);
	return slot;
}

void
dns_cancel(struct dns_query *q)
{
	if (q == NULL)
		return;
	assert_true(q->open);
	q->open = false;
}

int64_t
service_now_ms(const struct service *s)
{
	(void)s;
	return rig.now_ms;
}

struct event_base *
service_base(const struct service *s)
{
	(void)s;
	return rig.base;
}

static inline struct dns_query *
find(const char *name, enum dns_type type)
{
	size_t i;

	for (i = 0; i < rig.nasked; i++)
		if (rig.asked[i].open && rig.asked[i].type == type &&
		    strcmp(rig.asked[i].name, name) == 0)
			return &rig.asked[i];
	return NULL;
}

static inline size_t
count_open(void)
{
	size_t i, n = 0;

	for (i = 0; i < rig.nasked; i++)
		n += rig.asked[i].open;
	return n;
}

static inline void
answer(const char *name, enum dns_type type, enum dns_result result, struct dns_records *records)
{
	struct dns_query *q = find(name, type);

	assert_non_null(q);
	q->open = false;
	q->done(q->arg, result, records);
}

static inline void
answer_none(const char *name, enum dns_type type, enum dns_result result)
{
	struct dns_records *records = calloc(1, sizeof(*records));

	assert_non_null(records);
	answer(name, type, result, result == DNS_TROUBLE || result == DNS_BOGUS ? NULL : records);
	free(records);
}

/* "10 a", "20 b": hosts that are called a.example and so on. */
static inline void
answer_mx(const char *hosts)
{
	struct dns_records *records = calloc(1, sizeof(*records));
	unsigned int preference;
	char name[32];
	int n;

	assert_non_null(records);
	for (; sscanf(hosts, "%u %20[^ ,]%n", &preference, name, &n) == 2; hosts += n) {
		struct dns_record *r = &records->list[records->n++];

		r->preference = (uint16_t)preference;
		(void)snprintf(r->name, sizeof(r->name), "%s.example", name);
		if (hosts[n] == ',')
			n++;
	}
	answer("domain.example", DNS_MX, DNS_FOUND, records);
	free(records);
}

/* alias: what the host's CNAME leads to, or NULL. */
static inline void
answer_address(const char *name, const char *text, const char *alias)
{
	struct dns_records *records = calloc(1, sizeof(*records));
	bool v6 = strchr(text, ':') != NULL;

	assert_non_null(records);
	records->n = 1;
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, records->list[0].address), 1);
	records->alias = alias != NULL;
	(void)snprintf(
	    records->canonical, sizeof(records->canonical), "%s", alias == NULL ? name : alias);
	answer(name, v6 ? DNS_AAAA : DNS_A, DNS_FOUND, records);
	free(records);
}

/* -- who asks -- */

static inline void
note(const char *text)
{
	size_t n = strlen(rig.got);

	assert_int_equal(rig.ends, 0);
	assert_true(
	    snprintf(rig.got + n, sizeof(rig.got) - n, "%s ", text) < (int)(sizeof(rig.got) - n));
}

static inline void
on_host(void *arg, uint32_t req, const struct route_host *h)
{
	(void)arg;
	assert_int_equal(req, 7);
	note(h->address);
}

static inline void
on_pass(void *arg, uint32_t req, const struct route_pass *p)
{
	char text[64];

	(void)arg;
	(void)req;
	(void)snprintf(text, sizeof(text), "-%.*s", (int)strcspn(p->host, "."), p->host);
	note(text);
}

static inline void
on_end(void *arg, uint32_t req, const struct route_end *e)
{
	(void)arg;
	assert_int_equal(req, 7);
	note(e->outcome == IPC_OK ? "ok" : e->status);
	rig.ends++;
}

static const struct route_events events = {.host = on_host, .pass = on_pass, .end = on_end};

static inline void
turn(void)
{
	assert_int_not_equal(event_base_loop(rig.base, EVLOOP_NONBLOCK), -1);
}

static inline void
start_as(const char *name, bool mx, const char *backup)
{
	const struct route_question q = {
	    .name = name, .mx = mx, .port = 25, .req = 7, .backup = backup};

	rig.got[0] = '\0';
	rig.ends = 0;
	rig.nasked = 0;
	assert_int_equal(route_ask(rig.lookup.routes, &q, &events, &rig), 0);
	assert_string_equal(rig.got, "");
	turn();
}

static inline void
start(const char *name, bool mx)
{
	start_as(name, mx, "");
}

static inline void
assert_end(const char *want)
{
	assert_string_equal(rig.got, want);
	assert_int_equal(rig.ends, 1);
	assert_int_equal(count_open(), 0);
	assert_int_equal(routes_count(rig.lookup.routes), 0);
}

static inline int
setup(void **state)
{
	(void)state;
	rig = (struct rig){.base = event_base_new(), .now_ms = 1000};
	assert_non_null(rig.base);
	rig.conf.values.mta_family = CONF_FAMILY_IPV4;
	rig.lookup.conf = &rig.conf;
	rig.lookup.dns = (struct dns *)(void *)&first_dns;
	(void)snprintf(rig.lookup.hostname, sizeof(rig.lookup.hostname), "self.example");
	rig.lookup.routes = routes_create(&rig.lookup);
	assert_non_null(rig.lookup.routes);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	routes_free(rig.lookup.routes);
	assert_int_equal(count_open(), 0);
	event_base_free(rig.base);
	return 0;
}

#endif

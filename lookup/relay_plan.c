/* SPDX-License-Identifier: ISC */
/*
 * Which servers mail goes to and which addresses it comes from, by an action's tables.
 *
 * Invariant: only what can be understood leaves here.  What a table has wrong is the
 * administrator's mistake, and so is a table that can't be asked: mail waits for him, it does
 * not go another way.  Nothing is fatal.
 */
#include "lookup/relay_plan.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lib/mail/relay_url.h"
#include "lookup/domains.h"

/* The first reason stands; what is asked at the same time may have one of its own. */
static void
say(struct relay_plan *out, enum ipc_outcome outcome, const char *status, const char *text)
{
	if (out->outcome != IPC_OK)
		return;
	out->outcome = outcome;
	str_cut(out->status, sizeof(out->status), status);
	str_cut(out->text, sizeof(out->text), text);
}

static void
say_wrong(struct relay_plan *out, const char *table, const char *item, const char *why)
{
	char shown[IPC_NAME_MAX], text[IPC_TEXT_MAX];

	str_quote(shown, sizeof(shown), item);
	(void)snprintf(text, sizeof(text), "table <%s>: %s %s", table, shown, why);
	say(out, IPC_RETRY, "4.3.5", text);
}

/* PENDING and TROUBLE; true with the others. */
static bool
is_answered(struct relay_plan *out, const char *table, enum table_answer answer)
{
	char text[IPC_TEXT_MAX];

	if (answer == TABLE_PENDING) {
		out->pending = true;
		return false;
	}
	if (answer != TABLE_TROUBLE)
		return true;
	(void)snprintf(text, sizeof(text), "table <%s> does not answer", table);
	say(out, IPC_RETRY, "4.4.3", text); /* RFC 3463 3.5: a directory server failed */
	return false;
}

/* -- what stands under a sender, or a domain -- */

static enum table_answer
find_by_domain(const struct policy *p, const char *table, enum table_service service,
    const char *domain, const char **value)
{
	enum table_answer r = TABLE_NO;

	if (domain[0] != '\0')
		r = inquiry_value(p->inquiry, table, service, domain, value);
	return r != TABLE_NO ? r : inquiry_value(p->inquiry, table, service, "*", value);
}

static enum table_answer
find_by_sender(const struct policy *p, const char *table, enum table_service service,
    const char *sender, const char **value)
{
	char key[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
	enum table_answer r;
	struct address a;

	if (address_parse(sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return TABLE_NO;
	(void)snprintf(key, sizeof(key), "%s@%s", a.local, a.domain);
	r = inquiry_value(p->inquiry, table, service, a.local[0] == '\0' ? "<>" : key, value);
	if (r == TABLE_NO && a.domain[0] != '\0')
		r = inquiry_value(p->inquiry, table, service, strrchr(key, '@'), value);
	return r != TABLE_NO ? r : find_by_domain(p, table, service, a.domain, value);
}

/* -- items: of a list, or of a value -- */

struct asker { /* of a table */
	const struct policy *policy;
	const struct relay_question *question;
	const char *table;
	struct relay_plan *out;
};

typedef void (*item_take)(const struct asker *a, const char *item);

/* One that is empty was cut short, or not written yet: that is no leave to go another way. */
static void
take_list(const struct asker *a, item_take take)
{
	char text[IPC_TEXT_MAX];
	const char *item;
	size_t i;

	if (inquiry_list_item(a->policy->inquiry, a->table, 0) == NULL) {
		(void)snprintf(text, sizeof(text), "table <%s> is empty", a->table);
		say(a->out, IPC_RETRY, "4.3.5", text);
	}
	for (i = 0; a->out->outcome == IPC_OK; i++) {
		if ((item = inquiry_list_item(a->policy->inquiry, a->table, i)) == NULL)
			return;
		take(a, item);
	}
}

static void
take_value(const struct asker *a, const char *value, item_take take)
{
	char text[RELAY_URL_MAX + 2]; /* what is too long still is */
	struct table_item item;

	while (a->out->outcome == IPC_OK && table_item_next(&value, &item)) {
		size_t n = item.len < sizeof(text) ? item.len : sizeof(text) - 1;

		memcpy(text, item.at, n);
		text[n] = '\0';
		take(a, text);
	}
}

/* All of a list, or what a mapping has for the sender; a mapping may have nothing. */
static void
take_table(const struct asker *a, enum table_service service, item_take take)
{
	enum table_answer found = inquiry_is_list(a->policy->inquiry, a->table);
	const char *value = "";

	if (found == TABLE_YES) {
		take_list(a, take);
		return;
	}
	if (found == TABLE_NO)
		found = find_by_sender(a->policy, a->table, service, a->question->sender, &value);
	if (is_answered(a->out, a->table, found))
		take_value(a, value, take);
}

/* -- servers -- */

/* What the parser refuses of an action's own URL, a table's must not get round. */
static const char *
what_is_wrong(const struct asker *a, const char *item)
{
	const struct conf_action *action = a->question->action;
	bool has_label, is_clear;
	struct relay_url url;

	if (strlen(item) > RELAY_URL_MAX || relay_url_parse(item, &url) == -1)
		return "is not the URL of a relay";
	has_label = url.label[0] != '\0';
	is_clear = url.tls == RELAY_TLS_NEVER;
	if (has_label && action->auth == NULL &&
	    conf_oauth_find(a->policy->conf, url.label) == NULL)
		return "has a label, and the action no credentials";
	if (has_label && (is_clear || action->tls_no_verify))
		return "has a label, which needs a server that was verified";
	if (is_clear && (action->tls_required || action->fingerprint != NULL))
		return "contradicts the TLS of the action";
	return a->out->nservers == RELAY_SERVERS_MAX ? "is one relay too many" : NULL;
}

static void
take_server(const struct asker *a, const char *item)
{
	const char *why = what_is_wrong(a, item);
	struct relay_plan *out = a->out;

	if (why != NULL)
		say_wrong(out, a->table, item, why);
	else
		str_cut(out->servers[out->nservers++], sizeof(out->servers[0]), item);
}

/* A domain that the table has not is nobody's: its own MX is not what was asked for. */
static void
find_by_recipient(const struct policy *p, const struct relay_question *q, struct relay_plan *out)
{
	const struct asker a = {p, q, q->action->domain_table, out};
	char shown[IPC_NAME_MAX], text[IPC_TEXT_MAX];
	enum table_answer found;
	const char *value = "";

	found = find_by_domain(p, a.table, SERVICE_RELAYHOST, q->dest, &value);
	if (!is_answered(out, a.table, found))
		return;
	take_value(&a, value, take_server);
	if (out->nservers > 0)
		return;
	str_quote(shown, sizeof(shown), q->dest);
	(void)snprintf(text, sizeof(text), "table <%s> has no relay for %s", a.table, shown);
	say(out, IPC_FAIL, "5.4.4", text);
}

static void
find_servers(const struct policy *p, const struct relay_question *q, struct relay_plan *out)
{
	const struct asker a = {p, q, q->action->host_table, out};

	if (q->action->host != NULL && strlen(q->action->host) > RELAY_URL_MAX)
		say(out, IPC_RETRY, "4.3.5", "host of the relay action too long");
	else if (q->action->host != NULL)
		str_cut(out->servers[out->nservers++], sizeof(out->servers[0]), q->action->host);
	else if (a.table != NULL)
		take_table(&a, SERVICE_RELAYHOST, take_server);
	else if (q->action->domain_table != NULL)
		find_by_recipient(p, q, out);
}

/* -- sources -- */

static void
take_source(const struct asker *a, const char *item)
{
	struct relay_plan *out = a->out;
	struct addr address;

	if (addr_parse(item, 0, &address) == -1)
		say_wrong(out, a->table, item, "is not an address");
	else if (out->nsources == RELAY_SOURCES_MAX)
		say_wrong(out, a->table, item, "is one address too many");
	else
		str_cut(
		    out->sources[out->nsources++].address, sizeof(out->sources[0].address), item);
}

/* Its address may be written in the one table as in the other, or as we do. */
static void
find_helo(const struct policy *p, const char *table, struct relay_source *s, struct relay_plan *out)
{
	enum table_answer found = TABLE_NO;
	const char *value = "";
	struct addr address;

	if (table != NULL)
		found = inquiry_value(p->inquiry, table, SERVICE_SOURCE, s->address, &value);
	if (addr_parse(s->address, 0, &address) == 0)
		addr_format(&address, s->address);
	if (table != NULL && found == TABLE_NO)
		found = inquiry_value(p->inquiry, table, SERVICE_SOURCE, s->address, &value);
	if (found == TABLE_NO || !is_answered(out, table, found))
		return;
	if (!address_helo_valid(value) || str_copy(s->helo, sizeof(s->helo), value) == -1)
		say_wrong(out, table, value, "is not the name of a host");
}

static void
find_sources(const struct policy *p, const struct relay_question *q, struct relay_plan *out)
{
	const struct asker a = {p, q, q->action->src, out};
	size_t i;

	if (a.table != NULL)
		take_table(&a, SERVICE_SOURCE, take_source);
	for (i = 0; i < out->nsources; i++)
		find_helo(p, q->action->helo_src, &out->sources[i], out);
}

/* -- both -- */

void
relay_plan_make(const struct policy *p, const struct relay_question *q, struct relay_plan *out)
{
	*out = (struct relay_plan){.outcome = IPC_OK};
	find_servers(p, q, out);
	find_sources(p, q, out);
}

int
relay_dest(const struct policy *p, const struct conf_action *action, const char *domain,
    char dst[IPC_NAME_MAX + 1])
{
	char canonical[ADDRESS_DOMAIN_MAX + 1];
	const char *url = action->host;

	if (url == NULL && action->host_table != NULL &&
	    inquiry_is_list(p->inquiry, action->host_table) == TABLE_YES)
		url = inquiry_list_item(p->inquiry, action->host_table, 0);
	if (url != NULL)
		return str_copy(dst, IPC_NAME_MAX + 1, url);
	domain_canonical(domain, canonical);
	return str_copy(dst, IPC_NAME_MAX + 1, canonical);
}

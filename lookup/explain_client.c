/* SPDX-License-Identifier: ISC */
/*
 * Explains who comes, where it came in, what the DNS calls it, and which limits
 * it is held to.
 *
 * Invariant: the DNS is asked exactly when it would be for live mail.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lookup/explain_private.h"
#include "lookup/filter.h"

/* -- the listener -- */

static void
listener_name(const struct conf_listener *l, char *dst, size_t size)
{
	if (l->socket || l->unix_path)
		(void)snprintf(dst, size, "%s", l->host);
	else
		(void)snprintf(dst, size, strchr(l->host, ':') == NULL ? "%s:%u" : "[%s]:%u",
		    l->host, l->port);
}

static bool
is_named(const struct conf_listener *l, const char *text)
{
	char name[CONF_STRING_MAX + 16], port[16];

	listener_name(l, name, sizeof(name));
	(void)snprintf(port, sizeof(port), "%u", l->port);
	return strcmp(text, name) == 0 || strcmp(text, l->host) == 0 ||
	       (l->tag != NULL && strcmp(text, l->tag) == 0) ||
	       (!l->socket && !l->unix_path && strcmp(text, port) == 0);
}

/* Without a name: the first one that such a client can come to. */
static bool
is_wanted(const struct explanation *x, const struct conf_listener *l)
{
	if (x->listener_text[0] != '\0')
		return is_named(l, x->listener_text);
	return x->socket == (l->socket || l->unix_path);
}

int
explain_find_listener(struct explanation *x)
{
	const struct conf *conf = x->lookup->conf;
	size_t i;

	x->listener = NULL;
	for (i = 0; x->listener == NULL && i < conf->nlisteners; i++)
		if (is_wanted(x, &conf->listeners[i]))
			x->listener = &conf->listeners[i];
	return x->listener == NULL && x->listener_text[0] != '\0' ? -1 : 0;
}

static void
add_part(char *dst, size_t size, const char *what, const char *name)
{
	char part[CONF_STRING_MAX];

	(void)snprintf(part, sizeof(part), "%s%s%s%s%s", dst[0] == '\0' ? "" : ", ", what,
	    name == NULL ? "" : " \"", name == NULL ? "" : name, name == NULL ? "" : "\"");
	(void)!str_append(dst, size, part);
}

static void
show_listener(struct explanation *x)
{
	static const char *const tls_words[] = {
	    [CONF_TLS_NONE] = "no TLS",
	    [CONF_TLS_STARTTLS] = "STARTTLS offered",
	    [CONF_TLS_REQUIRE] = "STARTTLS required",
	    [CONF_TLS_SMTPS] = "TLS from the start",
	};
	const struct conf_listener *l = x->listener;
	char name[CONF_STRING_MAX + 16], text[IPC_TEXT_MAX] = "";

	if (l == NULL)
		return;
	listener_name(l, name, sizeof(name));
	add_part(text, sizeof(text), tls_words[l->tls], NULL);
	if (l->auth || l->auth_optional)
		add_part(
		    text, sizeof(text), l->auth_optional ? "AUTH offered" : "AUTH required", NULL);
	if (l->tag != NULL)
		add_part(text, sizeof(text), "tag", l->tag);
	if (l->filter != NULL)
		add_part(text, sizeof(text), "filter", l->filter);
	explain_add(
	    x->tree, &(struct explain_step){.kind = "listener", .subject = name, .text = text});
}

/* -- the client -- */

/* RFC 5321 4.1.3: who has no name says its address. */
static void
set_helo(struct explanation *x)
{
	char literal[ADDR_TEXT_MAX];

	if (x->helo_text[0] != '\0') {
		str_cut(x->helo, sizeof(x->helo), x->helo_text);
	} else if (x->socket) {
		str_cut(x->helo, sizeof(x->helo), "localhost");
	} else {
		addr_literal(&x->client, literal);
		str_cut(x->helo, sizeof(x->helo), literal);
	}
}

/* A client is local, too, when it has the address that it came in by. */
static bool
is_at_home(const struct explanation *x)
{
	const struct conf_listener *l = x->listener;
	struct addr own;

	if (x->socket || addr_is_loopback(&x->client))
		return true;
	return l != NULL && !l->socket && !l->unix_path && addr_parse(l->host, 0, &own) == 0 &&
	       addr_equal(&x->client, &own);
}

static void
show_client(struct explanation *x)
{
	struct explain_tree *t = x->tree;
	char address[ADDR_TEXT_MAX] = "socket", mail[2 * IPC_ADDRESS_MAX + 32];

	if (!x->socket)
		addr_format(&x->client, address);
	explain_add(t, &(struct explain_step){.kind = "client",
			   .subject = address,
			   .text = x->local ? "this host" : "another host"});
	explain_in(t);
	show_listener(x);
	explain_add(t, &(struct explain_step){.kind = "helo", .subject = x->helo});
	if (x->auth[0] != '\0')
		explain_add(t, &(struct explain_step){.kind = "login", .subject = x->auth});
	explain_add(t, &(struct explain_step){.kind = "tls", .result = x->tls ? "yes" : "no"});
	(void)snprintf(mail, sizeof(mail), "from <%s> to <%s>", x->sender_text, x->rcpt_text);
	explain_add(t, &(struct explain_step){.kind = "mail", .subject = mail});
	explain_out(t);
}

static const struct {
	const char *result, *text;
} name_rows[IPC_RDNS__MAX] = {
    [IPC_RDNS_UNASKED] = {"", "not asked for: no rule or filter here depends on it"},
    [IPC_RDNS_NONE] = {"none", "the DNS has no name for the address"},
    [IPC_RDNS_TROUBLE] = {"trouble", "the DNS does not say"},
    [IPC_RDNS_NAMED] = {"named", "but that name does not lead back to the address"},
    [IPC_RDNS_CONFIRMED] = {"confirmed", "the name leads back to the address"},
};

static void
show_name(struct explanation *x)
{
	explain_in(x->tree);
	explain_add(x->tree, &(struct explain_step){.kind = "name",
				 .subject = x->name,
				 .result = name_rows[x->rdns].result,
				 .text = name_rows[x->rdns].text});
	explain_out(x->tree);
}

static void
set_name(struct explanation *x, enum ipc_rdns rdns, const char *name)
{
	x->rdns = rdns;
	str_cut(x->name, sizeof(x->name), name);
}

static void
on_name(void *arg, enum ipc_rdns rdns, const char *name)
{
	struct explanation *x = arg;

	x->query = NULL;
	set_name(x, rdns, name);
	inquiry_yield(x->inquiry);
}

/* As arrival.c has it, plus what rules ask. */
static bool
needs_name(const struct explanation *x)
{
	const struct conf *conf = x->lookup->conf;

	return rules_need_name(conf) || (x->listener != NULL && x->listener->filter != NULL &&
					    filter_needs_name(conf, x->listener->filter));
}

static void
ask_name(struct explanation *x)
{
	x->name_asked = true;
	set_name(x, IPC_RDNS_UNASKED, "");
	if (!needs_name(x))
		return;
	if (x->socket)
		set_name(x, IPC_RDNS_CONFIRMED, "localhost");
	else if ((x->query = rdns_ask(x->lookup->dns, &x->client, on_name, x)) == NULL)
		set_name(x, IPC_RDNS_TROUBLE, "");
}

enum stage_result
explain_client(struct explanation *x)
{
	/* The configuration may be another one than when it was asked, or before a wait. */
	if (explain_find_listener(x) == -1)
		return STAGE_LAST;
	x->local = is_at_home(x);
	x->tls = x->tls_said || (x->listener != NULL && x->listener->tls == CONF_TLS_SMTPS);
	set_helo(x);
	str_cut(x->sender, sizeof(x->sender), x->sender_text);
	str_cut(x->rcpt, sizeof(x->rcpt), x->rcpt_text);
	if (!x->name_asked)
		ask_name(x);
	if (x->query != NULL && x->is_late) {
		rdns_cancel(x->query);
		x->query = NULL;
		set_name(x, IPC_RDNS_TROUBLE, "");
	}
	if (x->query != NULL)
		return STAGE_AGAIN;
	show_client(x);
	show_name(x);
	return STAGE_NEXT;
}

/* -- limits -- */

static void
show_limit(struct explanation *x, const struct client_limit *l)
{
	const char *text = l->used > l->max ? "exceeded" : "";
	char result[64];

	if (l->max == UINT64_MAX) {
		text = "does not apply";
		(void)snprintf(result, sizeof(result), "%llu", (unsigned long long)l->used);
	} else {
		(void)snprintf(result, sizeof(result), "%llu/%llu", (unsigned long long)l->used,
		    (unsigned long long)l->max);
	}
	explain_add(x->tree, &(struct explain_step){.kind = "limit",
				 .subject = l->setting,
				 .result = result,
				 .text = text,
				 .decides = l->refuses});
}

/* Those of a message; how far they are used is for session to know. */
static void
show_message_limits(struct explanation *x)
{
	const struct conf_values *v = &x->lookup->conf->values;
	char size[32], rcpts[32];

	(void)snprintf(
	    size, sizeof(size), "%llu octets", (unsigned long long)v->smtp_max_message_bytes);
	(void)snprintf(rcpts, sizeof(rcpts), "%llu", (unsigned long long)v->smtp_max_recipients);
	explain_add(x->tree,
	    &(struct explain_step){.kind = "limit", .subject = "max-message-size", .text = size});
	explain_add(x->tree,
	    &(struct explain_step){.kind = "limit", .subject = "max-recipients", .text = rcpts});
}

/* As arrival.c has it: a table of exemptions that can't be asked exempts nobody. */
static enum table_answer
find_exemptions(struct explanation *x, struct client_entry *e)
{
	const char *table = x->lookup->conf->values.smtp_exempt;
	enum table_answer listed = TABLE_NO;

	if (table != NULL)
		listed = x->socket ? inquiry_has_word(x->inquiry, table, "unix")
				   : inquiry_has_network(x->inquiry, table, &x->client);
	e->any_limit = listed == TABLE_YES;
	e->any_rate = e->any_limit || (table == NULL && x->local);
	return listed;
}

static void
refuse(struct explanation *x, const struct client_refusal *r)
{
	explain_decide(x, r->code, r->status, r->text);
	explain_why(x, "over %s", r->limit);
}

enum stage_result
explain_limits(struct explanation *x)
{
	struct lookup *l = x->lookup;
	struct client_outlook outlook;
	enum table_answer listed;
	bool may_come;
	size_t i;

	explain_in(x->tree);
	x->exempt = (struct client_entry){.addr = &x->client};
	listed = find_exemptions(x, &x->exempt);
	if (listed == TABLE_PENDING) {
		explain_out(x->tree);
		return STAGE_AGAIN;
	}
	may_come = clients_foresee(
	    l->clients, &x->exempt, CLIENT_COMES, service_now_ms(l->service), &outlook);
	for (i = 0; i < CLIENT_LIMITS; i++)
		show_limit(x, &outlook.limits[i]);
	show_message_limits(x);
	explain_out(x->tree);
	if (may_come)
		return STAGE_NEXT;
	refuse(x, &outlook.refusal);
	return STAGE_LAST;
}

bool
explain_may(struct explanation *x, enum client_act act)
{
	struct lookup *l = x->lookup;
	struct client_outlook outlook;
	size_t i;

	if (clients_foresee(l->clients, &x->exempt, act, service_now_ms(l->service), &outlook))
		return true;
	for (i = 0; i < CLIENT_LIMITS; i++)
		if (outlook.limits[i].refuses)
			show_limit(x, &outlook.limits[i]);
	refuse(x, &outlook.refusal);
	return false;
}

enum stage_result
explain_rates(struct explanation *x)
{
	return explain_may(x, CLIENT_SENDS) ? STAGE_NEXT : STAGE_LAST;
}

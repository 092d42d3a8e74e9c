/* SPDX-License-Identifier: ISC */
/*
 * From an admin to the right process and back.
 *
 * Invariants: an admin has a question under way exactly while its verb is
 * set; an answer reaches it only from the process that was asked and only
 * when its row says that such an answer may come.  Nothing here is fatal.
 */
#include "control/relay.h"

#include <stdio.h>
#include <string.h>

#include "control/socket.h"
#include "lib/base/log.h"

#define NO_ROW MSG__MAX
#define CONSENT_MS \
	1900000 /* half an hour for somebody to type a code somewhere, and a little more */

/* What may be asked, whom, how long we wait, and what may come back. */
struct relay_verb {
	enum message_type question;
	enum role to; /* ROLE_CONTROL: every process, one after the other */
	int64_t wait_ms;
	enum message_type rows[2], end;
	bool may_decline; /* done may come in the place of all that */
};

/* clang-format off */
static const struct relay_verb verbs[] = {
    {MSG_list, ROLE_QUEUE, 30000, {MSG_list_message, MSG_list_rcpt}, MSG_list_end, false},
    {MSG_get, ROLE_QUEUE, 30000, {MSG_list_message, MSG_list_rcpt}, MSG_list_end, false},
    {MSG_read, ROLE_QUEUE, 30000, {NO_ROW, NO_ROW}, MSG_read_data, false},
    {MSG_change, ROLE_QUEUE, 60000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_clients, ROLE_LOOKUP, 10000, {MSG_clients_row, NO_ROW}, MSG_clients_end, false},
    {MSG_clients_clear, ROLE_LOOKUP, 10000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_certificates, ROLE_VAULT, 10000, {MSG_certificates_row, NO_ROW}, MSG_certificates_end, false},
    {MSG_logins, ROLE_VAULT, 10000, {MSG_logins_row, NO_ROW}, MSG_logins_end, false},
    {MSG_logins_clear, ROLE_VAULT, 10000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_find_in, ROLE_LOOKUP, 30000, {MSG_find_row, NO_ROW}, MSG_find_end, false},
    {MSG_find_secret, ROLE_VAULT, 30000, {MSG_find_row, NO_ROW}, MSG_find_end, false},
    {MSG_limits, ROLE_DELIVERY, 10000, {MSG_limits_row, NO_ROW}, MSG_limits_end, false},
    {MSG_tls_domains, ROLE_QUEUE, 30000, {MSG_tls_domains_row, NO_ROW}, MSG_tls_domains_end, false},
    {MSG_tls_forget, ROLE_QUEUE, 30000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_oauth_login, ROLE_VAULT, CONSENT_MS, {MSG_oauth_prompt, NO_ROW}, MSG_oauth_done, true},
    {MSG_oauth_code, ROLE_VAULT, 120000, {NO_ROW, NO_ROW}, MSG_oauth_done, true},
    {MSG_oauth_list, ROLE_VAULT, 10000, {MSG_oauth_row, NO_ROW}, MSG_oauth_end, false},
    {MSG_oauth_forget, ROLE_VAULT, 30000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_explain, ROLE_LOOKUP, 60000, {MSG_explain_row, NO_ROW}, MSG_explain_end, true},
    {MSG_table_update, ROLE_PARENT, 30000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_pause, ROLE_PARENT, 10000, {NO_ROW, NO_ROW}, MSG_done, false},
    {MSG_procs, ROLE_PARENT, 10000, {MSG_procs_row, NO_ROW}, MSG_procs_end, false},
    {MSG_stats, ROLE_CONTROL, 2000, {MSG_stats_row, NO_ROW}, MSG_stats_end, false},
#ifdef TEST_HOOKS
    {MSG_probe, ROLE_PARENT, 5000, {NO_ROW, NO_ROW}, MSG_probe_result, false},
#endif
};
/* clang-format on */

static void stats_ask_next(struct admin *a);

static const struct relay_verb *
verb_of(enum message_type question)
{
	size_t i;

	for (i = 0; i < NITEMS(verbs); i++)
		if (verbs[i].question == question)
			return &verbs[i];
	return NULL;
}

/*
 * Where a browser has to be waited for, smtpctl does that, and comes back with another
 * request: the prompt is all that this one gets.
 */
static bool
is_end_of(const struct relay_verb *v, enum message_type answer, const union message *msg)
{
	if (answer == MSG_oauth_prompt)
		return v->question == MSG_oauth_login && msg->oauth_prompt.how == IPC_OAUTH_BROWSER;
	return answer == v->end || (v->may_decline && answer == MSG_done);
}

static bool
is_row_of(const struct relay_verb *v, enum message_type answer)
{
	return answer == v->rows[0] || answer == v->rows[1];
}

/* -- questions -- */

static void
on_ask_failed(void *owner, uint32_t req, enum ask_failure why)
{
	struct admin *a = owner;
	bool is_stats = a->verb->to == ROLE_CONTROL;
	char text[IPC_NAME_MAX];

	(void)req;
	a->ask = 0;
	if (is_stats) {
		stats_ask_next(a);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s %s; try again", role_program(a->verb->to),
	    why == ASK_LOST ? "is being restarted" : "does not answer in time");
	a->verb = NULL;
	admin_done(a, IPC_RETRY, text);
}

static void
ask(struct admin *a, struct channel *to, const union message *msg)
{
	struct service *s = a->control->service;
	union message m = *msg;

	a->ask = ask_begin(
	    service_asks(s), to, service_now_ms(s) + a->verb->wait_ms, on_ask_failed, a);
	if (a->ask == 0) {
		a->verb = NULL;
		admin_done(a, IPC_RETRY, "out of memory");
		return;
	}
	/* A process that is down: the question fails by itself at the next tick. */
	m.req = a->ask;
	if (to != NULL)
		(void)channel_send(to, a->verb->question, &m);
}

/* "" stands for all of them. */
static void
log_whom(struct logline *l, const char *key, const char *whom)
{
	logline_str(l, key, whom[0] == '\0' ? "all" : whom);
}

static void
log_change(
    const struct admin *a, const char *change, enum message_type question, const union message *msg)
{
	struct logline l;

	logline_start(&l, LOG_LEVEL_INFO, "admin");
	logline_str(&l, "verb", change);
	if (question == MSG_change && msg->change.id == 0)
		logline_str(&l, "id", "all");
	else if (question == MSG_change)
		logline_id(&l, "id", msg->change.id);
	else if (question == MSG_clients_clear)
		log_whom(&l, "client", msg->clients_clear.client);
	else if (question == MSG_logins_clear)
		log_whom(&l, "login", msg->logins_clear.what);
	else if (question == MSG_table_update)
		logline_str(&l, "table", msg->table_update.table);
	else if (question == MSG_tls_forget)
		log_whom(&l, "domain", msg->tls_forget.domain);
	else if (question == MSG_oauth_login)
		logline_str(&l, "label", msg->oauth_login.label);
	else if (question == MSG_oauth_code)
		logline_str(&l, "label", msg->oauth_code.label);
	else if (question == MSG_oauth_forget)
		logline_str(&l, "label", msg->oauth_forget.label);
	logline_u64(&l, "uid", a->uid);
	logline_i64(&l, "pid", a->pid);
	logline_end(&l);
}

void
relay_question(struct admin *a, enum message_type question, const union message *msg)
{
	const char *change = access_change(question, msg);
	const struct relay_verb *verb = verb_of(question);

	if (a->verb != NULL) {
		channel_reject(a->ch, "a second request before the answer to the first");
		return;
	}
	a->control->requests++;
	a->last_ms = service_now_ms(a->control->service);
	a->req = msg->req;
	if (verb == NULL || a->level < access_needed(question, msg)) {
		admin_done(a, IPC_DENIED, "you may not do that");
		return;
	}
	if (change != NULL)
		log_change(a, change, question, msg);
	a->verb = verb;
	if (verb->to == ROLE_CONTROL) {
		a->next_process = 0;
		stats_ask_next(a);
	} else {
		ask(a, service_peer(a->control->service, verb->to, 0), msg);
	}
}

void
relay_cancel(struct admin *a)
{
	ask_end(service_asks(a->control->service), a->ask);
	a->ask = 0;
	a->verb = NULL;
}

/* -- counters: of this process, then of every other that is up, in the table's order -- */

/* Each counter bears the name of its role: no process counts in another's name. */
static void
send_counter(struct admin *a, enum role role, const char *name, uint64_t value)
{
	char full[IPC_WORD_MAX + 1];
	struct msg_stats_row m = {.req = a->req, .name = full, .value = value};
	size_t len = strlen(role_word(role));
	bool has_role = strncmp(name, role_word(role), len) == 0 && name[len] == '.';

	(void)snprintf(full, sizeof(full), "%s%s%s", has_role ? "" : role_word(role),
	    has_role ? "" : ".", name);
	admin_send(a, MSG_stats_row, &m);
}

static void
send_own_counters(struct admin *a)
{
	const struct control *c = a->control;

	send_counter(a, ROLE_CONTROL, "control.clients", c->nadmins);
	send_counter(a, ROLE_CONTROL, "control.connections", c->connections);
	send_counter(a, ROLE_CONTROL, "control.requests", c->requests);
	send_counter(a, ROLE_CONTROL, "control.refused", c->refused);
	send_counter(a, ROLE_CONTROL, "control.evicted", c->evicted);
}

static struct channel *
next_process(struct admin *a)
{
	struct channel *ch = NULL;

	while (ch == NULL && a->next_process < ROLE__MAX * IPC_INSTANCES_MAX) {
		enum role role = (enum role)(a->next_process / IPC_INSTANCES_MAX);
		uint32_t instance = a->next_process++ % IPC_INSTANCES_MAX;

		if (message_allowed(MSG_stats, ROLE_CONTROL, role) &&
		    (role != ROLE_PARENT || instance == 0))
			ch = service_peer(a->control->service, role, instance);
	}
	return ch;
}

static void
stats_ask_next(struct admin *a)
{
	union message question = {.stats = {0}};
	struct msg_stats_end end = {.req = a->req};
	struct channel *ch;

	if (a->next_process == 0)
		send_own_counters(a);
	if (a->ch == NULL)
		return;
	if ((ch = next_process(a)) != NULL) {
		ask(a, ch, &question);
		return;
	}
	a->verb = NULL;
	admin_send(a, MSG_stats_end, &end);
}

/* -- answers -- */

static void
forward_end(struct admin *a, enum message_type answer, const union message *m)
{
	ask_end(service_asks(a->control->service), a->ask);
	a->ask = 0;
	if (a->verb->to == ROLE_CONTROL) {
		stats_ask_next(a);
		return;
	}
	a->verb = NULL;
	admin_send(a, answer, m);
}

void
relay_answer(
    struct control *c, struct channel *from, enum message_type answer, const union message *msg)
{
	struct admin *a = ask_owner(service_asks(c->service), from, msg->req);
	union message m = *msg;

	if (a == NULL)
		return;
	m.req = a->req;
	if (is_end_of(a->verb, answer, msg))
		forward_end(a, answer, &m);
	else if (!is_row_of(a->verb, answer))
		channel_reject(from, "an answer to another question");
	else if (answer == MSG_stats_row)
		send_counter(a, channel_peer(from), m.stats_row.name, m.stats_row.value);
	else
		admin_send(a, answer, &m);
}

/* SPDX-License-Identifier: ISC */
/*
 * Explanations under way: from the question to the answer, stage by stage.
 *
 * Invariant: every question gets one answer, within EXPLAIN_MS and the time of one
 * turn; at most EXPLAINS_MAX are under way, so that an admin who asks without
 * end costs live mail little.  Nothing is fatal.
 */
#include "lookup/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lookup/explain_private.h"
#include "lookup/forward.h"

#define EXPLAINS_MAX 8
#define EXPLAIN_MS   40000 /* control waits for longer, and a resolver less */

struct explains {
	struct lookup *lookup;
	TAILQ_HEAD(, explanation) list; /* the oldest first */
	size_t n;
};

typedef enum stage_result (*stage_run)(struct explanation *x);

static const stage_run stages[] = {
    explain_client,
    explain_limits,
    explain_connect,
    explain_ehlo,
    explain_session,
    explain_mail_from,
    explain_rcpt_to,
    explain_rates,
    explain_check,
    explain_data,
    explain_commit,
    explain_expansion,
    explain_routes,
};

/* -- for the stages -- */

struct policy
explain_policy(const struct explanation *x)
{
	return (struct policy){
	    .conf = x->lookup->conf, .inquiry = x->inquiry, .hostname = x->lookup->hostname};
}

void
explain_decide(struct explanation *x, uint16_t code, const char *status, const char *text)
{
	struct explain_decision *d = &x->decision;

	*d = (struct explain_decision){.code = code};
	d->outcome = code < 300 ? IPC_OK : code < 500 ? IPC_RETRY : IPC_FAIL;
	str_cut(d->status, sizeof(d->status), status);
	str_cut(d->text, sizeof(d->text), text);
}

void
explain_why(struct explanation *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(x->decision.why, sizeof(x->decision.why), fmt, ap);
	va_end(ap);
}

/* -- life -- */

struct explains *
explains_create(struct lookup *l)
{
	struct explains *xs;

	if ((xs = calloc(1, sizeof(*xs))) == NULL)
		return NULL;
	xs->lookup = l;
	TAILQ_INIT(&xs->list);
	return xs;
}

/* What is under way outside of it. */
static void
stop_asking(struct explanation *x)
{
	rdns_cancel(x->query);
	x->query = NULL;
	if (x->way.routing)
		routes_forget(x->lookup->routes, x);
	expander_free(x->way.expander);
	map_free(x->way.asked, NULL);
	x->way = (struct explain_way){.expander = NULL};
	inquiry_free(x->inquiry);
	x->inquiry = NULL;
}

static void
explanation_free(struct explanation *x)
{
	struct explains *xs = x->all;

	stop_asking(x);
	explain_tree_free(x->tree);
	TAILQ_REMOVE(&xs->list, x, entry);
	xs->n--;
	free(x);
}

void
explains_free(struct explains *xs)
{
	struct explanation *x;

	if (xs == NULL)
		return;
	while ((x = TAILQ_FIRST(&xs->list)) != NULL)
		explanation_free(x);
	free(xs);
}

/* -- the answer -- */

static void
send_done(struct channel *ch, uint32_t req, enum ipc_outcome outcome, const char *text)
{
	struct msg_done m = {.req = req, .outcome = (uint8_t)outcome, .text = text};

	(void)channel_send(ch, MSG_done, &m);
}

static int
send_step(const struct explanation *x, size_t i)
{
	struct explain_shown shown;
	struct msg_explain_row m = {.req = x->req};

	explain_get(x->tree, i, &shown);
	m.depth = shown.depth;
	m.kind = shown.step.kind;
	m.subject = shown.step.subject;
	m.result = shown.step.result;
	m.text = shown.step.text;
	m.line = shown.step.line;
	m.decides = shown.step.decides;
	return channel_send(x->ch, MSG_explain_row, &m);
}

static int
send_dropped(const struct explanation *x)
{
	char text[64];
	struct msg_explain_row m = {
	    .req = x->req, .kind = "more", .subject = "", .result = "", .text = text};

	if (explain_dropped(x->tree) == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "and %zu more steps", explain_dropped(x->tree));
	return channel_send(x->ch, MSG_explain_row, &m);
}

static void
send_answer(const struct explanation *x)
{
	const struct explain_decision *d = &x->decision;
	struct msg_explain_end m = {.req = x->req,
	    .outcome = (uint8_t)d->outcome,
	    .code = d->code,
	    .status = d->status,
	    .text = d->text,
	    .why = d->why,
	    .action = d->action,
	    .rule_line = d->line};
	size_t i;

	/* Several of these at once must not be the end of the channel. */
	if (channel_pending_bytes(x->ch) > CHANNEL_MAX / 4) {
		send_done(x->ch, x->req, IPC_RETRY, "too much is being explained; try again");
		return;
	}
	for (i = 0; i < explain_count(x->tree); i++)
		if (send_step(x, i) == -1)
			return;
	if (send_dropped(x) == 0)
		(void)channel_send(x->ch, MSG_explain_end, &m);
}

/* -- going on -- */

/* False: it waits. */
static bool
run_stages(struct explanation *x)
{
	while (x->stage < NITEMS(stages)) {
		switch (stages[x->stage](x)) {
		case STAGE_NEXT:
			x->stage++;
			x->stage_mark = explain_mark(x->tree);
			break;
		case STAGE_AGAIN:
			explain_cut(x->tree, x->stage_mark);
			return false;
		case STAGE_GOES_ON:
			return false;
		case STAGE_LAST:
			return true;
		}
	}
	return true;
}

static void
on_resume(void *arg)
{
	struct explanation *x = arg;

	if (!run_stages(x) && !x->is_late)
		return;
	if (x->decision.code != 0)
		send_answer(x);
	else
		send_done(x->ch, x->req, IPC_RETRY, "it can't be found out now; try again");
	explanation_free(x);
}

/* "<users> virtual bob@example.org", or "forward bob": keys of memos are of two parts. */
static void
lookup_subject(const struct inquiry_event *e, char *dst, size_t size)
{
	if (e->service != SERVICE__MAX)
		(void)snprintf(
		    dst, size, "<%s> %s %s", e->source, service_word(e->service), e->key);
	else
		(void)snprintf(dst, size, "%s %.*s", e->source, (int)strcspn(e->key, "\n"), e->key);
}

/* In one line; of a .forward file without the word that says what it is. */
static void
lookup_text(const struct inquiry_event *e, char *dst, size_t size)
{
	struct forward f = {.text = e->value == NULL ? "" : e->value};
	char *p;

	if (e->service == SERVICE__MAX && !forward_parse(f.text, &f))
		f.text = e->value == NULL ? "" : e->value;
	str_cut(dst, size, f.text);
	for (p = dst; (p = strchr(p, '\n')) != NULL;)
		*p = p[1] == '\0' ? '\0' : ' ';
}

void
explain_lookup_step(struct explain_lookup *l, const struct inquiry_event *e)
{
	static const char *const words[] = {
	    [TABLE_NO] = "no", [TABLE_YES] = "yes", [TABLE_TROUBLE] = "trouble"};

	lookup_subject(e, l->subject, sizeof(l->subject));
	l->text[0] = '\0';
	if (e->answer == TABLE_YES)
		lookup_text(e, l->text, sizeof(l->text));
	l->step = (struct explain_step){
	    .kind = "lookup", .subject = l->subject, .result = words[e->answer], .text = l->text};
}

static void
on_lookup(void *arg, const struct inquiry_event *e)
{
	struct explanation *x = arg;
	struct explain_lookup l;

	if (e->answer == TABLE_PENDING)
		return;
	explain_lookup_step(&l, e);
	explain_add(x->tree, &l.step);
}

static int
make_inquiry(struct explanation *x)
{
	x->inquiry = inquiry_create(&x->lookup->sources, on_resume, x);
	if (x->inquiry == NULL)
		return -1;
	inquiry_observe(x->inquiry, on_lookup, x);
	return 0;
}

/* -- the question -- */

static int
take_question(struct explanation *x, const struct msg_explain *m)
{
	const struct {
		char *dst;
		size_t size;
		const char *src;
	} texts[] = {
	    {x->client_text, sizeof(x->client_text), m->client},
	    {x->listener_text, sizeof(x->listener_text), m->listener},
	    {x->helo_text, sizeof(x->helo_text), m->helo},
	    {x->auth, sizeof(x->auth), m->auth},
	    {x->sender_text, sizeof(x->sender_text), m->sender},
	    {x->rcpt_text, sizeof(x->rcpt_text), m->rcpt},
	};
	size_t i;

	for (i = 0; i < NITEMS(texts); i++)
		if (str_copy(texts[i].dst, texts[i].size, texts[i].src) == -1)
			return -1;
	x->tls_said = m->tls;
	return 0;
}

static int
take_client(struct explanation *x)
{
	const char *text = x->client_text;

	if (strcmp(text, "local") == 0)
		text = "127.0.0.1";
	else if (strcmp(text, "socket") == 0)
		text = "unix";
	if (host_parse(text, &x->client) == -1)
		return -1;
	x->socket = x->client.ss.ss_family == AF_UNIX;
	return 0;
}

static struct explanation *
explanation_create(struct explains *xs, struct channel *ch, const struct msg_explain *m)
{
	struct explanation *x;

	if (xs->n == EXPLAINS_MAX || (x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	x->all = xs;
	x->lookup = xs->lookup;
	x->ch = ch;
	x->req = m->req;
	x->deadline_ms = service_now_ms(x->lookup->service) + EXPLAIN_MS;
	TAILQ_INSERT_TAIL(&xs->list, x, entry);
	xs->n++;
	if (take_question(x, m) == 0 && (x->tree = explain_tree_create()) != NULL &&
	    make_inquiry(x) == 0)
		return x;
	explanation_free(x);
	return NULL;
}

/* NULL: it can be answered. */
static const char *
what_is_wrong(struct explanation *x, char *text, size_t size)
{
	char shown[IPC_NAME_MAX];

	if (take_client(x) == -1) {
		str_quote(shown, sizeof(shown), x->client_text);
		(void)snprintf(text, size,
		    "%s is no address of a client; \"local\" and \"socket\" are words for one",
		    shown);
		return text;
	}
	if (explain_find_listener(x) == -1) {
		str_quote(shown, sizeof(shown), x->listener_text);
		(void)snprintf(text, size, "there is no listener %s", shown);
		return text;
	}
	return NULL;
}

void
explain_begin(struct explains *xs, struct channel *ch, const struct msg_explain *m)
{
	struct explanation *x = explanation_create(xs, ch, m);
	char text[IPC_TEXT_MAX];

	if (x == NULL) {
		send_done(ch, m->req, IPC_RETRY, "too much is being explained; try again");
		return;
	}
	if (what_is_wrong(x, text, sizeof(text)) != NULL) {
		send_done(ch, m->req, IPC_FAIL, text);
		explanation_free(x);
		return;
	}
	on_resume(x);
}

/* -- from outside -- */

static void
start_again(struct explanation *x)
{
	stop_asking(x);
	explain_cut(x->tree, 0);
	x->stage = 0;
	x->stage_mark = 0;
	x->name_asked = x->junk = x->bypass = false;
	x->decision = (struct explain_decision){.code = 0};
	if (make_inquiry(x) == 0) {
		inquiry_yield(x->inquiry);
		return;
	}
	send_done(x->ch, x->req, IPC_RETRY, "out of memory");
	explanation_free(x);
}

void
explains_restart(struct explains *xs)
{
	struct explanation *x, *next;

	for (x = TAILQ_FIRST(&xs->list); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		start_again(x);
	}
}

void
explains_unlink(struct explains *xs, const struct channel *ch)
{
	struct explanation *x, *next;

	for (x = TAILQ_FIRST(&xs->list); x != NULL; x = next) {
		next = TAILQ_NEXT(x, entry);
		if (x->ch == ch)
			explanation_free(x);
	}
}

void
explains_tick(struct explains *xs, int64_t now_ms)
{
	struct explanation *x;

	/* All have the same time, so the oldest is first. */
	while ((x = TAILQ_FIRST(&xs->list)) != NULL && x->deadline_ms <= now_ms) {
		x->is_late = true;
		inquiry_give_up(x->inquiry);
		on_resume(x);
	}
}

size_t
explains_count(const struct explains *xs)
{
	return xs->n;
}

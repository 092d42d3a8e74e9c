/* SPDX-License-Identifier: ISC */
/*
 * Expansions under way.
 *
 * Invariant: each is in the list of all, and in the one of those that can go on as long
 * as neither an answer nor room in its channel nor its turn is waited for.  A turn of the
 * loop does SLICE_MS of work on all of them together, so that whoever asks something else
 * meanwhile waits no longer, however many members a list has.  LARGE_MAX of those that
 * turn out to be large are kept at once: the others begin anew when one is over.
 * Nothing is fatal.
 */
#include "lookup/expansions.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lookup/expand.h"
#include "lookup/lookup.h"
#include "lookup/recipient.h"
#include "lookup/relay_plan.h"

#define EXPANSIONS_MAX 4096 /* the queue has fewer under way */
/* After that others are not waited for any more; the queue waits longer than for both of the last. */
#define ANSWER_MS	60000
#define LINE_MS		40000 /* until it is a large one's turn */
#define LARGE_ANSWER_MS 45000
#define SLICE_MS	3  /* of work in a turn */
#define SLICE_TARGETS	16 /* between two looks at the clock */
#define SLICE_ITEMS	64
#define LARGE_MAX	4 /* some megabytes each, here and in the queue */

TAILQ_HEAD(task_list, task);

struct task { /* owned by expansions */
	TAILQ_ENTRY(task) entry, ready_entry;
	struct expansions *expansions;
	struct channel *ch;
	uint32_t req;
	int64_t deadline_ms;
	struct address address;
	char action[CONF_NAME_MAX + 1]; /* "": the rules choose */
	bool is_ready, is_done, has_given_up;
	bool is_large;		   /* it counts as one of LARGE_MAX */
	bool is_in_line;	   /* large, and not begun: ready_entry is of that list */
	struct inquiry *inquiry;   /* with the expander; NULL: it is to begin */
	struct expander *expander; /* frees no inquiry */
	size_t nsent;
};

struct expansions {
	struct lookup *lookup;
	struct task_list all, ready; /* ready: whose turn is next first */
	struct task_list line;	     /* of large ones, who came first first */
	size_t n, nlarge;
	struct inquiry *wake; /* asks nothing: it brings the next turn */
};

struct expansions *
expansions_create(struct lookup *l)
{
	struct expansions *x;

	if ((x = calloc(1, sizeof(*x))) == NULL)
		return NULL;
	x->lookup = l;
	TAILQ_INIT(&x->all);
	TAILQ_INIT(&x->ready);
	TAILQ_INIT(&x->line);
	return x;
}

static void
task_reset(struct task *t)
{
	expander_free(t->expander);
	inquiry_free(t->inquiry);
	t->expander = NULL;
	t->inquiry = NULL;
	t->has_given_up = false;
}

static void
task_rest(struct task *t)
{
	if (t->is_ready)
		TAILQ_REMOVE(&t->expansions->ready, t, ready_entry);
	t->is_ready = false;
}

static void
task_wake(struct task *t)
{
	if (!t->is_ready && !t->is_in_line)
		TAILQ_INSERT_TAIL(&t->expansions->ready, t, ready_entry);
	t->is_ready = !t->is_in_line;
	inquiry_yield(t->expansions->wake);
}

/* -- large ones -- */

static void
line_leave(struct task *t)
{
	if (t->is_in_line)
		TAILQ_REMOVE(&t->expansions->line, t, ready_entry);
	t->is_in_line = false;
}

/* There may be room for the next one. */
static void
line_move(struct expansions *x)
{
	struct task *t;

	while (x->nlarge < LARGE_MAX && (t = TAILQ_FIRST(&x->line)) != NULL) {
		line_leave(t);
		t->is_large = true;
		t->deadline_ms = service_now_ms(x->lookup->service) + LARGE_ANSWER_MS;
		x->nlarge++;
		task_wake(t);
	}
}

/* It turned out to be large. */
static void
line_join(struct task *t)
{
	task_rest(t);
	task_reset(t);
	t->is_in_line = true;
	t->deadline_ms = service_now_ms(t->expansions->lookup->service) + LINE_MS;
	TAILQ_INSERT_TAIL(&t->expansions->line, t, ready_entry);
	line_move(t->expansions);
}

static void
task_free(struct task *t)
{
	struct expansions *x = t->expansions;

	task_rest(t);
	task_reset(t);
	line_leave(t);
	x->nlarge -= t->is_large;
	TAILQ_REMOVE(&x->all, t, entry);
	x->n--;
	free(t);
}

void
expansions_free(struct expansions *x)
{
	struct task *t;

	if (x == NULL)
		return;
	while ((t = TAILQ_FIRST(&x->all)) != NULL)
		task_free(t);
	inquiry_free(x->wake);
	free(x);
}

/* -- answers -- */

static void
log_expansion(const struct task *t, const struct expansion *e)
{
	char address[ADDRESS_MAX + 1];
	struct logline l;

	if (e->problems == 0)
		return;
	if (address_format(&t->address, address, sizeof(address)) == -1)
		address[0] = '\0';
	logline_start(&l, LOG_LEVEL_WARN, "expand-problem");
	logline_str(&l, "address", address);
	logline_str(&l, "status", e->status);
	logline_str(&l, "problem", e->text);
	logline_u64(&l, "problems", e->problems);
	logline_u64(&l, "recipients", e->nitems - e->nfailed - e->nlater);
	logline_end(&l);
}

static void
refuse(struct lookup *l, struct channel *ch, const struct msg_expand_end *end)
{
	l->counters.expansions_failed++;
	(void)channel_send(ch, MSG_expand_end, end);
}

/* Its turn did not come: the queue will ask again. */
static void
task_refuse(struct task *t)
{
	struct msg_expand_end end = {
	    .req = t->req, .outcome = IPC_RETRY, .status = "4.3.0", .text = "too much to do"};

	refuse(t->expansions->lookup, t->ch, &end);
	task_free(t);
}

/* True when it is over: everything is sent, or nobody is there to read it. */
static bool
task_send(struct task *t)
{
	const struct expansion *e = expander_result(t->expander);
	struct msg_expand_end end = {
	    .req = t->req, .outcome = (uint8_t)e->outcome, .status = "", .text = ""};
	size_t n;

	for (n = 0; t->nsent < e->nitems; n++, t->nsent++) {
		const struct expand_item *item = &e->items[t->nsent];
		struct msg_expand_item m = {.req = t->req,
		    .address = item->address,
		    .action = item->action,
		    .user = item->user,
		    .dest = item->dest};

		if (channel_pending_bytes(t->ch) > CHANNEL_HIGH) {
			task_rest(t); /* until expansions_go_on() */
			return false;
		}
		if (n == SLICE_ITEMS)
			return false;
		if (channel_send(t->ch, MSG_expand_item, &m) == -1)
			return true;
	}
	if (e->outcome != IPC_OK) {
		end.status = e->status;
		end.text = e->text;
	}
	(void)channel_send(t->ch, MSG_expand_end, &end);
	return true;
}

/* -- work -- */

static void
on_resume(void *arg)
{
	task_wake(arg);
}

/* The configuration may be another one than when it was asked for.  -1: it is over. */
static int
task_begin(struct task *t)
{
	struct lookup *l = t->expansions->lookup;
	const struct conf_action *action = conf_action_find(l->conf, t->action);
	struct msg_expand_end end = {
	    .req = t->req, .outcome = IPC_RETRY, .status = "4.3.0", .text = "out of memory"};
	struct policy policy;

	if (action == NULL && t->action[0] != '\0')
		end.text = "the action is no longer configured";
	else if ((t->inquiry = lookup_inquiry(l, on_resume, t)) != NULL) {
		policy = lookup_policy(l, t->inquiry);
		if ((t->expander = expander_create(&policy, &t->address, action)) != NULL)
			return 0;
	}
	refuse(l, t->ch, &end);
	return -1;
}

/* True when it is over. */
static bool
task_expand(struct task *t)
{
	if (t->expander == NULL && task_begin(t) == -1)
		return true;
	switch (expander_run(t->expander, SLICE_TARGETS)) {
	case EXPAND_MORE:
		break;
	case EXPAND_PENDING:
		task_rest(t);
		break;
	case EXPAND_DONE:
		t->is_done = true;
		t->expansions->lookup->counters.expansions_failed +=
		    expander_result(t->expander)->outcome != IPC_OK;
		log_expansion(t, expander_result(t->expander));
		return false;
	}
	if (!t->is_large && expander_is_large(t->expander))
		line_join(t);
	return false;
}

static void
on_wake(void *arg)
{
	int64_t started_ms = time_mono_ms();
	struct expansions *x = arg;
	struct task *t;

	while ((t = TAILQ_FIRST(&x->ready)) != NULL) {
		TAILQ_REMOVE(&x->ready, t, ready_entry);
		TAILQ_INSERT_TAIL(&x->ready, t, ready_entry);
		if (t->is_done ? task_send(t) : task_expand(t))
			task_free(t);
		line_move(x);
		if (time_mono_ms() - started_ms >= SLICE_MS)
			break;
	}
	if (!TAILQ_EMPTY(&x->ready))
		inquiry_yield(x->wake);
}

/*
 * Who is relayed by an action that is known stands for himself: nothing is followed,
 * nobody asked, so it is answered at once.  False: it takes a task to ask a table for
 * the host, or to say what is wrong.
 */
static bool
answer_relayed(struct lookup *l, struct channel *ch, const struct msg_expand *m)
{
	const struct conf_action *action = conf_action_find(l->conf, m->action);
	const struct policy policy = lookup_policy(l, NULL);
	char address[ADDRESS_MAX + 1], dest[IPC_NAME_MAX + 1];
	struct msg_expand_item item = {
	    .req = m->req, .address = address, .action = m->action, .user = "", .dest = dest};
	struct msg_expand_end end = {.req = m->req, .outcome = IPC_OK, .status = "", .text = ""};
	struct address a;

	if (action == NULL || action_is_local(action) || action->host_table != NULL ||
	    channel_pending_bytes(ch) > CHANNEL_HIGH ||
	    recipient_parse(&policy, m->address, &a) == -1 ||
	    relay_dest(&policy, action, a.domain, dest) == -1 ||
	    address_format(&a, address, sizeof(address)) == -1)
		return false;
	if (channel_send(ch, MSG_expand_item, &item) == 0)
		(void)channel_send(ch, MSG_expand_end, &end);
	return true;
}

void
expansion_begin(struct expansions *x, struct channel *ch, const struct msg_expand *m)
{
	struct msg_expand_end end = {
	    .req = m->req, .outcome = IPC_RETRY, .status = "4.3.0", .text = "too much to do"};
	struct lookup *l = x->lookup;
	struct task *t = NULL;

	l->counters.expansions++;
	if (answer_relayed(l, ch, m))
		return;
	if (x->wake == NULL)
		x->wake = lookup_inquiry(l, on_wake, x);
	if (x->wake == NULL || x->n == EXPANSIONS_MAX || (t = calloc(1, sizeof(*t))) == NULL) {
		refuse(l, ch, &end);
		return;
	}
	t->expansions = x;
	t->ch = ch;
	t->req = m->req;
	t->deadline_ms = service_now_ms(l->service) + ANSWER_MS;
	TAILQ_INSERT_TAIL(&x->all, t, entry);
	x->n++;
	if (recipient_parse(&(struct policy){.hostname = l->hostname}, m->address, &t->address) ==
		0 &&
	    str_copy(t->action, sizeof(t->action), m->action) == 0) {
		task_wake(t);
		return;
	}
	end.outcome = IPC_FAIL;
	end.status = "5.1.3";
	end.text = "not an address";
	refuse(l, ch, &end);
	task_free(t);
}

/* -- what happens meanwhile -- */

void
expansions_reload(struct expansions *x)
{
	struct task *t;

	for (t = TAILQ_FIRST(&x->all); t != NULL; t = TAILQ_NEXT(t, entry)) {
		if (t->is_done)
			continue;
		task_reset(t);
		task_wake(t);
	}
}

void
expansions_unlink(struct expansions *x, const struct channel *ch)
{
	struct task *t, *next;

	for (t = TAILQ_FIRST(&x->all); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (t->ch == ch)
			task_free(t);
	}
	line_move(x);
}

void
expansions_go_on(struct expansions *x, const struct channel *ch)
{
	struct task *t;

	for (t = TAILQ_FIRST(&x->all); t != NULL; t = TAILQ_NEXT(t, entry))
		if (t->ch == ch && t->is_done)
			task_wake(t);
}

/* What nobody answered by now is expanded later; the rest is not held up. */
void
expansions_tick(struct expansions *x, int64_t now_ms)
{
	struct task *t, *next;

	for (t = TAILQ_FIRST(&x->all); t != NULL; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (t->deadline_ms > now_ms)
			continue;
		if (t->is_in_line) {
			task_refuse(t);
		} else if (!t->has_given_up && t->inquiry != NULL && !t->is_done) {
			t->has_given_up = true;
			inquiry_give_up(t->inquiry);
			task_wake(t);
		}
	}
}

size_t
expansions_count(const struct expansions *x)
{
	return x->n;
}

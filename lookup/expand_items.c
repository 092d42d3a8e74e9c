/* SPDX-License-Identifier: ISC */
/*
 * What comes of an expansion: whom it is delivered to, and what can't be.
 *
 * Invariant: the same mailbox is an item once, and so is the same failure; the status and
 * text of the whole are those of the first problem, or of what ended it.  Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lookup/domains.h"
#include "lookup/expand_private.h"
#include "lookup/relay_plan.h"

/* -- what was there before -- */

bool
expand_seen_first(struct expander *e, const char *key)
{
	static char mark;

	if (map_get(e->seen, key) != NULL)
		return false;
	if (map_set(e->seen, key, &mark) == 0)
		return true;
	e->no_memory = true;
	return false;
}

/* -- what comes of it -- */

void
expand_items_drop(struct expansion *x)
{
	while (x->nitems > 0)
		free((char *)(uintptr_t)x->items[--x->nitems].address);
	free(x->items);
	x->items = NULL;
	x->nfailed = x->nlater = 0;
}

/* Room for one more; capacities are powers of two. */
static bool
items_reserve(struct expansion *x)
{
	size_t n = x->nitems;
	struct expand_item *items;

	if ((n & (n - 1)) != 0)
		return true;
	if ((items = reallocarray(x->items, n == 0 ? 1 : 2 * n, sizeof(*items))) == NULL)
		return false;
	x->items = items;
	return true;
}

/* Copies s to *at, which moves behind it. */
static const char *
put_string(char **at, const char *s)
{
	size_t size = strlen(s) + 1;
	char *here = *at;

	memcpy(here, s, size);
	*at += size;
	return here;
}

/* False when memory ran out.  The four strings are one allocation, freed by the first. */
static bool
append_item(
    struct expander *e, const char *address, const char *action, const char *user, const char *dest)
{
	struct expand_item *i;
	char *at;

	at = malloc(strlen(address) + strlen(action) + strlen(user) + strlen(dest) + 4);
	if (at == NULL || !items_reserve(&e->out)) {
		free(at);
		e->no_memory = true;
		return false;
	}
	i = &e->out.items[e->out.nitems++];
	i->address = put_string(&at, address);
	i->action = put_string(&at, action);
	i->user = put_string(&at, user);
	i->dest = put_string(&at, dest);
	return true;
}

unsigned int
expander_depth(const struct expander *e)
{
	return (unsigned int)e->nframes;
}

void
expand_tell(const struct expander *e, const char *kind, const char *subject, const struct step *s,
    const char *text)
{
	const struct expand_event event = {.depth = expander_depth(e),
	    .kind = kind,
	    .subject = subject,
	    .action = s->action != NULL ? s->action->name : "",
	    .text = text};

	if (e->observe != NULL)
		e->observe(e->observe_arg, &event);
}

/* -- what can go wrong -- */

/* The first problem is the reason of the whole, if it comes to that. */
static void
note_problem(struct expander *e, const char *status, const char *text, const char *what)
{
	char shown[EXPAND_TEXT_MAX / 2];

	if (e->out.problems++ > 0)
		return;
	str_quote(shown, sizeof(shown), what);
	if (str_copy(e->out.status, sizeof(e->out.status), status) == -1)
		e->out.status[0] = '\0';
	(void)snprintf(e->out.text, sizeof(e->out.text), "%s: %s", text, shown);
}

/* What is no address may hold any octets. */
void
expand_add_failed(struct expander *e, const char *status, const char *text, const char *what)
{
	char shown[IPC_ADDRESS_MAX], key[sizeof(shown) + 8], dest[IPC_NAME_MAX];
	struct address a;

	note_problem(e, status, text, what);
	if (strlen(what) >= sizeof(shown) || address_parse(what, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		str_escape(shown, sizeof(shown), what, strlen(what));
	else
		(void)!str_copy(shown, sizeof(shown), what);
	if (str_format(key, sizeof(key), "fail %s", shown) == -1 ||
	    str_format(dest, sizeof(dest), EXPAND_FAILED "%s %s", status, text) == -1 ||
	    !expand_seen_first(e, key))
		return;
	e->out.nfailed += append_item(e, shown, "", "", dest);
}

void
expand_fail_all(struct expander *e, const char *text, const char *what)
{
	e->out.outcome = IPC_FAIL;
	e->out.problems = 0;
	note_problem(e, "5.2.4", text, what);
}

/*
 * The address that a step can be expanded by later, without what led to it.  -1: there
 * is none that would certainly mean the same.
 */
static int
later_address(const struct expander *e, const struct plan *plan, char *dst, size_t size)
{
	struct address a = plan->step.address;
	const struct step *s = &plan->step;

	if (e->nframes == 0 || !plan->is_step)
		return -1;
	if (s->name[0] != '\0') {
		if (s->no_alias || s->action->virtual != NULL ||
		    str_copy(a.local, sizeof(a.local), s->name) == -1)
			return -1;
	}
	return address_format(&a, dst, size);
}

void
expand_add_later(struct expander *e, const struct plan *plan, const char *what)
{
	const struct conf_action *action = plan->step.action;
	char address[ADDRESS_MAX + 1];

	note_problem(e, plan->status, plan->why, what);
	if (later_address(e, plan, address, sizeof(address)) == -1) {
		e->out.outcome = IPC_RETRY;
		e->out.problems = 0;
		note_problem(e, plan->status, plan->why, what);
	} else
		e->out.nlater += append_item(
		    e, address, action != NULL ? action->name : "", "", EXPAND_LATER);
}

/* -- items -- */

static void
add_item(struct expander *e, const struct step *s, const char *user, const char *dest)
{
	char address[ADDRESS_MAX + 1];

	if (address_format(&s->address, address, sizeof(address)) == -1)
		expand_add_failed(e, "5.1.3", "address too long", s->address.local);
	else
		(void)append_item(e, address, s->action->name, user, dest);
}

/*
 * What tells one mailbox of an account from another: nothing, the canonical
 * address, or the address as it is.  What is not known to be the same is not.
 */
static void
mailbox_address(const struct expander *e, const struct step *s, struct address *out)
{
	const char *target = s->action->target;

	*out = s->address;
	if (s->action->kind != CONF_ACTION_MAILDIR ||
	    (target != NULL && strstr(target, "%{rcpt") != NULL))
		return;
	address_canonical(out, s->tagged ? NULL : e->policy.conf->values.smtp_subaddr);
	domain_canonical(s->address.domain, out->domain);
	if (target == NULL || strstr(target, "%{dest") == NULL)
		out->local[0] = out->domain[0] = '\0';
}

void
expand_add_local(struct expander *e, const struct step *s, const char *user)
{
	char key[ADDRESS_MAX + ACCOUNT_MAX + CONF_NAME_MAX + 16], dest[ACCOUNT_MAX + 16];
	struct address a;
	bool tagged;

	mailbox_address(e, s, &a);
	tagged = s->tagged && a.local[0] != '\0';
	if (str_format(dest, sizeof(dest), "%s%s", tagged ? MAILBOX_DEST_TAGGED : MAILBOX_DEST,
		user) == -1 ||
	    str_format(key, sizeof(key), "item %s\n%s\n%s@%s", s->action->name, user, a.local,
		a.domain) == -1)
		expand_add_failed(e, "5.1.3", "name too long", user);
	else if (expand_seen_first(e, key)) {
		expand_tell(e, "mailbox", user, s, dest);
		add_item(e, s, user, dest);
	}
}

void
expand_add_relay(struct expander *e, const struct step *s, const char *what)
{
	char dest[IPC_NAME_MAX + 1];

	if (relay_dest(&e->policy, s->action, s->address.domain, dest) == -1) {
		expand_add_failed(e, "5.3.5", "host of the relay action too long", s->action->name);
		return;
	}
	expand_tell(e, "relay", what, s, dest);
	add_item(e, s, "", dest);
}

/* -- the end -- */

void
expand_settle(struct expander *e)
{
	struct expansion *x = &e->out;

	if (e->no_memory) {
		*x->status = '\0';
		x->outcome = IPC_RETRY;
		x->problems = 0;
		note_problem(e, "4.3.0", "out of memory", e->first.address.local);
	} else if (x->outcome == IPC_OK && x->nlater > 0 && x->nlater == x->nitems)
		x->outcome = IPC_RETRY;
	else if (x->outcome == IPC_OK && x->nfailed == x->nitems) {
		x->outcome = IPC_FAIL;
		if (x->problems == 0)
			note_problem(
			    e, "5.2.4", "the alias leads to nobody", e->first.address.local);
	}
	if (x->outcome != IPC_OK)
		expand_items_drop(x);
}

/* SPDX-License-Identifier: ISC */
/*
 * Expansion of recipients: a list of steps that grows as aliases are followed.
 *
 * Invariant: seen holds a key for each step and each item there is, so that
 * nothing is done twice and every loop ends; at most EXPAND_WIDTH_MAX targets
 * are followed, at most EXPAND_DEPTH_MAX deep.  Nothing is fatal.
 */
#include "lookup/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lookup/recipient.h"

#define TARGET_MAX ADDRESS_MAX /* octets of one target of an alias */

struct step {
	struct address address;		  /* the nearest address above, or what is to be expanded */
	char name[ADDRESS_LOCAL_MAX + 1]; /* to be expanded; "": the address is */
	const struct conf_action *action;
	unsigned int depth;
	bool no_alias; /* the name is a mailbox, whatever the alias table has */
	bool tagged;   /* the tag of address is part of the mailbox's name */
};

struct expander {
	const struct policy *policy;
	struct step *steps;
	size_t nsteps, cap;
	size_t ntargets; /* of all aliases, repeated ones included */
	struct map *seen;
	struct expansion *out;
	int error; /* errno that ended it */
};

/* -- what was there before -- */

/* True when the key is new; false when it was there, or memory ran out. */
static bool
seen_first(struct expander *e, const char *key)
{
	static char mark;

	if (map_get(e->seen, key) != NULL)
		return false;
	if (map_set(e->seen, key, &mark) == 0)
		return true;
	e->error = errno;
	return false;
}

/* -- what comes of it -- */

static void
item_free(struct expand_item *i)
{
	free(i->address);
	free(i->user);
	free(i->dest);
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

/* False when memory ran out. */
static bool
append_item(
    struct expander *e, const char *address, const char *action, const char *user, const char *dest)
{
	struct expand_item item = {.action = action,
	    .address = strdup(address),
	    .user = strdup(user),
	    .dest = strdup(dest)};

	if (item.address == NULL || item.user == NULL || item.dest == NULL ||
	    !items_reserve(e->out)) {
		item_free(&item);
		e->error = ENOMEM;
		return false;
	}
	e->out->items[e->out->nitems++] = item;
	return true;
}

/* -- what can go wrong -- */

/* What is no address may hold any octets. */
static void
add_failed(struct expander *e, const char *status, const char *text, const char *what)
{
	char shown[IPC_ADDRESS_MAX], key[sizeof(shown) + 8], dest[IPC_NAME_MAX];
	struct address a;

	if (strlen(what) >= sizeof(shown) || address_parse(what, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		str_escape(shown, sizeof(shown), what, strlen(what));
	else
		(void)!str_copy(shown, sizeof(shown), what);
	if (str_format(key, sizeof(key), "fail %s", shown) == -1 ||
	    str_format(dest, sizeof(dest), EXPAND_FAILED "%s %s", status, text) == -1 ||
	    !seen_first(e, key))
		return;
	e->out->nfailed += append_item(e, shown, "", "", dest);
}

static void
add_problem(struct expander *e, const char *status, const char *text, const char *what)
{
	char shown[ADDRESS_MAX];

	add_failed(e, status, text, what);
	if (e->out->problems++ > 0)
		return;
	str_quote(shown, sizeof(shown) / 4, what);
	if (str_copy(e->out->status, sizeof(e->out->status), status) == -1 ||
	    str_format(e->out->text, sizeof(e->out->text), "%s: %s", text, shown) == -1)
		e->out->text[0] = '\0';
}

/* Too much: better nobody gets it, and the sender hears of it, than some do and he does not. */
static void
fail_all(struct expander *e, const char *text, const char *what)
{
	e->out->outcome = IPC_FAIL;
	e->out->problems = 0;
	add_problem(e, "5.2.4", text, what);
}

static void
add_trouble(struct expander *e)
{
	e->out->outcome = IPC_RETRY;
}

/* -- steps -- */

static bool
steps_reserve(struct expander *e)
{
	size_t cap = e->cap == 0 ? 8 : e->cap * 2;
	struct step *steps;

	if (e->nsteps < e->cap)
		return true;
	if ((steps = reallocarray(e->steps, cap, sizeof(*steps))) == NULL) {
		e->error = errno;
		return false;
	}
	e->steps = steps;
	e->cap = cap;
	return true;
}

static void
add_step(struct expander *e, const struct step *s)
{
	char key[ADDRESS_MAX + ADDRESS_LOCAL_MAX + CONF_NAME_MAX + 16];

	if (str_format(key, sizeof(key), "step %d %s\n%s\n%s@%s", s->no_alias, s->action->name,
		s->name, s->address.local, s->address.domain) == -1) {
		add_problem(e, "5.2.4", "address too long", s->address.local);
		return;
	}
	if (!seen_first(e, key))
		return;
	if (s->depth > EXPAND_DEPTH_MAX)
		fail_all(e, "aliases nested too deep", s->address.local);
	else if (steps_reserve(e))
		e->steps[e->nsteps++] = *s;
}

/* -- items -- */

static void
add_item(struct expander *e, const struct step *s, const char *user, const char *dest)
{
	char address[ADDRESS_MAX + 1];

	if (address_format(&s->address, address, sizeof(address)) == -1)
		add_problem(e, "5.1.3", "address too long", s->address.local);
	else
		(void)append_item(e, address, s->action->name, user, dest);
}

/*
 * What tells one mailbox of an account from another: nothing, the canonical
 * address, or the address as it is.  What is not known to be the same is not.
 */
static void
mailbox_address(const struct step *s, struct address *out)
{
	const char *target = s->action->target;

	*out = s->address;
	if (s->action->kind != CONF_ACTION_MAILDIR ||
	    (target != NULL && strstr(target, "%{rcpt") != NULL))
		return;
	address_canonical(out, s->tagged);
	if (target == NULL || strstr(target, "%{dest") == NULL)
		out->local[0] = out->domain[0] = '\0';
}

static void
add_local(struct expander *e, const struct step *s, const char *user)
{
	char key[ADDRESS_MAX + ACCOUNT_MAX + CONF_NAME_MAX + 16], dest[ACCOUNT_MAX + 16];
	struct address a;
	bool tagged;

	mailbox_address(s, &a);
	tagged = s->tagged && a.local[0] != '\0';
	if (str_format(dest, sizeof(dest), "%s%s", tagged ? MAILBOX_DEST_TAGGED : MAILBOX_DEST,
		user) == -1 ||
	    str_format(key, sizeof(key), "item %s\n%s\n%s@%s", s->action->name, user, a.local,
		a.domain) == -1)
		add_problem(e, "5.1.3", "name too long", user);
	else if (seen_first(e, key))
		add_item(e, s, user, dest);
}

static void
add_relay(struct expander *e, const struct step *s)
{
	const char *dest = s->action->host != NULL ? s->action->host : s->address.domain;

	if (strlen(dest) > IPC_NAME_MAX)
		add_problem(e, "5.3.5", "host of the relay action too long", s->action->name);
	else
		add_item(e, s, "", dest);
}

/* -- targets of an alias -- */

static void
refuse_target(struct expander *e, const char *target)
{
	add_problem(e, "5.2.4", "alias target not allowed", target);
}

/* The rules decide what is done with an address, as for mail from this host. */
static void
route_address(struct expander *e, struct step *next, const char *target)
{
	struct rule_question q = {
	    .local = true, .helo = "", .tag = "", .auth = "", .rcpt = next->address};
	const struct conf_rule *rule;

	switch (rules_evaluate(e->policy, &q, NULL, NULL, &rule)) {
	case RULES_TROUBLE:
		add_trouble(e);
		return;
	case RULES_MATCH:
		if (rule->action != NULL)
			break;
		/* FALLTHROUGH */
	case RULES_NONE:
		add_problem(e, "5.7.1", "forwarding denied by the rules", target);
		return;
	}
	next->action = conf_action_find(e->policy->conf, rule->action);
	add_step(e, next);
}

static void
follow_address(struct expander *e, const struct step *s, const char *target)
{
	struct step next = {.depth = s->depth + 1};

	if (address_parse(target, ADDRESS_UTF8_OK, &next.address) == ADDRESS_OK)
		route_address(e, &next, target);
	else
		add_problem(e, "5.2.4", "alias target is not an address", target);
}

static void
follow_name(struct expander *e, const struct step *s, const char *target, bool by_alias)
{
	const char *self = s->name[0] != '\0' ? s->name : s->address.local;
	const char *name = *target == '\\' ? target + 1 : target;
	struct step next = *s;

	next.depth++;
	/* Both mean the mailbox: "\\bob", and bob in bob's own alias (aliases(5)). */
	next.no_alias = name != target || (by_alias && str_equal_nocase(target, self));
	if (*name == '\0' || str_copy(next.name, sizeof(next.name), name) == -1) {
		add_problem(e, "5.2.4", "alias target is not a name", target);
		return;
	}
	str_lower(next.name);
	add_step(e, &next);
}

static void
follow_target(struct expander *e, const struct step *s, const char *target, bool by_alias)
{
	if (*target == '|' || *target == '/' || *target == ':')
		refuse_target(e, target);
	else if (strchr(target, '@') != NULL)
		follow_address(e, s, target);
	else
		follow_name(e, s, target, by_alias);
}

/* The extent of the target at p; a quoted one may hold commas. */
static size_t
target_extent(const char *p)
{
	bool quoted = false;
	size_t n;

	for (n = 0; p[n] != '\0' && (quoted || p[n] != ','); n++)
		if (p[n] == '"')
			quoted = !quoted;
	return n;
}

/* One target without the blanks and quotes around it; -1 when it is too long. */
static int
target_copy(char dst[TARGET_MAX + 1], const char *p, size_t n)
{
	while (n > 0 && strchr(" \t", *p) != NULL) {
		p++;
		n--;
	}
	while (n > 0 && strchr(" \t", p[n - 1]) != NULL)
		n--;
	/* "|command with blanks" is quoted as a whole, "a b"@example.org is not. */
	if (n >= 2 && p[0] == '"' && p[n - 1] == '"') {
		p++;
		n -= 2;
	}
	if (n > TARGET_MAX)
		return -1;
	memcpy(dst, p, n);
	dst[n] = '\0';
	return 0;
}

static void
follow_targets(struct expander *e, size_t at, const struct recipient *r)
{
	/* Adding steps may move them. */
	struct step s = e->steps[at];
	char target[TARGET_MAX + 1];
	const char *p = r->targets;
	size_t n;

	if (s.name[0] == '\0') /* it was the address that was looked for */
		s.tagged = r->tagged;
	while (*p != '\0' && e->error == 0 && e->out->outcome == IPC_OK) {
		if (e->ntargets++ == EXPAND_WIDTH_MAX) {
			fail_all(e, "too many recipients", s.address.local);
			return;
		}
		n = target_extent(p);
		if (target_copy(target, p, n) == -1)
			add_problem(e, "5.2.4", "alias target too long", s.address.local);
		else if (*target != '\0')
			follow_target(e, &s, target, r->by_alias);
		p += n;
		if (*p == ',')
			p++;
	}
}

/* -- the loop -- */

static void
add_unknown(struct expander *e, const struct step *s)
{
	char address[ADDRESS_MAX + 1];
	const char *what = address;

	if (s->name[0] != '\0' || address_format(&s->address, address, sizeof(address)) == -1)
		what = s->name;
	add_problem(e, "5.1.1", "no such recipient", what);
}

static void
expand_step(struct expander *e, size_t at)
{
	const struct step *s = &e->steps[at];
	struct recipient r;

	if (!action_is_local(s->action)) {
		add_relay(e, s);
		return;
	}
	if (s->name[0] == '\0')
		recipient_find(e->policy, s->action, &s->address, &r);
	else if (s->no_alias)
		recipient_find_account(s->action, s->name, &r);
	else
		recipient_find_name(e->policy, s->action, s->name, &r);
	switch (r.kind) {
	case RECIPIENT_TARGETS:
		follow_targets(e, at, &r);
		break;
	case RECIPIENT_ACCOUNT:
		add_local(e, s, r.account);
		break;
	case RECIPIENT_UNKNOWN:
		add_unknown(e, s);
		break;
	case RECIPIENT_TROUBLE:
		add_trouble(e);
		break;
	}
}

static void
items_drop(struct expansion *x)
{
	while (x->nitems > 0)
		item_free(&x->items[--x->nitems]);
	free(x->items);
	x->items = NULL;
	x->nfailed = 0;
}

static void
expansion_settle(struct expansion *x)
{
	if (x->outcome == IPC_OK && x->nitems > x->nfailed)
		return;
	items_drop(x);
	if (x->outcome == IPC_RETRY) {
		(void)snprintf(x->status, sizeof(x->status), "4.3.0");
		(void)snprintf(x->text, sizeof(x->text), "a table is not available");
	} else if (x->problems == 0) {
		(void)snprintf(x->status, sizeof(x->status), "5.2.4");
		(void)snprintf(x->text, sizeof(x->text), "the alias leads to nobody");
	}
	if (x->outcome == IPC_OK)
		x->outcome = IPC_FAIL;
}

int
expand_run(const struct policy *p, const struct address *a, const struct conf_action *action,
    struct expansion *out)
{
	struct expander e = {.policy = p, .out = out};
	struct step first = {.address = *a, .action = action};
	size_t i;

	*out = (struct expansion){.outcome = IPC_OK};
	if ((e.seen = map_create(2 * EXPAND_WIDTH_MAX + 2)) == NULL)
		return -1;
	if (action == NULL)
		route_address(&e, &first, a->domain);
	else
		add_step(&e, &first);
	for (i = 0; i < e.nsteps && e.error == 0 && out->outcome == IPC_OK; i++)
		expand_step(&e, i);
	map_free(e.seen, NULL);
	free(e.steps);
	if (e.error != 0) {
		items_drop(out);
		errno = e.error;
		return -1;
	}
	expansion_settle(out);
	return 0;
}

void
expansion_free(struct expansion *e)
{
	items_drop(e);
}

/* SPDX-License-Identifier: ISC */
/*
 * What one target of an expansion leads to.
 *
 * Invariant: nothing here changes the expander: the same target is planned again
 * when what it depends on was answered, and others are ahead of their time, so that
 * all of them are asked about at once.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/conf/table_entry.h"
#include "lookup/domains.h"
#include "lookup/expand_private.h"

static void
plan_fail(struct plan *plan, const char *status, const char *why)
{
	plan->move = MOVE_FAIL;
	plan->status = status;
	str_cut(plan->why, sizeof(plan->why), why);
}

/* RFC 3463 3.5: X.4.3, a directory server failed. */
static void
plan_trouble(const struct expander *e, struct plan *plan)
{
	const char *who = inquiry_trouble(e->policy.inquiry);

	plan->move = MOVE_LATER;
	plan->status = "4.4.3";
	(void)snprintf(plan->why, sizeof(plan->why), "%.100s does not answer",
	    *who != '\0' ? who : "a source");
}

static void
plan_follow(struct plan *plan, enum source source, const char *table, const char *text)
{
	plan->move = MOVE_FOLLOW;
	plan->source = source;
	plan->table = table;
	plan->text = text;
}

int
step_key(const struct step *s, const struct frame *f, char *dst, size_t size)
{
	/* Within a .forward file the same name can mean a mailbox; what is sent on is the same anywhere. */
	bool own = f != NULL && action_is_local(s->action);
	char domain[ADDRESS_DOMAIN_MAX + 1];

	domain_canonical(s->address.domain, domain);
	return str_format(dst, size, "step %d%d %s\n%s\n%s\n%s@%s", s->no_alias, s->no_forward,
	    s->action->name, s->name, own ? f->account : "", s->address.local, domain);
}

/* -- accounts -- */

static bool
is_within(const struct expander *e, const char *account)
{
	size_t i;

	for (i = 0; i < e->nframes; i++)
		if (e->frames[i].source == SOURCE_FORWARD &&
		    strcmp(e->frames[i].account, account) == 0)
			return true;
	return false;
}

/* What the client named was judged at RCPT; who is named in a table or a file may never have been there. */
static void
plan_mailbox(const struct expander *e, struct plan *plan)
{
	static const enum move moves[] = {
	    [TABLE_YES] = MOVE_MAILBOX, [TABLE_PENDING] = MOVE_PENDING};
	enum table_answer exists = TABLE_YES;

	if (action_has_no_mailboxes(plan->step.action))
		exists = TABLE_NO;
	else if (e->nframes > 0)
		exists = recipient_exists(&e->policy, plan->step.action, plan->account);
	if (exists == TABLE_NO)
		plan_fail(plan, "5.1.1", "no such recipient");
	else if (exists == TABLE_TROUBLE)
		plan_trouble(e, plan);
	else
		plan->move = moves[exists];
}

static void
plan_forward(const struct expander *e, struct plan *plan, const char *value)
{
	char target[TARGET_MAX + 1];
	struct forward forward;
	const char *p;

	if (!forward_parse(value, &forward)) {
		plan_fail(plan, "5.2.4", "its .forward file can't be understood");
		return;
	}
	p = forward.text;
	if (forward.kind == FORWARD_UNSAFE) {
		plan->move = MOVE_LATER;
		plan->status = "4.2.4";
		str_cut(plan->why, sizeof(plan->why), forward.text);
	} else if (target_next(&p, target) == TARGET_END)
		plan_mailbox(e, plan); /* as good as no file */
	else
		plan_follow(plan, SOURCE_FORWARD, NULL, forward.text);
}

/* An account that its own .forward file leads to, on whatever way, is a mailbox. */
static void
plan_account(const struct expander *e, struct plan *plan)
{
	const struct step *s = &plan->step;
	const char *value;

	if (s->no_forward || is_within(e, plan->account)) {
		plan_mailbox(e, plan);
		return;
	}
	switch (recipient_forward(&e->policy, s->action, plan->account, &value)) {
	case TABLE_NO:
		plan_mailbox(e, plan);
		break;
	case TABLE_YES:
		plan_forward(e, plan, value);
		break;
	case TABLE_TROUBLE:
		plan_trouble(e, plan);
		break;
	case TABLE_PENDING:
		plan->move = MOVE_PENDING;
		break;
	}
}

/* -- steps -- */

static void
plan_found(const struct expander *e, const struct recipient *r, struct plan *plan)
{
	memcpy(plan->account, r->account, sizeof(plan->account));
	switch (r->kind) {
	case RECIPIENT_TARGETS:
		if (plan->step.name[0] == '\0') /* it was the address that was looked for */
			plan->step.tagged = r->tagged;
		plan_follow(
		    plan, r->by_alias ? SOURCE_ALIAS : SOURCE_VIRTUAL, r->source, r->targets);
		break;
	case RECIPIENT_ADDRESS:
		plan_follow(plan, SOURCE_SRS, NULL, r->targets);
		break;
	case RECIPIENT_POSTMASTER:
		plan_follow(plan, SOURCE_POSTMASTER, NULL, e->policy.conf->values.smtp_postmaster);
		break;
	case RECIPIENT_ACCOUNT:
		plan->step.tagged |= plan->step.name[0] == '\0' && r->tagged;
		plan_account(e, plan);
		break;
	case RECIPIENT_UNKNOWN:
		plan_fail(plan, "5.1.1", "no such recipient");
		break;
	case RECIPIENT_TROUBLE:
		plan_trouble(e, plan);
		break;
	case RECIPIENT_PENDING:
		plan->move = MOVE_PENDING;
		break;
	}
}

void
plan_step(const struct expander *e, const struct frame *f, struct plan *plan)
{
	const struct step *s = &plan->step;
	char key[STEP_KEY_MAX];
	struct recipient r;

	plan->is_step = true;
	if (step_key(s, f, key, sizeof(key)) == -1) {
		plan_fail(plan, "5.1.3", "address too long");
		return;
	}
	if (map_get(e->seen, key) != NULL) {
		plan->move = MOVE_REPEATED;
		return;
	}
	if (!action_is_local(s->action)) {
		plan->move = MOVE_RELAY;
		return;
	}
	if (s->name[0] == '\0')
		recipient_find(&e->policy, s->action, &s->address, &r);
	else if (s->no_alias)
		recipient_find_account(&e->policy, s->action, s->name, &r);
	else
		recipient_find_name(&e->policy, s->action, s->name, &r);
	plan_found(e, &r, plan);
}

/* The rules decide what is done with an address, as for mail from this host. */
void
plan_address(const struct expander *e, const struct frame *f, struct plan *plan)
{
	struct step *s = &plan->step;

	switch (recipient_route(&e->policy, &s->address, &s->action)) {
	case TABLE_YES:
		plan_step(e, f, plan);
		break;
	case TABLE_NO:
		plan_fail(plan, "5.7.1", "forwarding denied by the rules");
		break;
	case TABLE_TROUBLE:
		s->action = NULL;
		plan->is_step = true;
		plan_trouble(e, plan);
		break;
	case TABLE_PENDING:
		plan->move = MOVE_PENDING;
		break;
	}
}

/* -- targets -- */

static void
plan_include(const struct expander *e, const struct frame *f, const char *path, struct plan *plan)
{
	const char *text;

	plan->step = f->step;
	memcpy(plan->account, f->account, sizeof(plan->account));
	if (f->table == NULL) {
		plan_fail(plan, "5.2.4", "lists are not allowed here");
		return;
	}
	switch (inquiry_include(e->policy.inquiry, f->table, path, &text)) {
	case TABLE_YES:
		plan_follow(plan, SOURCE_INCLUDE, f->table, text);
		break;
	case TABLE_NO: /* whoever forgot the file will see mail waiting, not lost */
	case TABLE_TROUBLE:
		plan->move = MOVE_LATER;
		plan->status = "4.2.4";
		str_cut(plan->why, sizeof(plan->why), "a list that it includes could not be read");
		break;
	case TABLE_PENDING:
		plan->move = MOVE_PENDING;
		break;
	}
}

static void
plan_name(const struct expander *e, const struct frame *f, const char *target, struct plan *plan)
{
	const char *self = f->step.name[0] != '\0' ? f->step.name : f->step.address.local;
	const char *name = *target == '\\' ? target + 1 : target;
	struct step *s = &plan->step;

	*s = f->step;
	/* "\\bob" is the mailbox (aliases(5)); bob in bob's own alias is the account, */
	s->no_forward = name != target;
	s->no_alias = s->no_forward || (f->by_alias && str_equal_nocase(target, self));
	/* and in his .forward file it is the mailbox. */
	if (f->account[0] != '\0' && str_equal_nocase(target, f->account))
		s->no_alias = s->no_forward = true;
	if (*name == '\0' || str_copy(s->name, sizeof(s->name), name) == -1) {
		plan_fail(plan, "5.2.4", "not a name");
		return;
	}
	str_lower(s->name);
	plan_step(e, f, plan);
}

/* The address of postmaster here, by the rules; where they have none, the name as it is. */
static void
plan_postmaster(
    const struct expander *e, const struct frame *f, const char *target, struct plan *plan)
{
	struct address *a = &plan->step.address;

	if (str_copy(a->local, sizeof(a->local), target) == -1 ||
	    str_copy(a->domain, sizeof(a->domain), e->policy.hostname) == -1) {
		plan_fail(plan, "5.2.4", "not a name");
		return;
	}
	if (recipient_route(&e->policy, a, &plan->step.action) == TABLE_NO)
		plan_name(e, f, target, plan);
	else
		plan_address(e, f, plan);
}

static void
plan_named_address(
    const struct expander *e, const struct frame *f, const char *target, struct plan *plan)
{
	if (address_parse(target, ADDRESS_UTF8_OK, &plan->step.address) == ADDRESS_OK)
		plan_address(e, f, plan);
	else
		plan_fail(plan, "5.2.4", "alias target is not an address");
}

void
plan_target(const struct expander *e, const struct frame *f, const char *target, struct plan *plan)
{
	*plan = (struct plan){.status = ""};
	/* What an address of ours was made of is one, whatever it begins with. */
	if (f->source == SOURCE_SRS)
		plan_named_address(e, f, target, plan);
	else if (*target == '|')
		plan_fail(plan, "5.2.4", "commands are not allowed here");
	else if (*target == '/')
		plan_fail(plan, "5.2.4", "files are not allowed here");
	else if (strncmp(target, TABLE_INCLUDE, strlen(TABLE_INCLUDE)) == 0)
		plan_include(e, f, target + strlen(TABLE_INCLUDE), plan);
	else if (*target == ':')
		plan_fail(plan, "5.2.4", "alias target not allowed");
	else if (strchr(target, '@') == NULL && f->source == SOURCE_POSTMASTER)
		plan_postmaster(e, f, target, plan);
	else if (strchr(target, '@') == NULL)
		plan_name(e, f, target, plan);
	else
		plan_named_address(e, f, target, plan);
}

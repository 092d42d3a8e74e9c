/* SPDX-License-Identifier: ISC */
/*
 * Judges a recipient at RCPT.
 *
 * A recipient that stands for one other is followed as its expansion would be: whom it leads to
 * must exist, or it is refused now, while the client is there to be told, rather
 * than by a report to whoever was named as sender.  One that stands for several exists.
 *
 * Invariant: what can't be found out is neither there nor absent.  Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/conf/mailbox.h"
#include "lib/conf/table_entry.h"
#include "lookup/forward.h"
#include "lookup/recipient.h"

#define DEPTH_MAX 16  /* of what stands for one other, as of expansions */
#define SHOWN_MAX 128 /* octets of a name in a reason */

struct way { /* where the recipient led to so far */
	const struct policy *policy;
	const struct conf_action *action;
	struct address address;
	char name[ADDRESS_LOCAL_MAX + 1]; /* to be looked for; "": the address is */
	bool no_alias;			  /* the name is an account */
	bool tagged;			  /* the tag is a part of the mailbox's name */
	char *why;
	size_t why_size;
};

enum onward { ONWARD, ARRIVED }; /* ARRIVED: *result says it all */

static enum recipient_result
say_unsure(const struct way *w)
{
	const char *who = inquiry_trouble(w->policy->inquiry);

	(void)snprintf(w->why, w->why_size, "%s does not answer", *who != '\0' ? who : "a source");
	return RECIPIENT_UNSURE;
}

/* kind: of what there is none. */
static enum recipient_result
say_absent(const struct way *w, const char *kind, const char *what, const char *table)
{
	char shown[SHOWN_MAX];

	str_escape(shown, sizeof(shown), what, strlen(what));
	(void)snprintf(w->why, w->why_size, "no %s \"%s\"%s%s%s", kind, shown,
	    table != NULL ? " in table <" : "", table != NULL ? table : "",
	    table != NULL ? ">" : "");
	return RECIPIENT_ABSENT;
}

static enum recipient_result
say_forbidden(const struct way *w, const char *target)
{
	char shown[SHOWN_MAX];

	str_quote(shown, sizeof(shown), target);
	(void)snprintf(w->why, w->why_size, "%s: %s",
	    *target == '|'   ? "commands are not allowed here"
	    : *target == '/' ? "files are not allowed here"
			     : "no way to deliver to",
	    shown);
	return RECIPIENT_ABSENT;
}

/*
 * A catch-all takes any name, but not each makes a mailbox.  The sender is not in question:
 * any that is an address will do.
 */
static bool
can_have_mailbox(const struct way *w, const char *account)
{
	char dest[ADDRESS_MAX + 1], address[ADDRESS_MAX + 1], path[IPC_PATH_MAX + 1];
	struct address a = w->address;
	const struct pattern_values values = {
	    .sender = "a@b", .rcpt = address, .dest = dest, .username = account};

	if (w->action->kind != CONF_ACTION_MAILDIR || w->action->target == NULL)
		return true;
	address_canonical(&a, w->tagged ? NULL : w->policy->conf->values.smtp_subaddr);
	if (address_format(&w->address, address, sizeof(address)) == -1 ||
	    str_format(dest, sizeof(dest), "%s@%s", a.local, a.domain) == -1)
		return false;
	return mailbox_path(w->action->target, &values, path, sizeof(path)) == 0;
}

static enum recipient_result
judge_account(const struct way *w, const char *account)
{
	char text[ADDRESS_MAX + 1];

	/* Its .forward file was there, and so is the account. */
	if (action_has_no_mailboxes(w->action))
		return RECIPIENT_EXISTS;
	if (!can_have_mailbox(w, account)) {
		if (address_format(&w->address, text, sizeof(text)) == -1)
			text[0] = '\0';
		return say_absent(w, "mailbox can have the name", text, NULL);
	}
	switch (recipient_exists(w->policy, w->action, account)) {
	case TABLE_YES:
		return RECIPIENT_EXISTS;
	case TABLE_NO:
		return say_absent(w, "account", account, w->action->userbase);
	case TABLE_TROUBLE:
		return say_unsure(w);
	case TABLE_PENDING:
		break;
	}
	return RECIPIENT_WAITS;
}

static enum recipient_result
judge_unknown(const struct way *w, const char *source)
{
	char text[ADDRESS_MAX + 1];

	if (w->name[0] != '\0')
		return say_absent(w, "recipient", w->name, source);
	if (address_format(&w->address, text, sizeof(text)) == -1)
		text[0] = '\0';
	return say_absent(w, "recipient", text, source);
}

/* -- one step -- */

/* The rules say what is done with an address that was led to. */
static enum onward
go_to_address(struct way *w, const char *text, enum recipient_result *result)
{
	*result = RECIPIENT_WAITS;
	if (address_parse(text, ADDRESS_UTF8_OK, &w->address) != ADDRESS_OK) {
		*result = say_absent(w, "address in", text, NULL);
		return ARRIVED;
	}
	w->name[0] = '\0';
	w->no_alias = w->tagged = false;
	switch (recipient_route(w->policy, &w->address, &w->action)) {
	case TABLE_YES:
		return ONWARD;
	case TABLE_NO:
		*result = say_absent(w, "rule that lets mail on to", text, NULL);
		break;
	case TABLE_TROUBLE:
		*result = say_unsure(w);
		break;
	case TABLE_PENDING:
		break;
	}
	return ARRIVED;
}

static enum onward
go_to_name(struct way *w, const char *target, bool by_alias, enum recipient_result *result)
{
	const char *self = w->name[0] != '\0' ? w->name : w->address.local;
	const char *name = *target == '\\' ? target + 1 : target;

	w->no_alias = name != target || (by_alias && str_equal_nocase(target, self));
	if (*name == '\0' || str_copy(w->name, sizeof(w->name), name) == -1) {
		*result = say_absent(w, "name in", target, NULL);
		return ARRIVED;
	}
	str_lower(w->name);
	return ONWARD;
}

/* Several targets, or a list of them: some of them will do. */
static enum onward
go_to_targets(struct way *w, const struct recipient *r, enum recipient_result *result)
{
	char target[TARGET_MAX + 1], second[TARGET_MAX + 1];
	const char *p = r->targets;
	enum target_result first = target_next(&p, target);

	if (w->name[0] == '\0')
		w->tagged = r->tagged;
	*result = RECIPIENT_EXISTS;
	if (target_next(&p, second) != TARGET_END ||
	    strncmp(target, TABLE_INCLUDE, strlen(TABLE_INCLUDE)) == 0)
		return ARRIVED;
	if (first == TARGET_ONE && strchr("|/:", *target) == NULL)
		return strchr(target, '@') != NULL ? go_to_address(w, target, result)
						   : go_to_name(w, target, r->by_alias, result);
	*result = say_forbidden(w, target);
	return ARRIVED;
}

static enum onward
go_on(struct way *w, enum recipient_result *result)
{
	char text[ADDRESS_MAX + 1];
	struct recipient r;

	if (w->name[0] == '\0')
		recipient_find(w->policy, w->action, &w->address, &r);
	else if (w->no_alias)
		recipient_find_account(w->policy, w->action, w->name, &r);
	else
		recipient_find_name(w->policy, w->action, w->name, &r);
	switch (r.kind) {
	case RECIPIENT_TARGETS:
		return go_to_targets(w, &r, result);
	case RECIPIENT_ADDRESS:
		str_cut(text, sizeof(text), r.targets);
		return go_to_address(w, text, result);
	case RECIPIENT_ACCOUNT:
		w->tagged |= w->name[0] == '\0' && r.tagged;
		*result = judge_account(w, r.account);
		break;
	case RECIPIENT_POSTMASTER:
		*result = RECIPIENT_EXISTS;
		break;
	case RECIPIENT_UNKNOWN:
		*result = judge_unknown(w, r.source);
		break;
	case RECIPIENT_TROUBLE:
		*result = say_unsure(w);
		break;
	case RECIPIENT_PENDING:
		*result = RECIPIENT_WAITS;
		break;
	}
	return ARRIVED;
}

enum recipient_result
recipient_check(const struct policy *p, const struct conf_action *action,
    const struct address *rcpt, char *why, size_t why_size)
{
	struct way w = {
	    .policy = p, .action = action, .address = *rcpt, .why = why, .why_size = why_size};
	enum recipient_result result = RECIPIENT_EXISTS;
	unsigned int depth;

	str_cut(why, why_size, "");
	for (depth = 0; depth <= DEPTH_MAX; depth++)
		if (!action_is_local(w.action))
			return RECIPIENT_EXISTS;
		else if (go_on(&w, &result) == ARRIVED)
			return result;
	return say_absent(&w, "end of the aliases of", rcpt->local, NULL);
}

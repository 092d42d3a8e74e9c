/* SPDX-License-Identifier: ISC */
/*
 * Who a local recipient is: virtual users, aliases, accounts.
 *
 * Invariant: an account's name that leaves here is made of letters, digits,
 * dots, hyphens and underscores, and does not begin with a dot or a hyphen.
 * What can't be said now is never "unknown".  Nothing is fatal.
 */
#include "lookup/recipient.h"

#include <string.h>

#include "lib/base/str.h"
#include "lookup/srs.h"

/* "user+tag": the user, or "" when there is no tag. */
struct untagged {
	char local[ADDRESS_LOCAL_MAX + 1];
};

static void
untag(const struct policy *p, const char *local, struct untagged *out)
{
	size_t n = address_untagged(local, p->conf->values.smtp_subaddr);

	if (local[n] == '\0')
		n = 0;
	memcpy(out->local, local, n);
	out->local[n] = '\0';
}

int
recipient_parse(const struct policy *p, const char *text, struct address *out)
{
	unsigned int flags = ADDRESS_BARE_POSTMASTER_OK | ADDRESS_UTF8_OK;

	if (address_parse(text, flags, out) != ADDRESS_OK)
		return -1;
	return out->domain[0] != '\0' ? 0 : str_copy(out->domain, sizeof(out->domain), p->hostname);
}

bool
action_is_local(const struct conf_action *action)
{
	return action->kind != CONF_ACTION_RELAY;
}

/* Names that mail is always taken for (RFC 5321 4.5.1, RFC 2142). */
static bool
is_reserved(const char *local)
{
	return str_equal_nocase(local, "postmaster") || str_equal_nocase(local, "abuse");
}

bool
action_has_no_mailboxes(const struct conf_action *action)
{
	return action->kind == CONF_ACTION_EXPAND_ONLY || action->kind == CONF_ACTION_FORWARD_ONLY;
}

/* -- tables -- */

/* The key "local@domain"; a local part of "" makes it the one for the whole domain. */
static enum table_answer
find_pair(const struct policy *p, const char *table, const char *local, const char *domain,
    const char **value)
{
	char key[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];

	if (str_format(key, sizeof(key), "%s@%s", local, domain) == -1)
		return TABLE_NO;
	return inquiry_value(p->inquiry, table, SERVICE_VIRTUAL, key, value);
}

/*
 * A local part as a key of its own; "" makes none, nor does one with an "@"
 * in quotes, which would pass for a whole address.
 */
static enum table_answer
find_user(const struct policy *p, const char *table, enum table_service service, const char *local,
    const char **value)
{
	if (*local == '\0' || strchr(local, '@') != NULL)
		return TABLE_NO;
	return inquiry_value(p->inquiry, table, service, local, value);
}

/* From the most exact key to the catch-all. */
static enum table_answer
find_virtual(const struct policy *p, const char *t, const struct address *a, struct recipient *out)
{
	const char **value = &out->targets;
	struct untagged u;
	enum table_answer r;
	bool has_tag;

	untag(p, a->local, &u);
	has_tag = u.local[0] != '\0';
	out->tagged = has_tag;
	if ((r = find_pair(p, t, a->local, a->domain, value)) != TABLE_NO)
		return r;
	out->tagged = false;
	if (has_tag && (r = find_pair(p, t, u.local, a->domain, value)) != TABLE_NO)
		return r;
	out->tagged = has_tag;
	if ((r = find_user(p, t, SERVICE_VIRTUAL, a->local, value)) != TABLE_NO)
		return r;
	out->tagged = false;
	if ((r = find_user(p, t, SERVICE_VIRTUAL, u.local, value)) != TABLE_NO)
		return r;
	if ((r = find_pair(p, t, "", a->domain, value)) != TABLE_NO)
		return r;
	return inquiry_value(p->inquiry, t, SERVICE_VIRTUAL, "@", value);
}

static enum table_answer
find_alias(const struct policy *p, const char *t, const char *name, struct recipient *out)
{
	struct untagged u;
	enum table_answer r;

	untag(p, name, &u);
	if ((r = find_user(p, t, SERVICE_ALIAS, name, &out->targets)) != TABLE_NO) {
		out->tagged = u.local[0] != '\0';
		return r;
	}
	return find_user(p, t, SERVICE_ALIAS, u.local, &out->targets);
}

/* Notes what a source said; true when that settles it. */
static bool
is_settled(enum table_answer r, enum recipient_kind found, struct recipient *out)
{
	static const enum recipient_kind kinds[] = {
	    [TABLE_TROUBLE] = RECIPIENT_TROUBLE, [TABLE_PENDING] = RECIPIENT_PENDING};

	if (r == TABLE_NO)
		return false;
	out->kind = r == TABLE_YES ? found : kinds[r];
	return true;
}

/* -- accounts -- */

static bool
is_account_name(const char *s)
{
	if (*s == '\0' || *s == '-' || *s == '.' || strlen(s) > ACCOUNT_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (!char_is_alnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			return false;
	return true;
}

enum table_answer
recipient_exists(const struct policy *p, const struct conf_action *action, const char *account)
{
	const char *value;

	if (action->userbase == NULL)
		return inquiry_account(p->inquiry, account);
	return inquiry_value(p->inquiry, action->userbase, SERVICE_USERINFO, account, &value);
}

/* An account that gets the mail of others, too, has no say in where it goes. */
enum table_answer
recipient_forward(const struct policy *p, const struct conf_action *action, const char *account,
    const char **value)
{
	const char *userbase = action->userbase != NULL ? action->userbase : "";

	if (p->conf->values.forward_files == CONF_NO || action->user != NULL)
		return TABLE_NO;
	return inquiry_forward(p->inquiry, account, userbase, value);
}

/* Which account a name is, by its form: the action's own, or the name without its tag. */
static bool
copy_account(const struct conf_action *action, const char *name, struct recipient *out)
{
	if (action->user != NULL)
		return str_copy(out->account, sizeof(out->account), action->user) == 0;
	if (!is_account_name(name) || str_copy(out->account, sizeof(out->account), name) == -1)
		return false;
	str_lower(out->account);
	return true;
}

/* A name with a delimiter in it, "www-data", may be an account's all the same.  True: that is settled. */
static bool
is_account_with_tag(const struct policy *p, const struct conf_action *action, const char *name,
    struct recipient *out)
{
	if (action->user != NULL || !copy_account(action, name, out))
		return false;
	out->tagged = true;
	if (is_settled(recipient_exists(p, action, out->account), RECIPIENT_ACCOUNT, out))
		return true;
	out->tagged = false;
	return false;
}

void
recipient_find_account(const struct policy *p, const struct conf_action *action, const char *name,
    struct recipient *out)
{
	struct untagged u;
	const char *value;

	*out = (struct recipient){.kind = RECIPIENT_UNKNOWN};
	untag(p, name, &u);
	if (u.local[0] == '\0' || !is_account_with_tag(p, action, name, out)) {
		if (!copy_account(action, u.local[0] != '\0' ? u.local : name, out))
			return;
		out->kind = RECIPIENT_ACCOUNT;
	}
	if (out->kind != RECIPIENT_ACCOUNT || !action_has_no_mailboxes(action))
		return;
	out->kind = RECIPIENT_UNKNOWN;
	(void)is_settled(
	    recipient_forward(p, action, out->account, &value), RECIPIENT_ACCOUNT, out);
}

/* Somebody has to get mail for a reserved name, if it is not an account of its own. */
static void
find_reserved(
    const struct policy *p, const struct conf_action *action, bool by_name, struct recipient *out)
{
	if (out->kind == RECIPIENT_UNKNOWN) {
		out->kind = RECIPIENT_POSTMASTER;
		return;
	}
	if (out->kind != RECIPIENT_ACCOUNT)
		return;
	if (action->user != NULL) {
		/* Where a table says who there is, the one account proves nothing. */
		if (action->virtual != NULL && !by_name)
			out->kind = RECIPIENT_POSTMASTER;
		return;
	}
	if (!is_settled(recipient_exists(p, action, out->account), RECIPIENT_ACCOUNT, out))
		out->kind = RECIPIENT_POSTMASTER;
}

/* -- one step -- */

static void
find_name(const struct policy *p, const struct conf_action *action, const char *name, bool by_name,
    struct recipient *out)
{
	*out = (struct recipient){
	    .kind = RECIPIENT_UNKNOWN, .by_alias = true, .source = action->alias};
	if (action->alias != NULL &&
	    is_settled(find_alias(p, action->alias, name, out), RECIPIENT_TARGETS, out))
		return;
	recipient_find_account(p, action, name, out);
	if (is_reserved(name))
		find_reserved(p, action, by_name, out);
}

void
recipient_find_name(const struct policy *p, const struct conf_action *action, const char *name,
    struct recipient *out)
{
	find_name(p, action, name, true, out);
}

/* False: it isn't one of ours, and a local part like others. */
static bool
find_srs(const struct policy *p, const struct address *a, struct recipient *out)
{
	char text[ADDRESS_MAX + 1];

	if (p->conf->values.srs_key == NULL || !srs_is_local_part(a->local) ||
	    address_format(a, text, sizeof(text)) == -1)
		return false;
	return is_settled(
	    inquiry_srs_reverse(p->inquiry, text, &out->targets), RECIPIENT_ADDRESS, out);
}

void
recipient_find(const struct policy *p, const struct conf_action *action, const struct address *a,
    struct recipient *out)
{
	*out = (struct recipient){.kind = RECIPIENT_UNKNOWN};
	if (find_srs(p, a, out))
		return;
	if (action->virtual != NULL) {
		out->source = action->virtual;
		if (is_settled(find_virtual(p, action->virtual, a, out), RECIPIENT_TARGETS, out) ||
		    !is_reserved(a->local))
			return;
	}
	find_name(p, action, a->local, false, out);
}

enum table_answer
recipient_route(const struct policy *p, const struct address *a, const struct conf_action **action)
{
	const struct rule_question q = {
	    .local = true, .helo = "", .tag = "", .auth = "", .name = "", .rcpt = *a};
	struct rules_decision d;

	rules_evaluate(p, &q, NULL, &d);
	switch (d.result) {
	case RULES_TROUBLE:
		return TABLE_TROUBLE;
	case RULES_PENDING:
		return TABLE_PENDING;
	case RULES_MATCH:
		*action = d.rule->action == NULL ? NULL : conf_action_find(p->conf, d.rule->action);
		return *action == NULL ? TABLE_NO : TABLE_YES;
	case RULES_NONE:
		break;
	}
	return TABLE_NO;
}

/* SPDX-License-Identifier: ISC */
/*
 * Who a local recipient is: virtual users, aliases, accounts.
 *
 * Invariant: an account's name that leaves here is made of letters, digits,
 * dots, hyphens and underscores, and does not begin with a dot or a hyphen.
 * Nothing is fatal.
 */
#include "lookup/recipient.h"

#include <string.h>

#include "lib/base/str.h"

/* "user+tag": the user, or "" when there is no tag (or nobody before it). */
struct untagged {
	char local[ADDRESS_LOCAL_MAX + 1];
};

static void
untag(const char *local, struct untagged *out)
{
	const char *tag = strchr(local, ADDRESS_TAG);
	size_t n = tag == NULL ? 0 : (size_t)(tag - local);

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

/* The key "local@domain"; a local part of "" makes it the one for the whole domain. */
static enum table_answer
find_pair(const struct table *t, const char *local, const char *domain, const char **value)
{
	char key[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];

	if (str_format(key, sizeof(key), "%s@%s", local, domain) == -1)
		return TABLE_NO;
	return table_value(t, key, value);
}

/*
 * A local part as a key of its own; "" makes none, nor does one with an "@"
 * in quotes, which would pass for a whole address.
 */
static enum table_answer
find_user(const struct table *t, const char *local, const char **value)
{
	if (t != NULL && (*local == '\0' || strchr(local, '@') != NULL))
		return TABLE_NO;
	return table_value(t, local, value);
}

/* From the most exact key to the catch-all. */
static enum table_answer
find_virtual(const struct table *t, const struct address *a, struct recipient *out)
{
	const char **value = &out->targets;
	struct untagged u;
	enum table_answer r;
	bool has_tag;

	untag(a->local, &u);
	has_tag = u.local[0] != '\0';
	out->tagged = has_tag;
	if ((r = find_pair(t, a->local, a->domain, value)) != TABLE_NO)
		return r;
	out->tagged = false;
	if (has_tag && (r = find_pair(t, u.local, a->domain, value)) != TABLE_NO)
		return r;
	out->tagged = has_tag;
	if ((r = find_user(t, a->local, value)) != TABLE_NO)
		return r;
	out->tagged = false;
	if ((r = find_user(t, u.local, value)) != TABLE_NO)
		return r;
	if ((r = find_pair(t, "", a->domain, value)) != TABLE_NO)
		return r;
	return table_value(t, "@", value);
}

static enum table_answer
find_alias(const struct table *t, const char *name, struct recipient *out)
{
	struct untagged u;
	enum table_answer r;

	untag(name, &u);
	if ((r = find_user(t, name, &out->targets)) != TABLE_NO) {
		out->tagged = u.local[0] != '\0';
		return r;
	}
	return find_user(t, u.local, &out->targets);
}

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

/* Notes what a table said; true when that settles it. */
static bool
is_settled(enum table_answer r, struct recipient *out)
{
	if (r == TABLE_NO)
		return false;
	out->kind = r == TABLE_YES ? RECIPIENT_TARGETS : RECIPIENT_TROUBLE;
	return true;
}

void
recipient_find_account(const struct conf_action *action, const char *name, struct recipient *out)
{
	struct untagged u;
	const char *account = name;

	*out = (struct recipient){.kind = RECIPIENT_UNKNOWN};
	/* These deliver to nobody: they exist for where their tables lead. */
	if (action->kind == CONF_ACTION_EXPAND_ONLY || action->kind == CONF_ACTION_FORWARD_ONLY)
		return;
	untag(name, &u);
	if (u.local[0] != '\0')
		account = u.local;
	if (action->user != NULL)
		account = action->user;
	if (!is_account_name(account) ||
	    str_copy(out->account, sizeof(out->account), account) == -1)
		return;
	if (action->user == NULL)
		str_lower(out->account);
	out->kind = RECIPIENT_ACCOUNT;
}

void
recipient_find_name(const struct policy *p, const struct conf_action *action, const char *name,
    struct recipient *out)
{
	*out = (struct recipient){.kind = RECIPIENT_UNKNOWN, .by_alias = true};
	if (action->alias != NULL &&
	    is_settled(find_alias(tables_find(p->tables, action->alias), name, out), out))
		return;
	recipient_find_account(action, name, out);
}

void
recipient_find(const struct policy *p, const struct conf_action *action, const struct address *a,
    struct recipient *out)
{
	*out = (struct recipient){.kind = RECIPIENT_UNKNOWN};
	if (action->virtual != NULL) {
		const struct table *t = tables_find(p->tables, action->virtual);

		if (is_settled(find_virtual(t, a, out), out) ||
		    !str_equal_nocase(a->local, "postmaster"))
			return;
	}
	recipient_find_name(p, action, a->local, out);
}

/* SPDX-License-Identifier: ISC */
/*
 * Whether a login owns the sender that it gives.
 *
 * Invariant: what no rule grants is refused, and what can't be found out (a
 * table did not load) is neither granted nor refused for good.  Nothing is
 * fatal.
 */
#include "lookup/senders.h"

#include <string.h>

#include "lib/base/str.h"
#include "lookup/domains.h"
#include "lookup/glob.h"

#define BETWEEN	   ", \t" /* the addresses of a login */
#define LISTED_MAX 1024	  /* octets of one of them */

/* The login's own address: itself, or itself at one of our names. */
static bool
is_own_address(const struct policy *p, const char *login, const struct address *sender)
{
	const char *at = strrchr(login, '@');
	size_t n = strlen(sender->local);

	if (at == NULL)
		return str_equal_nocase(login, sender->local) &&
		       rules_domain_is_local(p, sender->domain);
	return (size_t)(at - login) == n && str_starts_nocase(login, sender->local) &&
	       domain_equal(at + 1, sender->domain);
}

/* One address of a login's list, n octets. */
static bool
is_listed(const char *item, size_t n, const struct address *sender)
{
	char pattern[LISTED_MAX + 1];
	char *at;

	if (n >= sizeof(pattern))
		return false;
	memcpy(pattern, item, n);
	pattern[n] = '\0';
	if ((at = strrchr(pattern, '@')) == NULL)
		return false;
	*at = '\0';
	return (at == pattern || glob_matches(pattern, sender->local, false)) &&
	       domain_matches(at + 1, sender->domain);
}

static bool
list_has(const char *list, const struct address *sender)
{
	size_t n;

	for (list += strspn(list, BETWEEN); *list != '\0'; list += n + strspn(list + n, BETWEEN)) {
		n = strcspn(list, BETWEEN);
		if (is_listed(list, n, sender))
			return true;
	}
	return false;
}

enum table_answer
senders_owns(const struct policy *p, const char *senders, const char *login, const char *sender)
{
	const char *list = "";
	struct address address;
	enum table_answer found;

	if (address_parse(sender, ADDRESS_NULL_OK | ADDRESS_UTF8_OK, &address) != ADDRESS_OK)
		return TABLE_TROUBLE;
	if (address.local[0] == '\0')
		return TABLE_YES;
	if (senders[0] == '\0')
		return is_own_address(p, login, &address) ? TABLE_YES : TABLE_NO;
	if ((found = inquiry_value(p->inquiry, senders, SERVICE_SENDERS, login, &list)) !=
	    TABLE_YES)
		return found;
	return list_has(list, &address) ? TABLE_YES : TABLE_NO;
}

static void
refuse(struct filter_verdict *v, uint16_t code, const char *status, const char *text)
{
	*v = (struct filter_verdict){.code = code, .trouble = code < 500, .filter = ""};
	str_cut(v->status, sizeof(v->status), status);
	str_cut(v->text, sizeof(v->text), text);
}

const char *
senders_said(const struct filter_question *q, const struct filter_verdict *v)
{
	return q->phase == CONF_PHASE_MAIL_FROM && v->value[0] != '\0' ? v->value : q->sender;
}

enum table_answer
senders_judge(const struct policy *p, const char *senders, const struct filter_question *q,
    struct filter_verdict *v)
{
	enum table_answer owns;

	if (v->code != 0)
		return TABLE_YES;
	owns = senders_owns(p, senders, q->auth, senders_said(q, v));
	if (owns == TABLE_NO)
		refuse(v, 550, "5.7.1", "your login may not send as this address");
	else if (owns == TABLE_TROUBLE)
		refuse(v, 451, "4.4.3", "sender can't be checked now, try again later");
	return owns;
}

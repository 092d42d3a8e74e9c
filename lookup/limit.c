/* SPDX-License-Identifier: ISC */
/*
 * The limits of smtpd.conf(5), one row each: where the number is, and how a
 * client hears of it.  Pure; nothing is fatal.
 */
#include "lookup/limit.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/time.h"

#define VALUE(member) offsetof(struct conf_values, smtp_##member)

static const struct limit_row {
	const char *setting;
	size_t value; /* where struct conf_values has it; 0 there: no limit */
	uint16_t code;
	const char *status;
	const char *acts; /* what a rate counts */
} limits[LIMIT__MAX] = {
    [LIMIT_NONE] = {"", 0, 0, "", NULL},
    [LIMIT_SESSIONS] = {"max-sessions", VALUE(max_sessions), 421, "4.3.2", NULL},
    [LIMIT_OPEN] = {"max-sessions-per-client", VALUE(max_sessions_per_client), 421, "4.7.0", NULL},
    [LIMIT_CONNECTIONS] = {"max-connection-rate", VALUE(connection_rate), 421, "4.7.0",
	"connections"},
    [LIMIT_MESSAGES] = {"max-message-rate", VALUE(message_rate), 451, "4.7.1", "messages"},
    [LIMIT_RECIPIENTS] = {"max-recipient-rate", VALUE(recipient_rate), 451, "4.7.1", "recipients"},
    [LIMIT_REFUSED] = {"max-refused-rate", VALUE(refused_rate), 421, "4.7.1", "refused recipients"},
};

const char *
limit_setting(enum limit limit)
{
	return limits[limit].setting;
}

bool
limit_is_rate(enum limit limit)
{
	return limits[limit].acts != NULL;
}

uint64_t
limit_value(const struct conf_values *values, enum limit limit)
{
	uint64_t value;

	memcpy(&value, (const char *)values + limits[limit].value, sizeof(value));
	return value == 0 ? UINT64_MAX : value;
}

void
limit_refuse(enum limit limit, const struct limited *who, struct client_refusal *out)
{
	char period[TIME_AGE_SIZE], left[TIME_AGE_SIZE];

	out->limit = limits[limit].setting;
	out->code = limits[limit].code;
	out->status = limits[limit].status;
	if (limit == LIMIT_SESSIONS) {
		(void)snprintf(out->text, sizeof(out->text),
		    "this server has as many connections as it takes; try again in a minute");
		return;
	}
	if (limit == LIMIT_OPEN) {
		(void)snprintf(out->text, sizeof(out->text),
		    "too many connections at once from %s; try again when one has ended",
		    who->client);
		return;
	}
	time_age(period, who->period_s);
	time_age(left, who->left_s);
	(void)snprintf(out->text, sizeof(out->text),
	    "too many %s from %s within %s; try again in %s", limits[limit].acts, who->client,
	    period, left);
}

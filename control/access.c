/* SPDX-License-Identifier: ISC */
/*
 * Who may ask what: pure decisions over what the kernel says of a peer.
 *
 * Invariant: whoever no rule speaks of may do nothing, and a request that no
 * row speaks of needs the highest level.  Nothing here is fatal.
 */
#include "control/access.h"

struct access_row {
	enum message_type question;
	int what; /* of change and pause; ANY: all of them */
	bool on;  /* of pause */
	enum access_level level;
	const char *change;
};

#define ANY (-1)

/* clang-format off */
static const struct access_row rows[] = {
    {MSG_list, ANY, false, ACCESS_VIEW, NULL},
    {MSG_get, ANY, false, ACCESS_VIEW, NULL},
    {MSG_read, ANY, false, ACCESS_VIEW, NULL},
    {MSG_clients, ANY, false, ACCESS_VIEW, NULL},
    {MSG_clients_clear, ANY, false, ACCESS_OPERATE, "clear-clients"},
    {MSG_certificates, ANY, false, ACCESS_VIEW, NULL},
    {MSG_logins, ANY, false, ACCESS_VIEW, NULL},
    {MSG_logins_clear, ANY, false, ACCESS_OPERATE, "clear-logins"},
    {MSG_find_in, ANY, false, ACCESS_VIEW, NULL},
    {MSG_find_secret, ANY, false, ACCESS_VIEW, NULL},
    {MSG_explain, ANY, false, ACCESS_VIEW, NULL},
    {MSG_table_update, ANY, false, ACCESS_OPERATE, "update-table"},
    {MSG_limits, ANY, false, ACCESS_VIEW, NULL},
    {MSG_tls_domains, ANY, false, ACCESS_VIEW, NULL},
    {MSG_tls_forget, ANY, false, ACCESS_ADMIN, "forget-tls"},
    {MSG_oauth_list, ANY, false, ACCESS_VIEW, NULL},
    {MSG_oauth_login, ANY, false, ACCESS_ADMIN, "oauth-login"},
    {MSG_oauth_code, ANY, false, ACCESS_ADMIN, "oauth-code"},
    {MSG_oauth_forget, ANY, false, ACCESS_ADMIN, "oauth-logout"},
    {MSG_stats, ANY, false, ACCESS_VIEW, NULL},
    {MSG_procs, ANY, false, ACCESS_VIEW, NULL},
    {MSG_change, IPC_SCHEDULE, false, ACCESS_OPERATE, "schedule"},
    {MSG_change, IPC_HOLD, false, ACCESS_OPERATE, "hold"},
    {MSG_change, IPC_RELEASE, false, ACCESS_OPERATE, "release"},
    {MSG_change, IPC_REMOVE, false, ACCESS_ADMIN, "remove"},
    {MSG_pause, IPC_PAUSE_SMTP, true, ACCESS_OPERATE, "pause-smtp"},
    {MSG_pause, IPC_PAUSE_SMTP, false, ACCESS_OPERATE, "resume-smtp"},
    {MSG_pause, IPC_PAUSE_DELIVERY, true, ACCESS_OPERATE, "pause-delivery"},
    {MSG_pause, IPC_PAUSE_DELIVERY, false, ACCESS_OPERATE, "resume-delivery"},
};
/* clang-format on */

static bool
row_matches(const struct access_row *row, enum message_type question, const union message *msg)
{
	if (row->question != question)
		return false;
	if (question == MSG_change)
		return row->what == msg->change.what;
	if (question == MSG_pause)
		return row->what == msg->pause.what && row->on == msg->pause.on;
	return true;
}

static const struct access_row *
row_of(enum message_type question, const union message *msg)
{
	size_t i;

	for (i = 0; i < NITEMS(rows); i++)
		if (row_matches(&rows[i], question, msg))
			return &rows[i];
	return NULL;
}

enum access_level
access_needed(enum message_type question, const union message *msg)
{
	const struct access_row *row = row_of(question, msg);

	return row == NULL ? ACCESS_ADMIN : row->level;
}

const char *
access_change(enum message_type question, const union message *msg)
{
	const struct access_row *row = row_of(question, msg);

	return row == NULL ? message_name(question) : row->change;
}

static bool
in_group(const struct access_peer *peer, gid_t group)
{
	size_t i;

	if (peer->gid == group)
		return true;
	for (i = 0; i < peer->ngroups; i++)
		if (peer->groups[i] == group)
			return true;
	return false;
}

enum access_level
access_of(const struct access_rules *rules, const struct access_peer *peer)
{
	if (peer->uid == 0 || (rules->has_own_uid && peer->uid == rules->own_uid) ||
	    (rules->has_group && in_group(peer, rules->group)))
		return ACCESS_ADMIN;
	return ACCESS_NONE;
}

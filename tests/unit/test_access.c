/* SPDX-License-Identifier: ISC */
/* Who may ask the server what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "control/access.h"

static const gid_t many[] = {4, 24, 990, 1000};

#define WITH_GROUPS .groups = many, .ngroups = NITEMS(many)

static void
test_peers(void **state)
{
	static const struct {
		const char *what;
		struct access_rules rules;
		struct access_peer peer;
		enum access_level level;
	} cases[] = {
	    {"root, always", {0}, {.uid = 0, .gid = 0}, ACCESS_ADMIN},
	    {"root's group is not root", {0}, {.uid = 1000, .gid = 0}, ACCESS_NONE},
	    {"anybody", {0}, {.uid = 1000, .gid = 1000}, ACCESS_NONE},
	    {"own user of a server without root", {.has_own_uid = true, .own_uid = 1000},
		{.uid = 1000, .gid = 1000}, ACCESS_ADMIN},
	    {"another user", {.has_own_uid = true, .own_uid = 1000}, {.uid = 1001, .gid = 1000},
		ACCESS_NONE},
	    {"a uid that no rule is switched on for", {.own_uid = 1000}, {.uid = 1000, .gid = 1},
		ACCESS_NONE},
	    {"by primary group", {.has_group = true, .group = 990}, {.uid = 1000, .gid = 990},
		ACCESS_ADMIN},
	    {"by another group", {.has_group = true, .group = 990},
		{.uid = 1000, .gid = 1000, WITH_GROUPS}, ACCESS_ADMIN},
	    {"not in the group", {.has_group = true, .group = 991},
		{.uid = 1000, .gid = 1000, WITH_GROUPS}, ACCESS_NONE},
	    {"no group is configured, though its number would be 0", {0},
		{.uid = 1000, .gid = 0, WITH_GROUPS}, ACCESS_NONE},
	    {"a uid unknown here", {.has_own_uid = true, .own_uid = 1000},
		{.uid = 65534, .gid = 65534}, ACCESS_NONE},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		enum access_level level = access_of(&cases[i].rules, &cases[i].peer);

		if (level != cases[i].level)
			fail_msg("%s: level %d", cases[i].what, level);
	}
}

static void
test_requests(void **state)
{
	static const struct {
		enum message_type question;
		union message msg;
		enum access_level level;
		const char *change;
	} cases[] = {
	    {MSG_list, {0}, ACCESS_VIEW, NULL},
	    {MSG_read, {0}, ACCESS_VIEW, NULL},
	    {MSG_clients, {0}, ACCESS_VIEW, NULL},
	    {MSG_clients_clear, {0}, ACCESS_OPERATE, "clear-clients"},
	    {MSG_certificates, {0}, ACCESS_VIEW, NULL},
	    {MSG_logins, {0}, ACCESS_VIEW, NULL},
	    {MSG_logins_clear, {0}, ACCESS_OPERATE, "clear-logins"},
	    {MSG_limits, {0}, ACCESS_VIEW, NULL},
	    {MSG_tls_domains, {0}, ACCESS_VIEW, NULL},
	    {MSG_tls_forget, {0}, ACCESS_ADMIN, "forget-tls"},
	    {MSG_oauth_list, {0}, ACCESS_VIEW, NULL},
	    {MSG_oauth_login, {0}, ACCESS_ADMIN, "oauth-login"},
	    {MSG_oauth_code, {0}, ACCESS_ADMIN, "oauth-code"},
	    {MSG_oauth_forget, {0}, ACCESS_ADMIN, "oauth-logout"},
	    {MSG_stats, {0}, ACCESS_VIEW, NULL},
	    {MSG_procs, {0}, ACCESS_VIEW, NULL},
	    {MSG_change, {.change = {.what = IPC_SCHEDULE}}, ACCESS_OPERATE, "schedule"},
	    {MSG_change, {.change = {.what = IPC_HOLD}}, ACCESS_OPERATE, "hold"},
	    {MSG_change, {.change = {.what = IPC_REMOVE}}, ACCESS_ADMIN, "remove"},
	    {MSG_pause, {.pause = {.what = IPC_PAUSE_SMTP, .on = true}}, ACCESS_OPERATE,
		"pause-smtp"},
	    {MSG_pause, {.pause = {.what = IPC_PAUSE_DELIVERY}}, ACCESS_OPERATE, "resume-delivery"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		const char *change = access_change(cases[i].question, &cases[i].msg);

		assert_int_equal(access_needed(cases[i].question, &cases[i].msg), cases[i].level);
		if (cases[i].change == NULL)
			assert_null(change);
		else
			assert_string_equal(change, cases[i].change);
	}
}

/* Whatever an admin may send that no row speaks of needs the highest level and is logged. */
static void
test_every_request_has_a_level(void **state)
{
	union message msg = {0};
	unsigned int type;

	(void)state;
	for (type = 0; type < MSG__MAX; type++) {
		if (!message_allowed((enum message_type)type, ROLE_ADMIN, ROLE_CONTROL))
			continue;
		assert_true(access_needed((enum message_type)type, &msg) >= ACCESS_VIEW);
	}
	assert_int_equal(access_needed(MSG_mail_begin, &msg), ACCESS_ADMIN);
	assert_string_equal(access_change(MSG_mail_begin, &msg), "mail_begin");
	msg.change.what = IPC_CHANGE__MAX;
	assert_int_equal(access_needed(MSG_change, &msg), ACCESS_ADMIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_every_request_has_a_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

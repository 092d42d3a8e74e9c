/* SPDX-License-Identifier: ISC */
/*
 * Every message that may reach this process, and where it goes.
 *
 * Invariant: admins have a table of their own, so that nothing meant for a
 * link to another process can be reached from the socket, whatever the
 * permission table says.
 */
#include "control/control.h"
#include "control/relay.h"
#include "control/socket.h"

#define QUESTION(name)                                                                         \
	static void on_##name(void *ctx, struct channel *ch, const union message *msg, int fd) \
	{                                                                                      \
		(void)ctx;                                                                     \
		(void)fd;                                                                      \
		relay_question(channel_tag(ch), MSG_##name, msg);                              \
	}

#define ANSWER(name)                                                                           \
	static void on_##name(void *ctx, struct channel *ch, const union message *msg, int fd) \
	{                                                                                      \
		(void)fd;                                                                      \
		relay_answer(ctx, ch, MSG_##name, msg);                                        \
	}

QUESTION(list)
QUESTION(get)
QUESTION(read)
QUESTION(change)
QUESTION(clients)
QUESTION(clients_clear)
QUESTION(certificates)
QUESTION(logins)
QUESTION(logins_clear)
QUESTION(find_in)
QUESTION(find_secret)
QUESTION(explain)
QUESTION(limits)
QUESTION(tls_domains)
QUESTION(tls_forget)
QUESTION(oauth_login)
QUESTION(oauth_code)
QUESTION(oauth_list)
QUESTION(oauth_forget)
QUESTION(table_update)
QUESTION(pause)
QUESTION(procs)
QUESTION(stats)

ANSWER(list_message)
ANSWER(list_rcpt)
ANSWER(list_end)
ANSWER(read_data)
ANSWER(done)
ANSWER(clients_row)
ANSWER(clients_end)
ANSWER(certificates_row)
ANSWER(certificates_end)
ANSWER(logins_row)
ANSWER(logins_end)
ANSWER(find_row)
ANSWER(find_end)
ANSWER(explain_row)
ANSWER(explain_end)
ANSWER(limits_row)
ANSWER(limits_end)
ANSWER(tls_domains_row)
ANSWER(tls_domains_end)
ANSWER(oauth_prompt)
ANSWER(oauth_done)
ANSWER(oauth_row)
ANSWER(oauth_end)
ANSWER(stats_row)
ANSWER(stats_end)
ANSWER(procs_row)
ANSWER(procs_end)

#ifdef TEST_HOOKS
QUESTION(probe)
ANSWER(probe_result)
#endif

static void
on_listen(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ch;
	(void)msg;
	socket_listen(ctx, fd);
}

/* No link is to an admin; a peer that says it is one lies. */
static void
on_question_of_link(void *ctx, struct channel *ch, const union message *msg, int fd)
{
	(void)ctx;
	(void)msg;
	(void)fd;
	channel_reject(ch, "an admin's request from elsewhere");
}

const channel_handler control_admin_handlers[MSG__MAX] = {
    [MSG_list] = on_list,
    [MSG_get] = on_get,
    [MSG_read] = on_read,
    [MSG_change] = on_change,
    [MSG_clients] = on_clients,
    [MSG_clients_clear] = on_clients_clear,
    [MSG_certificates] = on_certificates,
    [MSG_logins] = on_logins,
    [MSG_logins_clear] = on_logins_clear,
    [MSG_find_in] = on_find_in,
    [MSG_find_secret] = on_find_secret,
    [MSG_explain] = on_explain,
    [MSG_limits] = on_limits,
    [MSG_tls_domains] = on_tls_domains,
    [MSG_tls_forget] = on_tls_forget,
    [MSG_oauth_login] = on_oauth_login,
    [MSG_oauth_code] = on_oauth_code,
    [MSG_oauth_list] = on_oauth_list,
    [MSG_oauth_forget] = on_oauth_forget,
    [MSG_table_update] = on_table_update,
    [MSG_pause] = on_pause,
    [MSG_procs] = on_procs,
    [MSG_stats] = on_stats,
#ifdef TEST_HOOKS
    [MSG_probe] = on_probe,
#endif
};

const channel_handler control_link_handlers[MSG__MAX] = {
    [MSG_listen] = on_listen,
    [MSG_list_message] = on_list_message,
    [MSG_list_rcpt] = on_list_rcpt,
    [MSG_list_end] = on_list_end,
    [MSG_read_data] = on_read_data,
    [MSG_done] = on_done,
    [MSG_clients_row] = on_clients_row,
    [MSG_clients_end] = on_clients_end,
    [MSG_certificates_row] = on_certificates_row,
    [MSG_certificates_end] = on_certificates_end,
    [MSG_logins_row] = on_logins_row,
    [MSG_logins_end] = on_logins_end,
    [MSG_find_row] = on_find_row,
    [MSG_find_end] = on_find_end,
    [MSG_explain_row] = on_explain_row,
    [MSG_explain_end] = on_explain_end,
    [MSG_limits_row] = on_limits_row,
    [MSG_limits_end] = on_limits_end,
    [MSG_tls_domains_row] = on_tls_domains_row,
    [MSG_tls_domains_end] = on_tls_domains_end,
    [MSG_oauth_prompt] = on_oauth_prompt,
    [MSG_oauth_done] = on_oauth_done,
    [MSG_oauth_row] = on_oauth_row,
    [MSG_oauth_end] = on_oauth_end,
    [MSG_stats_row] = on_stats_row,
    [MSG_stats_end] = on_stats_end,
    [MSG_procs_row] = on_procs_row,
    [MSG_procs_end] = on_procs_end,
#ifdef TEST_HOOKS
    [MSG_probe_result] = on_probe_result, /* a probe of this process is the service's own */
#endif
    [MSG_list] = on_question_of_link,
    [MSG_get] = on_question_of_link,
    [MSG_read] = on_question_of_link,
    [MSG_change] = on_question_of_link,
    [MSG_clients] = on_question_of_link,
    [MSG_clients_clear] = on_question_of_link,
    [MSG_certificates] = on_question_of_link,
    [MSG_logins] = on_question_of_link,
    [MSG_logins_clear] = on_question_of_link,
    [MSG_find_in] = on_question_of_link,
    [MSG_find_secret] = on_question_of_link,
    [MSG_explain] = on_question_of_link,
    [MSG_limits] = on_question_of_link,
    [MSG_tls_domains] = on_question_of_link,
    [MSG_tls_forget] = on_question_of_link,
    [MSG_oauth_login] = on_question_of_link,
    [MSG_oauth_code] = on_question_of_link,
    [MSG_oauth_list] = on_question_of_link,
    [MSG_oauth_forget] = on_question_of_link,
    [MSG_table_update] = on_question_of_link,
    [MSG_pause] = on_question_of_link,
    [MSG_procs] = on_question_of_link,
    [MSG_stats] = on_question_of_link,
};

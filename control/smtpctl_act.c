/* SPDX-License-Identifier: ISC */
/* schedule, remove, pause, resume, clear: asked for, and told in one line what was done. */
#include "control/smtpctl_act.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/smtpctl_text.h"
#include "lib/base/str.h"

static void
tell(const struct ctl *ctl, const char *done)
{
	static const char *const names[] = {
	    [TARGET_ALL] = "all messages", [TARGET_SMTP] = "smtp", [TARGET_DELIVERY] = "delivery"};
	char id[STR_ID_SIZE];

	if (ctl->quiet)
		return;
	str_id(id, ctl->id);
	(void)fprintf(
	    ctl->out, "%s: %s\n", ctl->target == TARGET_MESSAGE ? id : names[ctl->target], done);
}

/* Answered by done alone, which client_ask() has looked at. */
static int
change(struct ctl *ctl, enum ipc_change what, const char *done)
{
	struct msg_change m = {.what = (uint8_t)what, .id = ctl->id};
	int status = client_ask(&ctl->client, MSG_change, &m, NULL, NULL);

	if (status == EXIT_OK)
		tell(ctl, done);
	return status;
}

static int
pause_service(struct ctl *ctl, bool on)
{
	struct msg_pause m = {
	    .on = on, .what = ctl->target == TARGET_SMTP ? IPC_PAUSE_SMTP : IPC_PAUSE_DELIVERY};
	int status = client_ask(&ctl->client, MSG_pause, &m, NULL, NULL);

	if (status == EXIT_OK)
		tell(ctl, on ? "paused" : "resumed");
	return status;
}

int
act_schedule(struct ctl *ctl)
{
	return change(ctl, IPC_SCHEDULE, "scheduled");
}

int
act_remove(struct ctl *ctl)
{
	return change(ctl, IPC_REMOVE, "removed");
}

int
act_pause(struct ctl *ctl)
{
	return ctl->target == TARGET_MESSAGE ? change(ctl, IPC_HOLD, "paused")
					     : pause_service(ctl, true);
}

int
act_resume(struct ctl *ctl)
{
	return ctl->target == TARGET_MESSAGE ? change(ctl, IPC_RELEASE, "resumed")
					     : pause_service(ctl, false);
}

/* For what is named by a word of the command line. */
static int
ask_about(struct ctl *ctl, enum message_type question, void *msg, const char *done, const char *all)
{
	int status = client_ask(&ctl->client, question, msg, NULL, NULL);

	if (status != EXIT_OK || ctl->quiet)
		return status;
	text_print_str(ctl->out, ctl->target == TARGET_ALL ? all : ctl->address);
	(void)fprintf(ctl->out, ": %s\n", done);
	return status;
}

int
act_clear_clients(struct ctl *ctl)
{
	struct msg_clients_clear m = {.client = ctl->address};

	return ask_about(ctl, MSG_clients_clear, &m, "cleared", "all clients");
}

int
act_clear_logins(struct ctl *ctl)
{
	struct msg_logins_clear m = {.what = ctl->address};

	return ask_about(ctl, MSG_logins_clear, &m, "cleared", "all addresses and logins");
}

int
act_update_table(struct ctl *ctl)
{
	struct msg_table_update m = {.table = ctl->address};

	return ask_about(ctl, MSG_table_update, &m, "updated", "");
}

int
act_forget_tls(struct ctl *ctl)
{
	struct msg_tls_forget m = {.domain = ctl->address};

	return ask_about(ctl, MSG_tls_forget, &m, "forgotten", "all domains");
}

#ifdef TEST_HOOKS
static bool
on_probe_result(void *arg, enum message_type type, const union message *msg)
{
	const struct ctl *ctl = arg;
	const struct msg_probe_result *r = &msg->probe_result;

	if (type != MSG_probe_result)
		return false;
	(void)fprintf(ctl->out, "%s survived=%d as_declared=%d errno=%" PRIu32 "\n",
	    r->name[0] == '\0' ? "-" : r->name, r->survived, r->as_declared, r->error);
	return true;
}

static bool
on_probe_name(void *arg, enum message_type type, const union message *msg)
{
	if (type != MSG_probe_result)
		return false;
	*(bool *)arg = msg->probe_result.name[0] != '\0';
	return true;
}

static int
count_probes(struct ctl *ctl, enum role role)
{
	struct msg_probe m = {.role = (uint8_t)role};
	bool there = true;
	int status;

	for (; m.act <= 1000; m.act++) {
		status = client_ask(&ctl->client, MSG_probe, &m, on_probe_name, &there);
		if (status != EXIT_OK)
			return status;
		if (!there)
			break;
	}
	(void)fprintf(ctl->out, "%" PRIu32 "\n", m.act);
	return EXIT_OK;
}

int
act_probe(struct ctl *ctl)
{
	const char *role_name = ctl->words[ctl->nused], *act = ctl->words[ctl->nused + 1];
	struct msg_probe m = {.run = true};
	unsigned int role;
	uint64_t n = 0;

	for (role = 0; role < ROLE__MAX && strcmp(role_word((enum role)role), role_name) != 0;)
		role++;
	if (role == ROLE__MAX || (strcmp(act, "count") != 0 && str_u64(act, 0, 1000, &n) == -1)) {
		text_complain("probe ROLE N|count: no such role or number");
		return EXIT_USAGE;
	}
	if (strcmp(act, "count") == 0)
		return count_probes(ctl, (enum role)role);
	m.role = (uint8_t)role;
	m.act = (uint32_t)n;
	return client_ask(&ctl->client, MSG_probe, &m, on_probe_result, ctl);
}
#endif

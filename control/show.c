/* SPDX-License-Identifier: ISC */
/*
 * show status, sandbox and stats, and monitor: the server itself.
 *
 * Invariant: rows are shown as they come, so nothing here grows with the
 * number of processes.
 */
#include "control/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/json.h"
#include "control/smtpctl_counters.h"
#include "control/smtpctl_text.h"
#include "lib/base/time.h"

#define NOT_RUNNING UINT32_MAX

void
show_tone_on(const struct ctl *ctl, enum show_tone tone)
{
	if (ctl->colour)
		(void)fputs(tone == TONE_HEADING ? "\033[1m" : "\033[1;31m", ctl->out);
}

void
show_tone_off(const struct ctl *ctl)
{
	if (ctl->colour)
		(void)fputs("\033[0m", ctl->out);
}

void
show_count(FILE *out, uint64_t n, const char *noun)
{
	const char *plural = noun[strlen(noun) - 1] == 's' ? "es" : "s";

	(void)fprintf(out, "%" PRIu64 " %s%s", n, noun, n == 1 ? "" : plural);
}

static void
heading(const struct ctl *ctl, const char *text)
{
	show_tone_on(ctl, TONE_HEADING);
	(void)fputs(text, ctl->out);
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

/* -- processes -- */

struct processes {
	struct ctl *ctl;
	struct json json;
	uint64_t n, nweaker;
};

/* "session/0"; the parent is alone */
static void
process_name(char dst[IPC_NAME_MAX], const struct msg_procs_row *p)
{
	if (strcmp(p->role, role_word(ROLE_PARENT)) == 0)
		(void)snprintf(dst, IPC_NAME_MAX, "%s", p->role);
	else
		(void)snprintf(dst, IPC_NAME_MAX, "%s/%" PRIu32, p->role, p->instance);
}

static bool
is_running(const struct msg_procs_row *p)
{
	return p->pid != 0 && p->pid != NOT_RUNNING;
}

static void
json_process(struct json *j, const struct msg_procs_row *p)
{
	json_object(j, NULL);
	json_str(j, "process", p->role);
	json_u64(j, "instance", p->instance);
	json_u64(j, "pid", is_running(p) ? p->pid : 0);
}

static void
status_row(struct processes *ps, const struct msg_procs_row *p)
{
	char name[IPC_NAME_MAX], age[TIME_AGE_SIZE], memory[TEXT_SIZE_MAX];
	FILE *out = ps->ctl->out;

	process_name(name, p);
	time_age(age, p->uptime_s);
	text_size(memory, p->rss_bytes);
	if (is_running(p))
		(void)fprintf(out, "%-14s  %7" PRIu32 "  %8s  %8" PRIu32 "  %6s\n", name, p->pid,
		    age, p->restarts, memory);
	else
		(void)fprintf(out, "%-14s  %7s  %8s  %8" PRIu32 "  %6s\n", name, "-", "down",
		    p->restarts, "-");
}

static void
status_row_json(struct processes *ps, const struct msg_procs_row *p)
{
	json_process(&ps->json, p);
	json_i64(&ps->json, "uptime", p->uptime_s);
	json_u64(&ps->json, "restarts", p->restarts);
	json_u64(&ps->json, "memory", p->rss_bytes);
	json_object_end(&ps->json);
	json_line_end(&ps->json);
}

static void
status_end_json(struct json *j, const struct msg_procs_end *e)
{
	json_object(j, NULL);
	json_str(j, "version", e->version);
	json_i64(j, "uptime", e->uptime_s);
	json_u64(j, "configuration", e->generation);
	json_bool(j, "privileged", e->privileged);
	json_bool(j, "smtp_paused", e->smtp_paused);
	json_bool(j, "delivery_paused", e->delivery_paused);
	json_object_end(j);
	json_line_end(j);
}

static void
paused_line(const struct ctl *ctl, const char *what, bool paused, const char *otherwise)
{
	(void)fprintf(ctl->out, "%s: ", what);
	if (paused)
		show_tone_on(ctl, TONE_ALARM);
	(void)fputs(paused ? "paused" : otherwise, ctl->out);
	if (paused)
		show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static void
status_end(const struct ctl *ctl, const struct msg_procs_end *e)
{
	char age[TIME_AGE_SIZE];

	time_age(age, e->uptime_s);
	(void)fprintf(ctl->out, "\nversion: ");
	text_print_str(ctl->out, e->version);
	(void)fprintf(ctl->out, "\nup: %s, configuration %" PRIu32 ", %s\n", age, e->generation,
	    e->privileged ? "with separate accounts" : "without root: one account for all");
	paused_line(ctl, "smtp", e->smtp_paused, "accepting");
	paused_line(ctl, "delivery", e->delivery_paused, "running");
}

static bool
on_status(void *arg, enum message_type type, const union message *msg)
{
	struct processes *ps = arg;

	if (type == MSG_procs_row && ps->ctl->json)
		status_row_json(ps, &msg->procs_row);
	else if (type == MSG_procs_row) {
		if (ps->n == 0)
			heading(ps->ctl, "PROCESS             PID        UP  RESTARTS  MEMORY");
		status_row(ps, &msg->procs_row);
	} else if (type == MSG_procs_end && ps->ctl->json)
		status_end_json(&ps->json, &msg->procs_end);
	else if (type == MSG_procs_end)
		status_end(ps->ctl, &msg->procs_end);
	ps->n++;
	return type == MSG_procs_end;
}

int
show_status(struct ctl *ctl)
{
	struct processes ps = {.ctl = ctl};
	struct msg_procs m = {0};

	json_init(&ps.json, ctl->out);
	return client_ask(&ctl->client, MSG_procs, &m, on_status, &ps);
}

/* -- the sandbox, declared beside actual -- */

static bool
find_pair(const char *line, const char *key, struct text_pair *out)
{
	while (text_pair_next(&line, out))
		if (strcmp(out->key, key) == 0)
			return true;
	return false;
}

/* Cut a long value rather than break the table; --json has it whole. */
static void
sandbox_line(FILE *out, const char *key, const char *declared, const char *actual)
{
	(void)fprintf(out, "  %-10.10s  %-34.34s  %.34s\n", key, declared, actual);
}

static void
sandbox_pairs(const struct ctl *ctl, const struct msg_procs_row *p)
{
	const char *line = p->declared;
	struct text_pair declared, actual;

	while (text_pair_next(&line, &declared)) {
		if (strcmp(declared.key, "rights") == 0)
			continue;
		sandbox_line(ctl->out, declared.key, declared.value,
		    find_pair(p->actual, declared.key, &actual) ? actual.value : "-");
	}
	line = p->actual;
	while (text_pair_next(&line, &actual))
		if (!find_pair(p->declared, actual.key, &declared))
			sandbox_line(ctl->out, actual.key, "-", actual.value);
	if (find_pair(p->declared, "rights", &declared))
		(void)fprintf(ctl->out, "  %-10s  %s\n", "rights", declared.value);
}

static void
sandbox_row(const struct ctl *ctl, const struct msg_procs_row *p)
{
	char name[IPC_NAME_MAX];

	process_name(name, p);
	show_tone_on(ctl, TONE_HEADING);
	(void)fprintf(ctl->out, "%s", name);
	show_tone_off(ctl);
	if (is_running(p))
		(void)fprintf(ctl->out, " (pid %" PRIu32 ")", p->pid);
	if (p->weaker[0] != '\0') {
		(void)fputs("  ", ctl->out);
		show_tone_on(ctl, TONE_ALARM);
		(void)fputs("WEAKER THAN DECLARED: ", ctl->out);
		text_print_str(ctl->out, p->weaker);
		show_tone_off(ctl);
	}
	(void)fputc('\n', ctl->out);
	sandbox_pairs(ctl, p);
}

static void
json_pairs(struct json *j, const char *key, const char *line)
{
	struct text_pair pair;

	json_object(j, key);
	while (text_pair_next(&line, &pair))
		json_str(j, pair.key, pair.value);
	json_object_end(j);
}

static void
sandbox_row_json(struct processes *ps, const struct msg_procs_row *p)
{
	json_process(&ps->json, p);
	json_pairs(&ps->json, "declared", p->declared);
	json_pairs(&ps->json, "actual", p->actual);
	json_str(&ps->json, "weaker", p->weaker);
	json_object_end(&ps->json);
	json_line_end(&ps->json);
}

static bool
on_sandbox(void *arg, enum message_type type, const union message *msg)
{
	struct processes *ps = arg;

	if (type != MSG_procs_row)
		return type == MSG_procs_end;
	if (msg->procs_row.weaker[0] != '\0')
		ps->nweaker++;
	if (ps->ctl->json)
		sandbox_row_json(ps, &msg->procs_row);
	else {
		if (ps->n == 0)
			heading(
			    ps->ctl, "  KEY         DECLARED                            ACTUAL");
		sandbox_row(ps->ctl, &msg->procs_row);
	}
	ps->n++;
	return false;
}

int
show_sandbox(struct ctl *ctl)
{
	struct processes ps = {.ctl = ctl};
	struct msg_procs m = {0};
	int status;

	json_init(&ps.json, ctl->out);
	if ((status = client_ask(&ctl->client, MSG_procs, &m, on_sandbox, &ps)) != EXIT_OK)
		return status;
	if (!ctl->json && !ctl->quiet) {
		(void)fputc('\n', ctl->out);
		if (ps.nweaker > 0)
			(void)fprintf(ctl->out, "%" PRIu64 " of ", ps.nweaker);
		show_count(ctl->out, ps.n, "process");
		(void)fputs(
		    ps.nweaker > 0 ? " weaker than declared\n" : ", all as declared\n", ctl->out);
	}
	return ps.nweaker > 0 || ps.n == 0 ? EXIT_WEAKER : EXIT_OK;
}

/* -- counters -- */

static void
stats_json(struct json *j, const struct counter *c)
{
	json_object(j, NULL);
	json_str(j, "name", c->name);
	json_u64(j, "value", c->value);
	json_object_end(j);
	json_line_end(j);
}

static void
stats_line(FILE *out, const struct counter *c)
{
	size_t len = strlen(c->name);

	text_print_str(out, c->name);
	(void)fprintf(out, "%*s %" PRIu64 "\n", len < 36 ? (int)(36 - len) : 0, "", c->value);
}

int
show_stats(struct ctl *ctl)
{
	struct counters *counters = malloc(sizeof(*counters));
	struct json json;
	int status;
	size_t i;

	if (counters == NULL)
		return client_outcome(IPC_RETRY, "out of memory");
	json_init(&json, ctl->out);
	status = counters_fetch(counters, &ctl->client);
	for (i = 0; status == EXIT_OK && i < counters->n; i++)
		if (ctl->json)
			stats_json(&json, &counters->list[i]);
		else
			stats_line(ctl->out, &counters->list[i]);
	free(counters);
	return status;
}

static const struct column {
	const char *title, *counter;
	bool is_rate; /* how much more than a second ago; else as it stands */
} columns[] = {
    {"clients", "session.open", false},
    {"connect/s", "session.connections", true},
    {"accept/s", "session.messages-accepted", true},
    {"refuse/s", "session.recipients-refused", true},
    {"deliver/s", "queue.delivered", true},
    {"defer/s", "queue.deferred", true},
    {"fail/s", "queue.failed", true},
    {"queued", "queue.messages", false},
};

#define HEADING_EVERY 20 /* lines, so that one is always on the screen */

static void
monitor_heading(const struct ctl *ctl)
{
	size_t i;

	show_tone_on(ctl, TONE_HEADING);
	for (i = 0; i < NITEMS(columns); i++)
		(void)fprintf(ctl->out, "%s%9s", i == 0 ? "" : " ", columns[i].title);
	show_tone_off(ctl);
	(void)fputc('\n', ctl->out);
}

static uint64_t
per_second(uint64_t n, int64_t passed_ms)
{
	return passed_ms <= 0 ? n : n * 1000 / (uint64_t)passed_ms;
}

static void
monitor_line(
    const struct ctl *ctl, const struct counters *was, const struct counters *is, int64_t passed_ms)
{
	size_t i;

	for (i = 0; i < NITEMS(columns); i++) {
		uint64_t now = counters_get(is, columns[i].counter);
		uint64_t before = counters_get(was, columns[i].counter);

		/* A process that was restarted counts from zero again. */
		if (columns[i].is_rate)
			now = now < before ? 0 : per_second(now - before, passed_ms);
		(void)fprintf(ctl->out, "%s%9" PRIu64, i == 0 ? "" : " ", now);
	}
	(void)fputc('\n', ctl->out);
	(void)fflush(ctl->out);
}

int
show_monitor(struct ctl *ctl)
{
	struct counters *two = calloc(2, sizeof(*two)); /* of this second and the last, in turn */
	const struct timespec second = {1, 0};
	int64_t then_ms = time_mono_ms(), now_ms;
	uint64_t line;
	int status;

	if (two == NULL)
		return client_outcome(IPC_RETRY, "out of memory");
	status = counters_fetch(&two[0], &ctl->client);
	for (line = 0; status == EXIT_OK && !ferror(ctl->out); line++) {
		if (ctl->count > 0 && line == ctl->count)
			break;
		(void)nanosleep(&second, NULL);
		status = counters_fetch(&two[(line + 1) % 2], &ctl->client);
		now_ms = time_mono_ms();
		if (status == EXIT_OK && line % HEADING_EVERY == 0)
			monitor_heading(ctl);
		if (status == EXIT_OK)
			monitor_line(ctl, &two[line % 2], &two[(line + 1) % 2], now_ms - then_ms);
		then_ms = now_ms;
	}
	free(two);
	return status;
}

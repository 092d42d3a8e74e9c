/* SPDX-License-Identifier: ISC */
/*
 * lookup: what a table of the running server says to a key.
 *
 * Invariant: of a table of secrets no more than their kind gets here.  A value
 * is shown whole or not at all.
 */
#include "control/smtpctl_find.h"

#include <stdlib.h>
#include <string.h>

#include "control/json.h"
#include "control/smtpctl_text.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/conf/service.h"

#define VALUE_MAX (4U << 20) /* octets; more than any table gives */

struct finding {
	const char *table, *service, *key;
	struct buf value;
	bool overflow;
	enum ipc_outcome outcome;
	char text[IPC_TEXT_MAX + 1]; /* why there is none */
};

void
find_help(FILE *out)
{
	unsigned int i;

	(void)fputs("  SERVICE     what the table is asked for, and what KEY then is:\n", out);
	for (i = 0; i < SERVICE__MAX; i++)
		(void)fprintf(out, "              %-12s %s\n", service_word((enum table_service)i),
		    service_key((enum table_service)i));
}

/* -- words -- */

static int
parse_service(const char *word, enum table_service *service)
{
	const char *words[SERVICE__MAX + 1], *near;
	unsigned int i;

	if (service_of_word(word, service) == 0)
		return 0;
	for (i = 0; i < SERVICE__MAX; i++)
		words[i] = service_word((enum table_service)i);
	words[SERVICE__MAX] = NULL;
	if ((near = str_nearest(word, words)) != NULL)
		text_complain("unknown service '%.64s', did you mean '%s'?", word, near);
	else
		text_complain("unknown service '%.64s'; see 'smtpctl help lookup'", word);
	return -1;
}

static bool
fits(const char *what, const char *value, size_t max)
{
	if (value[0] != '\0' && strlen(value) <= max)
		return true;
	text_complain("the %s is %s", what, value[0] == '\0' ? "empty" : "too long");
	return false;
}

/* -- answers -- */

static bool
on_find(void *arg, enum message_type type, const union message *msg)
{
	struct finding *f = arg;

	if (type == MSG_find_row &&
	    buf_append(&f->value, msg->find_row.value, strlen(msg->find_row.value)) == -1)
		f->overflow = true;
	if (type != MSG_find_end)
		return false;
	f->outcome = (enum ipc_outcome)msg->find_end.outcome;
	str_cut(f->text, sizeof(f->text), msg->find_end.text);
	return true;
}

static void
show_json(const struct ctl *ctl, const struct finding *f)
{
	struct json j;

	json_init(&j, ctl->out);
	json_object(&j, NULL);
	json_str(&j, "table", f->table);
	json_str(&j, "service", f->service);
	json_str(&j, "key", f->key);
	json_bool(&j, "found", f->outcome == IPC_OK);
	json_text(&j, "value");
	json_text_add(&j, buf_head(&f->value), f->value.len);
	json_text_end(&j);
	json_object_end(&j);
	json_line_end(&j);
}

/* Presence is all that some services are asked for. */
static void
show_line(const struct ctl *ctl, const struct finding *f)
{
	if (f->outcome != IPC_OK) {
		text_complain("%s: no '%s' in it", f->table, f->key);
		return;
	}
	if (f->value.len == 0)
		(void)fputs("found", ctl->out);
	else
		text_print(ctl->out, buf_head(&f->value), f->value.len, false);
	(void)fputc('\n', ctl->out);
}

static int
show(const struct ctl *ctl, const struct finding *f)
{
	if (f->overflow) {
		text_complain("%s: the value is too long to be shown", f->table);
		return EXIT_REFUSED;
	}
	if (f->outcome != IPC_OK && f->outcome != IPC_GONE)
		return client_outcome(f->outcome, f->text);
	if (ctl->json)
		show_json(ctl, f);
	else
		show_line(ctl, f);
	return f->outcome == IPC_OK ? EXIT_OK : EXIT_REFUSED;
}

/* -- the question -- */

static int
ask_lookup(struct ctl *ctl, struct finding *f, enum table_service service)
{
	struct msg_find_in m = {.table = f->table, .service = (uint8_t)service, .key = f->key};

	return client_ask(&ctl->client, MSG_find_in, &m, on_find, f);
}

/* The vault has it: it says what kind of secret there is. */
static int
ask_vault(struct ctl *ctl, struct finding *f)
{
	struct msg_find_secret m = {.table = f->table, .key = f->key};

	return client_ask(&ctl->client, MSG_find_secret, &m, on_find, f);
}

int
find_run(struct ctl *ctl)
{
	struct finding f = {.table = ctl->words[ctl->nused],
	    .service = ctl->words[ctl->nused + 1],
	    .key = ctl->words[ctl->nused + 2]};
	enum table_service service;
	int status;

	if (parse_service(f.service, &service) == -1 || !fits("table", f.table, IPC_WORD_MAX) ||
	    !fits("key", f.key, IPC_ADDRESS_MAX))
		return EXIT_USAGE;
	buf_init(&f.value, VALUE_MAX);
	status = ask_lookup(ctl, &f, service);
	if (status == EXIT_OK && f.outcome == IPC_DENIED)
		status = ask_vault(ctl, &f);
	if (status == EXIT_OK)
		status = show(ctl, &f);
	buf_free(&f.value);
	return status;
}

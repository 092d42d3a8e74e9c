/* SPDX-License-Identifier: ISC */
/*
 * explain: asks how the server would decide, and shows every step.
 *
 * Invariant: steps are shown as they come and none is kept.  JSON that was
 * begun is ended, whatever happens to the server meanwhile.
 */
#include "control/smtpctl_explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/show.h"
#include "control/smtpctl_text.h"

#define MARK	     "=> " /* before what decides */
#define NO_MARK	     "   "
#define RESULT_WIDTH 10

void
explain_help(FILE *out)
{
	(void)fputs(
	    "  -c client   its address, \"local\" or \"socket\"; local\n"
	    "  -H helo     what it says in EHLO; its address in brackets\n"
	    "  -a login    as whom it has logged in; nobody\n"
	    "  -f sender   MAIL FROM; the login if that is an address, else <>\n"
	    "  -l listener where it came in, ADDRESS, PORT, ADDRESS:PORT or a tag; the first\n"
	    "  -t          over TLS\n",
	    out);
}

/* -- lines -- */

/* "rule from local: action "out" (line 12)" */
static void
print_step(FILE *out, const struct msg_explain_row *r)
{
	const char *between = "";

	if (r->kind[0] != '\0') {
		text_print_str(out, r->kind);
		between = " ";
	}
	if (r->subject[0] != '\0') {
		(void)fputs(between, out);
		text_print_str(out, r->subject);
	}
	if (r->text[0] != '\0') {
		(void)fputs(": ", out);
		text_print_str(out, r->text);
	}
	if (r->line != 0)
		(void)fprintf(out, " (line %" PRIu32 ")", r->line);
}

static void
step_line(const struct explain_printer *p, const struct msg_explain_row *r)
{
	size_t len = strlen(r->result);
	FILE *out = p->ctl->out;

	if (r->decides)
		show_tone_on(p->ctl, TONE_HEADING);
	(void)fputs(r->decides ? MARK : NO_MARK, out);
	text_print_str(out, r->result);
	(void)fprintf(out, "%*s%*s", len < RESULT_WIDTH ? (int)(RESULT_WIDTH - len) : 1, "",
	    2 * (int)r->depth, "");
	print_step(out, r);
	if (r->decides)
		show_tone_off(p->ctl);
	(void)fputc('\n', out);
}

/* -- objects -- */

static void
close_steps(struct explain_printer *p, unsigned int depth)
{
	for (; p->nopen > depth; p->nopen--) {
		json_array_end(&p->json);
		json_object_end(&p->json);
	}
}

static void
step_json(struct explain_printer *p, const struct msg_explain_row *r)
{
	struct json *j = &p->json;

	close_steps(p, r->depth);
	json_object(j, NULL);
	json_str(j, "kind", r->kind);
	json_str(j, "subject", r->subject);
	json_str(j, "result", r->result);
	json_str(j, "text", r->text);
	json_u64(j, "line", r->line);
	json_bool(j, "decides", r->decides);
	json_array(j, "steps");
	p->nopen++;
}

static void
question_json(struct json *j, const struct msg_explain *q)
{
	json_str(j, "recipient", q->rcpt);
	json_str(j, "sender", q->sender);
	json_str(j, "client", q->client);
	json_str(j, "helo", q->helo);
	json_str(j, "login", q->auth);
	json_bool(j, "tls", q->tls);
	json_str(j, "listener", q->listener);
}

/* -- the whole -- */

void
explain_printer_begin(struct explain_printer *p, const struct msg_explain *question)
{
	p->begun = true;
	if (!p->ctl->json)
		return;
	json_init(&p->json, p->ctl->out);
	json_object(&p->json, NULL);
	question_json(&p->json, question);
	json_array(&p->json, "steps");
}

void
explain_printer_step(struct explain_printer *p, const struct msg_explain_row *row)
{
	if (p->ctl->json)
		step_json(p, row);
	else if (!p->ctl->quiet)
		step_line(p, row);
}

static const struct {
	const char *word;
	int status;
} outcomes[IPC_OUTCOME__MAX] = {
    [IPC_OK] = {"accepted", EXIT_OK},
    [IPC_RETRY] = {"deferred", EXIT_TEMPFAIL},
    [IPC_FAIL] = {"refused", EXIT_REFUSED},
    [IPC_FULL] = {"deferred", EXIT_TEMPFAIL},
    [IPC_GONE] = {"refused", EXIT_REFUSED},
    [IPC_DENIED] = {"refused", EXIT_REFUSED},
};

static void
verdict_lines(const struct explain_printer *p, const struct msg_explain_end *e)
{
	FILE *out = p->ctl->out;

	if (!p->ctl->quiet)
		(void)fputc('\n', out);
	show_tone_on(p->ctl, e->outcome == IPC_OK ? TONE_HEADING : TONE_ALARM);
	(void)fprintf(out, MARK "%s: %03u ", outcomes[e->outcome].word, (unsigned int)e->code);
	text_print_str(out, e->status);
	(void)fputc(' ', out);
	text_print_str(out, e->text);
	show_tone_off(p->ctl);
	(void)fputs("\n" NO_MARK "because: ", out);
	text_print_str(out, e->why);
	(void)fputc('\n', out);
}

static void
verdict_json(struct explain_printer *p, const struct msg_explain_end *e)
{
	struct json *j = &p->json;

	close_steps(p, 0);
	json_array_end(j);
	json_str(j, "outcome", outcomes[e->outcome].word);
	json_u64(j, "code", e->code);
	json_str(j, "status", e->status);
	json_str(j, "text", e->text);
	json_str(j, "why", e->why);
	json_str(j, "action", e->action);
	json_u64(j, "line", e->rule_line);
	json_object_end(j);
	json_line_end(j);
}

void
explain_printer_end(struct explain_printer *p, const struct msg_explain_end *end)
{
	if (p->ctl->json)
		verdict_json(p, end);
	else
		verdict_lines(p, end);
	p->begun = false;
	p->status = outcomes[end->outcome].status;
}

void
explain_printer_abort(struct explain_printer *p)
{
	if (!p->begun || !p->ctl->json)
		return;
	close_steps(p, 0);
	json_array_end(&p->json);
	json_str(&p->json, "outcome", "unknown");
	json_object_end(&p->json);
	json_line_end(&p->json);
}

/* -- the question -- */

struct explaining {
	struct explain_printer printer;
	const struct msg_explain *question;
};

static bool
on_explain(void *arg, enum message_type type, const union message *msg)
{
	struct explaining *e = arg;

	if (type != MSG_explain_row && type != MSG_explain_end)
		return false;
	if (!e->printer.begun)
		explain_printer_begin(&e->printer, e->question);
	if (type == MSG_explain_row)
		explain_printer_step(&e->printer, &msg->explain_row);
	else
		explain_printer_end(&e->printer, &msg->explain_end);
	return type == MSG_explain_end;
}

/* What can't be said to the server is not asked. */
static bool
fits(const char *what, const char *value, size_t max)
{
	if (strlen(value) <= max)
		return true;
	text_complain("the %s is too long", what);
	return false;
}

/* An address as it stands in SMTP, without the brackets; NULL when it has none. */
static char *
in_brackets(const char *path)
{
	size_t len = strlen(path);

	return len >= 2 && path[0] == '<' && path[len - 1] == '>' ? strndup(path + 1, len - 2)
								  : NULL;
}

static int
ask(struct ctl *ctl, struct msg_explain *m)
{
	struct explaining x = {.printer = {.ctl = ctl}, .question = m};
	int status;

	if (!fits("client", m->client, IPC_WORD_MAX) ||
	    !fits("listener", m->listener, IPC_NAME_MAX) ||
	    !fits("name in EHLO", m->helo, IPC_NAME_MAX) ||
	    !fits("login", m->auth, IPC_ADDRESS_MAX) ||
	    !fits("sender", m->sender, IPC_ADDRESS_MAX) ||
	    !fits("recipient", m->rcpt, IPC_ADDRESS_MAX))
		return EXIT_USAGE;
	status = client_ask(&ctl->client, MSG_explain, m, on_explain, &x);
	if (status != EXIT_OK)
		explain_printer_abort(&x.printer);
	return status == EXIT_OK ? x.printer.status : status;
}

int
explain_run(struct ctl *ctl)
{
	const struct ctl_envelope *e = &ctl->envelope;
	const char *login = e->login == NULL ? "" : e->login;
	char *sender = e->sender == NULL ? NULL : in_brackets(e->sender);
	char *rcpt = in_brackets(ctl->words[ctl->nused]);
	struct msg_explain m = {.client = e->client == NULL ? "local" : e->client,
	    .listener = e->listener == NULL ? "" : e->listener,
	    .helo = e->helo == NULL ? "" : e->helo,
	    .auth = login,
	    .tls = e->tls,
	    .sender = strchr(login, '@') == NULL ? "" : login,
	    .rcpt = rcpt == NULL ? ctl->words[ctl->nused] : rcpt};
	int status;

	if (e->sender != NULL)
		m.sender = sender == NULL ? e->sender : sender;
	status = ask(ctl, &m);
	free(sender);
	free(rcpt);
	return status;
}
